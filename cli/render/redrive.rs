//! What taking up a run would do.

use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;

use super::style::Style;
use super::style::Tone;
use super::table::Align;
use super::table::Cell;
use super::table::Table;
use super::units::count;
use crate::redriving::Fate;

/// The steps and what becomes of each, and how many run again.
pub(crate) fn text(origin: &RunId, fates: &[(StepName, Fate)], style: &Style) -> String {
    let mut table = Table::new([("STEP", Align::Left), ("", Align::Left), ("WHY", Align::Left)]);
    for (step, fate) in fates {
        let (cell, why) = match fate {
            Fate::TakenOver { changed: false } => (Cell::new(Tone::Accent, "taken over"), String::new()),
            Fate::TakenOver { changed: true } => {
                (Cell::new(Tone::Accent, "taken over"), "though its definition or code has changed since".to_owned())
            }
            Fate::Again(why) => (Cell::new(Tone::Warn, "runs again"), why.clone()),
            Fate::Items(open, all) => {
                (Cell::new(Tone::Warn, "runs again"), format!("{open} of {all} items did not succeed"))
            }
        };
        table.row([step.as_str().into(), cell, why.into()]);
    }
    let again = fates.iter().filter(|(_, fate)| !matches!(fate, Fate::TakenOver { .. })).count();
    format!(
        "{}\nTaking up run {origin} would run {}, and take over {}.\n",
        table.render(style),
        count(again, "step"),
        count(fates.len() - again, "step"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_names_what_runs_again_and_why() {
        let name = |text: &str| StepName::new(text).expect("valid");
        let fates = [
            (name("split"), Fate::TakenOver { changed: false }),
            (name("clean"), Fate::TakenOver { changed: true }),
            (name("score"), Fate::Items(3, 250)),
            (name("join"), Fate::Again("after score".to_owned())),
        ];
        let run = RunId::new("20261124-230239-x7k2").expect("valid");
        insta::assert_snapshot!(text(&run, &fates, &Style::PLAIN), @"
        STEP               WHY
        split  taken over
        clean  taken over  though its definition or code has changed since
        score  runs again  3 of 250 items did not succeed
        join   runs again  after score

        Taking up run 20261124-230239-x7k2 would run 2 steps, and take over 2 steps.
        ");
    }
}
