//! From the typed tree to predicate code.

mod walk;

use mxcp_schemas::bundle::code::{Const, ConstId, Depends, FuncId, Op, Program, Reg, Slot, Target};

use super::Finding;
use super::ast::{Binary, ExprId, Kind, Literal, Unary};
use super::check::Typed;
use super::code::LIMIT;

/// Writes the code of a checked expression.
///
/// # Errors
/// When it needs more registers, constants or instructions than predicate code may have.
pub(super) fn lower(typed: &Typed) -> Result<Program, Box<Finding>> {
    let mut lowering = Lowering {
        typed,
        code: Vec::new(),
        spans: Vec::new(),
        constants: Vec::new(),
        functions: Vec::new(),
        registers: 0,
        locals: Vec::new(),
        depends: Depends::default(),
        full: false,
    };
    let root = typed.tree.root;
    let result = lowering.register();
    lowering.emit(root, result);
    lowering.op(root, Op::Return { src: result });
    if lowering.full {
        let range = typed.tree.get(root).range.clone();
        let message = "the condition is too large to be compiled";
        return Err(Box::new(Finding::new(&LIMIT, range, message)));
    }
    let cost = cost(typed, root);
    Ok(Program {
        registers: lowering.registers,
        constants: lowering.constants,
        functions: lowering.functions,
        code: lowering.code,
        spans: lowering.spans,
        depends: lowering.depends,
        cost,
    })
}

/// Items that a list is assumed to have when nothing bounds it.
const ASSUMED_ITEMS: u64 = 100;

/// Worst-case steps: one for each node, those of a loop as often as it runs.
fn cost(typed: &Typed, id: ExprId) -> u64 {
    let kind = &typed.tree.get(id).kind;
    let own: u64 = match kind {
        Kind::Comprehension { over, filter, body, .. } => {
            let items = match &typed.tree.get(*over).kind {
                Kind::List(items) => items.len() as u64,
                _ => ASSUMED_ITEMS,
            };
            let each = filter.map_or(0, |f| cost(typed, f)).saturating_add(cost(typed, *body));
            return cost(typed, *over).saturating_add(items.saturating_mul(each + 2));
        }
        Kind::Binary { op: Binary::In, .. } => ASSUMED_ITEMS,
        Kind::Call { .. } => 8,
        _ => 1,
    };
    super::parser::children(kind)
        .into_iter()
        .fold(own, |total, child| total.saturating_add(cost(typed, child)))
}

struct Lowering<'t> {
    typed: &'t Typed,
    code: Vec<Op>,
    spans: Vec<(u32, u32)>,
    constants: Vec<Const>,
    functions: Vec<String>,
    registers: u16,
    locals: Vec<(String, Reg)>,
    depends: Depends,
    /// something did not fit
    full: bool,
}

impl Lowering<'_> {
    /// Writes code that leaves the value of a node in a register.
    fn emit(&mut self, id: ExprId, dst: Reg) {
        if let Some(slot) = self.typed.inputs.get(&id).copied() {
            return self.load(id, dst, slot);
        }
        if let Some(slot) = self.typed.presence.get(&id).copied() {
            self.load(id, dst, slot);
            return self.op(id, Op::IsPresent { dst, src: dst });
        }
        if let Some(constant) = self.constant_of(id) {
            let value = self.constant(constant);
            return self.op(id, Op::Const { dst, value });
        }
        let typed = self.typed;
        match &typed.tree.get(id).kind {
            Kind::Ident(name) => self.local(id, name, dst),
            Kind::Select { .. } | Kind::Has { .. } | Kind::Index { .. } => self.access(id, dst),
            Kind::Unary(Unary::Not, operand) => {
                self.emit(*operand, dst);
                self.op(id, Op::Not { dst, src: dst });
            }
            Kind::Unary(Unary::Minus, operand) => self.call(id, dst, "-_", &[*operand]),
            Kind::Binary { op, left, right, .. } => self.binary(id, dst, *op, *left, *right),
            Kind::Ternary { condition, yes, no } => {
                self.ternary(id, dst, *condition, *yes, *no);
            }
            Kind::Call { target, args, .. } => {
                let Some(name) = typed.functions.get(&id) else { return self.full = true };
                let namespaced = name.contains('.');
                let receiver = target.filter(|_| !namespaced);
                let all: Vec<ExprId> = receiver.into_iter().chain(args.iter().copied()).collect();
                self.call(id, dst, name, &all);
            }
            Kind::List(items) => self.list(id, dst, items),
            Kind::Map(entries) => self.map(id, dst, entries),
            Kind::Comprehension { kind, over, variables, filter, body } => {
                self.comprehension(id, dst, *kind, *over, variables, *filter, *body);
            }
            Kind::Bind { name, value, body } => {
                let register = self.register();
                self.emit(*value, register);
                self.locals.push((name.clone(), register));
                self.emit(*body, dst);
                self.locals.pop();
            }
            Kind::Literal(_) | Kind::Invalid => self.full = true,
        }
    }

    /// Fields, their presence, and elements.
    fn access(&mut self, id: ExprId, dst: Reg) {
        let typed = self.typed;
        match &typed.tree.get(id).kind {
            Kind::Select { operand, field, optional, .. } => {
                self.emit(*operand, dst);
                let name = self.constant(Const::String(field.clone()));
                let op = if *optional {
                    Op::SelectOptional { dst, src: dst, name }
                } else {
                    Op::Select { dst, src: dst, name }
                };
                self.op(id, op);
            }
            Kind::Has { operand, field, .. } => {
                self.emit(*operand, dst);
                let name = self.constant(Const::String(field.clone()));
                self.op(id, Op::Has { dst, src: dst, name });
            }
            Kind::Index { operand, index, optional } => {
                self.emit(*operand, dst);
                let key = self.register();
                self.emit(*index, key);
                let op = if *optional {
                    Op::IndexOptional { dst, src: dst, key }
                } else {
                    Op::Index { dst, src: dst, key }
                };
                self.op(id, op);
            }
            _ => self.full = true,
        }
    }

    fn local(&mut self, id: ExprId, name: &str, dst: Reg) {
        let found = self.locals.iter().rev().find(|(local, _)| local == name).map(|(_, r)| *r);
        match found {
            Some(src) => self.op(id, Op::Move { dst, src }),
            None => self.full = true,
        }
    }

    fn load(&mut self, id: ExprId, dst: Reg, slot: Slot) {
        match slot {
            Slot::User(_) | Slot::UserMap => self.depends.user = true,
            Slot::Param(_) => self.depends.params = true,
            Slot::Response => self.depends.response = true,
            Slot::Request(_) => self.depends.request = true,
        }
        self.op(id, Op::Load { dst, slot });
    }

    fn binary(&mut self, id: ExprId, dst: Reg, op: Binary, left: ExprId, right: ExprId) {
        if let Some(name) = op.function() {
            return self.call(id, dst, name, &[left, right]);
        }
        self.emit(left, dst);
        let short = match op {
            Binary::And => Some(self.jump(id, |to| Op::JumpIfFalse { cond: dst, to })),
            Binary::Or => Some(self.jump(id, |to| Op::JumpIfTrue { cond: dst, to })),
            _ => None,
        };
        let b = self.register();
        self.emit(right, b);
        self.op(
            id,
            match op {
                Binary::And => Op::And { dst, a: dst, b },
                Binary::Or => Op::Or { dst, a: dst, b },
                Binary::Equal => Op::Equal { dst, a: dst, b },
                Binary::NotEqual => Op::NotEqual { dst, a: dst, b },
                _ => Op::In { dst, a: dst, b },
            },
        );
        if let Some(short) = short {
            self.land(short);
        }
    }

    fn ternary(&mut self, id: ExprId, dst: Reg, condition: ExprId, yes: ExprId, no: ExprId) {
        let cond = self.register();
        self.emit(condition, cond);
        let failed = self.jump(condition, |to| Op::JumpIfError { dst, src: cond, to });
        let otherwise = self.jump(condition, |to| Op::JumpIfFalse { cond, to });
        self.emit(yes, dst);
        let done = self.jump(id, |to| Op::Jump { to });
        self.land(otherwise);
        self.emit(no, dst);
        self.land(done);
        self.land(failed);
    }

    /// Arguments stand in registers beside one another.
    fn call(&mut self, id: ExprId, dst: Reg, name: &str, args: &[ExprId]) {
        let Ok(count) = u8::try_from(args.len()) else { return self.full = true };
        let first = Reg(self.registers);
        for _ in args {
            self.register();
        }
        for (arg, register) in args.iter().zip(first.0..) {
            self.emit(*arg, Reg(register));
        }
        let function = self.function(name);
        self.op(id, Op::Call { dst, function, first, count });
    }

    fn list(&mut self, id: ExprId, dst: Reg, items: &[(ExprId, bool)]) {
        let list = self.register();
        self.op(id, Op::NewList { dst: list });
        for (item, optional) in items {
            let value = self.register();
            self.emit(*item, value);
            let op = if *optional {
                Op::AppendOptional { list, value }
            } else {
                Op::Append { list, value }
            };
            self.op(*item, op);
        }
        self.op(id, Op::Finish { dst: list });
        self.op(id, Op::Move { dst, src: list });
    }

    fn map(&mut self, id: ExprId, dst: Reg, entries: &[(ExprId, ExprId, bool)]) {
        let map = self.register();
        self.op(id, Op::NewMap { dst: map });
        for (key_id, value_id, optional) in entries {
            let (key, value) = (self.register(), self.register());
            self.emit(*key_id, key);
            self.emit(*value_id, value);
            let op = if *optional {
                Op::InsertOptional { map, key, value }
            } else {
                Op::Insert { map, key, value }
            };
            self.op(*key_id, op);
        }
        self.op(id, Op::Finish { dst: map });
        self.op(id, Op::Move { dst, src: map });
    }

    // --- constants ---

    /// The constant that a node is, if it is one: literals, types, lists of literals.
    fn constant_of(&mut self, id: ExprId) -> Option<Const> {
        if let Some(constant) = self.typed.coerced.get(&id) {
            return Some(constant.clone());
        }
        if let Some(name) = self.typed.type_names.get(&id) {
            return Some(Const::Type((*name).to_owned()));
        }
        let typed = self.typed;
        match &typed.tree.get(id).kind {
            Kind::Literal(literal) => Some(constant(literal)),
            Kind::List(items) if !items.is_empty() => {
                let plain = items.iter().all(|(item, optional)| {
                    let literal = matches!(typed.tree.get(*item).kind, Kind::Literal(_));
                    literal && !optional
                });
                if !plain {
                    return None;
                }
                let mut ids = Vec::with_capacity(items.len());
                for (item, _) in items {
                    let part = self.constant_of(*item)?;
                    ids.push(self.constant(part));
                }
                Some(Const::List(ids))
            }
            _ => None,
        }
    }

    fn constant(&mut self, constant: Const) -> ConstId {
        let same = |known: &Const| match (known, &constant) {
            (Const::Double(a), Const::Double(b)) => a.to_bits() == b.to_bits(),
            (known, constant) => known == constant,
        };
        let known = self.constants.iter().position(same);
        let index = known.unwrap_or_else(|| {
            self.constants.push(constant);
            self.constants.len() - 1
        });
        match u16::try_from(index) {
            Ok(index) => ConstId(index),
            Err(_) => {
                self.full = true;
                ConstId(0)
            }
        }
    }

    fn function(&mut self, name: &str) -> FuncId {
        let known = self.functions.iter().position(|f| f == name);
        let index = known.unwrap_or_else(|| {
            self.functions.push(name.to_owned());
            self.functions.len() - 1
        });
        FuncId(u16::try_from(index).unwrap_or(u16::MAX))
    }

    // --- code ---

    fn register(&mut self) -> Reg {
        let register = Reg(self.registers);
        if self.registers >= mxcp_policy::verify::MAX_REGISTERS - 1 {
            self.full = true;
        } else {
            self.registers += 1;
        }
        register
    }

    fn op(&mut self, id: ExprId, op: Op) {
        if self.code.len() >= mxcp_policy::verify::MAX_INSTRUCTIONS - 1 {
            self.full = true;
            return;
        }
        let range = &self.typed.tree.get(id).range;
        let offset = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.code.push(op);
        self.spans.push((offset(range.start), offset(range.end)));
    }

    /// A jump to a place that is not known yet.
    fn jump(&mut self, id: ExprId, make: impl Fn(Target) -> Op) -> usize {
        self.op(id, make(Target(u32::MAX)));
        self.code.len().saturating_sub(1)
    }

    fn here(&self) -> Target {
        Target(u32::try_from(self.code.len()).unwrap_or(u32::MAX))
    }

    /// Lets an earlier jump end here.
    fn land(&mut self, jump: usize) {
        let here = self.here();
        let Some(op) = self.code.get_mut(jump) else { return };
        match op {
            Op::Jump { to }
            | Op::JumpIfTrue { to, .. }
            | Op::JumpIfFalse { to, .. }
            | Op::JumpIfError { to, .. }
            | Op::Iterate { end: to, .. }
            | Op::Next { end: to, .. } => *to = here,
            _ => self.full = true,
        }
    }
}

fn constant(literal: &Literal) -> Const {
    match literal {
        Literal::Null => Const::Null,
        Literal::Bool(value) => Const::Bool(*value),
        Literal::Int(value) => Const::Int(*value),
        Literal::Uint(value) => Const::Uint(*value),
        Literal::Double(value) => Const::Double(*value),
        Literal::String(text) => Const::String(text.clone()),
        Literal::Bytes(bytes) => Const::Bytes(bytes.clone()),
    }
}
