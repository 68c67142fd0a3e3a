//! Where a person finds what a step left.

use std::path::Path;

use liminal_schemas::name::FieldName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::run::Artifact;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::OutputRole;

use super::Local;
use crate::records::RunView;

impl Local {
    /// Where a person finds an artifact: plots on this machine, everything else by a command.
    pub(super) fn locate(
        &self,
        view: &RunView,
        step: &StepName,
        output: &FieldName,
        artifact: &Artifact,
    ) -> Option<String> {
        let spec = view.release.steps.get(step)?.outputs.get(output)?;
        match (spec.role, artifact.kind) {
            (OutputRole::Plot, ArtifactKind::File) => self.plot_path(&view.record.run, step, &spec.path, artifact),
            (OutputRole::Plot | OutputRole::Data | OutputRole::Metrics, _) => {
                Some(format!("liminal artifacts get {step}.{output}"))
            }
        }
    }

    /// A plot under its own name, which programs that show pictures go by: a copy below the environment's folder.
    fn plot_path(&self, run: &RunId, step: &StepName, path: &str, artifact: &Artifact) -> Option<String> {
        let target = self.root().join("plots").join(run.as_str()).join(step.as_str()).join(path);
        if !target.exists() {
            std::fs::create_dir_all(target.parent()?).ok()?;
            self.artifacts().copy_out(artifact, &target).ok()?;
        }
        let here = std::env::current_dir().ok().and_then(|here| here.canonicalize().ok());
        let shown = here.and_then(|here| target.strip_prefix(here).ok().map(Path::to_owned)).unwrap_or(target);
        Some(shown.display().to_string())
    }
}
