//! A project as a whole: the site file, all endpoint files, what they are to one another.

mod code;
mod deployment;
mod file;
mod manifest;

use std::collections::BTreeMap;
use std::sync::Arc;

use mxcp_policy::ty::Ty;
use mxcp_schemas::bundle::container::Bundle;
use mxcp_schemas::bundle::definition::{Body, Endpoints, Kind, Predicates};
use mxcp_schemas::bundle::source::Sources;
use mxcp_schemas::diagnostic::{self, Code, Diagnostic};
use mxcp_schemas::document::endpoint::Test;
use mxcp_schemas::document::site::{self, Profile, Site};

pub use code::CODES;
use code::{DUPLICATE, NO_PROFILE, NO_SITE, OVERLAP, READ_ONLY, TOO_MANY, UNREADABLE, WRITES};
pub(crate) use code::{PARAMETER_NAMED_USER, PARAMETER_SHADOWS};
pub use manifest::audit;

use crate::body::{self, Rules};
use crate::cel::shape::Shape;
use crate::endpoint::{self as unit, Compiled as Unit, Shared, Written};
use crate::lint;
use crate::source::Files;
use crate::sql::SqlProbe;
use crate::types::Store;
use crate::{parallel, types, uri};

/// The file that marks a project's root.
pub const SITE_FILE: &str = "mxcp-site.yml";
/// Most endpoint files of a project.
pub const MAX_ENDPOINT_FILES: usize = 20_000;

/// What the compiler is asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// the profile; `None` is the one that the site file names
    pub profile: Option<String>,
    /// the user file of the deployment, as what diagnostics call it and its text; it is checked, too
    pub user_file: Option<(Arc<str>, Arc<str>)>,
    /// whether nothing but the diagnostics is wanted: then no bundle is made
    pub only_check: bool,
}

/// What became of a project.
#[derive(Debug)]
pub struct Compiled {
    /// the bundle, unless there are errors or it is not wanted
    pub bundle: Option<Bundle>,
    /// everything there is to say, sorted
    pub diagnostics: Vec<Diagnostic>,
    /// the texts that diagnostics point into
    pub texts: BTreeMap<Arc<str>, Arc<str>>,
    /// all endpoints that could be read, sorted by kind and identity
    pub endpoints: Vec<Listed>,
}

/// What can be listed of an endpoint.
#[derive(Debug, Clone)]
pub struct Listed {
    /// tool, resource or prompt
    pub kind: Kind,
    /// name, or URI template
    pub identity: String,
    /// what it does
    pub description: Option<String>,
    /// its file
    pub file: Arc<str>,
    /// whether it is served
    pub enabled: bool,
    /// number of input policies
    pub input_policies: usize,
    /// number of output policies
    pub output_policies: usize,
    /// number of tests
    pub tests: usize,
    /// the tests
    pub definitions: Vec<Test>,
}

/// Compiles a project.
pub fn compile(files: &dyn Files, probe: &dyn SqlProbe, options: &Options) -> Compiled {
    let mut driver = Driver { files, texts: BTreeMap::new(), found: Vec::new() };
    let site = driver.site();
    let mut compiled = driver.endpoints(site.as_ref(), probe, options);
    diagnostic::sort(&mut compiled.diagnostics);
    compiled
}

struct Driver<'a> {
    files: &'a dyn Files,
    texts: BTreeMap<Arc<str>, Arc<str>>,
    found: Vec<Diagnostic>,
}

impl Driver<'_> {
    fn site(&mut self) -> Option<Site> {
        let file: Arc<str> = SITE_FILE.into();
        let text = self.text(&file, &NO_SITE)?;
        let (site, found) = site::read(&file, &text);
        self.found.extend(found);
        if let Some(site) = &site {
            self.later(&file, site);
        }
        site
    }

    /// The text of a file, kept for diagnostics.
    fn text(&mut self, file: &Arc<str>, code: &'static Code) -> Option<Arc<str>> {
        match file::text(self.files, file, code) {
            Ok(text) => {
                self.texts.insert(Arc::clone(file), Arc::clone(&text));
                Some(text)
            }
            Err(diagnostic) => {
                self.found.push(*diagnostic);
                None
            }
        }
    }

    fn endpoints(
        mut self,
        site: Option<&Site>,
        probe: &dyn SqlProbe,
        options: &Options,
    ) -> Compiled {
        let paths = site.map_or_else(site::Paths::default, |site| site.paths.clone());
        let profile_name = options
            .profile
            .clone()
            .or_else(|| site.map(|site| site.profile.value.clone()))
            .unwrap_or_default();
        let profile = self.profile(site, options, &profile_name);
        let attributes: Option<Vec<(String, Ty)>> = site.map(|site| {
            let seen = |ty| types::in_conditions(ty, "user");
            site.user_attributes.iter().map(|a| (a.name.value.clone(), seen(&a.ty))).collect()
        });
        let user_shape = site.map_or_else(Shape::default, |site| Shape {
            fields: site
                .user_attributes
                .iter()
                .map(|a| {
                    let name = a.name.value.clone();
                    let shape = types::shape(&a.ty, &format!("user.{name}"));
                    (name, shape)
                })
                .collect(),
            ..Shape::default()
        });
        let user_shape = Arc::new(user_shape);
        let rules = Rules {
            external_access: profile.duckdb.external_access,
            profile: &profile_name,
            data: &paths.data,
            allowed: &profile.duckdb.allowed_directories,
        };
        let attributes = attributes.as_deref();
        let shared = Shared { files: self.files, rules, attributes, user_shape: &user_shape };
        let folders = [
            (paths.tools.as_str(), Kind::Tool),
            (paths.resources.as_str(), Kind::Resource),
            (paths.prompts.as_str(), Kind::Prompt),
        ];
        let (mut units, types) = self.units(&shared, &folders, probe);
        units.sort_by(|a, b| key(a).cmp(&key(b)));
        self.judge_sql(&mut units, &profile, probe);
        self.among(&units);
        let known = self.known(site, options, &profile_name);
        for lint in lint::PROJECT_LINTS {
            self.found.extend((lint.check)(&units, &known));
        }
        self.waive(&units);
        if site.is_none() {
            // It says what `user` has and what is warned of: without it, warnings are guesses.
            self.found.retain(Diagnostic::is_error);
        }
        let bundle = site
            .filter(|_| !options.only_check && !self.found.iter().any(Diagnostic::is_error))
            .map(|site| emit(site, &profile_name, &profile, &units, types, &self.texts));
        Compiled {
            bundle,
            diagnostics: self.found,
            texts: self.texts,
            endpoints: units.iter().filter(|u| !u.identity().is_empty()).map(listed).collect(),
        }
    }

    fn profile(&mut self, site: Option<&Site>, options: &Options, name: &str) -> Profile {
        let Some(site) = site else { return Profile::default() };
        let known = site.profiles.iter().find(|(known, _)| known.value == name);
        if let Some((_, profile)) = known {
            return profile.clone();
        }
        // A site without profiles has the defaults of the one it names.
        let is_other = options.profile.as_ref().is_some_and(|asked| *asked != site.profile.value);
        if is_other || !site.profiles.is_empty() {
            let file: Arc<str> = SITE_FILE.into();
            let names = site.profiles.iter().map(|(n, _)| n.value.as_str());
            let span = if options.profile.is_some() { None } else { Some(site.profile.span) };
            let message = format!("there is no profile `{name}`");
            let all: Vec<String> = names.clone().map(|name| format!("`{name}`")).collect();
            let finding =
                Diagnostic::new(&NO_PROFILE, &file, span, message).did_you_mean(name, names);
            self.found.push(if all.is_empty() {
                finding.help("the site file defines none under `profiles:`")
            } else {
                finding.help(format!("there is {}", all.join(", ")))
            });
        }
        Profile::default()
    }

    fn list(&mut self, folder: &str) -> Vec<Arc<str>> {
        let listed = match self.files.list(folder) {
            Ok(listed) => listed,
            Err(error) => {
                let message = format!("the folder `{folder}` cannot be read: {error}");
                self.found.push(Diagnostic::new(&UNREADABLE, &folder.into(), None, message));
                return Vec::new();
            }
        };
        let mut files: Vec<Arc<str>> = listed
            .into_iter()
            .filter(|path| [".yml", ".yaml"].iter().any(|end| path.ends_with(end)))
            .map(Arc::from)
            .collect();
        if files.len() > MAX_ENDPOINT_FILES {
            let message = format!(
                "there are {} endpoint files; at most {MAX_ENDPOINT_FILES} are read",
                files.len()
            );
            self.found.push(Diagnostic::new(&TOO_MANY, &folder.into(), None, message));
            files.truncate(MAX_ENDPOINT_FILES);
        }
        files
    }

    /// Reads and compiles all endpoint files. Stored types are numbered in the order of the files.
    fn units(
        &mut self,
        shared: &Shared<'_>,
        folders: &[(&str, Kind)],
        probe: &dyn SqlProbe,
    ) -> (Vec<Unit>, Store) {
        let mut listed = Vec::new();
        for (folder, kind) in folders {
            listed.extend(self.list(folder).into_iter().map(|file| (file, *kind)));
        }
        let files = self.files;
        let read = parallel::map(listed, |(file, kind)| file::read(files, file, kind, folders));
        let mut types = Store::default();
        let mut written = Vec::new();
        for read in read {
            self.found.extend(read.found);
            if let Some(text) = &read.text {
                self.texts.insert(Arc::clone(&read.file), Arc::clone(text));
            }
            if let (Some(text), Some(document)) = (read.text, read.document) {
                written.push(Written::new(read.file, text, document, &mut types));
            }
        }
        if written.iter().any(Written::has_sql) {
            probe.expect();
        }
        let compiled = parallel::map(written, |written| {
            let (mut texts, mut found) = (BTreeMap::new(), Vec::new());
            let unit = unit::compile(shared, written, types.types(), &mut texts, &mut found);
            (unit, texts, found)
        });
        let mut units = Vec::with_capacity(compiled.len());
        for (unit, texts, found) in compiled {
            units.push(unit);
            self.texts.extend(texts);
            self.found.extend(found);
        }
        (units, types)
    }

    /// Asks DuckDB about all statements at once.
    fn judge_sql(&mut self, units: &mut [Unit], profile: &Profile, probe: &dyn SqlProbe) {
        let texts: Vec<&str> = units
            .iter()
            .filter_map(|unit| match unit.body.as_ref().map(|b| &b.stored) {
                Some(Body::Sql { text, .. }) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        let mut answers = probe.analyse(&texts).into_iter();
        for unit in units {
            let Some(loaded) = unit.body.as_mut() else { continue };
            if !matches!(loaded.stored, Body::Sql { .. }) {
                continue;
            }
            let Some(answer) = answers.next() else { break };
            let writes = answer == crate::sql::Analysis::Other;
            body::judge(loaded, (&unit.file, &unit.text), answer, &mut self.found);
            let hint = unit.document.read_only_span;
            if writes && unit.document.annotations.read_only == Some(true) {
                let message =
                    "`readOnlyHint` says that nothing changes, and the SQL may change data";
                self.found.push(
                    Diagnostic::new(&WRITES, &unit.file, hint, message)
                        .help("leave `readOnlyHint` out, or write a query that only reads"),
                );
            }
            if writes && profile.duckdb.read_only {
                let message =
                    "the SQL may change data, and the profile opens the database read-only";
                let statement = (&unit.file, &*unit.text);
                self.found.push(
                    body::at_statement(loaded, statement, &READ_ONLY, message.to_owned())
                        .help("write a query that only reads, or open the database for writing"),
                );
            }
        }
    }

    /// Drops what comments waive, file by file.
    fn waive(&mut self, units: &[Unit]) {
        let mut by_file: BTreeMap<Arc<str>, Vec<Diagnostic>> = BTreeMap::new();
        for finding in std::mem::take(&mut self.found) {
            by_file.entry(Arc::clone(&finding.file)).or_default().push(finding);
        }
        for unit in units {
            let found = by_file.remove(&unit.file).unwrap_or_default();
            by_file.insert(Arc::clone(&unit.file), unit.waive(found));
        }
        self.found = by_file.into_values().flatten().collect();
    }

    /// What endpoints are to one another: names are unique, templates do not overlap.
    fn among(&mut self, units: &[Unit]) {
        for (at, unit) in units.iter().enumerate() {
            if unit.identity().is_empty() {
                continue;
            }
            let earlier =
                units.iter().take(at).rev().take_while(|u| u.document.kind == unit.document.kind);
            if unit.document.kind == Kind::Resource {
                for other in earlier {
                    self.overlap(unit, other);
                }
            } else if let Some(twin) = earlier.take(1).find(|u| u.identity() == unit.identity()) {
                let word = unit.document.kind.as_str();
                let message = format!("there is another {word} `{}`", unit.identity());
                self.found.push(
                    Diagnostic::new(&DUPLICATE, &unit.file, unit.document.identity.span, message)
                        .related(&twin.file, twin.document.identity.span, "the other one"),
                );
            }
        }
    }

    fn overlap(&mut self, unit: &Unit, other: &Unit) {
        if uri::overlap(unit.identity(), other.identity()) {
            let message =
                format!("a URI can match `{}` and also `{}`", unit.identity(), other.identity());
            self.found.push(
                Diagnostic::new(&OVERLAP, &unit.file, unit.document.identity.span, message)
                    .related(&other.file, other.document.identity.span, "the other one")
                    .help("make them differ in a literal part"),
            );
        }
    }
}

fn key(unit: &Unit) -> (Kind, &str, &str) {
    (unit.document.kind, unit.identity(), &unit.file)
}

fn listed(unit: &Unit) -> Listed {
    let document = &unit.document;
    Listed {
        kind: document.kind,
        identity: document.identity.value.clone(),
        description: document.description.as_ref().map(|d| d.value.clone()),
        file: Arc::clone(&unit.file),
        enabled: document.enabled,
        input_policies: document.policies.input.len(),
        output_policies: document.policies.output.len(),
        tests: document.tests.len(),
        definitions: unit.tests().to_vec(),
    }
}

fn emit(
    site: &Site,
    profile_name: &str,
    profile: &Profile,
    units: &[Unit],
    mut types: Store,
    texts: &BTreeMap<Arc<str>, Arc<str>>,
) -> Bundle {
    let mut predicates = Predicates::default();
    let manifest = manifest::make(site, profile_name, profile, units, &mut types);
    let entries = units
        .iter()
        .filter(|unit| unit.document.enabled)
        .filter_map(|unit| unit.store(&mut predicates))
        .collect();
    Bundle {
        manifest,
        types: types.into_types(),
        endpoints: Endpoints { entries },
        predicates,
        sources: Sources::pack(texts.iter().map(|(file, text)| (&**file, &**text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemoryFiles;
    use crate::sql::NoProbe;

    const SITE: &str = "mxcp: 1\nproject: shop\nprofile: dev\n";
    const TOOL: &str = r#"mxcp: 1
tool:
  name: sensitive_data
  parameters:
    - {name: id, type: integer, description: which}
  return:
    type: object
    properties:
      name: {type: string}
      salary: {type: number}
      ssn: {type: string, sensitive: true}
  source:
    code: SELECT * FROM people WHERE id = $id
policies:
  input:
    - condition: user.role != 'admin'
      action: deny
      reason: Admin access required
  output:
    - condition: user.role != 'hr'
      action: filter_fields
      fields: [salary]
    - condition: "!('pii' in user.permissions)"
      action: filter_sensitive_fields
"#;

    fn run(files: &[(&str, &str)]) -> Compiled {
        let mut all = vec![(SITE_FILE, SITE)];
        all.extend(files);
        compile(&MemoryFiles::new(all), &NoProbe, &Options::default())
    }

    fn told(files: &[(&str, &str)]) -> Vec<String> {
        let compiled = run(files);
        let at = |d: &Diagnostic| {
            let text = compiled.texts.get(&d.file)?;
            Some(d.span?.of(text).lines().next()?.to_owned())
        };
        compiled
            .diagnostics
            .iter()
            .map(|d| format!("{} at `{}`", d.code.slug, at(d).unwrap_or_default()))
            .collect()
    }

    #[test]
    fn a_project_becomes_a_bundle_the_same_each_time() {
        let compiled = run(&[("tools/a.yml", TOOL)]);
        assert_eq!(compiled.diagnostics, []);
        let bundle = compiled.bundle.unwrap();
        let endpoint = &bundle.endpoints.entries[0];
        assert_eq!(endpoint.input[0].reason.as_deref(), Some("Admin access required"));
        assert_eq!(endpoint.output.len(), 2);
        let schema: serde_json::Value =
            serde_json::from_str(endpoint.output_schema.as_ref().unwrap()).unwrap();
        assert_eq!(schema["properties"]["salary"]["type"], serde_json::json!(["number", "null"]));
        let again = run(&[("tools/a.yml", TOOL)]).bundle.unwrap();
        let seal = |b: &Bundle| mxcp_schemas::bundle::container::seal(b, 1, None).unwrap();
        assert_eq!(seal(&bundle), seal(&again));
    }

    #[test]
    fn every_kind_of_mistake_is_told_with_its_place() {
        let with = |from: &str, to: &str| told(&[("tools/a.yml", &TOOL.replace(from, to))]);
        for (from, to, expected) in [
            ("action: deny", "action: denny", "unknown-action at `denny`"),
            ("action: deny", "action: filter_fields", "output-action-on-input at `filter_fields`"),
            ("      fields: [salary]\n", "", "missing-fields at `condition: user.role != 'hr'`"),
            ("fields: [salary]", "fields: [sallary]", "undeclared-field-path at `sallary`"),
            ("fields: [salary]", "fields: [a..b]", "field-path at `a..b`"),
            (", sensitive: true", "", "nothing-sensitive at `filter_sensitive_fields`"),
            ("user.role != 'hr'", "user.departmnt != 'hr'", "unknown-field at `departmnt`"),
            ("user.role != 'hr'", "response.slary > 1.0", "undeclared-field at `slary`"),
            ("user.role != 'hr'", "user.role", "not-a-condition at `user.role`"),
            (
                "      reason: Admin access required\n",
                "",
                "no-reason at `condition: user.role != 'admin'`",
            ),
            ("$id", "$idd", "sql-unknown-parameter at `$idd`"),
            ("WHERE id = $id", "", "sql-unused-parameter at `id`"),
            ("= $id", "= $id; DROP TABLE people", "several-statements at `DROP TABLE people`"),
            ("FROM people", "FROM '/etc/passwd'", "external-access at `'/etc/passwd'`"),
            ("name: id", "name: user", "parameter-named-user at `user`"),
        ] {
            let found = with(from, to);
            assert!(found.contains(&expected.to_owned()), "{to}: {found:?}");
        }
    }

    #[test]
    fn a_field_that_cannot_exist_is_an_error() {
        let closed = TOOL
            .replace("    type: object\n", "    type: object\n    additionalProperties: false\n");
        let found = told(&[("tools/a.yml", &closed.replace("[salary]", "[sallary]"))]);
        assert_eq!(found, ["impossible-field-path at `sallary`"]);
    }

    #[test]
    fn endpoints_know_of_one_another() {
        assert_eq!(
            told(&[("tools/a.yml", TOOL), ("tools/b.yml", TOOL)]),
            ["duplicate-endpoint at `sensitive_data`"]
        );
        assert_eq!(told(&[("prompts/a.yml", TOOL)]), ["wrong-folder at `sensitive_data`"]);
        let notes = "mxcp: 1\nmetadata: {}\n";
        assert_eq!(told(&[("tools/notes.yml", notes)]), ["not-an-endpoint at ``"]);
    }

    #[test]
    fn a_waiver_silences_one_policy() {
        let waived = TOOL
            .replace("      reason: Admin access required\n", "")
            .replace("    - condition: user.role != 'admin'", "    # mxcp: allow(no-reason) because clients show their own\n    - condition: user.role != 'admin'");
        assert_eq!(told(&[("tools/a.yml", &waived)]), [""; 0]);
    }
}
