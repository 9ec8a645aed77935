//! Programs from bytes: any bytes make one, most of which pass the verifier. They are what no
//! compiler would write, but a bundle could hold: registers of several types, wrong hints, loops in
//! loops, parts of parts.

use mxcp_schemas::bundle::code::{
    Const, ConstId, Depends, FuncId, Input, InputId, Kind, Op, Operand, PartId, Program, Reg,
    RequestSlot, Slot, Target,
};

/// Registers that hold values; those beyond are iterators, lists and maps.
const VALUES: u8 = 4;
const DEEPEST: u16 = 3;
const MAX_CODE: usize = 60;

const FUNCTIONS: [&str; 12] =
    ["_+_", "_-_", "_*_", "_/_", "_%_", "_<_", "_>=_", "size", "startsWith", "-_", "string", "int"];

struct Maker<'b> {
    bytes: std::iter::Copied<std::slice::Iter<'b, u8>>,
    code: Vec<Op>,
    kinds: Vec<Kind>,
    arguments: Vec<Operand>,
    parts: u16,
}

/// The program of some bytes.
pub(crate) fn program(bytes: &[u8]) -> Program {
    let mut maker = Maker {
        bytes: bytes.iter().copied(),
        code: Vec::new(),
        kinds: Vec::new(),
        arguments: Vec::new(),
        parts: 0,
    };
    for register in 0..VALUES {
        let src = maker.outside();
        maker.op(Op::Move { dst: Reg(u16::from(register)), src });
    }
    while maker.bytes.len() > 0 && maker.code.len() < MAX_CODE {
        maker.statement(0);
    }
    let src = maker.operand();
    maker.op(Op::Return { src });
    Program {
        registers: u16::from(VALUES) + 2 * DEEPEST + 2,
        inputs: inputs(),
        constants: constants(),
        functions: FUNCTIONS.map(str::to_owned).to_vec(),
        arguments: maker.arguments,
        parts: maker.parts,
        spans: vec![(0, 0); maker.code.len()],
        kinds: maker.kinds,
        code: maker.code,
        depends: Depends { user: true, params: true, response: true, request: true },
        cost: 1,
    }
}

fn inputs() -> Vec<Input> {
    [
        (Slot::User(0), Kind::String),
        (Slot::User(1), Kind::List),
        (Slot::User(2), Kind::Any),
        (Slot::Param(0), Kind::Int),
        (Slot::Param(1), Kind::Any),
        (Slot::Param(2), Kind::Double),
        (Slot::Response, Kind::Map),
        (Slot::Request(RequestSlot::Time), Kind::Timestamp),
        (Slot::Request(RequestSlot::Tool), Kind::String),
    ]
    .map(|(slot, kind)| Input { slot, kind })
    .to_vec()
}

fn constants() -> Vec<Const> {
    vec![
        Const::Bool(true),
        Const::Bool(false),
        Const::Null,
        Const::Int(0),
        Const::Int(3),
        Const::Int(i64::MAX),
        Const::Double(1.5),
        Const::String("a".into()),
        Const::String("b".into()),
        Const::List(vec![ConstId(7), ConstId(8)]),
        Const::List(vec![ConstId(3), ConstId(4), ConstId(5)]),
        Const::List(vec![ConstId(2), ConstId(7), ConstId(9)]),
        Const::Timestamp(1_700_000_000, 5),
        Const::Duration(60, 0),
        Const::Type("int".into()),
        Const::Uint(3),
    ]
}

impl Maker<'_> {
    fn byte(&mut self) -> u8 {
        self.bytes.next().unwrap_or(0)
    }

    fn below(&mut self, limit: u8) -> u8 {
        self.byte() % limit
    }

    fn op(&mut self, op: Op) -> usize {
        const KINDS: [Kind; 8] = [
            Kind::Any,
            Kind::Bool,
            Kind::Int,
            Kind::Double,
            Kind::String,
            Kind::List,
            Kind::Map,
            Kind::Duration,
        ];
        // Hints are right for nothing, so that nothing can rest on them.
        let kind = KINDS[usize::from(self.below(8))];
        self.code.push(op);
        self.kinds.push(kind);
        self.code.len() - 1
    }

    fn here(&self) -> Target {
        Target(u32::try_from(self.code.len()).unwrap())
    }

    fn register(&mut self) -> Reg {
        Reg(u16::from(self.below(VALUES)))
    }

    /// A constant or an input.
    fn outside(&mut self) -> Operand {
        let byte = self.byte();
        if byte & 1 == 0 {
            Operand::Const(ConstId(u16::from(byte / 2) % 16))
        } else {
            Operand::Input(InputId(u16::from(byte / 2) % 9))
        }
    }

    fn operand(&mut self) -> Operand {
        if self.byte() & 1 == 0 { Operand::Reg(self.register()) } else { self.outside() }
    }

    fn statement(&mut self, depth: u16) {
        let dst = self.register();
        match self.below(22) {
            0 => {
                let (a, b) = (self.operand(), self.operand());
                self.op(Op::Equal { dst, a, b });
            }
            1 => {
                let (a, b) = (self.operand(), self.operand());
                self.op(Op::NotEqual { dst, a, b });
            }
            2 => {
                let (a, b) = (self.operand(), self.operand());
                self.op(Op::And { dst, a, b });
            }
            3 => {
                let (a, b) = (self.operand(), self.operand());
                self.op(Op::Or { dst, a, b });
            }
            4 => {
                let (a, b) = (self.operand(), self.operand());
                self.op(Op::In { dst, a, b });
            }
            5 => {
                let src = self.operand();
                self.op(Op::Not { dst, src });
            }
            6 => {
                let src = self.operand();
                self.op(Op::Move { dst, src });
            }
            7 => {
                let (src, set) = (self.operand(), ConstId(9 + u16::from(self.below(3))));
                let any = self.byte() & 1 == 0;
                self.op(if any {
                    Op::Overlaps { dst, src, set }
                } else {
                    Op::Within { dst, src, set }
                });
            }
            8 | 9 => {
                let (src, name) = (self.operand(), ConstId(7 + u16::from(self.below(2))));
                self.op(Op::Select { dst, src, name });
            }
            10 => {
                let (src, name) = (self.operand(), ConstId(7));
                self.op(Op::Has { dst, src, name });
            }
            11 => {
                let (src, key) = (self.operand(), self.operand());
                self.op(Op::Index { dst, src, key });
            }
            12 => {
                let (src, name) = (self.operand(), ConstId(7));
                self.op(Op::SelectOptional { dst, src, name });
            }
            13 => {
                let src = self.operand();
                self.op(Op::IsPresent { dst, src });
            }
            14..=16 => self.call(dst),
            17 => self.skip(dst, depth),
            18 | 19 if depth < DEEPEST => self.walk(dst, depth),
            20 if depth == 0 => self.part(dst),
            _ => self.list(dst),
        }
    }

    fn call(&mut self, dst: Reg) {
        let function = FuncId(u16::from(self.below(12)));
        let count = if function.0 == 7 || function.0 > 8 { 1 } else { 2 };
        let first = u16::try_from(self.arguments.len()).unwrap();
        for _ in 0..count {
            let argument = self.operand();
            self.arguments.push(argument);
        }
        self.op(Op::Call { dst, function, first, count });
    }

    fn skip(&mut self, dst: Reg, depth: u16) {
        let (cond, to) = (self.operand(), Target(0));
        let jump = match self.below(4) {
            0 => Op::JumpIfTrue { cond, to },
            1 => Op::JumpIfFalse { cond, to },
            2 => Op::JumpIfError { dst, src: cond, to },
            _ => Op::Jump { to },
        };
        let at = self.op(jump);
        for _ in 0..=self.below(3) {
            self.statement(depth);
        }
        let here = self.here();
        match self.code.get_mut(at).unwrap() {
            Op::JumpIfTrue { to, .. }
            | Op::JumpIfFalse { to, .. }
            | Op::JumpIfError { to, .. }
            | Op::Jump { to } => *to = here,
            _ => unreachable!(),
        }
    }

    fn walk(&mut self, dst: Reg, depth: u16) {
        let iter = Reg(u16::from(VALUES) + depth);
        let (src, pair) = (self.operand(), self.byte() & 1 == 0);
        let key = self.register();
        let begin = self.op(Op::Iterate { iter, src, end: Target(0) });
        let head = self.here();
        let next = self.op(Op::Next { iter, key, value: dst, pair, end: Target(0) });
        for _ in 0..=self.below(4) {
            self.statement(depth + 1);
        }
        self.op(Op::Repeat { head });
        let end = self.here();
        let read_error = self.byte().is_multiple_of(4);
        for at in [begin, next] {
            match self.code.get_mut(at).unwrap() {
                Op::Iterate { end: to, .. } | Op::Next { end: to, .. } => *to = end,
                _ => unreachable!(),
            }
        }
        if read_error {
            self.op(Op::Move { dst, src: Operand::Reg(iter) });
        }
    }

    /// A part that depends on the caller alone: its code may read nothing else.
    fn part(&mut self, dst: Reg) {
        let id = PartId(self.parts);
        self.parts += 1;
        let begin = self.op(Op::Recall { dst, part: id, end: Target(0) });
        let user = |this: &mut Self| Operand::Input(InputId(u16::from(this.below(3))));
        let (a, b) = (user(self), Operand::Const(ConstId(u16::from(self.below(16)))));
        match self.below(3) {
            0 => self.op(Op::Equal { dst, a, b }),
            1 => self.op(Op::In { dst, a: b, b: a }),
            _ => self.op(Op::Move { dst, src: a }),
        };
        self.op(Op::Remember { src: dst, part: id });
        let here = self.here();
        if let Some(Op::Recall { end, .. }) = self.code.get_mut(begin) {
            *end = here;
        }
    }

    fn list(&mut self, dst: Reg) {
        let made = Reg(u16::from(VALUES) + DEEPEST);
        if self.byte() & 1 == 0 {
            self.op(Op::NewList { dst: made });
            for _ in 0..self.below(3) {
                let value = self.operand();
                self.op(Op::Append { list: made, value });
            }
        } else {
            self.op(Op::NewMap { dst: made });
            for _ in 0..self.below(3) {
                let (key, value) = (self.operand(), self.operand());
                self.op(Op::Insert { map: made, key, value });
            }
        }
        self.op(Op::Finish { dst: made });
        self.op(Op::Move { dst, src: Operand::Reg(made) });
    }
}
