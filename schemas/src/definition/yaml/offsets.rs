//! From the parser's marks, which count characters, to offsets, which count bytes.

/// One entry is kept for so many characters.
const STRIDE: usize = 64;

/// Translates character indexes of a text into byte offsets.
pub(super) struct Offsets<'a> {
    text: &'a str,
    /// The byte offset of every 64th character; empty when all are ASCII.
    strides: Vec<usize>,
}

impl<'a> Offsets<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let strides = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().step_by(STRIDE).map(|(offset, _)| offset).collect()
        };
        Self { text, strides }
    }

    /// The byte offset of a character; the end of the text for indexes beyond it.
    pub(super) fn byte(&self, index: usize) -> usize {
        if self.strides.is_empty() {
            return index.min(self.text.len());
        }
        let Some(start) = self.strides.get(index / STRIDE) else { return self.text.len() };
        let mut chars = self.text[*start..].char_indices();
        chars.nth(index % STRIDE).map_or(self.text.len(), |(offset, _)| start + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_of_a_mixed_text_is_found_at_its_byte() {
        let text = "äx€𝄞 ".repeat(50);
        let offsets = Offsets::new(&text);
        for (index, (offset, _)) in text.char_indices().enumerate() {
            assert_eq!(offsets.byte(index), offset);
        }
        assert_eq!(offsets.byte(text.chars().count()), text.len());
        assert_eq!(offsets.byte(usize::MAX), text.len());
    }
}
