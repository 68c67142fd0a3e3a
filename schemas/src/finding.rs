//! Findings: what is wrong with a definition, where exactly, and what to try.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// A place in a source file, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file, by path below the project folder.
    pub file: std::sync::Arc<str>,
    /// Where it begins.
    pub start: usize,
    /// Where it ends, exclusive.
    pub end: usize,
}

/// A value and where it was written. Comparisons look at the value alone.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Pairs a value with its place.
    pub const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T> std::ops::Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// A problem, or a warning, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which kind of problem; each has a page in `docs/errors/`.
    pub code: Code,
    /// Whether the definition can be used all the same.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where; none when the whole file is meant, or there is none.
    pub span: Option<Span>,
    /// What to say at that place.
    pub label: Option<String>,
    /// Another place that matters, and what to say there: where a duplicate was first defined.
    pub related: Option<(Span, String)>,
    /// What to try, one sentence each.
    pub hints: Vec<String>,
}

/// Whether a definition can be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It can not.
    Error,
    /// It can, but something in it is likely a mistake.
    Warning,
}

impl Finding {
    /// An error at a place.
    pub fn error(code: Code, span: &Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            span: Some(span.clone()),
            label: None,
            related: None,
            hints: Vec::new(),
        }
    }

    /// An error about a whole file, or about one that is missing.
    pub fn error_without_place(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            span: None,
            label: None,
            related: None,
            hints: Vec::new(),
        }
    }

    /// The same as a warning.
    pub fn warning(code: Code, span: &Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    /// Says something at the place.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds something to try.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Names another place that matters.
    pub fn related(mut self, span: &Span, label: impl Into<String>) -> Self {
        self.related = Some((span.clone(), label.into()));
        self
    }
}

/// All that was found in a definition, with the sources that the findings point into.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The findings, in the order of files and places.
    pub findings: Vec<Finding>,
    /// The text of every file that was read.
    pub sources: BTreeMap<String, String>,
}

impl Report {
    /// Adds a finding.
    pub fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Whether anything makes the definition unusable.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Line and column, both from 1, of a byte offset; columns count characters. None when the file is not known.
    pub fn position(&self, span: &Span) -> Option<Position> {
        let text = self.sources.get(&*span.file)?;
        let before = text.get(..span.start.min(text.len()))?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        Some(Position { line, column })
    }

    /// Sorts the findings by file and place and drops repetitions.
    pub fn sort(&mut self) {
        self.findings.sort_by(|a, b| (&a.span, a.code, &a.message).cmp(&(&b.span, b.code, &b.message)));
        self.findings.dedup();
    }
}

/// A place for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

macro_rules! codes {
    ($($variant:ident $code:literal $title:literal,)*) => {
        /// The kinds of problems. The number is stable and names a page: `docs/errors/L0101.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable number.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What the page is called.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// The page itself. A code without its page does not compile.
            pub const fn page(self) -> &'static str {
                match self { $(Self::$variant => include_str!(concat!("../../docs/errors/", $code, ".md")),)* }
            }
        }
    };
}

// 00xx reading files, 01xx YAML, 02xx shape and types, 03xx references and graph, 04xx expressions and templates, 05xx code and files.
codes! {
    FileMissing "L0001" "A definition file is missing",
    FileRefused "L0002" "A file is not to be used",
    FileTooLarge "L0003" "A definition file is too large",
    NotUtf8 "L0004" "A definition file is not UTF-8",
    IncludeConflict "L0005" "Included files clash",
    ExtendsCycle "L0006" "Definitions extend each other",
    YamlSyntax "L0101" "The YAML can not be read",
    YamlTooDeep "L0102" "The YAML is nested too deeply",
    YamlAlias "L0103" "Aliases, merge keys and tags are not used",
    DuplicateKey "L0104" "A key is written twice",
    UnknownKey "L0201" "A key is not known",
    MissingKey "L0202" "A key is missing",
    WrongType "L0203" "A value has the wrong type",
    InvalidName "L0204" "A name is not valid",
    InvalidValue "L0205" "A value is not allowed",
    NoAction "L0206" "A step has no way to execute, or several",
    KeyNotApplicable "L0207" "A key does not apply here",
    UnknownEnvironment "L0208" "An environment is not defined",
    UnknownReference "L0301" "A reference leads nowhere",
    Cycle "L0302" "Steps wait for each other",
    DuplicateOutput "L0303" "Two outputs clash",
    ParamValue "L0304" "A parameter has a value that is not allowed",
    Unused "L0305" "Something is declared but not used",
    TriggerFails "L0306" "A trigger starts runs that can not run",
    TriggerLoop "L0307" "A trigger would wait for liminal's own objects",
    TriggerTwice "L0308" "A trigger is written twice",
    PipelineCycle "L0309" "A pipeline contains itself",
    TriggerCycle "L0310" "Pipelines start each other",
    ExpressionSyntax "L0401" "An expression can not be read",
    ExpressionType "L0402" "An expression does not give true or false",
    TemplateSyntax "L0403" "A template can not be read",
    SecretPlace "L0404" "A secret stands where it would leak",
    SecretPlatform "L0405" "A secret is kept where the environment can not read it",
    CodeMissing "L0501" "Code is missing from the project",
    UnsafePath "L0502" "A path leads out of its folder",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
