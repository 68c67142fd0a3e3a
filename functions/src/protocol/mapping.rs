//! What the items of a step that maps are, and how the step came out.

use std::collections::BTreeMap;

use liminal_schemas::map::Item;
use liminal_schemas::map::ItemCounts;
use liminal_schemas::map::ItemFailure;
use liminal_schemas::map::ListedObject;
use liminal_schemas::map::MAX_ITEMS;
use liminal_schemas::map::Tolerance;
use liminal_schemas::run::DirectoryListing;
use liminal_schemas::run::Failure;
use liminal_schemas::step::FailureClass;
use liminal_schemas::value::Value;

use super::attempt::failure;

/// The largest file whose rows are items, in bytes: what one worker holds in memory without being felt.
pub const MAX_ROWS_BYTES: u64 = 256 << 20;

/// Where more items than this may fail, failures are counted only in the end: a listing of them would be longer than a page.
pub const COUNTED_FAILURES: u32 = 500;

/// The items that a list of values gives.
pub fn values(values: Vec<Value>, batch: Option<u32>) -> Vec<Item> {
    match batch {
        None => values.into_iter().map(Item::Value).collect(),
        Some(batch) => {
            let size = usize::try_from(batch.max(1)).unwrap_or(usize::MAX);
            values.chunks(size).map(|some| Item::Value(Value::List(some.to_vec()))).collect()
        }
    }
}

/// The items that a directory gives: its files, in the order of their paths.
pub fn files(listing: DirectoryListing, batch: Option<u32>) -> Vec<Item> {
    let files: Vec<_> = listing.files.into_iter().collect();
    match batch {
        None => files.into_iter().map(|(name, file)| Item::File { name, file }).collect(),
        Some(batch) => {
            let size = usize::try_from(batch.max(1)).unwrap_or(usize::MAX);
            files.chunks(size).map(|some| Item::Files(some.iter().cloned().collect())).collect()
        }
    }
}

/// The items that objects give, which come in the order of their keys.
pub fn objects(listed: Vec<ListedObject>, batch: Option<u32>) -> Vec<Item> {
    match batch {
        None => listed.into_iter().map(Item::Object).collect(),
        Some(batch) => {
            let size = usize::try_from(batch.max(1)).unwrap_or(usize::MAX);
            let named = |(place, object): (usize, &ListedObject)| {
                // Keys may be what no path can be, and one may lie inside another: what is behind their last `/` never does.
                let name = object.key.rsplit('/').next().unwrap_or_default();
                (format!("{place:04}-{}", name.replace('\0', "")), object.clone())
            };
            listed.chunks(size).map(|some| Item::Objects(some.iter().enumerate().map(named).collect())).collect()
        }
    }
}

/// The rows of a file: a JSON array, or one JSON value a line, or CSV with a header, whose rows are maps of texts.
///
/// # Errors
/// What is wrong with it, and where.
pub fn rows(content: &[u8]) -> Result<Vec<Value>, String> {
    let text = std::str::from_utf8(content).map_err(|error| format!("it is no UTF-8 text: {error}"))?;
    let text = text.trim_start_matches('\u{feff}');
    match text.trim_start().chars().next() {
        None => Ok(Vec::new()),
        Some('[') => serde_json::from_str(text).map_err(|error| format!("it is no JSON array: {error}")),
        Some('{' | '"') => {
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            let parsed = lines.map(|(number, line)| {
                serde_json::from_str(line).map_err(|error| format!("line {} is no JSON: {error}", number + 1))
            });
            parsed.collect()
        }
        Some(_) => {
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            let header = reader.headers().map_err(|error| format!("it is no CSV: {error}"))?.clone();
            let row = |record: csv::Result<csv::StringRecord>| {
                let record = record.map_err(|error| format!("it is no CSV: {error}"))?;
                let cells =
                    header.iter().zip(&record).map(|(name, cell)| (name.to_owned(), Value::Text(cell.to_owned())));
                Ok(Value::Map(cells.collect::<BTreeMap<_, _>>()))
            };
            reader.records().map(row).collect()
        }
    }
}

/// How many objects may be listed: as many items as there may be, of that many each.
pub fn most_objects(batch: Option<u32>) -> usize {
    let most = MAX_ITEMS.saturating_mul(batch.unwrap_or(1).max(1));
    // A listing of more would take longer than a function has.
    usize::try_from(most.min(MAX_ITEMS)).unwrap_or(usize::MAX)
}

/// How many items there are, if that is not too many.
///
/// # Errors
/// When it is.
pub fn count(items: &[Item]) -> Result<u32, Failure> {
    let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
    if count > MAX_ITEMS {
        let message = format!("there are {count} items, more than {MAX_ITEMS}; `batch:` makes fewer of them");
        return Err(failure(FailureClass::User, message));
    }
    Ok(count)
}

/// Why a step whose items have all ended did not succeed, if it did not.
pub fn verdict(
    tolerance: Tolerance,
    counts: ItemCounts,
    first: Option<&ItemFailure>,
    cancelled: bool,
) -> Option<Failure> {
    if counts.skipped > 0 && cancelled {
        return Some(failure(FailureClass::Cancelled, "the run was cancelled"));
    }
    let allowed = tolerance.of(counts.items);
    if counts.failed <= allowed && counts.skipped == 0 {
        return None;
    }
    let mut message = format!("{} of {} items failed", counts.failed, counts.items);
    if !tolerance.is_none() {
        message += &format!(", more than the {tolerance} tolerated");
    }
    let (class, detail) = match first {
        Some(ItemFailure { item, failure }) => {
            message += &format!("; the first is item {item}: {}", failure.message);
            (failure.class, failure.detail.clone())
        }
        None => (FailureClass::User, String::new()),
    };
    Some(Failure { detail, ..failure(class, message) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_from_json_arrays_json_lines_and_csv() {
        let shown = |content: &str| {
            let rows = rows(content.as_bytes()).expect("rows");
            rows.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(shown("[1, \"two\", {\"a\": 3}]"), ["1", "two", "{\"a\":3}"]);
        assert_eq!(shown("{\"a\": 1}\n\n{\"a\": 2}\n"), ["{\"a\":1}", "{\"a\":2}"]);
        assert_eq!(shown("city,year\n\"Köln, Rhein\",2024\n"), ["{\"city\":\"Köln, Rhein\",\"year\":\"2024\"}"]);
        assert!(shown("").is_empty() && shown("[]").is_empty() && shown("only,a,header\n").is_empty());
    }

    #[test]
    fn rows_that_make_no_sense_are_named_by_their_line() {
        assert_eq!(
            rows(b"{\"a\": 1}\n{\"a\": \n").expect_err("broken"),
            "line 2 is no JSON: EOF while parsing a value at line 1 column 6"
        );
        assert!(rows(b"a,b\n1,2,3\n").expect_err("broken").contains("line: 2"));
        assert!(rows(&[0xff, 0xfe, 0x00]).expect_err("broken").contains("UTF-8"));
    }

    #[test]
    fn batches_keep_the_order_and_the_last_one_may_be_smaller() {
        let numbers = (0..5).map(Value::Int).collect();
        let labels: Vec<String> = values(numbers, Some(2)).iter().map(Item::label).collect();
        assert_eq!(labels, ["[0,1]", "[2,3]", "[4]"]);
    }

    #[test]
    fn a_map_fails_when_more_items_failed_than_may() {
        let counts = |failed, skipped| ItemCounts { items: 20, failed, skipped, ..ItemCounts::default() };
        assert_eq!(verdict(Tolerance::Percent(10), counts(2, 0), None, false), None);
        let first = ItemFailure { item: 4, failure: failure(FailureClass::Timeout, "too slow") };
        let failed = verdict(Tolerance::Percent(10), counts(3, 0), Some(&first), false).expect("failed");
        assert_eq!(failed.message, "3 of 20 items failed, more than the 10% tolerated; the first is item 4: too slow");
        assert_eq!(failed.class, FailureClass::Timeout);
        let cancelled = verdict(Tolerance::Count(5), counts(0, 7), None, true).expect("cancelled");
        assert_eq!(cancelled.class, FailureClass::Cancelled);
    }
}
