//! What a command may say, and where: results on stdout, everything else on stderr.

mod progress;

use std::io::{self, IsTerminal as _, Write as _};

use clap::builder::FalseyValueParser;
use mxcp_schemas::diagnostic::Diagnostic;
use serde_json::Value;

use crate::report::{Count, Format, Texts, github, human, json, sarif};

pub use progress::Progress;

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Color {
    /// on a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// always
    Always,
    /// never
    Never,
}

/// The options that every command has.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Ui {
    /// Print results as JSON
    #[arg(long, alias = "json-output", global = true)]
    pub json: bool,
    /// Print nothing but results and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t)]
    pub color: Color,
    /// Log to standard error what happens
    #[arg(long, global = true, env = "MXCP_DEBUG", value_parser = FalseyValueParser::new())]
    pub debug: bool,
}

impl Ui {
    /// Whether to colour what goes to stderr.
    pub fn colored(self) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                io::stderr().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            }
        }
    }

    /// Prints a result line. A closed pipe is not an error: the reader has seen enough.
    pub fn line(self, text: &str) {
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// Prints a result document.
    pub fn document(self, value: &Value) {
        self.line(&serde_json::to_string_pretty(value).unwrap_or_default());
    }

    /// Says something about the work, unless told to be quiet.
    pub fn note(self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Says what went wrong.
    pub fn error(self, text: &str) {
        let (bold, end) = if self.colored() { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        let _ = writeln!(io::stderr(), "{bold}error{end}: {text}");
    }

    /// Prints diagnostics: on stderr for people, on stdout for programs.
    pub fn diagnostics(self, found: &[Diagnostic], texts: &Texts, format: Format) {
        match if self.json { Format::Json } else { format } {
            Format::Json => self.document(&json::document(found, texts)),
            Format::Sarif => self.document(&sarif::document(found, texts)),
            Format::Github => found.iter().for_each(|d| self.line(&github::render(d, texts))),
            Format::Human => self.human(found, texts),
        }
    }

    fn human(self, found: &[Diagnostic], texts: &Texts) {
        let color = self.colored();
        let mut stderr = io::stderr().lock();
        let mut count = Count::of(found);
        for diagnostic in found.iter().filter(|d| !self.quiet || d.is_error()) {
            let _ = writeln!(stderr, "{}\n", human::render(diagnostic, texts, color));
        }
        if self.quiet {
            (count.warnings, count.notes) = (0, 0);
        }
        if let Some(words) = count.words() {
            let _ = writeln!(stderr, "{words}");
        }
    }
}

/// A JSON text with its parts on lines of their own, two spaces deeper each; its values as they are.
pub fn indented(json: &str) -> String {
    let (mut out, mut depth, mut in_string, mut escaped) = (String::new(), 0_usize, false, false);
    let mut characters = json.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    while let Some(c) = characters.next() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            out.push(c);
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                let closing = characters.next_if(|next| matches!(next, '}' | ']'));
                if let Some(closing) = closing {
                    out.push(closing);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ if c.is_ascii_whitespace() => {}
            _ => {
                in_string = c == '"';
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::indented;

    #[test]
    fn json_is_laid_out_as_serde_does_it_and_keeps_its_digits() {
        for json in [
            r#"{"a":[1,{"b":"x, {y}: \"z\" \\"}],"c":{},"d":[],"e":null}"#,
            r#"["\\","a:b",[[]],true]"#,
            "7",
        ] {
            let parsed: serde_json::Value = serde_json::from_str(json).unwrap();
            assert_eq!(indented(json), serde_json::to_string_pretty(&parsed).unwrap());
        }
        let exact = "12345678901234567890.123456789";
        assert_eq!(indented(&format!("[{exact}]")), format!("[\n  {exact}\n]"));
    }
}
