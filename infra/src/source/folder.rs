//! One folder's listing: what is in it, and which of it is not to be used.

use std::collections::BTreeMap;
use std::collections::HashMap;

use git2::Oid;
use liminal_schemas::files::ProjectFile;
use liminal_schemas::files::RefusedFile;

/// How many folders deep a path may be. Git trees can be made deeper than any stack; file systems end at about 2,000.
pub(super) const MAX_DEPTH: usize = 100;

/// How many files and folders a folder may hold that is used as a whole. A git tree of a few objects can unfold into billions.
pub(super) const MAX_FILES: usize = 100_000;

/// What stands under a name in a folder.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// A file whose blob id is known: one of a git tree.
    Known(ProjectFile),
    /// A file whose blob id must be looked up: one of the work tree.
    Unread,
    /// A folder, with the id of its tree where it is one of a commit.
    Folder(Option<Oid>),
    /// Something that is not to be used.
    Refused(RefusedFile),
}

/// A folder, by name.
#[derive(Debug, Default)]
pub(super) struct Folder {
    entries: BTreeMap<String, Entry>,
    not_utf8: Option<String>,
    unreadable: Option<String>,
}

impl Folder {
    /// Builds a folder from its entries in any order. Names are bytes, since neither git nor Linux asks for more.
    pub(super) fn new(listed: impl IntoIterator<Item = (Vec<u8>, Entry)>) -> Self {
        let mut folder = Self::default();
        for (name, entry) in listed {
            match String::from_utf8(name) {
                Ok(name) => {
                    let entry = if is_safe_name(&name) { entry } else { Entry::Refused(RefusedFile::UnsafeName) };
                    folder.entries.insert(name, entry);
                }
                Err(error) => folder.not_utf8 = Some(String::from_utf8_lossy(error.as_bytes()).into_owned()),
            }
        }
        folder.refuse_case_clashes();
        folder
    }

    /// A folder that can not be listed. Nothing in it can be told apart from what is missing, so all of it is refused.
    pub(super) fn unreadable(problem: String) -> Self {
        Self { unreadable: Some(problem), ..Self::default() }
    }

    /// Refuses both of two names that a case-insensitive file system would take for one.
    fn refuse_case_clashes(&mut self) {
        let mut first: HashMap<String, String> = HashMap::with_capacity(self.entries.len());
        let mut clashes = Vec::new();
        for name in self.entries.keys() {
            if let Some(other) = first.insert(name.to_lowercase(), name.clone()) {
                clashes.push((name.clone(), other.clone()));
                clashes.push((other, name.clone()));
            }
        }
        for (name, other) in clashes {
            self.entries.insert(name, Entry::Refused(RefusedFile::CaseClash(other)));
        }
    }

    /// What stands under a name.
    pub(super) fn get(&self, name: &str) -> Result<Option<&Entry>, RefusedFile> {
        self.check_readable()?;
        match self.entries.get(name) {
            Some(Entry::Refused(why)) => Err(why.clone()),
            found => Ok(found),
        }
    }

    pub(super) fn check_readable(&self) -> Result<(), RefusedFile> {
        match &self.unreadable {
            Some(problem) => Err(RefusedFile::Unreadable(problem.clone())),
            None => Ok(()),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.entries.iter()
    }

    /// A name in it that is no UTF-8, made printable.
    pub(super) fn not_utf8(&self) -> Option<&str> {
        self.not_utf8.as_deref()
    }
}

/// Whether a name may stand in a path: it leads nowhere else, on any system, and is not git's own.
fn is_safe_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && !name.eq_ignore_ascii_case(".git")
        && !name.chars().any(|c| c == '\\' || c == '/' || c.is_control())
}

/// The names of a path. A path that could lead out of the project is refused as a whole.
pub(super) fn split(path: &str) -> Result<Vec<&str>, RefusedFile> {
    let names: Vec<&str> = path.split('/').collect();
    let fine = names.len() <= MAX_DEPTH && names.iter().all(|name| is_safe_name(name));
    if fine { Ok(names) } else { Err(RefusedFile::UnsafeName) }
}

/// The path of a name in a folder.
pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Entry {
        Entry::Known(ProjectFile { blob: "b".to_owned(), executable: false })
    }

    #[test]
    fn names_that_differ_only_in_case_are_both_refused() {
        let folder = Folder::new([(b"Train.py".to_vec(), file()), (b"train.py".to_vec(), file())]);
        for (name, other) in [("Train.py", "train.py"), ("train.py", "Train.py")] {
            let refused = folder.get(name).expect_err("it is refused");
            assert_eq!(refused, RefusedFile::CaseClash(other.to_owned()));
        }
    }

    #[test]
    fn paths_that_could_lead_elsewhere_are_refused() {
        for path in ["../x", "a/../b", "/etc/passwd", "a//b", "a\\b", ".git/config", "a/.GIT/x", "a\nb", ".", ""] {
            assert_eq!(split(path), Err(RefusedFile::UnsafeName), "{path:?}");
        }
        assert_eq!(split("a/b.py"), Ok(vec!["a", "b.py"]));
        assert_eq!(split("a/..b"), Ok(vec!["a", "..b"]));
    }
}
