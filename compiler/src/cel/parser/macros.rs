//! Macros: calls that are not functions, for they name variables.

use std::ops::Range;

use super::super::Finding;
use super::super::ast::{Comprehension, ExprId, Kind, Literal};
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
        let mut args = args;
        if let Some(namespace) = target
            && args.len() > 2
            && matches!(name.as_str(), "greatest" | "least")
            && self.is_ident(namespace, "math")
        {
            // More than two numbers are asked as a list of them.
            let items = args.into_iter().map(|arg| (arg, false)).collect();
            args = vec![self.node(range.clone(), Kind::List(items))];
        }
        if let (Some(over), "sortBy", 2) = (target, name.as_str(), args.len()) {
            return self.sort_by(&range, over, &name_range, &args);
        }
        let kind = match (target, name.as_str()) {
            (None, "has") => Some(self.has(&name_range, &args)),
            (Some(over), _) => {
                if self.is_ident(over, "cel") {
                    if let Some(done) = self.cel_macro(&range, &name, &name_range, &args) {
                        return done;
                    }
                    None
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

    /// `list.sortBy(x, key)`: the keys of all items are computed first, then the list is put in their
    /// order.
    fn sort_by(
        &mut self,
        range: &Range<usize>,
        over: ExprId,
        name_range: &Range<usize>,
        args: &[ExprId],
    ) -> ExprId {
        let [variable, body] = *args else { return self.node(range.clone(), Kind::Invalid) };
        let Some(variable) = self.variable(variable) else {
            let message = "`sortBy` needs a name for each element here";
            self.found.push(Finding::new(&SYNTAX, name_range.clone(), message));
            return self.node(range.clone(), Kind::Invalid);
        };
        let list = "@sorted".to_owned();
        let walked = self.node(range.clone(), Kind::Ident(list.clone()));
        let keys = self.node(
            range.clone(),
            Kind::Comprehension {
                kind: Comprehension::Map,
                over: walked,
                variables: vec![variable],
                filter: None,
                body,
            },
        );
        let whole = self.node(range.clone(), Kind::Ident(list.clone()));
        let body = Kind::Call {
            target: None,
            name: "@sortByKeys".to_owned(),
            name_range: name_range.clone(),
            args: vec![whole, keys],
        };
        let body = self.node(range.clone(), body);
        self.node(range.clone(), Kind::Bind { name: list, value: over, body })
    }

    /// The macros of the namespace `cel`: `bind`, and those that rewriters of expressions write,
    /// `block` with `index`, `iterVar` and `accuVar`.
    fn cel_macro(
        &mut self,
        range: &Range<usize>,
        name: &str,
        name_range: &Range<usize>,
        args: &[ExprId],
    ) -> Option<ExprId> {
        let kind = match name {
            "bind" => self.bind(name_range, args),
            "block" => return Some(self.block(range, name_range, args)),
            "index" => self.numbered(name_range, "index", args, 1),
            "iterVar" => self.numbered(name_range, "iterVar", args, 2),
            "accuVar" => self.numbered(name_range, "accuVar", args, 2),
            _ => return None,
        };
        Some(self.node(range.clone(), kind))
    }

    /// `cel.block([a, b], result)`: each value is known to those behind it as `cel.index(n)`.
    fn block(
        &mut self,
        range: &Range<usize>,
        name_range: &Range<usize>,
        args: &[ExprId],
    ) -> ExprId {
        let values = match args {
            [values, _] => match self.nodes.get(values.0 as usize).map(|node| &node.kind) {
                Some(Kind::List(items)) if items.iter().all(|(_, optional)| !optional) => {
                    Some(items.iter().map(|(id, _)| *id).collect::<Vec<_>>())
                }
                _ => None,
            },
            _ => None,
        };
        let (Some(values), [_, result]) = (values, args) else {
            let message = "`cel.block` takes a list of values and an expression";
            self.found.push(Finding::new(&SYNTAX, name_range.clone(), message));
            return self.node(range.clone(), Kind::Invalid);
        };
        let mut body = *result;
        for (index, value) in values.into_iter().enumerate().rev() {
            let name = format!("@index{index}");
            body = self.node(range.clone(), Kind::Bind { name, value, body });
        }
        body
    }

    /// A name that is written as a call with numbers.
    fn numbered(
        &mut self,
        name_range: &Range<usize>,
        name: &str,
        args: &[ExprId],
        count: usize,
    ) -> Kind {
        let numbers: Vec<String> = args
            .iter()
            .filter_map(|arg| match self.nodes.get(arg.0 as usize).map(|node| &node.kind) {
                Some(Kind::Literal(Literal::Int(number))) => Some(number.to_string()),
                _ => None,
            })
            .collect();
        if numbers.len() == count && args.len() == count {
            return Kind::Ident(format!("@{name}{}", numbers.join(":")));
        }
        let message = format!("`cel.{name}` takes {count} whole numbers");
        self.found.push(Finding::new(&SYNTAX, name_range.clone(), message));
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
            "optMap" => (Comprehension::OptMap, &[2], &[]),
            "optFlatMap" => (Comprehension::OptFlatMap, &[2], &[]),
            _ => return None,
        };
        let count = args.len();
        let pair = two.contains(&count);
        if !pair && !one.contains(&count) {
            // Where its arguments do not parse, that was told.
            if self.found.iter().any(|finding| finding.range.start >= name_range.end) {
                return Some(Kind::Invalid);
            }
            let word = if count == 1 { "argument" } else { "arguments" };
            let message = format!("`{name}` does not take {count} {word}");
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
