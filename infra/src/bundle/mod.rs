//! Bundles: the zips that functions and tasks run. Code of a package, its dependencies for the platform of the
//! function, and the files of liminal that run it; the same bytes wherever and whenever they are built.
//!
//! `installer` runs what installs dependencies and `complaint` reads why it failed; `tree` makes of what it installed
//! what is packed, by `slim`, `symbols`, `scripts` and `distribution`; `dependencies` keeps the result on this machine;
//! `assemble` puts all together. docs/packages.md is about all of it.

mod archive;
mod assemble;
mod complaint;
mod dependencies;
mod distribution;
mod elf;
mod error;
mod installer;
mod limits;
mod scripts;
mod slim;
mod symbols;
mod target;
mod tree;

use std::path::Path;

use liminal_schemas::files::ProjectFiles;
use liminal_schemas::release::PackageSpec;

pub use assemble::BuiltBundle;
pub use assemble::ExtraFile;
pub use assemble::ExtraFiles;
pub use assemble::code_sha256;
pub use dependencies::Dependencies;
pub use dependencies::DependencyCache;
pub use dependencies::DependencyFacts;
pub use error::BundleError;
pub use installer::Installer;
pub use limits::FUNCTION_BYTES;
pub use limits::PackageSize;
pub use limits::check_size;
pub use target::Glibc;
pub use target::Target;

/// What a bundle is built from.
pub struct BundleInputs<'a> {
    /// The code; none where only files of liminal run.
    pub package: Option<&'a PackageSpec>,
    /// Where the code and its requirements file are read from.
    pub files: &'a dyn ProjectFiles,
    /// What dependencies are installed for; none leaves them out, for steps without Python.
    pub target: Option<&'a Target>,
    /// The files of liminal.
    pub extra: &'a ExtraFiles,
    /// Where dependencies are kept.
    pub cache: &'a DependencyCache,
    /// Where the zip is written to.
    pub folder: &'a Path,
}

/// Builds a bundle, dependencies first where they are not cached. Blocks; `progress` gets the lines that the installer
/// prints. A bundle may turn out too large for a function: [`check_size`] tells.
///
/// # Errors
/// When files are not what the plan saw, dependencies can not be installed, or two things have the same path.
pub fn build(inputs: &BundleInputs<'_>, progress: &mut dyn FnMut(&str)) -> Result<BuiltBundle, BundleError> {
    let python = inputs.package.and_then(|package| package.python.as_ref());
    let dependencies = match python.zip(inputs.target) {
        Some((python, target)) => inputs.cache.ensure(python, inputs.files, target, progress)?,
        None => None,
    };
    let parts = assemble::Parts {
        package: inputs.package,
        files: inputs.files,
        dependencies: dependencies.as_ref(),
        extra: inputs.extra,
    };
    assemble::assemble(&parts, inputs.folder)
}
