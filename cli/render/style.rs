//! How a text may look: colour or none, how wide, and with which characters.

use std::fmt::Display;

use owo_colors::OwoColorize;
use unicode_width::UnicodeWidthChar;
use unicode_width::UnicodeWidthStr;

/// What the place that a text goes to can show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Whether colours are understood. What a colour says, a symbol or a word says too.
    pub color: bool,
    /// How many columns a line may have; [`usize::MAX`] when lines may be as long as they are.
    pub width: usize,
    /// Whether characters beyond ASCII can be shown.
    pub unicode: bool,
}

/// What a piece of text means. The colour follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing in particular.
    Plain,
    /// It worked.
    Good,
    /// It failed.
    Bad,
    /// It needs a look.
    Warn,
    /// It matters less than what is around it.
    Dim,
    /// It matters more.
    Bold,
    /// It is new.
    Added,
    /// It goes.
    Removed,
    /// It becomes something else.
    Changed,
    /// It names something.
    Accent,
}

impl Style {
    /// Text alone, as a file or a pipe gets it.
    pub(crate) const PLAIN: Self = Self { color: false, width: usize::MAX, unicode: true };

    /// A text in the colour of what it means.
    pub(crate) fn paint(&self, tone: Tone, text: impl Display) -> String {
        let text = text.to_string();
        if !self.color || text.is_empty() {
            return text;
        }
        match tone {
            Tone::Plain => text,
            Tone::Good | Tone::Added => text.green().to_string(),
            Tone::Bad | Tone::Removed => text.red().to_string(),
            Tone::Warn | Tone::Changed => text.yellow().to_string(),
            Tone::Dim => text.dimmed().to_string(),
            Tone::Bold => text.bold().to_string(),
            Tone::Accent => text.cyan().to_string(),
        }
    }

    /// Something that worked.
    pub(crate) fn good(&self, text: impl Display) -> String {
        self.paint(Tone::Good, text)
    }

    /// Something that failed.
    pub(crate) fn bad(&self, text: impl Display) -> String {
        self.paint(Tone::Bad, text)
    }

    /// Something that needs a look.
    pub(crate) fn warn(&self, text: impl Display) -> String {
        self.paint(Tone::Warn, text)
    }

    /// Something that matters less.
    pub(crate) fn dim(&self, text: impl Display) -> String {
        self.paint(Tone::Dim, text)
    }

    /// Something that matters more.
    pub(crate) fn bold(&self, text: impl Display) -> String {
        self.paint(Tone::Bold, text)
    }

    /// The arrow between before and after.
    pub(crate) const fn arrow(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    /// What stands for text that was cut off.
    pub(crate) const fn ellipsis(&self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// The first of two symbols where characters beyond ASCII can be shown, else the second.
    pub(crate) const fn symbol(&self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    /// A text cut to so many columns, with an ellipsis where something is missing.
    pub(crate) fn fit(&self, text: &str, columns: usize) -> String {
        if text.width() <= columns {
            return text.to_owned();
        }
        let room = columns.saturating_sub(self.ellipsis().width());
        let mut used = 0;
        let kept: String = text
            .chars()
            .take_while(|character| {
                used += character.width().unwrap_or(0);
                used <= room
            })
            .collect();
        format!("{}{}", kept.trim_end(), self.ellipsis())
    }
}

/// How many columns a text without colours takes.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// A text from elsewhere on one line, without what a terminal would obey.
pub(crate) fn one_line(text: &str) -> String {
    let text = text.trim().replace(['\n', '\r', '\t'], " ");
    if text.contains(is_unsafe) { harmless(&text) } else { text }
}

/// A text from elsewhere as lines that a terminal shows and does not obey.
pub(crate) fn safe_lines(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|line| harmless(&line.trim_end().replace('\t', "    ")))
}

/// Drops colours and other terminal sequences, which programs print when they believe to be at a terminal, and shows
/// what is left of control characters as `�`.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        if character == '\u{1b}' && rest.peek() == Some(&'[') {
            rest.next();
            while rest.next_if(|next| matches!(next, '\u{20}'..='\u{3f}')).is_some() {}
            rest.next_if(|last| matches!(last, '\u{40}'..='\u{7e}'));
        } else if is_unsafe(character) {
            shown.push('\u{FFFD}');
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Whether a character moves the cursor, colours text, or turns its direction round so that it reads as something else.
fn is_unsafe(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_a_text_stays_as_it_is() {
        assert_eq!(Style::PLAIN.bad("failed"), "failed");
        assert_eq!(Style { color: true, ..Style::PLAIN }.bad("failed"), "\u{1b}[31mfailed\u{1b}[39m");
    }

    #[test]
    fn a_long_text_ends_with_an_ellipsis_and_wide_characters_count_twice() {
        assert_eq!(Style::PLAIN.fit("code/steps/train.py", 10), "code/step…");
        assert_eq!(Style::PLAIN.fit("学習モデル", 6), "学習…");
        assert_eq!(Style { unicode: false, ..Style::PLAIN }.fit("abcdefgh", 6), "abc...");
    }

    #[test]
    fn text_from_elsewhere_can_not_command_the_terminal() {
        assert_eq!(one_line("a\u{1b}[2Jb\nc\u{1b}c"), "ab c\u{FFFD}c");
        assert_eq!(safe_lines("x\ty\u{7}\r\nz").collect::<Vec<_>>(), ["x    y\u{FFFD}", "z"]);
    }
}
