//! Did you mean: the known name that is most like one that is not known.

/// The longest text that is compared, in characters: a longer one is no slip of the keyboard.
const COMPARED_CHARS: usize = 120;

/// The candidate that a text was likely meant to be, if one is near enough: at most one slip for every three characters.
pub(crate) fn closest<'a>(text: &str, among: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = text.chars().count();
    if length > COMPARED_CHARS {
        return None;
    }
    let allowed = (length / 3).clamp(1, 3);
    // What differs more in length can not be near, and comparing costs far more than counting.
    let near = among.into_iter().filter(|candidate| candidate.chars().count().abs_diff(length) <= allowed);
    let scored = near.map(|candidate| (strsim::damerau_levenshtein(text, candidate), candidate));
    let (distance, candidate) = scored.min_by_key(|(distance, _)| *distance)?;
    (distance <= allowed).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_slip_is_found_and_another_name_is_not() {
        assert_eq!(closest("tarin.model", ["fetch.raw", "train.model", "train.metrics"]), Some("train.model"));
        assert_eq!(closest("seed", ["test_size", "mode"]), None);
        assert_eq!(closest(&"x".repeat(200), ["x"]), None);
    }
}
