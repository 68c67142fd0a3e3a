//! Gates and conditions: expressions over parameters and the metrics of other steps.

use std::collections::BTreeMap;

use liminal_schemas::expression::Evaluation;
use liminal_schemas::expression::Expression;
use liminal_schemas::expression::Scope;
use liminal_schemas::name::StepName;
use liminal_schemas::run::CheckResult;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::Names;
use liminal_schemas::step::StepSpec;

use super::context::RunContext;
use crate::protocol::attempt::failure;

/// Evaluates an expression of a step: its parents are settled, so their metrics are known.
pub(super) fn evaluate(context: &RunContext, names: &Names, expression: &str) -> Result<Evaluation, String> {
    let expression = Expression::parse(expression).map_err(|error| error.message)?;
    let made = |name: &StepName| Some((name.clone(), context.commit(names.step(name))?.metrics.clone()));
    let metrics: BTreeMap<StepName, BTreeMap<String, f64>> =
        expression.references().metrics.keys().filter_map(made).collect();
    expression.evaluate(&Scope { params: &names.params(&context.params), metrics: &metrics, run_id: context.run() })
}

/// Whether a step is to run, by its own condition and by those of the sub-pipelines that it is part of.
///
/// # Errors
/// The condition that has no value, and why.
pub(super) fn is_wanted(context: &RunContext, spec: &StepSpec) -> Result<bool, (String, String)> {
    let outer = spec.within.iter().map(|condition| (&condition.names, &condition.when));
    for (names, condition) in outer.chain(spec.when.iter().map(|when| (&spec.names, when))) {
        match evaluate(context, names, condition) {
            Ok(evaluation) if evaluation.value => {}
            Ok(_) => return Ok(false),
            Err(problem) => return Err((condition.clone(), problem)),
        }
    }
    Ok(true)
}

/// Evaluates every check of a gate, so that people see all that is wrong, and says in the commit how it came out.
pub(super) fn check_gate(context: &RunContext, spec: &StepSpec, checks: &[String], commit: &mut Commit) {
    for expression in checks {
        match evaluate(context, &spec.names, expression) {
            Ok(evaluation) => {
                if !evaluation.value && commit.status == CommitStatus::Succeeded {
                    commit.status = CommitStatus::Rejected;
                }
                commit.checks.push(CheckResult {
                    expression: expression.clone(),
                    passed: evaluation.value,
                    values: evaluation.values,
                });
            }
            Err(problem) => {
                commit.status = CommitStatus::Failed;
                let message = format!("its check `{expression}` has no value: {problem}");
                commit.failure.get_or_insert_with(|| failure(FailureClass::User, message));
            }
        }
    }
}
