//! Expressions and values from a seed: of all types, with all operators, macros and functions, some
//! of which cannot be evaluated and some of which do not even check.

mod extension;

use mxcp_policy::ty::Ty;

/// A value that an expression is given, in a form that every engine can be given.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are CEL's; times are in microseconds")]
pub enum Given {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Time(i64),
    Span(i64),
    List(Vec<Given>),
    Map(Vec<(String, Given)>),
}

/// The variables that expressions use, with their types.
pub fn variables() -> Vec<(&'static str, Ty)> {
    vec![
        ("b", Ty::Bool),
        ("i", Ty::Int),
        ("j", Ty::Int),
        ("u", Ty::Uint),
        ("d", Ty::Double),
        ("s", Ty::String),
        ("t", Ty::String),
        ("y", Ty::Bytes),
        ("ts", Ty::Timestamp),
        ("du", Ty::Duration),
        ("li", Ty::list(Ty::Int)),
        ("ls", Ty::list(Ty::String)),
        ("ld", Ty::list(Ty::Dyn)),
        ("mi", Ty::map(Ty::String, Ty::Int)),
        ("md", Ty::map(Ty::String, Ty::Dyn)),
        ("x", Ty::Dyn),
    ]
}

/// What an expression is wanted to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Time,
    Span,
    Ints,
    Texts,
    Map,
    Null,
    Dyn,
}

const KINDS: [Kind; 13] = [
    Kind::Bool,
    Kind::Int,
    Kind::Uint,
    Kind::Double,
    Kind::Text,
    Kind::Bytes,
    Kind::Time,
    Kind::Span,
    Kind::Ints,
    Kind::Texts,
    Kind::Map,
    Kind::Null,
    Kind::Dyn,
];

const TEXTS: [&str; 12] =
    ["", "a", "ab", "abc", "né", "日本", "😀x", "a b a", " A ", "12", "-7", "true"];
const INTS: [i64; 9] = [0, 1, 2, 3, -1, -2, 7, i64::MAX, i64::MIN];
const DOUBLES: [f64; 10] =
    [0.0, -0.0, 1.0, 1.5, -2.5, 3.0, 1e300, f64::NAN, f64::INFINITY, 9_007_199_254_740_993.0];

const TIME_PARTS: [&str; 10] = [
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];

/// Makes expressions and values; the same seed makes the same.
#[derive(Debug)]
pub struct Generator {
    state: u64,
    /// variables of macros, with what they are
    scope: Vec<(String, Kind)>,
    /// whether types are kept to; otherwise anything may stand anywhere
    typed: bool,
    /// whether functions may be drawn that no other implementation has
    wide: bool,
    /// whether one was drawn
    alone: bool,
}

impl Generator {
    /// A generator of expressions that keep to types, or of such that need not, with functions that
    /// no other implementation has, or without them.
    pub fn new(seed: u64, typed: bool, wide: bool) -> Self {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { state, scope: Vec::new(), typed, wide, alone: false }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or(0)
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Whether what was drawn needs functions that the other implementations do not have.
    pub const fn alone(&self) -> bool {
        self.alone
    }

    /// An expression.
    pub fn expression(&mut self) -> String {
        let kind = if self.chance(60) { Kind::Bool } else { self.pick(&KINDS) };
        let depth = 2 + self.below(3);
        self.of(kind, depth)
    }

    /// A value for each variable.
    pub fn values(&mut self) -> Vec<(&'static str, Given)> {
        let ints = |this: &mut Self| {
            let count = this.below(4);
            (0..count).map(|_| Given::Int(this.pick(&INTS))).collect::<Vec<_>>()
        };
        let texts = |this: &mut Self| {
            let count = this.below(4);
            (0..count).map(|_| this.text()).collect::<Vec<_>>()
        };
        vec![
            ("b", Given::Bool(self.chance(50))),
            ("i", Given::Int(self.pick(&INTS))),
            ("j", Given::Int(self.pick(&INTS))),
            ("u", Given::Uint(self.pick(&[0, 1, 2, 7, u64::MAX]))),
            ("d", Given::Double(self.pick(&DOUBLES))),
            ("s", self.text()),
            ("t", self.text()),
            ("y", Given::Bytes(self.pick(&[&b""[..], b"a", b"\xff", b"n\xc3\xa9"]).to_vec())),
            ("ts", self.time()),
            ("du", self.span()),
            ("li", Given::List(ints(self))),
            ("ls", Given::List(texts(self))),
            ("ld", self.list(2)),
            ("mi", {
                let keys = ["a", "b", "né"];
                let count = self.below(4);
                let entry =
                    |key: &&str, this: &mut Self| ((*key).to_owned(), Given::Int(this.pick(&INTS)));
                Given::Map(keys.iter().take(count).map(|key| entry(key, self)).collect())
            }),
            ("md", self.map(3)),
            ("x", self.any(3)),
        ]
    }

    fn text(&mut self) -> Given {
        Given::Text(self.pick(&TEXTS).to_owned())
    }

    fn time(&mut self) -> Given {
        let seconds = self.pick(&[0, 1_704_067_200, 1_709_210_096, -1, 253_402_300_799]);
        Given::Time(seconds * 1_000_000 + self.pick(&[0, 0, 500_000]))
    }

    fn span(&mut self) -> Given {
        Given::Span(self.pick(&[0, 1, -1, 60_000_000, 86_400_000_000, -3_600_500_000]))
    }

    fn list(&mut self, depth: usize) -> Given {
        let count = self.below(4);
        Given::List((0..count).map(|_| self.any(depth - 1)).collect())
    }

    fn map(&mut self, depth: usize) -> Given {
        let mut entries = Vec::new();
        for key in ["a", "b", "c", "né"] {
            if self.chance(60) {
                entries.push((key.to_owned(), self.any(depth - 1)));
            }
        }
        Given::Map(entries)
    }

    fn any(&mut self, depth: usize) -> Given {
        match self.below(if depth == 0 { 6 } else { 10 }) {
            0 => Given::Null,
            1 => Given::Bool(self.chance(50)),
            2 | 3 => Given::Int(self.pick(&INTS)),
            4 => Given::Double(self.pick(&DOUBLES)),
            5 => self.text(),
            6 | 7 => self.list(depth),
            _ => self.map(depth),
        }
    }

    fn of(&mut self, kind: Kind, depth: usize) -> String {
        let stray = if self.typed { 2 } else { 12 };
        let kind = if depth > 0 && self.chance(stray) { self.pick(&KINDS) } else { kind };
        if depth == 0 || self.chance(15) {
            return self.leaf(kind);
        }
        let depth = depth - 1;
        if self.chance(6) {
            let (c, a, b) =
                (self.of(Kind::Bool, depth), self.of(kind, depth), self.of(kind, depth));
            return format!("({c} ? {a} : {b})");
        }
        if self.chance(3) {
            return self.bound(kind, depth);
        }
        if self.chance(if self.wide { 40 } else { 15 })
            && let Some(text) = self.extension(kind, depth)
        {
            return text;
        }
        match kind {
            Kind::Bool => self.truth(depth),
            Kind::Int => self.int(depth),
            Kind::Uint => self.uint(depth),
            Kind::Double => self.double(depth),
            Kind::Text => self.string(depth),
            Kind::Bytes => match self.below(2) {
                0 => format!("bytes({})", self.of(Kind::Text, depth)),
                _ => format!("({} + {})", self.of(Kind::Bytes, depth), self.of(Kind::Bytes, depth)),
            },
            Kind::Time => match self.below(5) {
                2 => format!("timestamp(string({}))", self.of(Kind::Time, depth)),
                0 => format!("timestamp({})", self.of(Kind::Int, depth)),
                1 => format!("({} - {})", self.of(Kind::Time, depth), self.of(Kind::Span, depth)),
                _ => format!("({} + {})", self.of(Kind::Time, depth), self.of(Kind::Span, depth)),
            },
            Kind::Span => match self.below(4) {
                2 => {
                    format!("duration({})", self.pick(&["string(du)", "'1h' + s", "s", "t + 's'"]))
                }
                0 => format!("({} + {})", self.of(Kind::Span, depth), self.of(Kind::Span, depth)),
                1 => format!("({} - {})", self.of(Kind::Span, depth), self.of(Kind::Span, depth)),
                _ => format!("({} - {})", self.of(Kind::Time, depth), self.of(Kind::Time, depth)),
            },
            Kind::Ints => self.items(Kind::Ints, Kind::Int, depth),
            Kind::Texts => match self.below(5) {
                0 => format!("{}.split({})", self.of(Kind::Text, depth), self.leaf(Kind::Text)),
                _ => self.items(Kind::Texts, Kind::Text, depth),
            },
            Kind::Map => self.entries(depth),
            Kind::Null => "null".to_owned(),
            Kind::Dyn => {
                let kind = self.pick(&KINDS);
                match self.below(5) {
                    0 => format!("dyn({})", self.of(kind, depth)),
                    1 => format!("md.{}", self.pick(&["a", "b", "c", "nothing"])),
                    2 => format!("ld[{}]", self.of(Kind::Int, depth)),
                    3 => format!("x.{}", self.pick(&["a", "b"])),
                    _ => format!("md[{}]", self.of(Kind::Text, depth)),
                }
            }
        }
    }

    fn uint(&mut self, depth: usize) -> String {
        let (a, b) = (self.of(Kind::Uint, depth), self.of(Kind::Uint, depth));
        match self.below(7) {
            0 => format!("uint({})", self.of(Kind::Int, depth)),
            2 => format!("uint({})", self.of(Kind::Text, depth)),
            1 => format!("uint({})", self.of(Kind::Double, depth)),
            _ => format!("({a} {} {b})", self.pick(&["+", "-", "*", "/", "%"])),
        }
    }

    fn bound(&mut self, kind: Kind, depth: usize) -> String {
        let of = self.pick(&KINDS);
        let value = self.of(of, depth);
        let name = format!("v{}", self.scope.len());
        self.scope.push((name.clone(), of));
        let result = self.of(kind, depth);
        self.scope.pop();
        format!("cel.bind({name}, {value}, {result})")
    }

    fn leaf(&mut self, kind: Kind) -> String {
        let known: Vec<String> =
            self.scope.iter().filter(|(_, of)| *of == kind).map(|(name, _)| name.clone()).collect();
        if !known.is_empty() && self.chance(60) {
            return known[self.below(known.len())].clone();
        }
        let literal = self.chance(50);
        match kind {
            Kind::Bool if literal => self.pick(&["true", "false"]).to_owned(),
            Kind::Bool => "b".to_owned(),
            Kind::Int if literal => self.pick(&INTS).to_string(),
            Kind::Int => self.pick(&["i", "j"]).to_owned(),
            Kind::Uint if literal => self.pick(&["0u", "1u", "7u"]).to_owned(),
            Kind::Uint => "u".to_owned(),
            Kind::Double if literal => {
                self.pick(&["0.0", "1.5", "-2.5", "1e300", "3.0"]).to_owned()
            }
            Kind::Double => "d".to_owned(),
            Kind::Text if literal => format!("'{}'", self.pick(&TEXTS)),
            Kind::Text => self.pick(&["s", "t"]).to_owned(),
            Kind::Bytes if literal => self.pick(&["b''", "b'a'", "b'\\xff'", "b'né'"]).to_owned(),
            Kind::Bytes => "y".to_owned(),
            Kind::Time if literal => {
                let day = self.pick(&["2024-01-01T00:00:00Z", "2024-02-29T12:34:56.5+01:00"]);
                format!("timestamp('{day}')")
            }
            Kind::Time => "ts".to_owned(),
            Kind::Span if literal => {
                format!("duration('{}')", self.pick(&["1h", "-1.5s", "90m", "0s", "24h1ms"]))
            }
            Kind::Span => "du".to_owned(),
            Kind::Ints => "li".to_owned(),
            Kind::Texts => "ls".to_owned(),
            Kind::Map => "mi".to_owned(),
            Kind::Null => "null".to_owned(),
            Kind::Dyn => self.pick(&["x", "md.a", "md", "ld"]).to_owned(),
        }
    }

    fn truth(&mut self, depth: usize) -> String {
        match self.below(18) {
            0 | 1 => {
                format!("({} && {})", self.of(Kind::Bool, depth), self.of(Kind::Bool, depth))
            }
            2 | 3 => {
                format!("({} || {})", self.of(Kind::Bool, depth), self.of(Kind::Bool, depth))
            }
            4 => format!("!{}", self.of(Kind::Bool, depth)),
            5..=8 => {
                let kind = self.pick(&[
                    Kind::Int,
                    Kind::Double,
                    Kind::Uint,
                    Kind::Text,
                    Kind::Bytes,
                    Kind::Time,
                    Kind::Span,
                    Kind::Bool,
                    Kind::Dyn,
                ]);
                let order = self.pick(&["<", "<=", ">", ">="]);
                format!("({} {order} {})", self.of(kind, depth), self.of(kind, depth))
            }
            9 | 10 => {
                let kind = self.pick(&KINDS);
                let other = if self.chance(20) { Kind::Dyn } else { kind };
                let order = self.pick(&["==", "!="]);
                format!("({} {order} {})", self.of(kind, depth), self.of(other, depth))
            }
            11 => self.membership(depth),
            12 => {
                let test = self.pick(&["startsWith", "endsWith", "contains"]);
                format!("{}.{test}({})", self.of(Kind::Text, depth), self.of(Kind::Text, depth))
            }
            13 => {
                let pattern = self.pick(&["a+", "^[a-z]*$", "\\\\d", "(a|b) ", "é", "^.$"]);
                format!("{}.matches('{pattern}')", self.of(Kind::Text, depth))
            }
            14 => format!("has({})", self.pick(&["md.a", "md.nothing", "mi.b", "md.a.b", "x.a"])),
            15 => {
                let kind = self.pick(&KINDS);
                let name = self.pick(&["int", "string", "list", "map", "bool", "double", "bytes"]);
                format!("(type({}) == {name})", self.of(kind, depth))
            }
            16 if self.chance(30) => format!("bool({})", self.of(Kind::Text, depth)),
            _ => self.quantified(depth),
        }
    }

    fn membership(&mut self, depth: usize) -> String {
        match self.below(4) {
            0 => format!("({} in {})", self.of(Kind::Int, depth), self.of(Kind::Ints, depth)),
            1 => format!("({} in {})", self.of(Kind::Text, depth), self.of(Kind::Texts, depth)),
            2 => format!("({} in {})", self.of(Kind::Text, depth), self.of(Kind::Map, depth)),
            _ => format!("({} in ld)", self.of(Kind::Dyn, depth)),
        }
    }

    fn quantified(&mut self, depth: usize) -> String {
        let (source, item) = match self.below(4) {
            0 => (self.of(Kind::Ints, depth), Kind::Int),
            1 => (self.of(Kind::Texts, depth), Kind::Text),
            2 => (self.of(Kind::Map, depth), Kind::Text),
            _ => (self.pick(&["ld", "md", "x"]).to_owned(), Kind::Dyn),
        };
        let macro_name = self.pick(&["exists", "all", "exists_one"]);
        let body = self.under(item, |this| this.of(Kind::Bool, depth));
        format!("{source}.{macro_name}({}, {body})", format_args!("v{}", self.scope.len()))
    }

    fn under(&mut self, item: Kind, body: impl FnOnce(&mut Self) -> String) -> String {
        let name = format!("v{}", self.scope.len());
        self.scope.push((name, item));
        let body = body(self);
        self.scope.pop();
        body
    }

    fn items(&mut self, list: Kind, item: Kind, depth: usize) -> String {
        let name = format!("v{}", self.scope.len());
        match self.below(5) {
            0 => {
                let count = self.below(4);
                let items: Vec<String> = (0..count).map(|_| self.of(item, depth)).collect();
                format!("[{}]", items.join(", "))
            }
            1 => format!("({} + {})", self.of(list, depth), self.of(list, depth)),
            2 => {
                let source = self.of(list, depth);
                let body = self.under(item, |this| this.of(Kind::Bool, depth));
                format!("{source}.filter({name}, {body})")
            }
            3 => {
                let (source, from) = match self.below(2) {
                    0 => (self.of(Kind::Ints, depth), Kind::Int),
                    _ => (self.of(Kind::Texts, depth), Kind::Text),
                };
                let body = self.under(from, |this| this.of(item, depth));
                format!("{source}.map({name}, {body})")
            }
            _ => {
                let source = self.of(list, depth);
                let (keep, made) = (
                    self.under(item, |this| this.of(Kind::Bool, depth)),
                    self.under(item, |this| this.of(item, depth)),
                );
                format!("{source}.map({name}, {keep}, {made})")
            }
        }
    }

    fn entries(&mut self, depth: usize) -> String {
        let count = self.below(3);
        let keys = ["'a'", "'b'", "s", "'né'"];
        let entries: Vec<String> = (0..count)
            .map(|_| format!("{}: {}", self.pick(&keys), self.of(Kind::Int, depth)))
            .collect();
        format!("{{{}}}", entries.join(", "))
    }

    fn int(&mut self, depth: usize) -> String {
        match self.below(14) {
            0 => format!("-({})", self.of(Kind::Int, depth)),
            1 => {
                let kind =
                    self.pick(&[Kind::Text, Kind::Bytes, Kind::Ints, Kind::Texts, Kind::Map]);
                format!("size({})", self.of(kind, depth))
            }
            2 => format!("{}[{}]", self.of(Kind::Ints, depth), self.of(Kind::Int, depth)),
            3 => format!("{}[{}]", self.of(Kind::Map, depth), self.of(Kind::Text, depth)),
            4 => {
                let kind = self.pick(&[Kind::Double, Kind::Text, Kind::Uint, Kind::Time]);
                format!("int({})", self.of(kind, depth))
            }
            5 => {
                let part = self.pick(&TIME_PARTS);
                let zone = self.pick(&["", "'Europe/Zurich'", "'-02:30'"]);
                format!("{}.{part}({zone})", self.of(Kind::Time, depth))
            }
            6 => {
                let part = self.pick(&["getHours", "getMinutes", "getSeconds", "getMilliseconds"]);
                format!("{}.{part}()", self.of(Kind::Span, depth))
            }
            7 => format!("{}.indexOf({})", self.of(Kind::Text, depth), self.of(Kind::Text, depth)),
            8 => {
                let which = self.pick(&["greatest", "least"]);
                format!(
                    "math.{which}({}, {})",
                    self.of(Kind::Int, depth),
                    self.of(Kind::Int, depth)
                )
            }
            9 => format!("md.?a.orValue({})", self.of(Kind::Int, depth)),
            _ => {
                let operator = self.pick(&["+", "-", "*", "/", "%"]);
                format!("({} {operator} {})", self.of(Kind::Int, depth), self.of(Kind::Int, depth))
            }
        }
    }

    fn double(&mut self, depth: usize) -> String {
        match self.below(7) {
            0 => format!("-({})", self.of(Kind::Double, depth)),
            1 => format!("double({})", self.of(Kind::Int, depth)),
            2 => {
                let kind = self.pick(&[Kind::Text, Kind::Uint, Kind::Double]);
                format!("double({})", self.of(kind, depth))
            }
            _ => {
                let operator = self.pick(&["+", "-", "*", "/"]);
                let (a, b) = (self.of(Kind::Double, depth), self.of(Kind::Double, depth));
                format!("({a} {operator} {b})")
            }
        }
    }

    fn string(&mut self, depth: usize) -> String {
        let text = self.of(Kind::Text, depth);
        match self.below(12) {
            0 => {
                let kind = self.pick(&[
                    Kind::Int,
                    Kind::Uint,
                    Kind::Bool,
                    Kind::Bytes,
                    Kind::Time,
                    Kind::Span,
                    Kind::Double,
                ]);
                format!("string({})", self.of(kind, depth))
            }
            1 => format!("{text}.{}()", self.pick(&["lowerAscii", "upperAscii", "trim"])),
            2 => format!("{text}.charAt({})", self.of(Kind::Int, depth)),
            3 => format!("{text}.substring({})", self.pick(&["0", "1", "2", "i"])),
            4 => format!("{text}.replace({}, {})", self.leaf(Kind::Text), self.leaf(Kind::Text)),
            5 => format!("{}.join({})", self.of(Kind::Texts, depth), self.leaf(Kind::Text)),
            6 => format!("{}[{}]", self.of(Kind::Texts, depth), self.of(Kind::Int, depth)),
            _ => format!("({text} + {})", self.of(Kind::Text, depth)),
        }
    }
}
