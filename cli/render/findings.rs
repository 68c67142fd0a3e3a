//! What is wrong with a definition, shown at its place as the Rust compiler would, or as JSON, or for GitHub.

use std::collections::BTreeMap;
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
use serde::Serialize;

use super::style::Style;
use super::style::one_line;
use super::units::count;

/// The version of the JSON form: `major.minor`. A reader may ignore fields it does not know as long as the major number
/// is its own.
pub(crate) const FINDINGS_FORMAT: &str = "1.0";

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
fn within(source: &str, span: &Span) -> Range<usize> {
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

/// The findings as a document for programs.
#[derive(Debug, Serialize)]
pub(crate) struct FindingsDocument<'a> {
    format_version: &'static str,
    valid: bool,
    findings: Vec<FindingRecord<'a>>,
}

#[derive(Debug, Serialize)]
struct FindingRecord<'a> {
    code: Code,
    severity: Severity,
    message: &'a str,
    #[serde(flatten)]
    place: PlaceRecord<'a>,
    label: Option<&'a str>,
    related: Option<RelatedRecord<'a>>,
    hints: &'a [String],
    page: String,
}

#[derive(Debug, Default, Serialize)]
struct PlaceRecord<'a> {
    file: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    end_line: Option<usize>,
    end_column: Option<usize>,
}

#[derive(Debug, Serialize)]
struct RelatedRecord<'a> {
    #[serde(flatten)]
    place: PlaceRecord<'a>,
    label: &'a str,
}

/// The findings for programs.
pub(crate) fn json(report: &Report) -> FindingsDocument<'_> {
    let mut lines = LineIndex::default();
    let findings = report
        .findings
        .iter()
        .map(|finding| FindingRecord {
            code: finding.code,
            severity: finding.severity,
            message: &finding.message,
            place: finding.span.as_ref().map(|span| lines.place(report, span)).unwrap_or_default(),
            label: finding.label.as_deref(),
            related: finding
                .related
                .as_ref()
                .map(|(span, label)| RelatedRecord { place: lines.place(report, span), label }),
            hints: &finding.hints,
            page: format!("docs/errors/{}.md", finding.code),
        })
        .collect();
    FindingsDocument { format_version: FINDINGS_FORMAT, valid: !report.has_errors(), findings }
}

/// Where the lines of each source begin, so that a place is found without reading the whole source again.
#[derive(Default)]
struct LineIndex<'a> {
    starts: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> LineIndex<'a> {
    fn place(&mut self, report: &'a Report, span: &'a Span) -> PlaceRecord<'a> {
        let file = &*span.file;
        let Some(source) = report.sources.get(file) else {
            return PlaceRecord { file: Some(file), ..PlaceRecord::default() };
        };
        let starts = self
            .starts
            .entry(file)
            .or_insert_with(|| [0].into_iter().chain(source.match_indices('\n').map(|(at, _)| at + 1)).collect());
        let position = |offset: usize| {
            let line = starts.partition_point(|&start| start <= offset);
            let start = starts.get(line - 1).copied().unwrap_or(0);
            (line, source.get(start..offset).map_or(0, |text| text.chars().count()) + 1)
        };
        let range = within(source, span);
        let (line, column) = position(range.start);
        let (end_line, end_column) = position(range.end);
        PlaceRecord {
            file: Some(file),
            line: Some(line),
            column: Some(column),
            end_line: Some(end_line),
            end_column: Some(end_column),
        }
    }
}

/// The findings as workflow commands, which GitHub Actions shows beside the lines they are about.
pub(crate) fn github(report: &Report) -> String {
    let mut lines = LineIndex::default();
    let mut text = String::new();
    for finding in &report.findings {
        let command = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let place = finding.span.as_ref().map(|span| lines.place(report, span)).unwrap_or_default();
        let mut properties = Vec::new();
        if let Some(file) = place.file {
            properties.push(format!("file={}", github_property(file)));
        }
        let numbers =
            [("line", place.line), ("endLine", place.end_line), ("col", place.column), ("endColumn", place.end_column)];
        properties.extend(numbers.iter().filter_map(|(name, value)| value.map(|value| format!("{name}={value}"))));
        properties.push(format!("title={}", github_property(&format!("{}: {}", finding.code, finding.code.title()))));
        let mut message = one_line(&finding.message);
        for hint in &finding.hints {
            message.push_str(&format!("\nhelp: {}", one_line(hint)));
        }
        text.push_str(&format!("::{command} {}::{}\n", properties.join(","), github_data(&message)));
    }
    text
}

fn github_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn github_property(text: &str) -> String {
    github_data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str =
        "project: demo\npipelines:\n  train:\n    steps:\n      fetch:\n        cal: steps:fetch\n      fetch: {}\n";

    fn span(part: &str, occurrence: usize) -> Span {
        let (start, _) = SOURCE.match_indices(part).nth(occurrence).expect("the source has it");
        Span { file: "liminal.yml".into(), start, end: start + part.len() }
    }

    fn sample() -> Report {
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
    fn findings_are_a_document_for_programs() {
        let mut report = sample();
        report.findings.drain(1..3);
        insta::assert_snapshot!(serde_json::to_string_pretty(&json(&report)).expect("it serialises"), @r#"
        {
          "format_version": "1.0",
          "valid": false,
          "findings": [
            {
              "code": "L0201",
              "severity": "error",
              "message": "unknown key `cal` in a step",
              "file": "liminal.yml",
              "line": 6,
              "column": 9,
              "end_line": 6,
              "end_column": 12,
              "label": "no such key",
              "related": null,
              "hints": [
                "did you mean `call`?"
              ],
              "page": "docs/errors/L0201.md"
            },
            {
              "code": "L0001",
              "severity": "error",
              "message": "base.yml does not exist",
              "file": null,
              "line": null,
              "column": null,
              "end_line": null,
              "end_column": null,
              "label": null,
              "related": null,
              "hints": [],
              "page": "docs/errors/L0001.md"
            }
          ]
        }
        "#);
    }

    #[test]
    fn github_gets_one_escaped_command_each() {
        insta::assert_snapshot!(github(&sample()), @r"
        ::error file=liminal.yml,line=6,endLine=6,col=9,endColumn=12,title=L0201%3A A key is not known::unknown key `cal` in a step%0Ahelp: did you mean `call`?
        ::error file=liminal.yml,line=7,endLine=7,col=7,endColumn=13,title=L0104%3A A key is written twice::`fetch` is written twice
        ::warning file=liminal.yml,line=1,endLine=1,col=10,endColumn=14,title=L0205%3A A value is not allowed::an odd value
        ::error title=L0001%3A A definition file is missing::base.yml does not exist
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
        assert_eq!(json(&report).findings.len(), 7);
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
