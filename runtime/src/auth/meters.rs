//! One meter for each person: whoever has many tokens, or many clients, has the limits of one caller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::secret::Digest;
use crate::gate::Meter;

/// The meters of people whose tokens are in use, by person.
#[derive(Debug, Default)]
pub struct Meters {
    open: Mutex<HashMap<Digest, Weak<Meter>>>,
}

impl Meters {
    /// The meter of a person, whom an issuer vouches for.
    pub fn of(&self, issuer: &str, subject: &str) -> Arc<Meter> {
        let person = Digest::of(&format!("{}\n{issuer}{subject}", issuer.len()));
        let mut open = self.lock();
        if let Some(meter) = open.get(&person).and_then(Weak::upgrade) {
            return meter;
        }
        let meter = Arc::default();
        open.insert(person, Arc::downgrade(&meter));
        meter
    }

    /// Forgets those that nobody uses.
    pub fn sweep(&self) {
        self.lock().retain(|_, meter| meter.strong_count() > 0);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Weak<Meter>>> {
        // Nothing panics while it holds this, and the map is whole at any time.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_one_meter_as_long_as_somebody_uses_it() {
        let meters = Meters::default();
        let ada = meters.of("https://idp.example", "ada");
        assert!(Arc::ptr_eq(&ada, &meters.of("https://idp.example", "ada")));
        for (issuer, subject) in [
            ("https://idp.example", "bob"),
            ("https://other.example", "ada"),
            ("https://idp.examplea", "da"),
        ] {
            assert!(!Arc::ptr_eq(&ada, &meters.of(issuer, subject)), "{issuer} {subject}");
        }
        meters.sweep();
        assert_eq!(meters.lock().len(), 1);
        drop(ada);
        meters.sweep();
        assert!(meters.lock().is_empty());
    }
}
