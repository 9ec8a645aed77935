//! `mxcp inspect BUNDLE`

use std::path::{Path, PathBuf};

use mxcp_policy::datum::Symbols;
use mxcp_policy::jit;
use mxcp_policy::predicate::Predicate;
use mxcp_policy::text::Listing;
use mxcp_policy::verify::Layout;
use mxcp_runtime::bundle::Bundle;
use mxcp_schemas::bundle::code::Program;
use mxcp_schemas::bundle::definition::{Body, Endpoint};
use serde_json::json;

use super::Outcome;
use crate::exit::{Exit, Failure};
use crate::ui::Ui;

/// Show what is in a bundle
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundle
    bundle: PathBuf,
    /// Show the code of the conditions
    #[arg(long)]
    ir: bool,
    /// Show the code of the conditions as Cranelift compiles it
    #[arg(long)]
    clif: bool,
    /// Show the SQL
    #[arg(long)]
    sql: bool,
    /// Refuse a bundle that this Ed25519 public key did not sign: 32 bytes, raw or in hexadecimal
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
}

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        let trusted = self.public_key.as_deref().map(public_key).transpose()?;
        let bundle =
            Bundle::open(&self.bundle, trusted).map_err(|e| Failure::failed(e.to_string()))?;
        let contents = bundle.contents().map_err(|e| Failure::failed(e.to_string()))?;
        let damaged = |e: rkyv::rancor::Error| Failure::failed(e.to_string());
        let endpoints: Vec<Endpoint> =
            rkyv::deserialize(&contents.endpoints.entries).map_err(damaged)?;
        let programs: Vec<Program> =
            rkyv::deserialize(&contents.predicates.programs).map_err(damaged)?;
        let header = contents.header;
        let signer =
            header.signer.map(|key| key.iter().map(|b| format!("{b:02x}")).collect::<String>());
        if ui.json {
            ui.document(&json!({
                "project": contents.manifest.project.as_str(),
                "profile": contents.manifest.profile.as_str(),
                "compiler": contents.manifest.compiler.as_str(),
                "build_number": header.build_number,
                "digest": header.digest_hex(),
                "signer": signer,
                "endpoints": endpoints.iter().map(|e| json!({
                    "type": e.kind.as_str(),
                    "name": e.identity,
                    "file": e.file,
                    "input": e.input.iter().map(|p| json!({"name": p.name, "action": p.action, "condition": p.condition})).collect::<Vec<_>>(),
                    "output": e.output.iter().map(|p| json!({"name": p.name, "action": p.action, "condition": p.condition})).collect::<Vec<_>>(),
                })).collect::<Vec<_>>(),
            }));
            return Ok(Exit::Fine);
        }
        ui.line(&format!(
            "project {}, profile {}, compiler {}, build {}\ndigest {}\n{}",
            contents.manifest.project,
            contents.manifest.profile,
            contents.manifest.compiler,
            header.build_number,
            header.digest_hex(),
            signer.map_or_else(|| "not signed".to_owned(), |key| format!("signed by {key}")),
        ));
        for endpoint in &endpoints {
            self.endpoint(ui, endpoint, &programs);
        }
        Ok(Exit::Fine)
    }

    fn endpoint(&self, ui: Ui, endpoint: &Endpoint, programs: &[Program]) {
        ui.line(&format!(
            "\n{} {}  ({})",
            endpoint.kind.as_str(),
            endpoint.identity,
            endpoint.file
        ));
        for (stage, policies) in [("input", &endpoint.input), ("output", &endpoint.output)] {
            for policy in policies {
                ui.line(&format!(
                    "  {stage:<6} {}: {} when {}",
                    policy.name, policy.action, policy.condition
                ));
                let program = programs.get(policy.program as usize).filter(|_| self.ir);
                if let Some(program) = program {
                    for line in Listing(program).to_string().lines() {
                        ui.line(&format!("         {line}"));
                    }
                }
                let program = programs.get(policy.program as usize).filter(|_| self.clif);
                if let Some(program) = program {
                    for line in clif(program).lines() {
                        ui.line(&format!("         {line}"));
                    }
                }
            }
        }
        if let (true, Body::Sql { text, .. }) = (self.sql, &endpoint.body) {
            for line in text.lines() {
                ui.line(&format!("  | {line}"));
            }
        }
    }
}

/// The code of a condition as Cranelift compiles it, or why there is none.
fn clif(program: &Program) -> String {
    let widest = usize::from(u16::MAX) + 1;
    let layout = Layout { user: widest, params: widest, response: true };
    match Predicate::link(program, &layout, &mut Symbols::default()) {
        Ok(predicate) => jit::text(&predicate).unwrap_or_else(|error| error.to_string()),
        Err(error) => error.to_string(),
    }
}

/// Reads a public key: 32 raw bytes, or 64 hexadecimal digits and white space.
fn public_key(path: &Path) -> Result<[u8; 32], Failure> {
    super::build::key_bytes(path)
}
