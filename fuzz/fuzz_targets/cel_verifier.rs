//! Any bytes as the archived form of predicate code, as a bundle holds it: refused, or linked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mxcp_policy::datum::Symbols;
use mxcp_policy::predicate::Predicate;
use mxcp_policy::verify::Layout;
use mxcp_schemas::bundle::code::{ArchivedProgram, Program};
use rkyv::rancor::Error;

fuzz_target!(|bytes: &[u8]| {
    let mut aligned = rkyv::util::AlignedVec::<16>::new();
    aligned.extend_from_slice(bytes);
    let Ok(archived) = rkyv::access::<ArchivedProgram, Error>(&aligned) else { return };
    let Ok(program) = rkyv::deserialize::<Program, Error>(archived) else { return };
    let layout = Layout { user: 3, params: 3, response: true };
    let _ = Predicate::link(&program, &layout, &mut Symbols::default());
});
