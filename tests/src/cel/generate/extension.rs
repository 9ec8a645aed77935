//! What the extensions of CEL add: functions on texts, numbers, lists and sets, optionals, and macros
//! with two variables.

use super::{Generator, Kind};

impl Generator {
    /// An expression of a kind that uses an extension, where there is one for that kind.
    pub(super) fn extension(&mut self, kind: Kind, depth: usize) -> Option<String> {
        if self.chance(15) {
            let held = self.optional(kind, depth);
            return Some(match self.below(3) {
                0 => format!("{held}.value()"),
                _ => format!("{held}.orValue({})", self.of(kind, depth)),
            });
        }
        if self.wide && self.chance(60) {
            let text = self.beyond(kind, depth);
            self.alone |= text.is_some();
            return text;
        }
        Some(match kind {
            Kind::Bool => self.question(depth),
            Kind::Int => self.whole(depth),
            Kind::Uint => self.bits(Kind::Uint, depth),
            Kind::Double => self.fraction(depth),
            Kind::Text => self.words(depth),
            Kind::Bytes if self.chance(50) => {
                format!("base64.decode(base64.encode({}))", self.of(Kind::Bytes, depth))
            }
            Kind::Bytes => {
                let text = self.pick(&["'YWI='", "'YWI'", "'/+8='", "'YW'", "'_-8='", "s"]);
                format!("base64.decode({text})")
            }
            Kind::Ints => self.items_that_may_be(Kind::Int, depth),
            Kind::Texts if self.chance(50) => {
                let (text, most) = (self.of(Kind::Text, depth), self.of(Kind::Int, depth));
                format!("{text}.split({}, {most})", self.leaf(Kind::Text))
            }
            Kind::Texts => self.items_that_may_be(Kind::Text, depth),
            Kind::Map => {
                let held = self.optional(Kind::Int, depth);
                format!(
                    "{{?{}: {held}, 'b': {}}}",
                    self.leaf(Kind::Text),
                    self.of(Kind::Int, depth)
                )
            }
            Kind::Dyn => {
                let which = self.pick(&["greatest", "least"]);
                let (a, b) = (self.of(Kind::Int, depth), self.of(Kind::Double, depth));
                format!("math.{which}({a}, {b})")
            }
            Kind::Time | Kind::Span | Kind::Null => return None,
        })
    }

    /// An optional that holds such a value, or nothing.
    fn optional(&mut self, kind: Kind, depth: usize) -> String {
        let name = format!("v{}", self.scope.len());
        match self.below(if depth == 0 { 5 } else { 10 }) {
            0 | 1 => format!("optional.of({})", self.of(kind, depth)),
            2 => "optional.none()".to_owned(),
            3 => format!("optional.ofNonZeroValue({})", self.of(kind, depth)),
            4 | 5 => match kind {
                Kind::Int => match self.below(3) {
                    0 => format!("li[?{}]", self.of(Kind::Int, depth)),
                    1 => format!("{}[?{}]", self.of(Kind::Map, depth), self.leaf(Kind::Text)),
                    _ => "li.first()".to_owned(),
                },
                Kind::Text if self.chance(50) => format!("ls[?{}]", self.of(Kind::Int, depth)),
                Kind::Text => "ls.last()".to_owned(),
                _ => self.pick(&["md.?a", "x.?b", "md[?s]", "ld[?i]", "ld.first()"]).to_owned(),
            },
            6 => {
                let (a, b) = (self.optional(kind, depth - 1), self.optional(kind, depth - 1));
                format!("{a}.or({b})")
            }
            7 | 8 => {
                let of = self.pick(&[Kind::Int, Kind::Text, Kind::Dyn]);
                let held = self.optional(of, depth - 1);
                let made = self.under(of, |this| this.of(kind, depth - 1));
                format!("{held}.optMap({name}, {made})")
            }
            _ => {
                let of = self.pick(&[Kind::Int, Kind::Text, Kind::Dyn]);
                let held = self.optional(of, depth - 1);
                let made = self.under(of, |this| this.optional(kind, depth - 1));
                format!("{held}.optFlatMap({name}, {made})")
            }
        }
    }

    fn question(&mut self, depth: usize) -> String {
        if self.chance(50) {
            let kind = self.pick(&[Kind::Int, Kind::Text, Kind::Bool, Kind::Dyn]);
            return format!("{}.hasValue()", self.optional(kind, depth));
        }
        let test = self.pick(&["isNaN", "isInf", "isFinite"]);
        format!("math.{test}({})", self.of(Kind::Double, depth))
    }

    /// Bits, signs and extremes of whole numbers.
    fn bits(&mut self, kind: Kind, depth: usize) -> String {
        let number = self.of(kind, depth);
        match self.below(5) {
            0 => format!("math.{}({number})", self.pick(&["abs", "sign", "bitNot", "greatest"])),
            1 => {
                let which = self.pick(&["bitAnd", "bitOr", "bitXor"]);
                format!("math.{which}({number}, {})", self.of(kind, depth))
            }
            2 => {
                let which = self.pick(&["bitShiftLeft", "bitShiftRight"]);
                format!("math.{which}({number}, {})", self.pick(&["0", "1", "63", "64", "-1", "i"]))
            }
            3 => {
                let which = self.pick(&["greatest", "least"]);
                let (a, b) = (self.of(kind, depth), self.of(kind, depth));
                format!("math.{which}({number}, {a}, {b})")
            }
            _ => {
                let which = self.pick(&["greatest", "least"]);
                format!("math.{which}([{number}, {}])", self.of(kind, depth))
            }
        }
    }

    fn whole(&mut self, depth: usize) -> String {
        if self.chance(50) {
            return self.bits(Kind::Int, depth);
        }
        let (text, part) = (self.of(Kind::Text, depth), self.of(Kind::Text, depth));
        let at = self.of(Kind::Int, depth);
        match self.below(4) {
            0 => format!("{text}.lastIndexOf({part})"),
            1 => format!("{text}.lastIndexOf({part}, {at})"),
            2 => format!("{text}.indexOf({part}, {at})"),
            _ => format!(
                "math.{}({})",
                self.pick(&["greatest", "least"]),
                self.of(Kind::Ints, depth)
            ),
        }
    }

    fn fraction(&mut self, depth: usize) -> String {
        let number = self.of(Kind::Double, depth);
        match self.below(4) {
            0 | 1 => {
                let which = self.pick(&["ceil", "floor", "round", "trunc", "abs", "sign"]);
                format!("math.{which}({number})")
            }
            2 => {
                let kind = self.pick(&[Kind::Int, Kind::Uint, Kind::Double]);
                format!("math.sqrt({})", self.of(kind, depth))
            }
            _ => {
                let which = self.pick(&["greatest", "least"]);
                format!("math.{which}({number}, {})", self.of(Kind::Double, depth))
            }
        }
    }

    fn words(&mut self, depth: usize) -> String {
        let text = self.of(Kind::Text, depth);
        match self.below(8) {
            0 => format!("{text}.reverse()"),
            1 => format!("strings.quote({text})"),
            2 => format!("base64.encode({})", self.of(Kind::Bytes, depth)),
            3 => {
                let (from, to) = (self.leaf(Kind::Int), self.of(Kind::Int, depth));
                format!("{text}.substring({from}, {to})")
            }
            4 => {
                let (from, to) = (self.leaf(Kind::Text), self.leaf(Kind::Text));
                format!("{text}.replace({from}, {to}, {})", self.of(Kind::Int, depth))
            }
            5 => format!("{}.join()", self.of(Kind::Texts, depth)),
            _ => self.formatted(depth),
        }
    }

    /// Clauses with values, most of which the clauses take.
    fn formatted(&mut self, depth: usize) -> String {
        let (mut pattern, mut values) = (self.pick(&["", "a ", "%%é"]).to_owned(), Vec::new());
        for _ in 0..=self.below(2) {
            let (clause, kinds): (&str, &[Kind]) = match self.below(7) {
                0 | 1 => ("%s", &super::KINDS),
                2 => ("%d", &[Kind::Int, Kind::Uint, Kind::Int, Kind::Double]),
                3 => ("%f", &[Kind::Double, Kind::Double, Kind::Int]),
                4 => (self.pick(&["%.2f", "%.3e", "%.0f", "%e"]), &[Kind::Double]),
                5 => {
                    let hex = self.pick(&["%x", "%X"]);
                    (hex, &[Kind::Int, Kind::Uint, Kind::Text, Kind::Bytes])
                }
                _ => (self.pick(&["%b", "%o"]), &[Kind::Int, Kind::Uint, Kind::Bool]),
            };
            pattern.push_str(clause);
            let kind = self.pick(kinds);
            values.push(self.of(kind, depth));
        }
        if self.chance(5) {
            values.pop();
        }
        format!("'{pattern}'.format([{}])", values.join(", "))
    }

    fn items_that_may_be(&mut self, item: Kind, depth: usize) -> String {
        format!("[?{}, {}]", self.optional(item, depth), self.of(item, depth))
    }
}

/// What `cel-cpp` does not have.
impl Generator {
    fn beyond(&mut self, kind: Kind, depth: usize) -> Option<String> {
        Some(match kind {
            Kind::Bool if self.chance(50) => {
                let (list, test) = (
                    self.pick(&[Kind::Ints, Kind::Texts]),
                    self.pick(&["contains", "equivalent", "intersects"]),
                );
                format!("sets.{test}({}, {})", self.of(list, depth), self.of(list, depth))
            }
            Kind::Bool => {
                let name = self.pick(&["all", "exists", "exists_one", "existsOne"]);
                self.of_two(name, depth, |this| this.of(Kind::Bool, depth))
            }
            Kind::Ints => self.arranged(Kind::Ints, Kind::Int, depth),
            Kind::Texts => self.arranged(Kind::Texts, Kind::Text, depth),
            Kind::Map if self.chance(50) => self.of_two("transformMap", depth, |this| {
                let kept =
                    if this.chance(30) { this.of(Kind::Bool, depth) + ", " } else { String::new() };
                kept + &this.of(Kind::Int, depth)
            }),
            Kind::Map => self.of_two("transformMapEntry", depth, |this| {
                let key = this.of(Kind::Text, depth);
                format!("{{{key}: {}}}", this.of(Kind::Int, depth))
            }),
            Kind::Dyn => {
                let list = self.pick(&["ld", "[li, [1]]", "[[ls], ld]", "[ld, x]", "x"]);
                let call = self.pick(&[
                    "flatten()",
                    "flatten(2)",
                    "flatten(i)",
                    "sort()",
                    "distinct()",
                    "reverse()",
                    "slice(0, 1)",
                    "sortBy(v9, string(v9))",
                ]);
                format!("{list}.{call}")
            }
            _ => return None,
        })
    }

    /// Lists in another order, or parts of them.
    fn arranged(&mut self, list: Kind, item: Kind, depth: usize) -> String {
        let source = self.of(list, depth);
        match self.below(8) {
            0 => format!("{source}.{}()", self.pick(&["sort", "distinct", "reverse"])),
            1 => format!("{source}.slice({}, {})", self.leaf(Kind::Int), self.of(Kind::Int, depth)),
            2 => {
                let name = format!("v{}", self.scope.len());
                let by = self.pick(&[Kind::Int, Kind::Text, Kind::Double, Kind::Bool]);
                let key = self.under(item, |this| this.of(by, depth));
                format!("{source}.sortBy({name}, {key})")
            }
            3 if list == Kind::Ints => {
                format!("lists.range({})", self.pick(&["0", "3", "-1", "i % 5"]))
            }
            4 => format!("[{source}, {}].flatten()", self.of(list, depth)),
            5 => self.of_two("transformList", depth, |this| {
                let kept = this.of(Kind::Bool, depth);
                format!("{kept}, {}", this.of(item, depth))
            }),
            6 => self.of_two("transformList", depth, |this| this.of(item, depth)),
            _ => format!("{source}.sort().distinct()"),
        }
    }

    /// A macro of two variables over a list or a map.
    fn of_two(
        &mut self,
        name: &str,
        depth: usize,
        body: impl FnOnce(&mut Self) -> String,
    ) -> String {
        let (source, first, second) = match self.below(4) {
            0 => (self.of(Kind::Ints, depth), Kind::Int, Kind::Int),
            1 => (self.of(Kind::Texts, depth), Kind::Int, Kind::Text),
            2 => (self.of(Kind::Map, depth), Kind::Text, Kind::Int),
            _ => (self.pick(&["ld", "md", "x"]).to_owned(), Kind::Dyn, Kind::Dyn),
        };
        let (a, b) = (format!("v{}", self.scope.len()), format!("v{}", self.scope.len() + 1));
        let body = self.under(first, |this| this.under(second, body));
        format!("{source}.{name}({a}, {b}, {body})")
    }
}
