//! `run:` as one text, split into arguments the way a shell would, but never given to one.
//!
//! A template stays one piece of its argument, blanks and quotes inside the braces included: each is put aside before
//! the split and put back after it.

use std::ops::Range;

/// Stands for a template during the split, with its number. Private use: no keyboard types it.
const OPEN: char = '\u{E0F0}';
const CLOSE: char = '\u{E0F1}';

/// An argument, and where it stands in the text where it does so unchanged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) place: Option<Range<usize>>,
}

/// Why a text can not be split.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SplitError {
    /// A quote is opened and not closed.
    Quote,
    /// The text holds the characters that are needed for the split itself.
    PrivateUse,
}

/// Splits a text whose templates are known to be closed.
pub(super) fn split(text: &str) -> Result<Vec<Word>, SplitError> {
    if text.contains([OPEN, CLOSE]) {
        return Err(SplitError::PrivateUse);
    }
    let (protected, templates) = put_aside(text);
    let words = shell_words::split(&protected).map_err(|_| SplitError::Quote)?;
    let mut from = 0;
    let words = words.into_iter().map(|word| {
        let word = put_back(&word, &templates);
        let place = text[from..].find(&word).filter(|_| !word.is_empty()).map(|at| from + at..from + at + word.len());
        from = place.as_ref().map_or(from, |place| place.end);
        Word { text: word, place }
    });
    Ok(words.collect())
}

/// What in an argument only a shell would understand, if anything is.
pub(super) fn shell_syntax(word: &str) -> Option<&str> {
    const OPERATORS: &[&str] = &["|", "||", "&&", "&", ";", ">", ">>", "<", "<<", "2>", "2>&1", "&>"];
    if OPERATORS.contains(&word) {
        return Some(word);
    }
    let redirects = word.starts_with('>') || word.starts_with("2>");
    if redirects || word.ends_with(';') || word.ends_with("&&") || (word.len() > 1 && word.starts_with('`')) {
        return Some(word);
    }
    let dollar = word.find('$')?;
    let next = word[dollar + 1..].chars().next()?;
    (next.is_ascii_alphabetic() || next == '_' || next == '{' || next == '(').then(|| &word[dollar..])
}

fn put_aside(text: &str) -> (String, Vec<&str>) {
    let mut protected = String::with_capacity(text.len());
    let mut templates = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let Some(length) = rest[start..].find("}}") else { break };
        let end = start + length + 2;
        protected.push_str(&rest[..start]);
        protected.push(OPEN);
        protected.push_str(&templates.len().to_string());
        protected.push(CLOSE);
        templates.push(&rest[start..end]);
        rest = &rest[end..];
    }
    protected.push_str(rest);
    (protected, templates)
}

fn put_back(word: &str, templates: &[&str]) -> String {
    let mut text = String::with_capacity(word.len());
    let mut rest = word;
    while let Some((before, marked)) = rest.split_once(OPEN) {
        let (number, after) = marked.split_once(CLOSE).unwrap_or((marked, ""));
        text.push_str(before);
        text.push_str(number.parse().ok().and_then(|number: usize| templates.get(number)).unwrap_or(&""));
        rest = after;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        split(text).expect("balanced").into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn a_template_is_one_piece_of_its_argument() {
        assert_eq!(
            words("python train.py --data={{ inputs.data }} '{{ run.id }} x' {{inputs.a}}{{ inputs.b }}"),
            ["python", "train.py", "--data={{ inputs.data }}", "{{ run.id }} x", "{{inputs.a}}{{ inputs.b }}"]
        );
    }

    #[test]
    fn words_know_where_they_stand() {
        let text = "echo \"two words\" a\\ b {{ run.id }}";
        let places: Vec<Option<&str>> =
            split(text).expect("balanced").into_iter().map(|word| word.place.map(|place| &text[place])).collect();
        assert_eq!(places, [Some("echo"), Some("two words"), None, Some("{{ run.id }}")]);
    }

    #[test]
    fn an_open_quote_is_an_error() {
        assert_eq!(split("echo 'a"), Err(SplitError::Quote));
    }

    #[test]
    fn only_what_a_shell_would_act_on_is_shell_syntax() {
        for word in ["|", ">", ">out", "&&", "x;", "$HOME", "a${B}", "$(date)", "2>&1"] {
            assert!(shell_syntax(word).is_some(), "{word}");
        }
        for word in ["a|b", "x>y", "$", "5$", "{{ run.id }}", "a;b", "", "-->"] {
            assert!(shell_syntax(word).is_none(), "{word}");
        }
    }
}
