//! The codes of policies, apart from those of their conditions.

use mxcp_schemas::diagnostic::{Code, Severity};

/// All codes of this area, sorted.
pub static CODES: &[&Code] = &[
    &UNKNOWN_ACTION,
    &NOT_ON_INPUT,
    &MISSING_FIELDS,
    &FIELDS_ON_OTHER,
    &BAD_PATH,
    &IMPOSSIBLE_PATH,
    &UNDECLARED_PATH,
    &NOTHING_SENSITIVE,
    &TOO_MANY_STATES,
];

pub(super) static UNKNOWN_ACTION: Code = Code {
    id: "MX0401",
    slug: "unknown-action",
    severity: Severity::Error,
    title: "the action does not exist",
    page: r"Actions are `deny`, `filter_fields`, `mask_fields` and `filter_sensitive_fields`.

```yaml
# wrong
- condition: user.role == 'guest'
  action: refuse
  reason: Guests cannot
```

```yaml
# right
- condition: user.role == 'guest'
  action: deny
  reason: Guests cannot
```
",
};
pub(super) static NOT_ON_INPUT: Code = Code {
    id: "MX0402",
    slug: "output-action-on-input",
    severity: Severity::Error,
    title: "an action that changes results stands among input policies",
    page: r"Before execution there is no result to change, so the policy would do nothing. Move it under
`output:`.

```yaml
# wrong
policies:
  input:
    - {condition: user.role != 'hr', action: filter_fields, fields: [salary]}
```

```yaml
# right
policies:
  output:
    - {condition: user.role != 'hr', action: filter_fields, fields: [salary]}
```
",
};
pub(super) static MISSING_FIELDS: Code = Code {
    id: "MX0403",
    slug: "missing-fields",
    severity: Severity::Error,
    title: "a field action names no fields",
    page: r"`filter_fields` and `mask_fields` without `fields` would change nothing.

```yaml
# wrong
policies:
  output:
    - {condition: user.role != 'hr', action: filter_fields}
```

```yaml
# right
policies:
  output:
    - {condition: user.role != 'hr', action: filter_fields, fields: [salary]}
```
",
};
pub(super) static FIELDS_ON_OTHER: Code = Code {
    id: "MX0404",
    slug: "unexpected-fields",
    severity: Severity::Error,
    title: "the action takes no fields",
    page: r"`deny` refuses the whole call and `filter_sensitive_fields` removes what `return` marks
sensitive; neither reads `fields`.

```yaml
# wrong
policies:
  output:
    - {condition: user.role != 'hr', action: deny, reason: Personnel alone, fields: [salary]}
```

```yaml
# right
policies:
  output:
    - {condition: user.role != 'hr', action: filter_fields, fields: [salary]}
```
",
};
pub(super) static BAD_PATH: Code = Code {
    id: "MX0405",
    slug: "field-path",
    severity: Severity::Error,
    title: "an entry of `fields` is no field path",
    page: r"Paths are `name`, `address.street`, `orders[].card.number`, `*.ssn` (one level) and `**.ssn`
(any depth).

```yaml
# wrong
policies:
  output:
    - {condition: user.role != 'hr', action: filter_fields, fields: [address..street]}
```

```yaml
# right
policies:
  output:
    - {condition: user.role != 'hr', action: filter_fields, fields: [salary]}
```
",
};
pub(super) static IMPOSSIBLE_PATH: Code = Code {
    id: "MX0406",
    slug: "impossible-field-path",
    severity: Severity::Error,
    title: "a field path cannot exist in any result",
    page: r"`return` says that the object there has no other fields, or that the value is no object. A
misspelt field would leave the one that was meant untouched.

```yaml
# wrong
return:
  type: object
  additionalProperties: false
  properties: {salary: {type: number}}
policies:
  output:
    - {condition: user.role != 'hr', action: filter_fields, fields: [sallary]}
```

```yaml
# right
return:
  type: object
  additionalProperties: false
  properties: {salary: {type: number}}
policies:
  output:
    - {condition: user.role != 'hr', action: filter_fields, fields: [salary]}
```
",
};
pub(super) static UNDECLARED_PATH: Code = Code {
    id: "MX0407",
    slug: "undeclared-field-path",
    severity: Severity::Warning,
    title: "a field path names a field that `return` does not declare",
    page: r"Results may have fields that `return` does not declare, so the policy is built. If the name is
misspelt, the field that was meant is not removed.

```yaml
# wrong
policies:
  output:
    - {condition: user.role != 'hr', action: filter_fields, fields: [sallary]}
```

```yaml
# right
policies:
  output:
    - {condition: user.role != 'hr', action: filter_fields, fields: [salary]}
```
",
};
pub(super) static NOTHING_SENSITIVE: Code = Code {
    id: "MX0408",
    slug: "nothing-sensitive",
    severity: Severity::Error,
    title: "`filter_sensitive_fields` where nothing is sensitive",
    page: r"The action removes what `return` marks `sensitive: true`. Without a mark it would remove
nothing.

```yaml
# wrong
return:
  type: object
  properties: {ssn: {type: string}}
policies:
  output:
    - {condition: user.role != 'hr', action: filter_sensitive_fields}
```

```yaml
# right
return:
  type: object
  properties: {ssn: {type: string, sensitive: true}}
policies:
  output:
    - {condition: user.role != 'hr', action: filter_sensitive_fields}
```
",
};
pub(super) static TOO_MANY_STATES: Code = Code {
    id: "MX0409",
    slug: "field-paths-too-complex",
    severity: Severity::Error,
    title: "the field paths together are too complex",
    page: "Several paths with `**` multiply. Name the fields in full, or spread them over policies.\n",
};
