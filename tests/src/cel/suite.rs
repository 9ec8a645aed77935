//! The official conformance suite, which the npm package `@bufbuild/cel-spec` carries as data, and
//! the rule by which cases are left out: those that name a protocol buffer message, enum or wrapper,
//! for conditions work on JSON-like values.

use mxcp_compiler::cel::{Declaration, Environment};
use mxcp_policy::datum::{Datum, Symbols};
use mxcp_policy::ty::Ty;
use serde_json::Value as Json;

use super::json;
use crate::{clients, workspace};

/// One test of the suite.
#[derive(Debug, Clone)]
pub struct Case {
    /// where it stands: `suite/section/name`
    pub path: String,
    /// the expression
    pub expression: String,
    /// the case as the suite writes it
    original: Json,
    /// the type that the suite's own checker prints
    printed: Option<String>,
    /// what the checker or parser of the reference implementation says, where it refuses
    refused: Option<String>,
    /// whether the reference implementation parses it
    pub parses: bool,
}

/// What a case expects.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// a value, in the suite's JSON
    Value(Json),
    /// an error of the evaluation
    Error,
    /// nothing but a type
    TypeAlone,
}

/// Reads a suite of the package: `conformance`, `checking` or `parsing`.
pub fn load(name: &str) -> Vec<Case> {
    let script = workspace::root().join("tests/clients/cel-spec/print.mjs");
    let text = workspace::output(clients::node(&script).arg(name));
    let root: Json = serde_json::from_str(&text).expect("the suite is JSON");
    let mut cases = Vec::new();
    collect(&root, "", &mut cases);
    cases
}

fn collect(suite: &Json, path: &str, cases: &mut Vec<Case>) {
    for test in suite["tests"].as_array().into_iter().flatten() {
        let original = &test["original"];
        let expression = original["expr"].as_str().unwrap_or_default().to_owned();
        let name = original["name"].as_str().unwrap_or(&expression);
        cases.push(Case {
            path: format!("{path}{name}"),
            original: original.clone(),
            // The suite's printed types know the extension `cel.block` as a function of `dyn`.
            printed: test["type"]
                .as_str()
                .filter(|_| !path.starts_with("block_ext/"))
                .map(str::to_owned),
            refused: test["error"].as_str().map(str::to_owned),
            parses: test["ast"].is_string(),
            expression,
        });
    }
    for inner in suite["suites"].as_array().into_iter().flatten() {
        let name = inner["name"].as_str().unwrap_or("?");
        collect(inner, &format!("{path}{name}/"), cases);
    }
}

impl Case {
    /// What is expected.
    pub fn expected(&self) -> Expected {
        let original = &self.original;
        let value = original.get("value").or_else(|| original["typedResult"].get("result"));
        match value {
            _ if original.get("evalError").is_some() => Expected::Error,
            Some(value) => Expected::Value(value.clone()),
            None if self.check_only() => Expected::TypeAlone,
            // The suite's way to say `true`.
            None => Expected::Value(serde_json::json!({ "boolValue": true })),
        }
    }

    /// The type that the checker has to find.
    pub fn ty(&self) -> Option<Ty> {
        let deduced = &self.original["typedResult"]["deducedType"];
        if deduced.is_object() {
            return Some(json::ty(deduced, &mut Vec::new()));
        }
        self.printed.as_deref().map(json::printed_ty)
    }

    /// Whether types are not to be checked.
    pub fn disable_check(&self) -> bool {
        self.original["disableCheck"].as_bool() == Some(true)
    }

    /// Whether the reference implementation refuses it with these words.
    pub fn says(&self, words: &str) -> bool {
        self.refused.as_deref().is_some_and(|said| said.contains(words))
    }

    /// Whether there is nothing to evaluate.
    pub fn check_only(&self) -> bool {
        self.original["checkOnly"].as_bool() == Some(true)
    }

    /// What the expression sees: the declared variables in order, then those that only have values.
    pub fn environment(&self) -> Environment {
        let mut environment = Environment {
            container: self.original["container"].as_str().unwrap_or_default().to_owned(),
            ..Environment::default()
        };
        for declared in self.original["typeEnv"].as_array().into_iter().flatten() {
            let name = declared["name"].as_str().expect("a declaration has a name").to_owned();
            if let Some(ty) = declared["ident"].get("type") {
                // A variable of a type parameter may be anything.
                let ty = match json::ty(ty, &mut Vec::new()) {
                    Ty::Var(_) => Ty::Dyn,
                    ty => ty,
                };
                environment.params.push((name, ty));
                continue;
            }
            for overload in declared["function"]["overloads"].as_array().into_iter().flatten() {
                let mut names = Vec::new();
                let params = overload["params"].as_array().map_or(&[][..], Vec::as_slice);
                environment.functions.push(Declaration {
                    name: name.clone(),
                    member: overload["isInstanceFunction"].as_bool() == Some(true),
                    params: params.iter().map(|ty| json::ty(ty, &mut names)).collect(),
                    result: json::ty(&overload["resultType"], &mut names),
                });
            }
        }
        for name in self.bindings().map(|(name, _)| name) {
            if !environment.params.iter().any(|(known, _)| known == name) {
                environment.params.push((name.clone(), Ty::Dyn));
            }
        }
        environment
    }

    /// The environment with the variables and functions that the reference implementation's own tests
    /// of the checker take for granted.
    pub fn reference_environment(&self) -> Environment {
        let mut environment = self.environment();
        let variables = [
            ("is", Ty::String),
            ("ii", Ty::Int),
            ("iu", Ty::Uint),
            ("iz", Ty::Bool),
            ("ib", Ty::Bytes),
            ("id", Ty::Double),
            ("ix", Ty::Null),
        ];
        environment.params.extend(variables.map(|(name, ty)| (name.to_owned(), ty)));
        for (name, member, params) in [("fg_s", false, vec![]), ("fi_s_s", true, vec![Ty::String])]
        {
            let name = name.to_owned();
            environment.functions.push(Declaration { name, member, params, result: Ty::String });
        }
        environment
    }

    /// The values of the variables, in the order of the environment; a variable without one errs.
    pub fn params(&self, environment: &Environment, symbols: &Symbols) -> Vec<Datum> {
        let value = |name: &str| {
            let bound = self.bindings().find(|(bound, _)| *bound == name);
            bound.map_or_else(
                || Datum::Error(format!("`{name}` has no value").into()),
                |(_, value)| json::datum(&value["value"], symbols),
            )
        };
        environment.params.iter().map(|(name, _)| value(name)).collect()
    }

    fn bindings(&self) -> impl Iterator<Item = (&String, &Json)> {
        self.original["bindings"].as_object().into_iter().flatten()
    }

    /// Why the case is left out, if it is.
    pub fn excluded(&self) -> Option<&'static str> {
        let original = &self.original;
        let container = original["container"].as_str().unwrap_or_default();
        if container.starts_with("cel.expr") || container.starts_with("google.protobuf") {
            return Some("its container is a package of messages");
        }
        if names_message(&self.expression) {
            return Some("the expression names a message, enum or wrapper");
        }
        let parts = ["typeEnv", "bindings", "value", "typedResult"];
        let declared = parts.iter().any(|part| holds_message(&original[*part]));
        declared.then_some("a variable or the result is a message, enum or wrapper")
    }
}

/// The names of messages that are values of CEL.
const VALUES: [&str; 2] = ["Duration", "Timestamp"];

/// Whether an expression holds a name that begins with a capital letter outside of its texts: only
/// messages and enums are named so.
fn names_message(expression: &str) -> bool {
    let bytes = expression.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => at = behind_text(bytes, at, false),
            b'`' => at += 1 + bytes[at + 1..].iter().take_while(|b| **b != b'`').count() + 1,
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += bytes[at..].iter().take_while(|b| **b != b'\n').count();
            }
            b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                let word = |b: &&u8| **b == b'_' || b.is_ascii_alphanumeric();
                let end = at + bytes[at..].iter().take_while(word).count();
                if matches!(bytes.get(end), Some(b'"' | b'\'')) {
                    let raw = bytes[at..end].iter().any(|b| b.eq_ignore_ascii_case(&b'r'));
                    at = behind_text(bytes, end, raw);
                    continue;
                }
                if byte.is_ascii_uppercase() && !VALUES.contains(&&expression[at..end]) {
                    return true;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    false
}

/// The place behind a text that begins at `at` with its quotes.
fn behind_text(bytes: &[u8], at: usize, raw: bool) -> usize {
    let triple = bytes[at..].starts_with(b"\"\"\"") || bytes[at..].starts_with(b"'''");
    let mark = &bytes[at..at + if triple { 3 } else { 1 }];
    let mut at = at + mark.len();
    while at < bytes.len() && !bytes[at..].starts_with(mark) {
        at += if bytes[at] == b'\\' && !raw { 2 } else { 1 };
    }
    at + mark.len()
}

fn holds_message(part: &Json) -> bool {
    match part {
        Json::Object(fields) => fields.iter().any(|(name, content)| match name.as_str() {
            "wrapper" | "enumValue" => true,
            "messageType" => !is_value_name(content),
            "objectValue" => !is_value_name(&content["@type"]),
            "wellKnown" => content == "ANY",
            _ => holds_message(content),
        }),
        Json::Array(items) => items.iter().any(holds_message),
        _ => false,
    }
}

fn is_value_name(name: &Json) -> bool {
    let last = name.as_str().and_then(|name| name.rsplit('.').next());
    last.is_some_and(|last| VALUES.contains(&last))
}
