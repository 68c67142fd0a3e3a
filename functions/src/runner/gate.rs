//! Gates and conditions: expressions over parameters and the metrics of other steps.

use liminal_schemas::run::CheckResult;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::StepSpec;

use super::Runner;
use super::context::RunContext;
use crate::ports::Conditions;
use crate::ports::Platform;
use crate::ports::Scope;
use crate::protocol::attempt::failure;

impl<P: Platform> Runner<P> {
    /// What the expressions of a step may read: its parents are settled, so their metrics are known.
    pub(super) fn scope(&self, context: &RunContext, spec: &StepSpec) -> Scope {
        let metrics = spec.reads_metrics.iter().filter_map(|step| {
            let commit = context.commit(step)?;
            Some((step.clone(), commit.metrics.clone()))
        });
        Scope {
            params: (*context.params).clone(),
            metrics: metrics.collect(),
            run: context.run().as_str().to_owned(),
        }
    }

    /// Evaluates every check of a gate, so that people see all that is wrong, and says in the commit how it came out.
    pub(super) fn check_gate(&self, context: &RunContext, spec: &StepSpec, checks: &[String], commit: &mut Commit) {
        let scope = self.scope(context, spec);
        for expression in checks {
            match self.platform.conditions().evaluate(expression, &scope) {
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
}
