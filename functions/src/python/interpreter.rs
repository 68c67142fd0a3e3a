//! Finding a Python interpreter of a wanted version.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

/// The newest minor version of Python 3 that is looked for by name, as `python3.20`.
const NEWEST_MINOR: u32 = 20;

/// An interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Its program.
    pub program: PathBuf,
    /// Its version: major, minor, micro.
    pub version: (u32, u32, u32),
}

impl Interpreter {
    /// Version and place, for people.
    pub fn describe(&self) -> String {
        let (major, minor, micro) = self.version;
        format!("Python {major}.{minor}.{micro} ({})", self.program.display())
    }
}

/// Why there is no interpreter.
#[derive(Debug, thiserror::Error)]
pub enum NoInterpreter {
    /// The wanted version is not understood.
    #[error("`{0}` is no Python version: write \"3.11\" for any 3.11, or \">=3.10\" for that or newer")]
    Version(String),
    /// None of those found is wanted.
    #[error("there is no Python {wanted} on the PATH (found {found}): install it, or change `python: version`")]
    NotFound {
        /// What is wanted.
        wanted: String,
        /// What is there.
        found: String,
    },
}

/// Which versions will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Any,
    /// This version, as far as it is given.
    Exactly(u32, Option<u32>, Option<u32>),
    AtLeast(u32, u32),
}

impl Wanted {
    fn parse(text: Option<&str>) -> Option<Self> {
        let Some(text) = text else { return Some(Self::Any) };
        let (text, at_least) = match text.trim().strip_prefix(">=") {
            Some(rest) => (rest.trim(), true),
            None => (text.trim().trim_start_matches("==").trim(), false),
        };
        let numbers: Vec<u32> = text.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        match (numbers.as_slice(), at_least) {
            ([major, minor], true) => Some(Self::AtLeast(*major, *minor)),
            ([major], true) => Some(Self::AtLeast(*major, 0)),
            ([major], false) => Some(Self::Exactly(*major, None, None)),
            ([major, minor], false) => Some(Self::Exactly(*major, Some(*minor), None)),
            ([major, minor, micro], false) => Some(Self::Exactly(*major, Some(*minor), Some(*micro))),
            (_, _) => None,
        }
    }

    fn takes(self, (major, minor, micro): (u32, u32, u32)) -> bool {
        match self {
            Self::Any => major == 3,
            Self::Exactly(wanted, wanted_minor, wanted_micro) => {
                major == wanted
                    && wanted_minor.is_none_or(|it| it == minor)
                    && wanted_micro.is_none_or(|it| it == micro)
            }
            Self::AtLeast(least_major, least_minor) => major == least_major && minor >= least_minor,
        }
    }

    /// The names to look for, the likeliest first.
    fn names(self) -> Vec<String> {
        let mut names = Vec::new();
        if let Self::Exactly(major, Some(minor), _) = self {
            names.push(format!("python{major}.{minor}"));
        }
        names.extend(["python3".to_owned(), "python".to_owned()]);
        if let Self::AtLeast(major, least) = self {
            names.extend((least..=NEWEST_MINOR).rev().map(|minor| format!("python{major}.{minor}")));
        }
        names
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("3"),
            Self::Exactly(major, minor, micro) => {
                write!(f, "{major}")?;
                let rest = minor.iter().chain(micro);
                rest.into_iter().try_for_each(|number| write!(f, ".{number}"))
            }
            Self::AtLeast(major, minor) => write!(f, ">={major}.{minor}"),
        }
    }
}

/// Finds an interpreter on a search path.
///
/// # Errors
/// When there is none of the wanted version.
pub fn find(version: Option<&str>, search_path: &str) -> Result<Interpreter, NoInterpreter> {
    let wanted =
        Wanted::parse(version).ok_or_else(|| NoInterpreter::Version(version.unwrap_or_default().to_owned()))?;
    let mut found = BTreeSet::new();
    for name in wanted.names() {
        let programs = search_path.split(':').filter(|folder| folder.starts_with('/'));
        for program in programs.map(|folder| Path::new(folder).join(&name)).filter(|program| program.is_file()) {
            // Launchers like those of pyenv are there for versions that are not.
            let Some(interpreter) = ask(&program, search_path) else { continue };
            if wanted.takes(interpreter.version) {
                return Ok(interpreter);
            }
            found.insert(interpreter.describe());
        }
    }
    let found = if found.is_empty() { "none".to_owned() } else { Vec::from_iter(found).join(", ") };
    Err(NoInterpreter::NotFound { wanted: wanted.to_string(), found })
}

/// Asks a program for its version and for the interpreter behind it.
fn ask(program: &Path, search_path: &str) -> Option<Interpreter> {
    let question = "import sys; print(*sys.version_info[:3]); print(sys.executable)";
    let mut command = Command::new(program);
    command.args(["-I", "-c", question]).env("PATH", search_path).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (version, executable) = text.trim_end().split_once('\n')?;
    let mut numbers = version.split(' ').map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Interpreter { version: (next()?, next()?, next()?), program: executable.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_understood() {
        let takes = |text: &str, version| Wanted::parse(Some(text)).map(|wanted| wanted.takes(version));
        assert_eq!(takes("3.11", (3, 11, 7)), Some(true));
        assert_eq!(takes("3.11", (3, 12, 0)), Some(false));
        assert_eq!(takes("3.11.7", (3, 11, 7)), Some(true));
        assert_eq!(takes(">=3.10", (3, 12, 0)), Some(true));
        assert_eq!(takes(">= 3.10", (3, 9, 0)), Some(false));
        assert_eq!(takes("3.x", (3, 9, 0)), None);
        assert_eq!(takes("~=3.9", (3, 9, 0)), None);
    }

    #[test]
    fn what_is_missing_is_said_with_what_to_do() {
        let missing = find(Some("3.1"), "/nowhere").unwrap_err().to_string();
        insta::assert_snapshot!(missing, @"there is no Python 3.1 on the PATH (found none): install it, or change `python: version`");
        let nonsense = find(Some("three"), "/nowhere").unwrap_err().to_string();
        insta::assert_snapshot!(nonsense, @r#"`three` is no Python version: write "3.11" for any 3.11, or ">=3.10" for that or newer"#);
    }
}
