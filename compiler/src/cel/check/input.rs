//! Which input a name stands for.

use std::ops::Range;
use std::sync::Arc;

use mxcp_policy::ty::{Record, Ty};
use mxcp_schemas::bundle::code::{RequestSlot, Slot};
use mxcp_schemas::diagnostic::closest;

use super::super::ast::ExprId;
use super::super::code::UNKNOWN_FIELD;
use super::super::{Environment, Finding};
use super::Checker;
use super::name::unknown_field;

impl Checker<'_> {
    pub(super) fn names(&self) -> Vec<String> {
        let env = self.environment;
        let mut names: Vec<String> = self.locals.iter().map(|local| local.name.clone()).collect();
        names.extend(env.user.as_ref().map(|_| "user".to_owned()));
        names.extend(env.params.iter().map(|(n, _)| n.clone()));
        names.extend(env.response.as_ref().map(|_| "response".to_owned()));
        names.extend(env.request.then(|| "request".to_owned()));
        names
    }

    /// The slot and type of a variable. `params` and `request` as a whole have no slot.
    pub(super) fn variable(&self, name: &str) -> Option<(Option<Slot>, Ty)> {
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

    /// A field of `user`, `params`, `request` or `request.client`: an input of its own.
    pub(super) fn input_field(
        &mut self,
        id: ExprId,
        operand: ExprId,
        field: &str,
        field_range: &Range<usize>,
    ) -> Option<Ty> {
        let root = self.root_of(operand)?;
        let (slot, ty) = match self.input(&root, field, field_range) {
            Ok(Some(input)) => input,
            Ok(None) => return Some(Ty::Record(client_record())),
            Err(finding) => {
                self.typed.unresolved.insert(id, format!("{root}.{field}"));
                self.report(*finding);
                return Some(Ty::Error);
            }
        };
        self.typed.inputs.insert(id, slot);
        let shapes = &self.environment.shapes;
        let shape = match root.as_str() {
            "params" => shapes.get(field),
            _ => shapes.get(&root).and_then(|shape| shape.fields.get(field)),
        };
        if let Some(shape) = shape {
            self.typed.shapes.insert(id, Arc::clone(shape));
        }
        Some(ty)
    }

    /// The slot and type of a field of a group of inputs; `request.client` has none itself.
    fn input(
        &self,
        root: &str,
        field: &str,
        range: &Range<usize>,
    ) -> Result<Option<(Slot, Ty)>, Box<Finding>> {
        let request = |slot, ty| Ok(Some((Slot::Request(slot), ty)));
        match (root, field) {
            ("user", _) => self.user_field(field, range).map(Some),
            ("params", _) => self.param_field(field, range).map(Some),
            ("request", "time") => request(RequestSlot::Time, Ty::Timestamp),
            ("request", "tool") => request(RequestSlot::Tool, Ty::String),
            ("request", "session_id") => request(RequestSlot::SessionId, Ty::String.nullable()),
            ("request", "client") => Ok(None),
            ("request", _) => {
                Err(Box::new(unknown_field(&Environment::request_record(), field, range)))
            }
            (_, "ip") => request(RequestSlot::ClientIp, Ty::String.nullable()),
            _ => Err(Box::new(unknown_field(&client_record(), field, range))),
        }
    }

    fn user_field(&self, field: &str, range: &Range<usize>) -> Result<(Slot, Ty), Box<Finding>> {
        let fields = self.environment.user.as_ref().map_or(&[][..], |record| &record.fields);
        let name = if field == "id" { "user_id" } else { field };
        let slot = |name: &str| fields.iter().zip(0_u16..).find(|(known, _)| known.name == name);
        match (slot(name), &self.environment.user) {
            (Some((known, index)), _) => Ok((Slot::User(index), known.ty.clone())),
            // Of any place: where declarations are not known, no code is made.
            (None, Some(record)) if record.open => Ok((Slot::User(0), Ty::Dyn)),
            (None, Some(record)) => Err(Box::new(unknown_field(record, field, range).help(
                "declare it under `policy.user_attributes` in the site file, or use `user.claims`",
            ))),
            (None, None) => {
                let message = format!("there is no attribute `{field}`");
                Err(Box::new(Finding::new(&UNKNOWN_FIELD, range.clone(), message)))
            }
        }
    }

    fn param_field(&self, field: &str, range: &Range<usize>) -> Result<(Slot, Ty), Box<Finding>> {
        let params = &self.environment.params;
        let found = params.iter().zip(0_u16..).find(|((name, _), _)| name == field);
        if let Some(((_, ty), index)) = found {
            return Ok((Slot::Param(index), ty.clone()));
        }
        let message = format!("there is no parameter `{field}`");
        let finding = Finding::new(&UNKNOWN_FIELD, range.clone(), message);
        Err(Box::new(match closest(field, params.iter().map(|(name, _)| name.as_str())) {
            // What is longer than the name is the name as a text, with its quotes.
            Some(near) => finding.help(format!("did you mean `{near}`?")).replace(
                format!("write `{near}`"),
                range.clone(),
                &if range.len() > field.len() { format!("'{near}'") } else { near.to_owned() },
            ),
            None => {
                let names: Vec<String> =
                    params.iter().map(|(name, _)| format!("`{name}`")).collect();
                finding.help(format!("parameters are {}", names.join(", ")))
            }
        }))
    }

    /// Which group of inputs a node names, if any.
    fn root_of(&self, id: ExprId) -> Option<String> {
        let path = self.typed.tree.path(id)?;
        let first = path.split('.').next().unwrap_or("");
        let shadowed = self.locals.iter().any(|local| local.name == first)
            || self.environment.params.iter().any(|(n, _)| n == first);
        let known = match path.as_str() {
            "user" => self.environment.user.is_some(),
            "params" => !self.environment.params.is_empty(),
            "request" | "request.client" => self.environment.request,
            _ => false,
        };
        (known && !shadowed).then_some(path)
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
