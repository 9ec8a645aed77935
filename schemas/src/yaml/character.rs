//! Characters that a document may not hold as such, because a reader or an editor would see
//! another document than we do.

use std::sync::Arc;

use super::{BIDI, CHARACTER};
use crate::diagnostic::{Diagnostic, Span};

/// Reports control characters, line breaks that only some readers know, and characters that change
/// the direction of what stands around them. Whether the document can be read at all.
pub(super) fn check(file: &Arc<str>, text: &str, found: &mut Vec<Diagnostic>) -> bool {
    let plain = |byte: u8| (0x20..0x7f).contains(&byte) || matches!(byte, b'\t' | b'\n' | b'\r');
    if text.bytes().all(plain) {
        return true;
    }
    let mut good = true;
    for (at, character) in text.char_indices() {
        let Some(class) = classify(character, at) else { continue };
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        let length = u32::try_from(character.len_utf8()).unwrap_or(0);
        let span = Span::new(at, at.saturating_add(length));
        let name = format!("U+{:04X}", u32::from(character));
        let finding = match class {
            Class::Control => {
                Diagnostic::new(&CHARACTER, file, span, format!("the control character {name}"))
                    .help(format!(
                        "remove it, or write it as an escape in double quotes: {}",
                        escape(character)
                    ))
            }
            Class::Break => {
                let message = format!("the line break {name}, which YAML 1.2 does not know as one");
                Diagnostic::new(&CHARACTER, file, span, message)
                    .help("end lines with a line feed, or write an escape in double quotes")
            }
            Class::ByteOrderMark => Diagnostic::new(
                &CHARACTER,
                file,
                span,
                "a byte order mark inside the file".to_owned(),
            )
            .help("remove it; it is invisible in most editors"),
            Class::Bidirectional => {
                let message = format!("{name} changes the direction of the text around it");
                Diagnostic::new(&BIDI, file, span, message)
                    .help("remove it, or write it as an escape in double quotes")
            }
        };
        let fatal = !matches!(class, Class::Bidirectional);
        found.push(finding);
        if fatal {
            good = false;
            break;
        }
    }
    good
}

enum Class {
    Control,
    Break,
    ByteOrderMark,
    Bidirectional,
}

fn classify(character: char, at: usize) -> Option<Class> {
    match character {
        '\t' | '\n' | '\r' => None,
        '\u{85}' | '\u{2028}' | '\u{2029}' => Some(Class::Break),
        '\u{feff}' => (at > 0).then_some(Class::ByteOrderMark),
        '\u{fffe}' | '\u{ffff}' => Some(Class::Control),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' => {
            Some(Class::Bidirectional)
        }
        character if character.is_control() => Some(Class::Control),
        _ => None,
    }
}

fn escape(character: char) -> String {
    let code = u32::from(character);
    if code <= 0xff { format!("`\\x{code:02X}`") } else { format!("`\\u{code:04X}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slugs(text: &str) -> (bool, Vec<&'static str>) {
        let mut found = Vec::new();
        let good = check(&"f.yml".into(), text, &mut found);
        (good, found.iter().map(|d| d.code.slug).collect())
    }

    #[test]
    fn invisible_characters_are_named() {
        assert_eq!(slugs("a: \tb\r\n"), (true, vec![]));
        assert_eq!(slugs("\u{feff}a: é\n"), (true, vec![]));
        for text in ["a: \0", "a: \u{7f}", "é: \u{9b}", "a: b # c\u{2028}d: e", "a\u{feff}: b"] {
            assert_eq!(slugs(text), (false, vec!["control-character"]), "{text:?}");
        }
        let text = "a: 'x\u{202e}y' # \u{2066}\n";
        assert_eq!(slugs(text), (true, vec!["bidirectional-control"; 2]));
    }
}
