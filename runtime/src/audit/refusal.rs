//! Refusals before authentication, summed: a flood of them costs some records a second, however
//! many they are and from however many addresses they come.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use jiff::Timestamp;
use mxcp_schemas::audit::{CallerType, Client, OperationStatus, OperationType, Record};
use serde_json::json;

use super::call::CallId;
use super::queue::lock;

/// Sums kept apart between two flushes; what is beyond is summed without its address.
pub const REFUSAL_SUMS_MAX: usize = 32;

/// A request that was refused before anybody knew who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// How it came.
    pub caller: CallerType,
    /// Where it came from.
    pub address: Option<IpAddr>,
    /// Why it was refused: one of a fixed set of words such as `invalid_token`, `origin`, `body_size`.
    pub reason: &'static str,
}

/// The sums since the last flush.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    sums: Mutex<HashMap<Key, Sum>>,
}

/// How it came, from where, and why it was refused.
type Key = (CallerType, Option<IpAddr>, &'static str);

#[derive(Debug, Clone, Copy)]
struct Sum {
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

impl Refusals {
    /// Adds a refusal to its sum.
    pub(super) fn add(&self, refusal: &Refusal) {
        let now = Timestamp::now();
        let key = (refusal.caller, refusal.address.map(network), refusal.reason);
        let mut sums = lock(&self.sums);
        let has_room = sums.len() < REFUSAL_SUMS_MAX || sums.contains_key(&key);
        let key = if has_room { key } else { (refusal.caller, None, refusal.reason) };
        let sum = sums.entry(key).or_insert(Sum { count: 0, first: now, last: now });
        sum.count += 1;
        sum.last = now;
    }

    /// Takes the sums as records. Those that `take` gives back are kept for the next time.
    pub(super) fn flush(&self, mut take: impl FnMut(Vec<u8>) -> bool) {
        let sums = std::mem::take(&mut *lock(&self.sums));
        for ((caller, address, reason), sum) in sums {
            let body = record(caller, address, reason, sum);
            if !take(body) {
                let mut kept = lock(&self.sums);
                let entry = kept.entry((caller, address, reason)).or_insert(sum);
                if entry.first != sum.first {
                    entry.count += sum.count;
                    entry.first = sum.first;
                }
            }
        }
    }
}

/// An address as it is summed: one of IPv6 by its /64, which one host has to itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn record(caller: CallerType, address: Option<IpAddr>, reason: &str, sum: Sum) -> Vec<u8> {
    let id = CallId::begin();
    let ip = address.map(|address| address.to_string());
    let event = json!({
        "count": sum.count,
        "first": format!("{:.6}", sum.first),
        "last": format!("{:.6}", sum.last),
    });
    let mut record = Record::new(
        id.as_str(),
        Timestamp::now(),
        caller,
        OperationType::Auth,
        "refused",
        OperationStatus::Error,
    );
    record.error = Some(reason);
    record.client = Some(Client { id: None, ip: ip.as_deref() });
    record.event = Some(&event);
    let mut body = Vec::with_capacity(1_024);
    record.encode(&mut body);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(address: &str) -> Refusal {
        let address = Some(address.parse().unwrap());
        Refusal { caller: CallerType::Http, address, reason: "invalid_token" }
    }

    fn flushed(refusals: &Refusals) -> Vec<serde_json::Value> {
        let mut bodies = Vec::new();
        refusals.flush(|mut body| {
            body.push(b'}');
            bodies.push(serde_json::from_slice(&body).unwrap());
            true
        });
        bodies
    }

    #[test]
    fn a_flood_becomes_few_records_and_none_is_forgotten() {
        let refusals = Refusals::default();
        for i in 0..10_000_u32 {
            refusals.add(&refusal(&format!("10.0.{}.{}", i / 250 % 250, i % 250)));
        }
        let records = flushed(&refusals);
        assert_eq!(records.len(), REFUSAL_SUMS_MAX + 1);
        let count = |r: &serde_json::Value| r["event"]["count"].as_u64().unwrap();
        assert_eq!(records.iter().map(count).sum::<u64>(), 10_000);
        assert!(flushed(&refusals).is_empty());
    }

    #[test]
    fn hosts_are_summed_and_what_cannot_be_written_is_kept() {
        let refusals = Refusals::default();
        refusals.add(&refusal("2001:db8::1"));
        refusals.add(&refusal("2001:db8::2"));
        refusals.flush(|_| false);
        refusals.add(&refusal("2001:db8::3"));
        let records = flushed(&refusals);
        assert_eq!(records.len(), 1);
        assert_eq!(records[0]["event"]["count"], 3);
        assert_eq!(records[0]["client"]["ip"], "2001:db8::");
        assert_eq!(records[0]["operation_type"], "auth");
        assert_eq!(records[0]["error"], "invalid_token");
    }
}
