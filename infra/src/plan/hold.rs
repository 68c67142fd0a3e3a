//! What an apply leaves as it is, whatever the definition says: decided before there is a plan, so that the plan is made as if
//! the definition had what is live.

use std::collections::BTreeMap;

use liminal_schemas::digest::Digest;
use liminal_schemas::name::PipelineName;

use super::Observed;
use super::Revised;
use super::Rollout;

/// A pipeline that stays at what is live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What is live.
    pub live: Digest,
    /// Why it stays, for people.
    pub note: String,
}

/// The pipelines that stay at what is live. A release whose trial ended badly does not become live by itself, even when a
/// commit has it that is about something else: `allow_aborted` says that somebody wants it all the same. And what is
/// only tried removes nothing.
pub fn held_back(
    desired: &BTreeMap<PipelineName, Revised>,
    observed: &Observed,
    rollout: Rollout,
    allow_aborted: bool,
) -> BTreeMap<PipelineName, Held> {
    let mut held = BTreeMap::new();
    for (pipeline, live) in &observed.live {
        let note = match (desired.get(pipeline), rollout) {
            (None, Rollout::Canary { .. }) if !desired.is_empty() => {
                format!("{pipeline} is not defined any more, and stays until an apply without --canary")
            }
            (None, Rollout::Canary { .. } | Rollout::Whole) | (Some(_), Rollout::Canary { .. }) => continue,
            (Some(revised), Rollout::Whole) => {
                let aborted = observed.aborted.get(pipeline).filter(|it| it.revision == revised.revision);
                let Some(aborted) = aborted.filter(|it| !allow_aborted && it.revision != *live) else { continue };
                let (revision, live) = (aborted.revision.short(), live.short());
                format!(
                    "{pipeline} stays at {live}: the canary {revision} was aborted, since {}; --allow-aborted makes it live all the same, and --canary tries it again",
                    aborted.reason
                )
            }
        };
        held.insert(pipeline.clone(), Held { live: *live, note });
    }
    held
}
