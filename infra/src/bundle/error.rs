//! Why a bundle can not be built.

use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::package::PackageError;
use crate::requirements::RequirementsError;

/// Why a bundle can not be built.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A Python version that no runtime has.
    #[error("`{0}` is no Python version that a runtime has: write it as \"3.12\"")]
    PythonVersion(String),
    /// A file of the package can not be packed.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The requirements file can not be used.
    #[error(transparent)]
    Requirements(#[from] RequirementsError),
    /// Neither `uv` nor a Python with `pip`.
    #[error(
        "dependencies are installed by `uv` or by a python3 with pip, and neither is on the PATH (tried {tried}): install one of them"
    )]
    NoInstaller {
        /// What was looked for, and why it did not do.
        tried: String,
    },
    /// No wheel of a package fits.
    #[error("{path} asks for `{requirement}`, and no wheel of it fits {target}{advice}")]
    NoWheel {
        /// The requirements file.
        path: String,
        /// What is asked for.
        requirement: String,
        /// What it is to run on.
        target: String,
        /// The versions that have such a wheel, and what to try.
        advice: String,
    },
    /// A package that no index has.
    #[error("{path} asks for `{requirement}`, and the package index has no package of that name: check its spelling")]
    UnknownPackage {
        /// The requirements file.
        path: String,
        /// What is asked for.
        requirement: String,
    },
    /// The package index does not answer.
    #[error(
        "the dependencies in {path} can not be fetched: the package index does not answer ({said}); check the network, or the proxy and index settings of the installer"
    )]
    Unreachable {
        /// The requirements file.
        path: String,
        /// What the installer said.
        said: String,
    },
    /// A file is not the one that the lock file names.
    #[error("{path} does not allow what the package index has:\n{output}")]
    Hash {
        /// The requirements file.
        path: String,
        /// What the installer said.
        output: String,
    },
    /// The installer failed otherwise.
    #[error("installing {path} for {target} failed:\n{output}")]
    Install {
        /// The requirements file.
        path: String,
        /// What it is to run on.
        target: String,
        /// The last lines that it printed.
        output: String,
    },
    /// Something was compiled on this machine.
    #[error(
        "{name} {version} was built on this machine (tag {tag}) and would not run on {target}: take a version that has wheels, or an image"
    )]
    BuiltHere {
        /// The package.
        name: String,
        /// Its version.
        version: String,
        /// Its wheel tag.
        tag: String,
        /// What it is to run on.
        target: String,
    },
    /// The installer left what is no package.
    #[error("the installer left {path}, which can not be packed: {problem}")]
    Unusable {
        /// The path below the folder that was installed into.
        path: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// Two things have the same path in a bundle.
    #[error("the project's code holds {path}, which is the place of {other} in a bundle: rename it")]
    Collision {
        /// The path.
        path: String,
        /// What else is there.
        other: &'static str,
    },
    /// The bundle is too large for a function.
    #[error(
        "the bundle takes {unzipped} unzipped, and a Lambda function has less than 250 MB{}; set `compute: fargate` for the step, or cut down its requirements",
        of_which(.biggest)
    )]
    TooLarge {
        /// What it takes.
        unzipped: String,
        /// The biggest packages, with versions and sizes.
        biggest: Vec<String>,
    },
    /// The file system refused.
    #[error("the file system refused {path}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The zip can not be written or read.
    #[error("the zip {path} can not be handled")]
    Zip {
        /// The zip.
        path: PathBuf,
        /// Why.
        #[source]
        source: zip::result::ZipError,
    },
}

impl BundleError {
    /// For `map_err`: the file system refused a path.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// For `map_err`: a zip can not be handled.
    pub(super) fn zip(path: &Path) -> impl FnOnce(zip::result::ZipError) -> Self {
        let path = path.to_owned();
        move |source| Self::Zip { path, source }
    }
}

fn of_which(biggest: &[String]) -> String {
    if biggest.is_empty() { String::new() } else { format!("; the biggest in it: {}", biggest.join(", ")) }
}
