//! The folder of an attempt: its working directory, with a place for outputs.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use liminal_schemas::name::RunId;
use liminal_schemas::unit::Unit;

/// `work/<run>/<step>.<n>/`, or `work/<run>/<step>.<item>.<n>/`, the only place a step may write to, and beside it `….in/` with what it may
/// read. The folder serves as home and for temporary files too: each folder more is felt by short steps.
///
/// Inputs are outside the folder on purpose: large ones are hard links into the store, which the step must have no way
/// to write to.
#[derive(Clone, Debug)]
pub struct AttemptFolder {
    run: PathBuf,
    unit: String,
    attempt: u32,
    work: PathBuf,
    inputs: PathBuf,
}

impl AttemptFolder {
    /// The folder of an attempt below `root`. Creates nothing.
    pub fn new(root: &Path, run: &RunId, unit: &Unit, attempt: u32) -> Self {
        let unit = match unit.item {
            None => unit.step.segment().into_owned(),
            Some(item) => format!("{}.{item}", unit.step.segment()),
        };
        let run = run_folder(root, run);
        let work = run.join(format!("{unit}.{attempt}"));
        let inputs = run.join(format!("{unit}.{attempt}.in"));
        Self { run, unit, attempt, work, inputs }
    }

    /// The working directory.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Where outputs are expected.
    pub fn out(&self) -> PathBuf {
        self.work.join("out")
    }

    /// Where an input is put.
    pub fn input(&self, name: &str) -> PathBuf {
        self.inputs.join(name)
    }

    /// Creates the folder, after wiping what earlier attempts at the same left. The places for inputs and outputs are made
    /// only where there are some.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn create(&self, with_inputs: bool, with_outputs: bool) -> io::Result<()> {
        for earlier in 1..self.attempt {
            remove_tree(&self.run.join(format!("{}.{earlier}", self.unit)))?;
            remove_tree(&self.run.join(format!("{}.{earlier}.in", self.unit)))?;
        }
        match fs::create_dir(&self.work) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.run)?;
                fs::create_dir(&self.work)?;
            }
            // This very attempt was begun before, by a process that died.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove_tree(&self.work)?;
                remove_tree(&self.inputs)?;
                fs::create_dir(&self.work)?;
            }
            other => other?,
        }
        if with_outputs {
            fs::create_dir(self.out())?;
        }
        if with_inputs {
            fs::create_dir(&self.inputs)?;
        }
        Ok(())
    }

    /// Removes the folder.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove(&self) -> io::Result<()> {
        remove_tree(&self.work)?;
        remove_tree(&self.inputs)
    }
}

fn run_folder(root: &Path, run: &RunId) -> PathBuf {
    root.join(run.as_str())
}

/// Removes the folder of a run that has ended, unless something in it was left for people to look at.
pub(crate) fn remove_run(root: &Path, run: &RunId) {
    // It is not empty then, or was never made.
    let _ = fs::remove_dir(run_folder(root, run));
}

/// Removes a file or a folder with all in it, also folders that are read-only. Nothing there is fine.
///
/// # Errors
/// When the file system refuses.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    // Most folders of short steps are empty, or not there at all.
    match fs::remove_dir(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
    }
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_folders(path)?;
            fs::remove_dir_all(path)
        }
        Err(error) => Err(error),
    }
}

fn open_folders(root: &Path) -> io::Result<()> {
    let mut pending = vec![root.to_owned()];
    while let Some(folder) = pending.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    Ok(())
}
