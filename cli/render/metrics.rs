//! The metrics of several runs beside each other.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::style::Style;
use super::style::Tone;
use super::table::Align;
use super::table::Cell;
use super::table::Table;
use super::units::number;

/// The metrics of a run, by `step.metric`.
#[derive(Clone, Debug)]
pub(crate) struct RunMetrics {
    /// What its column is called.
    pub title: String,
    /// The numbers.
    pub values: BTreeMap<String, f64>,
}

/// Which way a metric is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// More is better.
    Up,
    /// Less is better.
    Down,
}

/// Words in names of metrics that say which way is better. Where none fits, nothing is said to be better.
const UP: &[&str] =
    &["accuracy", "auc", "f1", "precision", "recall", "r2", "score", "sensitivity", "specificity", "ap"];
const DOWN: &[&str] = &["error", "loss", "mae", "mape", "mse", "rmse", "brier", "logloss", "deviance"];

/// Which way a metric is to go, told by the words of its name.
pub(crate) fn direction(metric: &str) -> Option<Direction> {
    let name = metric.rsplit('.').next().unwrap_or(metric).to_ascii_lowercase();
    let has = |words: &[&str]| name.split(['_', '-', ' ']).any(|word| words.contains(&word));
    match (has(UP), has(DOWN)) {
        (true, false) => Some(Direction::Up),
        (false, true) => Some(Direction::Down),
        (true, true) | (false, false) => None,
    }
}

/// A table with a row for each metric and a column for each run, oldest first; for several runs also by how much the last
/// differs from the first. The best value of a row, where better is known, is marked.
pub(crate) fn text(runs: &[RunMetrics], style: &Style) -> String {
    let names: BTreeSet<&str> = runs.iter().flat_map(|run| run.values.keys()).map(String::as_str).collect();
    let compared = runs.len() > 1;
    let mut header = vec![("METRIC".to_owned(), Align::Left)];
    header.extend(runs.iter().map(|run| (run.title.clone(), Align::Right)));
    if compared {
        header.push(("CHANGE".to_owned(), Align::Left));
    }
    let mut table = Table::new(header);
    for name in names {
        let values: Vec<Option<f64>> = runs.iter().map(|run| run.values.get(name).copied()).collect();
        let best = best(&values, direction(name));
        let mut row = vec![Cell::from(name)];
        row.extend(values.iter().map(|value| match value {
            Some(value) if best == Some(*value) => {
                Cell::new(Tone::Good, format!("{} {}", style.symbol("★", "*"), number(*value)))
            }
            Some(value) => Cell::from(number(*value)),
            None => Cell::new(Tone::Dim, "-"),
        }));
        if compared {
            row.push(change(&values, direction(name), style));
        }
        table.row(row);
    }
    table.render(style)
}

/// The best value, if the runs differ in it and better is known.
fn best(values: &[Option<f64>], direction: Option<Direction>) -> Option<f64> {
    let known: Vec<f64> = values.iter().flatten().copied().filter(|value| value.is_finite()).collect();
    let greatest = known.iter().copied().max_by(f64::total_cmp)?;
    let least = known.iter().copied().min_by(f64::total_cmp)?;
    match direction? {
        _ if known.len() < 2 || greatest <= least => None,
        Direction::Up => Some(greatest),
        Direction::Down => Some(least),
    }
}

fn change(values: &[Option<f64>], direction: Option<Direction>, style: &Style) -> Cell {
    let (Some(Some(first)), Some(Some(last))) = (values.first(), values.last()) else { return Cell::from("") };
    let delta = last - first;
    if delta == 0.0 {
        return Cell::new(Tone::Dim, "=");
    }
    let up = delta > 0.0;
    let arrow = if up { style.symbol("↑ +", "^ +") } else { style.symbol("↓ ", "v ") };
    let share = if *first != 0.0 { format!(" ({:+.1} %)", delta / first.abs() * 100.0) } else { String::new() };
    let tone = match direction {
        Some(direction) if (direction == Direction::Up) == up => Tone::Good,
        Some(_) => Tone::Bad,
        None => Tone::Plain,
    };
    Cell::new(tone, format!("{arrow}{}{share}", number(delta)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(title: &str, values: &[(&str, f64)]) -> RunMetrics {
        RunMetrics {
            title: title.to_owned(),
            values: values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        }
    }

    #[test]
    fn runs_are_compared() {
        let runs = [
            run(
                "20261123-090000-aaaa",
                &[("evaluate.roc_auc", 0.98), ("evaluate.log_loss", 0.12), ("clean.rows", 569.0)],
            ),
            run("20261123-100000-bbbb", &[("evaluate.roc_auc", 0.995), ("evaluate.log_loss", 0.13)]),
            run(
                "20261124-090000-cccc",
                &[("evaluate.roc_auc", 0.9925), ("evaluate.log_loss", 0.12), ("clean.rows", 560.0), ("new.x", 0.5)],
            ),
        ];
        insta::assert_snapshot!(text(&runs, &Style::PLAIN), @r"
        METRIC             20261123-090000-aaaa  20261123-100000-bbbb  20261124-090000-cccc  CHANGE
        clean.rows                          569                     -                   560  ↓ -9 (-1.6 %)
        evaluate.log_loss                ★ 0.12                  0.13                ★ 0.12  =
        evaluate.roc_auc                   0.98               ★ 0.995                0.9925  ↑ +0.0125 (+1.3 %)
        new.x                                 -                     -                   0.5
        ");
    }

    #[test]
    fn one_run_is_a_plain_list() {
        insta::assert_snapshot!(text(&[run("20261123-090000-aaaa", &[("a.b", 1.0)])], &Style::PLAIN), @r"
        METRIC  20261123-090000-aaaa
        a.b                        1
        ");
    }

    #[test]
    fn better_is_known_by_the_words_of_a_name() {
        assert_eq!(direction("evaluate.roc_auc"), Some(Direction::Up));
        assert_eq!(direction("evaluate.log_loss"), Some(Direction::Down));
        assert_eq!(direction("evaluate.error_score"), None);
        assert_eq!(direction("clean.rows"), None);
    }
}
