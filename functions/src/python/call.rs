//! Calling a Python function: the script that does it, and what is passed to and fro.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use liminal_schemas::digest::Digest;
use liminal_schemas::name::FieldName;
use liminal_schemas::run::Failure;
use liminal_schemas::step::OutputRole;
use liminal_schemas::value::Value;
use serde::Deserialize;
use serde::Serialize;

use crate::attempt::binding::Binding;
use crate::attempt::command::Code;
use crate::attempt::failure;
use crate::attempt::folder::AttemptFolder;
use crate::executor::AttemptJob;

const SCRIPT: &str = include_str!("call_step.py");
const WORKER: &str = include_str!("worker.py");

/// The longest error file that is read, in bytes.
const MAX_ERROR_BYTES: u64 = 64 << 10;

/// A call that is prepared: a file says what to call.
#[derive(Debug)]
pub struct PythonCall {
    module: String,
    root: Option<PathBuf>,
    file: PathBuf,
    error_file: PathBuf,
}

#[derive(Serialize)]
struct CallFile<'a> {
    module: &'a str,
    function: &'a str,
    /// Where modules are imported from; the script puts it first.
    root: Option<PathBuf>,
    /// What stands for the project folder; paths in messages are given below it.
    code: Option<&'a Path>,
    inputs: &'a BTreeMap<FieldName, PathBuf>,
    values: &'a BTreeMap<FieldName, Value>,
    outputs: &'a BTreeMap<FieldName, PathBuf>,
    metrics: Option<&'a PathBuf>,
    error: &'a Path,
}

/// What the script says about an exception; one without a type is its own, about a call that can not be made.
#[derive(Deserialize)]
struct Raised {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: String,
    file: Option<String>,
    line: Option<u32>,
}

impl PythonCall {
    /// Writes the file that says what to call.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn prepare(
        (module, function): (&str, &str),
        job: &AttemptJob,
        folder: &AttemptFolder,
        binding: &Binding,
        code: Option<&Code>,
    ) -> Result<Self, Failure> {
        let file = folder.work().join(".call.json");
        let error_file = folder.work().join(".error.json");
        let metrics = job.spec.outputs.iter().find(|(_, output)| output.role == OutputRole::Metrics);
        let call = CallFile {
            module,
            function,
            root: code.map(Code::import_root),
            code: code.map(|code| code.folder.as_path()),
            inputs: &binding.inputs,
            values: &binding.values,
            outputs: &binding.outputs,
            metrics: metrics.and_then(|(name, _)| binding.outputs.get(name)),
            error: &error_file,
        };
        serde_json::to_vec(&call)
            .map_err(io::Error::from)
            .and_then(|text| fs::write(&file, text))
            .map_err(|error| failure::infrastructure("writing the call", &error))?;
        Ok(Self { module: module.to_owned(), root: code.map(Code::import_root), file, error_file })
    }

    /// The module that is called.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// Where the step's modules are imported from.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// The file that says what to call.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The exception that ended the call, in one line, if one did.
    pub fn raised(&self) -> Option<String> {
        let metadata = fs::symlink_metadata(&self.error_file).ok()?;
        if !metadata.is_file() || metadata.len() > MAX_ERROR_BYTES {
            return None;
        }
        let raised: Raised = serde_json::from_slice(&fs::read(&self.error_file).ok()?).ok()?;
        let place = match (&raised.file, raised.line) {
            (Some(file), Some(line)) => format!(" ({file}:{line})"),
            (_, _) => String::new(),
        };
        let first_line = raised.message.lines().next().unwrap_or_default();
        Some(match &raised.kind {
            Some(kind) if first_line.is_empty() => format!("{kind}{place}"),
            Some(kind) => format!("{kind}: {first_line}{place}"),
            None => first_line.to_owned(),
        })
    }
}

/// Puts the script that calls functions below `folder`, where it is not yet, and beside it the worker that keeps libraries
/// imported. Returns the script.
///
/// # Errors
/// When the file system refuses.
pub fn install_script(folder: &Path) -> io::Result<PathBuf> {
    let both = Digest::of_bytes([SCRIPT, WORKER].concat().as_bytes());
    let folder = folder.join(format!("shim-{}", both.short()));
    let script = folder.join("call_step.py");
    if !script.exists() {
        fs::create_dir_all(&folder)?;
        for (path, text) in [(worker_beside(&script), WORKER), (script.clone(), SCRIPT)] {
            let mut file = tempfile::NamedTempFile::new_in(&folder)?;
            file.write_all(text.as_bytes())?;
            file.persist(&path).map_err(|error| error.error)?;
        }
    }
    Ok(script)
}

/// The worker's script, beside the one that calls functions.
pub(crate) fn worker_beside(script: &Path) -> PathBuf {
    script.with_file_name("worker.py")
}
