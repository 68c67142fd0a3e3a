//! Conditions and gates: expressions, and what they read.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::rc::Rc;

use crate::definition::model::ActionDefinition;
use crate::expression::Expression;
use crate::expression::ExpressionError;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::finding::Spanned;
use crate::name::FieldName;
use crate::name::StepName;
use crate::step::METRICS_OUTPUT;
use crate::step::OutputRole;

use super::Edges;
use super::Resolver;
use super::Sub;
use super::inputs::Referrer;
use super::inputs::no_param;
use super::inputs::no_step;

/// Expressions that were read already, since many pipelines write the same ones.
#[derive(Default)]
pub(super) struct Expressions<'a> {
    known: BTreeMap<&'a str, Rc<Result<Expression, ExpressionError>>>,
}

impl<'a> Expressions<'a> {
    fn parse(&mut self, text: &'a str) -> Rc<Result<Expression, ExpressionError>> {
        self.known.entry(text).or_insert_with(|| Rc::new(Expression::parse(text))).clone()
    }
}

/// What the condition and the gate of a step read.
#[derive(Default)]
pub(super) struct Reads {
    /// The steps whose metrics they read, by their full names.
    pub(super) metrics: BTreeSet<StepName>,
    pub(super) params: BTreeSet<FieldName>,
    /// What names of steps stand for, where that is another one.
    pub(super) names: BTreeMap<StepName, StepName>,
}

impl<'a> Resolver<'a> {
    pub(super) fn conditions(&mut self, step: Referrer<'_, 'a>, edges: &mut Edges<'a>) -> Reads {
        let checks: &'a [Spanned<String>] = match &step.peer.definition.action {
            ActionDefinition::Gate(checks) => checks,
            ActionDefinition::Run(_)
            | ActionDefinition::Call(_)
            | ActionDefinition::Register(_)
            | ActionDefinition::Pipeline(_) => &[],
        };
        let mut reads = Reads::default();
        for text in step.peer.definition.when.iter().chain(checks) {
            match self.expressions.parse(&text.value).as_ref() {
                Ok(expression) => self.condition(step, text, expression, edges, &mut reads),
                Err(error) => {
                    let message = format!("this expression can not be read: {error}");
                    let finding = Finding::error(Code::ExpressionSyntax, &within(text, error.offset), message);
                    self.findings.push(finding);
                }
            }
        }
        reads
    }

    fn condition(
        &mut self,
        step: Referrer<'_, 'a>,
        text: &Spanned<String>,
        expression: &Expression,
        edges: &mut Edges<'a>,
        reads: &mut Reads,
    ) {
        let scope = step.scope;
        let references = expression.references();
        for problem in &references.problems {
            let span = within(text, problem.offset);
            self.findings.push(Finding::error(Code::UnknownReference, &span, problem.message.clone()));
        }
        for name in &references.params {
            if scope.params.contains_key(name) {
                reads.params.insert(name.clone());
            } else {
                self.findings.push(no_param(scope, name.as_str(), &word(text, name.as_str())));
            }
        }
        for maker in references.metrics.keys() {
            let span = word(text, maker.as_str());
            let Some(peer) = scope.steps.get(maker.as_str()) else {
                self.findings.push(no_step(scope, maker.as_str(), &span));
                continue;
            };
            if matches!(peer.sub, Sub::Broken) {
                continue;
            }
            let offer = peer.offer(METRICS_OUTPUT).filter(|offer| offer.role == OutputRole::Metrics);
            if maker != step.peer.name && offer.is_none() {
                let message = format!("step {maker} declares no metrics");
                let finding = Finding::error(Code::UnknownReference, &span, message);
                let hint = match peer.sub {
                    Sub::Known(_) => {
                        "name those of one of its steps in the pipeline that it is: `outputs: {metrics: STEP.metrics}`"
                            .to_owned()
                    }
                    Sub::None | Sub::Broken => {
                        format!("add `metrics: metrics.json` to {maker} and let it write a flat JSON object of numbers")
                    }
                };
                self.findings.push(finding.related(peer.key, "the step is here").hint(hint));
                continue;
            }
            if self.wait_for(step, peer, &span, edges)
                && let Some(full) = offer.and_then(|offer| scope.full(&offer.step))
            {
                if full != *maker {
                    reads.names.insert(maker.clone(), full.clone());
                }
                reads.metrics.insert(full);
            }
        }
        if let Err(error) = expression.check(&scope.types) {
            let message = format!("this expression does not work: {error}");
            self.findings.push(Finding::error(Code::ExpressionType, &within(text, error.offset), message));
        }
    }
}

/// The word at an offset of a text; the whole of it where the text does not stand in the file as it is.
fn within(text: &Spanned<String>, offset: usize) -> Span {
    let Some(start) = verbatim(text) else { return text.span.clone() };
    let rest = text.value.get(offset..).unwrap_or_default();
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    let length = match rest.chars().next() {
        Some(first) if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
        Some(first) => first.len_utf8(),
        None => 0,
    };
    Span { file: text.span.file.clone(), start: start + offset, end: start + offset + length }
}

/// The first place of a name in a text.
fn word(text: &Spanned<String>, name: &str) -> Span {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut places = text.value.match_indices(name).map(|(offset, _)| offset);
    let found = places.find(|offset| {
        let (before, after) = (&text.value[..*offset], &text.value[offset + name.len()..]);
        before.ends_with(['.', '"', '\'']) && !after.starts_with(part_of_name)
    });
    match (found, verbatim(text)) {
        (Some(offset), Some(start)) => {
            Span { file: text.span.file.clone(), start: start + offset, end: start + offset + name.len() }
        }
        _ => text.span.clone(),
    }
}

/// Where the text itself begins in the file, when it stands there as it is: bare, or in quotes without escapes.
fn verbatim(text: &Spanned<String>) -> Option<usize> {
    match text.span.end.checked_sub(text.span.start)?.checked_sub(text.value.len())? {
        0 => Some(text.span.start),
        2 => Some(text.span.start + 1),
        _ => None,
    }
}
