//! What an endpoint executes: SQL, Python, or the templates of a prompt.

mod code;

use std::collections::BTreeSet;
use std::sync::Arc;

use mxcp_schemas::bundle::definition::{Body as Stored, Message as StoredMessage};
use mxcp_schemas::diagnostic::{Code, Diagnostic, Edit, Fix, Span, closest};
use mxcp_schemas::document::endpoint::{Body, Endpoint, Language, Source};
use mxcp_schemas::yaml::Node;

pub use code::CODES;
use code::{
    EMPTY, NO_FILE, NOT_TEXT, OPENS, OUTSIDE, POSITIONAL, PYTHON, SEVERAL, SQL_SYNTAX, TEMPLATE,
    UNKNOWN_PARAMETER, UNKNOWN_VARIABLE, UNKNOWN_WORD, UNUSED_PARAMETER,
};

use crate::prompt;
use crate::source::{FileError, Files, join};
use crate::sql::{Analysis, MAX_SQL_BYTES, Scan, scan};

/// What the place of a body allows it.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// whether SQL may open files and addresses
    pub external_access: bool,
    /// the profile whose settings these are
    pub profile: &'a str,
    /// the project's folder of data files
    pub data: &'a str,
    /// other folders that SQL may open
    pub allowed: &'a [String],
}

/// A body whose text was found.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// what is executed; whether SQL reads only is settled later by [`judge`]
    pub stored: Stored,
    /// whether the SQL opens files of the project's data folder
    pub opens_data: bool,
    /// where the text stands
    text: Text,
}

/// Where the text of a body stands: inside the definition, or in a file of its own.
#[derive(Debug, Clone)]
enum Text {
    Inline(Node),
    File(Arc<str>),
    None,
}

impl Text {
    /// A finding at a byte range of the text.
    fn finding(
        &self,
        definition: (&Arc<str>, &str),
        code: &'static Code,
        span: Span,
        message: String,
    ) -> Diagnostic {
        let range = span.start as usize..span.end as usize;
        match self {
            Self::Inline(node) => {
                Diagnostic::new(code, definition.0, node.locate(definition.1, range), message)
            }
            Self::File(file) => Diagnostic::new(code, file, span, message),
            Self::None => Diagnostic::new(code, definition.0, None, message),
        }
    }
}

/// Loads and checks the body of an endpoint.
pub fn load(
    files: &dyn Files,
    rules: &Rules<'_>,
    definition: (&Arc<str>, &str),
    endpoint: &Endpoint,
    texts: &mut std::collections::BTreeMap<Arc<str>, Arc<str>>,
    found: &mut Vec<Diagnostic>,
) -> Option<Loaded> {
    match &endpoint.body {
        Body::Broken => None,
        Body::Messages(messages) => {
            check_templates(definition, endpoint, found);
            let stored = messages
                .iter()
                .map(|m| StoredMessage {
                    role: m.role.clone(),
                    kind: m.kind.clone(),
                    template: m.prompt.as_str().unwrap_or_default().to_owned(),
                })
                .collect();
            Some(Loaded { stored: Stored::Messages(stored), opens_data: false, text: Text::None })
        }
        Body::Source(source) => {
            let (text, place) = read(files, definition, source, texts, found)?;
            match source.language {
                Language::Sql => check_sql(rules, definition, endpoint, &text, place, found),
                Language::Python => {
                    let message = "this release compiles Python endpoints and does not run them";
                    let help = "calls of this endpoint are answered with an error";
                    found.push(
                        Diagnostic::new(&PYTHON, definition.0, source.span, message).help(help),
                    );
                    let module = source.file.as_ref().map_or("inline", |f| f.value.as_str());
                    let stored = Stored::Python {
                        module: module.to_owned(),
                        text: text.to_string(),
                        function: endpoint.identity.value.clone(),
                    };
                    Some(Loaded { stored, opens_data: false, text: place })
                }
            }
        }
    }
}

/// The text of a source, and where it stands.
fn read(
    files: &dyn Files,
    definition: (&Arc<str>, &str),
    source: &Source,
    texts: &mut std::collections::BTreeMap<Arc<str>, Arc<str>>,
    found: &mut Vec<Diagnostic>,
) -> Option<(Arc<str>, Text)> {
    if let Some(node) = &source.code {
        let text: Arc<str> = node.as_str().unwrap_or_default().into();
        return Some((text, Text::Inline(node.clone())));
    }
    let named = source.file.as_ref()?;
    let mut refuse = |code, message: String| {
        found.push(Diagnostic::new(code, definition.0, named.span, message));
        None
    };
    let Some(path) = join(definition.0, &named.value) else {
        return refuse(&OUTSIDE, format!("`{}` is outside the project", named.value));
    };
    let bytes = match files.read(&path, MAX_SQL_BYTES) {
        Ok(bytes) => bytes,
        Err(FileError::Outside) => {
            return refuse(&OUTSIDE, format!("`{path}` leads out of the project"));
        }
        Err(error) => return refuse(&NO_FILE, format!("`{path}` cannot be used: {error}")),
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return refuse(&NOT_TEXT, format!("`{path}` is not UTF-8 text"));
    };
    let (file, text): (Arc<str>, Arc<str>) = (path.into(), text.into());
    texts.insert(Arc::clone(&file), Arc::clone(&text));
    Some((Arc::clone(&text), Text::File(file)))
}

fn check_sql(
    rules: &Rules<'_>,
    definition: (&Arc<str>, &str),
    endpoint: &Endpoint,
    text: &str,
    place: Text,
    found: &mut Vec<Diagnostic>,
) -> Option<Loaded> {
    let scan = scan(text);
    let before = found.iter().filter(|d| d.is_error()).count();
    match scan.statements.as_slice() {
        [] => {
            let whole = Span::new(0, u32::try_from(text.len()).unwrap_or(u32::MAX));
            found.push(place.finding(
                definition,
                &EMPTY,
                whole,
                "there is no statement".to_owned(),
            ));
        }
        [_] => {}
        [_, second, ..] => {
            let message =
                format!("there are {} statements; an endpoint has one", scan.statements.len());
            found.push(
                place
                    .finding(definition, &SEVERAL, *second, message)
                    .help("make the others endpoints of their own, or use a `WITH` clause"),
            );
        }
    }
    for span in &scan.positional {
        let message = format!("`{}` is no named parameter", span.of(text));
        found.push(
            place
                .finding(definition, &POSITIONAL, *span, message)
                .help("parameters are written `$name`"),
        );
    }
    let uses = check_parameters(definition, endpoint, &scan, &place, found);
    let opens_data = check_opened(rules, definition, &scan, &place, found);
    let failed = found.iter().filter(|d| d.is_error()).count() > before;
    let stored = Stored::Sql { text: text.to_owned(), uses, read_only: false };
    (!failed).then_some(Loaded { stored, opens_data, text: place })
}

fn check_parameters(
    definition: (&Arc<str>, &str),
    endpoint: &Endpoint,
    scan: &Scan,
    place: &Text,
    found: &mut Vec<Diagnostic>,
) -> Vec<u16> {
    let declared = &endpoint.parameters;
    let mut uses = Vec::new();
    for (name, span) in &scan.parameters {
        // DuckDB does not distinguish the case of parameter names.
        let index = declared.iter().position(|p| p.name.value.eq_ignore_ascii_case(name));
        if let Some(index) = index.and_then(|i| u16::try_from(i).ok()) {
            if !uses.contains(&index) {
                uses.push(index);
            }
            continue;
        }
        let near = closest(name, declared.iter().map(|p| p.name.value.as_str()));
        let message = format!("`${name}` is no parameter of this endpoint");
        let mut finding = place.finding(definition, &UNKNOWN_PARAMETER, *span, message);
        finding = match near {
            Some(near) => {
                let edit = finding.span.map(|span| Edit { span, replacement: format!("${near}") });
                let finding = finding.help(format!("did you mean `${near}`?"));
                match edit {
                    Some(edit) => finding.fix(Fix {
                        title: format!("write `${near}`"),
                        safe: false,
                        edits: vec![edit],
                    }),
                    None => finding,
                }
            }
            None => finding.help("declare it under `parameters:`"),
        };
        found.push(finding);
    }
    for (index, parameter) in declared.iter().enumerate() {
        let usable = is_name(&parameter.name.value) && !parameter.ty.broken;
        if usable && !uses.iter().any(|used| usize::from(*used) == index) {
            let message = format!("the SQL never uses `${}`", parameter.name.value);
            found.push(
                Diagnostic::new(&UNUSED_PARAMETER, definition.0, parameter.name.span, message)
                    .help("remove it, unless a condition alone needs it"),
            );
        }
    }
    uses
}

/// Reports files and addresses that the SQL may not open, and returns whether it opens some of the
/// project's data folder.
fn check_opened(
    rules: &Rules<'_>,
    definition: (&Arc<str>, &str),
    scan: &Scan,
    place: &Text,
    found: &mut Vec<Diagnostic>,
) -> bool {
    if rules.external_access {
        return false;
    }
    let mut opens_data = false;
    for opened in &scan.opened {
        let inside = |folder: &str| {
            let folder = folder.trim_start_matches("./").trim_end_matches('/');
            let path = opened.text.trim_start_matches("./");
            path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
                && !path.split('/').any(|part| part == "..")
        };
        let is_data = inside(rules.data);
        opens_data |= is_data;
        if is_data || rules.allowed.iter().any(|folder| inside(folder)) {
            continue;
        }
        let function = opened.by.contains('_');
        let by = if function { opened.by.clone() } else { opened.by.to_uppercase() };
        let message = format!("`{by}` opens `{}`, which is outside `{}/`", opened.text, rules.data);
        let key = format!("profiles.{}.duckdb", rules.profile);
        let mut finding = place
            .finding(definition, &OPENS, opened.span, message)
            .help(format!("move the data into `{}/` or load it into the database", rules.data));
        finding = match folder_of(&opened.text) {
            Some(folder) => finding
                .help(format!("or allow it in the site file: `{key}.allowed_directories: [{folder}]`")),
            None => finding.help(format!(
                "or allow everything in the site file, which opens the network too: `{key}.external_access: true`"
            )),
        };
        found.push(finding);
    }
    opens_data
}

/// The folder that would have to be allowed for a path; an address has none.
fn folder_of(path: &str) -> Option<&str> {
    let (folder, _) = path.rsplit_once('/').unwrap_or((".", path));
    (!path.contains("://") && !folder.is_empty() && !folder.split('/').any(|part| part == ".."))
        .then_some(folder)
}

/// Whether SQL can name a parameter so.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn check_templates(
    definition: (&Arc<str>, &str),
    endpoint: &Endpoint,
    found: &mut Vec<Diagnostic>,
) {
    let Body::Messages(messages) = &endpoint.body else { return };
    let names: BTreeSet<&str> = endpoint.parameters.iter().map(|p| p.name.value.as_str()).collect();
    for message in messages {
        let template = message.prompt.as_str().unwrap_or_default();
        for problem in prompt::check(template, &names) {
            let at = |range: Option<std::ops::Range<usize>>| {
                range.map_or(message.prompt.span, |r| message.prompt.locate(definition.1, r))
            };
            found.push(match problem {
                prompt::Problem::Syntax { message, range } => Diagnostic::new(
                    &TEMPLATE,
                    definition.0,
                    at(range),
                    format!("the template cannot be parsed: {message}"),
                ),
                prompt::Problem::Word { kind, name, range } => {
                    let text = format!("there is no {} `{name}` in templates", kind.as_str());
                    Diagnostic::new(&UNKNOWN_WORD, definition.0, at(Some(range)), text).help(
                        "filters and tests are those of Jinja2, but for a few (`--explain MX0516`)",
                    )
                }
                prompt::Problem::Unknown { name, range } => {
                    let text = format!("the template uses `{name}`, which is no parameter");
                    Diagnostic::new(&UNKNOWN_VARIABLE, definition.0, at(range), text)
                        .did_you_mean(&name, names.iter().copied())
                        .help("it renders empty; say so with `| default('')` or `is defined`")
                }
            });
        }
    }
}

/// A finding about the statement as a whole, at its first word.
pub fn at_statement(
    loaded: &Loaded,
    definition: (&Arc<str>, &str),
    code: &'static Code,
    message: String,
) -> Diagnostic {
    let text = match &loaded.stored {
        Stored::Sql { text, .. } => text.as_str(),
        _ => "",
    };
    let start = scan(text).statements.first().map_or(0, |statement| statement.start);
    let rest = text.get(start as usize..).unwrap_or_default();
    let word = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
    let end = start + u32::try_from(word).unwrap_or(0);
    loaded.text.finding(definition, code, Span::new(start, end), message)
}

/// Settles what DuckDB says about a statement.
pub fn judge(
    loaded: &mut Loaded,
    definition: (&Arc<str>, &str),
    analysis: Analysis,
    found: &mut Vec<Diagnostic>,
) {
    let Stored::Sql { read_only, text, .. } = &mut loaded.stored else { return };
    match analysis {
        Analysis::Select => *read_only = true,
        Analysis::Other | Analysis::Unknown => {}
        Analysis::Syntax { message, position } => {
            let whole = u32::try_from(text.len()).unwrap_or(u32::MAX);
            let span = position.map_or(Span::new(0, whole), |at| {
                let word = text.get(at as usize..).map_or(0, |rest| {
                    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
                });
                Span::new(at, at + u32::try_from(word.max(1)).unwrap_or(1))
            });
            found.push(loaded.text.finding(definition, &SQL_SYNTAX, span, message));
        }
    }
}
