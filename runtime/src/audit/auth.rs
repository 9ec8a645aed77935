//! What authentication does: one record for each registration, consent, token and refusal.
//!
//! Like every record these carry identities and reasons, never a code, a token or a secret.

use std::future::Future;

use jiff::Timestamp;
use mxcp_schemas::audit::{
    CallerType, Client, Json, OperationStatus, OperationType, Principal, Record,
};

use super::call::CallId;
use super::queue::AppendError;
use super::trail::{AuditReceipt, Trail};
use crate::principal::Identity;

macro_rules! steps {
    ($( $(#[doc = $doc:literal])+ $step:ident = $word:literal, $status:ident; )+) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AuthStep {
            $( $(#[doc = $doc])+ $step, )+
        }

        impl AuthStep {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$step),+];

            /// The word that records use, as `operation_name`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$step => $word,)+ }
            }

            /// How the operation of the record ended.
            const fn status(self) -> OperationStatus {
                match self { $(Self::$step => OperationStatus::$status,)+ }
            }
        }
    };
}

steps! {
    /// A client introduced itself.
    Registered = "registered", Success;
    /// A person let a client act in their name.
    Consented = "consented", Success;
    /// A client was given tokens.
    Issued = "issued", Success;
    /// A client exchanged a token for a fresh one.
    Refreshed = "refreshed", Success;
    /// Somebody was turned away; the reason says why.
    Refused = "refused", Error;
    /// What may be used once was used again; everything that came of it is void.
    Reused = "reused", Error;
    /// Tokens were declared void.
    Revoked = "revoked", Success;
}

/// Something that authentication did.
#[derive(Debug, Clone, Copy)]
pub struct AuthEvent<'e> {
    /// What happened.
    pub step: AuthStep,
    /// Why it was refused: one of a fixed set of words such as `invalid_grant`; never a value.
    pub reason: Option<&'e str>,
    /// How it came.
    pub via: CallerType,
    /// Whom it is about, as far as that is known.
    pub identity: Option<&'e Identity>,
    /// The client: its identifier and its address.
    pub client: Client<'e>,
    /// The login that it belongs to; an identifier that opens nothing.
    pub session_id: Option<&'e str>,
    /// What else is to be known, such as scopes; nothing secret.
    pub detail: Option<&'e dyn Json>,
}

impl AuthEvent<'_> {
    /// An event of which nothing but this is known.
    pub fn new(step: AuthStep, via: CallerType) -> Self {
        Self {
            step,
            reason: None,
            via,
            identity: None,
            client: Client::default(),
            session_id: None,
            detail: None,
        }
    }
}

impl Trail {
    /// Records an event of authentication. As with [`Trail::append`], whoever waits for its outcome
    /// is answered when the future says so.
    pub fn auth(
        &self,
        event: &AuthEvent<'_>,
    ) -> impl Future<Output = Result<AuditReceipt, AppendError>> + Send + use<> {
        let (id, bundle) = (CallId::begin(), self.bundle());
        let (kind, name, status) = (OperationType::Auth, event.step.as_str(), event.step.status());
        let mut record = Record::new(id.as_str(), Timestamp::now(), event.via, kind, name, status);
        record.error = event.reason;
        if let Some(identity) = event.identity {
            record.user_id = identity.user_id.as_deref();
            record.principal = Some(Principal {
                username: identity.username.as_deref(),
                email: identity.email.as_deref(),
                provider: identity.provider.as_deref(),
            });
        }
        record.client = Some(event.client);
        record.session_id = event.session_id;
        record.event = event.detail;
        record.bundle = bundle.as_deref();
        self.append(&record)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::audit::Config;
    use crate::audit::tests::{place, records};

    /// Waits for a future that another thread completes.
    fn wait<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn every_step_has_its_record() {
        let place = place();
        let trail = Trail::open(&Config::new(&place.path)).unwrap();
        trail.set_bundle("blake3:aa");
        let identity = Identity {
            user_id: Some("u-1".into()),
            username: Some("ann".into()),
            email: None,
            provider: Some("google".into()),
        };
        let detail = serde_json::json!({"scopes": ["mxcp:access"]});
        for step in AuthStep::ALL {
            let event = AuthEvent {
                reason: (*step == AuthStep::Refused).then_some("invalid_grant"),
                identity: Some(&identity),
                client: Client { id: Some("client-1"), ip: Some("192.0.2.1") },
                session_id: Some("login-1"),
                detail: Some(&detail),
                ..AuthEvent::new(*step, CallerType::Http)
            };
            let receipt = wait(trail.auth(&event)).unwrap();
            assert!(receipt.seq().is_some());
        }
        let found = records(&place.path);
        assert_eq!(found.len(), AuthStep::ALL.len());
        for (record, step) in found.iter().zip(AuthStep::ALL) {
            assert_eq!(record["operation_type"], "auth");
            assert_eq!(record["operation_name"], step.as_str());
            let fails = matches!(step, AuthStep::Refused | AuthStep::Reused);
            assert_eq!(record["operation_status"] == "error", fails, "{step:?}");
            assert_eq!(record["user_id"], "u-1");
            assert_eq!(record["principal"]["provider"], "google");
            assert_eq!(record["client"]["id"], "client-1");
            assert_eq!(
                (&record["session_id"], &record["bundle"]),
                (&"login-1".into(), &"blake3:aa".into())
            );
            assert_eq!(record["event"], detail);
        }
        assert_eq!(found[4]["error"], "invalid_grant");
    }

    #[test]
    fn without_a_trail_nothing_is_waited_for() {
        let event = AuthEvent::new(AuthStep::Issued, CallerType::Http);
        let mut future = pin!(Trail::disabled().auth(&event));
        let ready = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(ready, Poll::Ready(Ok(_))));
    }
}
