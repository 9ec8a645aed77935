//! A project at work in this process: compiled, sealed, launched, called. The same path as the
//! server's; only who listens differs.

use std::path::PathBuf;
use std::sync::Arc;

use mxcp_compiler::{Compiled, Options};
use mxcp_runtime::bundle::Bundle;
use mxcp_runtime::config::Config;
use mxcp_runtime::enforce::{Answer, Call, Caller, Given};
use mxcp_runtime::json::{self, Json};
use mxcp_runtime::launch::{Launch, launch};
use mxcp_runtime::serve::Runtime;
use mxcp_schemas::audit::CallerType;
use mxcp_schemas::bundle::container::{Bundle as Contents, seal};
use mxcp_schemas::bundle::definition::Kind;
use mxcp_schemas::diagnostic::closest;
use tokio_util::sync::CancellationToken;

use crate::exit::Failure;
use crate::project::Project;
use crate::report::{Count, Format};
use crate::ui::Ui;

/// How a project is put to work.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    pub profile: Option<String>,
    pub config: Option<PathBuf>,
    pub read_only: bool,
    pub audit: Option<bool>,
}

/// A project at work.
pub struct Local {
    pub compiled: Compiled,
    pub runtime: Arc<Runtime>,
    pub config: Config,
}

impl Local {
    /// Compiles the project and launches what became of it. Says what is wrong and fails when it
    /// has errors.
    ///
    /// # Errors
    /// When the project has errors, or what surrounds it is not as configured.
    pub fn start(ui: Ui, setup: &Setup) -> Result<Self, Failure> {
        Self::start_with(ui, setup, |_, _| Ok(())).map(|(local, ())| local)
    }

    /// The same, with a look at what was compiled before it is put to work.
    ///
    /// # Errors
    /// Those of [`Local::start`], and what the look comes to.
    pub fn start_with<T>(
        ui: Ui,
        setup: &Setup,
        look: impl FnOnce(&mut Contents, &Compiled) -> Result<T, Failure>,
    ) -> Result<(Self, T), Failure> {
        let project = Project::find()?;
        let mut compiled = project
            .compile(ui, &Options { profile: setup.profile.clone(), ..Options::default() })?;
        let found = Count::of(&compiled.diagnostics);
        let Some(mut contents) = compiled.bundle.take().filter(|_| found.errors == 0) else {
            ui.diagnostics(&compiled.diagnostics, &compiled.texts, Format::Human);
            return Err(Failure::failed("the project has errors, so nothing was run"));
        };
        let looked = look(&mut contents, &compiled)?;
        let failed = |e: &dyn std::fmt::Display| Failure::usage(e.to_string());
        let bytes = seal(&contents, 0, None).map_err(|e| failed(&e))?;
        let bundle = Bundle::from_bytes(&bytes, None).map_err(|e| failed(&e))?;
        let around = Launch {
            root: project.root().to_owned(),
            config: setup.config.clone(),
            read_only: setup.read_only,
            audit: setup.audit,
            ..Launch::default()
        };
        let (runtime, config) = launch(&bundle, &around).map_err(|e| failed(&e))?;
        Ok((Self { compiled, runtime, config }, looked))
    }

    /// Whether there is such an endpoint.
    ///
    /// # Errors
    /// When there is none, with the one that was likely meant.
    pub fn known(&self, kind: Kind, name: &str) -> Result<(), Failure> {
        let names = || self.compiled.endpoints.iter().filter(|e| e.kind == kind && e.enabled);
        if names().any(|endpoint| endpoint.identity == name) {
            return Ok(());
        }
        let near = closest(name, names().map(|endpoint| endpoint.identity.as_str()));
        let help = near.map_or_else(
            || "`mxcp list` shows all".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        Err(Failure::usage(format!("there is no {} `{name}`; {help}", kind.as_str())))
    }

    /// The person at this terminal, or the one described.
    ///
    /// # Errors
    /// When the description is none.
    pub fn caller(&self, context: Option<&str>, headers: Option<&str>) -> Result<Caller, Failure> {
        let principal = mxcp_runtime::command::principal(&self.runtime, context)
            .map_err(|e| Failure::usage(format!("{e:#}")))?;
        Ok(Caller {
            principal: Arc::new(principal),
            via: CallerType::Cli,
            client: Some("mxcp".into()),
            client_ip: None,
            session_id: None,
            trace_id: None,
            headers: headers.map(read_headers).transpose()?,
            operator: true,
            vouched: None,
        })
    }

    /// Makes a call with arguments as a JSON object.
    ///
    /// # Errors
    /// When the arguments are none, or the call cannot be recorded.
    pub async fn call(
        &self,
        kind: Kind,
        target: &str,
        arguments: &str,
        caller: &Arc<Caller>,
    ) -> Result<Answer, Failure> {
        let parsed = json::parse(arguments.as_bytes())
            .map_err(|e| Failure::usage(format!("the arguments are not JSON: {e}")))?;
        let members = match &parsed {
            Json::Object(members) => members.as_slice(),
            _ => &[],
        };
        self.make(kind, target, Given::Members(members), caller).await
    }

    /// Makes a call with arguments as texts, which their declared types read.
    ///
    /// # Errors
    /// When the call cannot be recorded.
    pub async fn call_texts(
        &self,
        kind: Kind,
        target: &str,
        arguments: &[(&str, String)],
        caller: &Arc<Caller>,
    ) -> Result<Answer, Failure> {
        self.make(kind, target, Given::Texts(arguments), caller).await
    }

    async fn make(
        &self,
        kind: Kind,
        target: &str,
        given: Given<'_>,
        caller: &Arc<Caller>,
    ) -> Result<Answer, Failure> {
        let cancel = CancellationToken::new();
        let call = Call { kind, target, given, caller, cancel: &cancel };
        self.runtime.call(call).await.map_err(|e| Failure::failed(e.to_string()))
    }
}

/// The URI that a template becomes with values for its variables.
pub fn uri(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut uri = String::new();
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        let Some((name, tail)) = after.split_once('}') else { break };
        uri.push_str(literal);
        for byte in value(name).unwrap_or_default().bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                uri.push(char::from(byte));
            } else {
                uri.push_str(&format!("%{byte:02X}"));
            }
        }
        rest = tail;
    }
    uri.push_str(rest);
    uri
}

/// A runtime for calls.
///
/// # Errors
/// When the system has no threads left.
pub fn threads() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::usage(format!("no thread can be started: {e}")))
}

fn read_headers(text: &str) -> Result<Arc<axum::http::HeaderMap>, Failure> {
    let value = crate::command::json_argument("--request-headers", text)?;
    let mut headers = axum::http::HeaderMap::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let bad = || Failure::usage(format!("`--request-headers`: `{name}` is no header"));
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        headers.insert(
            axum::http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?,
            text.parse().map_err(|_| bad())?,
        );
    }
    Ok(Arc::new(headers))
}
