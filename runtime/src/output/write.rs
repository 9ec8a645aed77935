//! Writing a result as JSON while the plan of its policies is applied.

use mxcp_schemas::bundle::plan::{INERT, MASK, Plan, StateId, Verdict};

use super::text::{decimal, name_of, put, put_number, string_of};
use super::{Form, OutputError, Table};
use crate::duckdb::Cell;

impl Table {
    /// Writes the result with the plan applied.
    ///
    /// # Errors
    /// When it is larger than `max_bytes`, or a column's type has no JSON form.
    pub fn write_json(
        &self,
        form: Form,
        plan: &Plan,
        max_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), OutputError> {
        let limit = out.len().saturating_add(max_bytes);
        let mut writer = Writer { plan, out, limit, max_bytes };
        match form {
            Form::Value => {
                let cell = self.cell(0, 0, 0);
                if !writer.value(&cell, plan.start, self.name(0))? {
                    writer.out.extend_from_slice(b"null");
                }
                Ok(())
            }
            Form::Row => {
                let columns = self.states(plan, plan.start);
                if !self.row(&mut writer, plan.start, &columns, (0, 0))? {
                    writer.out.extend_from_slice(b"null");
                }
                Ok(())
            }
            Form::Rows => self.write_rows(&mut writer),
        }
    }

    fn write_rows(&self, writer: &mut Writer<'_>) -> Result<(), OutputError> {
        let plan = writer.plan;
        let root = plan.state(plan.start);
        match root.verdict {
            Verdict::Drop => {
                writer.out.extend_from_slice(b"null");
                return Ok(());
            }
            Verdict::Mask => {
                put(writer.out, MASK);
                return Ok(());
            }
            Verdict::Keep => {}
        }
        let columns = self.states(plan, root.items);
        writer.out.push(b'[');
        let mut first = true;
        for place in self.places() {
            let before = writer.out.len();
            if !first {
                writer.out.push(b',');
            }
            if self.row(writer, root.items, &columns, place)? {
                first = false;
            } else {
                writer.out.truncate(before);
            }
        }
        writer.out.push(b']');
        Ok(())
    }

    /// The states of the columns of a row in this state, which are the same for all rows.
    fn states(&self, plan: &Plan, row: StateId) -> Vec<StateId> {
        let state = plan.state(row);
        let below = |name: &String| if row == INERT { INERT } else { state.field(name) };
        self.names.iter().map(below).collect()
    }

    /// Writes one row as an object; `false` when the plan drops it.
    fn row(
        &self,
        writer: &mut Writer<'_>,
        at: StateId,
        columns: &[StateId],
        (chunk, row): (usize, usize),
    ) -> Result<bool, OutputError> {
        let state = writer.plan.state(at);
        match state.verdict {
            Verdict::Drop => return Ok(false),
            Verdict::Mask => {
                put(writer.out, MASK);
                return Ok(true);
            }
            Verdict::Keep => {}
        }
        writer.out.push(b'{');
        let mut first = true;
        for (column, (key, below)) in self.keys.iter().zip(columns).enumerate() {
            let before = writer.out.len();
            if !first {
                writer.out.push(b',');
            }
            writer.out.extend_from_slice(key.as_bytes());
            if writer.value(&self.cell(chunk, column, row), *below, self.name(column))? {
                first = false;
            } else {
                writer.out.truncate(before);
            }
        }
        writer.out.push(b'}');
        writer.within()?;
        Ok(true)
    }

    fn name(&self, column: usize) -> &str {
        self.names.get(column).map_or("", String::as_str)
    }
}

struct Writer<'w> {
    plan: &'w Plan,
    out: &'w mut Vec<u8>,
    limit: usize,
    max_bytes: usize,
}

impl Writer<'_> {
    fn within(&self) -> Result<(), OutputError> {
        if self.out.len() > self.limit {
            return Err(OutputError::ByteLimit(self.max_bytes));
        }
        Ok(())
    }

    /// Writes a value; `false` when the plan drops it and nothing of it was written.
    fn value(&mut self, cell: &Cell<'_>, at: StateId, column: &str) -> Result<bool, OutputError> {
        if at != INERT {
            let state = self.plan.state(at);
            let verdict = match (state.verdict, cell) {
                (Verdict::Keep, Cell::Null | Cell::List(_) | Cell::Struct(_) | Cell::Map(_)) => {
                    Verdict::Keep
                }
                // What JSON kept as text holds cannot be told apart.
                (Verdict::Keep, Cell::Text(_, true)) => Verdict::Drop,
                (Verdict::Keep, _) => state.leaf,
                (verdict, _) => verdict,
            };
            match verdict {
                Verdict::Drop => return Ok(false),
                Verdict::Mask => {
                    put(self.out, MASK);
                    return Ok(true);
                }
                Verdict::Keep => {}
            }
        }
        self.kept(cell, at, column)?;
        Ok(true)
    }

    fn kept(&mut self, cell: &Cell<'_>, at: StateId, column: &str) -> Result<(), OutputError> {
        let state = self.plan.state(at);
        match cell {
            Cell::Null => self.out.extend_from_slice(b"null"),
            Cell::Bool(true) => self.out.extend_from_slice(b"true"),
            Cell::Bool(false) => self.out.extend_from_slice(b"false"),
            Cell::Int(value) => match i64::try_from(*value) {
                Ok(value) => put_number(self.out, value),
                Err(_) => put_number(self.out, value),
            },
            Cell::Uint(value) => match u64::try_from(*value) {
                Ok(value) => put_number(self.out, value),
                Err(_) => put_number(self.out, value),
            },
            Cell::Decimal(value, scale) => {
                self.out.extend_from_slice(decimal(*value, *scale).as_bytes());
            }
            Cell::F32(value) => put_number(self.out, f64::from(*value)),
            Cell::F64(value) => put_number(self.out, value),
            Cell::List(items) => {
                self.out.push(b'[');
                let mut first = true;
                for item in items.iter() {
                    self.entry(&mut first, None, &item, state.items, column)?;
                }
                self.out.push(b']');
                self.within()?;
            }
            Cell::Struct(fields) => {
                self.out.push(b'{');
                let mut first = true;
                for (name, value) in fields {
                    let below = if at == INERT { INERT } else { state.field(name) };
                    self.entry(&mut first, Some(name), value, below, column)?;
                }
                self.out.push(b'}');
            }
            Cell::Map(entries) => {
                self.out.push(b'{');
                let mut first = true;
                for (key, value) in entries {
                    let unsupported = || OutputError::Unsupported(column.to_owned());
                    let name = name_of(key).ok_or_else(unsupported)?;
                    let below = if at == INERT { INERT } else { state.field(&name) };
                    self.entry(&mut first, Some(&name), value, below, column)?;
                }
                self.out.push(b'}');
                self.within()?;
            }
            other => match string_of(other) {
                Some(text) => put(self.out, &text),
                None => return Err(OutputError::Unsupported(column.to_owned())),
            },
        }
        Ok(())
    }

    fn entry(
        &mut self,
        first: &mut bool,
        name: Option<&str>,
        value: &Cell<'_>,
        at: StateId,
        column: &str,
    ) -> Result<(), OutputError> {
        let before = self.out.len();
        if !*first {
            self.out.push(b',');
        }
        if let Some(name) = name {
            put(self.out, name);
            self.out.push(b':');
        }
        if self.value(value, at, column)? {
            *first = false;
        } else {
            self.out.truncate(before);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duckdb::{Session, Settings};
    use mxcp_policy::plan::{FieldPath, apply, from_paths};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn session() -> Session {
        Session::new(&Settings::default().open().unwrap()).unwrap()
    }

    fn json_of(session: &mut Session, sql: &str, form: Form, plan: &Plan) -> Value {
        let table = Table::collect(session.query(sql, |_| None).unwrap(), 1_000).unwrap();
        table.fit(form).unwrap();
        let mut out = Vec::new();
        table.write_json(form, plan, 1 << 20, &mut out).unwrap();
        serde_json::from_slice(&out)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out)))
    }

    fn plan(paths: &[&str], verdict: Verdict) -> Plan {
        let parsed: Vec<FieldPath> = paths.iter().map(|p| FieldPath::parse(p).unwrap()).collect();
        from_paths(&parsed, verdict).unwrap()
    }

    #[test]
    fn every_type_has_its_json_form() {
        let mut session = session();
        for (sql, expected) in [
            ("NULL", json!(null)),
            ("true", json!(true)),
            ("(-5)::TINYINT", json!(-5)),
            ("9223372036854775807::BIGINT", json!(9_223_372_036_854_775_807_i64)),
            ("18446744073709551615::UBIGINT", json!(18_446_744_073_709_551_615_u64)),
            ("1.5::DOUBLE", json!(1.5)),
            ("'nan'::DOUBLE", json!(null)),
            ("'-inf'::FLOAT", json!(null)),
            ("12.50::DECIMAL(6,2)", json!(12.50)),
            ("(-0.05)::DECIMAL(18,2)", json!(-0.05)),
            ("'né \"q\" \n'", json!("né \"q\" \n")),
            ("'a text of more than twelve bytes'", json!("a text of more than twelve bytes")),
            ("'\\xDE\\xAD'::BLOB", json!("3q0=")),
            ("DATE '2024-02-29'", json!("2024-02-29")),
            ("DATE '0044-03-15 (BC)'", json!("-0043-03-15")),
            ("TIME '13:45:10.5'", json!("13:45:10.5")),
            ("TIMESTAMP '2024-01-02 03:04:05'", json!("2024-01-02T03:04:05")),
            ("TIMESTAMPTZ '2024-01-02 03:04:05+02'", json!("2024-01-02T01:04:05Z")),
            (
                "TIMESTAMP_NS '2024-01-02 03:04:05.123456789'",
                json!("2024-01-02T03:04:05.123456789"),
            ),
            ("INTERVAL '1 year 2 months 3 days 4 hours 5.5 seconds'", json!("P1Y2M3DT4H5.5S")),
            ("INTERVAL '0 days'", json!("PT0S")),
            (
                "'6d3d9a2e-0000-4000-8000-000000000001'::UUID",
                json!("6d3d9a2e-0000-4000-8000-000000000001"),
            ),
            ("'b'::ENUM('a', 'b')", json!("b")),
            ("'0101'::BIT", json!("0101")),
            ("[1, NULL, 3]", json!([1, null, 3])),
            ("array_value(1, 2)", json!([1, 2])),
            ("{'a': 1, 'b': ['x']}", json!({"a": 1, "b": ["x"]})),
            ("MAP {'k': 1, 'l': 2}", json!({"k": 1, "l": 2})),
            ("MAP {7: {'x': [1]}}", json!({"7": {"x": [1]}})),
            ("union_value(n := 5)", json!(5)),
            ("[[1], [], NULL]", json!([[1], [], null])),
            ("'{\"a\": 1}'::JSON", json!("{\"a\": 1}")),
            ("timestamp 'infinity'", json!("infinity")),
        ] {
            let got =
                json_of(&mut session, &format!("SELECT {sql} AS v"), Form::Value, &Plan::inert());
            assert_eq!(got, expected, "{sql}");
        }
        let huge = "SELECT 170141183460469231731687303715884105727::HUGEINT AS v";
        let table = Table::collect(session.query(huge, |_| None).unwrap(), 1).unwrap();
        let mut out = Vec::new();
        table.write_json(Form::Value, &Plan::inert(), 100, &mut out).unwrap();
        assert_eq!(out, b"170141183460469231731687303715884105727");
    }

    #[test]
    fn plans_are_applied_while_writing() {
        let mut session = session();
        let sql = "SELECT 1 AS id, 5 AS Salary, {'street': 's', 'city': 'c'} AS address, \
                   [{'n': 1, 'k': 2}] AS cards, '{\"ssn\": 1}'::JSON AS note";
        let dropped = plan(&["salary", "address.street", "cards[].n", "note.x"], Verdict::Drop);
        assert_eq!(
            json_of(&mut session, sql, Form::Rows, &dropped),
            json!([{"id": 1, "address": {"city": "c"}, "cards": [{"k": 2}]}])
        );
        let masked = plan(&["SALARY", "address"], Verdict::Mask);
        assert_eq!(json_of(&mut session, sql, Form::Row, &masked)["address"], json!("****"));
        let deep = plan(&["**.ssn"], Verdict::Drop);
        assert!(json_of(&mut session, sql, Form::Row, &deep).get("note").is_none());
    }

    #[test]
    fn limits_and_forms_are_held() {
        let mut session = session();
        let rows = session.query("SELECT range FROM range(10)", |_| None).unwrap();
        assert_eq!(Table::collect(rows, 9).unwrap_err(), OutputError::RowLimit(9));
        let rows = session.query("SELECT range FROM range(10)", |_| None).unwrap();
        let table = Table::collect(rows, 10).unwrap();
        assert_eq!(table.fit(Form::Row), Err(OutputError::TooManyRows(10)));
        let wrote = table.write_json(Form::Rows, &Plan::inert(), 20, &mut Vec::new());
        assert_eq!(wrote, Err(OutputError::ByteLimit(20)));
        let rows = session.query("SELECT 1 AS a, 2 AS A", |_| None).unwrap();
        assert!(matches!(Table::collect(rows, 9), Err(OutputError::SameName(_))));
        let rows = session.query("SELECT 1 WHERE false", |_| None).unwrap();
        assert_eq!(Table::collect(rows, 9).unwrap().fit(Form::Value), Err(OutputError::NoRows));
    }

    fn any_path() -> impl Strategy<Value = String> {
        let step =
            prop_oneof![Just("a"), Just("b"), Just("*"), Just("c[]"), Just("**.b"), Just("d")];
        prop::collection::vec(step, 1..4).prop_map(|steps| steps.join("."))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Applied while writing, a plan does what it does to the finished value.
        #[test]
        fn writing_agrees_with_applying(path in any_path(), mask in any::<bool>()) {
            let mut session = session();
            let verdict = if mask { Verdict::Mask } else { Verdict::Drop };
            let plan = plan(&[&path], verdict);
            let sql = "SELECT 1 AS a, {'a': 1, 'b': {'b': 2, 'c': [1, 2]}} AS b, \
                       [{'a': 1, 'd': NULL}, {'a': 2, 'd': [3]}] AS c, MAP {'b': 1} AS d";
            for form in [Form::Row, Form::Rows] {
                let mut expected = json_of(&mut session, sql, form, &Plan::inert());
                apply(&plan, &mut expected);
                prop_assert_eq!(json_of(&mut session, sql, form, &plan), expected, "{}", path);
            }
        }
    }
}
