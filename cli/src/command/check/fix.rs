//! Applying safe fixes: edits of byte ranges, so that comments and layout stay as they are.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use mxcp_compiler::Compiled;
use mxcp_schemas::diagnostic::Edit;

use crate::exit::Failure;
use crate::project::Project;

/// What was done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fixed {
    pub files: usize,
    pub edits: usize,
}

/// Applies every safe fix that does not overlap an earlier one.
pub fn apply(project: &Project, compiled: &Compiled) -> Result<Fixed, Failure> {
    let mut by_file: BTreeMap<&Arc<str>, Vec<&Edit>> = BTreeMap::new();
    for diagnostic in &compiled.diagnostics {
        if let Some(fix) = diagnostic.fix.as_ref().filter(|fix| fix.safe) {
            by_file.entry(&diagnostic.file).or_default().extend(&fix.edits);
        }
    }
    let mut fixed = Fixed::default();
    for (file, edits) in by_file {
        let Some(text) = compiled.texts.get(file) else { continue };
        let (text, done) = edited(text, edits);
        if done > 0 {
            write(project, file, &text)?;
            fixed.files += 1;
            fixed.edits += done;
        }
    }
    Ok(fixed)
}

/// The text after the edits, and how many were made.
fn edited(text: &str, mut edits: Vec<&Edit>) -> (String, usize) {
    edits.sort_by_key(|edit| edit.span);
    let (mut out, mut at, mut done) = (String::with_capacity(text.len()), 0, 0);
    for edit in edits {
        let (start, end) = (edit.span.start as usize, edit.span.end as usize);
        let Some(between) = text.get(at..start) else { continue };
        if text.get(start..end).is_none() {
            continue;
        }
        out.push_str(between);
        out.push_str(&edit.replacement);
        (at, done) = (end, done + 1);
    }
    out.push_str(text.get(at..).unwrap_or(""));
    (out, done)
}

/// Replaces the file in one step, so that a crash leaves the old text or the new one.
fn write(project: &Project, file: &str, text: &str) -> Result<(), Failure> {
    let path = project.root().join(file);
    let replace = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(project.root());
        let mut beside = tempfile::NamedTempFile::new_in(folder)?;
        beside.write_all(text.as_bytes())?;
        beside.as_file().set_permissions(std::fs::metadata(&path)?.permissions())?;
        beside.persist(&path)?;
        Ok(())
    };
    replace().map_err(|e| Failure::usage(format!("`{file}` cannot be written: {e}")))
}

#[cfg(test)]
mod tests {
    use super::edited;
    use mxcp_schemas::diagnostic::{Edit, Span};

    #[test]
    fn edits_apply_in_order_and_never_overlap() {
        let edit = |start, end, text: &str| Edit {
            span: Span::new(start, end),
            replacement: text.to_owned(),
        };
        let (a, b, c) = (edit(4, 6, "X"), edit(0, 1, "Y"), edit(5, 7, "Z"));
        assert_eq!(edited("0123456789", vec![&a, &b, &c]), ("Y123X6789".to_owned(), 2));
        assert_eq!(edited("é", vec![&edit(1, 2, "x")]), ("é".to_owned(), 0));
    }
}
