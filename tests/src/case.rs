//! Cases: one Markdown page is a small project and what is run in it.
//!
//! A fenced block whose info string has a path after the language is a file of the project; words
//! after the path change how it is written (see `Change`). A `console` block holds the commands,
//! one a line, each after `$ ` (`mxcp …`, perhaps with `< FILE`, `cat` to show a file, or `cd` to go into a
//! folder for all that follows); without one it is `mxcp check`. Without a site file the project has the one
//! of [`SITE`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::project::Project;
use crate::workspace;

/// The site file of a case that has none.
pub const SITE: &str = "mxcp: 1\nproject: case\nprofile: dev\n";

/// A page that was read.
#[derive(Debug)]
pub struct Case {
    /// path below `tests/cases` without the suffix, for instance `yaml/duplicate-key`
    pub name: String,
    files: Vec<File>,
    commands: Vec<Vec<String>>,
}

#[derive(Debug)]
struct File {
    path: String,
    text: String,
    changes: Vec<Change>,
}

/// How a file differs from its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// `crlf`: lines end as on Windows
    Crlf,
    /// `bom`: a byte order mark comes first
    Bom,
    /// `latin-1`: characters are bytes of ISO 8859-1
    Latin1,
    /// `utf-16`: little-endian, with its mark
    Utf16,
    /// `pad=N`: a comment fills the file up to so many bytes
    Pad(usize),
    /// `copies=N`: so many files, where the path and the text have their number instead of `{n}`
    Copies(usize),
    /// `unend`: no line break at the end
    Unend,
    /// `link`: a symbolic link to the path that the block holds
    Link,
}

/// What came of a case.
pub struct Ran {
    /// the name of the case
    pub name: String,
    /// everything that people see, and the findings as programs see them
    pub shown: String,
    /// the codes of the findings
    pub codes: Vec<String>,
}

/// All pages of `tests/cases`, sorted.
pub fn all() -> Vec<Case> {
    let pages = workspace::files().into_iter().filter(|path| path.starts_with("tests/cases"));
    pages.filter(|path| path.extension().is_some_and(|e| e == "md")).map(|p| read(&p)).collect()
}

fn read(path: &Path) -> Case {
    let inside = path.strip_prefix("tests/cases").expect("a page is below the folder");
    let name = inside.with_extension("").to_string_lossy().into_owned();
    let mut case = Case { name, files: Vec::new(), commands: Vec::new() };
    for block in blocks(&workspace::read(path)) {
        let mut words = block.info.split_whitespace();
        match (words.next(), words.next()) {
            (Some("console"), _) => {
                let lines = block.text.lines().filter_map(|line| line.strip_prefix("$ "));
                case.commands.extend(lines.map(split));
            }
            (Some(_), Some(path)) => case.files.push(File {
                path: path.to_owned(),
                text: block.text,
                changes: words.map(change).collect(),
            }),
            _ => {}
        }
    }
    if !case.files.iter().any(|file| file.path == "mxcp-site.yml") {
        case.files.push(File {
            path: "mxcp-site.yml".to_owned(),
            text: SITE.to_owned(),
            changes: Vec::new(),
        });
    }
    if case.commands.is_empty() {
        case.commands.push(vec!["mxcp".to_owned(), "check".to_owned()]);
    }
    case
}

/// A fenced block of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// what stands behind the opening fence
    pub info: String,
    /// the lines
    pub text: String,
}

/// The fenced blocks of a Markdown text.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<(String, Block)> = None;
    for line in page.lines() {
        match &mut open {
            Some((fence, block)) if line.trim_end() == *fence => {
                found.push(block.clone());
                open = None;
            }
            Some((_, block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            None if line.starts_with("```") => {
                let info = line.trim_start_matches('`');
                let fence = "`".repeat(line.len() - info.len());
                open = Some((fence, Block { info: info.trim().to_owned(), text: String::new() }));
            }
            None => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    found
}

/// The words of a command; single quotes keep a word together.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn change(word: &str) -> Change {
    let number = |text: &str| text.parse().expect("a number");
    match word.split_once('=') {
        None if word == "crlf" => Change::Crlf,
        None if word == "bom" => Change::Bom,
        None if word == "latin-1" => Change::Latin1,
        None if word == "utf-16" => Change::Utf16,
        None if word == "unend" => Change::Unend,
        None if word == "link" => Change::Link,
        Some(("pad", n)) => Change::Pad(number(n)),
        Some(("copies", n)) => Change::Copies(number(n)),
        _ => panic!("there is no change `{word}`"),
    }
}

impl File {
    fn write(&self, project: &Project) {
        let copies = self.changes.iter().find_map(|c| match c {
            Change::Copies(n) => Some(*n),
            _ => None,
        });
        for n in 0..copies.unwrap_or(1) {
            let number = |text: &str| match copies {
                Some(_) => text.replace("{n}", &n.to_string()),
                None => text.to_owned(),
            };
            let to = project.path(number(&self.path));
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder is made");
            if self.changes.contains(&Change::Link) {
                std::os::unix::fs::symlink(self.text.trim(), &to).expect("a link is made");
            } else {
                fs::write(&to, self.bytes(number(&self.text))).expect("a file is written");
            }
        }
    }

    fn bytes(&self, mut text: String) -> Vec<u8> {
        let has = |change| self.changes.contains(&change);
        for change in &self.changes {
            if let Change::Pad(size) = change {
                let filler = "#".repeat(size.saturating_sub(text.len() + 1));
                text = format!("{text}{filler}\n");
            }
        }
        if has(Change::Unend) {
            text.truncate(text.trim_end().len());
        }
        if has(Change::Crlf) {
            text = text.replace('\n', "\r\n");
        }
        if has(Change::Bom) {
            text.insert(0, '\u{feff}');
        }
        if has(Change::Utf16) {
            let units = [0xfeff].into_iter().chain(text.encode_utf16());
            return units.flat_map(u16::to_le_bytes).collect();
        }
        if has(Change::Latin1) {
            return text.chars().map(|c| u8::try_from(c).expect("a Latin-1 character")).collect();
        }
        text.into_bytes()
    }
}

impl Case {
    /// Its files with their bytes, but for links and those that stand for many.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let special = |change: &Change| matches!(change, Change::Link | Change::Copies(_));
        let plain = self.files.iter().filter(|file| !file.changes.iter().any(special));
        plain.map(|file| (file.path.clone(), file.bytes(file.text.clone()))).collect()
    }

    /// Runs the commands in a folder of their own.
    pub fn run(&self) -> Ran {
        let project = Project::empty();
        for file in &self.files {
            file.write(&project);
        }
        let (mut shown, mut codes) = (String::new(), Vec::new());
        let mut folder = project.path("");
        for command in &self.commands {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            shown.push_str(&format!("$ {}\n", command.join(" ")));
            let arguments = match words.as_slice() {
                ["cat", path] => {
                    shown.push_str(&project.read(folder.join(path)));
                    continue;
                }
                ["cd", inside] => {
                    folder.push(inside);
                    continue;
                }
                ["mxcp", arguments @ ..] => arguments,
                _ => panic!("a case runs `mxcp`, `cat` and `cd`, not {words:?}"),
            };
            let run = |arguments: &[&str]| {
                let mut command = project.command(arguments);
                command.current_dir(&folder).output().expect("`mxcp` starts")
            };
            let done = match arguments {
                [arguments @ .., "<", file] => project.run_on(arguments, &project.read(file)),
                arguments => run(arguments),
            };
            let text = text_of(&project, &done);
            if arguments.first() == Some(&"test") {
                let compiled = run(&[arguments, &["--jit"]].concat());
                assert_eq!(text_of(&project, &compiled), text, "{}: with machine code", self.name);
            }
            shown.push_str(&text);
            if matches!(arguments, ["check"] | ["check", "--quiet"] | ["check", "--config", _]) {
                let findings = findings(&run(&[arguments, &["--json"]].concat()), arguments, &done);
                for finding in &findings {
                    shown.push_str(&format!("{}\n", line(finding)));
                    codes.extend(finding["code"].as_str().map(str::to_owned));
                }
            }
        }
        Ran { name: self.name.clone(), shown, codes }
    }
}

/// What a command printed, and how it ended.
fn text_of(project: &Project, done: &Output) -> String {
    let root = project.path("").to_string_lossy().trim_end_matches('/').to_owned();
    let clean = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).replace(&root, "[project]");
        text.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>()
    };
    let (out, err) = (clean(&done.stdout), clean(&done.stderr));
    let code = done.status.code().map_or_else(|| "killed".to_owned(), |code| code.to_string());
    assert!(!err.contains("panicked"), "{err}");
    format!("{out}{err}exit code {code}\n")
}

/// The findings as `--json` has them, which must be those that people were shown.
fn findings(done: &Output, arguments: &[&str], human: &Output) -> Vec<Value> {
    assert_eq!(done.status.code(), human.status.code(), "`--json` ends otherwise");
    let document: Value = serde_json::from_slice(&done.stdout).expect("`--json` prints JSON");
    let mut found = document["diagnostics"].as_array().expect("a list of findings").clone();
    found.retain(|finding| !arguments.contains(&"--quiet") || finding["severity"] == "error");
    let text = String::from_utf8_lossy(&human.stderr);
    for finding in &found {
        let title = format!(
            "{}[{}]: ",
            finding["severity"].as_str().unwrap_or(""),
            finding["code"].as_str().unwrap_or("")
        );
        assert!(text.contains(&title), "{title} is not shown:\n{text}");
    }
    found
}

/// A finding on one line, as programs see it.
fn line(finding: &Value) -> String {
    let place = ["line", "column", "end_line", "end_column"].map(|key| match &finding[key] {
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    });
    let [line, column, end_line, end_column] = place;
    let fix = match &finding["fix"] {
        Value::Null => String::new(),
        fix if fix["safe"] == Value::Bool(true) => " fix".to_owned(),
        _ => " suggestion".to_owned(),
    };
    let field = |key: &str| finding[key].as_str().unwrap_or("?").to_owned();
    format!(
        "{} {} {}:{line}:{column}-{end_line}:{end_column} {}{fix}",
        field("code"),
        field("severity"),
        field("file"),
        field("name"),
    )
}

/// Where the record of a case is, relative to the tests: `snapshots` mirrors `tests/cases`.
pub fn record(name: &str) -> (PathBuf, String) {
    let path = Path::new(name);
    let folder = path.parent().unwrap_or(Path::new(""));
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    (workspace::root().join("snapshots").join(folder), file)
}
