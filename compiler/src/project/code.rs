//! The codes of a project as a whole.

use mxcp_schemas::diagnostic::{Code, Severity};

/// All codes of this area, sorted.
pub static CODES: &[&Code] = &[
    &NO_SITE,
    &UNREADABLE,
    &NOT_AN_ENDPOINT,
    &WRONG_FOLDER,
    &YAML_SUFFIX,
    &DUPLICATE,
    &OVERLAP,
    &TOO_MANY,
    &NOT_YET,
    &PARAMETER_NAMED_USER,
    &PARAMETER_SHADOWS,
    &WRITES,
    &READ_ONLY,
    &NO_PROFILE,
    &NO_SECRET,
];

pub(crate) static NO_SITE: Code = Code {
    id: "MX0130",
    slug: "no-site-file",
    severity: Severity::Error,
    title: "the site file cannot be read",
    page: "`mxcp-site.yml` marks the root of a project. `mxcp init` writes one.\n",
};
pub(crate) static UNREADABLE: Code = Code {
    id: "MX0131",
    slug: "unreadable-file",
    severity: Severity::Error,
    title: "a file cannot be read",
    page: "Endpoint files are UTF-8 text of at most 1 MiB inside the project.\n",
};
pub(crate) static NOT_AN_ENDPOINT: Code = Code {
    id: "MX0132",
    slug: "not-an-endpoint",
    severity: Severity::Note,
    title: "a file in an endpoint folder is none",
    page: r"Files without `tool`, `resource` or `prompt` are skipped.

```yaml
# wrong
# tools/notes.yml
metadata: {owner: me}
```

```yaml
# right
# tools/find.yml
mxcp: 1
tool:
  name: find
  source: {code: SELECT 1}
```
",
};
pub(crate) static WRONG_FOLDER: Code = Code {
    id: "MX0133",
    slug: "wrong-folder",
    severity: Severity::Error,
    title: "an endpoint is in the folder of another kind",
    page: r"Tools live in `tools/`, resources in `resources/`, prompts in `prompts/`, or where the site
file's `paths:` says.

```yaml
# wrong
# tools/greet.yml
mxcp: 1
prompt:
  name: greet
  messages: [{prompt: Hello}]
```

```yaml
# right
# prompts/greet.yml
mxcp: 1
prompt:
  name: greet
  messages: [{prompt: Hello}]
```
",
};
pub(crate) static YAML_SUFFIX: Code = Code {
    id: "MX0134",
    slug: "yaml-suffix",
    severity: Severity::Note,
    title: "the file ends in `.yaml`",
    page: r"MXCP reads only `.yml`; here both are read, so an endpoint may appear that was not served
before.

```yaml
# wrong
# tools/find.yaml
mxcp: 1
tool:
  name: find
  source: {code: SELECT 1}
```

```yaml
# right
# tools/find.yml
mxcp: 1
tool:
  name: find
  source: {code: SELECT 1}
```
",
};
pub(crate) static DUPLICATE: Code = Code {
    id: "MX0135",
    slug: "duplicate-endpoint",
    severity: Severity::Error,
    title: "two endpoints have the same name",
    page: r"A client could not tell which of them it calls. Rename one.

```yaml
# wrong
# tools/a.yml
tool: {name: find, source: {code: SELECT 1}}
# tools/b.yml
tool: {name: find, source: {code: SELECT 2}}
```

```yaml
# right
# tools/a.yml
tool: {name: find, source: {code: SELECT 1}}
# tools/b.yml
tool: {name: find_all, source: {code: SELECT 2}}
```
",
};
pub(crate) static OVERLAP: Code = Code {
    id: "MX0136",
    slug: "overlapping-uris",
    severity: Severity::Error,
    title: "two resources can match the same URI",
    page: r#"Which policies would apply must not depend on an order of rules.

```yaml
# wrong
# resources/one.yml
resource:
  uri: clinic://patients/{id}
  parameters: [{name: id, type: string}]
  source: {code: SELECT $id}
# resources/all.yml
resource: {uri: "clinic://patients/all", source: {code: SELECT 1}}
```

```yaml
# right
# resources/one.yml
resource:
  uri: clinic://patients/{id}
  parameters: [{name: id, type: string}]
  source: {code: SELECT $id}
# resources/all.yml
resource: {uri: "clinic://patients", source: {code: SELECT 1}}
```
"#,
};
pub(crate) static TOO_MANY: Code = Code {
    id: "MX0137",
    slug: "too-many-files",
    severity: Severity::Error,
    title: "there are too many endpoint files",
    page: "A project has at most 20,000 endpoint files. Split it; each part is built and served on its own.\n",
};
pub(crate) static NOT_YET: Code = Code {
    id: "MX0138",
    slug: "not-in-this-release",
    severity: Severity::Warning,
    title: "the site file asks for what this release does not have",
    page: r"It is read, and has no effect: built-in SQL tools are not served, Python plugins are not run.
`docs/limits.md` lists what is missing.

```yaml
# wrong
# mxcp-site.yml
project: clinic
profile: dev
sql_tools: {enabled: true}
```

```yaml
# right
# mxcp-site.yml
project: clinic
profile: dev
sql_tools: {enabled: false}
```
",
};
pub(crate) static PARAMETER_NAMED_USER: Code = Code {
    id: "MX0410",
    slug: "parameter-named-user",
    severity: Severity::Error,
    title: "a parameter is named `user`",
    page: r"In conditions `user` is the caller. A parameter of that name would let a client say who it is.

```yaml
# wrong
parameters:
  - {name: user, type: string}
```

```yaml
# right
parameters:
  - {name: user_name, type: string}
```
",
};
pub(crate) static PARAMETER_SHADOWS: Code = Code {
    id: "MX0411",
    slug: "parameter-hides-variable",
    severity: Severity::Warning,
    title: "a parameter hides a variable of conditions",
    page: r"A parameter named `response` or `request` wins over the variable of that name.

```yaml
# wrong
parameters:
  - {name: request, type: string}
```

```yaml
# right
parameters:
  - {name: request_text, type: string}
```
",
};
pub(crate) static WRITES: Code = Code {
    id: "MX0520",
    slug: "read-only-hint",
    severity: Severity::Warning,
    title: "the SQL may change data and is announced as read-only",
    page: r"Clients call read-only tools without asking. Remove the hint, or the change.

```yaml
# wrong
annotations: {readOnlyHint: true}
source: {code: DELETE FROM visits}
```

```yaml
# right
annotations: {readOnlyHint: true}
source: {code: SELECT * FROM visits}
```
",
};
pub(crate) static READ_ONLY: Code = Code {
    id: "MX0521",
    slug: "write-on-read-only",
    severity: Severity::Error,
    title: "the SQL may change data in a read-only profile",
    page: r"Every call would fail.

```yaml
# wrong
# mxcp-site.yml
project: clinic
profile: dev
profiles: {dev: {duckdb: {readonly: true}}}
# tools/clear.yml
tool: {name: clear, source: {code: DELETE FROM visits}}
```

```yaml
# right
# mxcp-site.yml
project: clinic
profile: dev
profiles: {dev: {duckdb: {readonly: false}}}
# tools/clear.yml
tool: {name: clear, source: {code: DELETE FROM visits}}
```
",
};
pub(crate) static NO_PROFILE: Code = Code {
    id: "MX0601",
    slug: "no-profile",
    severity: Severity::Error,
    title: "the profile does not exist",
    page: r"Profiles are defined under `profiles:` in the site file.

```yaml
# wrong
# mxcp-site.yml
project: clinic
profile: production
profiles: {dev: {}}
```

```yaml
# right
# mxcp-site.yml
project: clinic
profile: dev
profiles: {dev: {}}
```
",
};
pub(crate) static NO_SECRET: Code = Code {
    id: "MX0602",
    slug: "no-secret",
    severity: Severity::Error,
    title: "a secret is not defined in the user file",
    page: r"The site file names the secrets that the project needs; the user file of the deployment, given with
`mxcp check --config FILE`, defines them under `projects.NAME.profiles.NAME.secrets`.

```yaml
project: clinic
profile: dev
secrets: [lab]
```
",
};
