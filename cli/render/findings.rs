//! What is wrong with a definition, shown at its place as the Rust compiler would.

use std::collections::BTreeSet;
use std::ops::Range;

use annotate_snippets::AnnotationKind;
use annotate_snippets::Group;
use annotate_snippets::Level;
use annotate_snippets::Origin;
use annotate_snippets::Renderer;
use annotate_snippets::Snippet;
use annotate_snippets::renderer::DecorStyle;
use liminal_schemas::finding::Code;
use liminal_schemas::finding::Finding;
use liminal_schemas::finding::Report;
use liminal_schemas::finding::Severity;
use liminal_schemas::finding::Span;

pub(crate) use super::findings_json::json;
use super::style::Style;
use super::units::count;

/// How many findings are shown in full. More than that nobody reads, and JSON has them all.
const MOST_SHOWN: usize = 100;

/// The longest line of a source that is shown. A longer one was not written to be read.
const LONGEST_LINE: usize = 2000;

/// How wide a snippet is where the terminal has no width of its own.
const DEFAULT_SNIPPET_WIDTH: usize = 140;

/// The findings as text: each with its place, then how many there are and where to read more. Empty when there are none.
pub(crate) fn text(report: &Report, style: &Style) -> String {
    if report.findings.is_empty() {
        return String::new();
    }
    let width = if style.width == usize::MAX { DEFAULT_SNIPPET_WIDTH } else { style.width };
    let renderer = if style.color { Renderer::styled() } else { Renderer::plain() };
    // The frame of ASCII is the one that rustc draws; the heavy one of Unicode is louder than what it says.
    let renderer = renderer.term_width(width).decor_style(DecorStyle::Ascii);
    let mut text = String::new();
    for finding in report.findings.iter().take(MOST_SHOWN) {
        text.push_str(&renderer.render(&[group(report, finding)]));
        text.push_str("\n\n");
    }
    if let Some(hidden @ 1..) = report.findings.len().checked_sub(MOST_SHOWN) {
        text.push_str(&format!("{}; `-o json` lists all of them\n\n", count(hidden, "more finding")));
    }
    text.push_str(&style.bold(summary(report)));
    text.push('\n');
    text.push_str(&explanation(report));
    text
}

fn group<'a>(report: &'a Report, finding: &'a Finding) -> Group<'a> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(&finding.message).id(finding.code.as_str()));
    if let Some(span) = &finding.span {
        let label = finding.label.as_deref();
        let related = finding.related.as_ref().map(|(span, label)| (span, label.as_str()));
        let mark = Mark { span, label, kind: AnnotationKind::Primary };
        let other = related.map(|(span, label)| Mark { span, label: Some(label), kind: AnnotationKind::Context });
        match other {
            Some(other) if near(report, span, other.span) => group = place(group, report, &[mark, other]),
            Some(other) => group = place(place(group, report, &[mark]), report, &[other]),
            None => group = place(group, report, &[mark]),
        }
    }
    for hint in &finding.hints {
        group = group.element(Level::HELP.message(hint));
    }
    group
}

/// Something to point at.
struct Mark<'a> {
    span: &'a Span,
    label: Option<&'a str>,
    kind: AnnotationKind,
}

/// Whether two places fit in one snippet: the same file, and not so far apart that both would be cut out of it again.
fn near(report: &Report, first: &Span, second: &Span) -> bool {
    let lines = |span: &Span| report.position(span).map_or(0, |position| position.line);
    first.file == second.file && lines(first).abs_diff(lines(second)) <= 50
}

/// Adds a snippet around some places of one file; without a source to show, only where they are.
fn place<'a>(group: Group<'a>, report: &'a Report, marks: &[Mark<'a>]) -> Group<'a> {
    let Some(first) = marks.first() else { return group };
    let file = &*first.span.file;
    let Some(source) = report.sources.get(file) else {
        return group.element(Origin::path(file));
    };
    let ranges: Vec<Range<usize>> = marks.iter().map(|mark| within(source, mark.span)).collect();
    let window = window(source, &ranges);
    if source[window.clone()].lines().any(|line| line.len() > LONGEST_LINE) {
        let origin = Origin::path(file);
        return group.element(match report.position(first.span) {
            Some(position) => origin.line(position.line).char_column(position.column),
            None => origin,
        });
    }
    let line = source[..window.start].matches('\n').count() + 1;
    let annotations = marks
        .iter()
        .zip(&ranges)
        .map(|(mark, range)| mark.kind.span(range.start - window.start..range.end - window.start).label(mark.label));
    group.element(Snippet::source(&source[window.clone()]).line_start(line).path(file).annotations(annotations))
}

/// A span as a range that is surely inside its source and between characters, and no longer than its first line: a
/// span over a whole block would hide what it is about.
pub(super) fn within(source: &str, span: &Span) -> Range<usize> {
    let mut start = span.start.min(source.len());
    while !source.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, source.len());
    while !source.is_char_boundary(end) {
        end += 1;
    }
    let line = source[start..end].split('\n').next().unwrap_or_default();
    start..start + line.trim_end().len()
}

/// The whole lines around some ranges. Only these are handed on, so that many findings in a large file cost no more than
/// what is shown of it.
fn window(source: &str, ranges: &[Range<usize>]) -> Range<usize> {
    let first = ranges.iter().map(|range| range.start).min().unwrap_or(0);
    let last = ranges.iter().map(|range| range.end).max().unwrap_or(0);
    let start = source[..first].rfind('\n').map_or(0, |newline| newline + 1);
    let end = source[last..].find('\n').map_or(source.len(), |newline| last + newline);
    start..end
}

/// How many findings there are, and where: `5 errors, 1 warning in liminal.yml`.
pub(crate) fn summary(report: &Report) -> String {
    let number = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let counts = [(number(Severity::Error), "error"), (number(Severity::Warning), "warning")];
    let counts: Vec<String> =
        counts.iter().filter(|(number, _)| *number > 0).map(|(number, noun)| count(*number, noun)).collect();
    let files: BTreeSet<&str> =
        report.findings.iter().filter_map(|finding| finding.span.as_ref()).map(|span| &*span.file).collect();
    match (counts.is_empty(), files.len(), files.first()) {
        (true, ..) => "no findings".to_owned(),
        (false, 1, Some(file)) => format!("{} in {file}", counts.join(", ")),
        (false, 0, _) => counts.join(", "),
        (false, files, _) => format!("{} in {}", counts.join(", "), count(files, "file")),
    }
}

fn explanation(report: &Report) -> String {
    let codes: BTreeSet<Code> = report.findings.iter().map(|finding| finding.code).collect();
    let mut codes = codes.into_iter();
    let Some(first) = codes.next() else { return String::new() };
    let others: Vec<&str> = codes.map(Code::as_str).collect();
    match others.is_empty() {
        true => format!("for more: liminal explain {first}\n"),
        false => format!("for more: liminal explain {first} (also {})\n", others.join(", ")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const SOURCE: &str =
        "project: demo\npipelines:\n  train:\n    steps:\n      fetch:\n        cal: steps:fetch\n      fetch: {}\n";

    fn span(part: &str, occurrence: usize) -> Span {
        let (start, _) = SOURCE.match_indices(part).nth(occurrence).expect("the source has it");
        Span { file: "liminal.yml".into(), start, end: start + part.len() }
    }

    pub(in super::super) fn sample() -> Report {
        let mut report = Report::default();
        report.sources.insert("liminal.yml".to_owned(), SOURCE.to_owned());
        report.push(
            Finding::error(Code::UnknownKey, &span("cal", 0), "unknown key `cal` in a step")
                .label("no such key")
                .hint("did you mean `call`?"),
        );
        report.push(
            Finding::error(Code::DuplicateKey, &span("fetch:", 1), "`fetch` is written twice")
                .label("again here")
                .related(&span("fetch:", 0), "first here"),
        );
        report.push(Finding::warning(Code::InvalidValue, &span("demo", 0), "an odd value"));
        report.push(Finding::error_without_place(Code::FileMissing, "base.yml does not exist"));
        report
    }

    #[test]
    fn findings_are_shown_at_their_place() {
        insta::assert_snapshot!(text(&sample(), &Style::PLAIN), @r"
        error[L0201]: unknown key `cal` in a step
         --> liminal.yml:6:9
          |
        6 |         cal: steps:fetch
          |         ^^^ no such key
          |
          = help: did you mean `call`?

        error[L0104]: `fetch` is written twice
         --> liminal.yml:7:7
          |
        5 |       fetch:
          |       ------ first here
        6 |         cal: steps:fetch
        7 |       fetch: {}
          |       ^^^^^^ again here

        warning[L0205]: an odd value
         --> liminal.yml:1:10
          |
        1 | project: demo
          |          ^^^^

        error[L0001]: base.yml does not exist

        3 errors, 1 warning in liminal.yml
        for more: liminal explain L0001 (also L0104, L0201, L0205)
        ");
    }

    #[test]
    fn findings_are_shown_in_colour() {
        let mut report = sample();
        report.findings.truncate(1);
        let shown = text(&report, &Style { color: true, ..Style::PLAIN });
        insta::assert_snapshot!(shown.replace('\u{1b}', "ESC"), @r"
        ESC[1mESC[91merror[L0201]ESC[0mESC[1m: unknown key `cal` in a stepESC[0m
         ESC[1mESC[94m--> ESC[0mliminal.yml:6:9
          ESC[1mESC[94m|ESC[0m
        ESC[1mESC[94m6ESC[0m ESC[1mESC[94m|ESC[0m         cal: steps:fetch
          ESC[1mESC[94m|ESC[0m         ESC[1mESC[91m^^^ESC[0m ESC[1mESC[91mno such keyESC[0m
          ESC[1mESC[94m|ESC[0m
          ESC[1mESC[94m= ESC[0mESC[1mhelpESC[0m: did you mean `call`?

        ESC[1m1 error in liminal.ymlESC[0m
        for more: liminal explain L0201
        ");
    }

    #[test]
    fn places_outside_their_source_do_no_harm() {
        let mut report = Report::default();
        report.sources.insert("a.yml".to_owned(), "é".to_owned());
        for (start, end) in [(0, 0), (1, 2), (2, 1), (2, 2), (500, 900), (0, usize::MAX)] {
            report.push(Finding::error(Code::YamlSyntax, &Span { file: "a.yml".into(), start, end }, "odd"));
        }
        report.push(Finding::error(Code::YamlSyntax, &Span { file: "gone.yml".into(), start: 3, end: 9 }, "odd"));
        let shown = text(&report, &Style::PLAIN);
        assert!(shown.ends_with("7 errors in 2 files\nfor more: liminal explain L0101\n"), "{shown}");
        let document = serde_json::to_value(json(&report)).expect("it serialises");
        assert_eq!(document["findings"].as_array().map(Vec::len), Some(7));
    }

    #[test]
    fn a_thousand_findings_on_one_endless_line_are_soon_shown() {
        let mut report = Report::default();
        report.sources.insert("a.yml".to_owned(), "x: [".repeat(200_000));
        for place in 0..1000 {
            let span = Span { file: "a.yml".into(), start: place * 4, end: place * 4 + 1 };
            report.push(Finding::error(Code::UnknownKey, &span, "unknown key"));
        }
        let shown = text(&report, &Style::PLAIN);
        assert!(shown.contains("--> a.yml:1:9") && shown.contains("900 more findings"), "{}", &shown[..500]);
    }
}
