//! Filters of a bucket's notifications. S3 refuses two that one object could match both, so that overlapping ones are
//! made one; whoever is told of an object still asks each trigger.

use std::collections::BTreeSet;

use liminal_schemas::aws::resource::KeyFilter;

/// Filters that match at least what some filters match, of which no two match the same key.
pub(super) fn without_overlaps(filters: impl IntoIterator<Item = KeyFilter>) -> BTreeSet<KeyFilter> {
    let mut apart: Vec<KeyFilter> = Vec::new();
    for filter in filters {
        let mut whole = filter;
        // A filter that grew may reach further ones.
        while let Some(index) = apart.iter().position(|other| overlap(other, &whole)) {
            let other = apart.swap_remove(index);
            whole =
                KeyFilter { prefix: shorter(whole.prefix, other.prefix), suffix: shorter(whole.suffix, other.suffix) };
        }
        apart.push(whole);
    }
    apart.into_iter().collect()
}

/// As S3 judges it: by prefixes and by suffixes alone.
fn overlap(one: &KeyFilter, other: &KeyFilter) -> bool {
    let prefixes = one.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&one.prefix);
    let suffixes = one.suffix.ends_with(&other.suffix) || other.suffix.ends_with(&one.suffix);
    prefixes && suffixes
}

fn shorter(one: String, other: String) -> String {
    if one.len() <= other.len() { one } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(filters: &[(&str, &str)]) -> Vec<(String, String)> {
        let filters =
            filters.iter().map(|(prefix, suffix)| KeyFilter { prefix: (*prefix).into(), suffix: (*suffix).into() });
        without_overlaps(filters).into_iter().map(|filter| (filter.prefix, filter.suffix)).collect()
    }

    fn pairs(filters: &[(&str, &str)]) -> Vec<(String, String)> {
        filters.iter().map(|(prefix, suffix)| ((*prefix).to_owned(), (*suffix).to_owned())).collect()
    }

    #[test]
    fn filters_that_one_object_could_match_become_one() {
        let apart = [("in/", ".csv"), ("in/", ".json"), ("out/", ".csv")];
        assert_eq!(merged(&apart), pairs(&apart));
        assert_eq!(merged(&[("in/", ".csv"), ("in/a/", ".csv")]), pairs(&[("in/", ".csv")]));
        assert_eq!(merged(&[("in/", ".csv"), ("in/a/", "")]), pairs(&[("in/", "")]));
        let chain = [("in/a/", ".csv"), ("in/b/", ".csv"), ("in/", ".gz.csv")];
        assert_eq!(merged(&chain), pairs(&[("in/", ".csv")]));
        assert_eq!(merged(&[("", ""), ("x", "y"), ("z", "")]), pairs(&[("", "")]));
    }
}
