//! A project in memory.

use std::collections::BTreeMap;

use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFile;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::files::RefusedFile;

/// Files by path; some may be refused instead.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryFiles {
    files: BTreeMap<String, Vec<u8>>,
    refused: BTreeMap<String, RefusedFile>,
}

impl MemoryFiles {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.to_owned(), content.as_ref().to_vec());
        self
    }

    pub(crate) fn refusing(mut self, path: &str, why: RefusedFile) -> Self {
        self.refused.insert(path.to_owned(), why);
        self
    }
}

/// Any id will do that is another one for another content.
fn known(content: &[u8]) -> ProjectFile {
    let mut blob = Digest::of_bytes(content).hex();
    blob.truncate(40);
    ProjectFile { blob, executable: false }
}

impl ProjectFiles for MemoryFiles {
    fn file(&self, path: &str) -> Result<Option<ProjectFile>, RefusedFile> {
        if let Some(why) = self.refused.get(path) {
            return Err(why.clone());
        }
        Ok(self.files.get(path).map(|content| known(content)))
    }

    fn under(&self, folder: &str) -> Result<Vec<(String, ProjectFile)>, (String, RefusedFile)> {
        let below =
            |path: &str| folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        if let Some((path, why)) = self.refused.iter().find(|(path, _)| below(path)) {
            return Err((path.clone(), why.clone()));
        }
        let inside = self.files.iter().filter(|(path, _)| below(path));
        Ok(inside.map(|(path, content)| (path.clone(), known(content))).collect())
    }

    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, String> {
        let content = self.files.get(path).ok_or("it does not exist")?;
        if content.len() > limit {
            return Err(format!("it has more than {limit} bytes"));
        }
        Ok(content.clone())
    }
}
