//! What code is written for which condition.

use std::fmt::Write as _;

use mxcp_policy::datum::Symbols;
use mxcp_policy::predicate::Predicate;
use mxcp_policy::text::Listing;
use mxcp_policy::ty::Ty;
use mxcp_policy::verify::Layout;

use super::super::{Environment, condition, expression};

fn environment() -> Environment {
    Environment {
        user: Some(Environment::user_record(&[])),
        params: vec![("n".to_owned(), Ty::Int), ("day".to_owned(), Ty::Timestamp)],
        response: Some(Ty::list(Ty::Dyn)),
        request: true,
        ..Environment::default()
    }
}

#[test]
fn code_is_flat_folded_and_split_by_caller() {
    let mut all = String::new();
    for text in [
        "user.role != 'admin'",
        "'x' in user.permissions",
        "user.permissions.exists(p, p in ['a', 'b'])",
        "user.permissions.exists(p, p == 'a') && !user.groups.all(g, g in ['b'])",
        "day > timestamp('2024-01-01T00:00:00Z') + duration('24h')",
        "n > 10 && user.email.endsWith('@x') && n < 2 * 3 * 4 && 'p' in user.permissions",
        "user.role == 'a' && n == 1",
        "n == 1 || user.role == 'a' || user.role == 'b'",
        "response.exists(r, r.open || user.groups.exists(g, g.startsWith('a')))",
        "'x' in user.permissions ? n > 1 : n > 2",
        "now() > day || user.role == 'a'",
        "n == 1 || 1 / 0 == 1 || 'a' == 'a'",
        "response.filter(r, r.a > 1).size() == 0",
        "cel.bind(x, n + 1, x * x > 4) && math.greatest(1, 2) == n",
    ] {
        let (compiled, found) = expression(text, &environment());
        let (program, _) = compiled.unwrap_or_else(|| panic!("{text}: {found:?}"));
        let layout = Layout { user: 10, params: 2, response: true };
        Predicate::link(&program, &layout, &mut Symbols::default()).unwrap();
        writeln!(all, "{text}\n{}", Listing(&program)).unwrap();
    }
    insta::assert_snapshot!("code", all);
}

#[test]
fn large_conditions_are_linked_with_few_registers() {
    let terms: Vec<String> = (0..60).map(|i| format!("(n > {i} || user.role == 'r{i}')")).collect();
    let (compiled, found) = condition(&terms.join(" && "), &environment());
    let (program, _) = compiled.unwrap_or_else(|| panic!("{found:?}"));
    assert!(program.registers < 8, "{}", program.registers);
    let layout = Layout { user: 10, params: 2, response: true };
    Predicate::link(&program, &layout, &mut Symbols::default()).unwrap();
}

#[test]
fn loops_in_loops_beside_loops_are_linked() {
    for text in [
        "[1, 2].map(x, [x].filter(y, y > 1).map(z, [z, n])).size() == 2 && [n].exists(a, a > 1)",
        "[[n]].all(l, l.all(x, x > 0 && l.exists_one(y, y == x)))",
        "{'a': n}.transformMap(k, v, v + 1).exists(k, {k: n}.all(j, j == k))",
        "response.all(r, r.exists(x, user.groups.exists(g, g == x || g.contains('b'))))",
        "response.all(r, user.groups.all(g, g != 'a' && g.size() > 1) || r.map(x, x).size() > n)",
    ] {
        for plain in [false, true] {
            let compile = if plain { super::super::expression_plainly } else { expression };
            let (compiled, found) = compile(text, &environment());
            let (program, _) = compiled.unwrap_or_else(|| panic!("{text}: {found:?}"));
            let layout = Layout { user: 10, params: 2, response: true };
            let linked = Predicate::link(&program, &layout, &mut Symbols::default());
            assert!(linked.is_ok(), "{text}: {linked:?}\n{}", Listing(&program));
        }
    }
}
