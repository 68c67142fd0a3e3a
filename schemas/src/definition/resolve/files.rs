//! The project's files as packages need them, each path asked for only once.

use std::cell::OnceCell;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::rc::Rc;

use crate::files::ProjectFile;
use crate::files::ProjectFiles;
use crate::files::RefusedFile;
use crate::release::PackageFile;

/// Files by path below the project.
pub(super) type Files = BTreeMap<String, PackageFile>;

/// Why a path can not go into a package.
#[derive(Clone, Debug)]
pub(super) enum NoFile {
    /// Nothing is there.
    Missing,
    /// Something is there that is not to be used: where, and why.
    Refused(String, RefusedFile),
}

/// A memory of what the project's files said.
pub(super) struct FileIndex<'a> {
    files: &'a dyn ProjectFiles,
    single: RefCell<HashMap<String, Result<Option<PackageFile>, NoFile>>>,
    folders: RefCell<HashMap<String, Result<Rc<Files>, NoFile>>>,
    all: OnceCell<Vec<String>>,
}

impl<'a> FileIndex<'a> {
    pub(super) fn new(files: &'a dyn ProjectFiles) -> Self {
        Self { files, single: RefCell::default(), folders: RefCell::default(), all: OnceCell::new() }
    }

    /// The file at a path, if there is one.
    pub(super) fn file(&self, path: &str) -> Result<Option<PackageFile>, NoFile> {
        if let Some(known) = self.single.borrow().get(path) {
            return known.clone();
        }
        let found = match self.files.file(path) {
            Ok(found) => Ok(found.map(package_file)),
            Err(refused) => Err(NoFile::Refused(path.to_owned(), refused)),
        };
        self.single.borrow_mut().insert(path.to_owned(), found.clone());
        found
    }

    /// All files below a folder, `""` for the project. Empty when there is no such folder.
    ///
    /// Left out is what other programs make while they run: compiled Python, and liminal's own folder.
    pub(super) fn under(&self, folder: &str) -> Result<Rc<Files>, NoFile> {
        if let Some(known) = self.folders.borrow().get(folder) {
            return known.clone();
        }
        let found = match self.files.under(folder) {
            Ok(found) => {
                let kept = found.into_iter().filter(|(path, _)| !is_made(path));
                Ok(Rc::new(kept.map(|(path, file)| (path, package_file(file))).collect()))
            }
            Err((path, refused)) => Err(NoFile::Refused(path, refused)),
        };
        self.folders.borrow_mut().insert(folder.to_owned(), found.clone());
        found
    }

    /// The file at a path, or all files below it.
    pub(super) fn file_or_folder(&self, path: &str) -> Result<Rc<Files>, NoFile> {
        let path = trimmed(path);
        if !path.is_empty()
            && let Some(file) = self.file(path)?
        {
            return Ok(Rc::new(Files::from([(path.to_owned(), file)])));
        }
        let below = self.under(path)?;
        if below.is_empty() { Err(NoFile::Missing) } else { Ok(below) }
    }

    /// The file that a missing path was likely meant to be: one with a similar path, else one of the same name elsewhere.
    pub(super) fn similar(&self, path: &str) -> Option<&str> {
        let all = self.all.get_or_init(|| {
            let all = self.files.under("").unwrap_or_default();
            all.into_iter().map(|(path, _)| path).filter(|path| !is_made(path)).collect()
        });
        let name = path.rsplit('/').next().unwrap_or(path);
        let same_name = || all.iter().find(|known| known.rsplit('/').next() == Some(name)).map(String::as_str);
        crate::suggestion::closest(path, all.iter().map(String::as_str)).or_else(same_name)
    }
}

fn is_made(path: &str) -> bool {
    path.starts_with(".liminal/") || path.split('/').any(|part| part == "__pycache__")
}

fn package_file(file: ProjectFile) -> PackageFile {
    PackageFile { blob: file.blob, executable: file.executable }
}

/// A path without `./` before it and `/` after it; empty for the project.
pub(super) fn trimmed(path: &str) -> &str {
    let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
    if path == "." { "" } else { path }
}

/// A path below a folder, which may be the project.
pub(super) fn below(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}
