//! Tables for terminals: aligned columns, no lines.

use super::style::Style;
use super::style::Tone;
use super::style::columns;
use super::style::one_line;

/// Between two columns.
const GAP: &str = "  ";

/// A cell that gives way to the width of the terminal keeps at least this many columns.
const LEAST_FLEXIBLE: usize = 12;

/// How the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// A table: a header and rows.
#[derive(Debug)]
pub(crate) struct Table {
    header: Vec<(String, Align)>,
    rows: Vec<Vec<Cell>>,
    indent: usize,
}

/// A cell: text and what it means.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A text with a meaning.
    pub(crate) fn new(tone: Tone, text: impl AsRef<str>) -> Self {
        Self { text: one_line(text.as_ref()), tone }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(Tone::Plain, text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(Tone::Plain, text)
    }
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new<T: Into<String>>(header: impl IntoIterator<Item = (T, Align)>) -> Self {
        let header = header.into_iter().map(|(title, align)| (title.into(), align)).collect();
        Self { header, rows: Vec::new(), indent: 0 }
    }

    /// Moves the whole table to the right.
    pub(crate) const fn indent(mut self, columns: usize) -> Self {
        self.indent = columns;
        self
    }

    /// Adds a row. Cells that are missing stay empty.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, with a line break at the end. Columns without any text are left out; where the terminal is too
    /// narrow, the widest column of texts is cut.
    pub(crate) fn render(&self, style: &Style) -> String {
        let shown: Vec<usize> = (0..self.header.len())
            .filter(|&column| self.rows.iter().any(|row| row.get(column).is_some_and(|cell| !cell.text.is_empty())))
            .collect();
        let widths = self.widths(&shown, style);
        let mut text = String::new();
        let titles: Vec<Cell> = self.header.iter().map(|(title, _)| Cell::new(Tone::Dim, title)).collect();
        if titles.iter().any(|title| !title.text.is_empty()) {
            self.line(&mut text, &titles, &shown, &widths, style);
        }
        for row in &self.rows {
            self.line(&mut text, row, &shown, &widths, style);
        }
        text
    }

    fn widths(&self, shown: &[usize], style: &Style) -> Vec<usize> {
        let mut widths: Vec<usize> = shown
            .iter()
            .map(|&column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(&cell.text));
                cells.chain([columns(&self.header[column].0)]).max().unwrap_or(0)
            })
            .collect();
        let gaps = GAP.len() * shown.len().saturating_sub(1) + self.indent;
        loop {
            let excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(style.width);
            let widest = (0..shown.len())
                .filter(|&place| self.header[shown[place]].1 == Align::Left && widths[place] > LEAST_FLEXIBLE)
                .max_by_key(|&place| widths[place]);
            match widest {
                Some(place) if excess > 0 => {
                    let second = (0..shown.len())
                        .filter(|&other| other != place && self.header[shown[other]].1 == Align::Left)
                        .map(|other| widths[other])
                        .max()
                        .unwrap_or(0);
                    // Down to the next widest at most, so that no column is starved while another stays wide.
                    let floor = second.saturating_sub(1).max(LEAST_FLEXIBLE).min(widths[place] - 1);
                    widths[place] = widths[place].saturating_sub(excess).max(floor);
                }
                Some(_) | None => return widths,
            }
        }
    }

    fn line(&self, text: &mut String, row: &[Cell], shown: &[usize], widths: &[usize], style: &Style) {
        let mut pending = " ".repeat(self.indent);
        for (place, (&column, &width)) in shown.iter().zip(widths).enumerate() {
            if place > 0 {
                pending.push_str(GAP);
            }
            let (cut, tone) = match row.get(column) {
                Some(cell) => (style.fit(&cell.text, width), cell.tone),
                None => (String::new(), Tone::Plain),
            };
            let padding = " ".repeat(width.saturating_sub(columns(&cut)));
            if self.header[column].1 == Align::Right {
                pending.push_str(&padding);
            }
            if !cut.is_empty() {
                text.push_str(&pending);
                pending.clear();
                text.push_str(&style.paint(tone, cut));
            }
            if self.header[column].1 == Align::Left {
                pending.push_str(&padding);
            }
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table =
            Table::new([("STEP", Align::Left), ("EMPTY", Align::Left), ("TIME", Align::Right), ("NOTE", Align::Left)]);
        table.row(["fetch".into(), "".into(), "350 ms".into(), "".into()]);
        table.row([
            Cell::new(Tone::Bad, "train_forest"),
            "".into(),
            "12.1 s".into(),
            "exited with status 1 after a very long time".into(),
        ]);
        table
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        insta::assert_snapshot!(sample().render(&Style::PLAIN), @r"
        STEP            TIME  NOTE
        fetch         350 ms
        train_forest  12.1 s  exited with status 1 after a very long time
        ");
    }

    #[test]
    fn a_narrow_terminal_cuts_the_widest_text() {
        let narrow = sample().indent(2).render(&Style { width: 50, ..Style::PLAIN });
        insta::assert_snapshot!(narrow, @r"
        STEP            TIME  NOTE
        fetch         350 ms
        train_forest  12.1 s  exited with status 1 afte…
        ");
        assert!(narrow.lines().all(|line| columns(line) <= 50));
    }

    #[test]
    fn line_breaks_in_a_cell_do_not_break_the_table() {
        let mut table = Table::new([("A", Align::Left)]);
        table.row(["x\ny\u{8}".into()]);
        assert_eq!(table.render(&Style::PLAIN), "A\nx y\u{FFFD}\n");
    }
}
