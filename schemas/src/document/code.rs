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

/// A key that nothing reads.
pub static UNKNOWN_KEY: Code = Code {
    id: "MX0110",
    slug: "unknown-key",
    severity: Severity::Error,
    title: "a key that has no meaning here",
    page: r"A key that nothing reads would have no effect: a misspelt `policies:` would leave an endpoint
without any. Correct it, or move free data under `metadata:`.

```yaml
# wrong
retrun: {type: string}
```

```yaml
# right
return: {type: string}
```
",
};
/// A key that has to be there.
pub static MISSING_KEY: Code = Code {
    id: "MX0111",
    slug: "missing-key",
    severity: Severity::Error,
    title: "a required key is missing",
    page: r"Add the key. `mxcp schema endpoint` prints what belongs where.

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
",
};
/// A value of another kind than expected.
pub static WRONG_KIND: Code = Code {
    id: "MX0112",
    slug: "wrong-kind",
    severity: Severity::Error,
    title: "a value of another kind is expected here",
    page: r#"For instance a list where a map belongs. Texts that look like numbers or truth values need
quotes: `reason: "no"`.

```yaml
# wrong
tags: clinic
```

```yaml
# right
tags: [clinic]
```
"#,
};
/// A value outside the allowed ones.
pub static INVALID_VALUE: Code = Code {
    id: "MX0113",
    slug: "invalid-value",
    severity: Severity::Error,
    title: "the value is not one of those allowed here",
    page: r"The message names the values that are allowed.

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
",
};
/// Not exactly one of tool, resource, prompt.
pub static NOT_ONE_ENDPOINT: Code = Code {
    id: "MX0114",
    slug: "one-endpoint-per-file",
    severity: Severity::Error,
    title: "a file defines exactly one endpoint",
    page: r"Of `tool`, `resource` and `prompt` a file has exactly one. Give every endpoint its own file.

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
",
};
/// A name or URI that cannot be one.
pub static IDENTITY: Code = Code {
    id: "MX0115",
    slug: "invalid-name",
    severity: Severity::Error,
    title: "the endpoint's name is not valid",
    page: r"Names have 1 to 128 letters, digits, `_`, `-`, `.` and `/`.

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
",
};
/// A parameter name that cannot be one.
pub static PARAMETER_NAME: Code = Code {
    id: "MX0116",
    slug: "parameter-name",
    severity: Severity::Error,
    title: "the parameter's name is not valid",
    page: r"Names of parameters begin with a letter or `_`, then letters, digits and `_`: conditions and SQL
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
",
};
/// Two parameters of one name.
pub static DUPLICATE_PARAMETER: Code = Code {
    id: "MX0117",
    slug: "duplicate-parameter",
    severity: Severity::Error,
    title: "two parameters have the same name",
    page: r"Rename one of them. Names that differ only in upper and lower case are the same name in SQL: a
condition would look at one argument, and the statement would be given the other.

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
",
};
/// A URI template that is none, or does not match the parameters.
pub static URI_TEMPLATE: Code = Code {
    id: "MX0118",
    slug: "uri-template",
    severity: Severity::Error,
    title: "the resource's URI does not fit its parameters",
    page: r"A resource's URI is an RFC 6570 level 1 template: literal text and `{name}`. Every variable is a
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
",
};
/// Policies in both places.
pub static POLICIES_TWICE: Code = Code {
    id: "MX0119",
    slug: "policies-twice",
    severity: Severity::Error,
    title: "policies stand in two places of one file",
    page: r"`policies:` stands under the endpoint, or at the root of the file as some published examples
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
",
};
/// Neither or both of code and file.
pub static SOURCE_CHOICE: Code = Code {
    id: "MX0120",
    slug: "one-source",
    severity: Severity::Error,
    title: "`source` has exactly one of `code` and `file`",
    page: r"`code` holds the SQL itself, `file` names a file relative to the definition.

```yaml
# wrong
source: {code: SELECT 1, file: ../sql/find.sql}
```

```yaml
# right
source: {code: SELECT 1}
```
",
};
/// A version of the format that is not read.
pub static VERSION: Code = Code {
    id: "MX0121",
    slug: "unsupported-version",
    severity: Severity::Error,
    title: "the file is of a version that is not read",
    page: r"Write `mxcp: 1`.

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
",
};
/// An attribute of `user` that cannot be declared.
pub static USER_ATTRIBUTE: Code = Code {
    id: "MX0123",
    slug: "user-attribute",
    severity: Severity::Error,
    title: "an attribute of `user` cannot be declared so",
    page: r"Names begin with a letter or `_`, then letters, digits and `_`. What `user` has already keeps
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
",
};
/// A type that does not exist.
pub static UNKNOWN_TYPE: Code = Code {
    id: "MX0201",
    slug: "unknown-type",
    severity: Severity::Error,
    title: "the type or format does not exist",
    page: r"Types are `string`, `number`, `integer`, `boolean`, `array` and `object`; formats of strings are
`email`, `uri`, `date`, `time`, `date-time`, `duration` and `timestamp`.

```yaml
# wrong
return: {type: text}
```

```yaml
# right
return: {type: string}
```
",
};
/// A constraint that belongs to another type.
pub static FOREIGN_CONSTRAINT: Code = Code {
    id: "MX0202",
    slug: "foreign-constraint",
    severity: Severity::Error,
    title: "the constraint belongs to another type",
    page: r"A constraint that does not fit its type would never be checked: `minLength` on a number,
`properties` on a string.

```yaml
# wrong
return: {type: integer, minLength: 1}
```

```yaml
# right
return: {type: integer, minimum: 1}
```
",
};
/// References, unions, conditionals.
pub static UNSUPPORTED_SCHEMA: Code = Code {
    id: "MX0203",
    slug: "unsupported-schema",
    severity: Severity::Error,
    title: "this part of JSON Schema is not supported",
    page: r"There are no references (`$ref`), unions (`anyOf`, `oneOf`, type lists) and conditionals in
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
",
};
/// A default that its own type refuses.
pub static DEFAULT_VIOLATES: Code = Code {
    id: "MX0204",
    slug: "default-violates-type",
    severity: Severity::Error,
    title: "the default does not satisfy its type",
    page: r"Every call without the argument would fail. Correct the default or the type; `default: null`
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
",
};
/// An enum member that its own type refuses.
pub static ENUM_VIOLATES: Code = Code {
    id: "MX0205",
    slug: "enum-violates-type",
    severity: Severity::Error,
    title: "an `enum` member does not satisfy its type",
    page: r#"The member can never be given. Correct it or the type.

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
"#,
};
/// An example that its own type refuses.
pub static EXAMPLE_VIOLATES: Code = Code {
    id: "MX0206",
    slug: "example-violates-type",
    severity: Severity::Warning,
    title: "an example does not satisfy its type",
    page: r#"A model that follows the example is refused. Correct the example or the type.

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
"#,
};
/// A constraint that makes no sense.
pub static INVALID_CONSTRAINT: Code = Code {
    id: "MX0207",
    slug: "invalid-constraint",
    severity: Severity::Error,
    title: "the constraint cannot be satisfied or read",
    page: r"For instance a `minimum` above the `maximum`, a negative `minLength`, or a `pattern` that is no
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
",
};

#[cfg(test)]
mod tests {
    #[test]
    fn codes_are_sorted_and_unique() {
        assert!(super::CODES.is_sorted_by(|a, b| a.id < b.id));
    }
}
