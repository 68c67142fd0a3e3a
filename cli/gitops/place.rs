//! The repository that commits are taken from, and the folder of the project in it.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use liminal_infra::source::BareRepository;
use liminal_infra::source::Snapshot;
use liminal_schemas::definition;
use liminal_schemas::definition::read::ROOT_FILE;
use liminal_schemas::finding::Report;
use liminal_schemas::name::EnvironmentName;

use crate::error::CliError;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::project::Project;
use crate::project::source_error;

/// A bare repository whose commits hold a project. What is applied from it is kept below it.
pub(crate) struct Place {
    /// The repository.
    pub(crate) repository: BareRepository,
    folder: String,
    /// Where git keeps the objects of a push that is not accepted yet.
    quarantine: Option<PathBuf>,
}

impl Place {
    /// Opens a bare repository.
    pub(crate) fn open(path: &Path) -> Result<Self, CliError> {
        let path = path
            .canonicalize()
            .map_err(|error| CliError::because(format!("the folder {} can not be used", path.display()), &error))?;
        let opened =
            BareRepository::open(&path).map_err(source_error(format!("{} can not be used", path.display())))?;
        let Some(repository) = opened else {
            return Err(CliError::new(format!("{} is no bare git repository", path.display()))
                .hint("`git init --bare REPO.git` makes one, and `git clone --bare URL REPO.git` copies one")
                .exit(ExitCode::Usage));
        };
        let folder = repository.folder();
        Ok(Self { repository, folder, quarantine: None })
    }

    /// The same, with the objects of a push that is not accepted yet.
    pub(crate) fn with_quarantine(self, quarantine: Option<PathBuf>) -> Result<Self, CliError> {
        if let Some(objects) = &quarantine {
            self.repository.add_objects(objects).or_failed(|| "the objects of the push can not be read".to_owned())?;
        }
        Ok(Self { quarantine, ..self })
    }

    /// The files of the project at a commit.
    pub(crate) fn snapshot(&self, commit: &str) -> Result<Snapshot, CliError> {
        Snapshot::of_commit(self.repository.path(), &self.folder, commit, self.quarantine.as_deref())
            .map_err(source_error(format!("the project at commit {} can not be read", short(commit))))
    }

    /// The project at a commit; what is wrong with its definition where it is broken.
    pub(crate) fn project(
        &self,
        commit: &str,
        environment: &EnvironmentName,
    ) -> Result<Result<Project, Box<Report>>, CliError> {
        let snapshot = self.snapshot(commit)?;
        let loaded = definition::load(&snapshot, ROOT_FILE, Some(environment));
        let directory = self.repository.path().to_owned();
        Ok(loaded.map(|loaded| Project { directory, snapshot: Arc::new(snapshot), loaded }))
    }
}

/// A commit as people are told of it.
pub(crate) fn short(commit: &str) -> String {
    commit.chars().take(8).collect()
}
