//! A commit that changes nothing is applied by saying so.

use liminal_schemas::gitops::Trigger;
use liminal_schemas::plan::Plan;
use liminal_schemas::state::Applied;

use super::ApplyError;
use super::Lifetime;
use super::record::check_base;
use crate::ports::Clock;
use crate::ports::Objects;
use crate::state::LockRequest;
use crate::state::SaveError;
use crate::state::StateSession;
use crate::state::acquire;
use crate::state::load;

/// Records that an environment is what a commit says, although the plan from it has nothing to do. So the commit is not
/// looked at again, and those that come before it are known to be older. The history gets no entry, since nothing happened.
///
/// # Errors
/// When the lock is held, the state moved since the plan was made, or the store fails.
pub async fn record_commit<O: Objects, C: Clock>(
    plan: &Plan,
    (objects, clock): (&O, &C),
    (by, trigger): (Option<String>, Option<Trigger>),
    lifetime: Option<&Lifetime>,
    lock: LockRequest<'_>,
) -> Result<(), ApplyError> {
    let mut lease = acquire(objects, clock, &plan.environment, lock).await?;
    let work = async {
        let loaded = load(objects, &plan.environment).await?;
        check_base(plan, loaded.as_ref())?;
        let Some(loaded) = loaded else { return Ok(()) };
        let mut session = StateSession::resume(objects, loaded);
        session.state.applied = Some(Applied { source: plan.base.source.clone(), at: clock.now(), by, trigger });
        if let Some(lifetime) = lifetime {
            session.state.expires = Some(lifetime.expiry(clock.now()));
        }
        match session.save().await {
            Ok(()) => Ok(()),
            Err(SaveError::Moved) => Err(ApplyError::Overtaken),
            Err(SaveError::Json(error)) => Err(error.into()),
            Err(SaveError::Refused(source)) => Err(ApplyError::NotStarted(source)),
        }
    };
    let outcome = lease.while_held(work).await;
    // A lock that can not be given back runs out by itself; what was done, or went wrong, matters more.
    let _ = lease.release().await;
    outcome
}
