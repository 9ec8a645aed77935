//! Calls: overload resolution against the function registry.

use std::collections::HashMap;
use std::ops::Range;

use mxcp_policy::function::{self, Function, Overload};
use mxcp_policy::ty::Ty;
use mxcp_schemas::bundle::code::{RequestSlot, Slot};

use super::super::Finding;
use super::super::ast::{Binary, ExprId, Kind, Literal};
use super::super::code::{NULLABLE, PATTERN, UNKNOWN_FUNCTION, WRONG_TYPES};
use super::super::lexer::near_function;
use super::{Checker, join};

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        id: ExprId,
        target: Option<ExprId>,
        name: &str,
        name_range: Range<usize>,
        args: &[ExprId],
    ) -> Ty {
        if target.is_none() && name == "now" && args.is_empty() && self.environment.request {
            self.typed.inputs.insert(id, Slot::Request(RequestSlot::Time));
            return Ty::Timestamp;
        }
        // `math.greatest(…)`: a namespace, unless a variable has that name.
        if let Some(target) = target
            && let Some(path) = self.typed.tree.path(target)
            && !self.is_bound(&path)
        {
            let full = format!("{path}.{name}");
            if full == "timestamp.now" {
                self.report(
                    Finding::new(
                        &UNKNOWN_FUNCTION,
                        self.range(id),
                        "there is no function `timestamp.now`",
                    )
                    .help("the time of the call is `now()`")
                    .replace("write `now()`", self.range(id), "now()"),
                );
                return Ty::Timestamp;
            }
            if let Some(function) = function::find(&full) {
                let typed = self.arguments(args);
                return self.resolve(function, &typed, id, false);
            }
        }
        let mut typed = Vec::with_capacity(args.len() + 1);
        if let Some(target) = target {
            let ty = self.visit(target);
            typed.push((target, self.need(target, ty)));
        }
        typed.extend(self.arguments(args));
        let Some(function) = function::find(name).filter(|_| !name.contains(['_', '@'])) else {
            let finding = self.unknown_function(id, target, name, name_range, &typed);
            self.report(finding);
            return Ty::Error;
        };
        let member = target.is_some();
        if !function.overloads.iter().any(|o| o.member == member) {
            let message = if member {
                format!("`{name}` is not called on a value")
            } else {
                format!("`{name}` is called on a value")
            };
            let help = if member {
                format!("write `{name}(…)`")
            } else {
                format!("write `x.{name}(…)`")
            };
            self.report(Finding::new(&WRONG_TYPES, name_range, message).help(help));
            return Ty::Error;
        }
        if name == "matches" {
            self.pattern(args);
        }
        self.resolve(function, &typed, id, member)
    }

    fn is_bound(&self, path: &str) -> bool {
        let first = path.split('.').next().unwrap_or("");
        self.locals.iter().any(|(n, _)| n == first)
            || self.environment.params.iter().any(|(n, _)| n == first)
    }

    fn arguments(&mut self, args: &[ExprId]) -> Vec<(ExprId, Ty)> {
        args.iter()
            .map(|arg| {
                let ty = self.visit(*arg);
                (*arg, ty)
            })
            .collect()
    }

    fn unknown_function(
        &self,
        id: ExprId,
        target: Option<ExprId>,
        name: &str,
        name_range: Range<usize>,
        typed: &[(ExprId, Ty)],
    ) -> Finding {
        let message = format!("there is no function `{name}`");
        let finding = Finding::new(&UNKNOWN_FUNCTION, name_range.clone(), message);
        let tree = &self.typed.tree;
        let of = typed.first().map(|(_, ty)| ty);
        match (name, target) {
            ("getDays", Some(target)) if matches!(of, Some(Ty::Duration | Ty::Dyn)) => {
                let inner = tree.source(target);
                finding
                    .help(format!("compare durations instead: `{inner} > duration('720h')` is more than 30 days"))
                    .help(format!("in hours it is `{inner}.getHours()`"))
            }
            ("length" | "len" | "count", Some(target)) => {
                let meant = format!("size({})", tree.source(target));
                finding.help(format!("write `{meant}`")).replace(
                    format!("write `{meant}`"),
                    tree.get(id).range.clone(),
                    &meant,
                )
            }
            ("toLowerCase" | "lower" | "toLower", Some(_)) => {
                finding.help("did you mean `lowerAscii`?")
            }
            ("toUpperCase" | "upper" | "toUpper", Some(_)) => {
                finding.help("did you mean `upperAscii`?")
            }
            ("includes", Some(_)) => finding.help("write `x in list`, or `text.contains(x)`"),
            ("any", Some(_)) => finding.help("did you mean `exists`?"),
            ("now", None) => finding.help("the time is not known here"),
            _ => match near_function(name) {
                Some(near) => finding.help(format!("did you mean `{near}`?")).replace(
                    format!("write `{near}`"),
                    name_range,
                    near,
                ),
                None => finding.help("`mxcp eval --functions` lists all functions"),
            },
        }
    }

    /// Resolves a named operator.
    pub(super) fn apply(
        &mut self,
        name: &str,
        args: &[(ExprId, Ty)],
        id: ExprId,
        member: bool,
    ) -> Ty {
        match function::find(name) {
            Some(function) => self.resolve(function, args, id, member),
            None => Ty::Error,
        }
    }

    fn resolve(
        &mut self,
        function: &'static Function,
        args: &[(ExprId, Ty)],
        id: ExprId,
        member: bool,
    ) -> Ty {
        let mut types = Vec::with_capacity(args.len());
        for (arg, ty) in args {
            types.push(self.need(*arg, ty.clone()));
        }
        self.typed.functions.insert(id, function.name.to_owned());
        let mut result: Option<Ty> = None;
        for overload in function.overloads.iter().filter(|o| o.member == member) {
            if let Some(ty) = instantiate(overload, &types) {
                result = Some(
                    result.map_or(ty.clone(), |known| if known == ty { known } else { Ty::Dyn }),
                );
            }
        }
        if let Some(result) = result {
            return result;
        }
        if types.contains(&Ty::Error) {
            return Ty::Error;
        }
        let finding = self.no_overload(function, &types, args, id, member);
        self.report(finding);
        Ty::Error
    }

    fn no_overload(
        &self,
        function: &Function,
        types: &[Ty],
        args: &[(ExprId, Ty)],
        id: ExprId,
        member: bool,
    ) -> Finding {
        let listed: Vec<String> = types.iter().map(ToString::to_string).collect();
        let message = match (operator_symbol(function.name), listed.as_slice()) {
            (Some(symbol), [a, b]) => format!("`{symbol}` does not take {a} and {b}"),
            (Some(symbol), [a]) => format!("`{symbol}` does not take {a}"),
            _ if member => {
                let (of, rest) = listed.split_first().map_or(("", &[][..]), |(f, r)| (f, r));
                format!("`{}` of {of} does not take ({})", function.name, rest.join(", "))
            }
            _ => format!("`{}` does not take ({})", function.name, listed.join(", ")),
        };
        let mut finding = Finding::new(&WRONG_TYPES, self.range(id), message);
        let numbers = |ty: &Ty| matches!(ty, Ty::Int | Ty::Uint | Ty::Double);
        if let [a, b] = types
            && numbers(a)
            && numbers(b)
        {
            let (id, to) =
                if *a == Ty::Double { (args.get(1), "double") } else { (args.first(), "double") };
            let source = id.map_or("", |(id, _)| self.typed.tree.source(*id));
            return finding
                .help(format!("numbers of different types are converted: `{to}({source})`"));
        }
        let signatures: Vec<String> = function
            .overloads
            .iter()
            .filter(|o| o.member == member)
            .take(6)
            .map(|o| {
                let params: Vec<String> = o.params.iter().map(|p| p.ty().to_string()).collect();
                format!("({})", params.join(", "))
            })
            .collect();
        finding = finding.help(format!("it takes {}", signatures.join(", ")));
        finding
    }

    /// A literal pattern is compiled here, so that a malformed one is a build error.
    fn pattern(&mut self, args: &[ExprId]) {
        let Some(last) = args.last().copied() else { return };
        let Kind::Literal(Literal::String(text)) = self.typed.tree.get(last).kind.clone() else {
            return;
        };
        if let Err(error) = function::compile_pattern(&text) {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or("").trim_start_matches("error: ");
            let message = format!("`{text}` is no regular expression: {reason}");
            self.report(Finding::new(&PATTERN, self.range(last), message));
        }
    }

    /// Says that a value is needed here: one that may be null is reported, unless a guard excludes it.
    pub(super) fn need(&mut self, id: ExprId, ty: Ty) -> Ty {
        let Ty::Nullable(inner) = ty else { return ty };
        let path = self.typed.tree.path(id);
        if path.as_ref().is_some_and(|path| self.known.contains(path)) {
            return *inner;
        }
        let already = self.found.iter().any(|f| f.code == &NULLABLE && f.range == self.range(id));
        if already {
            return *inner;
        }
        let shown = path.unwrap_or_else(|| self.typed.tree.source(id).to_owned());
        let finding = Finding::new(&NULLABLE, self.range(id), format!("`{shown}` may be null"))
            .help(format!("say what null means: `{shown} == null || …`"));
        let finding = self.restricting(finding, &shown, &format!("{shown} == null || "));
        self.report(finding);
        *inner
    }
}

fn operator_symbol(name: &str) -> Option<&str> {
    let symbol = name.trim_matches('_');
    let all = [
        Binary::Less,
        Binary::LessEqual,
        Binary::Greater,
        Binary::GreaterEqual,
        Binary::Add,
        Binary::Subtract,
        Binary::Multiply,
        Binary::Divide,
        Binary::Modulo,
    ];
    (name.contains('_') && all.iter().any(|op| op.symbol() == symbol)).then_some(symbol)
}

/// The result type of an overload for these arguments, if it takes them.
fn instantiate(overload: &Overload, args: &[Ty]) -> Option<Ty> {
    if overload.params.len() != args.len() {
        return None;
    }
    let mut bound = HashMap::new();
    let fits = overload.params.iter().zip(args).all(|(p, a)| unify(&p.ty(), a, &mut bound));
    fits.then(|| substitute(&overload.result.ty(), &bound))
}

fn unify(param: &Ty, arg: &Ty, bound: &mut HashMap<u32, Ty>) -> bool {
    match (param, arg) {
        (_, Ty::Dyn | Ty::Error) | (Ty::Dyn, _) => true,
        (Ty::Var(n), arg) => {
            let known = bound.remove(n);
            let joined = known.map_or(arg.clone(), |known| join(known, arg.clone()));
            bound.insert(*n, joined);
            true
        }
        (Ty::List(p), Ty::List(a)) | (Ty::Optional(p), Ty::Optional(a)) => unify(p, a, bound),
        (Ty::Map(pk, pv), Ty::Map(ak, av)) => unify(pk, ak, bound) && unify(pv, av, bound),
        (Ty::Map(pk, _), Ty::Record(_)) => unify(pk, &Ty::String, bound),
        (Ty::Type(_), Ty::Type(_)) => true,
        (param, Ty::Nullable(inner)) => unify(param, inner, bound),
        (param, arg) => param == arg,
    }
}

fn substitute(ty: &Ty, bound: &HashMap<u32, Ty>) -> Ty {
    match ty {
        Ty::Var(n) => bound.get(n).cloned().unwrap_or(Ty::Dyn),
        Ty::List(inner) => Ty::list(substitute(inner, bound)),
        Ty::Optional(inner) => Ty::optional(substitute(inner, bound)),
        Ty::Map(key, value) => Ty::map(substitute(key, bound), substitute(value, bound)),
        Ty::Type(inner) => Ty::Type(Box::new(substitute(inner, bound))),
        other => other.clone(),
    }
}
