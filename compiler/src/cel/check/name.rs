//! Names, fields and indices.

use std::ops::Range;
use std::sync::Arc;

use mxcp_policy::ty::{Record, Ty};
use mxcp_schemas::bundle::code::{RequestSlot, Slot};
use mxcp_schemas::diagnostic::closest;

use super::super::ast::{ExprId, Kind, Literal};
use super::super::code::{NULLABLE, UNDECLARED_FIELD, UNKNOWN_FIELD, UNKNOWN_NAME, WRONG_TYPES};
use super::super::{Environment, Finding};
use super::Checker;

/// Types that can be named in an expression.
const TYPES: [(&str, &str); 12] = [
    ("bool", "bool"),
    ("bytes", "bytes"),
    ("double", "double"),
    ("google.protobuf.Duration", "google.protobuf.Duration"),
    ("google.protobuf.Timestamp", "google.protobuf.Timestamp"),
    ("int", "int"),
    ("list", "list"),
    ("map", "map"),
    ("null_type", "null_type"),
    ("string", "string"),
    ("type", "type"),
    ("uint", "uint"),
];

impl Checker<'_> {
    pub(super) fn ident(&mut self, id: ExprId, name: &str) -> Ty {
        if let Some((_, ty)) = self.locals.iter().rev().find(|(local, _)| local == name) {
            return ty.clone();
        }
        if let Some((slot, ty)) = self.variable(name) {
            if let Some(slot) = slot {
                self.typed.inputs.insert(id, slot);
            }
            return self.refined(id, ty);
        }
        if let Some((_, denoted)) = TYPES.iter().find(|(known, _)| *known == name) {
            self.typed.type_names.insert(id, denoted);
            return Ty::Type(Box::new(Ty::Dyn));
        }
        let finding = self.unknown_name(id, name);
        self.report(finding);
        Ty::Error
    }

    fn unknown_name(&self, id: ExprId, name: &str) -> Finding {
        let names = self.names();
        let message = format!("there is no variable `{name}`");
        let finding = Finding::new(&UNKNOWN_NAME, self.range(id), message);
        if name == "response" {
            return finding
                .help("there is no result before execution; move the policy under `output:`");
        }
        if name == "timestamp" {
            return finding.help("the time of the call is `now()`");
        }
        match closest(name, names.iter().map(String::as_str)) {
            Some(near) => finding.help(format!("did you mean `{near}`?")).replace(
                format!("write `{near}`"),
                self.range(id),
                near,
            ),
            None => {
                let quoted = names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
                finding.help(format!("variables are {quoted}; texts need quotes: `'{name}'`"))
            }
        }
    }

    fn names(&self) -> Vec<String> {
        let env = self.environment;
        let mut names: Vec<String> = self.locals.iter().map(|(n, _)| n.clone()).collect();
        names.extend(env.user.as_ref().map(|_| "user".to_owned()));
        names.extend(env.params.iter().map(|(n, _)| n.clone()));
        names.extend(env.response.as_ref().map(|_| "response".to_owned()));
        names.extend(env.request.then(|| "request".to_owned()));
        names
    }

    /// The slot and type of a variable. `params` and `request` as a whole have no slot.
    fn variable(&self, name: &str) -> Option<(Option<Slot>, Ty)> {
        let env = self.environment;
        let param = env.params.iter().position(|(known, _)| known == name);
        if let Some(index) = param {
            let ty = env.params.get(index).map_or(Ty::Dyn, |(_, ty)| ty.clone());
            return Some((u16::try_from(index).ok().map(Slot::Param), ty));
        }
        match name {
            "user" => env.user.as_ref().map(|r| (Some(Slot::UserMap), Ty::Record(Arc::clone(r)))),
            "response" => env.response.as_ref().map(|ty| (Some(Slot::Response), ty.clone())),
            "request" if env.request => Some((None, Ty::Record(Environment::request_record()))),
            "params" if !env.params.is_empty() => {
                let record = Record { name: "params".to_owned(), fields: Vec::new(), open: true };
                Some((None, Ty::Record(Arc::new(record))))
            }
            _ => None,
        }
    }

    /// A type that a guard has narrowed.
    fn refined(&self, id: ExprId, ty: Ty) -> Ty {
        let known = self.typed.tree.path(id).is_some_and(|path| self.known.contains(&path));
        if known { ty.required() } else { ty }
    }

    pub(super) fn select(
        &mut self,
        id: ExprId,
        operand: ExprId,
        field: &str,
        field_range: Range<usize>,
        optional: bool,
    ) -> Ty {
        // A qualified type name, as in `google.protobuf.Timestamp`.
        if let Some(path) = self.typed.tree.path(id)
            && let Some((_, denoted)) = TYPES.iter().find(|(known, _)| *known == path)
            && !self.is_variable(&path)
        {
            self.typed.type_names.insert(id, denoted);
            return Ty::Type(Box::new(Ty::Dyn));
        }
        if let Some(ty) = self.input_field(id, operand, field, &field_range) {
            return if optional { Ty::optional(ty.required()) } else { self.refined(id, ty) };
        }
        let of = self.visit(operand);
        let of = if optional { of.required() } else { self.need(operand, of) };
        let ty = self.field(id, &of, field, &field_range, optional);
        let ty = if optional || matches!(of, Ty::Optional(_)) {
            match ty {
                Ty::Optional(_) | Ty::Error => ty,
                other => Ty::optional(other),
            }
        } else {
            ty
        };
        self.refined(id, ty)
    }

    fn is_variable(&self, path: &str) -> bool {
        let first = path.split('.').next().unwrap_or("");
        self.locals.iter().any(|(n, _)| n == first) || self.variable(first).is_some()
    }

    /// A field of `user`, `params`, `request` or `request.client`: an input of its own.
    fn input_field(
        &mut self,
        id: ExprId,
        operand: ExprId,
        field: &str,
        field_range: &Range<usize>,
    ) -> Option<Ty> {
        let root = self.root_of(operand)?;
        let (slot, ty) = match root.as_str() {
            "user" => {
                let record = self.environment.user.clone()?;
                let name = if field == "id" { "user_id" } else { field };
                match record.fields.iter().position(|f| f.name == name) {
                    Some(index) => {
                        let ty = record.fields.get(index).map_or(Ty::Dyn, |f| f.ty.clone());
                        (Slot::User(u16::try_from(index).ok()?), ty)
                    }
                    None => {
                        let finding = unknown_field(&record, field, field_range)
                            .help("declare it under `policy.user_attributes` in the site file, or use `user.claims`");
                        self.report(finding);
                        return Some(Ty::Error);
                    }
                }
            }
            "params" => {
                let index = self.environment.params.iter().position(|(n, _)| n == field);
                let Some(index) = index else {
                    let known = self.environment.params.iter().map(|(n, _)| n.as_str());
                    let near = closest(field, known).map(str::to_owned);
                    let message = format!("there is no parameter `{field}`");
                    let mut finding = Finding::new(&UNKNOWN_FIELD, field_range.clone(), message);
                    if let Some(near) = near {
                        finding = finding.help(format!("did you mean `{near}`?"));
                    }
                    self.report(finding);
                    return Some(Ty::Error);
                };
                let ty = self.environment.params.get(index).map_or(Ty::Dyn, |(_, ty)| ty.clone());
                (Slot::Param(u16::try_from(index).ok()?), ty)
            }
            "request" => {
                let (slot, ty) = match field {
                    "time" => (RequestSlot::Time, Ty::Timestamp),
                    "tool" => (RequestSlot::Tool, Ty::String),
                    "session_id" => (RequestSlot::SessionId, Ty::String.nullable()),
                    "client" => return Some(Ty::Record(client_record())),
                    _ => {
                        let record = Environment::request_record();
                        self.report(unknown_field(&record, field, field_range));
                        return Some(Ty::Error);
                    }
                };
                (Slot::Request(slot), ty)
            }
            "request.client" => {
                if field != "ip" {
                    self.report(unknown_field(&client_record(), field, field_range));
                    return Some(Ty::Error);
                }
                (Slot::Request(RequestSlot::ClientIp), Ty::String.nullable())
            }
            _ => return None,
        };
        self.typed.inputs.insert(id, slot);
        Some(ty)
    }

    /// Which group of inputs a node names, if any.
    fn root_of(&self, id: ExprId) -> Option<String> {
        let path = self.typed.tree.path(id)?;
        let first = path.split('.').next().unwrap_or("");
        let shadowed = self.locals.iter().any(|(n, _)| n == first)
            || self.environment.params.iter().any(|(n, _)| n == first);
        let known = match path.as_str() {
            "user" => self.environment.user.is_some(),
            "params" => !self.environment.params.is_empty(),
            "request" | "request.client" => self.environment.request,
            _ => false,
        };
        (known && !shadowed).then_some(path)
    }

    fn field(
        &mut self,
        id: ExprId,
        of: &Ty,
        field: &str,
        field_range: &Range<usize>,
        asked: bool,
    ) -> Ty {
        match of {
            Ty::Dyn => Ty::Dyn,
            Ty::Error => Ty::Error,
            Ty::Map(_, value) => (**value).clone(),
            Ty::Optional(inner) => {
                let inner = (**inner).clone();
                self.field(id, &inner, field, field_range, true)
            }
            Ty::Nullable(inner) => {
                let inner = (**inner).clone();
                self.field(id, &inner, field, field_range, asked)
            }
            Ty::Record(record) => self.record_field(id, record, field, field_range, asked),
            other => {
                let message = format!("{other} has no fields");
                let mut finding = Finding::new(&WRONG_TYPES, field_range.clone(), message);
                finding = match (other, field) {
                    (Ty::String | Ty::List(_), "length" | "size" | "len" | "count") => {
                        finding.help("its size is `size(…)`")
                    }
                    (Ty::List(_), _) => {
                        finding.help(format!("ask each item: `….exists(x, x.{field} == …)`"))
                    }
                    _ => finding,
                };
                self.report(finding);
                Ty::Error
            }
        }
    }

    fn record_field(
        &mut self,
        id: ExprId,
        record: &Arc<Record>,
        field: &str,
        field_range: &Range<usize>,
        asked: bool,
    ) -> Ty {
        let Some(declared) = record.fields.iter().find(|f| f.name == field) else {
            if !record.open {
                self.report(unknown_field(record, field, field_range));
                return Ty::Error;
            }
            let near = closest(field, record.fields.iter().map(|f| f.name.as_str()));
            if let Some(near) = near {
                let message = format!("`{}` declares no field `{field}`", record.name);
                self.report(
                    Finding::new(&UNDECLARED_FIELD, field_range.clone(), message)
                        .help(format!("did you mean `{near}`?"))
                        .replace(format!("write `{near}`"), field_range.clone(), near),
                );
            }
            return Ty::Dyn;
        };
        let path = self.typed.tree.path(id);
        let known = path.as_ref().is_some_and(|path| self.known.contains(path));
        if !declared.required && !asked && !known {
            let shown = path.unwrap_or_else(|| self.typed.tree.source(id).to_owned());
            let finding =
                Finding::new(&NULLABLE, self.range(id), format!("`{shown}` may be absent"))
                    .help(format!("say what absence means: `!has({shown}) || …`"));
            let finding = self.restricting(finding, &shown, &format!("!has({shown}) || "));
            self.report(finding);
        }
        declared.ty.clone()
    }

    /// Offers to put a guard in front of the whole condition, where the path is known there.
    pub(super) fn restricting(&self, finding: Finding, path: &str, guard: &str) -> Finding {
        let first = path.split('.').next().unwrap_or("");
        if self.locals.iter().any(|(name, _)| name == first) {
            return finding;
        }
        finding.replace("make absence restrict".to_owned(), 0..0, guard)
    }

    pub(super) fn has(
        &mut self,
        id: ExprId,
        operand: ExprId,
        field: &str,
        field_range: Range<usize>,
    ) -> Ty {
        if self.input_field(id, operand, field, &field_range).is_some() {
            if let Some(slot) = self.typed.inputs.remove(&id) {
                self.typed.presence.insert(id, slot);
            }
            return Ty::Bool;
        }
        let of = self.visit(operand);
        let of = self.need(operand, of);
        self.field(id, &of, field, &field_range, true);
        Ty::Bool
    }

    pub(super) fn index(
        &mut self,
        id: ExprId,
        operand: ExprId,
        index: ExprId,
        optional: bool,
    ) -> Ty {
        let literal = match &self.typed.tree.get(index).kind {
            Kind::Literal(Literal::String(key)) => Some(key.clone()),
            _ => None,
        };
        if let Some(key) = literal {
            let range = self.range(index);
            if let Some(ty) = self.input_field(id, operand, &key, &range) {
                self.visit(index);
                return if optional { Ty::optional(ty.required()) } else { self.refined(id, ty) };
            }
            let of = self.visit(operand);
            if matches!(of.clone().required(), Ty::Record(_)) {
                self.visit(index);
                let of = self.need(operand, of);
                let ty = self.field(id, &of, &key, &range, optional);
                return if optional { Ty::optional(ty) } else { self.refined(id, ty) };
            }
        }
        let of = self.visit(operand);
        let of = if optional { of.required() } else { self.need(operand, of) };
        let by = self.visit(index);
        let by = self.need(index, by);
        let ty = self.element(operand, index, &of, &by);
        if optional && !matches!(ty, Ty::Error) { Ty::optional(ty) } else { ty }
    }

    fn element(&mut self, operand: ExprId, index: ExprId, of: &Ty, by: &Ty) -> Ty {
        match of {
            Ty::Dyn => Ty::Dyn,
            Ty::Error => Ty::Error,
            Ty::Record(_) => Ty::Dyn,
            Ty::Map(_, value) => (**value).clone(),
            Ty::Optional(inner) => Ty::optional(self.element(operand, index, inner, by)),
            Ty::List(item) => {
                if !matches!(by, Ty::Int | Ty::Uint | Ty::Double | Ty::Dyn | Ty::Error) {
                    let message = format!("the index of a list is a number, and this is {by}");
                    self.report(Finding::new(&WRONG_TYPES, self.range(index), message));
                }
                (**item).clone()
            }
            other => {
                let message = format!("{other} has no elements");
                self.report(Finding::new(&WRONG_TYPES, self.range(operand), message));
                Ty::Error
            }
        }
    }
}

fn client_record() -> Arc<Record> {
    let request = Environment::request_record();
    let client = request.fields.iter().find_map(|f| match &f.ty {
        Ty::Record(record) => Some(Arc::clone(record)),
        _ => None,
    });
    client.unwrap_or(request)
}

fn unknown_field(record: &Record, field: &str, range: &Range<usize>) -> Finding {
    let message = format!("`{}` has no field `{field}`", record.name);
    let finding = Finding::new(&UNKNOWN_FIELD, range.clone(), message);
    match closest(field, record.fields.iter().map(|f| f.name.as_str())) {
        Some(near) => finding.help(format!("did you mean `{near}`?")).replace(
            format!("write `{near}`"),
            range.clone(),
            near,
        ),
        None => {
            let names: Vec<String> =
                record.fields.iter().map(|f| format!("`{}`", f.name)).collect();
            finding.help(format!("it has {}", names.join(", ")))
        }
    }
}
