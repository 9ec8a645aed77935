//! Type inference: what stands for the types that are not known yet, such as the items of `[]`
//! (CEL specification, "Type Checking"; the rules are those of the reference checker, so that the
//! deduced types of the conformance suite are met).

use mxcp_policy::ty::Ty;

/// Most comparisons of types for one expression. Types are small; only expressions that were made
/// to double a type again and again come near.
pub(super) const MAX_TYPE_STEPS: u32 = 1 << 17;
/// Most parts of a type that is written out; what is larger is `dyn`.
const MAX_TYPE_PARTS: u32 = 512;

/// The types that are not known yet, and what has been learnt of them.
#[derive(Debug, Default)]
pub(super) struct Infer {
    bound: Vec<Option<Ty>>,
    /// what to restore when an attempt fails
    trail: Vec<(u32, Option<Ty>)>,
    steps: u32,
}

impl Infer {
    /// A type that is not known yet.
    pub(super) fn fresh(&mut self) -> Ty {
        Ty::Var(self.reserve(1))
    }

    /// Numbers for as many unknown types.
    pub(super) fn reserve(&mut self, count: u32) -> u32 {
        let first = u32::try_from(self.bound.len()).unwrap_or(u32::MAX);
        self.bound.extend((0..count).map(|_| None));
        first
    }

    /// Whether the work that an expression may cause was done.
    pub(super) const fn exhausted(&self) -> bool {
        self.steps >= MAX_TYPE_STEPS
    }

    fn found(&self, n: u32) -> Option<&Ty> {
        self.bound.get(n as usize).and_then(Option::as_ref)
    }

    /// The type with its outermost part known, if anything is known of it.
    pub(super) fn shallow(&self, ty: Ty) -> Ty {
        let mut ty = ty;
        while let Ty::Var(n) = ty {
            match self.found(n) {
                Some(known) => ty = known.clone(),
                None => return Ty::Var(n),
            }
        }
        ty
    }

    /// The same, where a type that is still unknown is settled as `dyn`.
    pub(super) fn settle(&mut self, ty: Ty) -> Ty {
        match self.shallow(ty) {
            Ty::Var(n) => {
                self.bind(n, Ty::Dyn);
                Ty::Dyn
            }
            known => known,
        }
    }

    /// The type written out; what is not known is `dyn`.
    pub(super) fn resolve(&self, ty: &Ty) -> Ty {
        self.written(ty, true, &mut MAX_TYPE_PARTS.clone())
    }

    /// The type written out as far as it is known.
    pub(super) fn partial(&self, ty: &Ty) -> Ty {
        self.written(ty, false, &mut MAX_TYPE_PARTS.clone())
    }

    fn written(&self, ty: &Ty, settled: bool, left: &mut u32) -> Ty {
        let Some(rest) = left.checked_sub(1) else { return Ty::Dyn };
        *left = rest;
        match ty {
            Ty::Var(n) => match self.found(*n) {
                Some(known) => self.written(known, settled, left),
                None if settled => Ty::Dyn,
                None => ty.clone(),
            },
            Ty::List(item) => Ty::list(self.written(item, settled, left)),
            Ty::Map(key, value) => {
                Ty::map(self.written(key, settled, left), self.written(value, settled, left))
            }
            Ty::Optional(of) => Ty::optional(self.written(of, settled, left)),
            Ty::Nullable(of) => self.written(of, settled, left).nullable(),
            Ty::Type(of) => Ty::Type(Box::new(self.written(of, settled, left))),
            Ty::Opaque(name, of) => Ty::Opaque(
                std::sync::Arc::clone(name),
                of.iter().map(|ty| self.written(ty, settled, left)).collect(),
            ),
            other => other.clone(),
        }
    }

    /// Whether a value of type `from` can stand where `to` is wanted. What is learnt is kept only
    /// when it can.
    pub(super) fn assign(&mut self, from: &Ty, to: &Ty) -> bool {
        self.attempt(|this| this.fits(from, to))
    }

    /// Tries something that may learn types; forgets them again when it fails.
    pub(super) fn attempt(&mut self, run: impl FnOnce(&mut Self) -> bool) -> bool {
        let mark = self.trail.len();
        let good = run(self);
        if !good {
            while self.trail.len() > mark {
                if let Some((n, before)) = self.trail.pop()
                    && let Some(slot) = self.bound.get_mut(n as usize)
                {
                    *slot = before;
                }
            }
        }
        good
    }

    /// The type of a value that is one of two.
    pub(super) fn join(&mut self, a: Ty, b: Ty) -> Ty {
        let (a, b) = (self.shallow(a), self.shallow(b));
        match (a, b) {
            (Ty::Error, other) | (other, Ty::Error) => other,
            (Ty::Null, Ty::Null) => Ty::Null,
            (Ty::Null, other) | (other, Ty::Null) => other.nullable(),
            (Ty::Nullable(a), b) => self.join(*a, b.required()).nullable(),
            (a, Ty::Nullable(b)) => self.join(a, *b).nullable(),
            (a, b) => {
                if self.assign(&a, &b) {
                    self.most_general(a, b)
                } else {
                    Ty::Dyn
                }
            }
        }
    }

    /// A step of [`Self::assign`].
    pub(super) fn fits(&mut self, from: &Ty, to: &Ty) -> bool {
        self.steps = self.steps.saturating_add(1);
        if self.exhausted() {
            return true;
        }
        if let Ty::Var(n) = to {
            let (valid, known) = self.stands_for(from, *n);
            if valid || known {
                return valid;
            }
        }
        if let Ty::Var(n) = from {
            return self.stands_for(to, *n).0;
        }
        match (from, to) {
            (Ty::Dyn | Ty::Error, _) | (_, Ty::Dyn | Ty::Error) => true,
            (Ty::Nullable(from), to) => self.fits(from, to),
            (from, Ty::Nullable(to)) => *from == Ty::Null || self.fits(from, to),
            (Ty::Null, other) | (other, Ty::Null) => takes_null(other),
            (Ty::List(a), Ty::List(b)) | (Ty::Optional(a), Ty::Optional(b)) => self.fits(a, b),
            (Ty::Map(ka, va), Ty::Map(kb, vb)) => self.fits(ka, kb) && self.fits(va, vb),
            (Ty::Map(key, _), Ty::Record(_)) | (Ty::Record(_), Ty::Map(key, _)) => {
                self.fits(&Ty::String, key)
            }
            (Ty::Type(_), Ty::Type(_)) | (Ty::Record(_), Ty::Record(_)) => true,
            (Ty::Opaque(a, of), Ty::Opaque(b, other)) => {
                a == b
                    && of.len() == other.len()
                    && of.iter().zip(other).all(|(a, b)| self.fits(a, b))
            }
            (from, to) => from == to,
        }
    }

    /// Whether a type can stand for the unknown type, and whether something stood for it already.
    fn stands_for(&mut self, ty: &Ty, n: u32) -> (bool, bool) {
        if *ty == Ty::Var(n) {
            return (true, true);
        }
        if let Some(known) = self.found(n).cloned() {
            if *ty == known {
                return (true, true);
            }
            let with_null = match (ty, &known) {
                (Ty::Null, other) | (other, Ty::Null) if !takes_null(other) => {
                    Some(other.clone().nullable())
                }
                _ => None,
            };
            let fits = with_null.is_some() || self.fits(ty, &known);
            if fits {
                let wider = with_null.unwrap_or_else(|| self.most_general(ty.clone(), known));
                if !self.mentions(&wider, n) {
                    self.bind(n, wider);
                }
            }
            return (fits, true);
        }
        if self.mentions(ty, n) {
            return (false, false);
        }
        self.bind(n, ty.clone());
        (true, false)
    }

    fn bind(&mut self, n: u32, ty: Ty) {
        if let Some(slot) = self.bound.get_mut(n as usize) {
            let before = slot.replace(ty);
            self.trail.push((n, before));
        }
    }

    fn mentions(&mut self, ty: &Ty, n: u32) -> bool {
        self.steps = self.steps.saturating_add(1);
        if self.exhausted() {
            return true;
        }
        match ty {
            Ty::Var(m) if *m == n => true,
            Ty::Var(m) => match self.found(*m).cloned() {
                Some(known) => self.mentions(&known, n),
                None => false,
            },
            Ty::List(of) | Ty::Optional(of) | Ty::Nullable(of) | Ty::Type(of) => {
                self.mentions(of, n)
            }
            Ty::Map(key, value) => self.mentions(key, n) || self.mentions(value, n),
            Ty::Opaque(_, of) => of.iter().any(|ty| self.mentions(ty, n)),
            _ => false,
        }
    }

    fn most_general(&mut self, a: Ty, b: Ty) -> Ty {
        if self.covers(&a, &b) { a } else { b }
    }

    /// Whether the first type says no more than the second.
    fn covers(&mut self, a: &Ty, b: &Ty) -> bool {
        self.steps = self.steps.saturating_add(1);
        match (a, b) {
            _ if self.exhausted() => true,
            (Ty::Dyn | Ty::Error | Ty::Var(_), _) => true,
            (_, Ty::Dyn | Ty::Error | Ty::Var(_)) => false,
            (Ty::Nullable(a), Ty::Nullable(b)) => self.covers(a, b),
            (Ty::Nullable(a), b) => *b == Ty::Null || self.covers(a, b),
            (Ty::List(a), Ty::List(b)) | (Ty::Optional(a), Ty::Optional(b)) => self.covers(a, b),
            (Ty::Map(ka, va), Ty::Map(kb, vb)) => self.covers(ka, kb) && self.covers(va, vb),
            (Ty::Opaque(x, of), Ty::Opaque(y, other)) => {
                x == y
                    && of.len() == other.len()
                    && of.iter().zip(other).all(|(a, b)| self.covers(a, b))
            }
            (Ty::Type(_), Ty::Type(_)) => true,
            // A map says less than a record.
            (Ty::Map(..), Ty::Record(_)) => true,
            (a, b) => a == b,
        }
    }
}

/// Types that the specification's checker lets null stand for.
const fn takes_null(ty: &Ty) -> bool {
    matches!(
        ty,
        Ty::Null
            | Ty::Nullable(_)
            | Ty::Timestamp
            | Ty::Duration
            | Ty::Optional(_)
            | Ty::Opaque(..)
            | Ty::Record(_)
    )
}
