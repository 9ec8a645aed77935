//! How a trail is doing: for readiness, for operators, for metrics.

/// How a trail is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Whether records are kept at all.
    pub enabled: bool,
    /// Why records cannot be written at present; none if they can.
    pub trouble: Option<String>,
    /// Operations that run, and whose records are waited for.
    pub expected: usize,
    /// Records that wait.
    pub waiting: usize,
    /// Records written since the trail was opened.
    pub written: u64,
    /// Commits since then.
    pub commits: u64,
    /// Records that could not be written since then.
    pub failed: u64,
    /// Operations that were not answered since then because their record was not on disk in time.
    pub refused: u64,
}

/// A number of a trail, as metrics have it.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// its name
    pub name: &'static str,
    /// what it counts
    pub meaning: &'static str,
    /// whether it only grows
    pub is_counter: bool,
    /// its value
    pub read: fn(&Health) -> u64,
}

/// The numbers of a trail, sorted by name.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "mxcp.audit.commits",
        meaning: "Commits of the audit trail, each of one or more records.",
        is_counter: true,
        read: |health| health.commits,
    },
    Metric {
        name: "mxcp.audit.expected",
        meaning: "Operations that run, and whose records the audit trail waits for.",
        is_counter: false,
        read: |health| health.expected as u64,
    },
    Metric {
        name: "mxcp.audit.failed",
        meaning: "Records that could not be written.",
        is_counter: true,
        read: |health| health.failed,
    },
    Metric {
        name: "mxcp.audit.refused",
        meaning: "Operations that were not answered because they could not be recorded in time.",
        is_counter: true,
        read: |health| health.refused,
    },
    Metric {
        name: "mxcp.audit.trouble",
        meaning: "1 while the audit trail cannot be written, else 0.",
        is_counter: false,
        read: |health| u64::from(health.trouble.is_some()),
    },
    Metric {
        name: "mxcp.audit.waiting",
        meaning: "Records that wait to be written.",
        is_counter: false,
        read: |health| health.waiting as u64,
    },
    Metric {
        name: "mxcp.audit.written",
        meaning: "Records written since the trail was opened.",
        is_counter: true,
        read: |health| health.written,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_metric() {
        assert!(METRICS.is_sorted_by_key(|metric| metric.name));
        let trouble = Some("the disk is full".to_owned());
        let health = Health {
            enabled: true,
            trouble,
            expected: 4,
            waiting: 3,
            written: 5,
            commits: 2,
            failed: 7,
            refused: 9,
        };
        let values: Vec<u64> = METRICS.iter().map(|metric| (metric.read)(&health)).collect();
        assert_eq!(values, [2, 4, 7, 9, 1, 3, 5]);
        assert_eq!(METRICS.iter().map(|m| (m.read)(&Health::default())).sum::<u64>(), 0);
    }
}
