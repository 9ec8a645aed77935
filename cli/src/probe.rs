//! Asking DuckDB about SQL at build.

mod function;

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use mxcp_compiler::sql::{Analysis, SqlProbe};
use mxcp_runtime::duckdb::{Bind, BindType, Cell, Database, DuckError, Session, Settings};

use function::{Catalogue, Effect};

/// DuckDB's parser, in a database of its own in memory. It sees texts only, never the project's data.
#[derive(Debug, Default)]
pub struct DuckProbe {
    /// the database, while it is being opened
    opening: Mutex<Option<Opening>>,
}

type Opening = JoinHandle<Result<Opened, DuckError>>;

/// A process must not end while DuckDB begins.
impl Drop for DuckProbe {
    fn drop(&mut self) {
        let opening = self.opening.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(opening.take().map(JoinHandle::join));
    }
}

/// A database that can be asked.
#[derive(Debug)]
struct Opened {
    database: Database,
    session: Session,
    catalogue: Catalogue,
}

impl Opened {
    fn new() -> Result<Self, DuckError> {
        let database = Settings::default().open()?;
        let mut session = Session::new(&database)?;
        let catalogue = Catalogue::read(&mut session)?;
        Ok(Self { database, session, catalogue })
    }
}

impl SqlProbe for DuckProbe {
    /// Opens the database meanwhile: a good part of asking about a thousand endpoints.
    fn expect(&self) {
        let mut opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if opening.is_none() {
            *opening = thread::Builder::new().spawn(Opened::new).ok();
        }
    }

    fn analyse(&self, texts: &[&str]) -> Vec<Analysis> {
        if texts.is_empty() {
            return Vec::new();
        }
        // Without DuckDB nothing can be said, and nothing is claimed.
        let unknown = vec![Analysis::Unknown; texts.len()];
        let opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner).take();
        let opened = match opening {
            Some(opening) => opening.join().unwrap_or_else(|panic| resume_unwind(panic)),
            None => Opened::new(),
        };
        let answers = opened.and_then(|opened| ask(opened, texts));
        answers.ok().filter(|answers| answers.len() == texts.len()).unwrap_or(unknown)
    }
}

/// `json_serialize_sql` parses its argument and serialises nothing but `SELECT` statements. These may
/// still call functions that do more than read, so their names are wanted as well, at any depth.
const QUESTION: &str = "
    SELECT a[1], a[2], a[3], a[4], CAST(to_json(list_distinct(f)) AS VARCHAR) FROM (
        SELECT json_extract_string(t, ['error', 'error_type', 'error_message', 'position']) AS a,
            json_extract_string(t, '$..function_name') AS f
        FROM (SELECT json_serialize_sql(unnest($texts), skip_default := true, skip_empty := true,
            skip_null := true) AS t))";

/// Texts of one question: DuckDB holds the syntax trees of all of them at once.
const TEXTS_PER_QUESTION: usize = 100;

fn ask(opened: Opened, texts: &[&str]) -> Result<Vec<Analysis>, DuckError> {
    let Opened { database, mut session, catalogue } = opened;
    // A session of its own for each half: DuckDB asks no second processor for as little as this.
    let (first, second) = texts.split_at(texts.len() / 2);
    thread::scope(|scope| {
        let other = scope.spawn(|| ask_all(&mut Session::new(&database)?, &catalogue, second));
        let mut answers = ask_all(&mut session, &catalogue, first)?;
        answers.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        Ok(answers)
    })
}

fn ask_all(
    session: &mut Session,
    catalogue: &Catalogue,
    texts: &[&str],
) -> Result<Vec<Analysis>, DuckError> {
    let mut answers = Vec::with_capacity(texts.len());
    for texts in texts.chunks(TEXTS_PER_QUESTION) {
        ask_some(session, catalogue, texts, &mut answers)?;
    }
    Ok(answers)
}

fn ask_some(
    session: &mut Session,
    catalogue: &Catalogue,
    texts: &[&str],
    answers: &mut Vec<Analysis>,
) -> Result<(), DuckError> {
    let list = texts.iter().map(|text| Bind::Text((*text).to_owned())).collect();
    let bound = Bind::List(BindType::Text, list);
    for_each(session, QUESTION, Some(&bound), |column| {
        let said = answer(column(0).as_deref(), column(1).as_deref(), column(2), column(3));
        answers.push(match said {
            Analysis::Select => calling(catalogue, column(4).as_deref()),
            said => said,
        });
    })
}

/// Asks something and looks at the texts of each row, column by column.
fn for_each(
    session: &mut Session,
    question: &str,
    bound: Option<&Bind>,
    mut look: impl FnMut(&dyn Fn(usize) -> Option<String>),
) -> Result<(), DuckError> {
    let mut rows = session.query(question, |_| bound.cloned())?;
    let shapes = rows.shapes().to_vec();
    while let Some(chunk) = rows.next_chunk() {
        for row in 0..chunk.len() {
            look(&|column| match chunk.cell(column, shapes.get(column)?, row) {
                Cell::Text(text, _) => Some(text.to_owned()),
                _ => None,
            });
        }
    }
    Ok(())
}

fn answer(
    error: Option<&str>,
    kind: Option<&str>,
    message: Option<String>,
    position: Option<String>,
) -> Analysis {
    match (error, kind) {
        (Some("false"), _) => Analysis::Select,
        (Some("true"), Some("parser" | "syntax")) => Analysis::Syntax {
            message: message.unwrap_or_default(),
            position: position.and_then(|p| p.parse().ok()),
        },
        (Some("true"), Some(_)) => Analysis::Other,
        _ => Analysis::Unknown,
    }
}

/// What a `SELECT` does that calls these functions, which are a JSON array of names.
fn calling(catalogue: &Catalogue, names: Option<&str>) -> Analysis {
    let names = names.and_then(|names| serde_json::from_str::<Vec<String>>(names).ok());
    match names.map(|names| names.iter().map(|name| catalogue.effect(name)).max()) {
        Some(None | Some(Effect::Reads)) => Analysis::Select,
        Some(Some(Effect::Writes)) => Analysis::Other,
        // It may read alone. Nobody knows, so nothing is claimed.
        Some(Some(Effect::Unknown)) | None => Analysis::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn duckdb_tells_what_reads_and_what_does_not_parse() {
        let answers = DuckProbe::default().analyse(&[
            "SELECT $a + 1 FROM t WHERE x = $b",
            "WITH a AS (SELECT 1) FROM a",
            "INSERT INTO t VALUES ($a)",
            "SELEC 1",
            "SELECT 1 +",
            "SELECT * FROM t WHERE id = (SELECT NextVal('ids'))",
            "FROM postgres_execute('db', 'DELETE FROM t')",
            "SELECT random(), upper('nextval')",
        ]);
        assert!(
            matches!(
                &answers[..],
                [
                    Analysis::Select,
                    Analysis::Select,
                    Analysis::Other,
                    Analysis::Syntax { position: Some(0), .. },
                    Analysis::Syntax { .. },
                    Analysis::Other,
                    Analysis::Other,
                    Analysis::Select
                ]
            ),
            "{answers:?}"
        );
    }

    #[test]
    fn whoever_was_told_before_answers_the_same() {
        let texts = ["SELECT 1", "SELECT nextval('s')", "SELEC 1"];
        let told = DuckProbe::default();
        told.expect();
        told.expect();
        let answers = told.analyse(&texts);
        assert_eq!(answers, DuckProbe::default().analyse(&texts));
        // Once more, when what was opened is used up.
        assert_eq!(answers, told.analyse(&texts));
    }

    #[test]
    fn who_was_told_and_is_not_asked_leaves_no_database_behind() {
        let opened = |told: &DuckProbe| {
            let opening = told.opening.lock().unwrap();
            opening.as_ref().map(|opening| opening.thread().id())
        };
        let told = DuckProbe::default();
        told.expect();
        let first = opened(&told);
        assert!(first.is_some());
        // A second word opens no second database, and nothing to ask asks nothing.
        told.expect();
        assert!(told.analyse(&[]).is_empty());
        assert_eq!(opened(&told), first);
        let ended = Arc::new(AtomicBool::new(false));
        let slow = Arc::clone(&ended);
        *told.opening.lock().unwrap() = Some(thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            slow.store(true, Ordering::SeqCst);
            Opened::new()
        }));
        drop(told);
        assert!(ended.load(Ordering::SeqCst));
    }

    #[test]
    fn what_functions_do_is_looked_for_at_any_depth() {
        let reading = [
            "WITH c AS (SELECT 1 AS x) SELECT row_number() OVER (), lag(x) OVER (ORDER BY x), \"Sum\"(x)
                 FILTER (x LIKE 'nextval%'), $a[1], {'nextval': $b}, [y FOR y IN [1] IF y > 0],
                 list_transform([1], lambda y: y + 1), count(*), extract(year FROM now()), -x,
                 CASE WHEN x IN (1, 2) THEN x END, 'x' SIMILAR TO 'y', 'x' GLOB 'y', x::DATE,
                 current_date, INTERVAL 1 DAY, coalesce(x, 1), TRY_CAST(x AS INT), 'a' ILIKE 'b',
                 quantile_cont(x, 0.5), unnest([1]), any_value(x ORDER BY x), m['a'], t.b.c, x ->> 'y',
                 ts AT TIME ZONE 'UTC', (SELECT max(q) FROM u), EXISTS (SELECT 1), try(x), uuid()
             FROM range(3) r, t, 'f.csv', read_csv('a'), (VALUES (1)) v, duckdb_tables() GROUP BY ALL",
            "SELECT get_username(), currval('s'), random(), json_extract(j, '$.x'), error('no')",
            "SELECT * FROM read_parquet('x/*.parquet', hive_partitioning = true) QUALIFY rank() OVER () = 1",
            "FROM t UNION ALL (FROM u) ORDER BY 1 LIMIT $n",
        ];
        for (sql, said) in reading.iter().zip(DuckProbe::default().analyse(&reading)) {
            assert_eq!(said, Analysis::Select, "{sql}");
        }
        let writing = [
            "SELECT nextval('s')",
            "SELECT main.NextVal('s') FROM t",
            "SELECT 1 FROM t WHERE id IN (SELECT max(x) FROM u GROUP BY ('s').nextval())",
            "WITH a AS (SELECT \"nextval\"($name)) SELECT [x FOR x IN [1]] FROM a",
            "SELECT sum(x) OVER (PARTITION BY unknown_function(nextval('s'))) FROM t",
            "FROM sqlite_attach('x.db')",
            "FROM checkpoint()",
            "SELECT write_log('x')",
        ];
        for (sql, said) in writing.iter().zip(DuckProbe::default().analyse(&writing)) {
            assert_eq!(said, Analysis::Other, "{sql}");
        }
        let unknown = [
            "SELECT http_post('https://x.example', 'y')",
            "SELECT my_macro(1)",
            "FROM postgres_query('db', 'DELETE FROM t RETURNING 1')",
            "FROM query('SELECT nextval(''s'')')",
            "FROM json_execute_serialized_sql($plan)",
            "SELECT setseed(0.5)",
            "SELECT \"count\nsum\"(1)",
        ];
        for (sql, said) in unknown.iter().zip(DuckProbe::default().analyse(&unknown)) {
            assert_eq!(said, Analysis::Unknown, "{sql}");
        }
    }
}
