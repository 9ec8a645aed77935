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
    &PARAMETER_NAMED_USER,
    &PARAMETER_SHADOWS,
    &WRITES,
    &READ_ONLY,
    &NO_PROFILE,
    &NO_SECRET,
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
    NO_SITE,
    "MX0130",
    "no-site-file",
    Error,
    "the site file cannot be read",
    "`mxcp-site.yml` marks the root of a project. `mxcp init` writes one.\n"
);
code!(
    UNREADABLE,
    "MX0131",
    "unreadable-file",
    Error,
    "a file cannot be read",
    "Endpoint files are UTF-8 text of at most 1 MiB inside the project.\n"
);
code!(
    NOT_AN_ENDPOINT,
    "MX0132",
    "not-an-endpoint",
    Note,
    "a file in an endpoint folder is none",
    r"Files without `tool`, `resource` or `prompt` are skipped.

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
"
);
code!(
    WRONG_FOLDER,
    "MX0133",
    "wrong-folder",
    Error,
    "an endpoint is in the folder of another kind",
    r"Tools live in `tools/`, resources in `resources/`, prompts in `prompts/`, or where the site
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
"
);
code!(
    YAML_SUFFIX,
    "MX0134",
    "yaml-suffix",
    Note,
    "the file ends in `.yaml`",
    r"MXCP reads only `.yml`; here both are read, so an endpoint may appear that was not served
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
"
);
code!(
    DUPLICATE,
    "MX0135",
    "duplicate-endpoint",
    Error,
    "two endpoints have the same name",
    r"A client could not tell which of them it calls. Rename one.

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
"
);
code!(
    OVERLAP,
    "MX0136",
    "overlapping-uris",
    Error,
    "two resources can match the same URI",
    r#"Which policies would apply must not depend on an order of rules.

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
"#
);
code!(
    TOO_MANY,
    "MX0137",
    "too-many-files",
    Error,
    "there are too many endpoint files",
    "A project has at most 20,000 endpoint files. Split it; each part is built and served on its own.\n"
);
code!(
    PARAMETER_NAMED_USER,
    "MX0410",
    "parameter-named-user",
    Error,
    "a parameter is named `user`",
    r"In conditions `user` is the caller. A parameter of that name would let a client say who it is.

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
"
);
code!(
    PARAMETER_SHADOWS,
    "MX0411",
    "parameter-hides-variable",
    Warning,
    "a parameter hides a variable of conditions",
    r"A parameter named `response` or `request` wins over the variable of that name.

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
"
);
code!(
    WRITES,
    "MX0520",
    "read-only-hint",
    Warning,
    "the SQL may change data and is announced as read-only",
    r"Clients call read-only tools without asking. Remove the hint, or the change.

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
"
);
code!(
    READ_ONLY,
    "MX0521",
    "write-on-read-only",
    Error,
    "the SQL may change data in a read-only profile",
    r"Every call would fail.

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
"
);
code!(
    NO_PROFILE,
    "MX0601",
    "no-profile",
    Error,
    "the profile does not exist",
    r"Profiles are defined under `profiles:` in the site file.

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
"
);
code!(
    NO_SECRET,
    "MX0602",
    "no-secret",
    Error,
    "a secret is not defined in the user file",
    r"The site file names the secrets that the project needs; the user file of the deployment, given with
`mxcp check --config FILE`, defines them under `projects.NAME.profiles.NAME.secrets`.

```yaml
project: clinic
profile: dev
secrets: [lab]
```
"
);
