//! Where things are in a bundle: what packs one and what runs it must agree.
//!
//! The files of the package keep their paths below the project, so that code finds what it opens by path where it
//! finds it on one machine. Dependencies are in a folder of their own: as on one machine, the import root of the code
//! comes first on Python's path and this folder after it, so that the same module wins on both platforms, and a step
//! that walks its folder meets no dependencies.

/// The folder of a bundle that holds the dependencies; on Python's path after the import root of the code.
pub const DEPENDENCIES_FOLDER: &str = "site-packages";

/// The folder of a bundle that holds the programs that dependencies bring; on the search path of commands.
pub const PROGRAMS_FOLDER: &str = "site-packages/bin";
