//! What an expression refers to, found without evaluating it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use cel::common::ast::EntryExpr;
use cel::common::ast::Expr;
use cel::common::ast::IdedExpr;
use cel::common::ast::LiteralValue;
use cel::common::ast::operators;

use crate::name::FieldName;
use crate::name::StepName;

use super::ExpressionError;
use super::Place;

/// The variables that every expression has.
pub(super) const ROOTS: [&str; 3] = ["metrics", "params", "run"];

/// What an expression refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Metrics, by the step that makes them.
    pub metrics: BTreeMap<StepName, BTreeSet<String>>,
    /// Metrics whose presence it asks for with `has(…)`, so that they may be missing.
    pub optional: BTreeSet<(StepName, String)>,
    /// Parameters.
    pub params: BTreeSet<FieldName>,
    /// Whether it reads `run.id`.
    pub run_id: bool,
    /// References that can lead nowhere in any definition: unknown variables, `metrics` without step and metric.
    pub problems: Vec<ExpressionError>,
}

/// A reference as written: a variable and the names after it, by `.name` or `["name"]`.
pub(super) struct Path<'a> {
    start: &'a IdedExpr,
    pub(super) root: &'a str,
    pub(super) names: Vec<&'a str>,
}

impl<'a> Path<'a> {
    /// The longest path that ends in this node. None when it does not start at a variable or holds a computed name.
    pub(super) fn of(mut node: &'a IdedExpr) -> Option<Self> {
        let mut names = Vec::new();
        loop {
            match &node.expr {
                Expr::Ident(root) => {
                    names.reverse();
                    return Some(Self { start: node, root, names });
                }
                Expr::Select(select) => {
                    names.push(select.field.as_str());
                    node = &select.operand;
                }
                Expr::Call(call) if call.func_name == operators::INDEX => {
                    let [operand, index] = call.args.as_slice() else { return None };
                    let Expr::Literal(LiteralValue::String(name)) = &index.expr else { return None };
                    names.push(name.inner());
                    node = operand;
                }
                Expr::Unspecified
                | Expr::Call(_)
                | Expr::Comprehension(_)
                | Expr::List(_)
                | Expr::Literal(_)
                | Expr::Map(_)
                | Expr::Struct(_) => return None,
            }
        }
    }
}

/// How a metric is written in an expression.
pub(super) fn metric_path(step: &StepName, metric: &str) -> String {
    let step = if step.as_str().contains('-') { format!("metrics[\"{step}\"]") } else { format!("metrics.{step}") };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if metric.chars().all(plain) && !metric.starts_with(|c: char| c.is_ascii_digit()) {
        format!("{step}.{metric}")
    } else {
        format!("{step}[\"{metric}\"]")
    }
}

pub(super) fn collect(root: &IdedExpr, place: &Place<'_>) -> References {
    let mut found = Collector { references: References::default(), place, bound: Vec::new() };
    found.visit(root);
    found.references
}

struct Collector<'a> {
    references: References,
    place: &'a Place<'a>,
    bound: Vec<&'a str>,
}

impl<'a> Collector<'a> {
    fn problem(&mut self, node: &IdedExpr, message: String) {
        self.references.problems.push(ExpressionError::new(message, self.place.of(node)));
    }

    fn visit(&mut self, node: &'a IdedExpr) {
        if let Some(path) = Path::of(node) {
            return self.path(node, &path);
        }
        match &node.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
            Expr::Select(select) => self.visit(&select.operand),
            Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).for_each(|part| self.visit(part)),
            Expr::List(list) => list.elements.iter().for_each(|element| self.visit(element)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Struct(message) => message.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Comprehension(comprehension) => {
                self.visit(&comprehension.iter_range);
                let known = self.bound.len();
                self.bound.push(&comprehension.iter_var);
                self.bound.push(&comprehension.accu_var);
                self.visit(&comprehension.loop_step);
                self.bound.truncate(known);
            }
        }
    }

    fn entry(&mut self, entry: &'a EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.visit(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.visit(&entry.key);
                self.visit(&entry.value);
            }
        }
    }

    fn path(&mut self, node: &IdedExpr, path: &Path<'_>) {
        match (path.root, path.names.as_slice()) {
            (root, _) if self.bound.contains(&root) => {}
            ("metrics", [step, metric]) => match StepName::new(*step) {
                Ok(step) => {
                    if matches!(&node.expr, Expr::Select(select) if select.test) {
                        self.references.optional.insert((step.clone(), (*metric).to_owned()));
                    }
                    self.references.metrics.entry(step).or_default().insert((*metric).to_owned());
                }
                Err(error) => self.problem(path.start, error.to_string()),
            },
            ("metrics", _) => self.problem(path.start, "write `metrics.STEP.METRIC`, with both names".to_owned()),
            ("params", [name, ..]) => match FieldName::new(*name) {
                Ok(name) => drop(self.references.params.insert(name)),
                Err(error) => self.problem(path.start, error.to_string()),
            },
            ("params", []) => self.problem(path.start, "write `params.NAME`, with the name of a parameter".to_owned()),
            ("run", ["id"]) => self.references.run_id = true,
            ("run", _) => self.problem(path.start, "of a run only `run.id` is known".to_owned()),
            (root, names) => {
                let mut message =
                    format!("`{root}` is not known; known are `metrics.STEP.METRIC`, `params.NAME` and `run.id`");
                if self.references.metrics_cut_short(names) {
                    message.push_str("; a step with a dash in its name is written `metrics[\"a-b\"].METRIC`");
                }
                self.problem(path.start, message);
            }
        }
    }
}

impl References {
    /// Whether `metrics.a` came just before, as it does when `metrics.a-b.c` is read as a subtraction.
    fn metrics_cut_short(&self, names: &[&str]) -> bool {
        !names.is_empty() && self.problems.last().is_some_and(|problem| problem.message.contains("metrics.STEP"))
    }
}
