//! A condition that errs closes: whatever its policy does, whatever it looks at and whichever engine
//! evaluates it, what leaves the server is what would leave if the condition were true.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::served::Served;

/// What a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looks {
    Caller,
    Argument,
    Result,
    /// at the caller and an argument, so that a part of it is remembered
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    DenyInput,
    Deny,
    Filter,
    Mask,
    FilterSensitive,
}

/// What a condition comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comes {
    False,
    True,
    Error,
}

#[derive(Debug, Clone, Copy)]
struct Policy {
    looks: Looks,
    action: Action,
    comes: Comes,
}

impl Policy {
    fn condition(self, at: usize) -> String {
        match self.looks {
            Looks::Caller => format!("user.claims.p{at} == 1"),
            Looks::Argument => format!("1 / p{at} == 1"),
            Looks::Result => format!("1 / response.p{at} == 1"),
            Looks::Both => format!("user.claims.p{at} == 1 && p{at} < 9"),
        }
    }

    fn text(self, at: usize) -> String {
        let action = match self.action {
            Action::DenyInput | Action::Deny => "deny, reason: Refused",
            Action::Filter => "filter_fields, fields: [a, c.d]",
            Action::Mask => "mask_fields, fields: [a, c.e]",
            Action::FilterSensitive => "filter_sensitive_fields",
        };
        format!("      - {{ condition: '{}', action: {action} }}\n", self.condition(at))
    }

    /// The number that makes the condition come to that. Where there is none, it errs: a claim is absent,
    /// a number divided by zero.
    const fn number(self) -> i64 {
        match self.comes {
            Comes::True => 1,
            Comes::False => 2,
            Comes::Error => 0,
        }
    }
}

fn policy() -> impl Strategy<Value = Policy> {
    let looks = prop_oneof![
        Just(Looks::Caller),
        Just(Looks::Argument),
        Just(Looks::Result),
        Just(Looks::Both)
    ];
    let action = prop_oneof![
        1 => Just(Action::DenyInput),
        1 => Just(Action::Deny),
        2 => Just(Action::Filter),
        2 => Just(Action::Mask),
        2 => Just(Action::FilterSensitive)
    ];
    let comes =
        prop_oneof![1 => Just(Comes::False), 1 => Just(Comes::True), 2 => Just(Comes::Error)];
    (looks, action, comes).prop_map(|(looks, action, comes)| {
        // There is no result yet when input policies are asked.
        let early = action == Action::DenyInput && looks == Looks::Result;
        Policy { looks: if early { Looks::Argument } else { looks }, action, comes }
    })
}

fn tool(policies: &[Policy]) -> String {
    let numbers = 0..policies.len();
    let each = |form: fn(usize) -> String| numbers.clone().map(form).collect::<String>();
    let mut text = format!(
        "mxcp: 1\ntool:\n  name: t\n  parameters: [{}]\n",
        each(|at| format!("{{ name: p{at}, type: integer }}, "))
    );
    let _ = writeln!(
        text,
        "  return: {{ type: object, required: [{}], properties: {{ a: {{ type: string }}, b: {{ type: string, sensitive: true }}, c: {{ type: object, properties: {{ d: {{ type: string }}, e: {{ type: string, sensitive: true }} }} }}, {} }} }}",
        each(|at| format!("p{at}, ")),
        each(|at| format!("p{at}: {{ type: integer }}, "))
    );
    let _ = writeln!(
        text,
        "  source: {{ code: \"SELECT {} 'a' AS a, 'b' AS b, {{'d': 'd', 'e': 'e'}} AS c\" }}\n  policies:",
        each(|at| format!("$p{at} AS p{at}, "))
    );
    for (stage, early) in [("input", true), ("output", false)] {
        let own = policies.iter().enumerate();
        let own = own.filter(|(_, policy)| (policy.action == Action::DenyInput) == early);
        let own: String = own.map(|(at, policy)| policy.text(at)).collect();
        let _ = if own.is_empty() { Ok(()) } else { write!(text, "    {stage}:\n{own}") };
    }
    text
}

/// What leaves the server: nothing, or the fields that policies may act on.
async fn leaves(served: &Served, policies: &[Policy]) -> Option<Value> {
    let (mut claims, mut arguments) = (Map::new(), Map::new());
    for (at, policy) in policies.iter().enumerate() {
        let number = policy.number();
        if number != 0 {
            claims.insert(format!("p{at}"), json!(number));
        }
        arguments.insert(format!("p{at}"), json!(number));
    }
    let result = served.call(&json!({ "claims": claims }), Value::Object(arguments)).await;
    if result["isError"] == true {
        return None;
    }
    let value = &result["structuredContent"];
    let mut left = Map::new();
    for name in ["a", "b", "c"] {
        left.extend(value.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    Some(Value::Object(left))
}

/// The same policies, their errors come to something else.
fn instead(policies: &[Policy], comes: Comes) -> Vec<Policy> {
    let one = |policy: &Policy| match policy.comes {
        Comes::Error => Policy { comes, ..*policy },
        _ => *policy,
    };
    policies.iter().map(one).collect()
}

async fn judge(policies: &[Policy]) {
    let tool = tool(policies);
    let served = Served::new(&tool);
    for compiled in [false, true] {
        if compiled {
            served.compile();
        }
        // The callers are new ones each time: nothing is remembered of them.
        let erred = leaves(&served, policies).await;
        let held = leaves(&served, &instead(policies, Comes::True)).await;
        assert_eq!(erred, held, "compiled: {compiled}\n{tool}\n{policies:?}");
        // And that is not because nothing depends on them.
        if policies.iter().all(|policy| policy.comes == Comes::Error) {
            let open = leaves(&served, &instead(policies, Comes::False)).await;
            let all = json!({"a": "a", "b": "b", "c": {"d": "d", "e": "e"}});
            assert_eq!(open, Some(all), "{tool}");
            assert_ne!(open, erred, "compiled: {compiled}\n{tool}");
        }
    }
}

fn run(policies: &[Policy]) {
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    threads.block_on(judge(policies));
}

#[test]
fn every_action_closes_whatever_its_condition_looks_at() {
    let actions =
        [Action::DenyInput, Action::Deny, Action::Filter, Action::Mask, Action::FilterSensitive];
    for action in actions {
        for looks in [Looks::Caller, Looks::Argument, Looks::Result, Looks::Both] {
            if action != Action::DenyInput || looks != Looks::Result {
                run(&[Policy { looks, action, comes: Comes::Error }]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn policies_together_close_as_each_of_them(
        policies in prop::collection::vec(policy(), 1..5),
    ) {
        run(&policies);
    }
}
