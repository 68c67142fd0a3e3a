//! Which managed runtime runs a Python environment, and what a runtime calls.

use super::limits::PYTHON_RUNTIMES;

/// What a managed Python runtime calls: the function `handler` of the shim `liminal_handler.py`.
pub const PYTHON_HANDLER: &str = "liminal_handler.handler";

/// What a runtime without a language of its own starts.
pub const PROVIDED_HANDLER: &str = "bootstrap";

/// Changes when equal [`BundleSpec`](super::resource::BundleSpec)s would come to be packed differently.
pub const BUNDLE_PACKER: u32 = 1;

/// Why there is no managed runtime for a Python version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Lambda has no runtime for Python {wanted}: it has {}", known())]
pub struct NoPythonRuntime {
    /// The version that is wanted.
    pub wanted: String,
}

fn known() -> String {
    PYTHON_RUNTIMES.iter().map(|(major, minor)| format!("{major}.{minor}")).collect::<Vec<_>>().join(", ")
}

/// The version, as `3.11`, that a [`crate::release::PythonSpec::version`] stands for on Lambda: the newest that will do.
///
/// # Errors
/// When Lambda has no such version.
pub fn managed_python(wanted: Option<&str>) -> Result<String, NoPythonRuntime> {
    let takes = |version: &(u32, u32)| match wanted {
        None => true,
        Some(text) => match text.trim().strip_prefix(">=") {
            Some(least) => numbers(least).is_some_and(|(major, minor)| *version >= (major, minor.unwrap_or(0))),
            None => numbers(text.trim().trim_start_matches("=="))
                .is_some_and(|(major, minor)| version.0 == major && minor.is_none_or(|minor| version.1 == minor)),
        },
    };
    let newest = PYTHON_RUNTIMES.iter().rev().find(|version| takes(version));
    newest
        .map(|(major, minor)| format!("{major}.{minor}"))
        .ok_or_else(|| NoPythonRuntime { wanted: wanted.unwrap_or("of any version").to_owned() })
}

/// Major and minor number. The third number is Lambda's own choice.
fn numbers(text: &str) -> Option<(u32, Option<u32>)> {
    let mut parts = text.trim().split('.');
    let major = parts.next()?.parse().ok()?;
    match parts.next() {
        Some(minor) => Some((major, Some(minor.parse().ok()?))),
        None => Some((major, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_managed_version_that_will_do_is_taken() {
        let table = [
            (None, Some("3.14")),
            (Some("3.11"), Some("3.11")),
            (Some("3.11.4"), Some("3.11")),
            (Some("==3.12"), Some("3.12")),
            (Some("3"), Some("3.14")),
            (Some(">=3.10"), Some("3.14")),
            (Some(">=3.14"), Some("3.14")),
            (Some(">=3.20"), None),
            (Some("3.8"), None),
            (Some("2.7"), None),
            (Some("three"), None),
        ];
        for (wanted, expected) in table {
            assert_eq!(managed_python(wanted).ok().as_deref(), expected, "{wanted:?}");
        }
        let error = managed_python(Some("3.8")).expect_err("too old");
        assert_eq!(error.to_string(), "Lambda has no runtime for Python 3.8: it has 3.11, 3.12, 3.13, 3.14");
    }
}
