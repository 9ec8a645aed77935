//! The codes of expressions.

use mxcp_schemas::diagnostic::{Code, Severity};

/// All codes of this area, sorted.
pub static CODES: &[&Code] = &[
    &SYNTAX,
    &LIMIT,
    &UNKNOWN_NAME,
    &UNKNOWN_FIELD,
    &UNKNOWN_FUNCTION,
    &WRONG_TYPES,
    &NOT_BOOL,
    &NEVER_EQUAL,
    &NO_MESSAGES,
    &BAD_LITERAL,
    &NULLABLE,
    &OPENING_GUARD,
    &UNDECLARED_FIELD,
    &PATTERN,
    &ALWAYS_ERRS,
];

pub(crate) static SYNTAX: Code = Code {
    id: "MX0301",
    slug: "cel-syntax",
    severity: Severity::Error,
    title: "the condition is not valid CEL",
    page: r"Conditions are written in the Common Expression Language: `&&`, `||`, `!`, `==`, `in`,
`x.startsWith('a')`, `has(x.y)`, `list.exists(v, v == 1)`. A condition that does not parse would
never apply elsewhere; here nothing is built.

```yaml
# wrong
- condition: user.role = 'guest'
  action: deny
  reason: Not for you
```

```yaml
# right
- condition: user.role == 'guest'
  action: deny
  reason: Not for you
```
",
};
pub(crate) static LIMIT: Code = Code {
    id: "MX0302",
    slug: "cel-limit",
    severity: Severity::Error,
    title: "the condition exceeds a limit",
    page: "Conditions have at most 16 KiB, 4,096 parts, 200 levels of nesting and four comprehensions inside \
     one another, and may take at most 1,000,000 steps in the worst case. Loops multiply by `maxItems`, \
     functions add what they look at, by `maxLength`; where nothing is declared, a list is taken to have \
     100 items and a text 64 characters. Declare the bound that the help names, or split the policy.\n",
};
pub(crate) static UNKNOWN_NAME: Code = Code {
    id: "MX0303",
    slug: "unknown-variable",
    severity: Severity::Error,
    title: "the condition names a variable that does not exist",
    page: r"Input conditions see `user`, `request` and the parameters under their own names; output
conditions see `response` as well. `now()` is the time of the call.

```yaml
# wrong
- condition: usr.role == 'guest'
  action: deny
  reason: Not for you
```

```yaml
# right
- condition: user.role == 'guest'
  action: deny
  reason: Not for you
```
",
};
pub(crate) static UNKNOWN_FIELD: Code = Code {
    id: "MX0304",
    slug: "unknown-field",
    severity: Severity::Error,
    title: "the condition names a field that does not exist",
    page: r"`user.departmnt != 'hr'` would fail on every call. Fields of `user` are the built-in ones and
those declared in the site file under `policy.user_attributes`; anything else that the identity
provider says is under `user.claims`.

```yaml
# wrong
- condition: user.departmnt != 'hr'
  action: deny
  reason: Not for you
```

```yaml
# right
- condition: user.claims.department != 'hr'
  action: deny
  reason: Not for you
```
",
};
pub(crate) static UNKNOWN_FUNCTION: Code = Code {
    id: "MX0305",
    slug: "unknown-function",
    severity: Severity::Error,
    title: "the condition calls a function that does not exist",
    page: r"`mxcp eval --functions` lists all functions.

```yaml
# wrong
- condition: user.role.startWith('ext-')
  action: deny
  reason: Not for you
```

```yaml
# right
- condition: user.role.startsWith('ext-')
  action: deny
  reason: Not for you
```
",
};
pub(crate) static WRONG_TYPES: Code = Code {
    id: "MX0306",
    slug: "wrong-types",
    severity: Severity::Error,
    title: "an operator or function does not take values of these types",
    page: r"There are no implicit conversions: `'1' + 1` is an error. Convert with `int(…)`, `string(…)`,
`double(…)`.

```yaml
# wrong
- condition: user.role == 'guest' || 'intern'
  action: deny
  reason: Not for you
```

```yaml
# right
- condition: user.role in ['guest', 'intern']
  action: deny
  reason: Not for you
```
",
};
pub(crate) static NOT_BOOL: Code = Code {
    id: "MX0307",
    slug: "not-a-condition",
    severity: Severity::Error,
    title: "the condition is not true or false",
    page: r"A condition is of type bool: compare with something.

```yaml
# wrong
- condition: user.permissions
  action: deny
  reason: Not for you
```

```yaml
# right
- condition: size(user.permissions) == 0
  action: deny
  reason: Not for you
```
",
};
pub(crate) static NEVER_EQUAL: Code = Code {
    id: "MX0308",
    slug: "never-equal",
    severity: Severity::Error,
    title: "the two sides can never be equal",
    page: r"Values of different types are never equal, so the comparison says nothing about the data.
Numbers compare with numbers of any type; a list with `in`.

```yaml
# wrong
- condition: patient_id == '5'
  action: deny
  reason: Not for you
```

```yaml
# right
- condition: patient_id == 5
  action: deny
  reason: Not for you
```
",
};
pub(crate) static NO_MESSAGES: Code = Code {
    id: "MX0309",
    slug: "no-messages",
    severity: Severity::Error,
    title: "protocol buffer messages are not part of policies",
    page: r#"Conditions work on JSON-like values. Write a map: `{'key': value}`.

```yaml
# wrong
- condition: "Person{name: 'a'}.name == user.role"
  action: deny
  reason: Not for you
```

```yaml
# right
- condition: "{'name': 'a'}.name == user.role"
  action: deny
  reason: Not for you
```
"#,
};
pub(crate) static BAD_LITERAL: Code = Code {
    id: "MX0310",
    slug: "bad-literal",
    severity: Severity::Error,
    title: "a literal cannot be read",
    page: r"A number that does not fit in 64 bits, an escape that does not exist, or a date that is none.

```yaml
# wrong
- condition: start_date < 'last year'
  action: deny
  reason: Not for you
```

```yaml
# right
- condition: start_date < '2024-01-01'
  action: deny
  reason: Not for you
```
",
};
pub(crate) static NULLABLE: Code = Code {
    id: "MX0311",
    slug: "unguarded-null",
    severity: Severity::Warning,
    title: "a value that may be absent is used as if it were there",
    page: r#"When it is absent the condition errs, and the policy closes: the call is refused. Say what
absence means. Every action restricts when its condition is true, so absence makes it true.

```yaml
# wrong
- condition: "!user.email.endsWith('@corp.example')"
  action: deny
  reason: Not for you
```

```yaml
# right
- condition: user.email == null || !user.email.endsWith('@corp.example')
  action: deny
  reason: Not for you
```
"#,
};
pub(crate) static OPENING_GUARD: Code = Code {
    id: "MX0312",
    slug: "absence-slips-through",
    severity: Severity::Warning,
    title: "whoever lacks the attribute slips through",
    page: r"`user.email != null && !user.email.endsWith('@corp.example')` is false for an account without an
e-mail, so the restriction does not apply to it. Turn the guard around.

```yaml
# wrong
- condition: user.email != null && !user.email.endsWith('@corp.example')
  action: deny
  reason: Not for you
```

```yaml
# right
- condition: user.email == null || !user.email.endsWith('@corp.example')
  action: deny
  reason: Not for you
```
",
};
pub(crate) static UNDECLARED_FIELD: Code = Code {
    id: "MX0313",
    slug: "undeclared-field",
    severity: Severity::Warning,
    title: "a field that the declaration does not have",
    page: r"Others are allowed there, so it may exist; if the name is misspelt, the condition errs on every
call and the policy closes.

```yaml
# wrong
policies:
  output:
    - condition: response.slary > 1000.0
      action: deny
      reason: Not for you
```

```yaml
# right
policies:
  output:
    - condition: response.salary > 1000.0
      action: deny
      reason: Not for you
```
",
};
pub(crate) static PATTERN: Code = Code {
    id: "MX0314",
    slug: "bad-pattern",
    severity: Severity::Error,
    title: "the pattern is no regular expression",
    page: r"Patterns are of linear time: no look-around, no back-references.

```yaml
# wrong
- condition: user.role.matches('(admin')
  action: deny
  reason: Not for you
```

```yaml
# right
- condition: user.role.matches('^admin')
  action: deny
  reason: Not for you
```
",
};
pub(crate) static ALWAYS_ERRS: Code = Code {
    id: "MX0315",
    slug: "always-errs",
    severity: Severity::Error,
    title: "a part of the condition errs whenever it is evaluated",
    page: r"It depends on nothing, so it can be computed now, and it has no value: a text that is no
duration, a division by zero, a key that a map does not have. The policy would close on every call
that comes to it.

```yaml
# wrong
- condition: now() > timestamp('yesterday')
  action: deny
  reason: Too late
```

```yaml
# right
- condition: now() > timestamp('2030-01-01T00:00:00Z')
  action: deny
  reason: Too late
```
",
};
