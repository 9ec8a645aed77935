//! Any bytes as a bundle: refused, whatever they are, unless they are one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mxcp_schemas::bundle::container::{AlignedBytes, open};

fuzz_target!(|bytes: &[u8]| {
    let _ = open(AlignedBytes::copy(bytes).bytes(), None);
});
