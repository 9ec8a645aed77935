//! Any bytes as a message: read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mxcp_runtime::mcp::jsonrpc::read;

fuzz_target!(|bytes: &[u8]| {
    let _ = read(bytes, 1 << 20, 64);
});
