//! Programs that packages bring. Installers write them for the interpreter of this machine: here they are written for
//! whichever `python3` runs them.

use super::archive::Source;
use super::distribution::Distribution;
use super::distribution::content;
use super::error::BundleError;
use super::tree::Files;

const FOLDER: &str = "bin/";
const FIRST_LINE: &str = "#!/usr/bin/env python3\n";

/// Writes all programs anew that name an interpreter.
pub(super) fn rewrite(files: &mut Files, distributions: &[Distribution]) -> Result<(), BundleError> {
    for (path, entry) in files.range_mut(FOLDER.to_owned()..) {
        let Some(name) = path.strip_prefix(FOLDER) else { break };
        let called = distributions.iter().find_map(|distribution| distribution.programs.get(name));
        let text = if let Some((module, function)) = called {
            Some(calling(module, function))
        } else {
            rewritten(&content(entry)?)
        };
        if let Some(text) = text {
            entry.bytes = text.len() as u64;
            entry.executable = true;
            entry.source = Source::Bytes(text);
        }
    }
    Ok(())
}

fn calling(module: &str, function: &str) -> Vec<u8> {
    let imported = function.split('.').next().unwrap_or(function);
    format!(
        "{FIRST_LINE}import sys\nfrom {module} import {imported}\nif __name__ == \"__main__\":\n    sys.exit({function}())\n"
    )
    .into_bytes()
}

/// A script with another first line, when its first line names a Python.
fn rewritten(script: &[u8]) -> Option<Vec<u8>> {
    // Where the interpreter's path is too long for a first line, a shell starts it: three lines, none of the script's.
    const BY_SHELL: &[u8] = b"#!/bin/sh\n'''exec' ";
    const SHELL_LINES: usize = 3;
    let skipped = if script.starts_with(BY_SHELL) {
        SHELL_LINES
    } else {
        let first = script.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
        String::from_utf8_lossy(first).contains("python").then_some(1)?
    };
    let body = script.splitn(skipped + 1, |byte| *byte == b'\n').nth(skipped).unwrap_or_default();
    Some([FIRST_LINE.as_bytes(), body].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_name_no_interpreter_of_this_machine() {
        let text = |script: &str| rewritten(script.as_bytes()).map(|text| String::from_utf8(text).unwrap());
        let wanted = Some("#!/usr/bin/env python3\nprint()\n".to_owned());
        assert_eq!(text("#!/home/me/.venv/bin/python3.11\nprint()\n"), wanted);
        assert_eq!(text("#!/bin/sh\n'''exec' \"/a b/python\" \"$0\" \"$@\"\n' '''\nprint()\n"), wanted);
        assert_eq!(text("#!/bin/sh\necho\n"), None);
        assert_eq!(text("\u{7f}ELF"), None);
    }

    #[test]
    fn entry_points_become_scripts() {
        insta::assert_snapshot!(String::from_utf8(calling("a.b", "cli.main")).unwrap(), @r#"
        #!/usr/bin/env python3
        import sys
        from a.b import cli
        if __name__ == "__main__":
            sys.exit(cli.main())
        "#);
    }
}
