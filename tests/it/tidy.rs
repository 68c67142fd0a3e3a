//! The rules of the house: which package may know which, and what must never be in the tree.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The dependencies of a manifest, by section.
fn dependencies(manifest: &str) -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(root().join(manifest)).expect("a manifest is read");
    let mut sections: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if section.ends_with("dependencies") && !section.starts_with("workspace") && !line.starts_with('#') {
            let name: String = line.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
            if !name.is_empty() {
                sections.entry(section.clone()).or_default().push(name);
            }
        }
    }
    sections
}

/// The packages of this workspace that a manifest names; the emulators only where other than tests could use them.
fn own(manifest: &str) -> Vec<String> {
    let mut sections = dependencies(manifest);
    if let Some(for_tests) = sections.get_mut("dev-dependencies") {
        for_tests.retain(|name| name != "liminal-emulators");
    }
    let mut found: Vec<String> = sections.into_values().flatten().filter(|name| name.starts_with("liminal-")).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn packages_know_only_those_below_them() {
    assert_eq!(own("schemas/Cargo.toml"), [""; 0], "schemas knows nobody");
    assert_eq!(own("functions/Cargo.toml"), ["liminal-schemas"], "functions knows schemas alone");
    assert_eq!(own("infra/Cargo.toml"), ["liminal-schemas"], "infra knows schemas alone");
    assert_eq!(own("Cargo.toml"), ["liminal-functions", "liminal-infra", "liminal-schemas"]);
}

#[test]
fn the_core_names_nothing_that_performs_input_or_output() {
    let impure = ["tokio", "git2", "rustix", "tempfile", "uuid", "rand", "chrono", "reqwest", "indicatif"];
    let named: Vec<String> = dependencies("schemas/Cargo.toml").remove("dependencies").unwrap_or_default();
    for name in named {
        assert!(!impure.contains(&name.as_str()), "schemas depends on {name}");
    }
    for file in sources("schemas/src") {
        let text = std::fs::read_to_string(&file).expect("a source file is read");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in ["std::fs", "std::net", "std::process", "std::env", "SystemTime", "Instant::now"] {
            assert!(!code.contains(word), "{} names {word}", file.display());
        }
    }
}

#[test]
fn the_planner_names_nothing_that_performs_input_or_output() {
    for file in sources("infra/src/plan") {
        let text = std::fs::read_to_string(&file).expect("a source file is read");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in ["std::fs", "std::net", "std::process", "std::env", "SystemTime", "tokio", "git2", "async fn"] {
            assert!(!code.contains(word), "{} names {word}", file.display());
        }
    }
}

#[test]
fn files_have_one_subject_and_a_telling_name() {
    for folder in ["cli", "schemas/src", "functions/src", "infra/src"] {
        for file in sources(folder) {
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let vague = ["util", "utils", "common", "helper", "helpers", "misc", "manager"];
            assert!(!vague.contains(&name.as_str()), "{} says nothing by its name", file.display());
            let lines = std::fs::read_to_string(&file).expect("a source file is read").lines().count();
            assert!(lines <= 800, "{} has {lines} lines: split it", file.display());
        }
    }
}

#[test]
fn every_error_code_has_a_page_with_something_on_it() {
    for entry in std::fs::read_dir(root().join("docs/errors")).expect("the pages are there") {
        let path = entry.expect("the pages are there").path();
        let text = std::fs::read_to_string(&path).expect("a page is read");
        assert!(text.lines().count() >= 5, "{} explains nothing", path.display());
    }
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut open = vec![root().join(folder)];
    let mut files = Vec::new();
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder is read") {
            let path = entry.expect("a folder is read").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
