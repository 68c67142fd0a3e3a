//! Keeps the environment of this machine going, and tells what happens.

use std::path::PathBuf;
use std::sync::Arc;

use liminal_functions::local::buckets::OWN_BUCKET;
use liminal_functions::local::keeper;
use liminal_functions::local::keeper::KeepOptions;
use liminal_functions::local::keeper::KeeperEvent;
use liminal_functions::local::keeper::WatchedFolder;
use liminal_schemas::name::ProjectName;
use tokio::sync::mpsc;

use super::Local;
use super::drive::cores;
use crate::app::Context;
use crate::args::Format;
use crate::error::CliError;
use crate::error::While as _;
use crate::interrupt;
use crate::platform::Environment;
use crate::platform::Keep;
use crate::render::dev;

impl Local {
    /// Keeps the environment going until Ctrl-C.
    pub(in crate::platform) async fn keep(
        &self,
        context: &Context,
        environment: &Environment,
        project: ProjectName,
        keep: Keep,
    ) -> Result<(), CliError> {
        let folders = self.watched(&keep)?;
        let stop = interrupt::listen(&context.printer, interrupt::ENDS_STEPS)?;
        let mut opened = self.opened(environment.name());
        for folder in &folders {
            opened.buckets = opened.buckets.with(&folder.bucket, folder.folder.clone());
        }
        let executor = Arc::new(self.executor_over(opened.buckets.clone()));
        let (sender, mut events) = mpsc::unbounded_channel();
        let watched = folders.first().map_or_else(PathBuf::new, |folder| folder.folder.clone());
        let options = KeepOptions {
            project,
            folders,
            jobs: keep.jobs.map_or_else(cores, std::num::NonZero::get),
            runs: usize::try_from(keep.runs.get()).unwrap_or(usize::MAX),
            stop,
            events: sender,
        };
        let keeping = keeper::keep(&opened, self.artifacts().clone(), executor, options);
        let telling = async {
            while let Some(event) = events.recv().await {
                match keep.output {
                    Format::Text => context.printer.data(&dev::line(&event, environment.now(), &watched)),
                    Format::Json => context.printer.data(&dev::json_line(&event, environment.now())),
                }
                if let KeeperEvent::Awaits { pipelines: 0, .. } = event {
                    let name = environment.name();
                    context.printer.warn(&format!("nothing is live in {name}: `liminal apply` makes pipelines live"));
                }
            }
        };
        let (kept, ()) = tokio::join!(keeping, telling);
        kept.or_failed(|| "the environment can not be kept".to_owned())
    }

    /// The folder beside those of environments that stands for what is outside of them.
    pub(super) fn dev_folder(&self) -> PathBuf {
        self.root.parent().unwrap_or(&self.root).join("dev")
    }

    /// The folders that stand for buckets, the environment's own first. That one is made if it is not there.
    fn watched(&self, keep: &Keep) -> Result<Vec<WatchedFolder>, CliError> {
        let own = match &keep.watch_dir {
            Some(folder) => folder.clone(),
            None => {
                let folder = self.dev_folder().join("objects");
                std::fs::create_dir_all(&folder).or_failed(|| format!("{} can not be made", folder.display()))?;
                folder
            }
        };
        let own = (OWN_BUCKET.to_owned(), own);
        let all = std::iter::once(&own).chain(&keep.buckets);
        all.map(|(bucket, folder)| {
            let found = folder.canonicalize().or_failed(|| format!("{} can not be watched", folder.display()))?;
            if !found.is_dir() {
                return Err(CliError::new(format!("{} can not be watched: it is no folder", folder.display())));
            }
            Ok(WatchedFolder { bucket: bucket.clone(), folder: found })
        })
        .collect()
    }
}
