//! What benchmarks share: medians, and tables that show the alternative beside ours.

use std::fs;
use std::time::Duration;

/// Figures of one kind, one per round.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Adds a figure.
    pub fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// Adds a time, in milliseconds.
    pub fn add_ms(&mut self, time: Duration) {
        self.add(time.as_secs_f64() * 1_000.0);
    }

    /// The figure in the middle.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The figure below which this share of all figures is.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a short list"
        )]
        let at = (share * (sorted.len().saturating_sub(1)) as f64).round() as usize;
        sorted.get(at).copied().unwrap_or(f64::NAN)
    }

    /// Median, least and greatest, as a benchmark prints them.
    pub fn show(&self, unit: &str) -> String {
        let (median, least, most) = (self.median(), self.quantile(0.0), self.quantile(1.0));
        format!("{median:>9.2} {unit}  ({least:.2} to {most:.2}, {} rounds)", self.0.len())
    }
}

/// Prints one row of a benchmark.
pub fn row(name: &str, sample: &Sample, unit: &str) {
    println!("{name:<44} {}", sample.show(unit));
}

/// Prints how a figure relates to its goal.
pub fn goal(name: &str, figure: f64, unit: &str, relation: &str, wanted: f64) {
    let holds = if relation == "at most" { figure <= wanted } else { figure >= wanted };
    let verdict = if holds { "holds" } else { "MISSED" };
    println!("  goal: {name} {figure:.2} {unit}, {relation} {wanted} {unit}: {verdict}");
}

/// The resident memory of a process, in mebibytes.
pub fn resident_mib(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a running process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a resident size");
    let kib: f64 =
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number");
    kib / 1_024.0
}

/// How many rounds a benchmark makes: `MXCP_BENCH_ROUNDS`, or this many.
pub fn rounds(otherwise: usize) -> usize {
    std::env::var("MXCP_BENCH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}
