//! Endpoints, their types and their policies as they stand in a bundle.

use rkyv::{Archive, Deserialize, Serialize};

use super::code::Program;
use super::plan::Plan;
use crate::yaml::MAX_DEPTH;

/// An index into [`Types::nodes`].
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeId(pub u32);

/// All declared types of a project, children before their parents.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
pub struct Types {
    /// The nodes; a node refers only to nodes before itself.
    pub nodes: Vec<Type>,
}

impl Types {
    /// The first type that refers to one that does not stand before it, or that is nested deeper than a
    /// document can be. Whoever follows types would find no end, or go too deep.
    pub fn damaged(&self) -> Option<TypeId> {
        let mut depths: Vec<usize> = Vec::with_capacity(self.nodes.len());
        for (id, node) in (0..).map(TypeId).zip(&self.nodes) {
            let below = |part: TypeId| depths.get(usize::try_from(part.0).ok()?).copied();
            let deepest = match &node.kind {
                TypeKind::Array { items: Some(items), .. } => below(*items),
                TypeKind::Object { properties, .. } => {
                    properties.iter().try_fold(0, |most, p| Some(below(p.ty)?.max(most)))
                }
                _ => Some(0),
            };
            match deepest.map(|deepest| deepest + 1).filter(|depth| *depth <= MAX_DEPTH) {
                Some(depth) => depths.push(depth),
                None => return Some(id),
            }
        }
        None
    }
}

/// A declared type: of a parameter, a field, an item or a result.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
pub struct Type {
    /// Its shape.
    pub kind: TypeKind,
    /// Whether values are redacted, and removed by `filter_sensitive_fields`.
    pub sensitive: bool,
    /// The only values allowed, as JSON texts; empty allows all.
    pub choices: Vec<String>,
}

/// The shape of a declared type, with the constraints that belong to it.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
pub enum TypeKind {
    /// Text.
    String {
        /// how the text is read
        format: Option<Format>,
        /// code points, at least
        min_length: Option<u64>,
        /// code points, at most
        max_length: Option<u64>,
        /// regular expression that must match somewhere
        pattern: Option<String>,
    },
    /// A whole number of 64 bits, or with decimals.
    Number {
        /// whether it is whole
        integer: bool,
        /// bounds as JSON number texts, so that whole numbers stay exact
        bounds: Bounds,
    },
    /// True or false.
    Boolean,
    /// A list.
    Array {
        /// type of the items, if declared
        items: Option<TypeId>,
        /// at least
        min_items: Option<u64>,
        /// at most
        max_items: Option<u64>,
        /// whether items must differ
        unique_items: bool,
    },
    /// A map from names to values.
    Object {
        /// declared fields in their order
        properties: Vec<Property>,
        /// what fields beyond those are
        additional: Additional,
    },
}

/// The numeric constraints of a number, each a JSON number text.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Bounds {
    /// inclusive lower bound
    pub minimum: Option<String>,
    /// inclusive upper bound
    pub maximum: Option<String>,
    /// exclusive lower bound
    pub exclusive_minimum: Option<String>,
    /// exclusive upper bound
    pub exclusive_maximum: Option<String>,
    /// divisor
    pub multiple_of: Option<String>,
}

/// How a declared string is read.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// RFC 5321 mailbox
    Email,
    /// RFC 3986 URI
    Uri,
    /// RFC 3339 full-date
    Date,
    /// RFC 3339 partial-time or full-time
    Time,
    /// RFC 3339 date-time
    DateTime,
    /// ISO 8601 duration
    Duration,
    /// seconds since the epoch
    Timestamp,
}

/// What fields beyond the declared ones are.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Additional {
    /// Nothing was said: allowed, yet removed under `filter_sensitive_fields`.
    Unsaid,
    /// `additionalProperties: true` in so many words.
    Allowed,
    /// `additionalProperties: false`
    Forbidden,
}

/// A declared field.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
pub struct Property {
    /// its name as written
    pub name: String,
    /// its type
    pub ty: TypeId,
    /// whether every value has it
    pub required: bool,
}

/// What an endpoint is to a client.
#[derive(
    Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum Kind {
    /// called
    Tool,
    /// read
    Resource,
    /// rendered
    Prompt,
}

impl Kind {
    /// The word that documents, commands and records use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Resource => "resource",
            Self::Prompt => "prompt",
        }
    }
}

/// An endpoint, everything about it decided.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// tool, resource or prompt
    pub kind: Kind,
    /// what a client calls it by: the name, or the URI template of a resource
    pub identity: String,
    /// the optional display name of a resource, the title of a tool
    pub title: Option<String>,
    /// what it does, in the author's words
    pub description: Option<String>,
    /// free tags, in their order
    pub tags: Vec<String>,
    /// tool hints
    pub annotations: Annotations,
    /// media type of a resource
    pub mime_type: Option<String>,
    /// parameters in their order
    pub parameters: Vec<Parameter>,
    /// type of the result, if declared
    pub result: Option<TypeId>,
    /// what is executed
    pub body: Body,
    /// policies asked before execution, in order
    pub input: Vec<Policy>,
    /// policies asked after it, in order
    pub output: Vec<Policy>,
    /// published JSON Schema of the arguments, as JSON text
    pub input_schema: String,
    /// published JSON Schema of the structured result after every output plan, as JSON text
    pub output_schema: Option<String>,
    /// file of the definition, relative to the project root
    pub file: String,
}

/// MCP tool annotations; absent ones are not published.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Annotations {
    /// does not change its environment
    pub read_only: Option<bool>,
    /// may destroy something
    pub destructive: Option<bool>,
    /// calling it again changes nothing more
    pub idempotent: Option<bool>,
    /// reaches beyond a closed world
    pub open_world: Option<bool>,
}

/// A declared parameter.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct Parameter {
    /// its name
    pub name: String,
    /// what it means, in the author's words
    pub description: Option<String>,
    /// its type
    pub ty: TypeId,
    /// JSON text of the value of an absent argument; `None` makes it required
    pub default: Option<String>,
}

/// What is executed.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq)]
pub enum Body {
    /// One SQL statement.
    Sql {
        /// the statement
        text: String,
        /// `$name` parameters it uses, as indices of declared parameters, in order of first use
        uses: Vec<u16>,
        /// whether it was proven at build to change nothing
        read_only: bool,
    },
    /// A Python function.
    Python {
        /// module path relative to the project root, or a generated name for inline code
        module: String,
        /// the source text
        text: String,
        /// function to call
        function: String,
    },
    /// Templates of a prompt's messages.
    Messages(Vec<Message>),
}

/// A message of a prompt.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `user` or `assistant`
    pub role: String,
    /// content type, `text`
    pub kind: String,
    /// Jinja2 template of the text
    pub template: String,
}

/// An access policy.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct Policy {
    /// its name, or `input[0]`, `output[2]`
    pub name: String,
    /// the action, by its registered name
    pub action: String,
    /// what a refused client reads
    pub reason: Option<String>,
    /// the condition's text
    pub condition: String,
    /// the condition, compiled: an index into [`Predicates::programs`]
    pub program: u32,
    /// what a field action does: an index into [`Predicates::plans`]
    pub plan: Option<u32>,
    /// line of the policy in its file, from one
    pub line: u32,
}

/// All endpoints of a project that are served, sorted by kind and identity.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
pub struct Endpoints {
    /// the endpoints
    pub entries: Vec<Endpoint>,
}

/// Everything that the policy machine runs on.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
pub struct Predicates {
    /// conditions; equal ones are stored once
    pub programs: Vec<Program>,
    /// output plans; equal ones are stored once
    pub plans: Vec<Plan>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: Option<u32>) -> Type {
        let items = items.map(TypeId);
        let kind = TypeKind::Array { items, min_items: None, max_items: None, unique_items: false };
        Type { kind, sensitive: false, choices: Vec::new() }
    }

    fn object(fields: &[u32]) -> Type {
        let field = |id: &u32| Property { name: "f".into(), ty: TypeId(*id), required: false };
        let properties = fields.iter().map(field).collect();
        let kind = TypeKind::Object { properties, additional: Additional::Unsaid };
        Type { kind, sensitive: false, choices: Vec::new() }
    }

    #[test]
    fn types_refer_backwards_and_are_no_deeper_than_documents() {
        let damaged = |nodes: Vec<Type>| Types { nodes }.damaged().map(|id| id.0);
        assert_eq!(damaged(vec![list(None), list(Some(0)), object(&[0, 1])]), None);
        assert_eq!(damaged(vec![list(Some(0))]), Some(0));
        assert_eq!(damaged(vec![list(None), object(&[0, 1])]), Some(1));
        assert_eq!(damaged(vec![list(None), list(Some(2)), list(None)]), Some(1));
        assert_eq!(damaged(vec![list(Some(u32::MAX))]), Some(0));
        let chain = |depth: u32| (0..depth).map(|at| list(at.checked_sub(1))).collect();
        assert_eq!(damaged(chain(64)), None);
        assert_eq!(damaged(chain(65)), Some(64));
    }
}
