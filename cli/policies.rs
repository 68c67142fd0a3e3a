//! Holds the policies of a definition against a plan, and says what they find.

use liminal_schemas::plan::Plan;
use liminal_schemas::policy;
use liminal_schemas::policy::Effect;

use crate::app::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::project::Project;

/// Says what policies warn of, and refuses a plan that one of them denies.
pub(crate) fn check(context: &Context, project: &Project, plan: &Plan) -> Result<(), CliError> {
    let mut denied: Option<CliError> = None;
    for verdict in policy::judge(&project.loaded.resolved, plan) {
        let (name, reason) = (&verdict.name, &verdict.reason);
        match (verdict.effect, denied.take()) {
            (Effect::Warn, before) => {
                context.printer.warn(&format!("policy {name}: {reason}"));
                denied = before;
            }
            (Effect::Deny, None) => {
                let environment = &plan.environment;
                let error = CliError::new(format!("the plan for {environment} is denied by policy {name}: {reason}"));
                denied = Some(error.exit(ExitCode::Refused));
            }
            (Effect::Deny, Some(first)) => denied = Some(first.hint(format!("policy {name} denies it too: {reason}"))),
        }
    }
    denied.map_or(Ok(()), |error| Err(error.hint("policies stand under `policies:` of the definition")))
}
