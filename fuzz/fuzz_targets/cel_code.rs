//! Any bytes as predicate code: refused by the verifier, or code that ends within its budget and
//! about which machine code and the interpreter do not disagree.
#![no_main]

#[path = "../../runtime/policy/tests/machine/random.rs"]
mod random;

use libfuzzer_sys::fuzz_target;
use mxcp_policy::agreement::{Ways, WaysError};
use mxcp_policy::datum::{Datum, Instant, List, Symbols};
use mxcp_policy::interpret::{Inputs, Request};
use mxcp_policy::verify::Layout;

const LAYOUT: Layout = Layout { user: 3, params: 3, response: true };

fuzz_target!(|bytes: &[u8]| {
    let Some((&variant, bytes)) = bytes.split_first() else { return };
    let mut symbols = Symbols::default();
    let ways = match Ways::link(&random::program(bytes), &LAYOUT, &mut symbols) {
        Ok(ways) => ways,
        Err(WaysError::Link(_)) => return,
        Err(error) => panic!("{error}"),
    };
    let text = |text: &str| Datum::String(symbols.text(text));
    let odd = variant & 1 == 1;
    let list: List = [text("b"), Datum::Int(3), Datum::Null].into_iter().collect();
    let map = |value| Datum::Map([(symbols.text("a"), text("a")), (symbols.text("b"), value)].into());
    let user = [
        if odd { text("stranger") } else { text("a") },
        Datum::List(if odd { List::indexed([text("b"), text("x")].into()) } else { list.clone() }),
        if variant & 2 == 0 { Datum::Null } else { Datum::Error("wrong".into()) },
    ];
    let params = [
        if variant & 4 == 0 { Datum::Int(3) } else { Datum::Uint(3) },
        if odd { Datum::List(list) } else { map(Datum::Int(2)) },
        if variant & 8 == 0 { Datum::Double(1.5) } else { Datum::Int(i64::MAX) },
    ];
    let request = Request {
        time: Instant { seconds: 1_700_000_000, nanos: 1 },
        tool: symbols.text("a"),
        session_id: None,
        client_ip: None,
    };
    let response = map(Datum::Bool(odd));
    let inputs = Inputs {
        user: &user,
        user_map: &Datum::Null,
        params: &params,
        response: Some(&response),
        request: &request,
    };
    if let Err(disagreement) = ways.run(&inputs) {
        panic!("{disagreement}");
    }
});
