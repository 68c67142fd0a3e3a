//! Leaving out what no step needs, so that more fits into a function.
//!
//! - Compiled bytecode: it depends on the interpreter that wrote it and holds times. Left where there is no source.
//! - Folders named `tests` inside packages, a seventh of a typical lock file. They are dropped unless a module outside
//!   of such folders imports from them, as `astropy` and `h5py` do: every import in every module is looked at. Folders
//!   named `test` stay, since some are part of a package's interface (`django.test`), as does `numpy.testing`.
//! - C, C++ and Cython sources with the compiled module beside them. Headers and type stubs stay: `torch` compiles with
//!   the former, and `lazy_loader` reads the latter.
//! - Headers that a wheel puts beside its packages, where only compilers look.

use std::collections::BTreeSet;

use super::distribution::content;
use super::error::BundleError;
use super::tree::Files;

/// Changes when something else is left out, so that no dependencies are taken from before.
pub(super) const SLIMMING: u32 = 1;

const TESTS: &str = "tests";

/// Files beside packages that are there for `pytest` and builds alone, and name tests.
const NOT_IMPORTED: [&str; 2] = ["conftest.py", "setup.py"];

/// Drops what no step needs.
pub(super) fn drop_unneeded(files: &mut Files) -> Result<(), BundleError> {
    let needed = needed_tests(files)?;
    let has_modules_in_include = files.keys().any(|path| path.starts_with("include/") && path.ends_with(".py"));
    let dropped: Vec<String> = files
        .keys()
        .filter(|path| {
            is_bytecode(path, files)
                || is_compiled(path, files)
                || tests_folder(path).is_some_and(|folder| !needed.contains(folder))
                || (path.starts_with("include/") && !has_modules_in_include)
                // A lock that `uv` leaves.
                || *path == ".lock"
        })
        .cloned()
        .collect();
    for path in dropped {
        files.remove(&path);
    }
    Ok(())
}

fn is_bytecode(path: &str, files: &Files) -> bool {
    let Some(stem) = path.strip_suffix(".pyc") else { return false };
    path.contains("__pycache__/") || files.contains_key(&format!("{stem}.py"))
}

/// Whether a path is a source whose compiled module is beside it: `lexer.c` and `lexer.cpython-312-….so`.
fn is_compiled(path: &str, files: &Files) -> bool {
    let stem = [".c", ".cc", ".cpp", ".pyx"].iter().find_map(|ending| path.strip_suffix(ending));
    let Some(stem) = stem else { return false };
    let module = format!("{stem}.");
    let beside = files.range(module.clone()..).map(|(path, _)| path).take_while(|path| path.starts_with(&module));
    let mut endings = beside.map(|path| &path[module.len()..]);
    endings.any(|ending| ending == "so" || (ending.ends_with(".so") && ending.matches('.').count() == 1))
}

/// The folder named `tests` that a path is in, if it is in one inside a package.
fn tests_folder(path: &str) -> Option<&str> {
    let mut end = 0;
    for part in path.split('/') {
        let start = end;
        end += part.len() + 1;
        if part == TESTS && start > 0 && end <= path.len() {
            return Some(&path[..end - 1]);
        }
    }
    None
}

/// The folders of tests that something else imports from, directly or by way of other tests.
fn needed_tests(files: &Files) -> Result<BTreeSet<String>, BundleError> {
    let folders: BTreeSet<&str> = files.keys().filter_map(|path| tests_folder(path)).collect();
    let modules = || files.values().filter(|entry| entry.path.ends_with(".py"));
    let mut needed = BTreeSet::new();
    let is_read = |path: &str| !NOT_IMPORTED.contains(&path.rsplit('/').next().unwrap_or_default());
    let mut open: Vec<_> =
        modules().filter(|entry| tests_folder(&entry.path).is_none() && is_read(&entry.path)).collect();
    while let Some(entry) = open.pop() {
        let text = content(entry)?;
        let text = String::from_utf8_lossy(&text);
        for folder in imported_tests(&entry.path, &text) {
            // `numpy.tests` names `numpy/tests`, and so does what is below it.
            let Some(folder) = folders.iter().find(|known| folder == **known) else { continue };
            if needed.insert((*folder).to_owned()) {
                open.extend(modules().filter(|entry| tests_folder(&entry.path) == Some(folder)));
            }
        }
    }
    Ok(needed)
}

/// The folders of tests that a module imports from: in an import, or by a name that begins a string, as one handed to
/// `importlib` does.
fn imported_tests(path: &str, text: &str) -> Vec<String> {
    if !text.contains(TESTS) {
        return Vec::new();
    }
    let mut package: Vec<&str> = path.split('/').collect();
    package.pop();
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut line = line.trim().to_owned();
        if line.starts_with('#') {
            continue;
        }
        // Names in parentheses go on over lines.
        while line.starts_with("from ") && line.contains('(') && !line.contains(')') {
            let Some(next) = lines.next() else { break };
            line.push(' ');
            line.push_str(next.trim());
        }
        if !line.contains(TESTS) {
            continue;
        }
        let is_dotted = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
        let is_import = line.starts_with("import ") || line.starts_with("from ");
        let mut before = ' ';
        for part in line.split_inclusive(|letter| !is_dotted(letter)) {
            let name = part.trim_end_matches(|letter| !is_dotted(letter));
            if (is_import || before == '"' || before == '\'') && !name.starts_with('.') {
                found.extend(folder_of(&[], name));
            }
            before = part.chars().next_back().unwrap_or(' ');
        }
        let Some((from, names)) = line.strip_prefix("from ").and_then(|rest| rest.split_once(" import ")) else {
            continue;
        };
        let from = from.trim();
        let relative = from.trim_start_matches('.');
        let base = match from.len() - relative.len() {
            0 => &[][..],
            dots => &package[..package.len().saturating_sub(dots - 1)],
        };
        found.extend(folder_of(base, relative));
        let imports_tests = names.split(|letter| !is_dotted(letter)).any(|name| name == TESTS);
        if imports_tests {
            found.extend(folder_of(base, &format!("{relative}.{TESTS}")));
        }
    }
    found
}

/// The folder of tests in a dotted name below some packages.
fn folder_of(base: &[&str], name: &str) -> Option<String> {
    let parts: Vec<&str> = base.iter().copied().chain(name.split('.').filter(|part| !part.is_empty())).collect();
    let end = parts.iter().position(|part| *part == TESTS)?;
    Some(parts[..=end].join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::archive::Entry;
    use super::super::archive::Source;
    use super::*;

    fn kept(files: &[(&str, &str)]) -> Vec<String> {
        let entry = |(path, text): &(&str, &str)| {
            let source = Source::Bytes(text.as_bytes().to_vec());
            (
                (*path).to_owned(),
                Entry { path: (*path).to_owned(), executable: false, bytes: text.len() as u64, source },
            )
        };
        let mut files: Files = files.iter().map(entry).collect();
        drop_unneeded(&mut files).unwrap();
        files.into_keys().collect()
    }

    #[test]
    fn tests_inside_packages_go_and_what_is_only_named_alike_stays() {
        let files = [
            ("numpy/__init__.py", ""),
            ("numpy/testing/__init__.py", ""),
            ("numpy/testing/tests/test_utils.py", ""),
            ("numpy/tests/data/x.npz", ""),
            ("django/test/__init__.py", ""),
            ("tests/__init__.py", ""),
            ("tests.py", ""),
            ("pandas/tests.py", ""),
        ];
        let stay = [
            "django/test/__init__.py",
            "numpy/__init__.py",
            "numpy/testing/__init__.py",
            "pandas/tests.py",
            "tests.py",
            "tests/__init__.py",
        ];
        assert_eq!(kept(&files), stay);
    }

    #[test]
    fn tests_that_a_module_imports_from_stay() {
        let imports = [
            "from .tests.runner import TestRunner",
            "    from ..a.tests import runner",
            "from . import (\n    other,\n    tests,\n)",
            "import a.tests.runner as runner",
            "importlib.import_module(\"a.tests.runner\")",
            "from a import tests",
        ];
        for import in imports {
            let files = [("a/__init__.py", import), ("a/tests/runner.py", ""), ("a/b/tests/x.py", "")];
            assert_eq!(kept(&files), ["a/__init__.py", "a/tests/runner.py"], "{import}");
        }
        let others = [
            "from .testing import x",
            "# from .tests import x",
            "from b import tests",
            "\"\"\"Runs the tests. tests\"\"\"",
            "folder = 'tests'",
            "See :mod:`a.tests.x`.",
        ];
        for other in others {
            assert_eq!(kept(&[("a/__init__.py", other), ("a/tests/x.py", "")]), ["a/__init__.py"], "{other}");
        }
    }

    #[test]
    fn tests_that_needed_tests_import_from_stay_too() {
        let files = [
            ("a/__init__.py", "import a.tests"),
            ("a/conftest.py", "import c.tests"),
            ("a/tests/__init__.py", "from b.tests import helper"),
            ("b/tests/helper.py", ""),
            ("c/tests/__init__.py", ""),
        ];
        assert_eq!(kept(&files), ["a/__init__.py", "a/conftest.py", "a/tests/__init__.py", "b/tests/helper.py"]);
    }

    #[test]
    fn bytecode_and_sources_of_compiled_modules_go() {
        let files = [
            (".lock", ""),
            ("a/__pycache__/x.cpython-312.pyc", ""),
            ("a/legacy.pyc", ""),
            ("a/x.py", ""),
            ("a/x.pyc", ""),
            ("b/lexer.c", ""),
            ("b/lexer.cpython-312-x86_64-linux-gnu.so", ""),
            ("b/lexer.pyx", ""),
            ("b/lexer.pyi", ""),
            ("b/other.c", ""),
            ("b/other.h", ""),
            ("b/other.more.cpython-312.so", ""),
            ("include/greenlet/greenlet.h", ""),
        ];
        let stay = [
            "a/legacy.pyc",
            "a/x.py",
            "b/lexer.cpython-312-x86_64-linux-gnu.so",
            "b/lexer.pyi",
            "b/other.c",
            "b/other.h",
            "b/other.more.cpython-312.so",
        ];
        assert_eq!(kept(&files), stay);
    }
}
