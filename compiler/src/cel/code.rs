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
];

macro_rules! code {
    ($name:ident, $id:literal, $slug:literal, $severity:ident, $title:literal, $page:literal) => {
        pub(crate) static $name: Code = Code {
            id: $id,
            slug: $slug,
            severity: Severity::$severity,
            title: $title,
            page: $page,
        };
    };
}

code!(
    SYNTAX,
    "MX0301",
    "cel-syntax",
    Error,
    "the condition is not valid CEL",
    r"Conditions are written in the Common Expression Language: `&&`, `||`, `!`, `==`, `in`,
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
"
);
code!(
    LIMIT,
    "MX0302",
    "cel-limit",
    Error,
    "the condition exceeds a limit",
    "Conditions have at most 16 KiB, 4,096 parts, 200 levels of nesting and four comprehensions inside \
     one another, and may take at most 1,000,000 steps in the worst case. Loops multiply by `maxItems`, \
     functions add what they look at, by `maxLength`; where nothing is declared, a list is taken to have \
     100 items and a text 64 characters. Declare the bound that the help names, or split the policy.\n"
);
code!(
    UNKNOWN_NAME,
    "MX0303",
    "unknown-variable",
    Error,
    "the condition names a variable that does not exist",
    r"Input conditions see `user`, `request` and the parameters under their own names; output
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
"
);
code!(
    UNKNOWN_FIELD,
    "MX0304",
    "unknown-field",
    Error,
    "the condition names a field that does not exist",
    r"`user.departmnt != 'hr'` would fail on every call. Fields of `user` are the built-in ones and
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
"
);
code!(
    UNKNOWN_FUNCTION,
    "MX0305",
    "unknown-function",
    Error,
    "the condition calls a function that does not exist",
    r"`mxcp eval --functions` lists all functions.

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
"
);
code!(
    WRONG_TYPES,
    "MX0306",
    "wrong-types",
    Error,
    "an operator or function does not take values of these types",
    r"There are no implicit conversions: `'1' + 1` is an error. Convert with `int(…)`, `string(…)`,
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
"
);
code!(
    NOT_BOOL,
    "MX0307",
    "not-a-condition",
    Error,
    "the condition is not true or false",
    r"A condition is of type bool: compare with something.

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
"
);
code!(
    NEVER_EQUAL,
    "MX0308",
    "never-equal",
    Error,
    "the two sides can never be equal",
    r"Values of different types are never equal, so the comparison says nothing about the data.
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
"
);
code!(
    NO_MESSAGES,
    "MX0309",
    "no-messages",
    Error,
    "protocol buffer messages are not part of policies",
    r#"Conditions work on JSON-like values. Write a map: `{'key': value}`.

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
"#
);
code!(
    BAD_LITERAL,
    "MX0310",
    "bad-literal",
    Error,
    "a literal cannot be read",
    r"A number that does not fit in 64 bits, an escape that does not exist, or a date that is none.

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
"
);
code!(
    NULLABLE,
    "MX0311",
    "unguarded-null",
    Warning,
    "a value that may be absent is used as if it were there",
    r#"When it is absent the condition errs, and the policy closes: the call is refused. Say what
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
"#
);
code!(
    OPENING_GUARD,
    "MX0312",
    "absence-slips-through",
    Warning,
    "whoever lacks the attribute slips through",
    r"`user.email != null && !user.email.endsWith('@corp.example')` is false for an account without an
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
"
);
code!(
    UNDECLARED_FIELD,
    "MX0313",
    "undeclared-field",
    Warning,
    "a field that the declaration does not have",
    r"Others are allowed there, so it may exist; if the name is misspelt, the condition errs on every
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
"
);
code!(
    PATTERN,
    "MX0314",
    "bad-pattern",
    Error,
    "the pattern is no regular expression",
    r"Patterns are of linear time: no look-around, no back-references.

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
"
);
