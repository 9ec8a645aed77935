//! Conditions that were made to cost the compiler more than they cost to write. None is longer than
//! 64 KiB; most are as long as the parser reads at all.

use std::fmt::Write as _;
use std::sync::Arc;

use mxcp_compiler::cel::Environment;
use mxcp_compiler::cel::parser::MAX_SOURCE_BYTES;
use mxcp_policy::ty::{Field, Record, Ty};

/// A condition with what it is after.
#[derive(Debug, Clone)]
pub struct Hostile {
    /// what it is after
    pub name: &'static str,
    /// the condition
    pub text: String,
}

/// What such a condition sees: a caller, a dynamic parameter, and a result with fields that may be
/// absent.
pub fn environment() -> Environment {
    let field =
        |i: u32| Field { name: format!("f{i}"), ty: Ty::String.nullable(), required: false };
    let record =
        Record { name: "response".to_owned(), fields: (0..400).map(field).collect(), open: true };
    Environment {
        user: Some(Environment::user_record(&[])),
        params: vec![
            ("a".to_owned(), Ty::Dyn),
            ("n".to_owned(), Ty::Int),
            ("s".to_owned(), Ty::String),
        ],
        response: Some(Ty::Record(Arc::new(record))),
        request: true,
        ..Environment::default()
    }
}

/// A piece repeated until nothing more fits.
fn full(piece: &str) -> String {
    piece.repeat(MAX_SOURCE_BYTES / piece.len())
}

/// Numbered pieces joined until nothing more fits, or so many.
fn joined(separator: &str, most: usize, piece: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for i in 0..most {
        let next = piece(i);
        if text.len() + separator.len() + next.len() > MAX_SOURCE_BYTES {
            break;
        }
        if i > 0 {
            text.push_str(separator);
        }
        text.push_str(&next);
    }
    text
}

/// Something wrapped around itself.
fn nested(levels: usize, open: &str, inner: &str, close: &str) -> String {
    format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
}

/// All of them.
pub fn conditions() -> Vec<Hostile> {
    let mut all = Vec::new();
    let mut add = |name, text: String| all.push(Hostile { name, text });
    mistakes(&mut add);
    chains(&mut add);
    values(&mut add);
    all
}

/// What does not parse.
fn mistakes(add: &mut impl FnMut(&'static str, String)) {
    for piece in [
        "(", "[", "{", "!", "-", ".", "a.", "a[", "f(", "a?", "a?b:", "{'a':", "[?", "'", "\"\"\"",
        "`", "r'",
    ] {
        add("openings without ends", full(piece));
    }
    for piece in
        ["$ ", "\u{201c} ", "= ", "& ", "a b ", "1x ", "'\\q' ", "0x ", ")", "and ", "not "]
    {
        add("nothing but mistakes", full(piece));
    }
}

/// Names, guards and other long chains.
fn chains(add: &mut impl FnMut(&'static str, String)) {
    add("more than is read", "a".repeat(64 << 10));
    add("more than is read, nested", "(".repeat(64 << 10));
    add("comments", full("// \n"));
    add("one long name", "a".repeat(MAX_SOURCE_BYTES));
    add("one long field", format!("user.{}", "a".repeat(MAX_SOURCE_BYTES - 5)));
    add("one long function", format!("{}(1)", "a".repeat(MAX_SOURCE_BYTES - 3)));
    add("one long text", format!("s == '{}'", "\\u00e9".repeat(2_600)));
    add("unknown names", joined(" || ", 190, |i| format!("unknown{i} == user.x{i}")));
    add("unknown functions", joined(" || ", 190, |i| format!("s.strtsWith{i}('a')")));
    add("a chain of and", joined(" && ", 199, |i| format!("response.f{i} != null")));
    add("a chain of or", joined(" || ", 199, |i| format!("s == 'text {i}'")));
    add("a chain that is too long", joined(" && ", 4_000, |_| "n>1".to_owned()));
    add("guards around guards", guards());
    add("guards under negations", nested(45, "!(response.f1 != null && ", "s == 'a'", ")"));
    add(
        "tests beside guards",
        joined(" && ", 90, |i| format!("response.f{i} != null && !response.f{i}.contains('x')")),
    );
    add("possibly absent", joined(" && ", 190, |i| format!("response.f{i}.size() > 1")));
    add("paths", joined(" && ", 100, |i| format!("a.{}x{i} == 1", "b.".repeat(60))));
    add("a deep path", format!("a{} == 1", ".b".repeat(198)));
}

/// Lists, maps, walks, patterns and constants.
fn values(add: &mut impl FnMut(&'static str, String)) {
    add("numbers in a list", format!("n in [{}]", joined(",", 4_000, |i| (i % 10).to_string())));
    add("texts in a list", format!("s in [{}]", joined(",", 2_300, |i| format!("'{i}'"))));
    add("lists in a list", format!("[{}].size() > 1", joined(",", 4_000, |_| "[]".to_owned())));
    add("lists of lists", nested(190, "[", "", "]") + ".size() > 0");
    add(
        "growing lists",
        format!("[{}].size() > 1", joined(",", 80, |i| nested(i + 1, "[", "", "]"))),
    );
    add(
        "entries in a map",
        format!("{{{}}}.size() > 1", joined(",", 1_400, |i| format!("{i}:{i}"))),
    );
    add("maps of maps", nested(190, "{'a':", "1", "}") + ".size() > 0");
    add("types that double", doubling());
    add("bindings", bindings());
    add("walks inside walks", nested(60, "[1].exists(x, ", "true", ")"));
    add("walks beside walks", joined(" || ", 150, |i| format!("a.exists(x{i}, x{i} == {i})")));
    add(
        "walks over texts",
        "user.permissions.all(a, user.groups.all(b, user.capabilities.all(c, a + b == c)))"
            .to_owned(),
    );
    add("choices", joined("", 1, |_| "n>1?".repeat(190) + "true" + &":true".repeat(190)));
    add("patterns", joined(" || ", 90, |i| format!("s.matches('\\\\w{{{}}}')", 20 + i)));
    add("one large pattern", format!("s.matches('{}')", "(a|b|\\\\w)*".repeat(1_400)));
    add("patterns that grow", format!("s.matches('{}')", nested(12, "(", "a", "{9}){9}")));
    add(
        "constants to compute",
        joined(" || ", 45, |i| format!("lists.range(9{i:03}).size() == 1")),
    );
    add(
        "constants that grow",
        joined(" || ", 190, |i| {
            format!(
                "'aaaaaaaaaaaaaaaa'.replace('a', 'aaaaaaaaaaaaaaaa').replace('a', 'aaaa{i}') == 'b'"
            )
        }),
    );
    add("sums", joined(" + ", 199, |_| "n".to_owned()) + " > 1");
    add("a block", format!("cel.block([{}], true)", joined(",", 190, |i| i.to_string())));
    add("a sort in a sort", nested(40, "[2, 1].sortBy(x, ", "x", ".size())") + ".size() > 1");
}

fn guards() -> String {
    let mut text = "s == 'a'".to_owned();
    for i in 0..44 {
        text = if i % 2 == 0 {
            format!("(response.f{i} != null && {text})")
        } else {
            format!("!(response.f{i} == null || {text})")
        };
    }
    text
}

/// Each value is a list of the one before, twice, and the types of all are compared.
fn doubling() -> String {
    let mut text = String::new();
    for i in 0..90 {
        let before = if i == 0 { "optional.none()".to_owned() } else { format!("v{}", i - 1) };
        let _ = write!(text, "cel.bind(v{i}, [{before}, {before}], ");
    }
    text + "v0 == v89" + &")".repeat(90)
}

fn bindings() -> String {
    let mut text = String::new();
    for i in 0..190 {
        let _ = write!(
            text,
            "cel.bind(v{i}, {}, ",
            if i == 0 { "a".to_owned() } else { format!("v{}", i - 1) }
        );
    }
    text + "v189 == 1" + &")".repeat(190)
}
