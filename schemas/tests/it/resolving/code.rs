//! Which code goes into which package.

use liminal_schemas::files::RefusedFile;
use liminal_schemas::step::Action;

use super::PROJECT;
use super::files;
use super::findings;
use super::loaded;
use super::package;
use super::paths;
use super::step;
use crate::memory_files::MemoryFiles;

#[test]
fn a_call_takes_its_module_and_the_packages_around_it() {
    let loaded = loaded(&files(PROJECT));
    assert_eq!(
        paths(package(&loaded, "train")),
        ["data/rates.csv", "lib/util.py", "steps/__init__.py", "steps/train.py"]
    );
    let python = package(&loaded, "train").python.clone().expect("a call has Python");
    assert_eq!(python.version.as_deref(), Some("3.11"));
    assert_eq!(python.requirements.map(|file| file.path).as_deref(), Some("requirements.txt"));
}

#[test]
fn a_run_takes_the_files_that_its_arguments_name() {
    let loaded = loaded(&files(PROJECT));
    assert_eq!(paths(package(&loaded, "script")), ["extra/table.json", "lib/util.py", "train.py"]);
    let Action::Run { argv } = &step(&loaded, "script").action else { panic!("it is a run") };
    let argv: Vec<String> = argv.iter().map(ToString::to_string).collect();
    assert_eq!(argv, ["python", "train.py", "--seed={{ params.seed }}"]);
}

#[test]
fn gates_and_registrations_have_no_package() {
    let loaded = loaded(&files(PROJECT));
    assert_eq!(step(&loaded, "check").package, None);
    assert_eq!(step(&loaded, "publish").package, None);
}

#[test]
fn a_package_is_taken_whole_and_goes_before_a_module_of_the_same_name() {
    let project = "project: churn\npipelines: {train: {steps: {train: {call: 'a.b:f'}}}}";
    let with = |more: &[&str]| {
        let mut files = MemoryFiles::new().with("liminal.yml", project).with("src/a/b.py", "").with("a/b.py", "");
        for path in more {
            files = files.with(path, "");
        }
        files
    };
    assert_eq!(paths(package(&loaded(&with(&[])), "train")), ["a/b.py"]);
    let package_too = with(&["a/b/__init__.py", "a/b/deep/c.py", "a/__init__.py", "a/other.py"]);
    assert_eq!(paths(package(&loaded(&package_too), "train")), ["a/__init__.py", "a/b/__init__.py", "a/b/deep/c.py"]);
    let folder_too = with(&["a/b/c.py"]);
    assert_eq!(paths(package(&loaded(&folder_too), "train")), ["a/b.py"]);
}

#[test]
fn modules_are_looked_for_below_the_root() {
    let project = "project: churn\npython: {root: src}\npipelines: {train: {steps: {train: {call: 'a.b:f'}}}}";
    let files = MemoryFiles::new().with("liminal.yml", project).with("src/a/b.py", "").with("src/__init__.py", "");
    let loaded = loaded(&files);
    assert_eq!(package(&loaded, "train").root, "src");
    assert_eq!(paths(package(&loaded, "train")), ["src/a/b.py"]);
}

#[test]
fn python_comes_with_what_needs_it() {
    let project = r#"
project: churn
pipelines:
  train:
    steps:
      shell: {run: "sh -c true"}
      python: {run: "python3.12 -m steps.train"}
      elsewhere: {run: "python -m pytest"}
      tool: {run: "dbt run", python: {requirements: requirements.txt}}
      pythonic: {run: "pythonista"}
"#;
    let loaded = loaded(&files(project));
    assert_eq!(step(&loaded, "shell").package, None);
    assert_eq!(step(&loaded, "pythonic").package, None);
    assert_eq!(paths(package(&loaded, "python")), ["steps/__init__.py", "steps/train.py"]);
    assert_eq!(paths(package(&loaded, "elsewhere")), Vec::<&str>::new());
    assert!(package(&loaded, "elsewhere").python.is_some());
    assert!(package(&loaded, "tool").python.as_ref().is_some_and(|python| python.requirements.is_some()));
}

#[test]
fn code_that_is_missing_is_reported_with_what_may_be_meant() {
    let project = r#"
project: churn
python: {code: [libs], requirements: reqs.txt}
pipelines:
  train:
    steps:
      call: {call: "steps.trian:train"}
      again: {call: "steps.trian:train"}
      script: {run: "python -u trian.py"}
      program: {run: "bin/fetch --all"}
      moved: {run: "python other.py", code: [table.json]}
      input: {run: "true", inputs: {rates: ./data/rate.csv}}
      fine: {run: "python -c pass made.py"}
"#;
    insta::assert_snapshot!(findings(&files(project)), @r"
    liminal.yml:3:17 L0501 libs is not in the project
      here: no such file
      hint: a file counts as part of the project unless git ignores it; outside of `local` it must be committed
    liminal.yml:3:38 L0501 reqs.txt is not in the project
      here: no such file
      hint: a file counts as part of the project unless git ignores it; outside of `local` it must be committed
    liminal.yml:7:20 L0501 steps/trian.py is not in the project
      here: did you mean `steps/train.py`?
      hint: a file counts as part of the project unless git ignores it; outside of `local` it must be committed
    liminal.yml:8:21 L0501 steps/trian.py is not in the project
      here: did you mean `steps/train.py`?
      hint: a file counts as part of the project unless git ignores it; outside of `local` it must be committed
    liminal.yml:9:32 L0501 trian.py is not in the project
      here: did you mean `train.py`?
      hint: a file counts as part of the project unless git ignores it; outside of `local` it must be committed
    liminal.yml:10:23 L0501 bin/fetch is not in the project
      here: no such file
      hint: a file counts as part of the project unless git ignores it; outside of `local` it must be committed
    liminal.yml:11:28 L0501 other.py is not in the project
      here: did you mean `steps/other.py`?
      hint: a file counts as part of the project unless git ignores it; outside of `local` it must be committed
    liminal.yml:11:46 L0501 table.json is not in the project
      here: did you mean `extra/table.json`?
      hint: a file counts as part of the project unless git ignores it; outside of `local` it must be committed
    liminal.yml:12:44 L0501 data/rate.csv is not in the project
      here: did you mean `data/rates.csv`?
      hint: a file counts as part of the project unless git ignores it; outside of `local` it must be committed
    ");
}

#[test]
fn code_that_is_refused_says_why() {
    let project = r#"
project: churn
python: {code: [vendor]}
pipelines:
  train:
    steps:
      call: {call: "steps.train:train"}
      script: {run: "python link.py"}
      input: {run: "true", inputs: {rates: ./Data.csv}}
"#;
    let files = files(project)
        .refusing("steps/train.py", RefusedFile::Symlink)
        .refusing("vendor/sub", RefusedFile::Submodule)
        .refusing("link.py", RefusedFile::Symlink)
        .refusing("Data.csv", RefusedFile::CaseClash("data.csv".to_owned()));
    insta::assert_snapshot!(findings(&files), @r"
    liminal.yml:3:17 L0002 vendor/sub is not to be used: it is a git submodule, and submodules are not read
      here: vendor/sub is part of this
    liminal.yml:7:20 L0002 steps/train.py is not to be used: it is a symbolic link, and links are not followed
    liminal.yml:8:29 L0002 link.py is not to be used: it is a symbolic link, and links are not followed
    liminal.yml:9:44 L0002 Data.csv is not to be used: data.csv differs from it only in upper and lower case
    ");
}

#[test]
fn files_of_one_package_must_differ_by_more_than_case() {
    let project = "project: churn\npython: {code: [lib]}\npipelines: {train: {steps: {train: {run: 'true'}}}}";
    let files = MemoryFiles::new().with("liminal.yml", project).with("lib/A.py", "").with("lib/a.py", "");
    insta::assert_snapshot!(findings(&files), @"liminal.yml:3:42 L0002 lib/a.py is not to be used: lib/A.py differs from it only in upper and lower case");
}
