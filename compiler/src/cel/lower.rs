//! From the typed tree to predicate code.
//!
//! Constants and inputs are operands, not instructions. Registers are used again as soon as what they
//! hold was read: a node gives back all that it took but the one it was told to fill.

mod chain;
mod failing;
mod fold;
mod pattern;
mod reach;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::HashMap;

use mxcp_policy::ty::Ty;
use mxcp_policy::verify::{Layout, verify};
use mxcp_schemas::bundle::code::{
    Const, ConstId, Depends, FuncId, Input, InputId, Kind as Hint, Op, Operand, Program, Reg, Slot,
    Target,
};

use super::Finding;
use super::ast::{Binary, ExprId, Kind, Literal, Unary};
use super::check::Typed;
use super::code::LIMIT;
use super::cost::{self, Instructions};
use reach::Reach;

pub(super) use failing::failing;
pub(super) use pattern::patterns;

/// Writes the code of a checked expression.
///
/// # Errors
/// When it needs more registers, constants or instructions than predicate code may have.
pub(super) fn lower(typed: &Typed) -> Result<Program, Box<Finding>> {
    lower_with(typed, Effort::Full).map(|(program, _)| program)
}

/// Writes the code of a checked condition that costs no more than it may.
///
/// # Errors
/// Those of [`lower`], and the one of [`cost::within_limit`].
pub(super) fn lower_within_limit(typed: &Typed) -> Result<Program, Box<Finding>> {
    let (program, written) = lower_with(typed, Effort::Full)?;
    cost::within_limit(typed, &written)?;
    Ok(program)
}

/// Writes code that computes at run time what could have been computed before, and remembers
/// nothing: for tests of what runs it.
///
/// # Errors
/// Those of [`lower`].
pub(super) fn lower_plainly(typed: &Typed) -> Result<Program, Box<Finding>> {
    lower_with(typed, Effort::Plain).map(|(program, _)| program)
}

/// As many inputs as code can name.
const ANY_INPUTS: Layout =
    Layout { user: u16::MAX as usize + 1, params: u16::MAX as usize + 1, response: true };

/// How much is done at build to save time later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effort {
    Full,
    Plain,
}

fn lower_with(typed: &Typed, effort: Effort) -> Result<(Program, Instructions), Box<Finding>> {
    let root = typed.tree.root;
    let reach = Reach::new(typed);
    let written = Lowering::new(typed, &reach, effort).program(root);
    // A server verifies code from whoever it comes; what we write has to pass.
    debug_assert_eq!(
        written.as_ref().map(|(program, _)| verify(program, &ANY_INPUTS)),
        written.as_ref().map(|_| Ok(()))
    );
    let (mut program, written) = written.ok_or_else(|| {
        let range = typed.tree.get(root).range.clone();
        let message = "the condition is too large to be compiled";
        Box::new(Finding::new(&LIMIT, range, message))
    })?;
    program.cost = cost::steps(typed, &written);
    Ok((program, written))
}

struct Lowering<'t> {
    typed: &'t Typed,
    reach: &'t Reach,
    effort: Effort,
    /// nodes that may still be folded
    foldable: u32,
    code: Vec<Op>,
    kinds: Vec<Hint>,
    spans: Vec<(u32, u32)>,
    inputs: Vec<Input>,
    constants: Vec<Const>,
    functions: Vec<String>,
    arguments: Vec<Operand>,
    /// registers in use
    used: u16,
    /// most registers that were in use at a time
    registers: u16,
    parts: u16,
    /// whether the code being written belongs to a part already
    in_part: bool,
    locals: Vec<(String, Reg)>,
    /// the instructions of each loop
    loops: HashMap<ExprId, u64>,
    /// something did not fit
    full: bool,
}

impl<'t> Lowering<'t> {
    fn new(typed: &'t Typed, reach: &'t Reach, effort: Effort) -> Self {
        Self {
            typed,
            reach,
            effort,
            foldable: fold::MAX_FOLDED_NODES,
            code: Vec::new(),
            kinds: Vec::new(),
            spans: Vec::new(),
            inputs: Vec::new(),
            constants: Vec::new(),
            functions: Vec::new(),
            arguments: Vec::new(),
            used: 0,
            registers: 0,
            parts: 0,
            in_part: false,
            locals: Vec::new(),
            loops: HashMap::new(),
            full: false,
        }
    }

    /// The code of a node, whose cost is not known yet; `None` when something does not fit.
    fn program(mut self, root: ExprId) -> Option<(Program, Instructions)> {
        let result = self.register();
        // What depends on the caller alone as a whole is remembered as a whole.
        self.in_part = self.effort == Effort::Plain || self.reach.of(root).depends.caller_only();
        let src = self.operand(root, result);
        self.op(root, Op::Return { src });
        let slots = self.inputs.iter().map(|input| input.slot.depends());
        let depends = slots.fold(Depends::default(), Depends::or);
        let written = Instructions { count: self.code.len() as u64, loops: self.loops };
        let program = Program {
            registers: self.registers,
            inputs: self.inputs,
            constants: self.constants,
            functions: self.functions,
            arguments: self.arguments,
            parts: self.parts,
            code: self.code,
            kinds: self.kinds,
            spans: self.spans,
            depends,
            cost: 0,
        };
        (!self.full).then_some((program, written))
    }
}

impl Lowering<'_> {
    /// The value of a node: where it is already, or the register `spare` after it was computed.
    fn operand(&mut self, id: ExprId, spare: Reg) -> Operand {
        if let Some(slot) = self.typed.inputs.get(&id).copied() {
            return Operand::Input(self.input(slot, hint(self.typed.ty(id))));
        }
        if let Some(constant) = self.constant_of(id) {
            return Operand::Const(self.constant(constant));
        }
        if let Kind::Ident(name) = &self.typed.tree.get(id).kind
            && !self.typed.unresolved.contains_key(&id)
        {
            let found = self.locals.iter().rev().find(|(local, _)| local == name);
            return match found {
                Some((_, register)) => Operand::Reg(*register),
                None => self.not_possible(spare),
            };
        }
        self.compute(id, spare);
        Operand::Reg(spare)
    }

    /// The value of a node, in a register of its own if it has to be computed.
    fn fresh(&mut self, id: ExprId) -> Operand {
        let spare = self.register();
        self.operand(id, spare)
    }

    /// Writes code that leaves the value of a node in a register.
    fn emit(&mut self, id: ExprId, dst: Reg) {
        let src = self.operand(id, dst);
        if src != Operand::Reg(dst) {
            self.op(id, Op::Move { dst, src });
        }
    }

    /// Writes code for a node that is neither input, constant nor variable.
    fn compute(&mut self, id: ExprId, dst: Reg) {
        let used = self.used;
        if let Some(slot) = self.typed.presence.get(&id).copied() {
            let src = Operand::Input(self.input(slot, Hint::Any));
            return self.op(id, Op::IsPresent { dst, src });
        }
        let typed = self.typed;
        if let Some(name) = typed.unresolved.get(&id) {
            return self.undeclared(id, dst, name);
        }
        match &typed.tree.get(id).kind {
            Kind::Select { .. } | Kind::Has { .. } | Kind::Index { .. } => self.access(id, dst),
            Kind::Unary(Unary::Not, operand) => {
                let src = self.operand(*operand, dst);
                self.op(id, Op::Not { dst, src });
            }
            Kind::Unary(Unary::Minus, operand) => self.call(id, dst, "-_", &[*operand]),
            Kind::Binary { op: op @ (Binary::And | Binary::Or), .. } => self.chain(id, dst, *op),
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
            Kind::Literal(_) | Kind::Ident(_) | Kind::Invalid => self.full = true,
        }
        self.used = used;
    }

    /// A name that stands for nothing errs when it is evaluated.
    fn undeclared(&mut self, id: ExprId, dst: Reg, name: &str) {
        let name = self.constant(Const::String(name.to_owned()));
        let first = self.argument_list(&[Operand::Const(name)]);
        let function = self.function("@undeclared");
        self.op(id, Op::Call { dst, function, first, count: 1 });
    }

    /// Fields, their presence, and elements.
    fn access(&mut self, id: ExprId, dst: Reg) {
        let typed = self.typed;
        match &typed.tree.get(id).kind {
            Kind::Select { operand, field, optional, .. } => {
                let src = self.operand(*operand, dst);
                let name = self.constant(Const::String(field.clone()));
                let op = if *optional {
                    Op::SelectOptional { dst, src, name }
                } else {
                    Op::Select { dst, src, name }
                };
                self.op(id, op);
            }
            Kind::Has { operand, field, .. } => {
                let src = self.operand(*operand, dst);
                let name = self.constant(Const::String(field.clone()));
                self.op(id, Op::Has { dst, src, name });
            }
            Kind::Index { operand, index, optional } => {
                let src = self.operand(*operand, dst);
                let key = self.fresh(*index);
                let op = if *optional {
                    Op::IndexOptional { dst, src, key }
                } else {
                    Op::Index { dst, src, key }
                };
                self.op(id, op);
            }
            _ => self.full = true,
        }
    }

    fn binary(&mut self, id: ExprId, dst: Reg, op: Binary, left: ExprId, right: ExprId) {
        if let Some(name) = op.function() {
            return self.call(id, dst, name, &[left, right]);
        }
        let a = self.operand(left, dst);
        let b = self.fresh(right);
        let op = match op {
            Binary::Equal => Op::Equal { dst, a, b },
            Binary::NotEqual => Op::NotEqual { dst, a, b },
            _ => Op::In { dst, a, b },
        };
        self.op(id, op);
    }

    fn ternary(&mut self, id: ExprId, dst: Reg, condition: ExprId, yes: ExprId, no: ExprId) {
        let used = self.used;
        let cond = self.register();
        let cond = self.test(condition, cond);
        let failed = self.jump(condition, |to| Op::JumpIfError { dst, src: cond, to });
        let otherwise = self.jump(condition, |to| Op::JumpIfFalse { cond, to });
        self.used = used;
        self.emit(yes, dst);
        let done = self.jump(id, |to| Op::Jump { to });
        self.land(otherwise);
        self.emit(no, dst);
        self.land(done);
        self.land(failed);
    }

    fn call(&mut self, id: ExprId, dst: Reg, name: &str, args: &[ExprId]) {
        let Ok(count) = u8::try_from(args.len()) else { return self.full = true };
        let mut operands = Vec::with_capacity(args.len());
        for (i, arg) in args.iter().enumerate() {
            operands.push(if i == 0 { self.operand(*arg, dst) } else { self.fresh(*arg) });
        }
        let function = self.function(name);
        let first = self.argument_list(&operands);
        self.op(id, Op::Call { dst, function, first, count });
    }

    /// The place of arguments that stand beside one another.
    fn argument_list(&mut self, operands: &[Operand]) -> u16 {
        let first = u16::try_from(self.arguments.len());
        self.arguments.extend(operands);
        first.unwrap_or_else(|_| {
            self.full = true;
            0
        })
    }

    fn list(&mut self, id: ExprId, dst: Reg, items: &[(ExprId, bool)]) {
        let list = self.register();
        self.op(id, Op::NewList { dst: list });
        for (item, optional) in items {
            let used = self.used;
            let value = self.fresh(*item);
            let op = if *optional {
                Op::AppendOptional { list, value }
            } else {
                Op::Append { list, value }
            };
            self.op(*item, op);
            self.used = used;
        }
        self.op(id, Op::Finish { dst: list });
        self.op(id, Op::Move { dst, src: Operand::Reg(list) });
    }

    fn map(&mut self, id: ExprId, dst: Reg, entries: &[(ExprId, ExprId, bool)]) {
        let map = self.register();
        self.op(id, Op::NewMap { dst: map });
        for (key_id, value_id, optional) in entries {
            let used = self.used;
            let (key, value) = (self.fresh(*key_id), self.fresh(*value_id));
            let op = if *optional {
                Op::InsertOptional { map, key, value }
            } else {
                Op::Insert { map, key, value }
            };
            self.op(*key_id, op);
            self.used = used;
        }
        self.op(id, Op::Finish { dst: map });
        self.op(id, Op::Move { dst, src: Operand::Reg(map) });
    }

    // --- inputs ---

    fn input(&mut self, slot: Slot, kind: Hint) -> InputId {
        let input = Input { slot, kind };
        let known = self.inputs.iter().position(|known| *known == input);
        let index = known.unwrap_or_else(|| {
            self.inputs.push(input);
            self.inputs.len() - 1
        });
        if index >= mxcp_policy::verify::MAX_INPUTS {
            self.full = true;
        }
        InputId(u16::try_from(index).unwrap_or(u16::MAX))
    }

    fn not_possible(&mut self, spare: Reg) -> Operand {
        self.full = true;
        Operand::Reg(spare)
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
            Kind::List(items) if !items.is_empty() && self.are_literals(items) => {
                let mut ids = Vec::with_capacity(items.len());
                for (item, _) in items {
                    let part = self.constant_of(*item)?;
                    ids.push(self.constant(part));
                }
                Some(Const::List(ids))
            }
            _ => self.folded(id),
        }
    }

    fn are_literals(&self, items: &[(ExprId, bool)]) -> bool {
        items.iter().all(|(item, optional)| {
            !optional && matches!(self.typed.tree.get(*item).kind, Kind::Literal(_))
        })
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
        let register = Reg(self.used);
        if self.used >= mxcp_policy::verify::MAX_REGISTERS - 1 {
            self.full = true;
        } else {
            self.used += 1;
            self.registers = self.registers.max(self.used);
        }
        register
    }

    fn op(&mut self, id: ExprId, op: Op) {
        self.op_of(id, hint(self.typed.ty(id)), op);
    }

    /// An instruction that makes something else than the node's value.
    fn op_of(&mut self, id: ExprId, kind: Hint, op: Op) {
        if self.code.len() >= mxcp_policy::verify::MAX_INSTRUCTIONS - 1 {
            self.full = true;
            return;
        }
        let range = &self.typed.tree.get(id).range;
        let offset = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.code.push(op);
        self.kinds.push(kind);
        self.spans.push((offset(range.start), offset(range.end)));
    }

    /// A jump to a place that is not known yet.
    fn jump(&mut self, id: ExprId, make: impl Fn(Target) -> Op) -> usize {
        self.jump_of(id, hint(self.typed.ty(id)), make)
    }

    /// A jump that makes something else than the node's value.
    fn jump_of(&mut self, id: ExprId, kind: Hint, make: impl Fn(Target) -> Op) -> usize {
        self.op_of(id, kind, make(Target(u32::MAX)));
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
            | Op::Recall { end: to, .. }
            | Op::Iterate { end: to, .. }
            | Op::Next { end: to, .. } => *to = here,
            _ => self.full = true,
        }
    }
}

/// What an engine may expect of a value of a type.
fn hint(ty: &Ty) -> Hint {
    match ty {
        Ty::Null => Hint::Null,
        Ty::Bool => Hint::Bool,
        Ty::Int => Hint::Int,
        Ty::Uint => Hint::Uint,
        Ty::Double => Hint::Double,
        Ty::String => Hint::String,
        Ty::Bytes => Hint::Bytes,
        Ty::Timestamp => Hint::Timestamp,
        Ty::Duration => Hint::Duration,
        Ty::Type(_) => Hint::Type,
        Ty::List(_) => Hint::List,
        Ty::Map(..) | Ty::Record(_) => Hint::Map,
        Ty::Optional(_) => Hint::Optional,
        Ty::Nullable(of) => hint(of),
        Ty::Dyn | Ty::Error | Ty::Var(_) | Ty::Opaque(..) => Hint::Any,
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
