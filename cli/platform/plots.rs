//! Plots under their own names, which programs that show pictures go by.

use std::collections::BTreeMap;
use std::path::Path;

use liminal_schemas::name::FieldName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::run::Artifact;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::OutputRole;

use super::Environment;
use crate::records::RunView;

impl Environment {
    /// The plots that a run left: copies below the environment's folder. One that can not be copied is left out.
    pub(super) async fn plots(&self, view: &RunView) -> BTreeMap<(StepName, FieldName), String> {
        let mut plots = BTreeMap::new();
        for (step, commit) in &view.commits {
            for (output, artifact) in &commit.outputs {
                let spec = view.release.steps.get(step).and_then(|spec| spec.outputs.get(output));
                let plot = spec.filter(|spec| spec.role == OutputRole::Plot && artifact.kind == ArtifactKind::File);
                let Some(spec) = plot else { continue };
                if let Some(path) = self.plot_path(&view.record.run, step, &spec.path, artifact).await {
                    plots.insert((step.clone(), output.clone()), path);
                }
            }
        }
        plots
    }

    async fn plot_path(&self, run: &RunId, step: &StepName, path: &str, artifact: &Artifact) -> Option<String> {
        let target = self.folder().join("plots").join(run.as_str()).join(step.as_str()).join(path);
        if !target.exists() {
            std::fs::create_dir_all(target.parent()?).ok()?;
            self.artifacts().copy_out(artifact, &target).await.ok()?;
        }
        let here = std::env::current_dir().ok().and_then(|here| here.canonicalize().ok());
        let shown = here.and_then(|here| target.strip_prefix(here).ok().map(Path::to_owned)).unwrap_or(target);
        Some(shown.display().to_string())
    }
}
