//! The limits of a server, each with its unit and its default.
//!
//! One table gives names, defaults and meanings; the profile's settings in a bundle are read by it,
//! and so is the documentation.

use std::time::Duration;

macro_rules! limits {
    ($( $(#[doc = $doc:literal])+ $name:ident = $default:expr; )+) => {
        /// The limits of a server.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $( $(#[doc = $doc])+ pub $name: u64, )+
        }

        /// Names, defaults and meanings of all limits, sorted by name.
        pub const LIMITS: &[(&str, u64, &str)] =
            &[$( (stringify!($name), $default, concat!($($doc),+)), )+];

        impl Default for Limits {
            fn default() -> Self {
                Self { $( $name: $default, )+ }
            }
        }

        impl Limits {
            fn field(&mut self, name: &str) -> Option<&mut u64> {
                match name {
                    $( stringify!($name) => Some(&mut self.$name), )+
                    _ => None,
                }
            }
        }
    };
}

limits! {
    /// Bytes of one string within the arguments of a call.
    max_argument_bytes = 1 << 20;
    /// Bytes of a message.
    max_body_bytes = 4 << 20;
    /// Calls of one caller that run at the same time.
    max_calls_per_principal = 256;
    /// Calls of one caller per second; as many may come at once after a pause.
    max_calls_per_second = 50_000;
    /// Calls that run at the same time.
    max_concurrent_calls = 1_024;
    /// Bytes of the head of an HTTP request.
    max_header_bytes = 32 << 10;
    /// Containers within containers of a message; more than 64 is never accepted.
    max_json_depth = 64;
    /// Sessions that are open at the same time.
    max_open_sessions = 10_000;
    /// Python worker processes.
    max_python_workers = 4;
    /// Bytes of a result.
    max_result_bytes = 16 << 20;
    /// Rows of a result.
    max_result_rows = 100_000;
    /// Bytes that the templates of a prompt may write, together.
    max_template_output_bytes = 1 << 20;
    /// Milliseconds that a Python function may run.
    python_timeout_ms = 30_000;
    /// Milliseconds that a SQL statement may run.
    query_timeout_ms = 30_000;
    /// Milliseconds after which a session that nobody uses ends.
    session_idle_ms = 1_800_000;
    /// Milliseconds that calls in flight get to finish when the server stops.
    shutdown_timeout_ms = 10_000;
    /// Milliseconds within which the head of an HTTP request, and then its body, must be there.
    slow_request_timeout_ms = 30_000;
    /// Connections to the database, each with a thread of its own; 0 is one per processor.
    sql_workers = 0;
}

/// A limit that this release does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no limit `{0}`; build the bundle with the `mxcp` of this release")]
pub struct UnknownLimit(String);

impl Limits {
    /// The limits that a profile sets, and defaults for all others.
    ///
    /// # Errors
    /// When a name is unknown: a limit that is silently not there would be worse than none.
    pub fn new(set: &[(String, u64)]) -> Result<Self, UnknownLimit> {
        let mut limits = Self::default();
        for (name, value) in set {
            *limits.field(name).ok_or_else(|| UnknownLimit(name.clone()))? = *value;
        }
        Ok(limits)
    }

    /// A limit in milliseconds as a duration.
    pub const fn duration(limit_ms: u64) -> Duration {
        Duration::from_millis(limit_ms)
    }
}

/// A limit as a size in memory; what no memory could hold is as good as the largest.
pub fn size(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_settable() {
        assert!(LIMITS.is_sorted_by_key(|(name, ..)| name));
        for (name, default, meaning) in LIMITS {
            assert!(meaning.trim().ends_with('.'), "{name}");
            let limits = Limits::new(&[((*name).to_owned(), default + 1)]).unwrap();
            assert_ne!(limits, Limits::default(), "{name}");
        }
        let error = Limits::new(&[("max_nonsense".into(), 1)]).unwrap_err();
        assert!(error.to_string().contains("`max_nonsense`"));
    }
}
