//! Asking policies: one evaluation of one condition, remembered where it may be.

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use bumpalo::Bump;
use mxcp_policy::datum::{Datum, Instant, Text};
use mxcp_policy::interpret::{Inputs, Outcome, Request};
use mxcp_schemas::bundle::plan::Plan;

use super::Caller;
use crate::arguments::Arguments;
use crate::endpoint::prepared::{Act, Prepared, Rule};
use crate::principal::{Principal, Remembered};
use crate::serve::Runtime;

/// Memory that a thread keeps for evaluations between calls, at most, in bytes.
const ARENA_KEPT_MAX_BYTES: usize = 1 << 20;

thread_local! {
    static ARENA: RefCell<Bump> = RefCell::new(Bump::new());
}

/// What a condition says, with what went wrong if it cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// it does not hold
    No,
    /// it holds
    Yes,
    /// it cannot be told: the policy closes
    Error(String),
}

impl Told {
    /// Whether the policy takes effect.
    pub(super) const fn fires(&self) -> bool {
        !matches!(self, Self::No)
    }
}

impl From<Outcome> for Told {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::False => Self::No,
            Outcome::True => Self::Yes,
            Outcome::Error(failure) => Self::Error(failure.message),
        }
    }
}

/// What the policies of a call have come to so far, by name.
#[derive(Debug, Default, Clone)]
pub(super) struct Trace {
    /// those whose conditions were asked
    pub(super) evaluated: Vec<Box<str>>,
    /// those that took effect
    pub(super) fired: Vec<Box<str>>,
    /// why conditions could not be told
    pub(super) errors: Vec<String>,
    /// what the deciding policy gives as reason
    pub(super) reason: Option<Box<str>>,
    /// whether one of them refused the call
    pub(super) denied: bool,
    /// what was removed from the result or masked in it
    pub(super) masked: Vec<String>,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Denial {
    /// what the client may read: the policy's reason; none when the condition could not be told
    pub(super) reason: Option<Box<str>>,
}

/// What a policy does that takes effect.
enum Fired {
    Refuse(Denial),
    Change,
}

/// What the policies on a result come to.
#[derive(Debug)]
pub(super) enum Ruling {
    /// it leaves as it is
    Keep,
    /// it leaves changed
    Change(Arc<Plan>),
    /// it does not leave
    Deny(Denial),
}

/// What the conditions of one call read.
#[derive(Debug)]
pub(super) struct Subject<'s> {
    runtime: &'s Runtime,
    prepared: &'s Prepared,
    caller: &'s Caller,
    arguments: &'s Arguments,
    now: Instant,
    tool: &'s str,
    params: OnceCell<Vec<Datum>>,
    request: OnceCell<Request>,
}

impl<'s> Subject<'s> {
    pub(super) const fn new(
        runtime: &'s Runtime,
        prepared: &'s Prepared,
        caller: &'s Caller,
        arguments: &'s Arguments,
        now: Instant,
        tool: &'s str,
    ) -> Self {
        Self {
            runtime,
            prepared,
            caller,
            arguments,
            now,
            tool,
            params: OnceCell::new(),
            request: OnceCell::new(),
        }
    }

    /// Asks the input policies, top to bottom, until one refuses.
    pub(super) fn ask_input(&self, trace: &mut Trace) -> Result<(), Denial> {
        for rule in &self.prepared.input {
            // An action that changes results has no place here, and `Prepared` saw to that.
            if let Some(Fired::Refuse(denial)) = self.ask(rule, None, trace) {
                return Err(denial);
            }
        }
        Ok(())
    }

    /// Asks all output policies about the unmodified result. Any refusal wins over all changes.
    pub(super) fn ask_output(&self, response: Option<&Datum>, trace: &mut Trace) -> Ruling {
        let (mut changes, mut denial) = (Vec::new(), None);
        for (i, rule) in self.prepared.output.iter().enumerate() {
            match self.ask(rule, response, trace) {
                None => {}
                Some(Fired::Change) => changes.push(i),
                Some(Fired::Refuse(refusal)) => denial = denial.or(Some(refusal)),
            }
        }
        if let Some(denial) = denial {
            return Ruling::Deny(denial);
        }
        if changes.is_empty() {
            return Ruling::Keep;
        }
        match self.prepared.joint(&changes) {
            Some(plan) => {
                trace.masked.clone_from(&plan.paths);
                Ruling::Change(plan)
            }
            None => {
                trace.errors.push("the joint output plan is too large".into());
                trace.denied = true;
                Ruling::Deny(Denial { reason: None })
            }
        }
    }

    /// Asks one policy, notes what it says, and returns what it does if it takes effect.
    fn ask(&self, rule: &Rule, response: Option<&Datum>, trace: &mut Trace) -> Option<Fired> {
        let told = self.tell(rule, response);
        trace.evaluated.push(rule.name.clone());
        let reason = match told {
            Told::No => return None,
            Told::Yes => rule.reason.clone(),
            Told::Error(problem) => {
                trace.errors.push(format!("policy `{}`: {problem}", rule.name));
                None
            }
        };
        trace.fired.push(rule.name.clone());
        if matches!(rule.act, Act::Change(_)) {
            return Some(Fired::Change);
        }
        if !trace.denied {
            trace.denied = true;
            trace.reason.clone_from(&rule.reason);
        }
        Some(Fired::Refuse(Denial { reason }))
    }

    fn tell(&self, rule: &Rule, response: Option<&Datum>) -> Told {
        if let Some(told) = by_caller(self.runtime, rule, &self.caller.principal) {
            return told;
        }
        let Some(predicate) = self.runtime.machinery().predicate(rule.program) else {
            return Told::Error("the condition is not in the bundle".into());
        };
        let depends = predicate.depends();
        let params: &[Datum] = if depends.params { self.params() } else { &[] };
        let request = self.request.get_or_init(|| self.make_request());
        let principal = &self.caller.principal;
        let inputs = Inputs {
            user: principal.attributes(),
            user_map: principal.map_for(rule.program, self.runtime.symbols()),
            params,
            response,
            request,
        };
        let memory = principal.memory(rule.program);
        with_arena(|arena| predicate.evaluate_remembering(&inputs, memory, arena).into())
    }

    /// The arguments that conditions read; in place of others, which nobody reads, there is null.
    fn params(&self) -> &[Datum] {
        self.params.get_or_init(|| {
            let pairs = self.arguments.values().iter().zip(&self.prepared.reads.params);
            let symbols = self.runtime.symbols();
            let datum = |(value, read): (&crate::arguments::Argument, &bool)| {
                if *read { value.datum(symbols) } else { Datum::Null }
            };
            pairs.map(datum).collect()
        })
    }

    fn make_request(&self) -> Request {
        let symbols = self.runtime.symbols();
        if !self.prepared.reads.request {
            return nobody(self.now);
        }
        let text = |text: &Option<Arc<str>>| text.as_deref().map(|text| symbols.text(text));
        Request {
            time: self.now,
            tool: symbols.text(self.tool),
            session_id: text(&self.caller.session_id),
            client_ip: text(&self.caller.client_ip),
        }
    }
}

/// A request of which no condition reads anything.
fn nobody(now: Instant) -> Request {
    let tool = Text { text: "".into(), symbol: mxcp_policy::datum::Symbol::Foreign };
    Request { time: now, tool, session_id: None, client_ip: None }
}

/// What a policy that depends on the caller alone says; `None` if it depends on more.
pub(super) fn by_caller(runtime: &Runtime, rule: &Rule, principal: &Principal) -> Option<Told> {
    let predicate = runtime.machinery().predicate(rule.program)?;
    if !predicate.depends().caller_only() {
        return None;
    }
    let evaluate = || -> Told {
        let request = nobody(Instant { seconds: 0, nanos: 0 });
        let inputs = Inputs {
            user: principal.attributes(),
            user_map: principal.map_for(rule.program, runtime.symbols()),
            params: &[],
            response: None,
            request: &request,
        };
        with_arena(|arena| predicate.evaluate(&inputs, arena).into())
    };
    let remembered = principal.remember(rule.program, || match evaluate() {
        Told::No => Remembered::False,
        Told::Yes => Remembered::True,
        Told::Error(_) => Remembered::Error,
    });
    Some(match remembered {
        Remembered::False => Told::No,
        Remembered::True => Told::Yes,
        // Asked again for the message alone: the error stands whatever the second time says.
        Remembered::Error => match evaluate() {
            Told::Error(problem) => Told::Error(problem),
            Told::No | Told::Yes => Told::Error("the condition failed before".into()),
        },
    })
}

/// Lends memory for one evaluation.
fn with_arena<R>(evaluate: impl FnOnce(&Bump) -> R) -> R {
    ARENA.with(|arena| match arena.try_borrow_mut() {
        Ok(mut arena) => {
            let result = evaluate(&arena);
            if arena.allocated_bytes() > ARENA_KEPT_MAX_BYTES {
                *arena = Bump::new();
            } else {
                arena.reset();
            }
            result
        }
        // An evaluation within an evaluation, which nothing does, brings its own.
        Err(_) => evaluate(&Bump::new()),
    })
}
