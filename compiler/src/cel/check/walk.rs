//! Macros that walk lists and maps.

use std::sync::Arc;

use mxcp_policy::ty::Ty;

use super::super::Finding;
use super::super::ast::{Comprehension, ExprId};
use super::super::code::{LIMIT, WRONG_TYPES};
use super::super::shape::Shape;
use super::{Checker, Local, MAX_COMPREHENSIONS};

impl Checker<'_> {
    pub(super) fn comprehension(
        &mut self,
        id: ExprId,
        kind: Comprehension,
        over: ExprId,
        variables: &[String],
        filter: Option<ExprId>,
        body: ExprId,
    ) -> Ty {
        let ty = self.visit(over);
        let ty = self.need(over, ty);
        let ty = self.infer.settle(ty);
        if matches!(kind, Comprehension::OptMap | Comprehension::OptFlatMap) {
            return self.inside_optional(kind, over, &ty, variables, body);
        }
        let pair = variables.len() == 2;
        let (first, second) = self.elements(over, &ty, pair);
        let shape = self.typed.shapes.get(&over).and_then(|shape| shape.items.clone());
        let locals = variables.iter().zip([first.clone(), second]).enumerate();
        let locals: Vec<Local> = locals
            .map(|(i, (name, ty))| {
                let shape = shape.clone().filter(|_| i + 1 == variables.len());
                Local { name: name.clone(), ty, shape, value: None }
            })
            .collect();
        self.loops += 1;
        if self.loops > MAX_COMPREHENSIONS {
            let message =
                format!("more than {MAX_COMPREHENSIONS} comprehensions inside one another");
            let help = "every level multiplies the cost; declare `maxItems` and ask less, or split the policy";
            self.report(Finding::new(&LIMIT, self.range(id), message).help(help));
        }
        let body_ty = self.inside(locals, |this| {
            let mut more = Vec::new();
            if let Some(filter) = filter {
                let ty = this.visit(filter);
                this.loop_condition(filter, ty);
                more = this.proves(filter, true);
            }
            this.visit_knowing(body, &more)
        });
        self.loops -= 1;
        self.result_shape(id, kind, over);
        match kind {
            Comprehension::All | Comprehension::Exists | Comprehension::ExistsOne => {
                self.loop_condition(body, body_ty);
                Ty::Bool
            }
            Comprehension::Filter => {
                self.loop_condition(body, body_ty);
                if matches!(ty, Ty::List(_)) { ty } else { Ty::list(first) }
            }
            Comprehension::Map | Comprehension::TransformList => Ty::list(body_ty),
            Comprehension::TransformMap => Ty::map(first, body_ty),
            _ => match body_ty {
                Ty::Map(..) => body_ty,
                _ => Ty::map(Ty::Dyn, Ty::Dyn),
            },
        }
    }

    /// The types of the variables over a list or map.
    fn elements(&mut self, over: ExprId, ty: &Ty, pair: bool) -> (Ty, Ty) {
        match ty {
            Ty::List(item) if pair => (Ty::Int, (**item).clone()),
            Ty::List(item) => ((**item).clone(), Ty::Dyn),
            Ty::Map(key, value) => ((**key).clone(), (**value).clone()),
            Ty::Record(_) => (Ty::String, Ty::Dyn),
            Ty::Dyn | Ty::Error => (Ty::Dyn, Ty::Dyn),
            other => {
                let other = self.infer.resolve(other);
                let message = format!("a list or map is walked, and this is {other}");
                self.report(Finding::new(&WRONG_TYPES, self.range(over), message));
                (Ty::Error, Ty::Error)
            }
        }
    }

    /// `optMap` and `optFlatMap`.
    fn inside_optional(
        &mut self,
        kind: Comprehension,
        over: ExprId,
        ty: &Ty,
        variables: &[String],
        body: ExprId,
    ) -> Ty {
        let held = match ty {
            Ty::Optional(held) => (**held).clone(),
            Ty::Dyn | Ty::Error => Ty::Dyn,
            other => {
                let other = self.infer.resolve(other);
                let message = format!("an optional is needed here, and this is {other}");
                let finding = Finding::new(&WRONG_TYPES, self.range(over), message);
                self.report(finding.help("select with `.?`, or make one with `optional.of(…)`"));
                Ty::Error
            }
        };
        let locals = variables.iter().map(|name| Local {
            name: name.clone(),
            ty: held.clone(),
            shape: None,
            value: None,
        });
        let made = self.inside(locals.collect(), |this| this.visit(body));
        if kind == Comprehension::OptMap {
            return Ty::optional(made);
        }
        let inner = self.infer.fresh();
        let optional = Ty::optional(inner);
        if !self.infer.assign(&made, &optional) {
            let made = self.infer.resolve(&made);
            let message = format!("`optFlatMap` makes an optional, and this is {made}");
            let finding = Finding::new(&WRONG_TYPES, self.range(body), message);
            self.report(finding.help("did you mean `optMap`?"));
        }
        optional
    }

    /// What is made from a list has no more items than the list.
    fn result_shape(&mut self, id: ExprId, kind: Comprehension, over: ExprId) {
        let Some(from) = self.typed.shapes.get(&over).cloned() else { return };
        let shape = match kind {
            Comprehension::Filter => from,
            Comprehension::Map
            | Comprehension::TransformList
            | Comprehension::TransformMap
            | Comprehension::TransformMapEntry => Arc::new(Shape {
                max_size: from.max_size,
                bound: from.bound.clone(),
                ..Shape::default()
            }),
            _ => return,
        };
        self.typed.shapes.insert(id, shape);
    }

    fn loop_condition(&mut self, id: ExprId, ty: Ty) {
        let ty = self.need(id, ty);
        if !self.is_bool(&ty) {
            let ty = self.infer.resolve(&ty);
            let message = format!("a condition on each element is needed, and this is {ty}");
            self.report(Finding::new(&WRONG_TYPES, self.range(id), message));
        }
    }
}
