//! From the `sensitive` marks of a declared result to a plan.

use std::collections::HashMap;

use mxcp_schemas::bundle::definition::{Additional, TypeId, TypeKind, Types};
use mxcp_schemas::bundle::plan::{INERT, Plan, State, StateId, Verdict};

/// The plan that removes every value whose type is marked sensitive and every key that the type
/// does not declare, unless that object allows others in so many words.
///
/// `None` when nothing below `root` is marked.
pub fn from_sensitive(types: &Types, root: TypeId) -> Option<Plan> {
    let mut builder = Builder {
        types,
        known: HashMap::new(),
        states: vec![
            State::inert(),
            State { verdict: Verdict::Drop, ..State::inert() },
            State { other: DROPPED, items: UNDECLARED, ..State::inert() },
        ],
    };
    let paths = paths(types, root);
    if paths.is_empty() {
        return None;
    }
    let start = builder.visit(root);
    Some(Plan { states: builder.states, start, paths })
}

/// Most paths that a plan names; the last one says then that there are more.
const PATHS_MAX: usize = 1_000;

/// The ways to all that is marked. Equal types are one node, so there may be several to one node.
fn paths(types: &Types, root: TypeId) -> Vec<String> {
    let mut marked: Vec<bool> = Vec::with_capacity(types.nodes.len());
    for ty in &types.nodes {
        let below = |part: &TypeId| marked.get(part.0 as usize).copied().unwrap_or(false);
        let is_marked = ty.sensitive
            || match &ty.kind {
                TypeKind::Array { items, .. } => items.iter().any(below),
                TypeKind::Object { properties, .. } => properties.iter().any(|p| below(&p.ty)),
                TypeKind::String { .. } | TypeKind::Number { .. } | TypeKind::Boolean => false,
            };
        marked.push(is_marked);
    }
    let mut found = Vec::new();
    gather(types, &marked, root, "", &mut found);
    found
}

/// Goes to what is marked and nowhere else, so each step leads to a path.
fn gather(types: &Types, marked: &[bool], id: TypeId, path: &str, found: &mut Vec<String>) {
    let Some(ty) = types.nodes.get(id.0 as usize) else { return };
    if !marked.get(id.0 as usize).copied().unwrap_or(false) || found.len() > PATHS_MAX {
        return;
    }
    if found.len() == PATHS_MAX {
        found.push("…".to_owned());
        return;
    }
    if ty.sensitive {
        found.push(if path.is_empty() { ".".to_owned() } else { path.to_owned() });
        return;
    }
    match &ty.kind {
        TypeKind::Array { items: Some(items), .. } if items.0 < id.0 => {
            let below = if path.is_empty() { String::new() } else { format!("{path}[]") };
            gather(types, marked, *items, &below, found);
        }
        TypeKind::Object { properties, .. } => {
            for property in properties.iter().filter(|property| property.ty.0 < id.0) {
                let dot = if path.is_empty() { "" } else { "." };
                let below = format!("{path}{dot}{}", property.name);
                gather(types, marked, property.ty, &below, found);
            }
        }
        _ => {}
    }
}

const DROPPED: StateId = StateId(1);
/// Below what nothing was declared for: items stay, keys go.
const UNDECLARED: StateId = StateId(2);

struct Builder<'t> {
    types: &'t Types,
    known: HashMap<TypeId, StateId>,
    states: Vec<State>,
}

impl Builder<'_> {
    /// Children stand before their parents, so this ends.
    fn visit(&mut self, id: TypeId) -> StateId {
        let types = self.types;
        let Some(ty) = types.nodes.get(id.0 as usize) else { return DROPPED };
        if ty.sensitive {
            return DROPPED;
        }
        if let Some(state) = self.known.get(&id) {
            return *state;
        }
        let state = match &ty.kind {
            TypeKind::String { .. } | TypeKind::Number { .. } | TypeKind::Boolean => return INERT,
            TypeKind::Array { items, .. } => {
                let items = match items {
                    Some(items) if items.0 < id.0 => self.visit(*items),
                    Some(_) => DROPPED,
                    None => UNDECLARED,
                };
                State { items, leaf: Verdict::Drop, other: DROPPED, ..State::inert() }
            }
            TypeKind::Object { properties, additional } => {
                let mut fields: Vec<(String, StateId)> = Vec::with_capacity(properties.len());
                for property in properties {
                    let state =
                        if property.ty.0 < id.0 { self.visit(property.ty) } else { DROPPED };
                    fields.push((property.name.to_ascii_lowercase(), state));
                }
                fields.sort();
                fields.dedup_by(|later, earlier| {
                    let same = later.0 == earlier.0;
                    if same && later.1 == DROPPED {
                        earlier.1 = DROPPED;
                    }
                    same
                });
                let other = if *additional == Additional::Allowed { INERT } else { DROPPED };
                State { fields, other, items: DROPPED, leaf: Verdict::Drop, ..State::inert() }
            }
        };
        let number = StateId(u32::try_from(self.states.len()).unwrap_or(u32::MAX));
        self.states.push(state);
        self.known.insert(id, number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::super::apply;
    use super::*;
    use mxcp_schemas::bundle::definition::{Property, Type};
    use serde_json::json;

    fn node(kind: TypeKind, sensitive: bool) -> Type {
        Type { kind, sensitive, choices: Vec::new() }
    }

    fn object(fields: &[(&str, u32)], additional: Additional) -> TypeKind {
        let properties = fields
            .iter()
            .map(|(name, ty)| Property { name: (*name).into(), ty: TypeId(*ty), required: false })
            .collect();
        TypeKind::Object { properties, additional }
    }

    fn array(items: Option<u32>) -> TypeKind {
        TypeKind::Array {
            items: items.map(TypeId),
            min_items: None,
            max_items: None,
            unique_items: false,
        }
    }

    #[test]
    fn marks_are_found_at_depth_and_undeclared_keys_go() {
        let types = Types {
            nodes: vec![
                node(TypeKind::Boolean, false),
                node(TypeKind::Boolean, true),
                node(object(&[("open", 0), ("Secret", 1)], Additional::Allowed), false),
                node(array(Some(2)), false),
                node(array(None), false),
                node(object(&[("visits", 3), ("free", 4)], Additional::Unsaid), false),
            ],
        };
        let plan = from_sensitive(&types, TypeId(5)).unwrap();
        assert_eq!(plan.paths, ["visits[].Secret"]);
        let mut value = json!({
            "visits": [{"open": true, "SECRET": true, "more": 1}],
            "free": [1, {"x": 1}], "undeclared": 1,
        });
        apply(&plan, &mut value);
        assert_eq!(value, json!({"visits": [{"open": true, "more": 1}], "free": [1, {}]}));
    }

    #[test]
    fn every_way_to_a_mark_is_named_though_equal_types_are_one() {
        let mut nodes = vec![
            node(TypeKind::Boolean, true),
            node(object(&[("zip", 0)], Additional::Unsaid), false),
            node(array(Some(1)), false),
            node(object(&[("home", 1), ("work", 1), ("old", 2)], Additional::Unsaid), false),
        ];
        let plan = from_sensitive(&Types { nodes: nodes.clone() }, TypeId(3)).unwrap();
        assert_eq!(plan.paths, ["home.zip", "work.zip", "old[].zip"]);
        // Of two ways in each of thirty steps no list can be made.
        for id in 3..33 {
            nodes.push(node(object(&[("a", id), ("b", id)], Additional::Unsaid), false));
        }
        let plan = from_sensitive(&Types { nodes }, TypeId(33)).unwrap();
        assert_eq!((plan.paths.len(), plan.paths.last().unwrap().as_str()), (PATHS_MAX + 1, "…"));
    }

    #[test]
    fn a_result_that_is_sensitive_as_a_whole_becomes_null() {
        let types = Types { nodes: vec![node(TypeKind::Boolean, true)] };
        let mut value = json!(true);
        apply(&from_sensitive(&types, TypeId(0)).unwrap(), &mut value);
        assert_eq!(value, json!(null));
    }

    #[test]
    fn nothing_marked_is_no_plan() {
        let types = Types { nodes: vec![node(TypeKind::Boolean, false)] };
        assert_eq!(from_sensitive(&types, TypeId(0)), None);
    }
}
