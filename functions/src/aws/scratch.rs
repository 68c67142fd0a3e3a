//! Where a runner keeps files: below `/tmp`, in a folder that is its own as long as it lives.

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::attempt::folder::remove_tree;
use crate::attempt::process::kill_marked_below;

/// What the names of such folders begin with.
const PREFIX: &str = "liminal-";

/// The file that is locked as long as the folder's owner lives.
const LOCK: &str = "lock";

/// A folder of its own. It is removed when this is dropped, or by the next runner of the machine when this one was killed.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes one below `root`, and removes what runners left there that are no more, with the processes that they started.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn claim(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        for entry in fs::read_dir(root)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                // Of somebody else, or gone meanwhile: either is no reason not to start.
                let _ = clear(&entry.path());
            }
        }
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(root)?.keep();
        let lock = File::create(folder.join(LOCK))?;
        lock.lock()?;
        Ok(Self { folder, _lock: lock })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Removes a folder whose owner has ended.
fn clear(folder: &Path) -> io::Result<()> {
    let lock = File::options().write(true).open(folder.join(LOCK))?;
    if lock.try_lock().is_ok() {
        kill_marked_below(folder);
        remove_tree(folder)?;
    }
    Ok(())
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = remove_tree(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_owner_and_those_of_owners_that_live_stay() {
        let root = tempfile::tempdir().expect("a folder");
        let abandoned = root.path().join("liminal-abandoned");
        fs::create_dir(&abandoned).expect("made");
        fs::write(abandoned.join(LOCK), "").expect("written");
        let first = Scratch::claim(root.path()).expect("claimed");
        assert!(!abandoned.exists());
        let second = Scratch::claim(root.path()).expect("claimed");
        assert!(first.folder().exists());
        let folder = second.folder().to_owned();
        drop(second);
        assert!(!folder.exists());
    }
}
