//! Why a project's files can not be read at all.

use std::path::PathBuf;

/// Why a project's files can not be read at all. A single path that is not to be used is a
/// [`RefusedFile`](liminal_schemas::files::RefusedFile) instead, and only when something asks for it.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no such folder.
    #[error("there is no folder {0}")]
    NoFolder(PathBuf),
    /// A revision was asked for outside of git.
    #[error("{0} is in no git repository, so that there is no revision to read")]
    NoRepository(PathBuf),
    /// The text can not be a revision.
    #[error("`{text}` is no revision: {problem}")]
    BadRevision {
        /// The text, shortened when long.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Nothing in the repository has that name.
    #[error("`{revision}` names no commit in {repository}")]
    UnknownRevision {
        /// What was asked for.
        revision: String,
        /// Where.
        repository: PathBuf,
        /// What to try.
        hint: String,
    },
    /// The commit has no such folder.
    #[error("the folder {folder} is not part of commit {commit}")]
    NotInCommit {
        /// The project folder, below the root of the repository.
        folder: String,
        /// The commit.
        commit: String,
    },
    /// The repository belongs to somebody else, so that git refuses to trust its configuration.
    #[error("the repository of {0} belongs to another user (dubious ownership), so that git does not trust it")]
    Ownership(PathBuf),
    /// Git failed.
    #[error("git failed to {action}")]
    Git {
        /// What it was to do.
        action: &'static str,
        /// Why it failed.
        source: git2::Error,
    },
}

impl SourceError {
    /// What to try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoRepository(_) => Some("run `git init` and commit, or leave out `--rev`".to_owned()),
            Self::UnknownRevision { hint, .. } => Some(hint.clone()),
            Self::NotInCommit { .. } => Some("did you commit it?".to_owned()),
            Self::Ownership(path) => {
                let path = path.display();
                Some(format!("if you trust it: git config --global --add safe.directory {path}"))
            }
            Self::NoFolder(_) | Self::BadRevision { .. } | Self::Git { .. } => None,
        }
    }

    /// Makes an error of git's fit for people: `action` completes "git failed to …".
    pub(super) fn git(action: &'static str, path: &std::path::Path) -> impl FnOnce(git2::Error) -> Self {
        move |source| match source.code() {
            git2::ErrorCode::Owner => Self::Ownership(path.to_owned()),
            _ => Self::Git { action, source },
        }
    }
}
