//! One endpoint file: its text, and the document it holds.

use std::sync::Arc;

use mxcp_schemas::bundle::definition::Kind;
use mxcp_schemas::diagnostic::{Code, Diagnostic, Span, closest};
use mxcp_schemas::document::code::NOT_ONE_ENDPOINT;
use mxcp_schemas::document::endpoint::{self, File};
use mxcp_schemas::yaml::{self, MAX_DOCUMENT_BYTES};

use super::code::{NOT_AN_ENDPOINT, UNREADABLE, WRONG_FOLDER, YAML_SUFFIX};
use crate::source::Files;

/// What became of a file.
pub(super) struct Read {
    pub(super) file: Arc<str>,
    /// its text, if it can be had
    pub(super) text: Option<Arc<str>>,
    /// the endpoint, as far as it is good
    pub(super) document: Option<File>,
    pub(super) found: Vec<Diagnostic>,
}

/// The text of a file.
pub(super) fn text(
    files: &dyn Files,
    file: &Arc<str>,
    code: &'static Code,
) -> Result<Arc<str>, Box<Diagnostic>> {
    let bytes = files.read(file, MAX_DOCUMENT_BYTES + 1).map_err(|error| {
        Diagnostic::new(code, file, None, format!("`{file}` cannot be used: {error}"))
    })?;
    yaml::decode(file, &bytes)
}

/// Reads a file of a folder that holds endpoints of one kind.
pub(super) fn read(
    files: &dyn Files,
    file: Arc<str>,
    kind: Kind,
    folders: &[(&str, Kind)],
) -> Read {
    let mut read = Read { file, text: None, document: None, found: Vec::new() };
    match text(files, &read.file, &UNREADABLE) {
        Ok(text) => {
            read.document = document(&read.file, &text, kind, folders, &mut read.found);
            read.text = Some(text);
        }
        Err(diagnostic) => read.found.push(*diagnostic),
    }
    read
}

fn document(
    file: &Arc<str>,
    text: &Arc<str>,
    kind: Kind,
    folders: &[(&str, Kind)],
    found: &mut Vec<Diagnostic>,
) -> Option<File> {
    let (read, about) = endpoint::read(file, text);
    let is_none =
        about.iter().any(|d| d.code == &NOT_ONE_ENDPOINT && d.message.contains("none of"));
    if is_none {
        let message = "the file has none of `tool`, `resource` and `prompt` and is skipped";
        let finding = Diagnostic::new(&NOT_AN_ENDPOINT, file, Span::new(0, 0), message);
        found.push(match misspelt(text) {
            Some(key) => finding.help(format!("did you mean `{key}:`?")),
            None => finding,
        });
        return None;
    }
    found.extend(about);
    if file.ends_with(".yaml") {
        let message = "files that end in `.yaml` are read here and not by MXCP";
        found.push(Diagnostic::new(&YAML_SUFFIX, file, None, message));
    }
    let read = read?;
    let own = read.endpoint.kind;
    if own != kind {
        let folder = folders.iter().find(|(_, kind)| *kind == own).map_or("", |(folder, _)| folder);
        let message = format!("a {} does not belong in this folder", own.as_str());
        found.push(
            Diagnostic::new(&WRONG_FOLDER, file, read.endpoint.identity.span, message)
                .help(format!("move the file to `{folder}/`")),
        );
    }
    Some(read)
}

/// The root key that is meant: a misspelt one is the likeliest reason why a file is no endpoint.
fn misspelt(text: &str) -> Option<&'static str> {
    let mut keys = text.lines().filter_map(|line| {
        let key = line.split(':').next()?;
        let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphabetic());
        (plain && line.len() > key.len()).then_some(key)
    });
    keys.find_map(|key| closest(key, ["tool", "resource", "prompt"]))
}
