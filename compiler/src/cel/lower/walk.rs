//! Comprehensions as loops.
//!
//! ```text
//!        %r = the list or map
//!        %i = iterate %r else failed
//! head:  %v = next %i else finished
//!        …body…
//!        repeat head
//! failed:  %dst = %i            the error of something that cannot be walked
//!          jump done
//! finished: …
//! done:
//! ```

use mxcp_policy::ty::Ty;
use mxcp_schemas::bundle::code::{Const, ConstId, Kind as Hint, Op, Operand, Reg, Target};

use super::super::ast::{Binary, Comprehension, ExprId, Kind};
use super::{Effort, Lowering, hint};

/// A loop whose body is being written.
struct Loop {
    head: Target,
    iterate: usize,
    next: usize,
    iter: Reg,
}

impl Lowering<'_> {
    #[expect(clippy::too_many_arguments, reason = "they are the parts of one node")]
    pub(super) fn comprehension(
        &mut self,
        id: ExprId,
        dst: Reg,
        kind: Comprehension,
        over: ExprId,
        variables: &[String],
        filter: Option<ExprId>,
        body: ExprId,
    ) {
        match kind {
            Comprehension::All => self.quantifier(id, dst, over, variables, body, true),
            Comprehension::Exists => self.quantifier(id, dst, over, variables, body, false),
            Comprehension::ExistsOne => self.exists_one(id, dst, over, variables, body),
            Comprehension::Filter => {
                self.collect(id, dst, kind, over, variables, Some(body), None);
            }
            Comprehension::OptMap | Comprehension::OptFlatMap => {
                self.inside_optional(id, dst, kind, over, variables, body);
            }
            _ => self.collect(id, dst, kind, over, variables, filter, Some(body)),
        }
    }

    /// `optMap` and `optFlatMap`: the body for what the optional holds, nothing for nothing.
    fn inside_optional(
        &mut self,
        id: ExprId,
        dst: Reg,
        kind: Comprehension,
        over: ExprId,
        variables: &[String],
        body: ExprId,
    ) {
        let used = self.used;
        let optional = self.fresh(over);
        let (test, value) = (self.register(), self.register());
        let first = self.argument_list(&[optional]);
        let function = self.function("hasValue");
        self.op(over, Op::Call { dst: test, function, first, count: 1 });
        let test = Operand::Reg(test);
        let failed = self.jump(over, |to| Op::JumpIfError { dst, src: test, to });
        let nothing = self.jump(over, |to| Op::JumpIfFalse { cond: test, to });
        let function = self.function("value");
        self.op(over, Op::Call { dst: value, function, first, count: 1 });
        self.locals.extend(variables.iter().map(|name| (name.clone(), value)));
        self.emit(body, dst);
        self.locals.truncate(self.locals.len().saturating_sub(variables.len()));
        if kind == Comprehension::OptMap {
            let function = self.function("optional.of");
            let first = self.argument_list(&[Operand::Reg(dst)]);
            self.op(id, Op::Call { dst, function, first, count: 1 });
        }
        let done = self.jump(id, |to| Op::Jump { to });
        self.land(nothing);
        let function = self.function("optional.none");
        let first = self.argument_list(&[]);
        self.op(id, Op::Call { dst, function, first, count: 0 });
        self.land(done);
        self.land(failed);
        self.used = used;
    }

    /// `all` ends at the first false, `exists` at the first true; errors wait for the end.
    fn quantifier(
        &mut self,
        id: ExprId,
        dst: Reg,
        over: ExprId,
        variables: &[String],
        body: ExprId,
        all: bool,
    ) {
        if let Some(set) = self.constant_set(variables, body, all) {
            let src = self.fresh(over);
            let op =
                if all { Op::Within { dst, src, set } } else { Op::Overlaps { dst, src, set } };
            return self.op(id, op);
        }
        let begun = self.begin(id, over, variables, |this| {
            let src = Operand::Const(this.constant(Const::Bool(all)));
            this.op(id, Op::Move { dst, src });
        });
        let (a, b) = (Operand::Reg(dst), self.fresh(body));
        self.op(body, if all { Op::And { dst, a, b } } else { Op::Or { dst, a, b } });
        let early = if all {
            self.jump(body, |to| Op::JumpIfFalse { cond: a, to })
        } else {
            self.jump(body, |to| Op::JumpIfTrue { cond: a, to })
        };
        self.end(id, dst, &begun, variables.len(), |_| {});
        self.land(early);
    }

    /// The constant list of which `exists` and `all` ask whether elements are in it:
    /// `x in ['a', 'b']`, and for `exists` also `x == 'a'`.
    fn constant_set(&mut self, variables: &[String], body: ExprId, all: bool) -> Option<ConstId> {
        let [variable] = variables else { return None };
        let Kind::Binary { op, left, right, .. } = self.typed.tree.get(body).kind else {
            return None;
        };
        let is_element = |id| match &self.typed.tree.get(id).kind {
            Kind::Ident(name) => name == variable,
            _ => false,
        };
        if self.effort == Effort::Plain || !is_element(left) {
            return None;
        }
        let constant = match (op, self.constant_of(right)?) {
            (Binary::In, list @ Const::List(_)) => list,
            (Binary::Equal, one) if !all => Const::List(vec![self.constant(one)]),
            _ => return None,
        };
        Some(self.constant(constant))
    }

    fn exists_one(
        &mut self,
        id: ExprId,
        dst: Reg,
        over: ExprId,
        variables: &[String],
        body: ExprId,
    ) {
        let count = self.register();
        let one = Operand::Const(self.constant(Const::Int(1)));
        let begun = self.begin(id, over, variables, |this| {
            let src = Operand::Const(this.constant(Const::Int(0)));
            this.op(id, Op::Move { dst: count, src });
        });
        let test = self.fresh(body);
        let failed = self.jump(body, |to| Op::JumpIfError { dst, src: test, to });
        let other = self.jump(body, |to| Op::JumpIfFalse { cond: test, to });
        let function = self.function("_+_");
        let first = self.argument_list(&[Operand::Reg(count), one]);
        self.op_of(body, Hint::Int, Op::Call { dst: count, function, first, count: 2 });
        self.land(other);
        self.end(id, dst, &begun, variables.len(), |this| {
            this.op(id, Op::Equal { dst, a: Operand::Reg(count), b: one });
        });
        self.land(failed);
    }

    /// `filter`, `map` and the transforms build a list or map. Without a body the element itself is
    /// taken.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of one node")]
    fn collect(
        &mut self,
        id: ExprId,
        dst: Reg,
        kind: Comprehension,
        over: ExprId,
        variables: &[String],
        filter: Option<ExprId>,
        body: Option<ExprId>,
    ) {
        let made = self.register();
        let is_map = matches!(kind, Comprehension::TransformMap | Comprehension::TransformMapEntry);
        let begun = self.begin(id, over, variables, |this| {
            let op = if is_map { Op::NewMap { dst: made } } else { Op::NewList { dst: made } };
            this.op(id, op);
        });
        let (mut failed, mut other) = (None, None);
        let test = self.register();
        if let Some(filter) = filter {
            let src = self.operand(filter, test);
            failed = Some(self.jump(filter, |to| Op::JumpIfError { dst: test, src, to }));
            other = Some(self.jump(filter, |to| Op::JumpIfFalse { cond: src, to }));
        }
        let value = match body {
            Some(body) => self.fresh(body),
            None => Operand::Reg(self.variable(variables.len(), 0)),
        };
        let key = Operand::Reg(self.variable(variables.len(), 0));
        self.op(id, take(kind, made, key, value));
        if let Some(failed) = failed {
            // An error of the filter is the error of the whole.
            let skip = self.jump(id, |to| Op::Jump { to });
            self.land(failed);
            let test = Operand::Reg(test);
            let op = if is_map {
                Op::Insert { map: made, key: test, value: test }
            } else {
                Op::Append { list: made, value: test }
            };
            self.op(id, op);
            self.land(skip);
        }
        if let Some(other) = other {
            self.land(other);
        }
        self.end(id, dst, &begun, variables.len(), |this| {
            this.op(id, Op::Finish { dst: made });
            this.op(id, Op::Move { dst, src: Operand::Reg(made) });
        });
    }

    /// The register of one of the loop's variables, of which `count` were declared last.
    fn variable(&mut self, count: usize, index: usize) -> Reg {
        let first = self.locals.len().saturating_sub(count);
        let found = self.locals.get(first + index).map(|(_, register)| *register);
        found.unwrap_or_else(|| {
            self.full = true;
            Reg(0)
        })
    }

    fn begin(
        &mut self,
        id: ExprId,
        over: ExprId,
        variables: &[String],
        prepare: impl FnOnce(&mut Self),
    ) -> Loop {
        let src = self.fresh(over);
        prepare(self);
        let (iter, first, second) = (self.register(), self.register(), self.register());
        let iterate = self.jump(over, |end| Op::Iterate { iter, src, end });
        let head = self.here();
        let pair = variables.len() == 2;
        let (key, value) = if pair { (first, second) } else { (second, first) };
        // What is made here is an element.
        let element = hint_of_elements(self.typed.ty(over));
        let next = self.jump_of(id, element, |end| Op::Next { iter, key, value, pair, end });
        for (name, register) in variables.iter().zip([first, second]) {
            self.locals.push((name.clone(), register));
        }
        Loop { head, iterate, next, iter }
    }

    fn end(
        &mut self,
        id: ExprId,
        dst: Reg,
        begun: &Loop,
        variables: usize,
        finish: impl FnOnce(&mut Self),
    ) {
        self.locals.truncate(self.locals.len().saturating_sub(variables));
        let instructions = u64::from(self.here().0.saturating_sub(begun.head.0)) + 1;
        self.loops.insert(id, instructions);
        self.op(id, Op::Repeat { head: begun.head });
        self.land(begun.iterate);
        self.op(id, Op::Move { dst, src: Operand::Reg(begun.iter) });
        let done = self.jump(id, |to| Op::Jump { to });
        self.land(begun.next);
        finish(self);
        self.land(done);
    }
}

/// What is expected of the elements of a list.
fn hint_of_elements(of: &Ty) -> Hint {
    match of {
        Ty::List(element) => hint(element),
        Ty::Nullable(list) => hint_of_elements(list),
        _ => Hint::Any,
    }
}

const fn take(kind: Comprehension, made: Reg, key: Operand, value: Operand) -> Op {
    match kind {
        Comprehension::TransformMap => Op::Insert { map: made, key, value },
        Comprehension::TransformMapEntry => Op::InsertAll { map: made, entries: value },
        _ => Op::Append { list: made, value },
    }
}
