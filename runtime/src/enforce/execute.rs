//! Execution and what follows from its result: the part of a call that may run on another thread.

use std::sync::Arc;

use mxcp_policy::datum::{Datum, Instant};
use mxcp_policy::plan;
use mxcp_schemas::bundle::definition::{Body, Message};
use tokio_util::sync::CancellationToken;

use super::ask::{Denial, Ruling, Subject, Trace};
use super::record::Entry;
use super::{Caller, Class, Failure, Outcome};
use crate::arguments::Arguments;
use crate::audit::CallId;
use crate::endpoint::Endpoint;
use crate::endpoint::prepared::Prepared;
use crate::prompt::Rendered;
use crate::serve::Runtime;

/// An admitted call, on its own.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) runtime: Arc<Runtime>,
    /// its place in the catalogue
    pub(super) endpoint: usize,
    pub(super) caller: Arc<Caller>,
    pub(super) arguments: Arc<Arguments>,
    pub(super) id: CallId,
    pub(super) started: std::time::Instant,
    pub(super) now: Instant,
    /// its record
    pub(super) entry: Entry,
}

/// An admitted call, and what is known of how it goes.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) call: Arc<Admission>,
    pub(super) trace: Trace,
    /// classes of what went wrong, for the record
    pub(super) error: Option<String>,
}

/// What a call came to: what its policies said, what went wrong, what leaves.
pub(super) type Done = (Trace, Option<String>, Outcome);

/// Why an execution has no result.
#[derive(Debug)]
pub(super) struct Fault {
    /// the class, which may be recorded: never a value
    pub(super) class: String,
    /// what somebody may read who operates the server
    pub(super) detail: String,
    /// who else may read it
    readers: Readers,
}

/// Who may read why an execution failed, besides operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readers {
    /// nobody: it may hold anything
    Nobody,
    /// everybody, where nothing is kept from anybody
    Unguarded,
    /// everybody: that a limit was reached
    Everybody,
}

impl Work {
    /// Runs the endpoint, asks the output policies about the result, and makes what leaves.
    pub(super) async fn run(self, cancel: &CancellationToken) -> Done {
        let runtime = Arc::clone(&self.call.runtime);
        let Some(endpoint) = runtime.catalog().all().get(self.call.endpoint) else {
            return self.fail(Fault::internal("the endpoint is not in the catalogue"), false);
        };
        let Ok(prepared) = runtime.prepared(endpoint) else {
            return self.fail(Fault::internal("the endpoint cannot be prepared"), true);
        };
        match &endpoint.definition.body {
            Body::Messages(messages) => self.messages(endpoint, prepared, messages),
            Body::Sql { .. } => super::sql::run(self, endpoint, prepared, cancel).await,
            Body::Python { .. } => {
                let fault =
                    Fault::public("python", "this release does not execute Python endpoints");
                self.fail(fault, prepared.is_guarded)
            }
        }
    }

    /// Renders a prompt. Its result, for policies, is the list of its messages.
    fn messages(mut self, endpoint: &Endpoint, prepared: &Prepared, messages: &[Message]) -> Done {
        let names = prepared.parameters.list().iter().map(|parameter| &*parameter.name);
        let arguments = names.zip(self.call.arguments.values());
        let rendered = match self.call.runtime.renderer().render(messages, arguments) {
            Ok(rendered) => rendered,
            Err(error) => {
                return self
                    .fail(Fault::public("template", error.to_string()), prepared.is_guarded);
            }
        };
        let response = prepared.reads.response.then(|| self.describe(&rendered));
        match self.rule(endpoint, prepared, response.as_ref()) {
            Ruling::Keep => (self.trace, self.error, Outcome::Messages(rendered)),
            Ruling::Deny(denial) => self.deny(&denial, false),
            Ruling::Change(plan) => {
                let mut value = Rendered::to_json(&rendered);
                plan::apply(&plan, &mut value);
                let outcome = Outcome::Messages(Rendered::from_json(&value));
                (self.trace, self.error, outcome)
            }
        }
    }

    fn describe(&self, rendered: &[Rendered]) -> Datum {
        let symbols = self.call.runtime.symbols();
        let message = |message: &Rendered| {
            let text = |text: &str| Datum::String(symbols.text(text));
            Datum::Map(
                [
                    (symbols.text("role"), text(&message.role)),
                    (symbols.text("text"), text(&message.text)),
                ]
                .into(),
            )
        };
        Datum::List(rendered.iter().map(message).collect())
    }

    /// Asks the output policies.
    pub(super) fn rule(
        &mut self,
        endpoint: &Endpoint,
        prepared: &Prepared,
        response: Option<&Datum>,
    ) -> Ruling {
        let subject = Subject::new(
            &self.call.runtime,
            prepared,
            &self.call.caller,
            &self.call.arguments,
            self.call.now,
            &endpoint.definition.identity,
        );
        subject.ask_output(response, &mut self.trace)
    }

    /// A policy refused the result.
    pub(super) fn deny(self, denial: &Denial, executed: bool) -> Done {
        let mut text = match &denial.reason {
            Some(reason) => reason.to_string(),
            None => format!("access denied (call {})", self.call.id),
        };
        if executed {
            text += " (the call was executed; its result is withheld)";
        }
        let error = self.error.or_else(|| Some("policy denied".into()));
        (self.trace, error, Outcome::Failed(Failure { class: Class::Denied, text }))
    }

    /// Execution failed, or its result is not as declared. Who operates the server reads why, and
    /// everybody does where the text can hold nothing that the client must not see.
    pub(super) fn fail(self, fault: Fault, is_guarded: bool) -> Done {
        tracing::warn!(call_id = %self.call.id, class = %fault.class, "a call failed");
        let is_for_all = match fault.readers {
            Readers::Nobody => false,
            Readers::Unguarded => !is_guarded,
            Readers::Everybody => true,
        };
        let text = if self.call.caller.operator || is_for_all {
            format!("{} (call {})", fault.detail, self.call.id)
        } else {
            format!("the call failed; the operator finds the cause under call {}", self.call.id)
        };
        let outcome = Outcome::Failed(Failure { class: Class::Failed, text });
        (self.trace, Some(fault.class), outcome)
    }
}

impl Fault {
    /// Something whose words hold nothing that a policy could keep from somebody who sees all.
    pub(super) fn public(class: &str, detail: impl Into<String>) -> Self {
        Self { class: class.to_owned(), detail: detail.into(), readers: Readers::Unguarded }
    }

    /// Something whose words may hold values.
    pub(super) fn private(class: &str, detail: impl Into<String>) -> Self {
        Self { class: class.to_owned(), detail: detail.into(), readers: Readers::Nobody }
    }

    /// A limit that was reached.
    pub(super) fn limit(class: &str, detail: impl Into<String>) -> Self {
        Self { class: class.to_owned(), detail: detail.into(), readers: Readers::Everybody }
    }

    fn internal(detail: &str) -> Self {
        Self::private("internal", detail)
    }
}
