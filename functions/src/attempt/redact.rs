//! Replaces secrets in a stream of bytes, however the stream is cut into pieces.

use std::fmt;

/// What stands where a secret stood.
pub const REPLACEMENT: &str = "***";

/// Replaces every occurrence of some texts by [`REPLACEMENT`].
///
/// Holds back no more than the end of what it was given that may be the beginning of a secret, so a log stays live.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a secret which begins with another one goes as a whole.
    secrets: Vec<Vec<u8>>,
    held: Vec<u8>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("secrets", &self.secrets.len()).finish_non_exhaustive()
    }
}

impl Redactor {
    /// A redactor for some secrets. A secret with white space around it is also replaced where it stands without.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let whole_and_trimmed = secrets.into_iter().flat_map(|secret| [secret, secret.trim()]);
        let mut secrets: Vec<Vec<u8>> = whole_and_trimmed
            .filter(|secret| !secret.trim().is_empty())
            .map(|secret| secret.as_bytes().to_vec())
            .collect();
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self { secrets, held: Vec::new() }
    }

    /// Whether there is nothing to replace.
    pub fn is_idle(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Takes the next piece and gives to `sink` what is sure by now.
    pub fn push(&mut self, piece: &[u8], mut sink: impl FnMut(&[u8])) {
        if self.secrets.is_empty() {
            return sink(piece);
        }
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(piece);
        let mut sure = 0;
        let mut at = 0;
        while let Some(skipped) = bytes[at..].iter().position(|byte| self.secrets.iter().any(|s| s[0] == *byte)) {
            at += skipped;
            let rest = &bytes[at..];
            if self.secrets.iter().any(|secret| secret.len() > rest.len() && secret.starts_with(rest)) {
                sink(&bytes[sure..at]);
                bytes.drain(..at);
                self.held = bytes;
                return;
            }
            match self.secrets.iter().find(|secret| rest.starts_with(secret)) {
                Some(secret) => {
                    sink(&bytes[sure..at]);
                    sink(REPLACEMENT.as_bytes());
                    at += secret.len();
                    sure = at;
                }
                None => at += 1,
            }
        }
        sink(&bytes[sure..]);
    }

    /// Gives to `sink` what was held back: the stream is at its end.
    pub fn finish(&mut self, mut sink: impl FnMut(&[u8])) {
        let held = std::mem::take(&mut self.held);
        let mut at = 0;
        while at < held.len() {
            let rest = &held[at..];
            if let Some(secret) = self.secrets.iter().find(|secret| rest.starts_with(secret)) {
                sink(REPLACEMENT.as_bytes());
                at += secret.len();
            } else {
                sink(&rest[..1]);
                at += 1;
            }
        }
    }

    /// A whole text with the secrets replaced.
    pub fn text(&self, text: &str) -> String {
        if self.secrets.is_empty() {
            return text.to_owned();
        }
        let mut whole = Self { secrets: self.secrets.clone(), held: Vec::new() };
        let mut replaced = Vec::with_capacity(text.len());
        whole.push(text.as_bytes(), |bytes| replaced.extend_from_slice(bytes));
        whole.finish(|bytes| replaced.extend_from_slice(bytes));
        String::from_utf8_lossy(&replaced).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn replace_in_pieces(secrets: &[&str], pieces: &[&[u8]]) -> String {
        let mut redactor = Redactor::new(secrets.iter().copied());
        let mut out = Vec::new();
        for piece in pieces {
            redactor.push(piece, |bytes| out.extend_from_slice(bytes));
        }
        redactor.finish(|bytes| out.extend_from_slice(bytes));
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_secret_cut_in_two_is_replaced() {
        assert_eq!(replace_in_pieces(&["hunter2"], &[b"key=hun", b"ter2!"]), "key=***!");
    }

    #[test]
    fn a_secret_that_begins_with_another_goes_as_a_whole() {
        assert_eq!(replace_in_pieces(&["abc", "abcdef"], &[b"xabc", b"def abcdeg"]), "x*** ***deg");
    }

    #[test]
    fn a_false_beginning_comes_out_at_the_end() {
        assert_eq!(replace_in_pieces(&["hunter2"], &[b"hunter"]), "hunter");
    }

    #[test]
    fn what_can_not_begin_a_secret_is_not_held_back() {
        let mut redactor = Redactor::new(["hunter2"]);
        let mut out = Vec::new();
        redactor.push(b"loading hun", |bytes| out.extend_from_slice(bytes));
        assert_eq!(out, b"loading ");
    }

    proptest! {
        #[test]
        fn cutting_a_stream_changes_nothing(text in "[ab ]{0,40}", cut in 0_usize..40) {
            let cut = cut.min(text.len());
            let (left, right) = text.as_bytes().split_at(cut);
            let secrets = ["aba", "bb", "abab"];
            prop_assert_eq!(replace_in_pieces(&secrets, &[left, right]), replace_in_pieces(&secrets, &[text.as_bytes()]));
        }
    }
}
