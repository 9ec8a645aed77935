//! The project on disk.

use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use mxcp_compiler::source::{FileError, Files};
use mxcp_compiler::{Compiled, Options};
use mxcp_schemas::bundle::manifest::Audit;
use mxcp_schemas::diagnostic::Diagnostic;
use mxcp_schemas::document::site::{self, Profile, Site};
use mxcp_schemas::yaml::{self, MAX_DOCUMENT_BYTES};

use crate::exit::Failure;
use crate::probe::DuckProbe;
use crate::ui::{Progress, Ui};

/// The file that marks a project's root.
pub const SITE_FILE: &str = "mxcp-site.yml";

/// How deep folders are searched for endpoint files.
const MAX_FOLDER_DEPTH: usize = 32;

/// A project folder.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// The project that holds the working directory.
    ///
    /// # Errors
    /// When no folder from here upward has a site file.
    pub fn find() -> Result<Self, Failure> {
        let here = std::env::current_dir()
            .map_err(|e| Failure::usage(format!("the working directory cannot be read: {e}")))?;
        let root = here.ancestors().find(|folder| folder.join(SITE_FILE).is_file());
        root.map(|root| Self { root: root.to_owned() }).ok_or_else(|| {
            Failure::usage(format!(
                "there is no `{SITE_FILE}` in `{}` or a folder above it; \
                 `mxcp init` makes a project here",
                here.display()
            ))
        })
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Compiles it. What is wrong with the project is among the diagnostics.
    ///
    /// # Errors
    /// When the profile that was asked for does not exist: that is the command's mistake.
    pub fn compile(&self, ui: Ui, options: &Options) -> Result<Compiled, Failure> {
        let counted = Counted { project: self, progress: ui.progress("checking files", 1) };
        let compiled = mxcp_compiler::compile(&counted, &DuckProbe::default(), options);
        let asked = |d: &&Diagnostic| d.code.slug == "no-profile" && d.span.is_none();
        match compiled.diagnostics.iter().find(asked) {
            Some(d) => {
                let help = d.help.first().map_or("", String::as_str);
                Err(Failure::usage(format!("{}; {help}", d.message)))
            }
            None => Ok(compiled),
        }
    }

    /// A profile with its name, and the site file that it stands in.
    ///
    /// # Errors
    /// When the site file cannot be read or has no such profile.
    pub fn profile(&self, wanted: Option<&str>) -> Result<(String, Profile, Site), Failure> {
        let site = self.site()?;
        let (name, profile) = choose(&site, wanted)?;
        Ok((name, profile, site))
    }

    /// How a profile keeps its audit trail, with the names of the project and the profile.
    ///
    /// # Errors
    /// When the site file cannot be read or has no such profile.
    pub fn audit(&self, wanted: Option<&str>) -> Result<(String, String, Audit), Failure> {
        let site = self.site()?;
        let (name, profile) = choose(&site, wanted)?;
        let audit = mxcp_compiler::project::audit(&site, &name, &profile);
        Ok((site.project.value, name, audit))
    }

    fn site(&self) -> Result<Site, Failure> {
        let bytes = self.read(SITE_FILE, MAX_DOCUMENT_BYTES).map_err(|e| broken(&e.to_string()))?;
        let text = yaml::decode(&SITE_FILE.into(), &bytes).map_err(|d| broken(&d.message))?;
        let (site, _) = site::read(&SITE_FILE.into(), &text);
        site.ok_or_else(|| broken("it cannot be read"))
    }

    /// A path that the user named on the command line, relative to the root.
    pub fn relative(&self, named: &Path) -> Option<String> {
        let absolute = std::path::absolute(named).ok()?;
        let inside = absolute.strip_prefix(&self.root).ok()?;
        let parts: Option<Vec<&str>> = inside
            .components()
            .map(|part| match part {
                Component::Normal(name) => name.to_str(),
                _ => None,
            })
            .collect();
        parts.map(|parts| parts.join("/"))
    }

    /// The file of a relative path, unless links lead out of the project.
    fn inside(&self, path: &str) -> Result<PathBuf, FileError> {
        let unreadable = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => FileError::NotFound,
            _ => FileError::Unreadable(e.to_string()),
        };
        let root = self.root.canonicalize().map_err(unreadable)?;
        let file = root.join(path).canonicalize().map_err(unreadable)?;
        if file.starts_with(&root) { Ok(file) } else { Err(FileError::Outside) }
    }
}

fn broken(problem: &str) -> Failure {
    Failure::usage(format!("`{SITE_FILE}`: {problem}; `mxcp check` says more"))
}

/// The profile that is wanted, or else the active one.
fn choose(site: &Site, wanted: Option<&str>) -> Result<(String, Profile), Failure> {
    let name = wanted.unwrap_or(&site.profile.value).to_owned();
    let known = site.profiles.iter().find(|(known, _)| known.value == name);
    match known {
        Some((_, profile)) => Ok((name, profile.clone())),
        None if name == site.profile.value && site.profiles.is_empty() => {
            Ok((name, Profile::default()))
        }
        None => Err(broken(&format!("there is no profile `{name}`"))),
    }
}

impl Files for Project {
    fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
        let mut found = Vec::new();
        walk(&self.root.join(folder), folder.trim_end_matches('/'), 0, &mut found)?;
        found.sort();
        Ok(found)
    }

    fn read(&self, path: &str, limit_bytes: usize) -> Result<Vec<u8>, FileError> {
        let file = self.inside(path)?;
        let unreadable = |e: std::io::Error| FileError::Unreadable(e.to_string());
        let opened = std::fs::File::open(file).map_err(unreadable)?;
        if !opened.metadata().map_err(unreadable)?.is_file() {
            return Err(FileError::Unreadable("it is not a regular file".to_owned()));
        }
        let mut bytes = Vec::new();
        opened.take(limit_bytes as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() > limit_bytes {
            return Err(FileError::TooLarge { limit_bytes });
        }
        Ok(bytes)
    }
}

/// A project whose documents are counted while they are read. The site file is the first.
struct Counted<'p> {
    project: &'p Project,
    progress: Progress,
}

impl Files for Counted<'_> {
    fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
        let listed = self.project.list(folder)?;
        self.progress.expect(listed.iter().filter(|path| is_document(path)).count());
        Ok(listed)
    }

    fn read(&self, path: &str, limit_bytes: usize) -> Result<Vec<u8>, FileError> {
        let bytes = self.project.read(path, limit_bytes);
        if is_document(path) {
            self.progress.step();
        }
        bytes
    }
}

fn is_document(path: &str) -> bool {
    [".yml", ".yaml"].iter().any(|end| path.ends_with(end))
}

fn walk(folder: &Path, path: &str, depth: usize, found: &mut Vec<String>) -> Result<(), FileError> {
    if depth > MAX_FOLDER_DEPTH {
        return Err(FileError::Unreadable(format!(
            "folders are nested more than {MAX_FOLDER_DEPTH} deep"
        )));
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(FileError::Unreadable(format!("`{path}`: {e}"))),
    };
    for entry in entries {
        let entry = entry.map_err(|e| FileError::Unreadable(format!("`{path}`: {e}")))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.starts_with('.') {
            continue;
        }
        let below = format!("{path}/{name}");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), &below, depth + 1, found)?,
            Ok(_) => found.push(below),
            Err(e) => return Err(FileError::Unreadable(format!("`{below}`: {e}"))),
        }
    }
    Ok(())
}
