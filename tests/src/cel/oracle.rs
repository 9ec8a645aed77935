//! Other implementations of CEL as oracles: what they say about the same expressions and values, and
//! the rules by which a difference is explained.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;

use bumpalo::Bump;
use mxcp_compiler::cel::{
    Environment, Finding, Typed, expression, expression_plainly, typed, unchecked,
};
use mxcp_policy::datum::{Datum, Instant, Span, Symbols};
use mxcp_policy::ty::Ty;
use mxcp_policy::value::Value;
use serde_json::{Value as Json, json};

use super::engine::{Answer, ENGINES};
use super::generate::{Generator, Given, variables};
use crate::clients;

/// An expression with values for its variables.
#[derive(Debug, Clone)]
pub struct Case {
    /// the expression
    pub text: String,
    /// whether the variables have their types, or may be anything
    pub typed: bool,
    /// whether it needs functions that the other implementations do not have
    pub alone: bool,
    /// the variables
    pub values: Vec<(&'static str, Given)>,
}

/// What an implementation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// it does not compile, for these reasons
    Refused(String),
    /// it cannot be evaluated
    Error,
    /// a value, in a form that all can be brought into
    Value(String),
    /// it cannot be asked: it stops, or its answer cannot be printed
    Nothing(String),
}

impl Case {
    /// The case of a seed.
    pub fn new(seed: u64) -> Self {
        let typed = !seed.is_multiple_of(4);
        // Not in step with the types.
        let mut generator = Generator::new(seed, typed, seed % 10 < 3);
        let text = generator.expression();
        Self { text, typed, alone: generator.alone(), values: generator.values() }
    }

    /// The same with another text.
    #[must_use]
    pub fn with(&self, text: String) -> Self {
        Self { text, ..self.clone() }
    }

    /// The syntax tree with the types of its nodes, as far as it can be read.
    pub fn tree(&self) -> Option<Typed> {
        typed(&self.text, &self.environment()).0
    }

    fn environment(&self) -> Environment {
        // What Python cannot hand over in a dynamic variable has its type in any case.
        let kept = |ty: &Ty| matches!(ty, Ty::Uint | Ty::Timestamp | Ty::Duration);
        let ty = |ty: Ty| if self.typed || kept(&ty) { ty } else { Ty::Dyn };
        Environment {
            params: variables().into_iter().map(|(name, of)| (name.to_owned(), ty(of))).collect(),
            ..Environment::default()
        }
    }

    /// What all engines of ours say, as policies are compiled and with nothing computed ahead.
    ///
    /// # Errors
    /// When they do not say the same, or one panics.
    pub fn ours(&self) -> Result<Said, String> {
        let asked = catch_unwind(AssertUnwindSafe(|| self.by_all_engines()));
        asked.unwrap_or_else(|_| Err("it panics".to_owned()))
    }

    fn by_all_engines(&self) -> Result<Said, String> {
        let mut known: Option<(Said, &str)> = None;
        let environment = self.environment();
        for compile in [expression, expression_plainly] {
            let (compiled, found) = compile(&self.text, &environment);
            let Some((program, _)) = compiled else { return Ok(refused(&found)) };
            for engine in ENGINES.iter().filter(|engine| engine.any_type) {
                let params = |symbols: &Symbols| {
                    self.values.iter().map(|(_, given)| datum(given, symbols)).collect()
                };
                let said = engine.run(&program, params, |answer, arena| heard(&answer, arena))?;
                match &known {
                    None => known = Some((said, engine.name)),
                    Some((first, _)) if *first == said => {}
                    Some((first, name)) => {
                        return Err(format!("{name}: {first:?}, {}: {said:?}", engine.name));
                    }
                }
            }
        }
        known.map(|(said, _)| said).ok_or_else(|| "no engine".to_owned())
    }

    /// What the interpreter says where nothing is refused for its types.
    pub fn ours_unchecked(&self) -> Said {
        let (compiled, found) = unchecked(&self.text, &self.environment());
        let (Some((program, _)), Some(engine)) = (compiled, ENGINES.first()) else {
            return refused(&found);
        };
        let params = |symbols: &Symbols| {
            self.values.iter().map(|(_, given)| datum(given, symbols)).collect()
        };
        engine
            .run(&program, params, |answer, arena| heard(&answer, arena))
            .unwrap_or_else(Said::Nothing)
    }

    fn to_json(&self, check: bool) -> Json {
        let values: serde_json::Map<String, Json> = self
            .values
            .iter()
            .map(|(name, given)| ((*name).to_owned(), transport(given)))
            .collect();
        json!({ "typed": self.typed, "check": check, "expression": self.text, "values": values })
    }

    /// What the crate `cel` says. It panics now and then; [`tell_panics_but_those_of_cel`] keeps
    /// that quiet.
    pub fn crate_cel(&self) -> Said {
        ASKING_CEL.set(true);
        let asked = catch_unwind(AssertUnwindSafe(|| {
            let program = match cel::Program::compile(&self.text) {
                Ok(program) => program,
                Err(error) => return Said::Refused(error.to_string()),
            };
            let mut context = cel::Context::default();
            for (name, given) in &self.values {
                context.add_variable_from_value(*name, foreign(given));
            }
            match program.execute(&context) {
                Ok(value) => foreign_canonical(&value).map_or_else(Said::Nothing, Said::Value),
                Err(error) => match error {
                    cel::ExecutionError::UndeclaredReference(name) => {
                        Said::Refused(name.to_string())
                    }
                    _ => Said::Error,
                },
            }
        }));
        ASKING_CEL.set(false);
        asked.unwrap_or_else(|_| Said::Nothing("it panics".to_owned()))
    }
}

fn refused(found: &[Finding]) -> Said {
    let told = found.iter().filter(|finding| finding.is_error()).map(|finding| finding.code.slug);
    Said::Refused(told.collect::<Vec<_>>().join(" "))
}

fn heard(answer: &Answer<'_>, arena: &Bump) -> Said {
    match answer.value {
        Value::Error(_) => Said::Error,
        value => Said::Value(canonical(&value, arena)),
    }
}

thread_local! {
    static ASKING_CEL: Cell<bool> = const { Cell::new(false) };
}

/// From now on panics of the crate `cel` are not told, all others are.
pub fn tell_panics_but_those_of_cel() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !ASKING_CEL.get() {
            tell(panic);
        }
    }));
}

/// The same as [`super::json`] reads, for programs in other languages.
fn transport(given: &Given) -> Json {
    match given {
        Given::Null => json!(["n"]),
        Given::Bool(value) => json!(["B", value]),
        Given::Int(value) => json!(["i", value.to_string()]),
        Given::Uint(value) => json!(["u", value.to_string()]),
        Given::Double(value) => json!(["d", format!("{:016x}", value.to_bits())]),
        Given::Text(text) => json!(["s", text]),
        Given::Bytes(bytes) => json!(["b", hex(bytes)]),
        Given::Time(micros) => json!(["t", micros.to_string()]),
        Given::Span(micros) => json!(["D", micros.to_string()]),
        Given::List(items) => json!(["l", items.iter().map(transport).collect::<Vec<_>>()]),
        Given::Map(entries) => {
            let entries: Vec<Json> =
                entries.iter().map(|(k, v)| json!([k, transport(v)])).collect();
            json!(["m", entries])
        }
    }
}

fn datum(given: &Given, symbols: &Symbols) -> Datum {
    match given {
        Given::Null => Datum::Null,
        Given::Bool(value) => Datum::Bool(*value),
        Given::Int(value) => Datum::Int(*value),
        Given::Uint(value) => Datum::Uint(*value),
        Given::Double(value) => Datum::Double(*value),
        Given::Text(text) => Datum::String(symbols.text(text.as_str())),
        Given::Bytes(bytes) => Datum::Bytes(bytes.as_slice().into()),
        Given::Time(micros) => Datum::Timestamp(Instant {
            seconds: micros.div_euclid(1_000_000),
            nanos: u32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0),
        }),
        Given::Span(micros) => Datum::Duration(Span {
            seconds: micros / 1_000_000,
            nanos: i32::try_from(micros % 1_000_000 * 1_000).unwrap_or(0),
        }),
        Given::List(items) => Datum::List(items.iter().map(|item| datum(item, symbols)).collect()),
        Given::Map(entries) => {
            let mut map: Vec<_> = entries
                .iter()
                .map(|(key, value)| (symbols.text(key.as_str()), datum(value, symbols)))
                .collect();
            map.sort_by(|(a, _), (b, _)| a.text.cmp(&b.text));
            Datum::Map(map.into())
        }
    }
}

fn foreign(given: &Given) -> cel::Value {
    match given {
        Given::Null => cel::Value::Null,
        Given::Bool(value) => cel::Value::Bool(*value),
        Given::Int(value) => cel::Value::Int(*value),
        Given::Uint(value) => cel::Value::UInt(*value),
        Given::Double(value) => cel::Value::Float(*value),
        Given::Text(text) => cel::Value::String(Arc::new(text.clone())),
        Given::Bytes(bytes) => cel::Value::Bytes(Arc::new(bytes.clone())),
        Given::Time(micros) => {
            let time = chrono::DateTime::from_timestamp_micros(*micros).unwrap_or_default();
            cel::Value::Timestamp(time.fixed_offset())
        }
        Given::Span(micros) => cel::Value::Duration(chrono::Duration::microseconds(*micros)),
        Given::List(items) => cel::Value::List(Arc::new(items.iter().map(foreign).collect())),
        Given::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| {
                (cel::objects::Key::String(Arc::new(key.clone())), foreign(value))
            });
            cel::Value::Map(cel::objects::Map { map: Arc::new(entries.collect()) })
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn double(value: f64) -> String {
    if value.is_nan() { "d:nan".to_owned() } else { format!("d:{:016x}", value.to_bits()) }
}

/// A value in a form in which all implementations can write theirs. Types have no names in it, for
/// every implementation has its own.
fn canonical(value: &Value<'_>, arena: &Bump) -> String {
    match value {
        Value::Null => "n".to_owned(),
        Value::Bool(value) => format!("B:{value}"),
        Value::Int(value) => format!("i:{value}"),
        Value::Uint(value) => format!("u:{value}"),
        Value::Double(value) => double(*value),
        Value::String(text) => format!("s:{}", hex(text.text.as_bytes())),
        Value::Bytes(bytes) => format!("b:{}", hex(bytes)),
        Value::Timestamp(at) => {
            format!("t:{}", at.seconds * 1_000_000 + i64::from(at.nanos / 1_000))
        }
        Value::Duration(of) => {
            let nanos = i128::from(of.seconds) * 1_000_000_000 + i128::from(of.nanos);
            format!("D:{}", nanos.div_euclid(1_000))
        }
        Value::List(list) => {
            let items: Vec<String> = list.iter(arena).map(|item| canonical(&item, arena)).collect();
            format!("l[{}]", items.join(","))
        }
        Value::Map(map) => {
            let mut entries: Vec<String> = map
                .iter(arena)
                .map(|(k, v)| format!("{}={}", canonical(&k, arena), canonical(&v, arena)))
                .collect();
            entries.sort();
            format!("m{{{}}}", entries.join(","))
        }
        Value::Error(_) => "error".to_owned(),
        Value::Type(_) => "T".to_owned(),
        Value::Optional(_) => "optional".to_owned(),
    }
}

fn foreign_canonical(value: &cel::Value) -> Result<String, String> {
    Ok(match value {
        cel::Value::Null => "n".to_owned(),
        cel::Value::Bool(value) => format!("B:{value}"),
        cel::Value::Int(value) => format!("i:{value}"),
        cel::Value::UInt(value) => format!("u:{value}"),
        cel::Value::Float(value) => double(*value),
        cel::Value::String(text) => format!("s:{}", hex(text.as_bytes())),
        cel::Value::Bytes(bytes) => format!("b:{}", hex(bytes)),
        cel::Value::Timestamp(at) => format!("t:{}", at.timestamp_micros()),
        cel::Value::Duration(of) => match of.num_nanoseconds() {
            Some(nanos) => format!("D:{}", nanos.div_euclid(1_000)),
            None => return Err("a duration beyond 64 bits".to_owned()),
        },
        cel::Value::List(items) => {
            let items: Vec<String> =
                items.iter().map(foreign_canonical).collect::<Result<_, _>>()?;
            format!("l[{}]", items.join(","))
        }
        cel::Value::Map(map) => {
            let mut entries = Vec::new();
            for (key, value) in map.map.iter() {
                let key = match key {
                    cel::objects::Key::Int(value) => format!("i:{value}"),
                    cel::objects::Key::Uint(value) => format!("u:{value}"),
                    cel::objects::Key::Bool(value) => format!("B:{value}"),
                    cel::objects::Key::String(text) => format!("s:{}", hex(text.as_bytes())),
                };
                entries.push(format!("{key}={}", foreign_canonical(value)?));
            }
            entries.sort();
            format!("m{{{}}}", entries.join(","))
        }
        _ => return Err("something that is no value".to_owned()),
    })
}

/// Google's CEL (`cel-cpp`), in a process of its own.
#[derive(Debug)]
pub struct Google {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Google {
    /// Starts it.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Self {
        let mut child = clients::python("cel_oracle.py")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let input = child.stdin.take().expect("standard input is a pipe");
        let output = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        Self { child, input, output }
    }

    /// What it says about cases, in their order; without its checker what it would refuse may still
    /// be evaluated.
    ///
    /// # Panics
    /// When it ends.
    pub fn ask(&mut self, cases: &[Case], check: bool) -> Vec<Said> {
        let mut text = String::new();
        for case in cases {
            text.push_str(&case.to_json(check).to_string());
            text.push('\n');
        }
        let (child, input, output) = (&mut self.child, &mut self.input, &mut self.output);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                input.write_all(text.as_bytes()).and_then(|()| input.flush()).expect("it reads");
            });
            let answers = cases.iter().map(|case| {
                let mut line = String::new();
                output.read_line(&mut line).expect("it answers");
                let ended = (!line.ends_with('\n')).then(|| child.wait());
                assert!(ended.is_none(), "the oracle ended ({ended:?}) at {}", case.text);
                said(line.trim_end_matches('\n'))
            });
            answers.collect()
        })
    }
}

impl Google {
    /// What it says where nothing is refused for its types.
    pub fn unchecked(&mut self, case: &Case) -> Said {
        let said = self.ask(std::slice::from_ref(case), false);
        said.into_iter().next().unwrap_or_else(|| Said::Nothing("no answer".to_owned()))
    }
}

impl Drop for Google {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn said(line: &str) -> Said {
    match line.split_once(' ').unwrap_or((line, "")) {
        ("refused", why) => Said::Refused(why.to_owned()),
        ("error", _) => Said::Error,
        ("unprintable", why) => Said::Nothing(why.to_owned()),
        _ => Said::Value(line.to_owned()),
    }
}
