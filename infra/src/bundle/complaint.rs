//! Reading what an installer says when it fails.

use super::error::BundleError;
use super::target::Target;

/// How many lines of an installer's output an error shows.
const SHOWN_LINES: usize = 12;

/// How many versions an error proposes.
const SHOWN_VERSIONS: usize = 6;

/// What both installers say, each in its way, when nothing answers.
const UNREACHABLE: [&str; 8] = [
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
    "connection error:",
    "client error (Connect)",
    "operation timed out",
];

/// What an installer said that failed.
pub(super) struct Complaint<'a> {
    /// The requirements file, for messages.
    pub(super) path: &'a str,
    /// What was installed for.
    pub(super) target: &'a Target,
    /// The last lines that it printed.
    pub(super) output: &'a [String],
}

impl Complaint<'_> {
    /// What it means. `log` is pip's log of everything; empty for uv.
    pub(super) fn into_error(self, log: &str) -> BundleError {
        let path = self.path.to_owned();
        let mut lines = self.output.iter().map(String::as_str).chain(log.lines());
        if let Some(line) = lines.find(|line| UNREACHABLE.iter().any(|words| line.contains(words))) {
            // uv names the address in a line of its own.
            let fetched = self.output.iter().find(|line| line.contains("Failed to fetch"));
            let said = fetched.map_or_else(|| said(line), |fetched| format!("{}: {}", said(fetched), said(line)));
            return BundleError::Unreachable { path, said };
        }
        if self.output.iter().any(|line| line.contains("DO NOT MATCH THE HASHES") || line.contains("Hash mismatch")) {
            return BundleError::Hash { path, output: self.tail() };
        }
        if let Some(requirement) = self.unknown(log) {
            return BundleError::UnknownPackage { path, requirement };
        }
        if let Some((requirement, versions)) = self.without_wheel() {
            let target = self.target.describe();
            return BundleError::NoWheel { path, requirement, target, advice: self.advice(&versions) };
        }
        BundleError::Install { path, target: self.target.describe(), output: self.tail() }
    }

    /// The package that the index does not know.
    fn unknown(&self, log: &str) -> Option<String> {
        // uv: "Because NAME was not found in the package registry and you require NAME==1, …"
        let uv = self.output.iter().find_map(|line| {
            let before = line.split(" was not found in the package registry").next()?;
            (before.len() < line.len()).then(|| before.rsplit(' ').next().unwrap_or(before).to_owned())
        });
        // pip says the same for a package without wheels; its log tells them apart.
        uv.or_else(|| {
            let (requirement, versions) = self.without_wheel()?;
            let page = format!("/{}/: 404 ", normalised(&name_of(&requirement)));
            (versions.is_empty() && log.lines().any(|line| line.contains(&page))).then_some(requirement)
        })
    }

    /// The requirement that no wheel fits, and the versions that have one.
    fn without_wheel(&self) -> Option<(String, Vec<String>)> {
        const PIP: &str = "Could not find a version that satisfies the requirement ";
        const UV: [&str; 3] =
            [" has no usable wheels", " has no wheels with a matching", " has no wheels are available"];
        const UV_NO_VERSION: &str = "there is no version of ";
        self.output.iter().find_map(|line| {
            if let Some((_, rest)) = line.split_once(PIP) {
                let (requirement, versions) = rest.split_once(" (from versions: ").unwrap_or((rest, ""));
                // pip names where a requirement comes from: `numpy==1 (from scipy)`.
                let requirement = requirement.split(" (from ").next().unwrap_or(requirement);
                let versions = versions.trim_end_matches(')').split(", ").filter(|it| !it.is_empty() && *it != "none");
                return Some((requirement.to_owned(), versions.map(str::to_owned).collect()));
            }
            let requirement = match line.split_once(UV_NO_VERSION) {
                Some((_, rest)) => rest.split(' ').next().unwrap_or_default(),
                None => {
                    let end = UV.iter().find_map(|words| line.find(words))?;
                    line[..end].rsplit(' ').next().unwrap_or_default()
                }
            };
            Some((requirement.to_owned(), Vec::new()))
        })
    }

    fn advice(&self, versions: &[String]) -> String {
        let others = match versions {
            [] => String::new(),
            versions => format!(" (these versions have one: {})", newest(versions)),
        };
        let mut tries = Vec::new();
        if let Some(better) = self.target.better() {
            tries.push(format!("`python: {{version: \"{better}\"}}`, whose runtime takes wheels for a newer glibc"));
        }
        tries.push("another version of the package".to_owned());
        tries.push("another `arch`".to_owned());
        tries.push("an `image:` that has it, since nothing is compiled here".to_owned());
        format!("{others}; try {}", tries.join(", or "))
    }

    fn tail(&self) -> String {
        let skipped = self.output.len().saturating_sub(SHOWN_LINES);
        self.output[skipped..].join("\n")
    }
}

fn name_of(requirement: &str) -> String {
    requirement.chars().take_while(|letter| letter.is_ascii_alphanumeric() || "._-".contains(*letter)).collect()
}

/// The name as indexes write it in addresses (packaging.python.org, "Name normalization").
fn normalised(name: &str) -> String {
    let mut normalised = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '.' | '-' | '_' => {
                if !normalised.ends_with('-') {
                    normalised.push('-');
                }
            }
            letter => normalised.push(letter.to_ascii_lowercase()),
        }
    }
    normalised
}

fn newest(versions: &[String]) -> String {
    let skipped = versions.len().saturating_sub(SHOWN_VERSIONS);
    let shown = versions[skipped..].join(", ");
    if skipped == 0 { shown } else { format!("… {shown}") }
}

/// A line without what only the installer's authors need.
fn said(line: &str) -> String {
    const LONGEST: usize = 300;
    let line = line.trim().trim_start_matches("WARNING: ").trim_start_matches("cause: ");
    let line = line.split_once(": ").filter(|(start, _)| start.starts_with("Retrying")).map_or(line, |(_, rest)| rest);
    line.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use liminal_schemas::aws::Arch;

    use super::*;

    fn error(python: &str, output: &[&str], log: &str) -> String {
        let target = Target::of_function(python, Arch::X86_64).unwrap();
        let output: Vec<String> = output.iter().map(|line| (*line).to_owned()).collect();
        Complaint { path: "requirements.txt", target: &target, output: &output }.into_error(log).to_string()
    }

    #[test]
    fn a_missing_wheel_is_named_with_what_to_try() {
        let pip = [
            "ERROR: Could not find a version that satisfies the requirement numpy==2.3.5 (from scipy) (from versions: 1.26.0, 1.26.1)",
            "ERROR: No matching distribution found for numpy==2.3.5",
        ];
        insta::assert_snapshot!(error("3.11", &pip, ""), @r#"requirements.txt asks for `numpy==2.3.5`, and no wheel of it fits CPython 3.11 on Linux x86_64 with glibc 2.17 (these versions have one: 1.26.0, 1.26.1); try `python: {version: "3.12"}`, whose runtime takes wheels for a newer glibc, or another version of the package, or another `arch`, or an `image:` that has it, since nothing is compiled here"#);
        let uv = [
            "error: No solution found when resolving dependencies",
            "  cause: Because docopt==0.6.2 has no usable wheels and you require docopt==0.6.2, we can conclude that your requirements are unsatisfiable.",
        ];
        insta::assert_snapshot!(error("3.13", &uv, ""), @"requirements.txt asks for `docopt==0.6.2`, and no wheel of it fits CPython 3.13 on Linux x86_64 with glibc 2.34; try another version of the package, or another `arch`, or an `image:` that has it, since nothing is compiled here");
    }

    #[test]
    fn a_package_that_nobody_knows_is_told_from_one_without_wheels() {
        let pip = ["ERROR: Could not find a version that satisfies the requirement My.Pakage==1 (from versions: none)"];
        let log = "Could not fetch URL https://pypi.org/simple/my-pakage/: 404 Client Error: Not Found for url: …";
        insta::assert_snapshot!(error("3.13", &pip, log), @"requirements.txt asks for `My.Pakage==1`, and the package index has no package of that name: check its spelling");
        let uv =
            ["  cause: Because my-pakage was not found in the package registry and you require my-pakage==1, we can …"];
        insta::assert_snapshot!(error("3.13", &uv, ""), @"requirements.txt asks for `my-pakage`, and the package index has no package of that name: check its spelling");
    }

    #[test]
    fn a_dead_network_is_no_missing_wheel() {
        let pip = [
            "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError('<pip>: Failed to establish a new connection: [Errno 111] Connection refused')': /simple/six/",
            "ERROR: Could not find a version that satisfies the requirement six==1.17.0 (from versions: none)",
        ];
        insta::assert_snapshot!(error("3.13", &pip, ""), @"the dependencies in requirements.txt can not be fetched: the package index does not answer (Failed to establish a new connection: [Errno 111] Connection refused')': /simple/six/); check the network, or the proxy and index settings of the installer");
        let uv = [
            "error: Request failed after 3 retries in 6.0s",
            "  cause: Failed to fetch: http://127.0.0.1:9/simple/six/",
            "  cause: client error (Connect)",
        ];
        insta::assert_snapshot!(error("3.13", &uv, ""), @"the dependencies in requirements.txt can not be fetched: the package index does not answer (Failed to fetch: http://127.0.0.1:9/simple/six/: client error (Connect)); check the network, or the proxy and index settings of the installer");
    }

    #[test]
    fn what_is_not_understood_is_shown() {
        insta::assert_snapshot!(error("3.13", &["ERROR: No space left on device"], ""), @"
        installing requirements.txt for CPython 3.13 on Linux x86_64 with glibc 2.34 failed:
        ERROR: No space left on device
        ");
    }
}
