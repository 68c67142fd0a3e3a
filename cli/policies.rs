//! Holds the policies of a definition against a plan, and says what they find.

use std::fmt::Write as _;

use liminal_schemas::plan::Plan;
use liminal_schemas::policy;
use liminal_schemas::policy::Effect;

use crate::app::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::project::Project;

/// Says what policies warn of, and refuses a plan that one of them denies.
pub(crate) fn check(context: &Context, project: &Project, plan: &Plan) -> Result<(), CliError> {
    let mut denied = String::new();
    let mut first = None;
    for verdict in policy::judge(&project.loaded.resolved, plan) {
        match verdict.effect {
            Effect::Warn => context.printer.warn(&format!("policy {}: {}", verdict.name, verdict.reason)),
            Effect::Deny => {
                first.get_or_insert_with(|| verdict.name.clone());
                let _ =
                    write!(denied, "{}{}: {}", if denied.is_empty() { "" } else { "\n" }, verdict.name, verdict.reason);
            }
        }
    }
    let Some(first) = first else { return Ok(()) };
    Err(CliError::new(format!("the plan for {} is denied by policy {first}", plan.environment))
        .hint(denied)
        .hint("policies stand under `policies:` of the definition")
        .exit(ExitCode::Refused))
}
