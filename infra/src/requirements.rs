//! The requirements file of a Python environment: read once, checked against what was planned with.

use liminal_schemas::files::ProjectFiles;
use liminal_schemas::release::PythonSpec;

use crate::package::has_blob_id;

/// A requirements file is at most this long, in bytes: a lock with hashes of several hundred packages has half of that.
const MAX_REQUIREMENTS_BYTES: usize = 4 * 1024 * 1024;

/// Why a requirements file is not used.
#[derive(Debug, thiserror::Error)]
pub enum RequirementsError {
    /// It can not be read.
    #[error("the requirements file {path} can not be read: {problem}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        problem: String,
    },
    /// It is not what the plan saw.
    #[error("the requirements file {0} changed after it was planned with; run the command again")]
    Changed(String),
    /// It names another file, whose content the plan knows nothing of.
    #[error(
        "{path}:{line} names another file (`{text}`), and only the requirements file itself is read; write its lines here instead"
    )]
    Elsewhere {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What it says.
        text: String,
    },
}

/// The content of the requirements file that a specification names, if it names one.
///
/// # Errors
/// When it can not be read, is not what the plan saw, or names other files.
pub fn read_requirements(spec: &PythonSpec, files: &dyn ProjectFiles) -> Result<Option<Vec<u8>>, RequirementsError> {
    let Some(file) = &spec.requirements else { return Ok(None) };
    let bytes = files
        .read(&file.path, MAX_REQUIREMENTS_BYTES)
        .map_err(|problem| RequirementsError::Unreadable { path: file.path.clone(), problem })?;
    if !has_blob_id(&bytes, &file.blob) {
        return Err(RequirementsError::Changed(file.path.clone()));
    }
    refuse_other_files(&file.path, &bytes)?;
    Ok(Some(bytes))
}

/// A requirements file stands for an environment by its own content alone: a file that it names could change unnoticed.
fn refuse_other_files(path: &str, requirements: &[u8]) -> Result<(), RequirementsError> {
    const ELSEWHERE: [&str; 9] =
        ["-r", "--requirement", "-c", "--constraint", "-e", "--editable", "./", "../", "file:"];
    for (index, line) in String::from_utf8_lossy(requirements).lines().enumerate() {
        let text = line.trim();
        // `name @ file:///…` names a file as well.
        let url = text.split_once('@').map_or("", |(_, url)| url.trim_start());
        if ELSEWHERE.iter().any(|start| text.starts_with(start)) || url.starts_with("file:") {
            return Err(RequirementsError::Elsewhere { path: path.to_owned(), line: index + 1, text: text.to_owned() });
        }
    }
    Ok(())
}
