//! Macros: calls that are not functions, for they name variables.

use std::ops::Range;

use super::super::Finding;
use super::super::ast::{Comprehension, ExprId, Kind};
use super::super::code::SYNTAX;
use super::Parser;

impl Parser<'_> {
    /// A call, or the macro that it is.
    pub(super) fn call(
        &mut self,
        range: Range<usize>,
        target: Option<ExprId>,
        name: String,
        name_range: Range<usize>,
        args: Vec<ExprId>,
    ) -> ExprId {
        let kind = match (target, name.as_str()) {
            (None, "has") => Some(self.has(&name_range, &args)),
            (Some(over), _) => {
                if self.is_ident(over, "cel") && name == "bind" {
                    Some(self.bind(&name_range, &args))
                } else {
                    self.comprehension(&name, &name_range, over, &args)
                }
            }
            _ => None,
        };
        let kind = kind.unwrap_or(Kind::Call { target, name, name_range, args });
        self.node(range, kind)
    }

    fn has(&mut self, name_range: &Range<usize>, args: &[ExprId]) -> Kind {
        if let [arg] = args
            && let Some(Kind::Select { operand, field, field_range, optional: false }) =
                self.nodes.get(arg.0 as usize).map(|n| n.kind.clone())
        {
            return Kind::Has { operand, field, field_range };
        }
        let range = args.first().map_or(name_range.clone(), |arg| self.range(*arg));
        self.found.push(
            Finding::new(&SYNTAX, range, "`has` asks for a field")
                .help("write `has(user.email)`; of a list element ask `size(list) > 0`"),
        );
        Kind::Invalid
    }

    fn bind(&mut self, name_range: &Range<usize>, args: &[ExprId]) -> Kind {
        if let [name, value, body] = *args
            && let Some(name) = self.variable(name)
        {
            return Kind::Bind { name, value, body };
        }
        let message = "`cel.bind` takes a name, its value and an expression";
        self.found.push(Finding::new(&SYNTAX, name_range.clone(), message));
        Kind::Invalid
    }

    fn comprehension(
        &mut self,
        name: &str,
        name_range: &Range<usize>,
        over: ExprId,
        args: &[ExprId],
    ) -> Option<Kind> {
        let (kind, one, two): (_, &[usize], &[usize]) = match name {
            "all" => (Comprehension::All, &[2], &[3]),
            "exists" => (Comprehension::Exists, &[2], &[3]),
            "exists_one" | "existsOne" => (Comprehension::ExistsOne, &[2], &[3]),
            "filter" => (Comprehension::Filter, &[2], &[]),
            "map" => (Comprehension::Map, &[2, 3], &[]),
            "transformList" => (Comprehension::TransformList, &[], &[3, 4]),
            "transformMap" => (Comprehension::TransformMap, &[], &[3, 4]),
            "transformMapEntry" => (Comprehension::TransformMapEntry, &[], &[3, 4]),
            _ => return None,
        };
        let count = args.len();
        let pair = two.contains(&count);
        if !pair && !one.contains(&count) {
            let message = format!("`{name}` does not take {count} arguments");
            self.found.push(
                Finding::new(&SYNTAX, name_range.clone(), message)
                    .help(format!("write `list.{name}(x, …)` with a name for each element")),
            );
            return Some(Kind::Invalid);
        }
        let named = if pair { 2 } else { 1 };
        let mut variables = Vec::with_capacity(named);
        for arg in args.iter().take(named) {
            let Some(variable) = self.variable(*arg) else {
                let message = format!("`{name}` needs a name for each element here");
                let range = self.range(*arg);
                self.found.push(Finding::new(&SYNTAX, range, message));
                return Some(Kind::Invalid);
            };
            variables.push(variable);
        }
        let rest = args.get(named..).unwrap_or(&[]);
        let (filter, body) = match *rest {
            [filter, body] => (Some(filter), body),
            [body] => (None, body),
            _ => return Some(Kind::Invalid),
        };
        Some(Kind::Comprehension { kind, over, variables, filter, body })
    }

    fn variable(&self, id: ExprId) -> Option<String> {
        match self.nodes.get(id.0 as usize).map(|n| &n.kind) {
            Some(Kind::Ident(name)) => Some(name.clone()),
            _ => None,
        }
    }

    fn is_ident(&self, id: ExprId, name: &str) -> bool {
        self.variable(id).is_some_and(|found| found == name)
    }
}
