//! Virtual environments with pinned packages, made once for all test processes of a target folder.

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// Says where the environments are kept, when not below the target folder: several checkouts can share them.
const FOLDER_VARIABLE: &str = "LIMINAL_EMULATORS";

/// The interpreter of an environment whose test names none.
const PYTHON: &str = "python3";

/// The file that is written last. An environment can not be made elsewhere and moved, since its scripts name its place.
const MARKER: &str = ".complete";

/// What to install.
#[derive(Debug)]
pub(crate) struct Package {
    /// Names the folder.
    pub(crate) name: &'static str,
    /// Names the folder: another version is another folder.
    pub(crate) version: &'static str,
    /// What pip is told to install.
    pub(crate) requirements: &'static [&'static str],
}

impl Package {
    /// The folder of the environment with this package for a Python interpreter, made if it is not there yet.
    pub(crate) fn install(&self, python: Option<&Path>) -> PathBuf {
        let python = python.unwrap_or(Path::new(PYTHON));
        let folder = folder().join(format!("{}-{}-python{}", self.name, self.version, version(python)));
        let marker = folder.join(MARKER);
        if marker.exists() {
            return folder;
        }
        let parent = folder.parent().expect("the folder has a parent");
        fs::create_dir_all(parent).expect("the folder of the environments is made");
        // Held until the end of this function: of several test processes one installs, and the others wait.
        let lock = File::create(folder.with_extension("lock")).expect("the lock file is opened");
        lock.lock().expect("the lock is taken");
        if marker.exists() {
            return folder;
        }
        match fs::remove_dir_all(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => panic!("the half-made environment {} is not removed: {error}", folder.display()),
        }
        run(Command::new(python).args(["-m", "venv"]).arg(&folder));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
        run(Command::new(folder.join("bin/python")).args(pip).args(self.requirements));
        fs::write(&marker, self.requirements.join("\n")).expect("the marker is written");
        folder
    }
}

/// Absolute, since the programs in it are started from other folders.
fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE) {
        return folder.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let root = root.canonicalize().expect("the workspace is there");
    root.join(target).join("emulators")
}

fn version(python: &Path) -> String {
    let output = run(Command::new(python).args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]));
    output.trim().to_owned()
}

fn run(command: &mut Command) -> String {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!("{command:?} is not started: {error}"),
    };
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {}\n{error}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
