//! The results as a table for people and as JSON for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::measure::Sample;

/// What came out of a case.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// What was measured.
    pub case: String,
    /// The figure that the goal is about.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it should be.
    pub goal: Goal,
    /// The seconds behind it.
    pub measured: Sample,
    /// The same work without liminal, in the same run.
    pub floor: Option<(String, Sample)>,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
    /// There is none: the figure is to be known.
    None,
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::None => true,
        }
    }

    fn shown(self, unit: &str) -> String {
        match self {
            Self::AtMost(limit) => format!("≤ {limit} {unit}"),
            Self::None => String::new(),
        }
    }
}

/// The table, as Markdown.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| case | result | goal | met | min s | median s | floor | floor min s |\n|---|--:|--:|---|--:|--:|---|--:|\n",
    );
    for outcome in outcomes {
        let (label, floor) = match &outcome.floor {
            Some((label, sample)) => (label.as_str(), format!("{:.4}", sample.min)),
            None => ("", String::new()),
        };
        let _ = writeln!(
            text,
            "| {} | {:.2} {unit} | {} | {} | {:.4} | {:.4} | {label} | {floor} |",
            outcome.case,
            outcome.value,
            outcome.goal.shown(outcome.unit),
            if outcome.goal.is_met(outcome.value) { "yes" } else { "**no**" },
            outcome.measured.min,
            outcome.measured.median,
            unit = outcome.unit,
        );
    }
    text
}

/// Writes `docs/benchmarks.md` and `docs/benchmarks.json`.
pub fn write(outcomes: &[Outcome], table: &str) -> std::io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let page = format!(
        "# Benchmarks\n\nWritten by `just bench` (`cargo bench --bench liminal`), last on a machine with {cores} cores. Results are from the least of\n\
         several repetitions; floors are measured in the same run. `docs/benchmarks.json` holds all figures.\n\n{table}"
    );
    std::fs::write(docs.join("benchmarks.md"), page)?;
    let mut json = serde_json::to_string_pretty(outcomes)?;
    json.push('\n');
    std::fs::write(docs.join("benchmarks.json"), json)
}
