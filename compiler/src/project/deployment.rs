//! What a project asks of the release that compiles it and of the deployment that runs it.

use std::sync::Arc;

use mxcp_schemas::diagnostic::Diagnostic;
use mxcp_schemas::document::site::Site;
use mxcp_schemas::document::user;

use super::code::{NO_SECRET, NOT_YET};
use super::{Driver, Options, SITE_FILE};
use crate::lint::Known;

impl Driver<'_> {
    /// What the site file asks for and this release does not have.
    pub(super) fn later(&mut self, file: &Arc<str>, site: &Site) {
        let mut say = |span, message: &str, help: &str| {
            self.found.push(Diagnostic::new(&NOT_YET, file, span, message).help(help));
        };
        if let Some((tool, _)) = site.sql_tools.first() {
            let message = "this release has no built-in SQL tools";
            say(tool.span, message, "set `sql_tools.enabled: false`, or write endpoints");
        }
        if let Some(plugin) = site.plugins.first() {
            let message = "this release runs no Python plugins";
            say(plugin.name.span, message, "SQL that calls their functions fails");
        }
    }

    /// The words that policies can name, and what the user file gets wrong about the project.
    pub(super) fn known(&mut self, site: Option<&Site>, options: &Options, profile: &str) -> Known {
        let mut known = Known(site.map_or_else(Vec::new, |site| site.words.clone()));
        let (Some(site), Some((file, text))) = (site, &options.user_file) else { return known };
        self.texts.insert(Arc::clone(file), Arc::clone(text));
        let (user, found) = user::read(file, text);
        self.found.extend(found);
        let deployed = user.as_ref().and_then(|user| user.profile(&site.project.value, profile));
        for secret in &site.secrets {
            let defined =
                |p: &user::Profile| p.secrets.iter().any(|s| s.name.value == secret.value);
            if deployed.is_none_or(|profile| !defined(profile)) {
                let message = format!(
                    "the user file defines no secret `{}` for the project `{}` and the profile `{profile}`",
                    secret.value, site.project.value
                );
                let names = deployed.map_or(&[][..], |p| p.secrets.as_slice());
                self.found.push(
                    Diagnostic::new(&NO_SECRET, &SITE_FILE.into(), secret.span, message)
                        .did_you_mean(&secret.value, names.iter().map(|s| s.name.value.as_str()))
                        .help(format!(
                            "define it in the user file under `projects.{}.profiles.{profile}.secrets`",
                            site.project.value
                        )),
                );
            }
        }
        if let Some(auth) = deployed.and_then(|profile| profile.auth.as_ref()) {
            let mapped = auth.settings.claim_mappings.iter().flat_map(|claim| &claim.values);
            let given: Vec<String> = mapped.flat_map(|(_, words)| words.clone()).collect();
            match known.0.iter_mut().find(|(name, _)| *name == "capabilities") {
                Some((_, words)) => words.extend(given),
                None => known.0.push(("capabilities", given)),
            }
        }
        known
    }
}
