//! Approvals of plans for protected environments.

use liminal_functions::ports::ObjectStore as _;
use liminal_functions::ports::Put;
use liminal_schemas::digest::Digest;
use liminal_schemas::gitops::Approval;
use liminal_schemas::gitops::GITOPS_SCHEMA;
use liminal_schemas::keys;
use liminal_schemas::plan::Plan;
use liminal_schemas::plan::PlanPurpose;

use super::Environment;
use super::applying::ApplyFailure;
use crate::app::Context;
use crate::error::CliError;
use crate::error::While as _;
use crate::exit_code::ExitCode;

/// How many digits of a plan's digest people are shown. An approval is looked up by all of them.
const SHOWN_DIGITS: usize = 12;

/// A digest of a plan as people are shown it, and as `liminal approve` takes it.
pub(crate) fn shown(plan: &Digest) -> String {
    plan.hex().chars().take(SHOWN_DIGITS).collect()
}

/// Whether a plan for this only leads back to what was approved before.
const fn is_safe(purpose: PlanPurpose) -> bool {
    match purpose {
        PlanPurpose::Heal | PlanPurpose::Abort => true,
        PlanPurpose::Apply | PlanPurpose::Rollback | PlanPurpose::Promote | PlanPurpose::Destroy => false,
    }
}

impl Environment {
    /// The approval of a plan, if somebody approved it.
    pub(crate) async fn approval(&self, plan: &Plan) -> Result<Option<Approval>, CliError> {
        let key = keys::approval(self.name(), &plan.approval_digest());
        self.records().document(&key).await
    }

    /// Records that a plan is approved, unless it is already: gives the approval that counts.
    pub(crate) async fn approve(&self, plan: &Plan) -> Result<Approval, CliError> {
        let digest = plan.approval_digest();
        let approval =
            Approval { schema: GITOPS_SCHEMA, plan: digest, by: self.settings().user.clone(), at: self.now() };
        let key = keys::approval(self.name(), &digest);
        let bytes = serde_json::to_vec(&approval).or_failed(|| format!("{key} can not be written"))?;
        match self.store().put_if_absent(&key, &bytes).await.or_failed(|| format!("{key} can not be written"))? {
            Put::Created(_) => Ok(approval),
            Put::Exists => Ok(self.approval(plan).await?.unwrap_or(approval)),
        }
    }

    /// Refuses a plan that needs an approval and has none. What only leads back to what was approved needs none.
    pub(super) async fn check_approved(&self, plan: &Plan) -> Result<(), ApplyFailure> {
        if !self.is_protected() || is_safe(plan.purpose) {
            return Ok(());
        }
        if self.approval(plan).await.map_err(ApplyFailure::Setup)?.is_some() {
            return Ok(());
        }
        let (name, digest) = (self.name(), shown(&plan.approval_digest()));
        let error = CliError::new(format!("{name} is protected, and nobody has approved plan {digest}"))
            .hint(format!("`liminal approve {digest} -e {name}` approves it, for as long as nothing else is applied"))
            .exit(ExitCode::Refused);
        Err(ApplyFailure::NotApproved(error))
    }

    /// Says who approved a plan, or how it is approved.
    pub(crate) async fn say_approval(&self, context: &Context, plan: &Plan) -> Result<(), CliError> {
        let digest = shown(&plan.approval_digest());
        context.printer.say(&match self.approval(plan).await? {
            Some(approval) => {
                let by = approval.by.as_deref().unwrap_or("somebody");
                format!("Protected: plan {digest} was approved by {by} at {}", approval.at)
            }
            None => format!("Protected: liminal approve {digest} -e {} lets it be carried out", self.name()),
        });
        Ok(())
    }
}
