//! A tool that is compiled and served in this process.

use std::sync::Arc;

use mxcp_compiler::source::MemoryFiles;
use mxcp_compiler::{Options, compile};
use mxcp_policy::jit;
use mxcp_runtime::audit::Trail;
use mxcp_runtime::audit::redact::Redactor;
use mxcp_runtime::duckdb::{Pool, Settings};
use mxcp_runtime::mcp::server::{Arrival, Server};
use mxcp_runtime::serve::{Around, Linked, Runtime};
use mxcp_schemas::audit::CallerType;
use mxcp_schemas::bundle::plan::Plan;
use mxcp_tests::dispatched::Reads;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::peer::modern;

/// A tool at work.
pub(super) struct Served {
    server: Server,
    /// what its field actions do, in the order of its output policies
    pub(super) plans: Vec<Plan>,
}

impl Served {
    /// Compiles a tool that is called `t` and serves it.
    pub(super) fn new(tool: &str) -> Self {
        let files = MemoryFiles::new([
            ("mxcp-site.yml", "mxcp: 1\nproject: p\nprofile: default\n"),
            ("tools/t.yml", tool),
        ]);
        let compiled = compile(&files, &Reads, &Options::default());
        let bundle =
            compiled.bundle.unwrap_or_else(|| panic!("{:?}\n{tool}", compiled.diagnostics));
        let endpoint = &bundle.endpoints.entries[0];
        let plan = |plan: u32| bundle.predicates.plans[usize::try_from(plan).unwrap()].clone();
        let plans = endpoint.output.iter().filter_map(|policy| policy.plan.map(plan)).collect();
        let pool = Pool::start(&Settings::default().open().unwrap(), 1).unwrap();
        let around =
            Around { trail: Trail::disabled(), redactor: Redactor::default(), pool: Some(pool) };
        let runtime = Arc::new(Runtime::new(Linked::new(bundle, "d".into()).unwrap(), around));
        Self { server: Server::new(runtime, true), plans }
    }

    /// Has all conditions as machine code from here on.
    pub(super) fn compile(&self) {
        let predicates = self.server.runtime.machinery().predicates();
        let compiled = jit::compile_all(predicates.iter()).unwrap();
        assert_eq!(compiled.interpreted, 0);
    }

    /// The answer to a request of a caller.
    pub(super) async fn ask(&self, user: &Value, method: &str, params: Value) -> Value {
        let arrival = Arrival {
            headers: None,
            principal: Arc::new(self.server.runtime.principal(&user.to_string()).unwrap()),
            via: CallerType::Stdio,
            client_ip: None,
            operator: true,
            vouched: None,
            cancel: CancellationToken::new(),
        };
        let message = modern(method, params).to_string();
        let answer = self.server.receive(message.as_bytes(), &arrival, None).await;
        serde_json::from_str(&answer.body.unwrap()).unwrap()
    }

    /// The result of a call.
    pub(super) async fn call(&self, user: &Value, arguments: Value) -> Value {
        let params = json!({"name": "t", "arguments": arguments});
        self.ask(user, "tools/call", params).await["result"].take()
    }
}
