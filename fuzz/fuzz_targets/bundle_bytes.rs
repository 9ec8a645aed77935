//! Any bytes as a bundle: refused, whatever they are, unless they are one. And what would come behind the
//! digest, which no mutation gets past: archives, types, the code of conditions, endpoints.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mxcp_runtime::serve::Linked;
use mxcp_schemas::bundle::container::{AlignedBytes, Header, open, reopen};

fuzz_target!(|bytes: &[u8]| {
    let copy = AlignedBytes::copy(bytes);
    let _ = open(copy.bytes(), None);
    let header = Header { build_number: 0, digest: [0; 32], signer: None };
    if let Ok(opened) = reopen(copy.bytes(), header)
        && let Ok(linked) = Linked::of(&opened)
    {
        let _ = linked.verify();
    }
});
