//! Findings as plain text, for snapshots: `file:line:col code message | label | + related | hints`.

use std::fmt::Write as _;

use liminal_schemas::definition::read::read;
use liminal_schemas::finding::Report;
use liminal_schemas::finding::Severity;
use liminal_schemas::name::EnvironmentName;

use crate::memory_files::MemoryFiles;

/// What reading a definition of one file reports.
pub(crate) fn findings(yaml: impl AsRef<[u8]>) -> String {
    findings_in(&MemoryFiles::new().with("liminal.yml", yaml))
}

/// What reading a project reports.
pub(crate) fn findings_in(files: &MemoryFiles) -> String {
    render(&read(files, "liminal.yml", None).1)
}

/// The same for an environment.
pub(crate) fn findings_for(environment: &str, files: &MemoryFiles) -> String {
    let environment = EnvironmentName::new(environment).expect("a valid name");
    render(&read(files, "liminal.yml", Some(&environment)).1)
}

pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let place = |span| match report.position(span) {
            Some(position) => format!("{}:{}:{}", span.file, position.line, position.column),
            None => span.file.to_string(),
        };
        if let Some(span) = &finding.span {
            write!(text, "{} ", place(span)).expect("a string takes all");
        }
        let warning = if finding.severity == Severity::Warning { " warning:" } else { "" };
        write!(text, "{}{warning} {}", finding.code, finding.message).expect("a string takes all");
        if let Some(label) = &finding.label {
            write!(text, "\n  here: {label}").expect("a string takes all");
        }
        if let Some((span, label)) = &finding.related {
            write!(text, "\n  {}: {label}", place(span)).expect("a string takes all");
        }
        for hint in &finding.hints {
            write!(text, "\n  hint: {hint}").expect("a string takes all");
        }
        text.push('\n');
    }
    text
}
