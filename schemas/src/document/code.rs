//! The codes of documents: shape (MX011x) and declared types (MX02xx).

use crate::diagnostic::{Code, Severity};

/// All codes of this area, sorted.
pub static CODES: &[&Code] = &[
    &UNKNOWN_KEY,
    &MISSING_KEY,
    &WRONG_KIND,
    &INVALID_VALUE,
    &NOT_ONE_ENDPOINT,
    &IDENTITY,
    &PARAMETER_NAME,
    &DUPLICATE_PARAMETER,
    &URI_TEMPLATE,
    &POLICIES_TWICE,
    &SOURCE_CHOICE,
    &VERSION,
    &UNKNOWN_TYPE,
    &FOREIGN_CONSTRAINT,
    &UNSUPPORTED_SCHEMA,
    &DEFAULT_VIOLATES,
    &ENUM_VIOLATES,
    &EXAMPLE_VIOLATES,
    &INVALID_CONSTRAINT,
];

macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $id:literal, $slug:literal, $severity:ident, $title:literal, $page:literal) => {
        $(#[$doc])*
        pub static $name: Code = Code {
            id: $id,
            slug: $slug,
            severity: Severity::$severity,
            title: $title,
            page: $page,
        };
    };
}

code!(
    /// A key that nothing reads.
    UNKNOWN_KEY, "MX0110", "unknown-key", Error, "a key that has no meaning here",
    "A key that nothing reads would have no effect: a misspelt `policies:` would leave an endpoint \
     without any. Correct it, or move free data under `metadata:`.\n"
);
code!(
    /// A key that has to be there.
    MISSING_KEY, "MX0111", "missing-key", Error, "a required key is missing",
    "Add the key. `mxcp schema endpoint` prints what belongs where.\n"
);
code!(
    /// A value of another kind than expected.
    WRONG_KIND, "MX0112", "wrong-kind", Error, "a value of another kind is expected here",
    "For instance a list where a map belongs. Texts that look like numbers or truth values need \
     quotes: `reason: \"no\"`.\n"
);
code!(
    /// A value outside the allowed ones.
    INVALID_VALUE, "MX0113", "invalid-value", Error, "the value is not one of those allowed here",
    "The message names the values that are allowed.\n"
);
code!(
    /// Not exactly one of tool, resource, prompt.
    NOT_ONE_ENDPOINT, "MX0114", "one-endpoint-per-file", Error, "a file defines exactly one endpoint",
    "Of `tool`, `resource` and `prompt` a file has exactly one. Give every endpoint its own file.\n"
);
code!(
    /// A name or URI that cannot be one.
    IDENTITY, "MX0115", "invalid-name", Error, "the endpoint's name is not valid",
    "Names have 1 to 128 letters, digits, `_`, `-`, `.` and `/`.\n"
);
code!(
    /// A parameter name that cannot be one.
    PARAMETER_NAME, "MX0116", "parameter-name", Error, "the parameter's name is not valid",
    "Names of parameters begin with a letter or `_`, then letters, digits and `_`: conditions and SQL \
     use them as they stand.\n"
);
code!(
    /// Two parameters of one name.
    DUPLICATE_PARAMETER, "MX0117", "duplicate-parameter", Error, "two parameters have the same name",
    "Rename one of them.\n"
);
code!(
    /// A URI template that is none, or does not match the parameters.
    URI_TEMPLATE, "MX0118", "uri-template", Error, "the resource's URI does not fit its parameters",
    "A resource's URI is an RFC 6570 level 1 template: literal text and `{name}`. Every variable is a \
     declared parameter, and every parameter is a variable of the URI.\n\n```yaml\nresource:\n  uri: \
     clinic://patients/{patient_id}\n  parameters:\n    - name: patient_id\n      type: string\n```\n"
);
code!(
    /// Policies in both places.
    POLICIES_TWICE, "MX0119", "policies-twice", Error, "policies stand in two places of one file",
    "`policies:` stands under the endpoint, or at the root of the file as some published examples have \
     it, but not in both places: it would be unclear which counts. Move all under the endpoint.\n"
);
code!(
    /// Neither or both of code and file.
    SOURCE_CHOICE, "MX0120", "one-source", Error, "`source` has exactly one of `code` and `file`",
    "`code` holds the SQL itself, `file` names a file relative to the definition.\n"
);
code!(
    /// A version of the format that is not read.
    VERSION, "MX0121", "unsupported-version", Error, "the file is of a version that is not read",
    "Write `mxcp: 1`.\n"
);
code!(
    /// A type that does not exist.
    UNKNOWN_TYPE, "MX0201", "unknown-type", Error, "the type or format does not exist",
    "Types are `string`, `number`, `integer`, `boolean`, `array` and `object`; formats of strings are \
     `email`, `uri`, `date`, `time`, `date-time`, `duration` and `timestamp`.\n"
);
code!(
    /// A constraint that belongs to another type.
    FOREIGN_CONSTRAINT, "MX0202", "foreign-constraint", Error, "the constraint belongs to another type",
    "A constraint that does not fit its type would never be checked: `minLength` on a number, \
     `properties` on a string.\n"
);
code!(
    /// References, unions, conditionals.
    UNSUPPORTED_SCHEMA, "MX0203", "unsupported-schema", Error, "this part of JSON Schema is not supported",
    "There are no references (`$ref`), unions (`anyOf`, `oneOf`, type lists) and conditionals in \
     declared types: every value has one type, which conditions and SQL rely on.\n"
);
code!(
    /// A default that its own type refuses.
    DEFAULT_VIOLATES, "MX0204", "default-violates-type", Error, "the default does not satisfy its type",
    "Every call without the argument would fail. Correct the default or the type; `default: null` makes \
     a parameter optional.\n"
);
code!(
    /// An enum member that its own type refuses.
    ENUM_VIOLATES, "MX0205", "enum-violates-type", Error, "an `enum` member does not satisfy its type",
    "The member can never be given. Correct it or the type.\n"
);
code!(
    /// An example that its own type refuses.
    EXAMPLE_VIOLATES, "MX0206", "example-violates-type", Warning, "an example does not satisfy its type",
    "A model that follows the example is refused. Correct the example or the type.\n"
);
code!(
    /// A constraint that makes no sense.
    INVALID_CONSTRAINT, "MX0207", "invalid-constraint", Error, "the constraint cannot be satisfied or read",
    "For instance a `minimum` above the `maximum`, a negative `minLength`, or a `pattern` that is no \
     regular expression of linear time (no look-around, no back-references).\n"
);

#[cfg(test)]
mod tests {
    #[test]
    fn codes_are_sorted_and_unique() {
        assert!(super::CODES.is_sorted_by(|a, b| a.id < b.id));
    }
}
