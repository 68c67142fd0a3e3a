use std::collections::BTreeMap;

use super::*;
use crate::name::FieldName;
use crate::release::PACKER_VERSION;
use crate::release::PackageFile;
use crate::release::PythonSpec;
use crate::release::RequirementsFile;
use crate::release::SecretRef;
use crate::step::OutputRole;
use crate::template::Template;
use crate::value::Value;

fn field(name: &str) -> FieldName {
    FieldName::new(name).expect("a test writes valid names")
}

fn package(blob: &str, version: &str, requirements: &str) -> PackageSpec {
    let file = PackageFile { blob: blob.to_owned(), executable: false };
    let requirements = RequirementsFile { path: "requirements.txt".to_owned(), blob: requirements.to_owned() };
    PackageSpec {
        packer: PACKER_VERSION,
        root: String::new(),
        files: BTreeMap::from([("steps/train.py".to_owned(), file)]),
        python: Some(PythonSpec { version: Some(version.to_owned()), requirements: Some(requirements) }),
    }
}

fn parts(package: &PackageSpec) -> CacheKeyParts {
    let output = OutputSpec { path: "model".to_owned(), kind: ArtifactKind::File, role: OutputRole::Data };
    CacheKeyParts {
        schema: 1,
        action: Action::Run { argv: vec![Template::literal("python"), Template::literal("train.py")] },
        package: Some(package.digest()),
        env: BTreeMap::from([("TZ".to_owned(), Template::literal("UTC"))]),
        outputs: BTreeMap::from([(field("model"), output)]),
        params: BTreeMap::from([(field("seed"), Value::Int(42))]),
        bindings: BTreeMap::from([(field("seed"), InputSource::Param { name: field("seed") })]),
        inputs: BTreeMap::from([(field("data"), Digest::of_bytes(b"before"))]),
        metrics: BTreeMap::new(),
        map: None,
        secrets: BTreeMap::new(),
        run: BTreeMap::new(),
    }
}

fn shown(before: (&CacheKeyParts, &PackageSpec), after: (&CacheKeyParts, &PackageSpec)) -> Vec<String> {
    let side = |(parts, package)| KeyParts { parts, package: Some(package) };
    let found = differences(side(before), side(after)).into_iter();
    let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    found.map(|one| format!("{}: {} -> {}", one.what, text(one.before), text(one.after))).collect()
}

#[test]
fn equal_keys_have_no_difference() {
    let package = package("aaaaaaaaaaaa", "3.11", "cccccccccccc");
    let parts = parts(&package);
    let side = KeyParts { parts: &parts, package: Some(&package) };
    assert_eq!(difference(side, side), None);
}

#[test]
fn a_changed_package_is_named_by_its_file_and_by_each_part_of_its_python() {
    let (old, new) = (package("aaaaaaaaaaaa", "3.11", "cccccccccccc"), package("bbbbbbbbbbbb", "3.12", "dddddddddddd"));
    let (before, after) = (parts(&old), parts(&new));
    assert_eq!(
        shown((&before, &old), (&after, &new)),
        [
            "code/steps/train.py: aaaaaaaa -> bbbbbbbb",
            "python.version: 3.11 -> 3.12",
            "python.requirements: requirements.txt cccccccc -> requirements.txt dddddddd",
        ]
    );
}

#[test]
fn a_changed_package_without_its_document_is_named_as_a_whole() {
    let (old, new) = (package("aaaaaaaaaaaa", "3.11", "cccccccccccc"), package("bbbbbbbbbbbb", "3.11", "cccccccccccc"));
    let (before, after) = (parts(&old), parts(&new));
    let found = difference(KeyParts { parts: &before, package: None }, KeyParts { parts: &after, package: Some(&new) });
    assert_eq!(
        found.map(RerunReason::from),
        Some(RerunReason::Changed {
            what: "package".to_owned(),
            before: Some(old.digest().short()),
            after: Some(new.digest().short()),
        })
    );
}

#[test]
fn every_part_of_a_key_is_compared_by_name() {
    let package = package("aaaaaaaaaaaa", "3.11", "cccccccccccc");
    let before = parts(&package);
    let mut after = before.clone();
    after.action = Action::Run { argv: ["python", "train.py", "-v"].map(Template::literal).to_vec() };
    after.env = BTreeMap::from([("LANG".to_owned(), Template::literal("C"))]);
    after.outputs = after
        .outputs
        .into_iter()
        .map(|(name, output)| (name, OutputSpec { kind: ArtifactKind::Directory, ..output }))
        .collect();
    after.params.insert(field("seed"), Value::Int(7));
    after.bindings.insert(
        field("rates"),
        InputSource::File { path: "data/rates.csv".to_owned(), content: Digest::of_bytes(b"rates") },
    );
    after.inputs.insert(field("data"), Digest::of_bytes(b"after"));
    after.secrets.insert(field("key"), SecretRef::Env("API_KEY".to_owned()));
    insta::assert_snapshot!(shown((&before, &package), (&after, &package)).join("\n"), @r"
    run[2]: - -> -v
    env.LANG: - -> C
    env.TZ: UTC -> -
    outputs.model: model -> model/
    params.seed: 42 -> 7
    inputs.rates: - -> ./data/rates.csv ff24aad2
    inputs.data: 6db7d803 -> f3959239
    secrets.key: - -> env:API_KEY
    ");
}

#[test]
fn another_kind_of_action_is_one_difference() {
    let package = package("aaaaaaaaaaaa", "3.11", "cccccccccccc");
    let before = parts(&package);
    let action = Action::Call { module: "steps.train".to_owned(), function: "train".to_owned() };
    let after = CacheKeyParts { action, ..before.clone() };
    assert_eq!(shown((&before, &package), (&after, &package)), ["action: run -> call"]);
}

#[test]
fn long_values_are_shortened() {
    let package = package("aaaaaaaaaaaa", "3.11", "cccccccccccc");
    let mut before = parts(&package);
    before.params.insert(field("seed"), Value::Text("é".repeat(200)));
    let after = parts(&package);
    assert_eq!(shown((&before, &package), (&after, &package)), [format!("params.seed: {}… -> 42", "é".repeat(80))]);
}
