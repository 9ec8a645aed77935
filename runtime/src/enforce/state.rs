//! The states of a call. Each is made from the one before it, and from nothing else.

use std::sync::Arc;
use std::time::Instant;

use mxcp_policy::datum;
use mxcp_schemas::bundle::definition::{Body, Kind};

use super::ask::{Denial, Subject, Trace};
use super::execute::{Admission, Work};
use super::record::Entry;
use super::{Call, Class, Failure, Given, Outcome, Unrecorded};
use crate::arguments::Arguments;
use crate::audit::{CallId, IntentReceipt};
use crate::endpoint::Endpoint;
use crate::endpoint::prepared::Prepared;
use crate::gate::{Busy, Permit};
use crate::json::{self, Member};
use crate::limits::size;
use crate::mcp::uri::UriError;
use crate::serve::Runtime;

/// Length of a name that is repeated to the client, at most.
const SHOWN_MAX_CHARS: usize = 128;

/// What is known of a call in every state.
#[derive(Debug)]
pub(super) struct Attempt<'c> {
    pub(super) runtime: &'c Arc<Runtime>,
    pub(super) call: Call<'c>,
    pub(super) id: CallId,
    pub(super) started: Instant,
    pub(super) now: datum::Instant,
    pub(super) endpoint: Option<(&'c Endpoint, &'c Prepared)>,
    pub(super) arguments: Option<Arc<Arguments>>,
    /// variables of the URI that named the endpoint, as they were given
    pub(super) variables: Vec<(&'c str, String)>,
    pub(super) trace: Trace,
    /// classes of what went wrong, for the record: never values
    pub(super) error: Option<String>,
    /// what was admitted to run
    pub(super) admission: Option<Arc<Admission>>,
}

/// It has arrived.
struct Received<'c>(Attempt<'c>);

/// It is known who calls, and the caller may call now.
struct Authenticated<'c>(Attempt<'c>, Permit);

/// The endpoint is known, and the arguments obey its declarations.
struct Validated<'c>(Attempt<'c>, Permit, Target<'c>);

/// No input policy refuses.
struct Admitted<'c>(Attempt<'c>, Permit, Target<'c>);

/// The intent to run is on record, where it must be.
struct Announced<'c>(Attempt<'c>, Permit, Target<'c>, Announcement);

/// Leave to run.
enum Announcement {
    /// what runs is known to change nothing
    Harmless,
    /// the intent is on record
    Intended { _receipt: IntentReceipt },
}

/// What runs.
#[derive(Debug)]
struct Target<'c> {
    endpoint: &'c Endpoint,
    prepared: &'c Prepared,
    arguments: Arc<Arguments>,
}

/// It has come to something, and everything that may leave is decided.
#[derive(Debug)]
pub(super) struct Decided<'c> {
    pub(super) attempt: Attempt<'c>,
    pub(super) outcome: Outcome,
}

/// How a call is stopped on its way.
type Stopped<'c> = Box<Decided<'c>>;

/// Runs a call through its states up to the decision.
pub(super) async fn run<'c>(
    runtime: &'c Arc<Runtime>,
    call: Call<'c>,
) -> Result<Decided<'c>, Unrecorded> {
    let admitted = match Received::new(runtime, call).admitted() {
        Ok(admitted) => admitted,
        Err(stopped) => return Ok(*stopped),
    };
    Ok(admitted.announce().await?.execute().await)
}

impl<'c> Attempt<'c> {
    fn stop(mut self, class: Class, error: impl Into<String>, text: String) -> Stopped<'c> {
        self.error = Some(error.into());
        let outcome = Outcome::Failed(Failure { class, text });
        Box::new(Decided { attempt: self, outcome })
    }

    fn deny(self, denial: &Denial, executed: bool) -> Stopped<'c> {
        let text = self.denied(denial, executed);
        self.stop(Class::Denied, "policy denied", text)
    }

    /// What a client reads that a policy refused.
    pub(super) fn denied(&self, denial: &Denial, executed: bool) -> String {
        let text = match &denial.reason {
            Some(reason) => reason.to_string(),
            None => format!("access denied (call {})", self.id),
        };
        if executed {
            format!("{text} (the call was executed; its result is withheld)")
        } else {
            text
        }
    }
}

impl<'c> Received<'c> {
    fn new(runtime: &'c Arc<Runtime>, call: Call<'c>) -> Self {
        let now = jiff::Timestamp::now();
        Self(Attempt {
            runtime,
            call,
            id: CallId::begin(),
            started: Instant::now(),
            now: datum::Instant {
                seconds: now.as_second(),
                nanos: u32::try_from(now.subsec_nanosecond()).unwrap_or(0),
            },
            endpoint: None,
            arguments: None,
            variables: Vec::new(),
            trace: Trace::default(),
            error: None,
            admission: None,
        })
    }

    fn admitted(self) -> Result<Admitted<'c>, Stopped<'c>> {
        self.authenticate()?.validate()?.admit()
    }

    /// Who calls was settled before the call was made; here the caller's calls are counted.
    fn authenticate(self) -> Result<Authenticated<'c>, Stopped<'c>> {
        let attempt = self.0;
        let meter = &attempt.call.caller.principal.meter;
        match attempt.runtime.gate().enter(meter, Instant::now()) {
            Ok(permit) => Ok(Authenticated(attempt, permit)),
            Err(busy) => {
                let wait = match busy {
                    Busy::Rate(wait) => wait,
                    Busy::Server | Busy::Principal => std::time::Duration::from_secs(1),
                };
                let text = busy.to_string();
                Err(attempt.stop(Class::Busy(wait), "limit reached", text))
            }
        }
    }
}

impl<'c> Authenticated<'c> {
    fn validate(self) -> Result<Validated<'c>, Stopped<'c>> {
        let Self(mut attempt, permit) = self;
        let runtime = attempt.runtime;
        let (endpoint, variables) = match find(runtime, &attempt.call) {
            Ok(found) => found,
            Err(Missing::Unknown(text)) => {
                return Err(attempt.stop(Class::Unknown, "unknown endpoint", text));
            }
            Err(Missing::Uri(error)) => {
                return Err(attempt.stop(Class::Arguments, "invalid URI", error.to_string()));
            }
        };
        let prepared = match runtime.prepared(endpoint) {
            Ok(prepared) => prepared,
            Err(error) => {
                tracing::error!(%error, "an endpoint of the bundle cannot be served");
                let text = format!("the endpoint cannot be served (call {})", attempt.id);
                return Err(attempt.stop(Class::Failed, "endpoint damaged", text));
            }
        };
        attempt.endpoint = Some((endpoint, prepared));
        match read(runtime, prepared, &attempt.call, &variables) {
            Ok(arguments) => {
                let arguments = Arc::new(arguments);
                attempt.arguments = Some(Arc::clone(&arguments));
                Ok(Validated(attempt, permit, Target { endpoint, prepared, arguments }))
            }
            Err(text) => {
                attempt.variables = variables;
                Err(attempt.stop(Class::Arguments, "invalid arguments", text))
            }
        }
    }
}

/// An endpoint, and the variables of the URI that named it.
type Located<'c> = (&'c Endpoint, Vec<(&'c str, String)>);

enum Missing {
    Unknown(String),
    Uri(UriError),
}

/// Finds the endpoint, and the variables of a URI.
fn find<'c>(runtime: &'c Runtime, call: &Call<'_>) -> Result<Located<'c>, Missing> {
    let kind = call.kind;
    let found = match kind {
        Kind::Resource => runtime.catalog().locate(call.target),
        Kind::Tool | Kind::Prompt => {
            runtime.catalog().find(kind, call.target).map(|endpoint| Ok((endpoint, Vec::new())))
        }
    };
    match found {
        Some(Ok(located)) => Ok(located),
        Some(Err(error)) => Err(Missing::Uri(error)),
        None => {
            let shown: String = call.target.chars().take(SHOWN_MAX_CHARS).collect();
            Err(Missing::Unknown(format!("there is no {} `{shown}`", kind.as_str())))
        }
    }
}

/// Reads the arguments: members of a JSON object, or texts by their declared types.
fn read(
    runtime: &Runtime,
    prepared: &Prepared,
    call: &Call<'_>,
    variables: &[(&str, String)],
) -> Result<Arguments, String> {
    let (parameters, checks) = (&prepared.parameters, runtime.checks());
    let (given, texts): (&[Member<'_>], &[(&str, String)]) = match call.given {
        Given::Members(members) => (members, &[]),
        Given::Texts(texts) => (&[], texts),
    };
    let written: Vec<(&str, String)> = texts
        .iter()
        .chain(variables)
        .map(|(name, text)| (*name, parameters.from_text(checks, name, text)))
        .collect();
    let parsed = written.iter().map(|(name, text)| {
        let value = json::parse(text.as_bytes());
        value.map(|value| ((*name).into(), value)).map_err(|error| format!("`{name}`: {error}"))
    });
    let mut members: Vec<Member<'_>> = parsed.collect::<Result<_, _>>()?;
    for (name, value) in given {
        // A variable of the URI is settled by the URI.
        if json::get(&members, name).is_none() {
            members.push((name.clone(), value.clone()));
        }
    }
    let max = size(runtime.limits().max_argument_bytes);
    parameters
        .read(checks, &members, max)
        .map_err(|problems| format!("invalid arguments: {problems}"))
}

impl<'c> Validated<'c> {
    fn admit(self) -> Result<Admitted<'c>, Stopped<'c>> {
        let Self(mut attempt, permit, target) = self;
        let subject = Subject::new(
            attempt.runtime,
            target.prepared,
            attempt.call.caller,
            &target.arguments,
            attempt.now,
            &target.endpoint.definition.identity,
        );
        match subject.ask_input(&mut attempt.trace) {
            Ok(()) => Ok(Admitted(attempt, permit, target)),
            Err(denial) => Err(attempt.deny(&denial, false)),
        }
    }
}

impl<'c> Admitted<'c> {
    /// Records the intent to run something that may change the world.
    async fn announce(self) -> Result<Announced<'c>, Unrecorded> {
        let Self(attempt, permit, target) = self;
        let is_harmless = match &target.endpoint.definition.body {
            Body::Sql { read_only, .. } => *read_only,
            Body::Messages(_) => true,
            Body::Python { .. } => false,
        };
        let announcement = if is_harmless {
            Announcement::Harmless
        } else {
            Announcement::Intended { _receipt: super::record::intend(&attempt).await? }
        };
        Ok(Announced(attempt, permit, target, announcement))
    }
}

impl<'c> Announced<'c> {
    /// Runs the endpoint and decides what of its result may leave. Both happen where the rows are,
    /// so that the state between them never leaves that place.
    async fn execute(self) -> Decided<'c> {
        let Self(mut attempt, _permit, target, _intent) = self;
        let call = Arc::new(Admission {
            runtime: Arc::clone(attempt.runtime),
            endpoint: target.endpoint.index,
            caller: Arc::clone(attempt.call.caller),
            arguments: Arc::clone(&target.arguments),
            id: attempt.id,
            started: attempt.started,
            now: attempt.now,
            entry: Entry::of(attempt.runtime),
        });
        attempt.admission = Some(Arc::clone(&call));
        let work = Work { call, trace: std::mem::take(&mut attempt.trace), error: None };
        let (trace, error, outcome) = work.run(attempt.call.cancel).await;
        attempt.trace = trace;
        attempt.error = error;
        Decided { attempt, outcome }
    }
}
