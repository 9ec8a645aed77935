//! The codes of bodies.

use mxcp_schemas::diagnostic::{Code, Severity};

/// All codes of this area, sorted.
pub static CODES: &[&Code] = &[
    &UNKNOWN_PARAMETER,
    &UNUSED_PARAMETER,
    &SEVERAL,
    &EMPTY,
    &POSITIONAL,
    &SQL_SYNTAX,
    &OPENS,
    &NO_FILE,
    &OUTSIDE,
    &NOT_TEXT,
    &PYTHON,
    &TEMPLATE,
    &UNKNOWN_VARIABLE,
    &UNKNOWN_WORD,
];

pub(super) static UNKNOWN_PARAMETER: Code = Code {
    id: "MX0501",
    slug: "sql-unknown-parameter",
    severity: Severity::Error,
    title: "the SQL uses a parameter that is not declared",
    page: r"Every `$name` of the SQL is a declared parameter: values are bound, never pasted.

```yaml
# wrong
parameters: [{name: ward, type: string}]
source: {code: SELECT * FROM visits WHERE ward = $wrad}
```

```yaml
# right
parameters: [{name: ward, type: string}]
source: {code: SELECT * FROM visits WHERE ward = $ward}
```
",
};
pub(super) static UNUSED_PARAMETER: Code = Code {
    id: "MX0502",
    slug: "sql-unused-parameter",
    severity: Severity::Warning,
    title: "a declared parameter is not used by the SQL",
    page: r"Callers would set it for nothing, unless a condition needs it.

```yaml
# wrong
parameters: [{name: ward, type: string}]
source: {code: SELECT * FROM visits}
```

```yaml
# right
parameters: [{name: ward, type: string}]
source: {code: SELECT * FROM visits WHERE ward = $ward}
```
",
};
pub(super) static SEVERAL: Code = Code {
    id: "MX0503",
    slug: "several-statements",
    severity: Severity::Error,
    title: "an endpoint has several SQL statements",
    page: r"One endpoint runs one statement, so that what it does can be proved and its result is one
result.

```yaml
# wrong
source:
  code: |
    DELETE FROM visits WHERE done;
    SELECT count(*) FROM visits;
```

```yaml
# right
source:
  code: SELECT count(*) FROM visits
```
",
};
pub(super) static EMPTY: Code = Code {
    id: "MX0504",
    slug: "no-statement",
    severity: Severity::Error,
    title: "the SQL has no statement",
    page: r"The text is empty or holds only comments.

```yaml
# wrong
source:
  code: |
    -- to be written
```

```yaml
# right
source:
  code: SELECT 1
```
",
};
pub(super) static POSITIONAL: Code = Code {
    id: "MX0505",
    slug: "positional-parameter",
    severity: Severity::Error,
    title: "the SQL uses a positional parameter",
    page: r"Parameters are bound by name: write `$name` instead of `?` or `$1`.

```yaml
# wrong
parameters: [{name: ward, type: string}]
source: {code: SELECT * FROM visits WHERE ward = $1}
```

```yaml
# right
parameters: [{name: ward, type: string}]
source: {code: SELECT * FROM visits WHERE ward = $ward}
```
",
};
pub(super) static SQL_SYNTAX: Code = Code {
    id: "MX0506",
    slug: "sql-syntax",
    severity: Severity::Error,
    title: "DuckDB cannot parse the SQL",
    page: r"The message is DuckDB's own.

```yaml
# wrong
source: {code: SELECT * FORM visits}
```

```yaml
# right
source: {code: SELECT * FROM visits}
```
",
};
pub(super) static OPENS: Code = Code {
    id: "MX0507",
    slug: "external-access",
    severity: Severity::Error,
    title: "the SQL opens a file or an address outside the project's data",
    page: r"SQL reaches nothing outside the database and the project's `data/` unless the site file allows
it. `profiles.NAME.duckdb.allowed_directories` allows folders,
`profiles.NAME.duckdb.external_access: true` everything.

```yaml
# wrong
source: {code: SELECT * FROM '/srv/export/visits.csv'}
```

```yaml
# right
source: {code: SELECT * FROM 'data/visits.csv'}
```
",
};
pub(super) static NO_FILE: Code = Code {
    id: "MX0508",
    slug: "source-file",
    severity: Severity::Error,
    title: "the source file cannot be read",
    page: r"`source.file` is relative to the definition that names it.

```yaml
# wrong
source: {file: ../sql/nowhere.sql}
```

```yaml
# right
# tools/find.yml
tool: {name: find, source: {file: ../sql/find.sql}}
# sql/find.sql
SELECT 1
```
",
};
pub(super) static OUTSIDE: Code = Code {
    id: "MX0509",
    slug: "source-outside-project",
    severity: Severity::Error,
    title: "the source file is outside the project",
    page: r"A definition names files of its own project: no absolute paths, no `..` beyond the root, no
links that lead out.

```yaml
# wrong
source: {file: ../../elsewhere/find.sql}
```

```yaml
# right
# tools/find.yml
tool: {name: find, source: {file: ../sql/find.sql}}
# sql/find.sql
SELECT 1
```
",
};
pub(super) static NOT_TEXT: Code = Code {
    id: "MX0510",
    slug: "source-not-text",
    severity: Severity::Error,
    title: "the source file is not UTF-8 text",
    page: "SQL and templates are read as UTF-8, without which no place in them could be named. Save the file as \
           UTF-8.\n",
};
pub(super) static PYTHON: Code = Code {
    id: "MX0512",
    slug: "python-not-run",
    severity: Severity::Warning,
    title: "Python endpoints are not run by this release",
    page: "The definition, its policies and its tests are checked and the endpoint is in the bundle; \
           the runtime answers its calls with an error that says so.\n",
};
pub(super) static TEMPLATE: Code = Code {
    id: "MX0514",
    slug: "template-syntax",
    severity: Severity::Error,
    title: "a prompt's template cannot be parsed",
    page: r#"Templates are Jinja2: `{{ name }}`, `{% if … %}…{% endif %}`.

```yaml
# wrong
prompt:
  name: greet
  messages: [{prompt: "Hello {{ name "}]
  parameters: [{name: name, type: string}]
```

```yaml
# right
prompt:
  name: greet
  messages: [{prompt: "Hello {{ name }}"}]
  parameters: [{name: name, type: string}]
```
"#,
};
pub(super) static UNKNOWN_VARIABLE: Code = Code {
    id: "MX0515",
    slug: "template-unknown-variable",
    severity: Severity::Warning,
    title: "a prompt's template uses a variable that is no parameter",
    page: r#"It renders empty. Declare it, or say what happens without it: `{{ x | default('') }}`.

```yaml
# wrong
prompt:
  name: greet
  messages: [{prompt: "Hello {{ nmae }}"}]
  parameters: [{name: name, type: string}]
```

```yaml
# right
prompt:
  name: greet
  messages: [{prompt: "Hello {{ name }}"}]
  parameters: [{name: name, type: string}]
```
"#,
};
/// A filter or test of templates that does not exist.
pub(super) static UNKNOWN_WORD: Code = Code {
    id: "MX0516",
    slug: "template-unknown-filter",
    severity: Severity::Error,
    title: "a template uses a filter or a test that does not exist",
    page: r"Rendering would fail. Filters and tests are those of Jinja2 3.1, but for the filters `center`,
`forceescape`, `random`, `urlize`, `wordcount`, `wordwrap` and `xmlattr`; texts have Python's methods, such
as `name.title()`.

```yaml
# wrong
# prompts/a.yml
prompt:
  name: a
  parameters: [{name: who, type: string}]
  messages: [{prompt: 'Hello {{ who|uper }}'}]
```

```yaml
# right
# prompts/a.yml
prompt:
  name: a
  parameters: [{name: who, type: string}]
  messages: [{prompt: 'Hello {{ who|upper }}'}]
```
",
};
