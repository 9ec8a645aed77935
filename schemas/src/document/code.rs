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
    &USER_ATTRIBUTE,
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
    r"A key that nothing reads would have no effect: a misspelt `policies:` would leave an endpoint
without any. Correct it, or move free data under `metadata:`.

```yaml
# wrong
retrun: {type: string}
```

```yaml
# right
return: {type: string}
```
"
);
code!(
    /// A key that has to be there.
    MISSING_KEY, "MX0111", "missing-key", Error, "a required key is missing",
    r"Add the key. `mxcp schema endpoint` prints what belongs where.

```yaml
# wrong
tool:
  source: {code: SELECT 1}
```

```yaml
# right
tool:
  name: find
  source: {code: SELECT 1}
```
"
);
code!(
    /// A value of another kind than expected.
    WRONG_KIND, "MX0112", "wrong-kind", Error, "a value of another kind is expected here",
    r#"For instance a list where a map belongs. Texts that look like numbers or truth values need
quotes: `reason: "no"`.

```yaml
# wrong
tags: clinic
```

```yaml
# right
tags: [clinic]
```
"#
);
code!(
    /// A value outside the allowed ones.
    INVALID_VALUE, "MX0113", "invalid-value", Error, "the value is not one of those allowed here",
    r"The message names the values that are allowed.

```yaml
# wrong
prompt:
  name: greet
  messages: [{prompt: Hello, role: system}]
```

```yaml
# right
prompt:
  name: greet
  messages: [{prompt: Hello, role: user}]
```
"
);
code!(
    /// Not exactly one of tool, resource, prompt.
    NOT_ONE_ENDPOINT, "MX0114", "one-endpoint-per-file", Error, "a file defines exactly one endpoint",
    r"Of `tool`, `resource` and `prompt` a file has exactly one. Give every endpoint its own file.

```yaml
# wrong
tool:
  name: find
  source: {code: SELECT 1}
prompt:
  name: greet
  messages: [{prompt: Hello}]
```

```yaml
# right
tool:
  name: find
  source: {code: SELECT 1}
```
"
);
code!(
    /// A name or URI that cannot be one.
    IDENTITY, "MX0115", "invalid-name", Error, "the endpoint's name is not valid",
    r"Names have 1 to 128 letters, digits, `_`, `-`, `.` and `/`.

```yaml
# wrong
tool:
  name: find patients
  source: {code: SELECT 1}
```

```yaml
# right
tool:
  name: find_patients
  source: {code: SELECT 1}
```
"
);
code!(
    /// A parameter name that cannot be one.
    PARAMETER_NAME, "MX0116", "parameter-name", Error, "the parameter's name is not valid",
    r"Names of parameters begin with a letter or `_`, then letters, digits and `_`: conditions and SQL
use them as they stand.

```yaml
# wrong
parameters:
  - {name: patient-id, type: string}
```

```yaml
# right
parameters:
  - {name: patient_id, type: string}
```
"
);
code!(
    /// Two parameters of one name.
    DUPLICATE_PARAMETER, "MX0117", "duplicate-parameter", Error, "two parameters have the same name",
    r"Rename one of them.

```yaml
# wrong
parameters:
  - {name: id, type: string}
  - {name: id, type: integer}
```

```yaml
# right
parameters:
  - {name: id, type: string}
  - {name: number, type: integer}
```
"
);
code!(
    /// A URI template that is none, or does not match the parameters.
    URI_TEMPLATE, "MX0118", "uri-template", Error, "the resource's URI does not fit its parameters",
    r"A resource's URI is an RFC 6570 level 1 template: literal text and `{name}`. Every variable is a
declared parameter, and every parameter is a variable of the URI.

```yaml
# wrong
resource:
  uri: clinic://patients/{id}
  source: {code: SELECT 1}
```

```yaml
# right
resource:
  uri: clinic://patients/{id}
  parameters: [{name: id, type: string}]
  source: {code: SELECT $id}
```
"
);
code!(
    /// Policies in both places.
    POLICIES_TWICE, "MX0119", "policies-twice", Error, "policies stand in two places of one file",
    r"`policies:` stands under the endpoint, or at the root of the file as some published examples
have it, but not in both places: it would be unclear which counts. Move all under the endpoint.

```yaml
# wrong
tool:
  name: find
  source: {code: SELECT 1}
  policies: {input: []}
policies: {output: []}
```

```yaml
# right
tool:
  name: find
  source: {code: SELECT 1}
  policies: {input: [], output: []}
```
"
);
code!(
    /// Neither or both of code and file.
    SOURCE_CHOICE, "MX0120", "one-source", Error, "`source` has exactly one of `code` and `file`",
    r"`code` holds the SQL itself, `file` names a file relative to the definition.

```yaml
# wrong
source: {code: SELECT 1, file: ../sql/find.sql}
```

```yaml
# right
source: {code: SELECT 1}
```
"
);
code!(
    /// A version of the format that is not read.
    VERSION, "MX0121", "unsupported-version", Error, "the file is of a version that is not read",
    r"Write `mxcp: 1`.

```yaml
# wrong
mxcp: 2
tool:
  name: find
  source: {code: SELECT 1}
```

```yaml
# right
mxcp: 1
tool:
  name: find
  source: {code: SELECT 1}
```
"
);
code!(
    /// An attribute of `user` that cannot be declared.
    USER_ATTRIBUTE, "MX0123", "user-attribute", Error, "an attribute of `user` cannot be declared so",
    r"Names begin with a letter or `_`, then letters, digits and `_`. What `user` has already keeps
its meaning, so `role` or `permissions` cannot be declared again: another claim gets another
name.

```yaml
# wrong
# mxcp-site.yml
project: clinic
profile: dev
policy:
  user_attributes:
    role: {type: string, claim: clinic_role}
```

```yaml
# right
# mxcp-site.yml
project: clinic
profile: dev
policy:
  user_attributes:
    clinic_role: {type: string}
```
"
);
code!(
    /// A type that does not exist.
    UNKNOWN_TYPE, "MX0201", "unknown-type", Error, "the type or format does not exist",
    r"Types are `string`, `number`, `integer`, `boolean`, `array` and `object`; formats of strings are
`email`, `uri`, `date`, `time`, `date-time`, `duration` and `timestamp`.

```yaml
# wrong
return: {type: text}
```

```yaml
# right
return: {type: string}
```
"
);
code!(
    /// A constraint that belongs to another type.
    FOREIGN_CONSTRAINT, "MX0202", "foreign-constraint", Error, "the constraint belongs to another type",
    r"A constraint that does not fit its type would never be checked: `minLength` on a number,
`properties` on a string.

```yaml
# wrong
return: {type: integer, minLength: 1}
```

```yaml
# right
return: {type: integer, minimum: 1}
```
"
);
code!(
    /// References, unions, conditionals.
    UNSUPPORTED_SCHEMA, "MX0203", "unsupported-schema", Error, "this part of JSON Schema is not supported",
    r"There are no references (`$ref`), unions (`anyOf`, `oneOf`, type lists) and conditionals in
declared types: every value has one type, which conditions and SQL rely on.

```yaml
# wrong
return:
  type: object
  properties:
    id: {type: [string, integer]}
```

```yaml
# right
return:
  type: object
  properties:
    id: {type: string}
```
"
);
code!(
    /// A default that its own type refuses.
    DEFAULT_VIOLATES, "MX0204", "default-violates-type", Error, "the default does not satisfy its type",
    r"Every call without the argument would fail. Correct the default or the type; `default: null`
makes a parameter optional.

```yaml
# wrong
parameters:
  - {name: limit, type: integer, minimum: 1, default: 0}
```

```yaml
# right
parameters:
  - {name: limit, type: integer, minimum: 1, default: 10}
```
"
);
code!(
    /// An enum member that its own type refuses.
    ENUM_VIOLATES, "MX0205", "enum-violates-type", Error, "an `enum` member does not satisfy its type",
    r#"The member can never be given. Correct it or the type.

```yaml
# wrong
parameters:
  - {name: ward, type: string, enum: [north, 2]}
```

```yaml
# right
parameters:
  - {name: ward, type: string, enum: [north, "2"]}
```
"#
);
code!(
    /// An example that its own type refuses.
    EXAMPLE_VIOLATES, "MX0206", "example-violates-type", Warning, "an example does not satisfy its type",
    r#"A model that follows the example is refused. Correct the example or the type.

```yaml
# wrong
parameters:
  - {name: day, type: string, format: date, examples: [today]}
```

```yaml
# right
parameters:
  - {name: day, type: string, format: date, examples: ["2024-01-31"]}
```
"#
);
code!(
    /// A constraint that makes no sense.
    INVALID_CONSTRAINT, "MX0207", "invalid-constraint", Error, "the constraint cannot be satisfied or read",
    r"For instance a `minimum` above the `maximum`, a negative `minLength`, or a `pattern` that is no
regular expression of linear time (no look-around, no back-references).

```yaml
# wrong
parameters:
  - {name: limit, type: integer, minimum: 10, maximum: 1}
```

```yaml
# right
parameters:
  - {name: limit, type: integer, minimum: 1, maximum: 10}
```
"
);

#[cfg(test)]
mod tests {
    #[test]
    fn codes_are_sorted_and_unique() {
        assert!(super::CODES.is_sorted_by(|a, b| a.id < b.id));
    }
}
