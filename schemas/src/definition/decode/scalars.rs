//! Single values: texts, numbers, lists of them, names and templates.

use super::Context;
use super::MAX_ITEMS;
use super::fields;
use crate::definition::yaml::Kind;
use crate::definition::yaml::Node;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::finding::Spanned;
use crate::name::NameError;
use crate::suggestion::closest;
use crate::template::Template;

/// A text with where it stands in the file as it is.
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) span: Span,
    verbatim: Option<usize>,
}

impl Scalar {
    /// The place of a part of the text: exact where the text stands in the file as it is, else that of the whole.
    pub(super) fn part(&self, start: usize, end: usize) -> Span {
        match self.verbatim {
            Some(at) => Span { file: self.span.file.clone(), start: at + start, end: at + end },
            None => self.span.clone(),
        }
    }
}

/// What is wrong with a text, and what to write instead.
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) hint: String,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl Context {
    /// A text.
    pub(super) fn scalar(&mut self, node: Node, what: &str) -> Option<Scalar> {
        let hint = match &node.kind {
            Kind::Text { .. } => None,
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => Some("put it into quotes"),
            Kind::Null => Some("write a value behind the colon, or leave the key out"),
            Kind::List(_) | Kind::Map(_) | Kind::Refused => None,
        };
        if let Kind::Text { text, verbatim } = node.kind {
            return Some(Scalar { text, span: node.span, verbatim });
        }
        self.wrong_type(&node, what, "a text", hint);
        None
    }

    /// A text, without more.
    pub(super) fn text(&mut self, node: Node, what: &str) -> Option<Spanned<String>> {
        self.scalar(node, what).map(|scalar| Spanned::new(scalar.text, scalar.span))
    }

    /// A list of something; also a list that is not there.
    pub(super) fn list<T>(
        &mut self,
        node: Node,
        what: &str,
        mut decode: impl FnMut(&mut Self, Node) -> Option<T>,
    ) -> Vec<T> {
        match node.kind {
            Kind::Null => Vec::new(),
            Kind::List(items) => {
                if items.len() > MAX_ITEMS {
                    let message = format!("{what} has {} items, more than {MAX_ITEMS}", items.len());
                    self.lose(Finding::error(Code::InvalidValue, &node.span, message));
                }
                items.into_iter().take(MAX_ITEMS).filter_map(|item| decode(self, item)).collect()
            }
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Text { .. } | Kind::Map(_) | Kind::Refused => {
                let hint = matches!(node.kind, Kind::Text { .. }).then_some("put it into brackets: [...]");
                self.wrong_type(&node, what, "a list", hint);
                Vec::new()
            }
        }
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, node: Node, what: &str) -> Vec<Spanned<String>> {
        let item = format!("an item of {what}");
        self.list(node, what, |cx, node| cx.text(node, &item))
    }

    /// A name.
    pub(super) fn name<N>(
        &mut self,
        node: Node,
        what: &str,
        name: impl Fn(String) -> Result<N, NameError>,
    ) -> Option<Spanned<N>> {
        let text = self.text(node, what)?;
        match name(text.value.clone()) {
            Ok(name) => Some(Spanned::new(name, text.span)),
            Err(error) => {
                self.lose(fields::invalid_name(&error, &text.value, &text.span));
                None
            }
        }
    }

    /// A whole number in a range.
    pub(super) fn whole(&mut self, node: &Node, what: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let Kind::Int(number) = node.kind else {
            self.wrong_type(node, what, "a whole number", None);
            return None;
        };
        let fits = u32::try_from(number).ok().filter(|number| range.contains(number));
        if fits.is_none() {
            let message = format!("{what} is {number}");
            self.invalid(&node.span, message, &format!("from {} to {} is allowed", range.start(), range.end()));
        }
        fits
    }

    /// A number.
    pub(super) fn number(&mut self, node: &Node, what: &str) -> Option<f64> {
        match node.kind {
            #[expect(clippy::cast_precision_loss, reason = "bounds and shares are small numbers")]
            Kind::Int(number) => Some(number as f64),
            Kind::Float(number) => Some(number),
            Kind::Null | Kind::Bool(_) | Kind::Text { .. } | Kind::List(_) | Kind::Map(_) | Kind::Refused => {
                self.wrong_type(node, what, "a number", None);
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn word<T, const N: usize>(
        &mut self,
        node: Node,
        what: &str,
        words: [(&'static str, T); N],
    ) -> Option<Spanned<T>> {
        let text = self.text(node, what)?;
        let known = words.each_ref().map(|(word, _)| *word);
        if let Some((_, value)) = words.into_iter().find(|(word, _)| *word == text.value) {
            return Some(Spanned::new(value, text.span));
        }
        let message = format!("{what} can not be `{}`", fields::shorten(&text.value));
        let mut finding = Finding::error(Code::InvalidValue, &text.span, message);
        if let Some(similar) = closest(&text.value.to_lowercase(), known) {
            finding = finding.label(format!("did you mean `{similar}`?"));
        }
        self.push(finding.hint(format!("one of {} is allowed", known.join(", "))));
        None
    }

    /// A boolean.
    pub(super) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        if let Kind::Bool(value) = node.kind {
            return Some(value);
        }
        self.wrong_type(node, what, "a boolean", Some("write true or false"));
        None
    }

    /// A text that is checked; what is wrong with it comes with the better way to write it.
    pub(super) fn checked(
        &mut self,
        node: Node,
        what: &str,
        problem_with: impl Fn(&str) -> Option<Problem>,
    ) -> Option<Spanned<String>> {
        let text = self.text(node, what)?;
        let Some(Problem { message, hint }) = problem_with(&text.value) else { return Some(text) };
        let message = format!("`{}` can not be {what}: {message}", fields::shorten(&text.value));
        self.invalid(&text.span, message, &hint);
        None
    }

    /// A template. Whole numbers and booleans are taken as they are written, since nobody mistakes them.
    pub(super) fn template(&mut self, node: Node, what: &str) -> Option<Spanned<Template>> {
        match node.kind {
            Kind::Int(number) => return Some(Spanned::new(Template::literal(number.to_string()), node.span)),
            Kind::Bool(value) => return Some(Spanned::new(Template::literal(value.to_string()), node.span)),
            Kind::Null | Kind::Float(_) | Kind::Text { .. } | Kind::List(_) | Kind::Map(_) | Kind::Refused => {}
        }
        let scalar = self.scalar(node, what)?;
        if scalar.text.contains('\0') {
            self.invalid(&scalar.span, format!("{what} has a NUL character"), "programs can not be given it");
            return None;
        }
        self.parse_template(&scalar).map(|template| Spanned::new(template, scalar.span))
    }

    /// Reads a text as a template, and reports the first fault at its own place.
    pub(super) fn parse_template(&mut self, scalar: &Scalar) -> Option<Template> {
        match Template::parse(&scalar.text) {
            Ok(template) => Some(template),
            Err(error) => {
                let end =
                    scalar.text[error.offset..].find("}}").map_or(scalar.text.len(), |end| error.offset + end + 2);
                let span = scalar.part(error.offset, end);
                self.push(Finding::error(Code::TemplateSyntax, &span, error.problem));
                None
            }
        }
    }

    /// Reports that a value is of the wrong type, unless a finding speaks of it already.
    pub(super) fn wrong_type(&mut self, node: &Node, what: &str, wanted: &str, hint: Option<&str>) {
        self.incomplete = true;
        if matches!(node.kind, Kind::Refused) {
            return;
        }
        let message = format!("{wanted} is needed for {what}, not {}", node.kind.what());
        let mut finding = Finding::error(Code::WrongType, &node.span, message);
        if let Some(hint) = hint {
            finding = finding.hint(hint);
        }
        self.push(finding);
    }
}
