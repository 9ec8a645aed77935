//! Ours: machine code and the interpreter.

use bumpalo::Bump;
use mxcp_compiler::cel::{Environment, check, condition, parser};
use mxcp_policy::datum::{Datum, Instant, List, Symbols};
use mxcp_policy::interpret::{Engine, Inputs, Outcome, Request};
use mxcp_policy::jit;
use mxcp_policy::predicate::Predicate;
use mxcp_policy::ty::{Field, Record, Ty};
use mxcp_policy::verify::Layout;
use mxcp_schemas::bundle::code::{Program, USER_ATTRIBUTES};

use crate::world::{END, START, World};
use crate::{Case, Time};

const LAYOUT: Layout = Layout { user: 10, params: 5, response: true };

pub struct Measured {
    pub compiled: Time,
    pub interpreted: Time,
    pub uses_machine_code: bool,
}

fn environment() -> Environment {
    let field = |name: &str, ty| Field { name: name.to_owned(), ty, required: true };
    let row = Record {
        name: "response.rows[]".to_owned(),
        fields: vec![field("id", Ty::Int), field("lines", Ty::list(Ty::Int))],
        open: false,
    };
    let response = Record {
        name: "response".to_owned(),
        fields: vec![
            field("department", Ty::String),
            field("rows", Ty::list(Ty::Record(row.into()))),
        ],
        open: false,
    };
    Environment {
        user: Some(Environment::user_record(&[])),
        params: vec![
            ("employee_id".to_owned(), Ty::String),
            ("n".to_owned(), Ty::Int),
            ("note".to_owned(), Ty::String),
            ("start_date".to_owned(), Ty::Timestamp),
            ("end_date".to_owned(), Ty::Timestamp),
        ],
        response: Some(Ty::Record(response.into())),
        request: true,
        ..Environment::default()
    }
}

fn program(text: &str) -> Program {
    let (compiled, found) = condition(text, &environment());
    compiled.unwrap_or_else(|| panic!("{text}: {found:?}")).0
}

/// The time of both engines, and which of them a server would use.
pub fn measure(case: &Case, world: &World, expected: bool) -> Measured {
    let mut symbols = Symbols::default();
    let predicate = Predicate::link(&program(&case.cel), &LAYOUT, &mut symbols).unwrap();
    let uses_machine_code = jit::compile([&predicate]).unwrap().compiled == 1;
    jit::compile_all([&predicate]).unwrap();
    let user: Vec<Datum> = USER_ATTRIBUTES
        .iter()
        .map(|name| match Datum::from_json(&world.user[*name], &symbols) {
            Datum::List(items) => Datum::List(List::indexed(items.to_vec().into())),
            datum => datum,
        })
        .collect();
    let instant = |seconds| Datum::Timestamp(Instant { seconds, nanos: 0 });
    let params = [
        Datum::String(symbols.text(world.employee_id.as_str())),
        Datum::Int(world.n),
        Datum::String(symbols.text(world.note.as_str())),
        instant(START),
        instant(END),
    ];
    let response = Datum::from_json(&world.response, &symbols);
    let request = Request {
        time: Instant { seconds: START, nanos: 0 },
        tool: symbols.text("tool"),
        session_id: None,
        client_ip: None,
    };
    let inputs = Inputs {
        user: &user,
        user_map: &Datum::Null,
        params: &params,
        response: Some(&response),
        request: &request,
    };
    let mut arena = Bump::new();
    assert!(
        predicate.verdict(&inputs, &[], &arena).is_some_and(|v| v != jit::Verdict::Unsure),
        "{}",
        case.cel
    );
    // As a server asks it.
    let run = || {
        let outcome = predicate.evaluate(std::hint::black_box(&inputs), &arena);
        arena.reset();
        outcome == Outcome::True
    };
    let compiled = crate::measure(run, expected);
    let run = || {
        let inputs = std::hint::black_box(&inputs);
        let outcome = predicate.evaluate_with(Engine::Interpreter, inputs, &arena);
        arena.reset();
        outcome == Outcome::True
    };
    let interpreted = crate::measure(run, expected);
    Measured { compiled, interpreted, uses_machine_code }
}

/// Milliseconds of a processor that this thread has used: what takes so long is interrupted on a busy
/// machine.
fn spent() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split(' ').next().and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e6
}

/// How long it takes to link and compile the conditions of a large bundle.
pub fn compile_many() {
    let programs: Vec<Program> = (0..1_000)
        .map(|i| match i % 4 {
            0 => program(&format!("user.role != 'role{i}'")),
            1 => program(&format!("'area{i}.read' in user.permissions && n > {i}")),
            2 => program(&format!("employee_id != user.user_id && user.role != 'role{i}'")),
            _ => program(&format!("!user.email.endsWith('@site{i}.example') || note == 'n{i}'")),
        })
        .collect();
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..9 {
        let mut symbols = Symbols::default();
        let begin = spent();
        let linked: Vec<Predicate> =
            programs.iter().map(|p| Predicate::link(p, &LAYOUT, &mut symbols).unwrap()).collect();
        times[0].push(spent() - begin);
        let begin = spent();
        jit::compile(&linked).unwrap();
        times[1].push(spent() - begin);
    }
    let [link, compile] = times.map(Time::of);
    println!(
        "1,000 conditions: verify and link {:.1} ms (least {:.1}), compile {:.1} ms (least {:.1})",
        link.median, link.least, compile.median, compile.least
    );
}

/// How long parsing and checking takes.
pub fn check(cases: &[Case]) {
    let environment = environment();
    let mut all = Vec::new();
    for case in cases {
        let run = || {
            let (tree, _) = parser::parse(&case.cel);
            let (_, found) = check::check(tree.unwrap(), &environment);
            found.is_empty()
        };
        let found = run();
        let micros = crate::measure(run, found).median / 1e3;
        println!("parse and check: {micros:.2} µs, {} bytes ({})", case.cel.len(), case.name);
        all.push(micros);
    }
    println!("parse and check: {:.2} µs, median of these", Time::of(all).median);
}
