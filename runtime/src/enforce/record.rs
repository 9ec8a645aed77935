//! Recording calls: the last state before the answer, and the only one that has a receipt.

use std::borrow::Cow;
use std::fmt;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mxcp_policy::datum::Datum;
use mxcp_schemas::audit::{
    Client, Json as Written, JsonText, OperationStatus, OperationType, PolicyDecision,
    Principal as RecordedPrincipal, Record,
};
use mxcp_schemas::bundle::code::USER_ATTRIBUTES;
use mxcp_schemas::bundle::definition::{Kind, TypeId};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::ask::Trace;
use super::execute::{Admission, Done};
use super::state::{Attempt, Decided};
use super::{Answer, Caller, Given, Note, Outcome, Unrecorded};
use crate::arguments::Arguments;
use crate::audit::redact::REDACTED;
use crate::audit::{AppendError, AuditReceipt, CallId, Expected, IntentReceipt, Lone};
use crate::auth::admission::Vouched;
use crate::endpoint::Endpoint;
use crate::endpoint::prepared::Prepared;
use crate::prompt::Rendered;
use crate::serve::Runtime;

/// It is recorded.
#[derive(Debug)]
pub(super) struct Recorded {
    outcome: Outcome,
    call_id: CallId,
    receipt: AuditReceipt,
}

impl Recorded {
    /// The answer, which the receipt allows.
    pub(super) fn answer(self) -> Answer {
        Answer { outcome: self.outcome, call_id: self.call_id, receipt: self.receipt }
    }
}

/// What a record says of a call, wherever it is made.
struct Known<'k> {
    runtime: &'k Runtime,
    caller: &'k Caller,
    kind: Kind,
    target: &'k str,
    given: Given<'k>,
    /// variables of the URI that named the endpoint
    variables: &'k [(&'k str, String)],
    id: CallId,
    started: Instant,
    endpoint: Option<(&'k Endpoint, &'k Prepared)>,
    arguments: Option<&'k Arguments>,
    trace: &'k Trace,
    error: Option<&'k str>,
}

/// The record of an admitted call, which is made once: by the thread that knows first what the call
/// came to, if the call waits for the disk, else by whoever answers the call.
#[derive(Debug)]
pub(super) struct Entry(Mutex<Stage>);

#[derive(Debug)]
enum Stage {
    /// nobody has made it, and the trail knows that it will come
    Open { _expected: Expected },
    /// it was made then, and this is what becomes of it
    Made(Instant, Appended),
    /// whoever answers the call sees to it
    Claimed,
}

/// What becomes of a record.
struct Appended(Pin<Box<dyn Future<Output = Result<AuditReceipt, AppendError>> + Send>>);

impl fmt::Debug for Appended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Appended")
    }
}

impl Entry {
    /// The record of a call that is about to run.
    pub(super) fn of(runtime: &Runtime) -> Self {
        Self(Mutex::new(Stage::Open { _expected: runtime.trail().expect() }))
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves it to the caller from now on, unless it is made already.
    fn claim(&self) -> Option<Appended> {
        match std::mem::replace(&mut *self.lock(), Stage::Claimed) {
            Stage::Made(_, appended) => Some(appended),
            Stage::Open { .. } | Stage::Claimed => None,
        }
    }
}

impl Admission {
    /// Records what the call came to, where the call waits for the disk; on one of so many threads that
    /// run calls. [`Decided::record`] finds the record; should the call come to something else there,
    /// because nobody waited for this, the record that was first stands.
    pub(super) fn record(&self, done: &Done, threads: usize) {
        if let Some(lone) = self.make(done) {
            lone.commit(threads);
        }
    }

    /// Returns when the call is cancelled. From then on what its thread comes to is nobody's concern,
    /// unless that is on record already.
    pub(super) async fn cancelled(&self, cancel: &CancellationToken) {
        cancel.cancelled().await;
        let mut stage = self.entry.lock();
        if matches!(*stage, Stage::Open { .. }) {
            *stage = Stage::Claimed;
        }
    }

    /// Returns when that thread has taken longer for the record than anybody waits.
    pub(super) async fn overdue(&self) {
        let Some(deadline) = self.runtime.trail().deadline() else { return pending().await };
        loop {
            tokio::time::sleep(deadline).await;
            let made = match *self.entry.lock() {
                Stage::Made(made, _) => made,
                Stage::Open { .. } | Stage::Claimed => continue,
            };
            tokio::time::sleep_until((made + deadline).into()).await;
            // Whatever becomes of it now, nobody is answered on the strength of it.
            let late = std::future::ready(Err(self.runtime.trail().give_up()));
            *self.entry.lock() = Stage::Made(made, Appended(Box::pin(late)));
            return;
        }
    }

    fn make(&self, done: &Done) -> Option<Lone> {
        let endpoint = self.runtime.catalog().all().get(self.endpoint)?;
        let prepared = self.runtime.prepared(endpoint).ok()?;
        let (trace, error, outcome) = done;
        let known = Known {
            runtime: &self.runtime,
            caller: &self.caller,
            kind: endpoint.definition.kind,
            target: &endpoint.definition.identity,
            given: Given::Texts(&[]),
            variables: &[],
            id: self.id,
            started: self.started,
            endpoint: Some((endpoint, prepared)),
            arguments: Some(&self.arguments),
            trace,
            error: error.as_deref(),
        };
        let (lone, appended) =
            known.write(outcome, |record| self.runtime.trail().append_alone(record))?;
        let mut stage = self.entry.lock();
        if !matches!(*stage, Stage::Open { .. }) {
            return None;
        }
        *stage = Stage::Made(Instant::now(), Appended(Box::pin(appended)));
        Some(lone)
    }
}

impl Attempt<'_> {
    fn known(&self) -> Known<'_> {
        Known {
            runtime: self.runtime,
            caller: self.call.caller,
            kind: self.call.kind,
            target: self.call.target,
            given: self.call.given,
            variables: &self.variables,
            id: self.id,
            started: self.started,
            endpoint: self.endpoint,
            arguments: self.arguments.as_deref(),
            trace: &self.trace,
            error: self.error.as_deref(),
        }
    }
}

impl Known<'_> {
    /// Makes the record and hands it over.
    fn write<R>(&self, outcome: &Outcome, append: impl FnOnce(&Record<'_>) -> R) -> R {
        if !self.runtime.trail().is_enabled() {
            return append(&self.bare());
        }
        let parts = Parts::new(self);
        let output = Output::new(self, outcome);
        let mut record = parts.record(self).took(self.started.elapsed());
        if matches!(outcome, Outcome::Failed(_)) {
            record.operation_status = OperationStatus::Error;
        }
        record.output_data = output.as_ref().map(|output| output as &dyn Written);
        append(&record)
    }

    /// A record with nothing but what every record has, for a trail that keeps none.
    fn bare(&self) -> Record<'_> {
        let (operation, now) = (OperationType::Tool, jiff::Timestamp::UNIX_EPOCH);
        let status = OperationStatus::Success;
        Record::new(self.id.as_str(), now, self.caller.via, operation, self.target, status)
    }
}

impl Decided<'_> {
    /// Records what the call came to, and waits until the record is as the trail demands.
    ///
    /// # Errors
    /// When it cannot be recorded; nobody learns then what it came to.
    pub(super) async fn record(self) -> Result<Recorded, Unrecorded> {
        let Self { attempt, outcome } = self;
        let made = attempt.admission.as_ref().and_then(|admission| admission.entry.claim());
        let appended = match made {
            Some(Appended(appended)) => appended.await,
            None => {
                let trail = attempt.runtime.trail();
                let appended = attempt.known().write(&outcome, |record| trail.append(record));
                appended.await
            }
        };
        match appended {
            Ok(receipt) => Ok(Recorded { outcome, call_id: attempt.id, receipt }),
            Err(error) => Err(unrecorded(attempt.id, &error)),
        }
    }
}

/// Records the intent to run something that may change the world.
///
/// # Errors
/// When it cannot be recorded; nothing may run then.
pub(super) async fn intend(attempt: &Attempt<'_>) -> Result<IntentReceipt, Unrecorded> {
    let intended = {
        let known = attempt.known();
        let parts = Parts::new(&known);
        attempt.runtime.trail().intend(&parts.record(&known))
    };
    intended.await.map_err(|error| unrecorded(attempt.id, &error))
}

/// Records something that is no call.
pub(super) async fn note(
    runtime: &Runtime,
    caller: &Caller,
    note: Note<'_>,
) -> Result<AuditReceipt, Unrecorded> {
    let appended = {
        let status = match note.error {
            Some(_) => OperationStatus::Error,
            None => OperationStatus::Success,
        };
        let now = jiff::Timestamp::now();
        let (via, operation) = (caller.via, note.operation);
        let mut record = Record::new(note.id.as_str(), now, via, operation, note.name, status)
            .took(note.started.elapsed());
        record.error = note.error;
        describe(&mut record, runtime, caller);
        runtime.trail().append(&record)
    };
    appended.await.map_err(|error| unrecorded(note.id, &error))
}

fn unrecorded(call_id: CallId, error: &AppendError) -> Unrecorded {
    tracing::error!(%error, %call_id, "a call could not be recorded and is not answered");
    Unrecorded { call_id }
}

/// A result as it left, redacted when it is written.
#[derive(Debug)]
struct Output<'p> {
    runtime: &'p Runtime,
    declared: Option<TypeId>,
    value: Value,
}

impl<'p> Output<'p> {
    fn new(known: &Known<'p>, outcome: &Outcome) -> Option<Self> {
        let runtime = known.runtime;
        if !runtime.records_output() {
            return None;
        }
        let (endpoint, prepared) = known.endpoint?;
        let value = match outcome {
            Outcome::Value(value) => serde_json::from_str(&value.json).ok()?,
            // A text holds what its template put into it, and no mark says where.
            Outcome::Messages(messages)
                if !runtime.redactor().hides_any(runtime.checks(), &prepared.parameters) =>
            {
                Rendered::to_json(messages)
            }
            Outcome::Messages(_) => Value::from(REDACTED),
            Outcome::Failed(_) => return None,
        };
        let declared = endpoint.definition.result;
        Some(Self { runtime, declared, value })
    }
}

impl Written for Output<'_> {
    fn write_json(&self, text: &mut JsonText<'_>) {
        let (redactor, checks) = (self.runtime.redactor(), self.runtime.checks());
        redactor.result(checks, self.declared, &self.value).write_json(text);
    }
}

/// What every record says about the caller and the server.
fn describe<'r>(record: &mut Record<'r>, runtime: &'r Runtime, caller: &'r Caller) {
    let identity = caller.principal.identity();
    record.user_id = identity.user_id.as_deref();
    record.principal = Some(RecordedPrincipal {
        username: identity.username.as_deref(),
        email: identity.email.as_deref(),
        provider: identity.provider.as_deref(),
    });
    // Where somebody logged in through a client, that is the one which the records of the login name;
    // what a program calls itself is said by anybody.
    let account = caller.principal.account().and_then(|account| account.client.as_deref());
    let id = account.or(caller.client.as_deref());
    record.client = Some(Client { id, ip: caller.client_ip.as_deref() });
    // Clients of the current protocol have no session; their calls belong to a login all the same.
    let login = caller.vouched.as_ref().and_then(Vouched::login_id);
    record.session_id = caller.session_id.as_deref().or(login);
    record.trace_id = caller.trace_id.as_deref();
    record.bundle = Some(runtime.digest());
}

/// What a record borrows and nobody else owns.
struct Parts<'p> {
    input: Option<Box<dyn Written + 'p>>,
    attributes: Option<Attributes<'p>>,
    evaluated: Vec<&'p str>,
    fired: Vec<&'p str>,
    masked: Vec<&'p str>,
    error: Option<String>,
    /// what was asked for, if there is no such endpoint
    unknown: Cow<'p, str>,
}

impl<'p> Parts<'p> {
    fn new(known: &Known<'p>) -> Self {
        let trace = known.trace;
        let errors = trace.errors.iter().map(String::as_str);
        let problems = known.error.into_iter().chain(errors).collect::<Vec<_>>();
        Self {
            input: input(known),
            attributes: attributes(known),
            evaluated: trace.evaluated.iter().map(|name| &**name).collect(),
            fired: trace.fired.iter().map(|name| &**name).collect(),
            masked: trace.masked.iter().map(String::as_str).collect(),
            error: (!problems.is_empty()).then(|| problems.join("; ")),
            unknown: unknown(known),
        }
    }

    fn record<'r>(&'r self, known: &'r Known<'_>) -> Record<'r> {
        let operation = match known.kind {
            Kind::Tool => OperationType::Tool,
            Kind::Resource => OperationType::Resource,
            Kind::Prompt => OperationType::Prompt,
        };
        let name = match known.endpoint {
            // A resource is recorded by its template; its variables are input.
            Some((endpoint, _)) => endpoint.definition.identity.as_str(),
            None => &self.unknown,
        };
        let now = jiff::Timestamp::now();
        let caller = known.caller;
        let status = OperationStatus::Success;
        let mut record = Record::new(known.id.as_str(), now, caller.via, operation, name, status);
        describe(&mut record, known.runtime, caller);
        record.input_data = self.input.as_deref().map(|input| input as &dyn Written);
        record.user_attributes = self.attributes.as_ref().map(|value| value as &dyn Written);
        record.error = self.error.as_deref();
        record.policies_evaluated = &self.evaluated;
        record.policies_fired = &self.fired;
        record.masked_fields = &self.masked;
        record.policy_decision = decision(known.trace);
        record.policy_reason = known.trace.reason.as_deref();
        record
    }
}

/// The name of an endpoint that there is not. Of a URI no part is declared, and any part may be
/// what a template would have marked as sensitive, so its scheme alone is recorded.
fn unknown<'p>(known: &Known<'p>) -> Cow<'p, str> {
    match (known.kind, known.target.split_once(':')) {
        (Kind::Tool | Kind::Prompt, _) => Cow::Borrowed(known.target),
        (Kind::Resource, Some((scheme, _))) => Cow::Owned(format!("{scheme}:[undeclared]")),
        (Kind::Resource, None) => Cow::Borrowed("[undeclared]"),
    }
}

/// What the policies decided; none where no policy was asked.
fn decision(trace: &Trace) -> Option<PolicyDecision> {
    if trace.evaluated.is_empty() && !trace.denied {
        return None;
    }
    Some(match (trace.denied, trace.fired.is_empty()) {
        (true, _) => PolicyDecision::Deny,
        (false, true) => PolicyDecision::Allow,
        (false, false) => PolicyDecision::Warn,
    })
}

/// The arguments, redacted: as they were understood, else as they were given.
fn input<'p>(known: &Known<'p>) -> Option<Box<dyn Written + 'p>> {
    let (redactor, checks) = (known.runtime.redactor(), known.runtime.checks());
    let parameters = match known.endpoint {
        Some((_, prepared)) => &prepared.parameters,
        None => known.runtime.no_parameters(),
    };
    if let Some(arguments) = known.arguments {
        return Some(Box::new(redactor.arguments(checks, parameters, arguments)));
    }
    match known.given {
        Given::Members(members) => Some(Box::new(redactor.given(checks, parameters, members))),
        Given::Texts(texts) => {
            let all = texts.iter().chain(known.variables);
            let all = all.map(|(name, text)| (*name, text.as_str())).collect();
            Some(Box::new(redactor.texts(checks, parameters, all)))
        }
    }
}

/// The attributes of the caller that the endpoint's policies read.
fn attributes<'p>(known: &Known<'p>) -> Option<Attributes<'p>> {
    let (_, prepared) = known.endpoint?;
    let principal = &known.caller.principal;
    let declared = &known.runtime.manifest().user_attributes;
    let read = prepared.reads.user.iter().filter_map(|slot| {
        let name = principal.attribute_name(*slot)?;
        let datum = principal.attributes().get(*slot)?;
        let own = slot.checked_sub(USER_ATTRIBUTES.len()).and_then(|at| declared.get(at));
        // What an error says holds no value, whatever the attribute is declared as.
        let own = own.filter(|_| !matches!(datum, Datum::Error(_)));
        Some((name, own.map(|attribute| attribute.ty), to_json(datum)))
    });
    let read: Vec<_> = read.collect();
    if read.is_empty() {
        return None;
    }
    Some(Attributes { runtime: known.runtime, read })
}

/// Attributes of a caller: name, declared type, value; redacted when they are written.
#[derive(Debug)]
struct Attributes<'p> {
    runtime: &'p Runtime,
    read: Vec<(&'p str, Option<TypeId>, Value)>,
}

impl Written for Attributes<'_> {
    fn write_json(&self, text: &mut JsonText<'_>) {
        let (redactor, checks) = (self.runtime.redactor(), self.runtime.checks());
        let members = self.read.iter().map(|(name, ty, value)| (*name, (*ty, value)));
        text.object(members, |text, name, (ty, value)| {
            redactor.attribute(checks, name, ty, value, text);
        });
    }
}

/// An attribute as JSON.
fn to_json(datum: &Datum) -> Value {
    match datum {
        Datum::Null => Value::Null,
        Datum::Bool(value) => Value::Bool(*value),
        Datum::Int(value) => Value::from(*value),
        Datum::Uint(value) => Value::from(*value),
        Datum::Double(value) => Value::from(*value),
        Datum::String(text) => Value::String(text.text.to_string()),
        Datum::Bytes(bytes) => Value::String(format!("[{} bytes]", bytes.len())),
        Datum::Timestamp(at) => {
            jiff::Timestamp::new(at.seconds, i32::try_from(at.nanos).unwrap_or(0))
                .map_or(Value::Null, |at| Value::String(at.to_string()))
        }
        Datum::Duration(span) => {
            Value::String(format!("{}.{:09}s", span.seconds, span.nanos.abs()))
        }
        Datum::List(items) => Value::Array(items.iter().map(to_json).collect()),
        Datum::Map(entries) => Value::Object(
            entries.iter().map(|(name, value)| (name.text.to_string(), to_json(value))).collect(),
        ),
        Datum::Error(problem) => Value::String(format!("[error: {problem}]")),
    }
}
