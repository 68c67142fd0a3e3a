//! Attempts that compute nothing: what they leave depends on the step and its inputs alone.

use std::collections::BTreeMap;
use std::time::Duration;

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::DirectoryListing;
use liminal_schemas::run::ListedFile;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::OutputRole;

use super::world::SimulatedClock;
use super::world::World;
use crate::executor::AttemptJob;
use crate::executor::AttemptOutcome;
use crate::executor::Executor;
use crate::ports::Clock;
use crate::protocol::attempt::LEASE_MARGIN;
use crate::protocol::attempt::failure;

/// Carries out attempts in the world.
#[derive(Clone)]
pub struct SimulatedExecutor {
    world: World,
}

impl SimulatedExecutor {
    /// The executor of a world.
    pub fn new(world: World) -> Self {
        Self { world }
    }
}

impl Executor for SimulatedExecutor {
    async fn execute(&self, job: AttemptJob) -> AttemptOutcome {
        let (seconds, overrun, fails) = {
            let mut state = self.world.state();
            let faults = *state.faults();
            let class = if state.draw(2) == 0 { FailureClass::Infrastructure } else { FailureClass::Throttled };
            let fails = state.goes_wrong("failed attempt", faults.failed_attempts).then_some(class);
            (state.draw(90), state.goes_wrong("zombie worker", faults.overruns), fails)
        };
        let clock = SimulatedClock::new(self.world.clone());
        clock.sleep(Duration::from_secs(seconds).min(job.timeout)).await;
        if overrun {
            clock.sleep(job.timeout + LEASE_MARGIN).await;
        }
        if let Some(class) = fails {
            return AttemptOutcome::Failed(failure(class, "the simulated platform failed"));
        }
        let inputs: BTreeMap<_, _> = job.inputs.iter().map(|(name, artifact)| (name, artifact.digest)).collect();
        let mut outputs = BTreeMap::new();
        let mut metrics = BTreeMap::new();
        for (name, output) in &job.spec.outputs {
            let content = Digest::of_document(&(&job.unit.step, name, &inputs, &*job.params)).hex();
            let digest = Digest::of_bytes(content.as_bytes());
            let mut state = self.world.state();
            state.objects.insert(keys::artifact(&digest), (content.clone().into_bytes(), 0));
            let artifact = match output.kind {
                ArtifactKind::File => Artifact { digest, kind: ArtifactKind::File, bytes: 64 },
                ArtifactKind::Directory => {
                    let files = 1 + content.bytes().next().map_or(0, |byte| byte % 7);
                    let file = ListedFile { digest, bytes: 64, executable: false };
                    let files = (0..files).map(|number| (format!("{number}.part"), file.clone())).collect();
                    let listing = DirectoryListing { files };
                    let digest = Digest::of_document(&listing);
                    let bytes = serde_json::to_vec(&listing).unwrap_or_default();
                    state.objects.insert(keys::artifact(&digest), (bytes, 0));
                    Artifact { digest, kind: ArtifactKind::Directory, bytes: 64 }
                }
            };
            outputs.insert(name.clone(), artifact);
            if output.role == OutputRole::Metrics {
                metrics.insert("score".to_owned(), f64::from(content.as_bytes()[0]));
            }
        }
        AttemptOutcome::Succeeded { outputs, metrics }
    }
}
