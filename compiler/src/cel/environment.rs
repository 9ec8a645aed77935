//! What an expression can see.

use std::collections::BTreeMap;
use std::sync::Arc;

use mxcp_policy::ty::{Field, Record, Ty};
use mxcp_schemas::bundle::code::USER_ATTRIBUTES;

use super::shape::Shape;

/// The variables of an expression. Parameters win over `response` and `request` of the same name.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// the caller; its fields are in slot order
    pub user: Option<Arc<Record>>,
    /// declared parameters, in order; a name may be qualified, as in `a.b`
    pub params: Vec<(String, Ty)>,
    /// the result, where there is one
    pub response: Option<Ty>,
    /// whether `request` and `now()` are there
    pub request: bool,
    /// what is declared about the variables beyond their types, by their names
    pub shapes: BTreeMap<String, Arc<Shape>>,
    /// the namespace that names are looked up in first (CEL specification, "Name Resolution")
    pub container: String,
    /// functions beside those of the registry; they are checked and cannot be evaluated
    pub functions: Vec<Declaration>,
}

/// One overload of a function that an environment declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// its name
    pub name: String,
    /// whether it is called on its first argument
    pub member: bool,
    /// argument types; type parameters are numbered from zero
    pub params: Vec<Ty>,
    /// result type
    pub result: Ty,
}

impl Environment {
    /// The caller's record: built-in attributes, then declared ones, which may be null.
    pub fn user_record(declared: &[(String, Ty)]) -> Arc<Record> {
        let built_in = USER_ATTRIBUTES.iter().map(|name| {
            let ty = match *name {
                "role" => Ty::String,
                "permissions" | "capabilities" | "groups" => Ty::list(Ty::String),
                "claims" => Ty::map(Ty::String, Ty::Dyn),
                _ => Ty::String.nullable(),
            };
            Field { name: (*name).to_owned(), ty, required: true }
        });
        let declared = declared.iter().map(|(name, ty)| Field {
            name: name.clone(),
            ty: ty.clone().nullable(),
            required: true,
        });
        Arc::new(Record {
            name: "user".to_owned(),
            fields: built_in.chain(declared).collect(),
            open: false,
        })
    }

    /// The caller's record where it is not known what is declared: whatever it has may be anything.
    pub fn unknown_user_record() -> Arc<Record> {
        let built_in = Self::user_record(&[]);
        Arc::new(Record { open: true, ..Record::clone(&built_in) })
    }

    /// What `request` is.
    pub fn request_record() -> Arc<Record> {
        let field = |name: &str, ty: Ty| Field { name: name.to_owned(), ty, required: true };
        let client = Arc::new(Record {
            name: "request.client".to_owned(),
            fields: vec![field("ip", Ty::String.nullable())],
            open: false,
        });
        Arc::new(Record {
            name: "request".to_owned(),
            fields: vec![
                field("time", Ty::Timestamp),
                field("tool", Ty::String),
                field("session_id", Ty::String.nullable()),
                field("client", Ty::Record(client)),
            ],
            open: false,
        })
    }

    /// Variables of unknown types, for expressions outside of a project.
    pub fn dynamic(names: impl IntoIterator<Item = String>) -> Self {
        Self { params: names.into_iter().map(|name| (name, Ty::Dyn)).collect(), ..Self::default() }
    }

    /// The full names that a name may mean, in the order in which they are tried: inside the
    /// container, inside what contains that, and so on. A leading dot means the name as it is.
    pub(super) fn candidates<'n>(&self, name: &'n str) -> impl Iterator<Item = String> + use<'n> {
        let mut prefix = match name.strip_prefix('.') {
            Some(_) => None,
            None => Some(self.container.clone()).filter(|container| !container.is_empty()),
        };
        let mut last = Some(name.trim_start_matches('.'));
        std::iter::from_fn(move || match prefix.take() {
            Some(container) => {
                let full = format!("{container}.{name}");
                prefix =
                    container.rfind('.').and_then(|dot| container.get(..dot)).map(str::to_owned);
                Some(full)
            }
            None => last.take().map(str::to_owned),
        })
    }
}
