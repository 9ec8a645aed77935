//! Equality, order and membership, and texts that stand for times.

use std::ops::Range;

use mxcp_policy::function::time;
use mxcp_policy::ty::Ty;
use mxcp_schemas::bundle::code::Const;
use mxcp_schemas::diagnostic::closest;
use mxcp_schemas::format;

use super::super::Finding;
use super::super::ast::{Binary, ExprId, Kind, Literal};
use super::super::code::{BAD_LITERAL, NEVER_EQUAL, WRONG_TYPES};
use super::Checker;

impl Checker<'_> {
    pub(super) fn equality(&mut self, id: ExprId, left: ExprId, right: ExprId) -> Ty {
        let (a, b) = (self.visit(left), self.visit(right));
        let (a, b) = self.coerce(left, a, right, b);
        self.choices(left, right);
        self.choices(right, left);
        if !self.comparable(&a, &b) {
            let (a, b) = (self.infer.resolve(&a), self.infer.resolve(&b));
            let message = format!("{a} and {b} are never equal");
            let mut finding = Finding::new(&NEVER_EQUAL, self.range(id), message);
            finding = match (&a, &b) {
                (Ty::List(_), other) | (other, Ty::List(_)) if !matches!(other, Ty::List(_)) => {
                    let (list, item) =
                        if matches!(a, Ty::List(_)) { (left, right) } else { (right, left) };
                    let tree = &self.typed.tree;
                    finding.help(format!("write `{} in {}`", tree.source(item), tree.source(list)))
                }
                (Ty::String, other) | (other, Ty::String) if is_number(other) => {
                    let (text, number) =
                        if a == Ty::String { (left, right) } else { (right, left) };
                    self.one_kind(finding, text, number)
                }
                (Ty::String, Ty::Bool) | (Ty::Bool, Ty::String) => {
                    finding.help("write `true` or `false` without quotes")
                }
                _ => finding,
            };
            self.report(finding);
        }
        Ty::Bool
    }

    /// What to do about a text and a number that are compared: whichever is written out can be written
    /// as the other one is.
    fn one_kind(&self, finding: Finding, text: ExprId, number: ExprId) -> Finding {
        let tree = &self.typed.tree;
        let (title, at, written) = match (&tree.get(text).kind, &tree.get(number).kind) {
            (_, Kind::Literal(_)) => {
                let source = tree.source(number);
                (format!("write `'{source}'` for a text"), number, format!("'{source}'"))
            }
            (Kind::Literal(Literal::String(digits)), _) if digits.parse::<f64>().is_ok() => {
                (format!("write `{digits}` for a number"), text, digits.clone())
            }
            _ => return finding.help(format!("convert one of them: `int({})`", tree.source(text))),
        };
        finding.help(title.clone()).replace(title, self.range(at), &written)
    }

    pub(super) fn membership(&mut self, left: ExprId, right: ExprId) -> Ty {
        let item = self.visit(left);
        let of = self.visit(right);
        let of = self.need(right, of);
        let mut of = self.infer.shallow(of);
        if matches!(of, Ty::Var(_)) {
            // Nothing is known of it: a list, as far as `in` can tell.
            let list = Ty::list(self.infer.fresh());
            self.infer.assign(&list, &of);
            of = list;
        }
        match &of {
            Ty::Dyn | Ty::Error | Ty::Record(_) => {}
            Ty::List(element) => self.member(left, &item, right, element),
            Ty::Map(key, _) => self.member(left, &item, right, key),
            other => {
                let shown = self.infer.resolve(other);
                let message = format!("`in` looks into lists and maps, and this is {shown}");
                let mut finding = Finding::new(&WRONG_TYPES, self.range(right), message);
                if *other == Ty::String {
                    let tree = &self.typed.tree;
                    let help =
                        format!("write `{}.contains({})`", tree.source(right), tree.source(left));
                    finding = finding.help(help);
                }
                self.report(finding);
            }
        }
        Ty::Bool
    }

    fn member(&mut self, left: ExprId, item: &Ty, right: ExprId, element: &Ty) {
        let range = self.range(left).start..self.range(right).end;
        // Texts in a literal list that are compared with a time.
        if let (Ty::Timestamp | Ty::Duration, Kind::List(items)) =
            (item.clone().required(), self.typed.tree.get(right).kind.clone())
        {
            let mut stranger = None;
            for (id, _) in items {
                let ty = self.typed.ty(id).clone();
                let (_, ty) = self.coerce(left, item.clone(), id, ty);
                if !self.comparable(item, &ty) {
                    stranger.get_or_insert(ty);
                }
            }
            if let Some(stranger) = stranger {
                self.never_among(range, item, &stranger);
            }
            return;
        }
        if let Kind::List(items) = self.typed.tree.get(right).kind.clone() {
            for (id, _) in items {
                self.choices(left, id);
            }
        }
        self.item_choices(left, right);
        if !self.comparable(item, element) {
            self.never_among(range, item, element);
        }
    }

    fn never_among(&mut self, range: Range<usize>, item: &Ty, element: &Ty) {
        let (item, element) = (self.infer.resolve(item), self.infer.resolve(element));
        let message = format!("{item} is never among values of type {element}");
        self.report(Finding::new(&NEVER_EQUAL, range, message));
    }

    pub(super) fn operator(&mut self, id: ExprId, op: Binary, left: ExprId, right: ExprId) -> Ty {
        let (a, b) = (self.visit(left), self.visit(right));
        let (a, b) = (self.need(left, a), self.need(right, b));
        let (a, b) = self.coerce(left, a, right, b);
        let Some(name) = op.function() else { return Ty::Error };
        self.apply(name, &[(left, a), (right, b)], id)
    }

    /// A literal outside of the values that a declaration lists is equal to none of them.
    fn choices(&mut self, declared: ExprId, literal: ExprId) {
        let shape = self.typed.shapes.get(&declared).cloned();
        if let Some(shape) = shape.filter(|shape| !shape.choices.is_empty()) {
            let source = self.typed.tree.source(declared).to_owned();
            self.among(&shape.choices, literal, |text| format!("`{source}` is never `{text}`"));
        }
    }

    /// The same for a literal that is looked up in a list of declared values.
    fn item_choices(&mut self, literal: ExprId, list: ExprId) {
        let shape = self.typed.shapes.get(&list).and_then(|shape| shape.items.clone());
        if let Some(shape) = shape.filter(|shape| !shape.choices.is_empty()) {
            let source = self.typed.tree.source(list).to_owned();
            let never = |text: &str| format!("no item of `{source}` is ever `{text}`");
            self.among(&shape.choices, literal, never);
        }
    }

    fn among(&mut self, choices: &[String], literal: ExprId, never: impl Fn(&str) -> String) {
        let Kind::Literal(Literal::String(text)) = &self.typed.tree.get(literal).kind else {
            return;
        };
        if choices.contains(text) {
            return;
        }
        let range = self.range(literal);
        let message = format!("{}: its `enum` does not list it", never(text));
        let finding = Finding::new(&NEVER_EQUAL, range.clone(), message);
        let finding = match closest(text, choices.iter().map(String::as_str)) {
            Some(near) => finding.help(format!("did you mean `{near}`?")).replace(
                format!("write `{near}`"),
                range,
                &format!("'{near}'"),
            ),
            None => {
                let listed: Vec<String> =
                    choices.iter().take(8).map(|choice| format!("`{choice}`")).collect();
                finding.help(format!("it is one of {}", listed.join(", ")))
            }
        };
        self.report(finding);
    }

    /// Whether values of two types can be equal.
    pub(super) fn comparable(&mut self, a: &Ty, b: &Ty) -> bool {
        if self.infer.assign(a, b) {
            return true;
        }
        let (a, b) = (self.infer.partial(a), self.infer.partial(b));
        related(&a, &b)
    }

    /// A text literal compared with a time is read as one.
    fn coerce(&mut self, left: ExprId, a: Ty, right: ExprId, b: Ty) -> (Ty, Ty) {
        if !self.strict {
            return (a, b);
        }
        let (plain_a, plain_b) = (a.clone().required(), b.clone().required());
        match (&plain_a, &plain_b) {
            (Ty::Timestamp | Ty::Duration, Ty::String) => {
                if self.as_time(right, &plain_a) {
                    (a, plain_a)
                } else {
                    (a, Ty::Error)
                }
            }
            (Ty::String, Ty::Timestamp | Ty::Duration) => {
                if self.as_time(left, &plain_b) {
                    (plain_b, b)
                } else {
                    (Ty::Error, b)
                }
            }
            _ => (a, b),
        }
    }

    fn as_time(&mut self, id: ExprId, wanted: &Ty) -> bool {
        let Kind::Literal(Literal::String(text)) = self.typed.tree.get(id).kind.clone() else {
            let message = format!("this text is compared with a {wanted}");
            let finding = Finding::new(&WRONG_TYPES, self.range(id), message);
            self.report(match wanted {
                Ty::Duration => finding.help("convert it with `duration(…)`"),
                _ => finding.help("convert it with `timestamp(…)`"),
            });
            return false;
        };
        let constant = match wanted {
            Ty::Duration => duration(&text),
            _ => instant(&text),
        };
        match constant {
            Some(constant) => {
                self.typed.coerced.insert(id, constant);
                true
            }
            None => {
                let message = format!("`{text}` is compared with a {wanted} and is none");
                let finding = Finding::new(&BAD_LITERAL, self.range(id), message);
                self.report(match wanted {
                    Ty::Duration => {
                        finding.help("write for instance `duration('720h')` or `'PT720H'`")
                    }
                    _ => finding
                        .help("write for instance `'2024-01-31'` or `'2024-01-31T08:00:00Z'`"),
                });
                false
            }
        }
    }
}

fn instant(text: &str) -> Option<Const> {
    let (seconds, nanos) = format::date_time(text)?;
    Some(Const::Timestamp(seconds, nanos))
}

fn duration(text: &str) -> Option<Const> {
    let spelled = time::parse_span(text).map(|span| (span.seconds, span.nanos));
    let (seconds, nanos) = spelled.or_else(|| format::duration(text))?;
    Some(Const::Duration(seconds, nanos))
}

const fn is_number(ty: &Ty) -> bool {
    matches!(ty, Ty::Int | Ty::Uint | Ty::Double)
}

/// Whether values of two types that do not fit one another can be equal all the same.
fn related(a: &Ty, b: &Ty) -> bool {
    match (a, b) {
        (Ty::Dyn | Ty::Error, _) | (_, Ty::Dyn | Ty::Error) => true,
        // It would have to hold itself.
        (Ty::Var(_), _) | (_, Ty::Var(_)) => false,
        // Null passes every declared type, so asking for it is always a question.
        (Ty::Null, _) | (_, Ty::Null) => true,
        (Ty::Nullable(a), b) | (b, Ty::Nullable(a)) => related(a, b),
        (Ty::List(a), Ty::List(b)) | (Ty::Optional(a), Ty::Optional(b)) => related(a, b),
        (Ty::Type(_), Ty::Type(_)) => true,
        (Ty::Map(..) | Ty::Record(_), Ty::Map(..) | Ty::Record(_)) => true,
        (a, b) if is_number(a) && is_number(b) => true,
        (a, b) => a == b,
    }
}
