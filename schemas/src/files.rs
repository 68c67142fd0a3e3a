//! What the core needs to know of a project's files: a narrow port, filled from git objects or from the work tree.

/// A file of the project, known by its git blob id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectFile {
    /// The git blob id, in hexadecimal.
    pub blob: String,
    /// Whether it may be executed.
    pub executable: bool,
}

/// Why a path is not to be used, though something is there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedFile {
    /// A symbolic link: its target may be anywhere.
    #[error("it is a symbolic link, and links are not followed")]
    Symlink,
    /// A git submodule: its content is in another repository.
    #[error("it is a git submodule, and submodules are not read")]
    Submodule,
    /// Another path is the same but for upper and lower case, so that one would hide the other on some machines.
    #[error("{0} differs from it only in upper and lower case")]
    CaseClash(String),
    /// The name is no UTF-8.
    #[error("its name is not UTF-8")]
    NotUtf8,
    /// The name holds `..`, a backslash or a control character, or is that of git's own folder.
    #[error("its name is unsafe")]
    UnsafeName,
    /// Neither a file nor a folder: a socket, a pipe, a device.
    #[error("it is no regular file")]
    Special,
    /// The file system or git can not read it.
    #[error("it can not be read: {0}")]
    Unreadable(String),
    /// A folder holds more files than any project's code.
    #[error("it holds more than {0} files")]
    TooMany(usize),
}

/// The project's files. Paths are relative to the project folder, with `/` between their parts.
pub trait ProjectFiles {
    /// The file at a path, if there is one.
    ///
    /// # Errors
    /// When something is there that is not to be used.
    fn file(&self, path: &str) -> Result<Option<ProjectFile>, RefusedFile>;

    /// All files below a folder, by full path, in order; `""` for the whole project. Empty when there is no such folder.
    ///
    /// # Errors
    /// The first path below it that is not to be used, and why.
    fn under(&self, folder: &str) -> Result<Vec<(String, ProjectFile)>, (String, RefusedFile)>;

    /// The content of a file.
    ///
    /// # Errors
    /// A sentence on why it can not be read, or that it has more than `limit` bytes.
    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, String>;
}
