//! Names, fields and indices.

use std::ops::Range;
use std::sync::Arc;

use mxcp_policy::ty::{Record, Ty};
use mxcp_schemas::diagnostic::closest;

use super::super::Finding;
use super::super::ast::{ExprId, Kind, Literal};
use super::super::code::{NULLABLE, UNDECLARED_FIELD, UNKNOWN_FIELD, UNKNOWN_NAME, WRONG_TYPES};
use super::Checker;

impl Checker<'_> {
    pub(super) fn ident(&mut self, id: ExprId, name: &str) -> Ty {
        // A leading dot passes over the variables of comprehensions.
        if let Some(local) = self.locals.iter().rev().find(|local| local.name == name) {
            let (ty, shape) = (local.ty.clone(), local.shape.clone());
            if let Some(value) = local.value {
                self.typed.bound.insert(id, value);
            }
            if let Some(shape) = shape {
                self.typed.shapes.insert(id, shape);
            }
            return self.refined(id, ty);
        }
        if let Some(ty) = self.global(id, name) {
            return self.refined(id, ty);
        }
        self.typed.unresolved.insert(id, name.to_owned());
        let finding = self.unknown_name(id, name);
        self.report(finding);
        Ty::Error
    }

    /// The variable or type that a name means outside of comprehensions.
    fn global(&mut self, id: ExprId, name: &str) -> Option<Ty> {
        for full in self.environment.candidates(name) {
            if let Some((slot, ty)) = self.variable(&full) {
                if let Some(slot) = slot {
                    self.typed.inputs.insert(id, slot);
                }
                if let Some(shape) = self.environment.shapes.get(&full) {
                    self.typed.shapes.insert(id, Arc::clone(shape));
                }
                return Some(ty);
            }
            if let Some((denoted, ty)) = type_named(&full) {
                self.typed.type_names.insert(id, denoted);
                return Some(Ty::Type(Box::new(ty)));
            }
        }
        None
    }

    fn unknown_name(&self, id: ExprId, name: &str) -> Finding {
        let names = self.names();
        let message = format!("there is no variable `{name}`");
        let finding = Finding::new(&UNKNOWN_NAME, self.range(id), message);
        if name == "response" {
            return finding
                .help("there is no result before execution; move the policy under `output:`");
        }
        let near_result =
            closest(name, ["response"]).is_some() && self.environment.response.is_none();
        if near_result && self.environment.request {
            return finding.help(
                "did you mean `response`? there is no result before execution; move the policy under `output:`",
            );
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

    /// A type that a guard has narrowed.
    fn refined(&self, id: ExprId, ty: Ty) -> Ty {
        if self.is_known(id) { self.infer.shallow(ty).required() } else { ty }
    }

    pub(super) fn select(
        &mut self,
        id: ExprId,
        operand: ExprId,
        field: &str,
        field_range: Range<usize>,
        optional: bool,
    ) -> Ty {
        // A qualified name of a variable or type, as in `google.protobuf.Timestamp`.
        if !optional
            && let Some(path) = self.qualified(id)
            && let Some(ty) = self.global(id, &path)
        {
            return self.refined(id, ty);
        }
        if let Some(ty) = self.input_field(id, operand, field, &field_range) {
            return if optional { Ty::optional(ty.required()) } else { self.refined(id, ty) };
        }
        let of = self.visit(operand);
        let of = if optional { of.required() } else { self.need(operand, of) };
        let of = self.infer.settle(of);
        let ty = self.field(id, &of, field, &field_range, optional);
        self.field_shape(id, operand, field);
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

    fn field_shape(&mut self, id: ExprId, operand: ExprId, field: &str) {
        let shape = self.typed.shapes.get(&operand).and_then(|shape| shape.fields.get(field));
        if let Some(shape) = shape.cloned() {
            self.typed.shapes.insert(id, shape);
        }
    }

    /// The dotted name that a selection is, unless it begins with a variable of a comprehension.
    fn qualified(&self, id: ExprId) -> Option<String> {
        let (mut parts, mut at) = (Vec::new(), id);
        loop {
            match &self.typed.tree.get(at).kind {
                Kind::Ident(name) => {
                    if self.locals.iter().any(|local| local.name == *name) {
                        return None;
                    }
                    parts.push(name.as_str());
                    parts.reverse();
                    return Some(parts.join("."));
                }
                Kind::Select { operand, field, optional: false, .. } => {
                    parts.push(field);
                    at = *operand;
                }
                _ => return None,
            }
        }
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
                let inner = self.infer.settle((**inner).clone());
                self.field(id, &inner, field, field_range, true)
            }
            Ty::Nullable(inner) => {
                let inner = self.infer.settle((**inner).clone());
                self.field(id, &inner, field, field_range, asked)
            }
            Ty::Record(record) => self.record_field(id, record, field, field_range, asked),
            other => {
                let message = format!("{} has no fields", self.infer.resolve(other));
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
                        .replace(
                            format!("write `{near}`"),
                            field_range.clone(),
                            &if field_range.len() > field.len() {
                                format!("'{near}'")
                            } else {
                                near.to_owned()
                            },
                        ),
                );
            }
            return Ty::Dyn;
        };
        if !declared.required && !asked && !self.is_known(id) {
            let shown = self.typed.tree.source(id).to_owned();
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
        let first = path.split(['.', '[']).next().unwrap_or("");
        let tree = &self.typed.tree;
        if self.locals.iter().any(|local| local.name == first) {
            return finding;
        }
        let title = "make absence restrict".to_owned();
        if matches!(tree.get(tree.root).kind, Kind::Ternary { .. }) {
            let whole = format!("{guard}({})", tree.text);
            return finding.replace(title, 0..tree.text.len(), &whole);
        }
        finding.replace(title, 0..0, guard)
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
        let of = self.infer.settle(of);
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
                self.field_shape(id, operand, &key);
                return if optional { Ty::optional(ty) } else { self.refined(id, ty) };
            }
        }
        let of = self.visit(operand);
        let of = if optional { of.required() } else { self.need(operand, of) };
        let of = self.infer.settle(of);
        let by = self.visit(index);
        let by = self.need(index, by);
        let ty = self.element(operand, index, &of, &by);
        let item = self.typed.shapes.get(&operand).and_then(|shape| shape.items.clone());
        if let Some(item) = item {
            self.typed.shapes.insert(id, item);
        }
        match ty {
            ty @ (Ty::Error | Ty::Optional(_)) if matches!(of, Ty::Optional(_)) => ty,
            ty if optional && ty != Ty::Error => Ty::optional(ty),
            ty => ty,
        }
    }

    fn element(&mut self, operand: ExprId, index: ExprId, of: &Ty, by: &Ty) -> Ty {
        match of {
            Ty::Dyn => Ty::Dyn,
            Ty::Error => Ty::Error,
            Ty::Record(_) => Ty::Dyn,
            Ty::Map(key, value) => {
                self.key(index, by, key);
                (**value).clone()
            }
            Ty::Optional(inner) => {
                let mut inner = self.infer.shallow((**inner).clone());
                if matches!(inner, Ty::Var(_)) {
                    // Nothing is known of what it holds: a list, as far as an index can tell.
                    let list = Ty::list(self.infer.fresh());
                    self.infer.assign(&list, &inner);
                    inner = list;
                }
                match self.element(operand, index, &inner, by) {
                    ty @ (Ty::Optional(_) | Ty::Error) => ty,
                    ty => Ty::optional(ty),
                }
            }
            Ty::List(item) => {
                let number = matches!(by, Ty::Int | Ty::Uint | Ty::Double | Ty::Dyn | Ty::Error);
                if !number && !self.infer.assign(by, &Ty::Int) {
                    let by = self.infer.resolve(by);
                    let message = format!("the index of a list is a number, and this is {by}");
                    self.report(Finding::new(&WRONG_TYPES, self.range(index), message));
                }
                (**item).clone()
            }
            other => {
                let other = self.infer.resolve(other);
                let message = format!("{other} has no elements");
                self.report(Finding::new(&WRONG_TYPES, self.range(operand), message));
                Ty::Error
            }
        }
    }

    fn key(&mut self, index: ExprId, by: &Ty, key: &Ty) {
        if !self.comparable(by, key) {
            let (by, key) = (self.infer.resolve(by), self.infer.resolve(key));
            let message = format!("the keys of this map are of type {key}, and this is {by}");
            self.report(Finding::new(&WRONG_TYPES, self.range(index), message));
        }
    }
}

/// The type that a name denotes: its name at run time, and the type.
fn type_named(name: &str) -> Option<(&'static str, Ty)> {
    Some(match name {
        "bool" => ("bool", Ty::Bool),
        "bytes" => ("bytes", Ty::Bytes),
        "double" => ("double", Ty::Double),
        "google.protobuf.Duration" => ("google.protobuf.Duration", Ty::Duration),
        "google.protobuf.Timestamp" => ("google.protobuf.Timestamp", Ty::Timestamp),
        "int" => ("int", Ty::Int),
        "list" => ("list", Ty::list(Ty::Dyn)),
        "map" => ("map", Ty::map(Ty::Dyn, Ty::Dyn)),
        "null_type" => ("null_type", Ty::Null),
        "optional_type" => ("optional_type", Ty::optional(Ty::Dyn)),
        "string" => ("string", Ty::String),
        "type" => ("type", Ty::Opaque("type".into(), Vec::new())),
        "uint" => ("uint", Ty::Uint),
        _ => return None,
    })
}

pub(super) fn unknown_field(record: &Record, field: &str, range: &Range<usize>) -> Finding {
    let message = format!("`{}` has no field `{field}`", record.name);
    let finding = Finding::new(&UNKNOWN_FIELD, range.clone(), message);
    match closest(field, record.fields.iter().map(|f| f.name.as_str())) {
        // A field's name is its length; anything longer is the name as a text, with its quotes.
        Some(near) => finding.help(format!("did you mean `{near}`?")).replace(
            format!("write `{near}`"),
            range.clone(),
            &if range.len() > field.len() { format!("'{near}'") } else { near.to_owned() },
        ),
        None => {
            let names: Vec<String> =
                record.fields.iter().map(|f| format!("`{}`", f.name)).collect();
            finding.help(format!("it has {}", names.join(", ")))
        }
    }
}
