//! What is wrong with a definition, for programs.

use std::collections::BTreeMap;

use liminal_schemas::finding::Code;
use liminal_schemas::finding::Report;
use liminal_schemas::finding::Severity;
use liminal_schemas::finding::Span;
use serde::Serialize;

use super::findings::within;

/// The version of the JSON form: `major.minor`. A reader may ignore fields it does not know as long as the major number
/// is its own.
const FINDINGS_FORMAT: &str = "1.0";

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

#[cfg(test)]
mod tests {
    use super::super::findings::tests::sample;
    use super::*;

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
}
