//! Environments that nobody but this program keeps going.

use std::num::NonZeroU32;
use std::path::PathBuf;

use super::Environment;
use super::environment::Platform;
use crate::app::Context;
use crate::args::Format;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::project;

/// How an environment is kept going.
pub(crate) struct Keep {
    /// The folder that stands for its bucket.
    pub(crate) watch_dir: Option<PathBuf>,
    /// Folders that stand for other buckets.
    pub(crate) buckets: Vec<(String, PathBuf)>,
    /// How many steps of one run may run at once.
    pub(crate) jobs: Option<NonZeroU32>,
    /// How many runs are carried out at once.
    pub(crate) runs: NonZeroU32,
    /// The form of what is told.
    pub(crate) output: Format,
}

impl Environment {
    /// Keeps schedules and triggers, and carries their runs out, until Ctrl-C.
    pub(crate) async fn keep(&self, context: &Context, keep: Keep) -> Result<(), CliError> {
        match &self.platform {
            Platform::Local(local) => {
                let directory = project::locate(&context.settings.directory)?;
                let (project, ..) = project::platform(context, &directory)?;
                let project = project.ok_or_else(|| CliError::new("the definition names no project"))?;
                local.keep(context, self, project, keep).await
            }
            Platform::Aws(_) => Err(CliError::new(format!("environment {} keeps itself: it is on `aws`", self.name()))
                .hint("its schedules and triggers work since they were applied")
                .exit(ExitCode::Usage)),
        }
    }
}
