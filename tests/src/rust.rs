//! What `tidy` wants to know about a Rust source file.

mod comparison;
mod words;

use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

pub use comparison::Comparison;

/// A parsed source file.
pub struct Source {
    /// path relative to the root of the repository
    pub path: PathBuf,
    /// the whole text
    pub text: String,
    syntax: syn::File,
}

/// A function and where it is.
pub struct Function {
    /// its name
    pub name: String,
    /// line of its signature, from 1
    pub line: usize,
    /// lines from the signature to the closing brace
    pub lines: usize,
}

/// A static list whose elements are paths, such as `&[&deny::ACTION, &mask::ACTION]`.
pub struct Registry {
    /// its name
    pub name: String,
    /// the elements, as written
    pub entries: Vec<String>,
}

impl Source {
    /// Parses `text`; a file that does not parse is a failure.
    pub fn parse(path: &Path, text: String) -> Self {
        let syntax = syn::parse_file(&text)
            .unwrap_or_else(|error| panic!("`{}` does not parse: {error}", path.display()));
        Self { path: path.to_owned(), text, syntax }
    }

    /// Whether the file opens with a `//!` comment that says something.
    pub fn has_module_doc(&self) -> bool {
        let first = self.text.lines().find(|line| !line.trim().is_empty());
        first.is_some_and(|line| line.strip_prefix("//!").is_some_and(|doc| doc.trim().len() > 10))
    }

    /// All functions and methods, nested ones included.
    pub fn functions(&self) -> Vec<Function> {
        let mut visitor = Functions(Vec::new());
        visitor.visit_file(&self.syntax);
        visitor.0
    }

    /// The files that the `mod name;` items of this file stand for.
    pub fn child_modules(&self, is_root: bool) -> Vec<PathBuf> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let stem = self.path.file_stem().unwrap_or_default();
        let base = if is_root { folder.to_owned() } else { folder.join(stem) };
        let mut found = Vec::new();
        children(&self.syntax.items, &base, &mut found);
        found
    }

    /// The lines where the word stands as a token: not in a comment, not in a string.
    pub fn lines_with_token(&self, word: &str) -> Vec<usize> {
        let tokens: TokenStream = self.text.parse().expect("a file that parses has tokens");
        let mut lines = Vec::new();
        find_token(tokens, word, &mut lines);
        lines
    }

    /// What is compared outside of tests, wherever the comparison may stop at a difference.
    pub fn comparisons(&self) -> Vec<Comparison> {
        comparison::of(&self.syntax)
    }

    /// The traits that a type of this file derives, and the bodies of those that it implements.
    pub fn traits_of(&self, name: &str) -> (Vec<String>, Vec<(String, String)>) {
        let (mut derived, mut written) = (Vec::new(), Vec::new());
        for item in &self.syntax.items {
            match item {
                syn::Item::Struct(item) if item.ident == name => {
                    for attribute in item.attrs.iter().filter(|a| a.path().is_ident("derive")) {
                        let _ = attribute.parse_nested_meta(|meta| {
                            derived.push(meta.path.to_token_stream().to_string());
                            Ok(())
                        });
                    }
                }
                syn::Item::Impl(item) => {
                    let Some((of, _)) = &item.trait_ else { continue };
                    let own = item.self_ty.to_token_stream().to_string();
                    if own.split(' ').next() == Some(name) {
                        let body: TokenStream =
                            item.items.iter().map(ToTokens::to_token_stream).collect();
                        written.push((of.to_token_stream().to_string(), body.to_string()));
                    }
                }
                _ => {}
            }
        }
        (derived, written)
    }

    /// The texts of more than one word, outside of tests and attributes.
    pub fn sentences(&self) -> Vec<String> {
        words::of(&self.text)
    }

    /// The lists of paths to registered things.
    pub fn registries(&self) -> Vec<Registry> {
        self.syntax.items.iter().filter_map(registry).collect()
    }
}

struct Functions(Vec<Function>);

impl Functions {
    fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let line = signature.span().start().line;
        let lines = block.brace_token.span.close().end().line + 1 - line;
        self.0.push(Function { name: signature.ident.to_string(), line, lines });
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

fn children(items: &[syn::Item], base: &Path, found: &mut Vec<PathBuf>) {
    for item in items {
        let syn::Item::Mod(module) = item else { continue };
        let name = module.ident.to_string();
        match &module.content {
            Some((_, items)) => children(items, &base.join(name), found),
            None => found.push(base.join(format!("{name}.rs"))),
        }
    }
}

fn find_token(tokens: TokenStream, word: &str, lines: &mut Vec<usize>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => find_token(group.stream(), word, lines),
            TokenTree::Ident(ident) if ident == word => lines.push(ident.span().start().line),
            _ => {}
        }
    }
}

/// The list in `static NAME: … = &[&a::X, &b::X]`, where each element is a path through a module.
fn registry(item: &syn::Item) -> Option<Registry> {
    let (name, value) = match item {
        syn::Item::Static(item) => (&item.ident, &*item.expr),
        syn::Item::Const(item) => (&item.ident, &*item.expr),
        _ => return None,
    };
    let syn::Expr::Reference(reference) = value else { return None };
    let syn::Expr::Array(array) = &*reference.expr else { return None };
    let entries = array.elems.iter().map(module_path).collect::<Option<Vec<_>>>()?;
    (!entries.is_empty()).then(|| Registry { name: name.to_string(), entries })
}

fn module_path(element: &syn::Expr) -> Option<String> {
    let element =
        if let syn::Expr::Reference(reference) = element { &*reference.expr } else { element };
    let syn::Expr::Path(path) = element else { return None };
    let segments: Vec<_> =
        path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    (segments.len() > 1).then(|| segments.join("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Source {
        Source::parse(Path::new("a/b.rs"), text.to_owned())
    }

    #[test]
    fn functions_are_measured_wherever_they_are() {
        let source = parse(
            "fn a() {\n    fn b() {}\n}\nimpl X {\n    fn c(\n    ) {\n    }\n}\ntrait T { fn d(); }\n",
        );
        let found: Vec<_> =
            source.functions().into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(found, [("a".to_owned(), 1, 3), ("b".to_owned(), 2, 1), ("c".to_owned(), 5, 3)]);
    }

    #[test]
    fn tokens_are_not_words_in_comments_or_strings() {
        let source = parse("// unsafe\nconst A: &str = \"unsafe\";\nmac! {\n    unsafe {}\n}\n");
        assert_eq!(source.lines_with_token("unsafe"), [4]);
    }

    #[test]
    fn modules_are_found_beside_a_root_and_below_any_other_file() {
        let source = parse("mod x;\nmod y {\n    mod z;\n}\n");
        assert_eq!(source.child_modules(true), [Path::new("a/x.rs"), Path::new("a/y/z.rs")]);
        assert_eq!(source.child_modules(false), [Path::new("a/b/x.rs"), Path::new("a/b/y/z.rs")]);
    }

    #[test]
    fn a_registry_is_a_list_of_paths_through_modules() {
        let source = parse(
            "static A: &[&X] = &[&b::X, &a::X];\nstatic B: &[&X] = &[&X, &Y];\nconst C: u8 = 1;\n",
        );
        let found: Vec<_> = source.registries().into_iter().map(|r| (r.name, r.entries)).collect();
        assert_eq!(found, [("A".to_owned(), vec!["b::X".to_owned(), "a::X".to_owned()])]);
    }

    #[test]
    fn a_module_doc_says_something() {
        assert!(parse("//! What this module is for.\n").has_module_doc());
        assert!(!parse("//! X.\n").has_module_doc());
        assert!(
            !parse("fn a() {}\n//! What this module is for.\n".split('\n').next().unwrap())
                .has_module_doc()
        );
    }
}
