//! What declarations say about values beyond their types: the choices of an `enum`, the greatest
//! size. The checker compares literals with the choices; the cost is computed from the sizes.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What is declared about a value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    /// the only texts allowed, where they are listed
    pub choices: Vec<String>,
    /// most code points of a text, items of a list, entries of a map
    pub max_size: Option<u64>,
    /// the key of the declaration that would set `max_size`, with the name of what lacks it
    pub bound: Option<Bound>,
    /// the items of a list
    pub items: Option<Arc<Self>>,
    /// the fields of an object
    pub fields: BTreeMap<String, Arc<Self>>,
}

/// Where a size can be declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// what has no size: `response.items`
    pub path: String,
    /// the key that sets it: `maxItems`
    pub key: &'static str,
}
