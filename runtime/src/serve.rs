//! A bundle at work.

use std::sync::Arc;

use mxcp_policy::datum::Symbols;
use mxcp_policy::predicate::LinkError;
use mxcp_schemas::bundle::container::{Bundle as Contents, OpenError, Opened};
use mxcp_schemas::bundle::definition::{self, Kind, Predicates, Types};
use mxcp_schemas::bundle::manifest::Manifest;
use rkyv::rancor;

use crate::arguments::Parameters;
use crate::audit::Trail;
use crate::audit::redact::Redactor;
use crate::auth::provider::Person;
use crate::check::Checks;
use crate::duckdb::Pool;
use crate::endpoint::prepared::{self, Machinery, PrepareError, Prepared};
use crate::endpoint::{Catalog, Endpoint};
use crate::gate::{Gate, Meter};
use crate::limits::{Limits, UnknownLimit, size};
use crate::principal::{Account, ContextError, Principal, Vocabulary};
use crate::prompt::Renderer;

/// Everything that calls need.
#[derive(Debug)]
pub struct Runtime {
    linked: Linked,
    no_parameters: Parameters,
    trail: Trail,
    redactor: Redactor,
    pool: Option<Pool>,
    gate: Gate,
}

/// What follows from a bundle alone.
#[derive(Debug)]
pub struct Linked {
    manifest: Manifest,
    digest: String,
    checks: Checks,
    symbols: Symbols,
    machinery: Machinery,
    catalog: Catalog,
    renderer: Renderer,
    limits: Limits,
}

/// Why a bundle cannot be put to work.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It breaks a rule of the format.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A section cannot be read.
    #[error("the bundle's {0} section cannot be read; build it again")]
    Section(&'static str),
    /// A type refers to one that is not there.
    #[error(
        "the bundle's types section is damaged: type {0} refers to none before it, or too deep; build it again"
    )]
    Type(u32),
    /// An endpoint refers to a type, a condition or a plan that is not there.
    #[error("the bundle's endpoints section is damaged: {} `{identity}` refers to what is not there; build it again", kind.as_str())]
    Reference {
        /// of the endpoint
        kind: Kind,
        /// what clients call it by
        identity: String,
    },
    /// A condition cannot be linked.
    #[error("the bundle's predicates section is damaged: {0}")]
    Link(#[from] LinkError),
    /// A limit is not known.
    #[error(transparent)]
    Limit(#[from] UnknownLimit),
}

/// What surrounds a bundle.
#[derive(Debug)]
pub struct Around {
    /// where calls are recorded
    pub trail: Trail,
    /// how records are redacted
    pub redactor: Redactor,
    /// the database; without one SQL endpoints answer with an error
    pub pool: Option<Pool>,
}

impl Linked {
    /// Reads and links what an opened bundle holds.
    ///
    /// # Errors
    /// When it breaks a rule that the compiler keeps.
    pub fn of(opened: &Opened<'_>) -> Result<Self, StartError> {
        Self::new(owned(opened)?, opened.header.digest_hex())
    }

    /// Links the contents of a bundle with this digest.
    ///
    /// # Errors
    /// When they break a rule that the compiler keeps.
    pub fn new(contents: Contents, digest: String) -> Result<Self, StartError> {
        let Contents { manifest, types, endpoints, predicates, sources: _ } = contents;
        let limits = Limits::new(&manifest.limits)?;
        if let Some(damaged) = types.damaged() {
            return Err(StartError::Type(damaged.0));
        }
        for endpoint in &endpoints.entries {
            if !has_all(endpoint, &types, &predicates) {
                let identity = endpoint.identity.clone();
                return Err(StartError::Reference { kind: endpoint.kind, identity });
            }
        }
        let mut symbols = Symbols::default();
        let users = prepared::users(manifest.user_attributes.len());
        let machinery = Machinery::link(predicates, users, &mut symbols)?;
        Ok(Self {
            digest,
            checks: Checks::new(types),
            symbols,
            machinery,
            catalog: Catalog::new(endpoints),
            renderer: Renderer::new(size(limits.max_template_output_bytes)),
            limits,
            manifest,
        })
    }

    /// Prepares every endpoint, which a server does when one is asked for.
    ///
    /// # Errors
    /// The first rule of the compiler's that one breaks.
    pub fn verify(&self) -> Result<(), &PrepareError> {
        let users = prepared::users(self.manifest.user_attributes.len());
        for endpoint in self.catalog.all() {
            endpoint.prepared(&self.machinery, &self.checks, users)?;
        }
        Ok(())
    }
}

/// Whether there is all that an endpoint refers to by number.
fn has_all(endpoint: &definition::Endpoint, types: &Types, predicates: &Predicates) -> bool {
    fn has<T>(list: &[T], number: u32) -> bool {
        usize::try_from(number).is_ok_and(|number| number < list.len())
    }
    let mut own = endpoint.parameters.iter().map(|parameter| parameter.ty).chain(endpoint.result);
    let mut policies = endpoint.input.iter().chain(&endpoint.output);
    own.all(|ty| has(&types.nodes, ty.0))
        && policies.all(|policy| {
            has(&predicates.programs, policy.program)
                && policy.plan.is_none_or(|plan| has(&predicates.plans, plan))
        })
}

impl Runtime {
    /// Puts a linked bundle to work.
    pub fn new(linked: Linked, around: Around) -> Self {
        Self {
            gate: Gate::new(&linked.limits),
            linked,
            no_parameters: Parameters::none(),
            trail: around.trail,
            redactor: around.redactor,
            pool: around.pool,
        }
    }

    /// Somebody of whom nothing is known.
    pub fn anonymous(&self) -> Principal {
        Principal::anonymous(self.vocabulary())
    }

    /// Somebody described by a JSON object, as tests and the command line describe callers.
    ///
    /// # Errors
    /// When the text is not a JSON object.
    pub fn principal(&self, context: &str) -> Result<Principal, ContextError> {
        Principal::from_context(self.vocabulary(), context)
    }

    /// Somebody who was authenticated: as the identity provider describes them, with the
    /// capabilities that follow from that.
    pub fn authenticated(
        &self,
        person: &Person,
        capabilities: &[String],
        account: Account,
        meter: Arc<Meter>,
    ) -> Principal {
        Principal::authenticated(self.vocabulary(), person, capabilities)
            .with_account(account, meter)
    }

    fn vocabulary(&self) -> Vocabulary<'_> {
        Vocabulary {
            symbols: &self.linked.symbols,
            attributes: &self.linked.manifest.user_attributes,
            checks: &self.linked.checks,
            memory: self.linked.machinery.memory(),
        }
    }

    /// An endpoint in the form that calls are made with.
    ///
    /// # Errors
    /// When the bundle breaks a rule that the compiler keeps.
    pub fn prepared<'e>(&self, endpoint: &'e Endpoint) -> Result<&'e Prepared, &'e PrepareError> {
        let users = prepared::users(self.linked.manifest.user_attributes.len());
        endpoint.prepared(&self.linked.machinery, &self.linked.checks, users)
    }

    /// What the bundle says of itself.
    pub const fn manifest(&self) -> &Manifest {
        &self.linked.manifest
    }

    /// The name of the project.
    pub fn project(&self) -> &str {
        &self.linked.manifest.project
    }

    /// The digest of the bundle, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.linked.digest
    }

    /// The endpoints.
    pub const fn catalog(&self) -> &Catalog {
        &self.linked.catalog
    }

    /// Declared types.
    pub const fn checks(&self) -> &Checks {
        &self.linked.checks
    }

    /// The strings that conditions mention.
    pub const fn symbols(&self) -> &Symbols {
        &self.linked.symbols
    }

    /// Conditions and plans.
    pub const fn machinery(&self) -> &Machinery {
        &self.linked.machinery
    }

    /// The limits of the server.
    pub const fn limits(&self) -> &Limits {
        &self.linked.limits
    }

    /// Where calls are recorded.
    pub const fn trail(&self) -> &Trail {
        &self.trail
    }

    pub(crate) const fn pool(&self) -> Option<&Pool> {
        self.pool.as_ref()
    }

    /// How long a statement may run: what the database's configuration says, or the limit.
    pub(crate) fn query_timeout_ms(&self) -> u64 {
        self.linked.manifest.duckdb.query_timeout_ms.unwrap_or(self.linked.limits.query_timeout_ms)
    }

    pub(crate) const fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    pub(crate) const fn renderer(&self) -> &Renderer {
        &self.linked.renderer
    }

    pub(crate) const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The parameters of what does not exist.
    pub(crate) const fn no_parameters(&self) -> &Parameters {
        &self.no_parameters
    }

    pub(crate) const fn records_output(&self) -> bool {
        self.linked.manifest.audit.output_data
    }
}

/// The contents of a bundle, apart from the texts for readers.
fn owned(opened: &Opened<'_>) -> Result<Contents, StartError> {
    macro_rules! section {
        ($name:ident) => {
            rkyv::deserialize::<_, rancor::Error>(opened.$name)
                .map_err(|_| StartError::Section(stringify!($name)))?
        };
    }
    Ok(Contents {
        manifest: section!(manifest),
        types: section!(types),
        endpoints: section!(endpoints),
        predicates: section!(predicates),
        sources: mxcp_schemas::bundle::source::Sources::default(),
    })
}
