//! Which conditions can be decided, and what they read: attributes, and the literals each is compared
//! with.

use std::collections::BTreeMap;

use mxcp_policy::ty::Ty;
use mxcp_schemas::bundle::code::{Const, Slot};

use crate::cel::Typed;
use crate::cel::ast::{Binary, Comprehension, ExprId, Kind, Literal, Unary};

/// An attribute that conditions read: a slot, or what is below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// the input
    pub slot: Slot,
    /// fields below it
    pub path: Vec<String>,
}

/// What is known about an attribute from the conditions that read it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) place: Place,
    pub(super) ty: Ty,
    /// what it, or what its elements, are compared with
    pub(super) literals: Vec<Const>,
    /// attributes that it is compared with, by index
    pub(super) with: Vec<usize>,
}

/// The attributes of some conditions.
#[derive(Debug, Clone, Default)]
pub(super) struct Fragment {
    pub(super) seen: Vec<Seen>,
    /// attributes that the condition at hand reads, by index
    reads: Vec<usize>,
    /// loop variables, and the list whose elements they are
    locals: BTreeMap<String, usize>,
}

/// Something that is compared.
#[derive(Debug, Clone)]
enum Operand {
    Place(usize),
    Literal(Const),
}

impl Fragment {
    /// Adds what a condition reads: the indexes of its attributes. `None`, and nothing is added, when
    /// it lies outside of the fragment.
    pub(super) fn add(&mut self, tree: &Typed) -> Option<Vec<usize>> {
        let before = self.clone();
        if self.condition(tree, tree.tree.root).is_none() {
            *self = before;
            return None;
        }
        Some(std::mem::take(&mut self.reads))
    }

    fn condition(&mut self, tree: &Typed, id: ExprId) -> Option<()> {
        match &tree.tree.get(id).kind {
            Kind::Literal(Literal::Bool(_)) => Some(()),
            Kind::Unary(Unary::Not, operand) => self.condition(tree, *operand),
            Kind::Ternary { condition, yes, no } => {
                self.condition(tree, *condition)?;
                self.condition(tree, *yes)?;
                self.condition(tree, *no)
            }
            Kind::Binary { op, left, right, .. } => match op {
                Binary::And | Binary::Or => {
                    self.condition(tree, *left)?;
                    self.condition(tree, *right)
                }
                Binary::Equal | Binary::NotEqual => self.equality(tree, *left, *right),
                Binary::In => self.membership(tree, *left, *right),
                Binary::Less | Binary::LessEqual | Binary::Greater | Binary::GreaterEqual => {
                    self.order(tree, *op, *left, *right)
                }
                _ => None,
            },
            Kind::Has { operand, field, .. } => match tree.presence.get(&id) {
                Some(slot) => {
                    // The type is that of the slot, which the environment knows.
                    self.place(Place { slot: *slot, path: Vec::new() }, Ty::Dyn).map(drop)
                }
                None => {
                    let mut place = place_of(tree, *operand)?;
                    place.path.push(field.clone());
                    // Deeper down, what holds the field may itself be null.
                    (place.path.len() == 1).then_some(())?;
                    self.place(place, Ty::Dyn).map(drop)
                }
            },
            Kind::Comprehension { kind, over, variables, filter: None, body } => {
                self.quantifier(tree, *kind, *over, variables, *body)
            }
            Kind::Ident(_) | Kind::Select { .. } | Kind::Index { .. } => {
                matches!(tree.ty(id), Ty::Bool).then_some(())?;
                self.operand(tree, id).map(drop)
            }
            _ => None,
        }
    }

    fn equality(&mut self, tree: &Typed, left: ExprId, right: ExprId) -> Option<()> {
        for (size, number) in [(left, right), (right, left)] {
            if is_int(tree, number, 0) && self.is_size(tree, size) {
                return Some(());
            }
        }
        match (self.operand(tree, left)?, self.operand(tree, right)?) {
            (Operand::Place(place), Operand::Literal(literal))
            | (Operand::Literal(literal), Operand::Place(place)) => self.compared(place, literal),
            (Operand::Place(a), Operand::Place(b)) => {
                // A list is taken for the set of its elements; as a whole it is more than that.
                (!self.is_list(a)? && !self.is_list(b)?).then_some(())?;
                self.related(a, b)
            }
            (Operand::Literal(_), Operand::Literal(_)) => Some(()),
        }
    }

    fn is_list(&self, place: usize) -> Option<bool> {
        Some(matches!(self.seen.get(place)?.ty, Ty::List(_)))
    }

    fn order(&mut self, tree: &Typed, op: Binary, left: ExprId, right: ExprId) -> Option<()> {
        // `size(list) > 0` and the like ask whether there is an element at all.
        let (size, number, bound) = match op {
            Binary::Greater | Binary::LessEqual => (left, right, 0),
            _ => (left, right, 1),
        };
        if is_int(tree, number, bound) && self.is_size(tree, size) {
            return Some(());
        }
        match (self.operand(tree, left)?, self.operand(tree, right)?) {
            (Operand::Place(place), Operand::Literal(literal))
            | (Operand::Literal(literal), Operand::Place(place)) => {
                // Which texts lie between two others is not a finite matter.
                (!matches!(literal, Const::String(_))).then_some(())?;
                self.compared(place, literal)
            }
            (Operand::Literal(_), Operand::Literal(_)) => Some(()),
            _ => None,
        }
    }

    /// Whether a node is the size of a list that can be told apart from an empty one.
    fn is_size(&mut self, tree: &Typed, id: ExprId) -> bool {
        let Kind::Call { target, name, args, .. } = &tree.tree.get(id).kind else { return false };
        let list = match (target, args.as_slice()) {
            (Some(list), []) | (None, [list]) => *list,
            _ => return false,
        };
        name == "size"
            && matches!(tree.ty(list), Ty::List(_))
            && matches!(self.operand(tree, list), Some(Operand::Place(_)))
    }

    fn membership(&mut self, tree: &Typed, left: ExprId, right: ExprId) -> Option<()> {
        if let Kind::List(items) = &tree.tree.get(right).kind {
            let place = match self.operand(tree, left)? {
                Operand::Place(place) => Some(place),
                Operand::Literal(_) => None,
            };
            for (item, optional) in items {
                if *optional {
                    return None;
                }
                match (self.operand(tree, *item)?, place) {
                    (Operand::Literal(literal), Some(place)) => self.compared(place, literal)?,
                    (Operand::Literal(_), None) => {}
                    (Operand::Place(other), Some(place)) => self.related(place, other)?,
                    (Operand::Place(other), None) => {
                        let Operand::Literal(literal) = self.operand(tree, left)? else {
                            return None;
                        };
                        self.compared(other, literal)?;
                    }
                }
            }
            return Some(());
        }
        let Operand::Place(list) = self.operand(tree, right)? else { return None };
        self.is_list(list)?.then_some(())?;
        match self.operand(tree, left)? {
            Operand::Literal(literal) => self.compared(list, literal),
            Operand::Place(item) => self.related(list, item),
        }
    }

    /// `list.exists(x, …)` and `list.all(x, …)`, where only elements are compared.
    fn quantifier(
        &mut self,
        tree: &Typed,
        kind: Comprehension,
        over: ExprId,
        variables: &[String],
        body: ExprId,
    ) -> Option<()> {
        let [variable] = variables else { return None };
        matches!(kind, Comprehension::All | Comprehension::Exists).then_some(())?;
        let Operand::Place(list) = self.operand(tree, over)? else { return None };
        matches!(&self.seen.get(list)?.ty, Ty::List(item) if **item == Ty::String).then_some(())?;
        // A second variable of the name would hide the first.
        if self.locals.insert(variable.clone(), list).is_some() {
            return None;
        }
        let inside = self.condition(tree, body);
        self.locals.remove(variable);
        inside
    }

    fn operand(&mut self, tree: &Typed, id: ExprId) -> Option<Operand> {
        if let Some(literal) = literal_of(tree, id) {
            return Some(Operand::Literal(literal));
        }
        if let Kind::Ident(name) = &tree.tree.get(id).kind
            && let Some(list) = self.locals.get(name)
        {
            return Some(Operand::Place(*list));
        }
        let place = place_of(tree, id)?;
        self.place(place, tree.ty(id).clone()).map(Operand::Place)
    }

    /// The index of an attribute that the condition reads. `None` when it lies inside another one
    /// that is read as a whole.
    fn place(&mut self, place: Place, ty: Ty) -> Option<usize> {
        let index = self.index(place, ty)?;
        if !self.reads.contains(&index) {
            self.reads.push(index);
        }
        Some(index)
    }

    fn index(&mut self, place: Place, ty: Ty) -> Option<usize> {
        if let Some(known) = self.seen.iter().position(|seen| seen.place == place) {
            if let Some(seen) = self.seen.get_mut(known).filter(|seen| seen.ty == Ty::Dyn) {
                seen.ty = ty;
            }
            return Some(known);
        }
        let nested = |other: &Place| {
            other.slot == place.slot
                && (other.path.starts_with(&place.path) || place.path.starts_with(&other.path))
        };
        if self.seen.iter().any(|seen| nested(&seen.place)) {
            return None;
        }
        self.seen.push(Seen { place, ty, literals: Vec::new(), with: Vec::new() });
        Some(self.seen.len() - 1)
    }

    fn compared(&mut self, place: usize, literal: Const) -> Option<()> {
        let seen = self.seen.get_mut(place)?;
        if literal != Const::Null && !seen.literals.contains(&literal) {
            seen.literals.push(literal);
        }
        Some(())
    }

    fn related(&mut self, a: usize, b: usize) -> Option<()> {
        for (from, to) in [(a, b), (b, a)] {
            let seen = self.seen.get_mut(from)?;
            if from != to && !seen.with.contains(&to) {
                seen.with.push(to);
            }
        }
        Some(())
    }
}

/// The attribute that a node is.
fn place_of(tree: &Typed, id: ExprId) -> Option<Place> {
    if let Some(slot) = tree.inputs.get(&id) {
        let usable = matches!(slot, Slot::User(_) | Slot::Param(_) | Slot::Response);
        return usable.then(|| Place { slot: *slot, path: Vec::new() });
    }
    let (operand, field) = match &tree.tree.get(id).kind {
        Kind::Select { operand, field, optional: false, .. } => (*operand, field.clone()),
        Kind::Index { operand, index, optional: false } => match literal_of(tree, *index)? {
            Const::String(key) => (*operand, key),
            _ => return None,
        },
        _ => return None,
    };
    // Fields of lists and of what a loop walks are other attributes for every element.
    matches!(tree.ty(operand).clone().required(), Ty::Map(..) | Ty::Record(_) | Ty::Dyn)
        .then_some(())?;
    let mut place = place_of(tree, operand)?;
    place.path.push(field);
    Some(place)
}

fn is_int(tree: &Typed, id: ExprId, number: i64) -> bool {
    literal_of(tree, id) == Some(Const::Int(number))
}

/// The literal that a node is.
fn literal_of(tree: &Typed, id: ExprId) -> Option<Const> {
    if let Some(constant) = tree.coerced.get(&id) {
        return Some(constant.clone());
    }
    match &tree.tree.get(id).kind {
        Kind::Literal(literal) => Some(match literal {
            Literal::Null => Const::Null,
            Literal::Bool(value) => Const::Bool(*value),
            Literal::Int(value) => Const::Int(*value),
            Literal::Double(value) => Const::Double(*value),
            Literal::String(text) => Const::String(text.clone()),
            Literal::Uint(_) | Literal::Bytes(_) => return None,
        }),
        Kind::Unary(Unary::Minus, operand) => match literal_of(tree, *operand)? {
            Const::Int(value) => value.checked_neg().map(Const::Int),
            Const::Double(value) => Some(Const::Double(-value)),
            _ => None,
        },
        _ => None,
    }
}
