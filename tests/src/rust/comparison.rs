//! Comparisons in Rust source: what is compared, and how.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// Methods that stop at the first difference.
const METHODS: [&str; 10] = [
    "cmp",
    "contains",
    "ends_with",
    "eq",
    "eq_ignore_ascii_case",
    "find",
    "ne",
    "partial_cmp",
    "starts_with",
    "strip_prefix",
];
/// Macros that compare.
const MACROS: [&str; 6] =
    ["assert_eq", "assert_ne", "debug_assert_eq", "debug_assert_ne", "matches", "assert_matches"];

/// A comparison and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// line, from 1
    pub line: usize,
    /// the operands, as tokens
    pub operands: Vec<String>,
    /// the identifiers in them
    pub words: Vec<String>,
    /// the last identifier of each, or that of its field
    pub names: Vec<String>,
}

/// The comparisons of a file outside its tests.
pub(super) fn of(file: &syn::File) -> Vec<Comparison> {
    let mut found = Comparisons(Vec::new());
    found.visit_file(file);
    found.0
}

struct Comparisons(Vec<Comparison>);

impl Comparisons {
    fn add(&mut self, line: usize, operands: &[TokenStream]) {
        let mut words = Vec::new();
        for operand in operands {
            identifiers(operand, &mut words);
        }
        self.0.push(Comparison {
            line,
            operands: operands.iter().map(ToString::to_string).collect(),
            words,
            names: operands.iter().filter_map(last).collect(),
        });
    }
}

impl<'ast> Visit<'ast> for Comparisons {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_expr_binary(&mut self, expr: &'ast syn::ExprBinary) {
        use syn::BinOp::{Eq, Ge, Gt, Le, Lt, Ne};
        if matches!(expr.op, Eq(_) | Ne(_) | Lt(_) | Le(_) | Gt(_) | Ge(_)) {
            let operands = [expr.left.to_token_stream(), expr.right.to_token_stream()];
            self.add(expr.span().start().line, &operands);
        }
        visit::visit_expr_binary(self, expr);
    }

    fn visit_expr_method_call(&mut self, expr: &'ast syn::ExprMethodCall) {
        if METHODS.iter().any(|method| expr.method == method) {
            let operands = [expr.receiver.to_token_stream(), expr.args.to_token_stream()];
            self.add(expr.method.span().start().line, &operands);
        }
        visit::visit_expr_method_call(self, expr);
    }

    fn visit_expr_match(&mut self, expr: &'ast syn::ExprMatch) {
        let compares = |arm: &syn::Arm| matches!(arm.pat, syn::Pat::Lit(_) | syn::Pat::Or(_));
        if expr.arms.iter().any(compares) {
            self.add(expr.span().start().line, &[expr.expr.to_token_stream()]);
        }
        visit::visit_expr_match(self, expr);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        if MACROS.iter().any(|name| item.path.is_ident(name)) {
            self.add(item.span().start().line, std::slice::from_ref(&item.tokens));
        }
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.to_token_stream().to_string().contains("test")
    })
}

fn identifiers(tokens: &TokenStream, found: &mut Vec<String>) {
    for token in tokens.clone() {
        match token {
            TokenTree::Group(group) => identifiers(&group.stream(), found),
            TokenTree::Ident(ident) => found.push(ident.to_string()),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// What an operand is called: `token` of `*token`, of `self.token` and of `row.token.as_deref()`.
fn last(operand: &TokenStream) -> Option<String> {
    const PLAIN: [&str; 8] =
        ["as_deref", "as_ref", "as_str", "as_bytes", "as_slice", "clone", "iter", "expose"];
    let words = operand.clone().into_iter().filter_map(|token| match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    });
    words.filter(|word| !PLAIN.contains(&word.as_str())).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<Vec<String>> {
        of(&syn::parse_file(text).unwrap()).into_iter().map(|found| found.names).collect()
    }

    #[test]
    fn comparisons_are_found_in_every_form() {
        for body in [
            "a.token == *b",
            "b != token.as_str()",
            "b.eq(&token)",
            "token.starts_with(b)",
            "b.contains(token)",
            "match token.as_str() { \"b\" => true, _ => false }",
            "matches!(token, b)",
            "[b].iter().any(|b| self.token.as_deref() == Some(b))",
        ] {
            let found = of(&syn::parse_file(&format!("fn f() -> bool {{ {body} }}")).unwrap());
            assert_eq!(found.len(), 1, "{body}");
            assert!(found[0].words.contains(&"token".to_owned()), "{body}");
        }
        assert_eq!(names("fn f() -> bool { is_equal(token, b) }"), Vec::<Vec<String>>::new());
        assert_eq!(
            names("#[cfg(test)] mod t { fn f() { token == b; } }"),
            Vec::<Vec<String>>::new()
        );
    }

    #[test]
    fn an_operand_is_called_by_its_last_word() {
        let found = names("fn f() { row.token.as_deref() == Some(&self.refresh_token); }");
        assert_eq!(found, [["token", "Some"]]);
    }
}
