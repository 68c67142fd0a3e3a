//! What a revision depends on, and what it does not.

use std::collections::BTreeMap;

use liminal_schemas::definition::Loaded;

use super::PROJECT;
use super::files;
use super::loaded;
use super::release;

fn step_digests(loaded: &Loaded) -> BTreeMap<String, String> {
    release(loaded, "train").steps.iter().map(|(name, step)| (name.to_string(), step.digest().hex())).collect()
}

/// The steps that differ between two definitions.
fn changed(before: &Loaded, after: &Loaded) -> Vec<String> {
    let (before, after) = (step_digests(before), step_digests(after));
    before.into_iter().filter(|(name, digest)| after.get(name) != Some(digest)).map(|(name, _)| name).collect()
}

/// Changes only together with [`liminal_schemas::release::RELEASE_SCHEMA`] or `PACKER_VERSION`: an upgrade of liminal that
/// changes it would deploy every pipeline anew.
#[test]
fn the_revision_of_a_given_definition_never_changes() {
    let loaded = loaded(&files(PROJECT));
    insta::assert_snapshot!(release(&loaded, "train").revision(), @"sha256:7131cb36fa52c3f06d329c237efd2eccdd3507cae3fdd3c28e3655b850c4d157");
}

#[test]
fn the_order_of_keys_changes_nothing() {
    let definition = r#"
pipelines:
  train:
    steps:
      b: {outputs: {y: y, x: x}, run: "true"}
      a: {inputs: {y: b.y, x: b.x}, run: "true", env: {B: b, A: a}}
project: churn
"#;
    let reordered = r#"
project: churn
pipelines:
  train:
    steps:
      a: {env: {A: a, B: b}, run: ["true"], inputs: {x: b.x, y: b.y}}
      b: {run: "true", outputs: {x: x, y: y}}
"#;
    let (one, other) = (loaded(&files(definition)), loaded(&files(reordered)));
    assert_eq!(release(&one, "train").revision(), release(&other, "train").revision());
}

#[test]
fn descriptions_change_nothing_and_the_owner_changes_no_step() {
    let before = loaded(&files(PROJECT));
    let described = PROJECT
        .replace("owner: ml-team", "owner: ml-team\ndescription: Who leaves")
        .replace("        phase: train\n", "        phase: train\n        description: Fits the model\n")
        .replace("  train:\n    steps:", "  train:\n    description: Every night\n    steps:");
    assert_eq!(release(&loaded(&files(&described)), "train").revision(), release(&before, "train").revision());
    let owned = loaded(&files(&PROJECT.replace("owner: ml-team", "owner: others")));
    assert_eq!(changed(&before, &owned), Vec::<String>::new());
}

#[test]
fn editing_a_file_changes_only_the_steps_whose_package_has_it() {
    let before = loaded(&files(PROJECT));
    let after = |path: &str| changed(&before, &loaded(&files(PROJECT).with(path, "edited")));
    assert_eq!(after("steps/train.py"), ["train"]);
    assert_eq!(after("train.py"), ["script"]);
    assert_eq!(after("data/rates.csv"), ["train"]);
    assert_eq!(after("extra/table.json"), ["script"]);
    assert_eq!(after("steps/other.py"), Vec::<String>::new());
    assert_eq!(after("README.md"), Vec::<String>::new());
    assert_eq!(after("lib/util.py"), ["fetch", "notify", "script", "train"]);
    assert_eq!(after("requirements.txt"), ["fetch", "notify", "script", "train"]);
}

#[test]
fn defaults_of_processes_change_no_gate_and_no_registration() {
    let before = loaded(&files(PROJECT));
    let after = loaded(&files(&PROJECT.replace("timeout: 10m", "timeout: 11m").replace("TZ: UTC", "TZ: EST")));
    assert_eq!(changed(&before, &after), ["fetch", "notify", "script", "train"]);
}

#[test]
fn equal_packages_are_listed_once() {
    let definition = r#"
project: churn
pipelines:
  one: {steps: {train: {call: "steps.train:train"}}}
  two: {steps: {train: {call: "steps.train:train"}, again: {call: "steps.train:evaluate"}}}
"#;
    assert_eq!(loaded(&files(definition)).resolved.packages.len(), 1);
}
