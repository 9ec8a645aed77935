//! Values that stand in a declaration, against the type that it declares.

use serde_json::Value as Json;

use super::{Type, TypeName};
use crate::diagnostic::Code;
use crate::document::Spanned;
use crate::document::code::{DEFAULT_VIOLATES, ENUM_VIOLATES, EXAMPLE_VIOLATES};
use crate::document::lift::Lift;

/// Checks the members of `enum`, the default and the examples.
pub(super) fn check(lift: &mut Lift<'_>, ty: &Type) {
    let bare = Type { choices: Vec::new(), ..ty.clone() };
    for choice in &ty.choices {
        if let Err(violation) = bare.accepts(&choice.value) {
            let message = format!("this `enum` member {violation}");
            violated(lift, ty, &ENUM_VIOLATES, choice, message);
        }
    }
    if let Some(default) = ty.default.as_ref().filter(|d| !d.value.is_null())
        && let Err(violation) = ty.accepts(&default.value)
    {
        violated(lift, ty, &DEFAULT_VIOLATES, default, format!("the default {violation}"));
    }
    for example in &ty.examples {
        if let Err(violation) = ty.accepts(&example.value) {
            let message = match violation.path.as_str() {
                "" => format!("this example {}", violation.rule),
                path => format!("in this example `{path}` {}", violation.rule),
            };
            violated(lift, ty, &EXAMPLE_VIOLATES, example, message);
        }
    }
}

/// Reports a value that its type refuses. Of a text without quotes YAML may have made something else.
fn violated(
    lift: &mut Lift<'_>,
    ty: &Type,
    code: &'static Code,
    value: &Spanned<Json>,
    message: String,
) {
    let meant_as_text = ty.name.value == TypeName::String
        && matches!(value.value, Json::Bool(_) | Json::Number(_) | Json::Null);
    let fix = meant_as_text.then(|| lift.quoted(value.span));
    let finding = lift.report(code, value.span, message);
    if fix.is_some() {
        finding.help.push("put the value in quotes".to_owned());
    }
    finding.fix = fix;
}
