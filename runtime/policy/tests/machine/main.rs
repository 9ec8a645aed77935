//! Machine code and interpreter on programs that no compiler would write, and on none at all.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod random;

use std::error::Error;

use bumpalo::Bump;
use mxcp_policy::agreement::Ways;
use mxcp_policy::datum::{Datum, Instant, List, Symbols};
use mxcp_policy::interpret::{Inputs, Outcome, Request};
use mxcp_policy::jit::{self, Compiled, Verdict};
use mxcp_policy::predicate::Predicate;
use mxcp_policy::reads::reads;
use mxcp_policy::verify::{Layout, verify};
use mxcp_schemas::bundle::code::{
    Depends, FuncId, Input, InputId, Kind, Op, Operand, Program, Reg, Slot,
};
use proptest::prelude::*;

const LAYOUT: Layout = Layout { user: 3, params: 3, response: true };

struct World {
    user: Vec<Datum>,
    params: Vec<Datum>,
    response: Datum,
    request: Request,
}

impl World {
    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            user: &self.user,
            user_map: &Datum::Null,
            params: &self.params,
            response: Some(&self.response),
            request: &self.request,
        }
    }
}

/// Inputs of several types, some of which are not what hints say.
fn world(symbols: &Symbols, variant: u8) -> World {
    let text = |text: &str| Datum::String(symbols.text(text));
    let list = |items: Vec<Datum>| Datum::List(List::indexed(items.into()));
    let map =
        |a: Datum, b: Datum| Datum::Map([(symbols.text("a"), a), (symbols.text("b"), b)].into());
    let rows = List::from_iter([
        map(Datum::Int(1), text("a")),
        map(Datum::Double(1.5), Datum::Null),
        map(Datum::Bool(true), list(vec![text("b")])),
    ]);
    let odd = variant & 1 == 1;
    World {
        user: vec![
            if odd { text("stranger") } else { text("a") },
            if odd { list(vec![text("b"), text("x")]) } else { list(vec![Datum::Int(3)]) },
            if variant & 2 == 0 { Datum::Null } else { Datum::Error("wrong".into()) },
        ],
        params: vec![
            if variant & 4 == 0 { Datum::Int(3) } else { Datum::Uint(3) },
            if odd { Datum::List(rows.clone()) } else { map(Datum::Int(2), Datum::List(rows)) },
            if variant & 8 == 0 { Datum::Double(1.5) } else { Datum::Int(1) },
        ],
        response: map(list(vec![text("a"), text("b")]), Datum::Bool(odd)),
        request: Request {
            time: Instant { seconds: 1_700_000_000, nanos: 1 },
            tool: symbols.text("a"),
            session_id: None,
            client_ip: None,
        },
    }
}

/// Runs a program in all ways; returns whether machine code was sure.
fn agree(program: &Program, variant: u8) -> Result<bool, Box<dyn Error>> {
    let mut symbols = Symbols::default();
    let ways = Ways::link(program, &LAYOUT, &mut symbols)?;
    let world = world(&symbols, variant);
    Ok(ways.run(&world.inputs())?.sure)
}

fn listing(program: &Program) -> String {
    mxcp_policy::text::Listing(program).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    #[test]
    fn engines_agree_on_any_verified_code(
        bytes in prop::collection::vec(any::<u8>(), 0..200), variant in any::<u8>(),
    ) {
        let program = random::program(&bytes);
        if verify(&program, &LAYOUT).is_ok() {
            let agreed = agree(&program, variant);
            prop_assert!(agreed.is_ok(), "{:?}\n{}", agreed, listing(&program));
        }
    }
}

/// Maps in maps, of which programs read some fields, and other things in their place.
fn nested(symbols: &Symbols, variant: u8, depth: u8) -> Datum {
    let leaf = |n: u8| match n % 4 {
        0 => Datum::String(symbols.text("a")),
        1 => Datum::List(List::indexed([Datum::String(symbols.text("b"))].into())),
        2 => Datum::Error("wrong".into()),
        _ => Datum::Bool(true),
    };
    if depth == 0 {
        return leaf(variant);
    }
    let fields = ["a", "b", "c"].into_iter().enumerate().filter_map(|(i, name)| {
        let turn = variant.rotate_left(u32::try_from(i).unwrap() * 2 + u32::from(depth));
        let value = match turn % 5 {
            0 => return None,
            1 => leaf(turn / 5),
            _ => nested(symbols, turn, depth - 1),
        };
        Some((symbols.text(name), value))
    });
    Datum::Map(fields.collect())
}

/// What a program comes to on attributes of which all is kept, and of which only that is kept which
/// it reads.
fn same_on_what_is_kept(program: &Program, variant: u8) -> Result<(), TestCaseError> {
    let mut symbols = Symbols::default();
    let predicate = Predicate::link(program, &LAYOUT, &mut symbols).unwrap();
    let world = world(&symbols, variant);
    let whole: Vec<Datum> =
        (0..3).map(|slot| nested(&symbols, variant.wrapping_add(slot * 77), 3)).collect();
    let reads = reads(program);
    let kept = |(slot, datum): (u16, &Datum)| match reads.get(&slot) {
        Some(reads) => reads.keep(datum.clone()),
        None => Datum::Null,
    };
    let kept: Vec<Datum> = (0_u16..).zip(&whole).map(kept).collect();
    let inputs = |user| Inputs {
        user,
        user_map: &Datum::Null,
        params: &world.params,
        response: Some(&world.response),
        request: &world.request,
    };
    let arena = Bump::new();
    let all = predicate.evaluate(&inputs(&whole), &arena);
    let some = predicate.evaluate(&inputs(&kept), &arena);
    let read: Vec<String> = reads.iter().map(|(slot, reads)| format!("{slot}: {reads}")).collect();
    prop_assert_eq!(all, some, "of {:?} is read {:?}", whole, read);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    #[test]
    fn nobody_can_tell_what_is_kept_from_the_whole(
        bytes in prop::collection::vec(any::<u8>(), 0..200), variant in any::<u8>(),
    ) {
        let program = random::program(&bytes);
        if verify(&program, &LAYOUT).is_ok() {
            let same = same_on_what_is_kept(&program, variant);
            prop_assert!(same.is_ok(), "{:?}\n{}", same, listing(&program));
        }
    }
}

/// How many cases are tried: `PROPTEST_CASES`, or enough for every day.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

#[test]
fn most_of_these_programs_are_verified_and_many_answered_by_machine_code() {
    let (mut verified, mut sure) = (0, 0);
    let mut seed = 1_u64;
    for variant in 0..200 {
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 56) as u8
        })
        .take(80)
        .collect();
        let program = random::program(&bytes);
        if verify(&program, &LAYOUT).is_ok() {
            verified += 1;
            sure += usize::from(agree(&program, variant).unwrap());
        }
    }
    assert!(verified > 100, "{verified} of 200 verified");
    assert!(sure > 40, "{sure} of {verified} answered");
}

#[test]
fn absent_inputs_are_never_read() {
    let program = random::program(&[1, 1, 1, 1]);
    let mut symbols = Symbols::default();
    let predicate = Predicate::link(&program, &LAYOUT, &mut symbols).unwrap();
    jit::compile_all([&predicate]).unwrap();
    let world = world(&symbols, 0);
    let inputs = Inputs { user: &[], params: &world.params[..1], response: None, ..world.inputs() };
    let arena = Bump::new();
    assert_eq!(predicate.verdict(&inputs, &[], &arena), Some(Verdict::Unsure));
    assert!(matches!(predicate.evaluate(&inputs, &arena), Outcome::Error(_)));
}

/// Memory is written before it is executed, and never both at once.
#[cfg(target_os = "linux")]
#[test]
fn no_memory_can_be_written_and_executed() {
    let mut symbols = Symbols::default();
    let programs = [random::program(&[1, 1, 1, 1]), random::program(&[7, 9, 3, 200, 41, 6])];
    let linked: Vec<Predicate> = programs
        .iter()
        .map(|program| Predicate::link(program, &LAYOUT, &mut symbols).unwrap())
        .collect();
    jit::compile_all(&linked).unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let open: Vec<&str> = maps.lines().filter(|line| line.contains(" rwx")).collect();
    assert!(open.is_empty(), "{open:#?}");
    assert!(maps.lines().any(|line| line.contains(" r-x") && !line.contains(['/', '['])), "{maps}");
}

/// `math.isNaN(d)` is one call of what the interpreter calls, too.
#[test]
fn a_call_alone_is_left_to_the_interpreter() {
    let program = Program {
        registers: 1,
        inputs: vec![Input { slot: Slot::Param(2), kind: Kind::Double }],
        constants: Vec::new(),
        functions: vec!["math.isNaN".to_owned()],
        arguments: vec![Operand::Input(InputId(0))],
        parts: 0,
        code: vec![
            Op::Call { dst: Reg(0), function: FuncId(0), first: 0, count: 1 },
            Op::Return { src: Operand::Reg(Reg(0)) },
        ],
        kinds: vec![Kind::Bool, Kind::Any],
        spans: vec![(0, 0); 2],
        depends: Depends { params: true, ..Depends::default() },
        cost: 1,
    };
    verify(&program, &LAYOUT).unwrap();
    let mut symbols = Symbols::default();
    let predicate = Predicate::link(&program, &LAYOUT, &mut symbols).unwrap();
    let left = Compiled { compiled: 0, interpreted: 1 };
    assert_eq!(jit::compile([&predicate]).unwrap(), left);
    let world = world(&symbols, 0);
    let arena = Bump::new();
    assert_eq!(predicate.verdict(&world.inputs(), &[], &arena), None);
    assert_eq!(predicate.evaluate(&world.inputs(), &arena), Outcome::False);
}
