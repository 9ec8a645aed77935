//! Calls that will be recorded, and have not come to anything yet.
//!
//! Whoever writes waits for more records only as long as more of them are to come than wait already:
//! calls that wait for the disk keep no processor busy, so waiting for the last of them would leave the
//! processors idle, and then bring all of them back at once.

use std::sync::Arc;

use super::queue::Shared;

/// A call that will be recorded. Dropped just before its record is reported.
#[derive(Debug)]
#[must_use = "it counts for as long as it is kept"]
pub struct UnderWay(Arc<Shared>);

impl UnderWay {
    pub(super) fn begin(shared: &Arc<Shared>) -> Self {
        shared.begin_call();
        Self(Arc::clone(shared))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.end_call();
    }
}
