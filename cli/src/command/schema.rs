//! `mxcp schema endpoint|site|user`

use mxcp_schemas::document::{ENDPOINT_SCHEMA, SITE_SCHEMA, USER_SCHEMA};

use super::Outcome;
use crate::exit::Exit;
use crate::ui::Ui;

/// Print the JSON Schema that editors use for a kind of file
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kind of file
    #[arg(value_enum)]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    /// tools, resources and prompts
    Endpoint,
    /// mxcp-site.yml
    Site,
    /// ~/.mxcp/config.yml
    User,
}

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        let text = match self.kind {
            Kind::Endpoint => ENDPOINT_SCHEMA,
            Kind::Site => SITE_SCHEMA,
            Kind::User => USER_SCHEMA,
        };
        ui.line(text.trim_end());
        Ok(Exit::Fine)
    }
}
