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
    "Files without `tool`, `resource` or `prompt` are skipped.\n"
);
code!(
    WRONG_FOLDER,
    "MX0133",
    "wrong-folder",
    Error,
    "an endpoint is in the folder of another kind",
    "Tools live in `tools/`, resources in `resources/`, prompts in `prompts/`, or where the site file's \
     `paths:` says.\n"
);
code!(
    YAML_SUFFIX,
    "MX0134",
    "yaml-suffix",
    Note,
    "the file ends in `.yaml`",
    "MXCP reads only `.yml`; here both are read, so an endpoint may appear that was not served before.\n"
);
code!(
    DUPLICATE,
    "MX0135",
    "duplicate-endpoint",
    Error,
    "two endpoints have the same name",
    "A client could not tell which of them it calls. Rename one.\n"
);
code!(
    OVERLAP,
    "MX0136",
    "overlapping-uris",
    Error,
    "two resources can match the same URI",
    "Which policies would apply must not depend on an order of rules.\n"
);
code!(
    TOO_MANY,
    "MX0137",
    "too-many-files",
    Error,
    "there are too many endpoint files",
    "Split the project.\n"
);
code!(
    PARAMETER_NAMED_USER,
    "MX0410",
    "parameter-named-user",
    Error,
    "a parameter is named `user`",
    "In conditions `user` is the caller. A parameter of that name would let a client say who it is.\n"
);
code!(
    PARAMETER_SHADOWS,
    "MX0411",
    "parameter-hides-variable",
    Warning,
    "a parameter hides a variable of conditions",
    "A parameter named `response` or `request` wins over the variable of that name.\n"
);
code!(
    WRITES,
    "MX0520",
    "read-only-hint",
    Warning,
    "the SQL may change data and is announced as read-only",
    "Clients call read-only tools without asking. Remove the hint, or the change.\n"
);
code!(
    READ_ONLY,
    "MX0521",
    "write-on-read-only",
    Error,
    "the SQL may change data in a read-only profile",
    "Every call would fail.\n"
);
code!(
    NO_PROFILE,
    "MX0601",
    "no-profile",
    Error,
    "the profile does not exist",
    "Profiles are defined under `profiles:` in the site file.\n"
);
