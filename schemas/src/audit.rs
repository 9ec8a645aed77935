//! The audit record.
//!
//! One table of rows says which fields a record has, what each means and which type it has. The
//! structs that are filled in, the line that is written, the columns that queries read and the
//! documentation all derive from it: adding a field is adding a row.
//!
//! A record is one line of JSON. Names and meanings of MXCP's own fields are kept, so that
//! existing dashboards and `jq` programs go on working.

mod cell;
mod text;

use std::fmt::Write as _;

pub use cell::{Cell, Client, Column, Principal};
pub use text::{Json, JsonText, LIST_ITEMS_MAX, TEXT_BYTES_MAX, VALUE_BYTES_MAX, VALUE_DEPTH_MAX};

/// Length that no line reaches, in bytes: what the limits of the single fields add up to, rounded
/// up. Readers may refuse longer lines.
pub const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where a field's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The same in every record.
    Fixed,
    /// Said by whoever reports the operation.
    Operation,
    /// Added by the writer of the trail.
    Trail,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The member's name.
    pub name: &'static str,
    /// What it means, one or more sentences.
    pub meaning: &'static str,
    /// Its type in queries.
    pub column: Column,
    /// Where its value comes from.
    pub origin: Origin,
}

macro_rules! rows {
    (
        lifetime $a:lifetime
        fixed { $( $(#[doc = $fixed_doc:literal])+ $fixed:ident : $fixed_ty:ty = $fixed_value:expr; )+ }
        required { $( $(#[doc = $req_doc:literal])+ $req:ident : $req_ty:ty; )+ }
        optional { $( $(#[doc = $opt_doc:literal])+ $opt:ident : $opt_ty:ty; )+ }
        trail { $( $(#[doc = $seal_doc:literal])+ $seal:ident : $seal_ty:ty; )+ }
        last { $(#[doc = $hash_doc:literal])+ $hash:ident : $hash_ty:ty; }
    ) => {
        /// What happened, borrowed from whoever reports it.
        #[derive(Debug, Clone, Copy)]
        pub struct Record<$a> {
            $( $(#[doc = $req_doc])+ pub $req: $req_ty, )+
            $( $(#[doc = $opt_doc])+ pub $opt: $opt_ty, )+
        }

        impl<$a> Record<$a> {
            /// All fields in the order in which a line has them.
            pub const FIELDS: &'static [Field] = &[
                $( row::<$fixed_ty>(stringify!($fixed), concat!($($fixed_doc),+), Origin::Fixed), )+
                $( row::<$req_ty>(stringify!($req), concat!($($req_doc),+), Origin::Operation), )+
                $( row::<$opt_ty>(stringify!($opt), concat!($($opt_doc),+), Origin::Operation), )+
                $( row::<$seal_ty>(stringify!($seal), concat!($($seal_doc),+), Origin::Trail), )+
                row::<$hash_ty>(stringify!($hash), concat!($($hash_doc),+), Origin::Trail),
            ];

            /// A record with nothing but what every record has.
            pub fn new($($req: $req_ty),+) -> Self {
                Self { $($req,)+ $($opt: Default::default(),)+ }
            }

            /// Appends the beginning of the line: everything that is known before the record has
            /// its place in a trail.
            pub fn encode(&self, out: &mut Vec<u8>) {
                let mut lead = b'{';
                $( member(out, &mut lead, stringify!($fixed), &($fixed_value as $fixed_ty)); )+
                $( member(out, &mut lead, stringify!($req), &self.$req); )+
                $( member(out, &mut lead, stringify!($opt), &self.$opt); )+
            }
        }

        /// What a record's place in its trail is.
        #[derive(Debug, Clone, Copy)]
        pub struct Seal<$a> {
            $( $(#[doc = $seal_doc])+ pub $seal: $seal_ty, )+
        }

        impl Seal<'_> {
            /// Appends the rest of the line up to where the hash of all that is written.
            pub fn encode(&self, out: &mut Vec<u8>) {
                let mut lead = b',';
                $( member(out, &mut lead, stringify!($seal), &self.$seal); )+
            }
        }

        /// Name of the last member, the hash of everything before it.
        pub const HASH_FIELD: &str = stringify!($hash);
    };
}

rows! {
    lifetime 'a
    fixed {
        /// Always `mxcp.endpoints`.
        schema_name: &'static str = "mxcp.endpoints";
        /// Version of this table; MXCP's own records have 1.
        schema_version: u64 = 2;
    }
    required {
        /// Identifies the record and the operation (UUIDv7, made when the operation began): the
        /// call id that error texts and `_meta` of a result carry.
        record_id: &'a str;
        /// When the record was made, at the operation's end. Records are ordered by `seq`, not by this.
        timestamp: jiff::Timestamp;
        /// How the caller reached the server.
        caller_type: CallerType;
        /// What kind of operation it was.
        operation_type: OperationType;
        /// Which one: a tool's or prompt's name, a resource's URI template, a method, or the kind of a
        /// `system` record.
        operation_name: &'a str;
        /// How it ended.
        operation_status: OperationStatus;
    }
    optional {
        /// How long it took, in milliseconds, rounded down.
        duration_ms: u64;
        /// How long it took, in microseconds.
        duration_us: u64;
        /// The arguments, redacted.
        input_data: Option<&'a dyn Json>;
        /// The result as the client got it, redacted; recorded only if configured.
        output_data: Option<&'a dyn Json>;
        /// Class of the error and where it arose; never values.
        error: Option<&'a str>;
        /// The caller's identifier.
        user_id: Option<&'a str>;
        /// The caller as the identity provider describes it.
        principal: Option<Principal<'a>>;
        /// The attributes of the caller that the policies read, so that a decision can be replayed.
        user_attributes: Option<&'a dyn Json>;
        /// The program that called: its identifier and its address.
        client: Option<Client<'a>>;
        /// Session of the transport or of the caller's login.
        session_id: Option<&'a str>;
        /// Trace of the request, for joining with telemetry.
        trace_id: Option<&'a str>;
        /// Digest of the bundle that was being served.
        bundle: Option<&'a str>;
        /// Names of the policies whose conditions were asked.
        policies_evaluated: &'a [&'a str];
        /// Names of those whose conditions were true, or failed and therefore count as true.
        policies_fired: &'a [&'a str];
        /// What the policies decided: `warn` means that the output was changed; null, that there was
        /// no policy.
        policy_decision: Option<PolicyDecision>;
        /// The reason that the deciding policy gives.
        policy_reason: Option<&'a str>;
        /// Paths that policies removed from the result or masked in it.
        masked_fields: &'a [&'a str];
        /// What the operator or the endpoint adds about the business at hand.
        business_context: Option<&'a dyn Json>;
        /// What happened on the way: elicitations, progress, retries.
        execution_events: Option<&'a dyn Json>;
        /// What a `system` record is about; its members depend on `operation_name`.
        event: Option<&'a dyn Json>;
    }
    trail {
        /// The trail that the record belongs to.
        trail_id: &'a str;
        /// Its number in the trail, from one.
        seq: u64;
        /// `record_hash` of the record before it; null in a trail's first.
        prev_hash: Option<&'a str>;
        /// Ed25519 signature of a checkpoint or a tombstone; null elsewhere.
        signature: Option<&'a str>;
    }
    last {
        /// SHA-256, in hexadecimal, over a domain tag and the exact bytes of the line before this
        /// member.
        record_hash: &'a str;
    }
}

impl Record<'_> {
    /// Sets both durations.
    #[must_use]
    pub fn took(mut self, duration: std::time::Duration) -> Self {
        self.duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self
    }
}

/// The columns of a trail as DuckDB's `read_json` takes them: a struct literal of names and types.
pub fn duckdb_columns() -> String {
    let columns: Vec<String> =
        Record::FIELDS.iter().map(|f| format!("{}: '{}'", f.name, f.column.duckdb())).collect();
    format!("{{{}}}", columns.join(", "))
}

/// The table as Markdown, for the documentation.
pub fn reference() -> String {
    let mut page = String::from("| field | type | meaning |\n|---|---|---|\n");
    for field in Record::FIELDS {
        let (name, column, meaning) = (field.name, field.column.words(), field.meaning.trim());
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| `{name}` | {column} | {} |", meaning.replace('|', "\\|"));
    }
    page
}

const fn row<C: Cell>(name: &'static str, meaning: &'static str, origin: Origin) -> Field {
    Field { name, meaning, column: C::COLUMN, origin }
}

fn member<C: Cell>(out: &mut Vec<u8>, lead: &mut u8, name: &str, value: &C) {
    out.push(std::mem::replace(lead, b','));
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    value.write(out);
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $( #[doc = $doc:literal] $variant:ident = $word:literal, )+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $( #[doc = $doc] $variant, )+
        }

        impl $name {
            /// All values with the words that records use for them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word that records use.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The value of that word.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl Cell for $name {
            const COLUMN: Column = Column::Text;
            fn write(&self, out: &mut Vec<u8>) {
                self.as_str().write(out);
            }
        }
    };
}

words! {
    /// How a caller reached the server.
    CallerType {
        /// Over HTTP.
        Http = "http",
        /// Over standard input and output.
        Stdio = "stdio",
        /// From the command line; also the trail's own records.
        Cli = "cli",
    }
}

words! {
    /// What kind of operation a record is about.
    OperationType {
        /// A tool was called.
        Tool = "tool",
        /// A resource was read.
        Resource = "resource",
        /// A prompt was rendered.
        Prompt = "prompt",
        /// Something was listed, completed or subscribed to.
        List = "list",
        /// Somebody was authenticated, or was not.
        Auth = "auth",
        /// The trail or the server speaks about itself.
        System = "system",
    }
}

words! {
    /// How an operation ended.
    OperationStatus {
        /// As asked.
        Success = "success",
        /// Refused or failed.
        Error = "error",
    }
}

words! {
    /// What policies decided.
    PolicyDecision {
        /// Nothing stood against it.
        Allow = "allow",
        /// It was refused.
        Deny = "deny",
        /// It was allowed and its output changed.
        Warn = "warn",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn line(record: &Record<'_>) -> Value {
        let mut out = Vec::new();
        record.encode(&mut out);
        Seal { trail_id: "t", seq: 7, prev_hash: Some(HASH), signature: None }.encode(&mut out);
        out.extend_from_slice(b"}");
        assert!(out.iter().all(|b| *b != b'\n' && *b != b'\r'));
        serde_json::from_slice(&out).expect("a line is JSON")
    }

    fn record(name: &str) -> Record<'_> {
        Record::new(
            "0190163d-8694-739b-aea5-966c26f8ad91",
            jiff::Timestamp::from_microsecond(1_720_714_859_000_001).expect("in range"),
            CallerType::Http,
            OperationType::Tool,
            name,
            OperationStatus::Success,
        )
    }

    #[test]
    fn a_line_has_every_field_in_order_but_the_hash() {
        let value = line(&record("t"));
        let names: Vec<&str> =
            value.as_object().expect("object").keys().map(String::as_str).collect();
        let table: Vec<&str> = Record::FIELDS.iter().map(|f| f.name).collect();
        assert_eq!(names, table[..table.len() - 1]);
        assert_eq!(table.last(), Some(&HASH_FIELD));
        assert!(Record::FIELDS.iter().all(|f| f.meaning.trim().ends_with('.')));
    }

    #[test]
    fn values_keep_their_types() {
        let input = json!({"id": 3, "name": "a\u{2028}b\n"});
        let mut r = record("q\"uote").took(std::time::Duration::from_micros(1_999));
        r.input_data = Some(&input);
        r.policies_fired = &["input[0]"];
        r.policy_decision = Some(PolicyDecision::Deny);
        r.principal = Some(Principal { username: Some("ann"), email: None, provider: None });
        let value = line(&r);
        assert_eq!(value["timestamp"], "2024-07-11T16:20:59.000001Z");
        assert_eq!(value["operation_name"], "q\"uote");
        assert_eq!((&value["duration_ms"], &value["duration_us"]), (&json!(1), &json!(1999)));
        assert_eq!(value["input_data"], input);
        assert_eq!(value["policies_fired"], json!(["input[0]"]));
        assert_eq!(value["policy_decision"], "deny");
        assert_eq!(value["principal"], json!({"username": "ann", "email": null, "provider": null}));
        assert_eq!(value["output_data"], Value::Null);
    }

    #[test]
    fn columns_and_reference_name_every_field() {
        let (columns, page) = (duckdb_columns(), reference());
        for field in Record::FIELDS {
            assert!(columns.contains(&format!("{}: '", field.name)));
            assert!(page.contains(&format!("| `{}` |", field.name)));
        }
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for status in OperationStatus::ALL {
            assert_eq!(OperationStatus::parse(status.as_str()), Some(*status));
        }
        assert_eq!(PolicyDecision::parse("n/a"), None);
    }

    #[test]
    fn the_largest_record_stays_below_the_limit_of_a_line() {
        let long = "\u{1}".repeat(TEXT_BYTES_MAX * 3);
        let long = long.as_str();
        let list = vec![long; LIST_ITEMS_MAX * 2];
        let huge = json!(vec![long; 64]);
        let huge: Option<&dyn Json> = Some(&huge);
        let mut r = record(long);
        (r.record_id, r.error, r.user_id) = (long, Some(long), Some(long));
        (r.session_id, r.trace_id, r.bundle) = (Some(long), Some(long), Some(long));
        r.policy_reason = Some(long);
        r.principal =
            Some(Principal { username: Some(long), email: Some(long), provider: Some(long) });
        r.client = Some(Client { id: Some(long), ip: Some(long) });
        (r.policies_evaluated, r.policies_fired, r.masked_fields) = (&list, &list, &list);
        (r.input_data, r.output_data, r.user_attributes) = (huge, huge, huge);
        (r.business_context, r.execution_events, r.event) = (huge, huge, huge);
        let mut out = Vec::new();
        r.encode(&mut out);
        assert!(out.len() < LINE_BYTES_MAX, "{} bytes", out.len());
        line(&r);
    }
}
