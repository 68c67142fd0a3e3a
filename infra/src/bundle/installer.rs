//! Running what installs dependencies: `uv` where it is found, else `pip`.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use super::complaint::Complaint;
use super::error::BundleError;
use super::target::Target;

const PIP_SCRIPT: &str = include_str!("pip_for_target.py");

/// Names of interpreters whose `pip` will do: it is told what it installs for.
const INTERPRETERS: [&str; 9] = [
    "python3",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
    "python3.9",
    "python3.8",
    "python",
];

/// What the script prints where it finds no `pip` that will do.
const NO_PIP: &str = "no usable pip: ";

/// How many of the last lines of a failed installer are kept.
const KEPT_LINES: usize = 40;

/// Variables that an installer gets: where packages come from and how to reach them. Others could change what is
/// installed or where to.
const VARIABLES: [&str; 46] = [
    "HOME",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "NETRC",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "PIP_CONFIG_FILE",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_NO_INDEX",
    "PIP_TRUSTED_HOST",
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "PIP_PROXY",
    "PIP_CACHE_DIR",
    "PIP_NO_CACHE_DIR",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_TIMEOUT",
    "PIP_RETRIES",
    "PIP_KEYRING_PROVIDER",
    "UV_CACHE_DIR",
    "UV_CONFIG_FILE",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_HTTP_TIMEOUT",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_NATIVE_TLS",
    "UV_NO_CACHE",
    "UV_OFFLINE",
    "UV_PYTHON_DOWNLOADS",
    "UV_PYTHON_INSTALL_DIR",
    "UV_SYSTEM_CERTS",
];

/// Begins variables of `uv` that name indexes and hold their credentials: `UV_INDEX_INTERNAL_PASSWORD`.
const UV_INDEXES: &str = "UV_INDEX";

/// What installs dependencies, as the machine has it.
#[derive(Clone, Debug)]
pub struct Installer {
    /// The `uv` program, which is much faster.
    pub uv: Option<PathBuf>,
    /// Where interpreters are looked for.
    pub search_path: String,
    /// The environment variables of this process. What an installer has no use for is not passed on.
    pub variables: Vec<(String, String)>,
}

/// What an installer is to do.
pub(super) struct Order<'a> {
    /// The requirements file.
    pub(super) requirements: &'a Path,
    /// Its content.
    pub(super) content: &'a [u8],
    /// Its path below the project, for messages.
    pub(super) shown: &'a str,
    /// The folder to install into.
    pub(super) into: &'a Path,
    /// An empty folder for what else is needed.
    pub(super) scratch: &'a Path,
    /// What to install for.
    pub(super) target: &'a Target,
}

impl Installer {
    /// Installs requirements into a folder. `progress` gets the lines that the installer prints.
    pub(super) fn install(&self, order: &Order<'_>, progress: &mut dyn FnMut(&str)) -> Result<(), BundleError> {
        let log = order.scratch.join("pip.log");
        let result = match &self.uv {
            Some(uv) => run(&mut self.uv_command(uv, order), progress)?,
            None => self.pip(order, &log, progress)?,
        };
        let Err(output) = result else { return Ok(()) };
        let log = fs::read(&log).unwrap_or_default();
        let complaint = Complaint { path: order.shown, target: order.target, output: &output };
        Err(complaint.into_error(&String::from_utf8_lossy(&log)))
    }

    fn uv_command(&self, uv: &Path, order: &Order<'_>) -> Command {
        let mut command = self.command(uv, order);
        command
            .args(["pip", "install", "--no-progress", "--color", "never", "--link-mode", "hardlink"])
            .args(["--only-binary", ":all:", "--python-version", &order.target.python()])
            .args(["--python-platform", &order.target.uv_platform(), "--target"])
            .arg(order.into);
        // `pip` does so by itself when one requirement has a hash.
        if has_hashes(order.content) {
            command.arg("--require-hashes");
        }
        command.arg("-r").arg(order.requirements);
        // One after the other: where two packages bring the same file, the last one wins, and must always be the same.
        command.env("UV_CONCURRENT_INSTALLS", "1");
        command
    }

    /// Installs by the first interpreter with a `pip` that can be told what it installs for.
    fn pip(
        &self,
        order: &Order<'_>,
        log: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Result<(), Vec<String>>, BundleError> {
        let script = order.scratch.join("pip_for_target.py");
        fs::write(&script, PIP_SCRIPT).map_err(BundleError::io(&script))?;
        let mut tried = Vec::new();
        let folders: Vec<&str> = self.search_path.split(':').filter(|folder| folder.starts_with('/')).collect();
        for name in INTERPRETERS {
            let programs =
                folders.iter().map(|folder| Path::new(folder).join(name)).filter(|program| program.is_file());
            for program in programs {
                // Launchers like those of pyenv are there for versions that are not.
                let lines = match run(&mut self.pip_command(&program, &script, order, log), progress) {
                    Ok(Ok(())) => return Ok(Ok(())),
                    Ok(Err(lines)) => lines,
                    Err(error) => vec![error.to_string()],
                };
                let why = lines.last().map_or("", String::as_str);
                if !why.starts_with(NO_PIP) && log.exists() {
                    return Ok(Err(lines));
                }
                tried.push(format!("{}: {why}", program.display()));
            }
        }
        let tried = if tried.is_empty() { INTERPRETERS.join(", ") } else { tried.join("; ") };
        Err(BundleError::NoInstaller { tried })
    }

    fn pip_command(&self, program: &Path, script: &Path, order: &Order<'_>, log: &Path) -> Command {
        let mut command = self.command(program, order);
        command
            .arg("-I")
            .arg(script)
            .arg(serde_json::Value::from_iter(order.target.markers()).to_string())
            .args(["install", "--target"])
            .arg(order.into)
            .args(["--only-binary", ":all:", "--implementation", "cp", "--no-compile"])
            .args(["--python-version", &order.target.python()])
            .args(order.target.wheel_platforms().iter().flat_map(|platform| ["--platform", platform]))
            .arg("--log")
            .arg(log)
            .arg("-r")
            .arg(order.requirements);
        command
    }

    fn command(&self, program: &Path, order: &Order<'_>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(order.scratch).env_clear();
        let passed = self.variables.iter().filter(|(name, _)| is_passed(name));
        command.envs(passed.map(|(name, value)| (name, value)));
        command.env("PATH", &self.search_path);
        // Settings rather than options: releases that do not know one pass over it.
        command
            .env("PIP_USER", "0")
            .env("PIP_REQUIRE_VIRTUALENV", "0")
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .env("PIP_NO_INPUT", "1")
            .env("PIP_PROGRESS_BAR", "off")
            .env("PIP_ROOT_USER_ACTION", "ignore")
            .env("NO_COLOR", "1");
        command
    }
}

fn is_passed(name: &str) -> bool {
    VARIABLES.contains(&name) || name.starts_with(UV_INDEXES)
}

fn has_hashes(requirements: &[u8]) -> bool {
    let text = String::from_utf8_lossy(requirements);
    text.lines().any(|line| line.split('#').next().is_some_and(|line| line.contains("--hash")))
}

/// Runs a command and passes on its lines. The inner error holds the last of them.
fn run(command: &mut Command, progress: &mut dyn FnMut(&str)) -> Result<Result<(), Vec<String>>, BundleError> {
    let program = PathBuf::from(command.get_program());
    let failed = |source| BundleError::Io { path: program.clone(), source };
    let (reader, writer) = io::pipe().map_err(failed)?;
    let errors = writer.try_clone().map_err(failed)?;
    command.stdin(Stdio::null()).stdout(writer).stderr(errors);
    let mut child = command.spawn().map_err(failed)?;
    // The command holds the writing end: let go of it, or reading never ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut last = VecDeque::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line.map_err(failed)?).trim_end().to_owned();
        if line.is_empty() {
            continue;
        }
        // `pip` says of each package by which line of which file it came.
        progress(line.split(" (from ").next().unwrap_or(&line));
        if last.len() == KEPT_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    let status = child.wait().map_err(failed)?;
    Ok(if status.success() { Ok(()) } else { Err(Vec::from(last)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_change_what_is_installed_are_kept_away() {
        let passed = ["HOME", "PIP_INDEX_URL", "https_proxy", "UV_INDEX_INTERNAL_PASSWORD", "UV_CACHE_DIR"];
        assert!(passed.iter().all(|name| is_passed(name)));
        let refused = ["PYTHONPATH", "PIP_TARGET", "PIP_CONSTRAINT", "UV_OVERRIDE", "UV_LINK_MODE", "VIRTUAL_ENV"];
        assert!(!refused.iter().any(|name| is_passed(name)));
    }

    #[test]
    fn hashes_are_seen_but_not_in_comments() {
        assert!(has_hashes(b"six==1.17.0 \\\n    --hash=sha256:47\n"));
        assert!(!has_hashes(b"six==1.17.0 # --hash=sha256:47\n"));
    }
}
