//! The texts in a source file that people may get to read.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The literals of two words and more; not those of attributes, which comments are, too, nor those of
/// test modules.
pub(super) fn of(text: &str) -> Vec<String> {
    let tokens: TokenStream = text.parse().expect("a file that parses has tokens");
    let mut found = Vec::new();
    collect(tokens, &mut found);
    found
}

fn collect(tokens: TokenStream, found: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    let mut is_test = false;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                tokens.next_if(|next| matches!(next, TokenTree::Punct(p) if p.as_char() == '!'));
                let attribute = tokens.next_if(|next| {
                    matches!(next, TokenTree::Group(g) if g.delimiter() == Delimiter::Bracket)
                });
                is_test |=
                    attribute.is_some_and(|a| a.to_string().replace(' ', "") == "[cfg(test)]");
            }
            TokenTree::Group(group) => {
                if !(is_test && group.delimiter() == Delimiter::Brace) {
                    collect(group.stream(), found);
                }
                is_test = false;
            }
            TokenTree::Literal(literal) => {
                if let Ok(syn::Lit::Str(text)) = syn::parse_str(&literal.to_string()) {
                    found.extend(Some(text.value()).filter(|text| is_sentence(text)));
                }
            }
            TokenTree::Punct(mark) if mark.as_char() == ';' => is_test = false,
            _ => {}
        }
    }
}

/// Whether there are two words, what is filled in aside.
fn is_sentence(text: &str) -> bool {
    let letters = |word: &str| word.chars().filter(|c| c.is_alphabetic()).count();
    text.split(' ').filter(|word| !word.contains('{') && letters(word) > 1).count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_found_outside_of_tests_and_comments() {
        let text = "//! of this file\n/// and this\nfn a() { b(\"two words\", \"one\", format!(\"is {c} so\"));\n}\n\
            #[cfg(test)]\nmod tests { const A: &str = \"not this\"; }\nconst D: &str = \"a \\\n  line that goes on\";";
        assert_eq!(of(text), ["two words", "is {c} so", "a line that goes on"]);
    }
}
