//! Python environments: built once per version and requirements, and shared by all projects of a machine.

use std::collections::VecDeque;
use std::fs;
use std::fs::File;
use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use liminal_schemas::digest::Digest;
use liminal_schemas::release::PythonSpec;

use super::interpreter;
use super::interpreter::Interpreter;
use super::interpreter::NoInterpreter;
use crate::attempt::folder::remove_tree;

/// The file that is written last: without it, an environment is wiped and built again.
const COMPLETE: &str = "complete";

/// How many of the last lines of a failed command its error holds.
const ERROR_LINES: usize = 15;

/// Python environments below a cache folder.
#[derive(Clone, Debug)]
pub struct Environments {
    /// The cache folder.
    pub cache_dir: PathBuf,
    /// Where interpreters are looked for.
    pub search_path: String,
    /// The `uv` program, which builds environments much faster; without it, Python's own tools do.
    pub uv: Option<PathBuf>,
}

/// Why there is no Python environment.
#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    /// It was not built yet, or not to its end.
    #[error("the Python environment {0} is not there: `liminal apply` builds it")]
    Missing(PathBuf),
    /// No interpreter of that version.
    #[error(transparent)]
    NoInterpreter(#[from] NoInterpreter),
    /// The requirements can not be installed.
    #[error("installing {path} failed:\n{output}")]
    Install {
        /// The requirements file, by path below the project folder.
        path: String,
        /// The last lines that the installer printed.
        output: String,
    },
    /// The environment can not be made.
    #[error("`{command}` failed:\n{output}")]
    Command {
        /// The command.
        command: String,
        /// The last lines that it printed.
        output: String,
    },
    /// The file system refused.
    #[error("the file system refused {path}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Environments {
    /// The folder of an environment that is built.
    ///
    /// # Errors
    /// When it is not built, or its interpreter has gone.
    pub fn find(&self, spec: &PythonSpec) -> Result<PathBuf, PythonError> {
        let digest = spec.digest();
        let folder = self.folder(&digest);
        if self.has(&digest) { Ok(folder) } else { Err(PythonError::Missing(folder)) }
    }

    /// Whether the environment with this digest is built, and its interpreter still there.
    pub fn has(&self, digest: &Digest) -> bool {
        let folder = self.folder(digest);
        // An environment refers to the interpreter that it was made with, which may have been removed since.
        folder.join(COMPLETE).exists() && folder.join("bin/python").exists()
    }

    /// The folder of an environment, built now if it is not yet. `requirements` is the text of the requirements file
    /// that the specification names. Blocks, also while another process builds the same environment; `progress` gets
    /// the lines that the installer prints.
    ///
    /// # Errors
    /// When there is no such interpreter, or the requirements can not be installed.
    pub fn ensure(
        &self,
        spec: &PythonSpec,
        requirements: &str,
        progress: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, PythonError> {
        if let Ok(folder) = self.find(spec) {
            return Ok(folder);
        }
        let folder = self.folder(&spec.digest());
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| PythonError::Io { path, source }
        };
        let parent = self.cache_dir.join("python");
        fs::create_dir_all(&parent).map_err(at(&parent))?;
        let lock_file = folder.with_extension("lock");
        let lock = File::create(&lock_file).map_err(at(&lock_file))?;
        lock.lock().map_err(at(&lock_file))?;
        if let Ok(folder) = self.find(spec) {
            return Ok(folder);
        }
        let interpreter = interpreter::find(spec.version.as_deref(), &self.search_path)?;
        remove_tree(&folder).map_err(at(&folder))?;
        // An environment holds its own path, so it is built where it stays.
        let has_requirements = spec.requirements.is_some();
        self.make(&interpreter, &folder, has_requirements, progress)?;
        if let Some(file) = &spec.requirements {
            let listed = folder.join("requirements.txt");
            fs::write(&listed, requirements).map_err(at(&listed))?;
            let installed = self.install(&folder, &listed, progress)?;
            installed.map_err(|output| PythonError::Install { path: file.path.clone(), output })?;
        }
        let complete = folder.join(COMPLETE);
        fs::write(&complete, interpreter.describe() + "\n").map_err(at(&complete))?;
        Ok(folder)
    }

    fn folder(&self, digest: &Digest) -> PathBuf {
        self.cache_dir.join("python").join(digest.hex())
    }

    fn make(
        &self,
        interpreter: &Interpreter,
        folder: &Path,
        with_pip: bool,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), PythonError> {
        progress(&format!("making an environment with {}", interpreter.describe()));
        let mut command = if let Some(uv) = &self.uv {
            let mut command = Command::new(uv);
            command.args(["venv", "--no-project", "--python"]).arg(&interpreter.program).arg(folder);
            command
        } else {
            let mut command = Command::new(&interpreter.program);
            command.args(["-m", "venv"]);
            if !with_pip {
                command.arg("--without-pip");
            }
            command.arg(folder);
            command
        };
        let shown = if self.uv.is_some() { "uv venv" } else { "python -m venv" };
        run(&mut command, progress)?.map_err(|output| PythonError::Command { command: shown.to_owned(), output })
    }

    fn install(
        &self,
        folder: &Path,
        requirements: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Result<(), String>, PythonError> {
        let python = folder.join("bin/python");
        let mut command = if let Some(uv) = &self.uv {
            let mut command = Command::new(uv);
            command.args(["pip", "install", "--python"]).arg(python).arg("-r").arg(requirements);
            command
        } else {
            let mut command = Command::new(python);
            command.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-r"]).arg(requirements);
            command
        };
        run(&mut command, progress)
    }
}

/// Runs a command and passes on its lines. The inner error holds the last of them.
fn run(command: &mut Command, progress: &mut dyn FnMut(&str)) -> Result<Result<(), String>, PythonError> {
    let name = PathBuf::from(command.get_program());
    let failed = |source| PythonError::Io { path: name.clone(), source };
    let (reader, writer) = io::pipe().map_err(failed)?;
    let errors = writer.try_clone().map_err(failed)?;
    command.stdin(Stdio::null()).stdout(writer).stderr(errors);
    // What the caller's own Python is told about modules is not for this one.
    command.env_remove("PYTHONPATH").env_remove("PYTHONHOME");
    let mut child = command.spawn().map_err(failed)?;
    // The command holds the writing end: let go of it, or reading never ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut last = VecDeque::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.map_err(failed)?;
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        progress(&line);
        if last.len() == ERROR_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    let status = child.wait().map_err(failed)?;
    Ok(if status.success() { Ok(()) } else { Err(Vec::from(last).join("\n")) })
}
