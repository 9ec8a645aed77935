//! Large projects for benchmarks: as many endpoints as asked for, the same each time.
//!
//! The endpoints are of the kind that a company's data team writes: twenty areas, lists and single
//! objects, a handful of parameters, a dozen columns, three input and three output policies each.

use std::fmt::Write as _;

/// The areas of the business; each is a folder below `tools/`.
const AREAS: [&str; 20] = [
    "accounts",
    "assets",
    "billing",
    "campaigns",
    "claims",
    "contracts",
    "customers",
    "employees",
    "inventory",
    "invoices",
    "leads",
    "orders",
    "patients",
    "payments",
    "payroll",
    "projects",
    "shipments",
    "suppliers",
    "tickets",
    "visits",
];
/// What is asked about an area.
const QUESTIONS: [&str; 10] = [
    "list",
    "search",
    "recent",
    "overdue",
    "by_region",
    "by_owner",
    "history",
    "summary",
    "details",
    "audit",
];
const ROLES: [&str; 6] = ["admin", "analyst", "auditor", "manager", "operator", "support"];
const REGIONS: [&str; 4] = ["north", "east", "south", "west"];

/// The files of a project with this many tools: paths relative to the project, and their texts.
pub fn project(endpoints: usize) -> Vec<(String, String)> {
    let mut files = vec![("mxcp-site.yml".to_owned(), SITE.to_owned())];
    files.extend((0..endpoints).map(|index| {
        let tool = Tool::new(index);
        (format!("tools/{}/{}.yml", tool.area, tool.name), tool.text())
    }));
    files
}

/// The name of the tool at this place of a generated project.
pub fn tool_name(index: usize) -> String {
    Tool::new(index).name
}

const SITE: &str = "\
mxcp: 1
project: generated
profile: default
policy:
  user_attributes:
    department: {type: string}
    region: {type: string}
    clearance: {type: integer}
";

struct Tool {
    area: &'static str,
    name: String,
    index: usize,
    chance: Chance,
}

impl Tool {
    fn new(index: usize) -> Self {
        let area = pick(&AREAS, index);
        let question = pick(&QUESTIONS, index / AREAS.len());
        let edition = index / (AREAS.len() * QUESTIONS.len());
        let name = format!("{area}_{question}_{edition}");
        Self { area, name, index, chance: Chance::new(index) }
    }

    fn text(mut self) -> String {
        let mut text = String::new();
        self.head(&mut text);
        parameters(&mut text);
        self.result(&mut text);
        self.source(&mut text);
        self.policies(&mut text);
        text
    }

    fn head(&self, text: &mut String) {
        let (name, area) = (&self.name, self.area);
        put(
            text,
            format_args!(
                "mxcp: 1\ntool:\n  name: {name}\n  description: Answers question {} about {area}.\n  tags: [{area}, generated]\n  \
                 annotations:\n    title: {name}\n    readOnlyHint: true\n    idempotentHint: true\n",
                self.index
            ),
        );
    }

    fn result(&self, text: &mut String) {
        let area = self.area;
        put(
            text,
            format_args!(
                "  return:\n    type: array\n    description: Rows about {area}.\n    items:\n      type: object\n      \
                 properties:\n        id: {{type: integer}}\n        title: {{type: string}}\n        region: {{type: \
                 string}}\n        owner: {{type: string}}\n        since: {{type: string, format: date}}\n        amount: \
                 {{type: number}}\n        margin: {{type: number}}\n        score: {{type: integer}}\n        email: \
                 {{type: string, sensitive: true}}\n        phone: {{type: string, sensitive: true}}\n        notes: \
                 {{type: string}}\n        active: {{type: boolean}}\n      required: [id, title, region, owner, since, \
                 amount, margin, score, email, phone, notes, active]\n      additionalProperties: false\n",
            ),
        );
    }

    fn source(&mut self, text: &mut String) {
        let (area, factor) = (self.area, 3 + self.chance.below(40));
        put(
            text,
            format_args!(
                "  source:\n    code: |\n      SELECT i AS id, '{area} ' || i AS title, $region AS region, $owner AS owner,\n             \
                 CAST($since AS DATE) AS since, i * {factor}.5 AS amount, i * 0.25 AS margin, i % 100 AS score,\n             \
                 'p' || i || '@example.com' AS email, '+1 555 ' || i AS phone, 'none' AS notes, i % 2 = 0 AS active\n      \
                 FROM range(500) AS t(i)\n      WHERE i % {factor} <> 1\n      ORDER BY id\n      LIMIT $limit\n"
            ),
        );
    }

    fn policies(&mut self, text: &mut String) {
        let (allowed, other) = self.chance.two(&ROLES);
        let region = pick(&REGIONS, self.index);
        let (area, rows, clearance) =
            (self.area, 50 + self.chance.below(400), 1 + self.chance.below(4));
        put(
            text,
            format_args!(
                "  policies:\n    input:\n      - name: role\n        condition: \"!(user.role in ['{allowed}', '{other}', \
                 'admin'])\"\n        action: deny\n        reason: Your role does not cover {area}.\n      - name: \
                 region\n        condition: \"region != '{region}' && user.role != 'admin' && (user.region == null || \
                 user.region != region)\"\n        action: deny\n        reason: That region is not yours.\n      - name: \
                 volume\n        condition: \"limit > {rows} && !('{area}.bulk' in user.permissions)\"\n        action: \
                 deny\n        reason: So many rows need the permission {area}.bulk.\n    output:\n      - name: \
                 contact\n        condition: \"user.role != 'admin' && !('{area}.contact' in user.permissions)\"\n        \
                 action: filter_sensitive_fields\n      - name: figures\n        condition: \"user.role == '{other}' || \
                 user.clearance == null || user.clearance < {clearance}\"\n        action: filter_fields\n        fields: \
                 [margin, score]\n      - name: notes\n        condition: \"user.department == null || user.department != \
                 '{area}'\"\n        action: mask_fields\n        fields: [notes]\n"
            ),
        );
    }
}

fn parameters(text: &mut String) {
    put(
        text,
        format_args!(
            "  parameters:\n    - name: region\n      type: string\n      description: Where.\n      enum: [{}]\n      \
                 default: north\n    - name: owner\n      type: string\n      description: Whose.\n      minLength: 1\n      \
                 maxLength: 64\n      pattern: '^[a-z][a-z0-9_]*$'\n      default: everyone\n    - name: since\n      type: \
                 string\n      format: date\n      description: From this day on.\n      default: '2024-01-01'\n    - name: \
                 limit\n      type: integer\n      description: How many rows at most.\n      minimum: 1\n      maximum: \
                 500\n      default: 20\n",
            REGIONS.join(", ")
        ),
    );
}

/// A sequence that looks random and is the same each time.
struct Chance(u64);

impl Chance {
    fn new(index: usize) -> Self {
        Self(0x9E37_79B9_7F4A_7C15 ^ (index as u64).wrapping_mul(0xBF58_476D_1CE4_E5B9))
    }

    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// Two different members.
    fn two<'a>(&mut self, all: &[&'a str]) -> (&'a str, &'a str) {
        let count = all.len() as u64;
        let first = self.below(count);
        let second = (first + 1 + self.below(count - 1)) % count;
        let at = |place: u64| pick(all, usize::try_from(place).unwrap_or_default());
        (at(first), at(second))
    }
}

fn pick<'a>(all: &[&'a str], place: usize) -> &'a str {
    all.iter().cycle().nth(place % all.len()).expect("a list that is not empty")
}

fn put(text: &mut String, part: std::fmt::Arguments<'_>) {
    text.write_fmt(part).expect("a string takes all text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_endpoints_have_a_thousand_names_and_six_policies_each() {
        let files = project(1_000);
        let names: std::collections::BTreeSet<_> = files.iter().map(|(path, _)| path).collect();
        assert_eq!(names.len(), 1_001);
        for (path, text) in files.iter().filter(|(path, _)| path != "mxcp-site.yml") {
            assert_eq!(text.matches("action: ").count(), 6, "{path}");
            assert!(text.contains(&format!(
                "name: {}",
                path.rsplit('/').next().unwrap().trim_end_matches(".yml")
            )));
        }
        assert_eq!(files, project(1_000));
    }
}
