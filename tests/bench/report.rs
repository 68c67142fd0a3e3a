//! The results as a table for people and as JSON for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;
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
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
    /// There is none: the figure is to be known.
    None,
}

impl Goal {
    fn verdict(self, value: f64) -> &'static str {
        match self {
            Self::AtMost(limit) if value <= limit => "yes",
            Self::AtMost(_) => "**no**",
            Self::None => "",
        }
    }

    fn shown(self, unit: &str) -> String {
        match self {
            // Two decimals at most.
            Self::AtMost(limit) => format!("≤ {} {unit}", (limit * 100.0).round() / 100.0),
            Self::None => String::new(),
        }
    }
}

/// An outcome as it is kept.
#[derive(Serialize, Deserialize)]
struct Row {
    case: String,
    value: f64,
    unit: String,
    goal: Goal,
    measured: Sample,
    floor: Option<(String, Sample)>,
}

/// The table, as Markdown.
pub fn table(outcomes: &[Outcome]) -> String {
    rendered(&rows(outcomes).expect("outcomes are JSON"))
}

fn rows(outcomes: &[Outcome]) -> std::io::Result<Vec<Row>> {
    Ok(serde_json::from_value(serde_json::to_value(outcomes)?)?)
}

fn rendered(rows: &[Row]) -> String {
    let mut text = String::from(
        "| case | result | goal | met | min s | median s | floor | floor min s |\n|---|--:|--:|---|--:|--:|---|--:|\n",
    );
    for row in rows {
        let (label, floor) = match &row.floor {
            Some((label, sample)) => (label.as_str(), format!("{:.4}", sample.min)),
            None => ("", String::new()),
        };
        let _ = writeln!(
            text,
            "| {} | {:.2} {unit} | {} | {} | {:.4} | {:.4} | {label} | {floor} |",
            row.case,
            row.value,
            row.goal.shown(&row.unit),
            row.goal.verdict(row.value),
            row.measured.min,
            row.measured.median,
            unit = row.unit,
        );
    }
    text
}

/// Writes `docs/benchmarks.md` and `docs/benchmarks.json`: all cases anew, or some in the place of what was kept of them.
pub fn write(outcomes: &[Outcome], all: bool) -> std::io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let (page, kept) = (docs.join("benchmarks.md"), docs.join("benchmarks.json"));
    let mut rows = rows(outcomes)?;
    if !all {
        let mut merged: Vec<Row> = serde_json::from_slice(&std::fs::read(&kept)?)?;
        for row in rows {
            match merged.iter_mut().find(|known| known.case == row.case) {
                Some(known) => *known = row,
                None => merged.push(row),
            }
        }
        rows = merged;
    }
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let text = format!(
        "# Benchmarks\n\nWritten by `just bench` (`cargo bench --bench liminal`), last on a machine with {cores} cores. Results are from the least of\n\
         several repetitions, but for the warm attempt, which is a median; floors are measured in the same run.\n\
         `docs/benchmarks.json` holds all figures.\n\n{}",
        rendered(&rows)
    );
    std::fs::write(page, text)?;
    let mut json = serde_json::to_string_pretty(&rows)?;
    json.push('\n');
    std::fs::write(kept, json)
}
