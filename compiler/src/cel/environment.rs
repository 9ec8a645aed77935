//! What an expression can see.

use std::sync::Arc;

use mxcp_policy::ty::{Field, Record, Ty};
use mxcp_schemas::bundle::code::USER_ATTRIBUTES;

/// The variables of an expression. Parameters win over `response` and `request` of the same name.
#[derive(Debug, Clone)]
pub struct Environment {
    /// the caller; its fields are in slot order
    pub user: Option<Arc<Record>>,
    /// declared parameters, in order
    pub params: Vec<(String, Ty)>,
    /// the result, where there is one
    pub response: Option<Ty>,
    /// whether `request` and `now()` are there
    pub request: bool,
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
        Self {
            user: None,
            params: names.into_iter().map(|name| (name, Ty::Dyn)).collect(),
            response: None,
            request: false,
        }
    }
}
