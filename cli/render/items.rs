//! How the items of a step stand.

use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;

use super::style::Style;
use super::style::Tone;
use super::style::one_line;
use super::table::Align;
use super::table::Cell;
use super::table::Table;
use super::units::count;
use crate::records::SeenItems;

/// Counts, then the items that failed, and how to see what they printed.
pub(crate) fn text(run: &RunId, step: &StepName, seen: &SeenItems, style: &Style) -> String {
    let all = count(usize::try_from(seen.items).unwrap_or(usize::MAX), "item");
    let mut text = match &seen.counts {
        Some(counts) => {
            let parts = [
                (counts.succeeded, "succeeded"),
                (counts.cached, "cached"),
                (counts.failed, "failed"),
                (counts.skipped, "skipped"),
            ];
            let shown: Vec<String> = parts
                .iter()
                .filter(|(number, _)| *number > 0)
                .map(|(number, word)| format!("{number} {word}"))
                .collect();
            format!("{step}: {all}: {}\n", shown.join(", "))
        }
        None => format!("{step}: {} of {all} settled\n", seen.settled),
    };
    if seen.failed.is_empty() {
        return text;
    }
    let mut table = Table::new([("ITEM", Align::Right), ("CLASS", Align::Left), ("WHY", Align::Left)]);
    for commit in &seen.failed {
        let (Some(item), Some(failure)) = (commit.item, &commit.failure) else { continue };
        table.row([
            item.to_string().into(),
            Cell::new(Tone::Bad, failure.class.as_str()),
            one_line(&failure.message).into(),
        ]);
    }
    text.push('\n');
    text.push_str(&table.render(style));
    if let Some(first) = seen.failed.first().and_then(|commit| commit.item) {
        text.push_str(&format!("\nliminal logs {run} {step} --item {first} shows what item {first} printed.\n"));
    }
    text
}
