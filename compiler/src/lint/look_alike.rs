//! Characters that look like others.

use mxcp_schemas::diagnostic::{Code, Diagnostic, Severity, Span};
use mxcp_schemas::document::ty::Type;

use super::{Lint, Subject};
use crate::cel::ast::{Kind, Literal};

pub(super) static LINT: Lint = Lint { code: &CODE, check };

static CODE: Code = Code {
    id: "MX0708",
    slug: "look-alike",
    severity: Severity::Warning,
    title: "a word holds characters that look like others",
    page: "A Cyrillic `а` looks like a Latin `a` and is another character: a role that is compared with \
           it matches nobody, or not the one that reviewers read. Reported are words that mix Latin \
           letters with Cyrillic or Greek ones, letters of other widths and styles, and characters that \
           show nothing.\n\n```yaml\n# wrong\n- condition: user.role == 'аdmin'\n  action: deny\n  \
           reason: Administrators cannot\n```\n\n```yaml\n# right\n- condition: user.role == 'admin'\n  \
           action: deny\n  reason: Administrators cannot\n```\n",
};

fn check(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let endpoint = subject.endpoint;
    let mut found = Vec::new();
    for condition in subject.conditions {
        for node in &condition.tree.tree.nodes {
            let Kind::Literal(Literal::String(text)) = &node.kind else { continue };
            // Where it stands takes longer to find than what it is.
            if !text.is_ascii() {
                let span = condition.node.locate(&endpoint.text, node.range.clone());
                found.extend(report(subject, text, span));
            }
        }
    }
    let policies = &endpoint.document.policies;
    for entry in
        policies.input.iter().chain(&policies.output).flat_map(|p| p.fields.iter().flatten())
    {
        found.extend(report(subject, &entry.value, entry.span));
    }
    if let Some(result) = &endpoint.document.result {
        names(subject, result, &mut found);
    }
    for parameter in &endpoint.document.parameters {
        names(subject, &parameter.ty, &mut found);
    }
    found
}

/// The field names and the choices of a declared type.
fn names(subject: &Subject<'_>, ty: &Type, found: &mut Vec<Diagnostic>) {
    for choice in &ty.choices {
        found.extend(choice.value.as_str().and_then(|text| report(subject, text, choice.span)));
    }
    for property in &ty.properties {
        found.extend(report(subject, &property.name.value, property.name.span));
        names(subject, &property.ty, found);
    }
    if let Some(items) = &ty.items {
        names(subject, items, found);
    }
}

fn report(subject: &Subject<'_>, text: &str, span: Span) -> Option<Diagnostic> {
    if text.is_ascii() {
        return None;
    }
    let (character, like) = suspicious(text)?;
    let code = format!("U+{:04X}", u32::from(character));
    let (message, help) = match like {
        Some(like) => (
            format!("`{text}` holds {code}, which looks like `{like}` and is another character"),
            format!("write `{like}`, if that is meant"),
        ),
        None => (
            format!("`{text}` holds {code}, which shows nothing"),
            "remove it, or write it as an escape where it can be seen".to_owned(),
        ),
    };
    Some(Diagnostic::new(&CODE, &subject.endpoint.file, span, message).help(help))
}

/// The first character that does not look like what it is, with what it looks like.
fn suspicious(text: &str) -> Option<(char, Option<char>)> {
    if let Some(hidden) = text.chars().find(|c| is_hidden(*c)) {
        return Some((hidden, None));
    }
    if let Some(styled) = text.chars().find_map(|c| Some((c, Some(plain(c)?)))) {
        return Some(styled);
    }
    let words = text.split(|c: char| !c.is_alphabetic() && !c.is_numeric());
    for word in words {
        let latin = word.chars().any(|c| c.is_ascii_alphabetic());
        let twin = word.chars().find_map(|c| Some((c, Some(twin(c)?))));
        // A word of one script is a word; one of two scripts is a trap.
        if latin && twin.is_some() {
            return twin;
        }
        let foreign = |c: char| twin_letter(c) || c.is_ascii_digit();
        if !word.is_empty()
            && twin.is_some()
            && word.chars().all(foreign)
            && word.chars().count() > 2
        {
            return twin;
        }
    }
    None
}

const fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{180e}' | '\u{3164}')
}

/// The ASCII character of a full-width or mathematical one.
fn plain(c: char) -> Option<char> {
    let code = u32::from(c);
    match code {
        0xff01..=0xff5e => char::from_u32(code - 0xff01 + 0x21),
        // Bold, italic, script … alphabets of 52 letters each.
        0x1d400..=0x1d6a3 => {
            let letter = (code - 0x1d400) % 52;
            char::from_u32(if letter < 26 { 0x41 + letter } else { 0x61 + letter - 26 })
        }
        _ => None,
    }
}

fn twin_letter(c: char) -> bool {
    twin(c).is_some()
}

/// The Latin letter that a Cyrillic or Greek one looks like.
fn twin(c: char) -> Option<char> {
    const TWINS: &[(char, char)] = &[
        ('Α', 'A'),
        ('Β', 'B'),
        ('Ε', 'E'),
        ('Ζ', 'Z'),
        ('Η', 'H'),
        ('Ι', 'I'),
        ('Κ', 'K'),
        ('Μ', 'M'),
        ('Ν', 'N'),
        ('Ο', 'O'),
        ('Ρ', 'P'),
        ('Τ', 'T'),
        ('Υ', 'Y'),
        ('Χ', 'X'),
        ('α', 'a'),
        ('ι', 'i'),
        ('κ', 'k'),
        ('ν', 'v'),
        ('ο', 'o'),
        ('ρ', 'p'),
        ('υ', 'u'),
        ('Ѕ', 'S'),
        ('І', 'I'),
        ('Ј', 'J'),
        ('А', 'A'),
        ('В', 'B'),
        ('Е', 'E'),
        ('К', 'K'),
        ('М', 'M'),
        ('Н', 'H'),
        ('О', 'O'),
        ('Р', 'P'),
        ('С', 'C'),
        ('Т', 'T'),
        ('У', 'Y'),
        ('Х', 'X'),
        ('а', 'a'),
        ('е', 'e'),
        ('о', 'o'),
        ('р', 'p'),
        ('с', 'c'),
        ('у', 'y'),
        ('х', 'x'),
        ('ѕ', 's'),
        ('і', 'i'),
        ('ј', 'j'),
        ('ԁ', 'd'),
        ('һ', 'h'),
        ('ӏ', 'l'),
        ('ԛ', 'q'),
        ('ԝ', 'w'),
    ];
    TWINS.iter().find(|(other, _)| *other == c).map(|(_, latin)| *latin)
}

#[cfg(test)]
mod tests {
    use super::suspicious;

    #[test]
    fn words_of_one_script_are_words() {
        for text in ["größe", "日本", "врач", "γιατρός", "ünïcödé", "naïve café", "мир"]
        {
            assert_eq!(suspicious(text), None, "{text}");
        }
        assert_eq!(suspicious("аdmin"), Some(('а', Some('a'))));
        assert_eq!(suspicious("асе"), Some(('а', Some('a'))));
        assert_eq!(suspicious("ad\u{200b}min"), Some(('\u{200b}', None)));
        assert_eq!(suspicious("ａdmin"), Some(('ａ', Some('a'))));
        assert_eq!(suspicious("𝐚dmin"), Some(('𝐚', Some('a'))));
    }
}
