//! Constant folding: what does not depend on anything is computed now, by the interpreter itself.

use bumpalo::Bump;
use mxcp_policy::datum::{Datum, Instant, Symbol, Symbols, Text};
use mxcp_policy::interpret::{Inputs, Request};
use mxcp_policy::predicate::Predicate;
use mxcp_policy::value::Value;
use mxcp_policy::verify::Layout;
use mxcp_schemas::bundle::code::{Const, Depends};

use super::super::ast::{ExprId, Kind};
use super::super::check::Typed;
use super::{Effort, Lowering, Reach};

/// Most steps that are taken to compute a constant; what takes more is left to run time.
const MAX_FOLD_STEPS: u64 = 10_000;
/// Most nodes that are folded in one condition, counted again for each attempt.
pub(super) const MAX_FOLDED_NODES: u32 = 2_048;
/// What an attempt costs beside its nodes, in nodes.
pub(super) const ATTEMPT_NODES: u32 = 8;
/// Largest text or octets, in bytes, that a constant may become.
pub(super) const MAX_FOLDED_BYTES: usize = 4_096;
/// Most items or entries that a constant may become.
const MAX_FOLDED_ITEMS: usize = 256;

impl Lowering<'_> {
    /// The constant that a node comes to, if it is computed from constants alone and has a value.
    /// What errs is left alone: it errs at run time, where other parts may outweigh it.
    pub(super) fn folded(&mut self, id: ExprId) -> Option<Const> {
        let kind = &self.typed.tree.get(id).kind;
        let plain = matches!(kind, Kind::Literal(_) | Kind::Ident(_) | Kind::Invalid);
        if plain || self.effort == Effort::Plain || !self.reach.is_closed(id) {
            return None;
        }
        // A constant part is computed once: its own parts are not folded on their own.
        self.foldable = self.foldable.checked_sub(self.reach.of(id).nodes + ATTEMPT_NODES)?;
        evaluate(self.typed, self.reach, id, |value, arena| self.constant_from(value, arena, true))?
    }

    /// A value as a constant. Lists and maps have only simple items, and maps are left alone: a
    /// constant map has texts as keys only.
    fn constant_from(&mut self, value: &Value<'_>, arena: &Bump, outer: bool) -> Option<Const> {
        Some(match value {
            Value::Null => Const::Null,
            Value::Bool(value) => Const::Bool(*value),
            Value::Int(value) => Const::Int(*value),
            Value::Uint(value) => Const::Uint(*value),
            Value::Double(value) => Const::Double(*value),
            Value::String(text) if text.text.len() <= MAX_FOLDED_BYTES => {
                Const::String(text.text.to_owned())
            }
            Value::Bytes(bytes) if bytes.len() <= MAX_FOLDED_BYTES => Const::Bytes(bytes.to_vec()),
            Value::Timestamp(instant) => Const::Timestamp(instant.seconds, instant.nanos),
            Value::Duration(span) => Const::Duration(span.seconds, span.nanos),
            Value::List(list) if outer && list.len() <= MAX_FOLDED_ITEMS => {
                let mut parts = Vec::with_capacity(list.len());
                for index in 0..list.len() {
                    let item = list.get(index, arena)?;
                    parts.push(self.constant_from(&item, arena, false)?);
                }
                Const::List(parts.into_iter().map(|part| self.constant(part)).collect())
            }
            _ => return None,
        })
    }
}

/// Evaluates a part that depends on nothing, where it can be compiled, and looks at what it comes to.
pub(super) fn evaluate<T>(
    typed: &Typed,
    reach: &Reach,
    id: ExprId,
    with: impl FnOnce(&Value<'_>, &Bump) -> T,
) -> Option<T> {
    let (program, _) = Lowering::new(typed, reach, Effort::Plain).program(id)?;
    if program.depends != Depends::default() {
        return None;
    }
    let mut symbols = Symbols::default();
    let layout = Layout { user: 0, params: 0, response: false };
    let predicate = Predicate::link(&program, &layout, &mut symbols).ok()?;
    let request = Request {
        time: Instant { seconds: 0, nanos: 0 },
        tool: Text { text: "".into(), symbol: Symbol::Foreign },
        session_id: None,
        client_ip: None,
    };
    let inputs = Inputs {
        user: &[],
        user_map: &Datum::Null,
        params: &[],
        response: None,
        request: &request,
    };
    let arena = Bump::new();
    let value = predicate.value_within(MAX_FOLD_STEPS, &inputs, &arena);
    Some(with(&value, &arena))
}
