//! Programs that break one rule each, and programs that break none.

use mxcp_schemas::bundle::code::{
    Const, ConstId, Depends, FuncId, Input, InputId, Kind, Op, Operand, PartId, Program, Reg,
    RequestSlot, Slot, Target,
};

use super::{Layout, verify};

const R0: Reg = Reg(0);
const R1: Reg = Reg(1);
const TRUE: Operand = Operand::Const(ConstId(0));
const ROLE: Operand = Operand::Input(InputId(0));
const TIME: Operand = Operand::Input(InputId(1));

fn program(code: Vec<Op>) -> Program {
    Program {
        registers: 4,
        inputs: vec![
            Input { slot: Slot::User(5), kind: Kind::String },
            Input { slot: Slot::Request(RequestSlot::Time), kind: Kind::Timestamp },
        ],
        constants: vec![
            Const::Bool(true),
            Const::String("x".into()),
            Const::List(vec![ConstId(1)]),
        ],
        functions: vec!["size".into()],
        arguments: vec![Operand::Reg(R0)],
        parts: 1,
        kinds: vec![Kind::Any; code.len()],
        spans: vec![(0, 0); code.len()],
        code,
        depends: Depends { user: true, request: true, ..Depends::default() },
        cost: 1,
    }
}

fn problem(code: Vec<Op>) -> &'static str {
    let layout = Layout { user: 6, params: 0, response: false };
    verify(&program(code), &layout).map_or_else(|error| error.problem, |()| "")
}

fn ret(register: Reg) -> Op {
    Op::Return { src: Operand::Reg(register) }
}

fn equal(dst: Reg, a: Operand) -> Op {
    Op::Equal { dst, a, b: Operand::Const(ConstId(1)) }
}

fn recall(end: u32) -> Op {
    Op::Recall { dst: R0, part: PartId(0), end: Target(end) }
}

const REMEMBER: Op = Op::Remember { src: R0, part: PartId(0) };

#[test]
fn operands_exist_and_are_written_first() {
    let set = ConstId(0);
    for (code, expected) in [
        (vec![Op::Return { src: TRUE }], ""),
        (vec![], "it has no instructions, or too many"),
        (vec![equal(R0, ROLE)], "it does not end with a result"),
        (vec![ret(R0)], "a register is read before it is written"),
        (vec![equal(Reg(4), ROLE), ret(R0)], "a register does not exist"),
        (vec![Op::Return { src: Operand::Const(ConstId(3)) }], "a constant does not exist"),
        (vec![Op::Return { src: Operand::Input(InputId(2)) }], "an input does not exist"),
        (vec![Op::Overlaps { dst: R0, src: ROLE, set }, ret(R0)], "a set is no list"),
        (
            vec![Op::Select { dst: R0, src: ROLE, name: ConstId(0) }, ret(R0)],
            "the name of a field is no string",
        ),
        (
            vec![Op::Call { dst: R0, function: FuncId(1), first: 0, count: 0 }, ret(R0)],
            "a function does not exist",
        ),
        (
            vec![Op::Call { dst: R0, function: FuncId(0), first: 0, count: 2 }, ret(R0)],
            "an argument does not exist",
        ),
        (
            vec![Op::Call { dst: R0, function: FuncId(0), first: 0, count: 1 }, ret(R0)],
            "a register is read before it is written",
        ),
    ] {
        assert_eq!(problem(code.clone()), expected, "{code:?}");
    }
}

#[test]
fn control_stays_in_the_code_and_goes_forward() {
    let jump = |to| Op::Jump { to: Target(to) };
    let repeat = |head| Op::Repeat { head: Target(head) };
    let iterate = Op::Iterate { iter: R1, src: ROLE, end: Target(3) };
    let next = Op::Next { iter: R1, key: R0, value: R0, pair: false, end: Target(3) };
    let done = Op::Return { src: TRUE };
    for (code, expected) in [
        (vec![jump(1), done], ""),
        (vec![jump(0), done], "a jump goes back"),
        (vec![jump(2), done], "a jump leaves the code"),
        (vec![equal(R0, ROLE), repeat(0), done], "a loop does not go back to its head"),
        (vec![iterate, next, repeat(1), done], ""),
        (vec![iterate, next, repeat(1), ret(R0)], "a register is read before it is written"),
        (vec![next, repeat(0), done, done], "a register is read before it is written"),
        (
            vec![equal(R1, ROLE), next, repeat(1), done],
            "a register does not hold what the instruction needs",
        ),
        // Also where control never arrives.
        (vec![done, repeat(2), done], "a loop does not go back to its head"),
        (vec![done, repeat(0), done], "a loop does not go back to its head"),
        (vec![done, jump(1), done], "a jump goes back"),
        (vec![done, jump(7), done], "a jump leaves the code"),
        (vec![done, jump(2), done], ""),
        (vec![Op::NewList { dst: R0 }, ret(R0)], "a register that is under construction is read"),
        (vec![Op::NewList { dst: R0 }, Op::Finish { dst: R0 }, ret(R0)], ""),
        (
            vec![Op::NewMap { dst: R0 }, Op::Append { list: R0, value: TRUE }, done],
            "a register does not hold what the instruction needs",
        ),
    ] {
        let problem = problem(code.clone());
        let same = problem == expected || (expected.contains("before") && problem.contains("hold"));
        assert!(same, "{code:?}: {problem}");
    }
}

#[test]
fn parts_are_of_the_caller_alone_and_closed() {
    let jump = |to| Op::JumpIfFalse { cond: TRUE, to: Target(to) };
    for (code, expected) in [
        (vec![recall(3), equal(R0, ROLE), REMEMBER, ret(R0)], ""),
        (
            vec![recall(3), equal(R0, TIME), REMEMBER, ret(R0)],
            "a part that may be remembered reads more than the caller",
        ),
        (
            vec![
                equal(R1, TIME),
                recall(4),
                Op::Move { dst: R0, src: Operand::Reg(R1) },
                REMEMBER,
                ret(R0),
            ],
            "a register is read before it is written",
        ),
        (vec![equal(R1, TIME), recall(4), equal(R0, ROLE), REMEMBER, ret(R1)], ""),
        (
            vec![equal(R1, TIME), recall(5), equal(R0, ROLE), equal(R1, ROLE), REMEMBER, ret(R1)],
            "a register is read before it is written",
        ),
        (vec![jump(2), recall(4), equal(R0, ROLE), REMEMBER, ret(R0)], "a jump enters a part"),
        (vec![recall(4), jump(4), equal(R0, ROLE), REMEMBER, ret(R0)], "a jump leaves a part"),
        (vec![recall(3), Op::Return { src: TRUE }, REMEMBER, ret(R0)], "a part ends the program"),
        (vec![recall(2), equal(R0, ROLE), ret(R0)], "a part does not end with its value"),
        (vec![equal(R0, TIME), REMEMBER, ret(R0)], "what is remembered is no part"),
        (
            vec![
                recall(3),
                equal(R0, ROLE),
                REMEMBER,
                recall(6),
                equal(R0, ROLE),
                REMEMBER,
                ret(R0),
            ],
            "a part does not exist, or twice",
        ),
        (vec![recall(9), equal(R0, ROLE), ret(R0)], "a part does not end"),
    ] {
        assert_eq!(problem(code.clone()), expected, "{code:?}");
    }
}

#[test]
fn inputs_are_declared() {
    let layout = Layout { user: 5, params: 0, response: false };
    let code = vec![Op::Return { src: TRUE }];
    assert_eq!(
        verify(&program(code.clone()), &layout).unwrap_err().problem,
        "an input does not exist"
    );
    let layout = Layout { user: 6, ..layout };
    let mut lying = program(code);
    lying.depends.request = false;
    let problem = verify(&lying, &layout).unwrap_err().problem;
    assert_eq!(problem, "it has an input that it does not say it depends on");
}
