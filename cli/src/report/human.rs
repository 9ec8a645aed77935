//! With the source line, a mark under the exact place, and the help below.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Patch, Renderer, Snippet};
use mxcp_schemas::diagnostic::{Diagnostic, Severity, Span};

use super::Texts;

/// Renders one diagnostic.
pub fn render(diagnostic: &Diagnostic, texts: &Texts, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code.id);
    let mut group = match (texts.get(&diagnostic.file), diagnostic.span) {
        (Some(text), Some(span)) => title.element(
            Snippet::source(&**text)
                .path(&*diagnostic.file)
                .annotation(AnnotationKind::Primary.span(range(text, span)))
                .annotations(diagnostic.related.iter().filter(|r| r.file == diagnostic.file).map(
                    |r| AnnotationKind::Context.span(range(text, r.span)).label(r.message.as_str()),
                )),
        ),
        _ => title.element(Origin::path(&*diagnostic.file)),
    };
    for related in diagnostic.related.iter().filter(|r| r.file != diagnostic.file) {
        if let Some(text) = texts.get(&related.file) {
            group = group.element(
                Snippet::source(&**text).path(&*related.file).annotation(
                    AnnotationKind::Context
                        .span(range(text, related.span))
                        .label(related.message.as_str()),
                ),
            );
        }
    }
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let mut report = vec![group];
    if let (Some(fix), Some(text)) = (&diagnostic.fix, texts.get(&diagnostic.file)) {
        let patches =
            fix.edits.iter().map(|e| Patch::new(range(text, e.span), e.replacement.as_str()));
        report.push(
            Group::with_title(Level::HELP.secondary_title(fix.title.as_str()))
                .element(Snippet::source(&**text).path(&*diagnostic.file).patches(patches)),
        );
    }
    renderer.render(&report)
}

/// The span as a range that surely lies on character boundaries of the text.
fn range(text: &str, span: Span) -> std::ops::Range<usize> {
    let floor = |offset: u32| {
        let mut at = (offset as usize).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    floor(span.start)..floor(span.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mxcp_schemas::diagnostic::{Code, Edit, Fix};
    use std::sync::Arc;

    static CODE: Code = Code {
        id: "MX9999",
        slug: "example",
        severity: Severity::Error,
        title: "an example",
        page: "",
    };

    #[test]
    fn the_place_the_help_and_the_fix_are_shown() {
        let file: Arc<str> = "tools/a.yml".into();
        let text: Arc<str> = "tool:\n  naem: x\n".into();
        let texts = Texts::from([(Arc::clone(&file), text)]);
        let span = Span::new(8, 12);
        let finding = Diagnostic::new(&CODE, &file, span, "unknown key `naem`")
            .did_you_mean("naem", ["name"])
            .fix(Fix {
                title: "write `name`".into(),
                safe: true,
                edits: vec![Edit { span, replacement: "name".into() }],
            });
        let shown = render(&finding, &texts, false);
        assert!(shown.contains("error[MX9999]: unknown key `naem`"), "{shown}");
        assert!(shown.contains("tools/a.yml:2:3"), "{shown}");
        assert!(shown.contains("did you mean `name`?"), "{shown}");
        assert!(shown.contains("+   name: x"), "{shown}");
    }
}
