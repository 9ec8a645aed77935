//! The conditions and what they are about.

use serde_json::{Value, json};

use crate::Case;

/// Rows of the result.
pub const ROWS: usize = 1_000;
pub const START: i64 = 1_704_067_200;
pub const END: i64 = 1_709_251_200;

/// A caller, the arguments of a call and its result.
pub struct World {
    pub user: Value,
    pub employee_id: String,
    pub n: i64,
    pub note: String,
    pub response: Value,
    small: Value,
}

impl World {
    pub fn new() -> Self {
        let permissions: Vec<String> = (0..9).map(|i| format!("area{i}.read")).collect();
        let mut permissions: Vec<&str> = permissions.iter().map(String::as_str).collect();
        permissions.push("hr.read");
        let rows: Vec<Value> = (0..ROWS)
            .map(|i| json!({"id": i, "name": format!("row {i}"), "lines": [1, 2, 3]}))
            .collect();
        Self {
            user: json!({
                "user_id": "u-1017", "username": "me", "email": "me@corp.example", "name": "Me",
                "provider": "keycloak", "role": "nurse", "permissions": permissions,
                "capabilities": [], "groups": ["ward"],
                "claims": {"org": {"unit": "u7", "site": "s1"}, "level": 5, "tenant": "t"},
            }),
            employee_id: "e-2040".to_owned(),
            n: 1_000,
            note: "AB123456".to_owned(),
            response: json!({"department": "finance", "total": 12, "rows": rows}),
            small: json!({"department": "finance", "total": 12}),
        }
    }

    /// The result, without its rows where the condition does not look at them.
    pub fn response_for(&self, case: &Case) -> &Value {
        if case.reads("rows") { &self.response } else { &self.small }
    }
}

fn case(name: &'static str, cel: &str, rego: Option<&str>, cedar: Option<&str>) -> Case {
    Case {
        name,
        cel: cel.to_owned(),
        rego: rego.map(str::to_owned),
        cedar: cedar.map(str::to_owned),
    }
}

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "role != literal",
            "user.role != 'admin'",
            Some("input.user.role != \"admin\""),
            Some("principal.role != \"admin\""),
        ),
        case(
            "literal in 10 permissions",
            "'hr.read' in user.permissions",
            Some("\"hr.read\" in input.user.permissions"),
            Some("principal.permissions.contains(\"hr.read\")"),
        ),
        case(
            "exists(p, p in [2]) over 10",
            "user.permissions.exists(p, p in ['hr.read', 'hr.write'])",
            Some("some p in input.user.permissions; p in [\"hr.read\", \"hr.write\"]"),
            Some("principal.permissions.containsAny([\"hr.read\", \"hr.write\"])"),
        ),
        case(
            "argument != user field && role",
            "employee_id != user.user_id && user.role != 'hr'",
            Some("input.employee_id != input.user.user_id; input.user.role != \"hr\""),
            Some("context.employee_id != principal.user_id && principal.role != \"hr\""),
        ),
        case(
            "endsWith",
            "user.email.endsWith('@corp.example')",
            Some("endswith(input.user.email, \"@corp.example\")"),
            Some("principal.email like \"*@corp.example\""),
        ),
    ]
    .into_iter()
    .chain(rest())
    .collect()
}

fn rest() -> Vec<Case> {
    let terms = |prefix: &str| (0..30).map(|i| format!("{prefix}n > {i}")).collect::<Vec<_>>();
    vec![
        case(
            "result field == && role",
            "response.department == 'finance' && user.role == 'nurse'",
            Some("input.response.department == \"finance\"; input.user.role == \"nurse\""),
            Some("context.department == \"finance\" && principal.role == \"nurse\""),
        ),
        case(
            "nested exists, 1,000 rows",
            "response.rows.exists(r, r.lines.exists(l, l > 100))",
            Some("some r in input.response.rows; some l in r.lines; l > 100"),
            None,
        ),
        case(
            "matches",
            "note.matches('^[A-Z]{2}[0-9]{6}$')",
            Some("regex.match(`^[A-Z]{2}[0-9]{6}$`, input.note)"),
            None,
        ),
        case("timestamp arithmetic", "end_date - start_date > duration('720h')", None, None),
        case(
            "map access",
            "user.claims.org.unit == 'u7' && user.claims.level > 3",
            Some("input.user.claims.org.unit == \"u7\"; input.user.claims.level > 3"),
            Some("principal.claims.org.unit == \"u7\" && principal.claims.level > 3"),
        ),
        case(
            "string functions",
            "user.email.contains('@') && user.email.startsWith('me') && size(note) < 100",
            Some(
                "contains(input.user.email, \"@\"); startswith(input.user.email, \"me\"); count(input.note) < 100",
            ),
            None,
        ),
        case(
            "30-term conjunction",
            &terms("").join(" && "),
            Some(&terms("input.").join("; ")),
            Some(&terms("context.").join(" && ")),
        ),
    ]
}

/// Conditions that make values, for which machine code asks the interpreter or the functions.
pub fn more() -> Vec<Case> {
    vec![
        case(
            "list made and counted",
            "user.permissions.filter(p, p.startsWith('hr.')).size() == 1",
            None,
            None,
        ),
        case("list made and walked", "[1, n, 3].exists(x, x == n)", None, None),
        case("map walked", "user.claims.exists(k, k == 'tenant')", None, None),
        case("text joined", "(user.role + ':' + employee_id).endsWith('2040')", None, None),
        case("optional field", "user.claims.?level.orValue(0) > 3", None, None),
        case("text made lower case", "user.role.lowerAscii() == 'nurse'", None, None),
    ]
}
