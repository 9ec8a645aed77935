//! Calls: overload resolution against the function registry.

use std::ops::Range;
use std::sync::Arc;

use mxcp_policy::function::{self, Overload};
use mxcp_policy::ty::Ty;
use mxcp_schemas::bundle::code::{RequestSlot, Slot};

use super::super::Finding;
use super::super::ast::{Binary, ExprId};
use super::super::code::{NULLABLE, UNKNOWN_FUNCTION, WRONG_TYPES};
use super::super::environment::Declaration;
use super::super::lexer::near_function;
use super::Checker;
use super::infer::Infer;

/// Most candidates that an error lists.
const MAX_CANDIDATES: usize = 6;

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
                self.typed.unresolved.insert(id, full);
                return Ty::Timestamp;
            }
            if self.overloads(&full, false).next().is_some() {
                let typed = self.arguments(args);
                return self.resolve(&full, &typed, id, false);
            }
        }
        let mut typed = Vec::with_capacity(args.len() + 1);
        if let Some(target) = target {
            let ty = self.visit(target);
            typed.push((target, self.need(target, ty)));
        }
        typed.extend(self.arguments(args));
        let member = target.is_some();
        let plain = name.trim_start_matches('.');
        let candidates = self.environment.candidates(name);
        let mut candidates = candidates.filter(|full| !full.starts_with(['_', '-']));
        let known = if member {
            Some(plain.to_owned()).filter(|n| self.is_function(n))
        } else {
            candidates.find(|full| self.is_function(full))
        };
        let Some(full) = known else {
            let finding = self.unknown_function(id, target, plain, name_range, &typed);
            self.report(finding);
            self.typed.unresolved.insert(id, name.to_owned());
            return Ty::Error;
        };
        if self.overloads(&full, member).next().is_none() && self.strict {
            let finding = call_style(&full, name_range, member);
            self.report(finding);
            return Ty::Error;
        }
        if full == "matches" {
            self.pattern(args);
        }
        self.resolve(&full, &typed, id, member)
    }

    fn is_bound(&self, path: &str) -> bool {
        let first = path.split('.').next().unwrap_or("");
        self.locals.iter().any(|local| local.name == first)
            || self.environment.params.iter().any(|(n, _)| n == first)
    }

    fn is_function(&self, name: &str) -> bool {
        let usable = !name.contains('_') && name != "@in";
        (usable && function::find(name).is_some())
            || self.environment.functions.iter().any(|f| f.name == name)
    }

    /// The overloads of a function: those of the registry, then those that the environment declares.
    fn overloads(&self, name: &str, member: bool) -> impl Iterator<Item = Candidate<'_>> {
        let built_in = function::find(name).map_or(&[][..], |function| function.overloads);
        let declared = self.environment.functions.iter().filter(move |f| f.member == member);
        let declared: Vec<_> =
            declared.filter(|f| f.name == name).map(Candidate::Declared).collect();
        built_in
            .iter()
            .filter(move |overload| overload.member == member)
            .map(Candidate::BuiltIn)
            .chain(declared)
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
            ("not", None) => {
                finding.help("negation is written `!`").replace("write `!`", name_range, "!")
            }
            ("length" | "lenght" | "len" | "count", None) => {
                finding.help("did you mean `size`?").replace("write `size`", name_range, "size")
            }
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

    /// Resolves an operator.
    pub(super) fn apply(&mut self, name: &str, args: &[(ExprId, Ty)], id: ExprId) -> Ty {
        self.resolve(name, args, id, false)
    }

    /// The overload that takes the arguments; where several do, their results joined.
    fn resolve(&mut self, name: &str, args: &[(ExprId, Ty)], id: ExprId, member: bool) -> Ty {
        let mut types = Vec::with_capacity(args.len());
        for (arg, ty) in args {
            types.push(self.need(*arg, ty.clone()));
        }
        self.typed.functions.insert(id, name.to_owned());
        if !self.strict {
            return Ty::Dyn;
        }
        let environment = self.environment;
        let mut result: Option<Ty> = None;
        if let Some(function) = function::find(name) {
            for overload in function.overloads.iter().filter(|o| o.member == member) {
                self.take_overload(&Candidate::BuiltIn(overload), &types, &mut result);
            }
        }
        for declared in environment.functions.iter().filter(|f| f.name == name) {
            if declared.member == member {
                self.take_overload(&Candidate::Declared(declared), &types, &mut result);
            }
        }
        if let Some(result) = result {
            return result;
        }
        let types: Vec<Ty> = types.iter().map(|ty| self.infer.resolve(ty)).collect();
        if types.contains(&Ty::Error) {
            return Ty::Error;
        }
        let finding = self.no_overload(name, &types, args, id, member);
        self.report(finding);
        Ty::Error
    }

    fn take_overload(&mut self, candidate: &Candidate<'_>, args: &[Ty], result: &mut Option<Ty>) {
        if candidate.arity() != args.len() {
            return;
        }
        let first = self.infer.reserve(candidate.parameters());
        let fits = self.infer.attempt(|infer| {
            args.iter().enumerate().all(|(i, arg)| candidate.fits(i, arg, first, infer))
        });
        if !fits {
            return;
        }
        let ty = self.infer.shallow(candidate.result(first));
        *result = Some(match result.take() {
            None => ty,
            Some(known) if known == ty => known,
            Some(_) => Ty::Dyn,
        });
    }

    fn no_overload(
        &self,
        name: &str,
        types: &[Ty],
        args: &[(ExprId, Ty)],
        id: ExprId,
        member: bool,
    ) -> Finding {
        let listed: Vec<String> = types.iter().map(ToString::to_string).collect();
        let message = match (operator_symbol(name), listed.as_slice()) {
            (Some(symbol), [a, b]) => format!("`{symbol}` does not take {a} and {b}"),
            (Some(symbol), [a]) => format!("`{symbol}` does not take {a}"),
            _ if member => {
                let (of, rest) = listed.split_first().map_or(("", &[][..]), |(f, r)| (f, r));
                format!("`{name}` of {of} does not take ({})", rest.join(", "))
            }
            _ => format!("`{name}` does not take ({})", listed.join(", ")),
        };
        let mut finding = Finding::new(&WRONG_TYPES, self.range(id), message);
        let numbers = |ty: &Ty| matches!(ty, Ty::Int | Ty::Uint | Ty::Double);
        if let [a, b] = types
            && numbers(a)
            && numbers(b)
        {
            let (converted, to) =
                if *a == Ty::Double { (args.get(1), "double") } else { (args.first(), "double") };
            let source = converted.map_or("", |(id, _)| self.typed.tree.source(*id));
            let help = format!("numbers of different types are converted: `{to}({source})`");
            finding = finding.help(help);
        }
        // Those that take one of the arguments are what was meant, if there are any.
        let near = |candidate: &Candidate<'_>| candidate.shares(types);
        let only_near = self.overloads(name, member).any(|candidate| near(&candidate));
        let all: Vec<String> = self
            .overloads(name, member)
            .filter(|candidate| !only_near || near(candidate))
            .map(|candidate| candidate.written(name))
            .collect();
        let (shown, more) = (all.iter().take(MAX_CANDIDATES), all.len() > MAX_CANDIDATES);
        let shown: Vec<String> = shown.map(|one| format!("`{one}`")).collect();
        let rest = if more { " and others (`mxcp eval --functions`)" } else { "" };
        finding = finding.help(format!("candidates are {}{rest}", shown.join(", ")));
        finding
    }

    /// Says that a value is needed here: one that may be null is reported, unless a guard excludes it.
    pub(super) fn need(&mut self, id: ExprId, ty: Ty) -> Ty {
        let Ty::Nullable(inner) = ty else { return ty };
        if self.is_known(id) || !self.told.insert(id) {
            return *inner;
        }
        let shown = self.typed.tree.source(id).to_owned();
        let finding = Finding::new(&NULLABLE, self.range(id), format!("`{shown}` may be null"))
            .help(format!("say what null means: `{shown} == null || …`"));
        let finding = self.restricting(finding, &shown, &format!("{shown} == null || "));
        self.report(finding);
        *inner
    }
}

/// A function that is called on a value and was not, or the other way round.
fn call_style(name: &str, range: Range<usize>, member: bool) -> Finding {
    let (message, help) = if member {
        (format!("`{name}` is not called on a value"), format!("write `{name}(…)`"))
    } else {
        (format!("`{name}` is called on a value"), format!("write `x.{name}(…)`"))
    };
    Finding::new(&WRONG_TYPES, range, message).help(help)
}

/// An overload that may take a call.
enum Candidate<'a> {
    BuiltIn(&'a Overload),
    Declared(&'a Declaration),
}

impl Candidate<'_> {
    fn arity(&self) -> usize {
        match self {
            Self::BuiltIn(overload) => overload.params.len(),
            Self::Declared(declared) => declared.params.len(),
        }
    }

    /// How many type parameters it has at most.
    fn parameters(&self) -> u32 {
        match self {
            Self::BuiltIn(overload) => {
                let all = overload.params.iter().chain([&overload.result]);
                all.map(|sig| sig.parameters()).max().unwrap_or(0)
            }
            Self::Declared(declared) => {
                let all = declared.params.iter().chain([&declared.result]);
                all.map(parameters).max().unwrap_or(0)
            }
        }
    }

    /// Whether an argument fits, its type parameters numbered from `first`.
    fn fits(&self, index: usize, arg: &Ty, first: u32, infer: &mut Infer) -> bool {
        match self {
            Self::BuiltIn(overload) => overload
                .params
                .get(index)
                .is_some_and(|sig| infer.fits(arg, &sig.from_parameter(first))),
            Self::Declared(declared) => {
                declared.params.get(index).is_some_and(|ty| infer.fits(arg, &shifted(ty, first)))
            }
        }
    }

    fn result(&self, first: u32) -> Ty {
        match self {
            Self::BuiltIn(overload) => overload.result.from_parameter(first),
            Self::Declared(declared) => shifted(&declared.result, first),
        }
    }

    /// Whether it wants one of the types at its place.
    fn shares(&self, types: &[Ty]) -> bool {
        self.arity() == types.len()
            && types.iter().enumerate().any(|(i, ty)| match self {
                Self::BuiltIn(overload) => {
                    overload.params.get(i).is_some_and(|wanted| is_kind(&wanted.ty(), ty))
                }
                Self::Declared(declared) => {
                    declared.params.get(i).is_some_and(|wanted| is_kind(wanted, ty))
                }
            })
    }

    /// The signature as people write it.
    fn written(&self, name: &str) -> String {
        match self {
            Self::BuiltIn(overload) => overload.written(name),
            Self::Declared(declared) => {
                let params: Vec<String> = declared.params.iter().map(ToString::to_string).collect();
                format!("{name}({}) -> {}", params.join(", "), declared.result)
            }
        }
    }
}

/// Whether a type is what is wanted, as far as lists and maps go.
fn is_kind(wanted: &Ty, ty: &Ty) -> bool {
    matches!(
        (wanted, ty),
        (Ty::List(_), Ty::List(_))
            | (Ty::Map(..), Ty::Map(..) | Ty::Record(_))
            | (Ty::Optional(_), Ty::Optional(_))
    ) || wanted == ty
}

fn parameters(ty: &Ty) -> u32 {
    match ty {
        Ty::Var(n) => n.saturating_add(1),
        Ty::List(of) | Ty::Optional(of) | Ty::Nullable(of) | Ty::Type(of) => parameters(of),
        Ty::Map(key, value) => parameters(key).max(parameters(value)),
        Ty::Opaque(_, of) => of.iter().map(parameters).max().unwrap_or(0),
        _ => 0,
    }
}

fn shifted(ty: &Ty, first: u32) -> Ty {
    match ty {
        Ty::Var(n) => Ty::Var(first.saturating_add(*n)),
        Ty::List(of) => Ty::list(shifted(of, first)),
        Ty::Optional(of) => Ty::optional(shifted(of, first)),
        Ty::Nullable(of) => shifted(of, first).nullable(),
        Ty::Type(of) => Ty::Type(Box::new(shifted(of, first))),
        Ty::Map(key, value) => Ty::map(shifted(key, first), shifted(value, first)),
        Ty::Opaque(name, of) => {
            Ty::Opaque(Arc::clone(name), of.iter().map(|ty| shifted(ty, first)).collect())
        }
        other => other.clone(),
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
    let known = all.iter().any(|op| op.symbol() == symbol);
    (name.contains('_') && known).then_some(symbol)
}
