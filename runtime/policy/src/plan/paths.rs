//! From field paths to a plan: the subset construction over the paths' positions.

use std::collections::{BTreeSet, HashMap};

use mxcp_schemas::bundle::plan::{INERT, Plan, State, StateId, Verdict};

use super::path::{FieldPath, Segment};
use super::{MAX_PLAN_STATES, TooManyStates};

/// How far one path has been walked: path number and the number of steps behind it.
type Place = (usize, usize);

/// The plan that gives `verdict` to everything the paths name.
///
/// # Errors
/// When the paths together need too many states.
pub fn from_paths(paths: &[FieldPath], verdict: Verdict) -> Result<Plan, TooManyStates> {
    let mut builder = Builder { paths, verdict, known: HashMap::new(), pending: Vec::new() };
    builder.id(BTreeSet::new())?;
    let start = builder.id(builder.closure((0..paths.len()).map(|p| (p, 0))))?;
    let mut states = Vec::new();
    while let Some(places) = builder.pending.get(states.len()).cloned() {
        states.push(builder.state(&places)?);
    }
    Ok(Plan { states, start, paths: paths.iter().map(ToString::to_string).collect() })
}

struct Builder<'p> {
    paths: &'p [FieldPath],
    verdict: Verdict,
    known: HashMap<BTreeSet<Place>, StateId>,
    pending: Vec<BTreeSet<Place>>,
}

impl Builder<'_> {
    fn state(&mut self, places: &BTreeSet<Place>) -> Result<State, TooManyStates> {
        if places.iter().any(|place| self.next(*place).is_none()) {
            return Ok(State { verdict: self.verdict, ..State::inert() });
        }
        let names: BTreeSet<String> = places
            .iter()
            .filter_map(|place| match self.next(*place) {
                Some(Segment::Field(name)) => Some(name.clone()),
                _ => None,
            })
            .collect();
        let mut fields = Vec::with_capacity(names.len());
        for name in names {
            let target = self.step(places, |segment| match segment {
                Segment::Field(field) => Move::take(*field == name),
                Segment::Any => Move::Take,
                Segment::Deep => Move::Stay,
                Segment::Items => Move::Arrive,
            })?;
            fields.push((name, target));
        }
        let other = self.step(places, |segment| match segment {
            Segment::Field(_) => Move::Leave,
            Segment::Any => Move::Take,
            Segment::Deep => Move::Stay,
            Segment::Items => Move::Arrive,
        })?;
        let items = self.step(places, |segment| match segment {
            // A name applies to every item of an array that stands in its way.
            Segment::Field(_) | Segment::Any | Segment::Deep => Move::Stay,
            Segment::Items => Move::Take,
        })?;
        let leaf = if places.iter().any(|place| self.named(*place)) {
            Verdict::Drop
        } else {
            Verdict::Keep
        };
        Ok(State { verdict: Verdict::Keep, fields, other, items, leaf })
    }

    /// Whether the place was reached by name, so that a scalar there hides what the path wants.
    fn named(&self, (path, at): Place) -> bool {
        let segments = self.paths.get(path).map_or(&[][..], FieldPath::segments);
        let by = at.checked_sub(1).and_then(|before| segments.get(before)).or(segments.get(at));
        matches!(by, Some(Segment::Field(_) | Segment::Items))
            && !matches!(segments.get(at), Some(Segment::Deep))
    }

    fn next(&self, (path, at): Place) -> Option<&Segment> {
        self.paths.get(path).and_then(|p| p.segments().get(at))
    }

    fn step(
        &mut self,
        places: &BTreeSet<Place>,
        decide: impl Fn(&Segment) -> Move,
    ) -> Result<StateId, TooManyStates> {
        let moved: Vec<Place> = places
            .iter()
            .filter_map(|&(path, at)| match decide(self.next((path, at))?) {
                Move::Take => Some((path, at + 1)),
                Move::Stay => Some((path, at)),
                Move::Arrive => Some((path, usize::MAX)),
                Move::Leave => None,
            })
            .collect();
        let closure = self.closure(moved.into_iter());
        self.id(closure)
    }

    /// `**` also stands for no step at all.
    fn closure(&self, places: impl Iterator<Item = Place>) -> BTreeSet<Place> {
        let mut all = BTreeSet::new();
        for (path, mut at) in places {
            all.insert((path, at));
            while self.next((path, at)) == Some(&Segment::Deep) {
                at += 1;
                all.insert((path, at));
            }
        }
        all
    }

    fn id(&mut self, places: BTreeSet<Place>) -> Result<StateId, TooManyStates> {
        if places.is_empty() && !self.pending.is_empty() {
            return Ok(INERT);
        }
        if let Some(id) = self.known.get(&places) {
            return Ok(*id);
        }
        if self.pending.len() >= MAX_PLAN_STATES {
            return Err(TooManyStates);
        }
        let id = StateId(u32::try_from(self.pending.len()).map_err(|_| TooManyStates)?);
        self.known.insert(places.clone(), id);
        self.pending.push(places);
        Ok(id)
    }
}

/// What a step does to one place.
enum Move {
    /// The step is what the path wants next.
    Take,
    /// The path waits for a later step.
    Stay,
    /// The path leads elsewhere.
    Leave,
    /// An object stands where the path wants an array and cannot be descended into: its fields
    /// all count as named.
    Arrive,
}

impl Move {
    const fn take(yes: bool) -> Self {
        if yes { Self::Take } else { Self::Leave }
    }
}
