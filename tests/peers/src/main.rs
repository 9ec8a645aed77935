//! Nanoseconds per evaluation of twelve conditions, side by side in one run: hand-written Rust,
//! machine code, the interpreter, and the crates `cel`, `regorus` and `cedar-policy`, each with its
//! context built before and built anew each time.
//!
//! ```text
//! cargo run --release --manifest-path tests/peers/Cargo.toml [conditions|more|compile|check]
//! ```

mod hand;
mod ours;
mod peers;
mod world;

use std::time::{Duration, Instant};

use world::World;

/// The allocator of the shipped programs, for all.
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long one batch runs: shorter than a slice of a busy machine's scheduler.
const BATCH: Duration = Duration::from_millis(2);
/// Batches of which the median counts.
const BATCHES: usize = 41;

/// A condition in the languages that can express it.
pub struct Case {
    pub name: &'static str,
    pub cel: String,
    pub rego: Option<String>,
    pub cedar: Option<String>,
}

impl Case {
    /// Whether the condition mentions a name.
    pub fn reads(&self, name: &str) -> bool {
        self.cel.contains(name)
    }
}

/// How long one call took, over batches.
#[derive(Clone, Copy)]
pub struct Time {
    pub median: f64,
    pub least: f64,
}

impl Time {
    fn of(mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        Self { median: all[all.len() / 2], least: all[0] }
    }
}

/// Nanoseconds of a call.
pub fn measure(mut run: impl FnMut() -> bool, expected: bool) -> Time {
    assert_eq!(run(), expected, "it answers something else");
    let mut count = 1_u32;
    let spent = loop {
        let begin = Instant::now();
        for _ in 0..count {
            std::hint::black_box(run());
        }
        let spent = begin.elapsed();
        if spent > BATCH / 4 || count > 1 << 28 {
            break spent;
        }
        count *= 2;
    };
    let count = (f64::from(count) * BATCH.as_secs_f64() / spent.as_secs_f64()).max(1.0) as u32;
    let batch = || {
        let begin = Instant::now();
        for _ in 0..count {
            std::hint::black_box(run());
        }
        begin.elapsed().as_nanos() as f64 / f64::from(count)
    };
    Time::of(std::iter::repeat_with(batch).take(BATCHES).collect())
}

fn cell(time: Option<f64>) -> String {
    match time {
        None => "–".to_owned(),
        Some(n) if n < 100.0 => format!("{n:.1}"),
        Some(n) => {
            let digits = format!("{n:.0}");
            let mut text = String::new();
            for (i, digit) in digits.chars().enumerate() {
                if i > 0 && (digits.len() - i) % 3 == 0 {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
    }
}

/// The columns of a condition, as medians and as the least.
fn row(case: &Case, world: &World, hand: Option<(bool, Time)>) -> [String; 2] {
    let expected = hand.is_none_or(|(told, _)| told);
    let ours = ours::measure(case, world, expected);
    let cel = peers::cel(case, world, expected);
    let rego = case.rego.as_ref().map(|rego| peers::regorus(case, rego, world, expected));
    let cedar = case.cedar.as_ref().map(|text| peers::cedar(text, world, expected));
    [|time: Time| time.median, |time: Time| time.least].map(|which| {
        let pair = |pair: Option<(Time, Time)>| {
            pair.map_or([None; 2], |(built, building)| [Some(which(built)), Some(which(building))])
        };
        let (hand, [cel, cel_building]) = (hand.map(|(_, time)| which(time)), pair(cel));
        let (code, interpreter) = (which(ours.compiled), which(ours.interpreted));
        let mut line = format!("| {} ", case.name);
        let others = [pair(rego), pair(cedar)].concat();
        let columns = [hand, Some(code), Some(interpreter), cel, cel_building];
        for time in columns.into_iter().chain(others) {
            line.push_str(&format!("| {} ", cell(time)));
        }
        let ratio = |a: Option<f64>, b: Option<f64>| cell(a.zip(b).map(|(a, b)| a / b));
        line.push_str(&format!(
            "| {} | {} | {} | {} |",
            ratio(Some(code), hand),
            ratio(cel, Some(code)),
            ratio(cel, Some(interpreter)),
            if ours.uses_machine_code { "machine code" } else { "interpreter" },
        ));
        line
    })
}

fn table(title: &str, rows: &[[String; 2]]) {
    for (which, what) in ["medians", "least"].iter().enumerate() {
        println!("{title}: ns per evaluation, {what} of {BATCHES} batches");
        println!(
            "| condition | Rust | machine code | interpreter | cel | cel, building | regorus | regorus, building | cedar | cedar, building | code ÷ Rust | cel ÷ code | cel ÷ interpreter | in use |"
        );
        println!("|---|{}---|", "--:|".repeat(12));
        for row in rows {
            println!("{}", row[which]);
        }
        println!();
    }
}

fn main() {
    let (cases, world) = (world::cases(), World::new());
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let wants = |part: &str| asked.is_empty() || asked.iter().any(|one| one == part);
    if wants("conditions") {
        let rows: Vec<_> = cases
            .iter()
            .enumerate()
            .map(|(index, case)| row(case, &world, Some(hand::measure(index, &world))))
            .collect();
        table("twelve conditions", &rows);
    }
    if wants("more") {
        let rows: Vec<_> = world::more().iter().map(|case| row(case, &world, None)).collect();
        table("conditions that make values", &rows);
    }
    if wants("compile") {
        ours::compile_many();
    }
    if wants("check") {
        ours::check(&cases);
    }
}
