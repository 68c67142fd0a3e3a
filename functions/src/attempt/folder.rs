//! The folder of an attempt: its working directory, with a place for outputs and temporary files.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use liminal_schemas::name::RunId;
use liminal_schemas::unit::Unit;

/// How often a parent folder may vanish under our hands: another step of the run, when done, removes it if it is empty.
const CREATE_TRIES: u32 = 20;

/// `work/<run>/<step>/<n>/`, or `work/<run>/<step>.<item>/<n>/`, the only place a step may write to, and beside it `<n>.in/` with what it may read.
///
/// Inputs are outside the folder on purpose: large ones are hard links into the store, which the step must have no way
/// to write to.
#[derive(Clone, Debug)]
pub struct AttemptFolder {
    work: PathBuf,
    inputs: PathBuf,
}

impl AttemptFolder {
    /// The folder of an attempt below `root`. Creates nothing.
    pub fn new(root: &Path, run: &RunId, unit: &Unit, attempt: u32) -> Self {
        let name = match unit.item {
            None => unit.step.segment().into_owned(),
            Some(item) => format!("{}.{item}", unit.step.segment()),
        };
        let step = root.join(run.as_str()).join(name);
        Self { work: step.join(attempt.to_string()), inputs: step.join(format!("{attempt}.in")) }
    }

    /// The working directory.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Where outputs are expected.
    pub fn out(&self) -> PathBuf {
        self.work.join("out")
    }

    /// Where temporary files go.
    pub fn tmp(&self) -> PathBuf {
        self.work.join("tmp")
    }

    /// The home directory: the working directory itself, since each folder less is felt by short steps.
    pub fn home(&self) -> &Path {
        &self.work
    }

    /// Where an input is put.
    pub fn input(&self, name: &str) -> PathBuf {
        self.inputs.join(name)
    }

    /// Creates the folder, after wiping what earlier attempts of the step left.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn create(&self, with_inputs: bool) -> io::Result<()> {
        if let Some(step) = self.work.parent()
            && step.exists()
        {
            for left in fs::read_dir(step)? {
                remove_tree(&left?.path())?;
            }
        }
        create_persistently(&self.work)?;
        fs::create_dir(self.out())?;
        fs::create_dir(self.tmp())?;
        if with_inputs {
            fs::create_dir(&self.inputs)?;
        }
        Ok(())
    }

    /// Removes the folder, and those of its step and run when they are empty now.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove(&self) -> io::Result<()> {
        remove_tree(&self.work)?;
        remove_tree(&self.inputs)?;
        if let Some(step) = self.work.parent()
            && fs::remove_dir(step).is_ok()
            && let Some(run) = step.parent()
        {
            // Other steps of the run may be at work in it.
            let _ = fs::remove_dir(run);
        }
        Ok(())
    }
}

fn create_persistently(folder: &Path) -> io::Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        match fs::create_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < CREATE_TRIES => {}
            other => return other,
        }
    }
}

/// Removes a file or a folder with all in it, also folders that are read-only. Nothing there is fine.
///
/// # Errors
/// When the file system refuses.
pub fn remove_tree(path: &Path) -> io::Result<()> {
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
