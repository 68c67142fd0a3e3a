//! Reading the settings of an environment alone.

use liminal_schemas::definition::EnvironmentSettings;
use liminal_schemas::definition::environment;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::platform::PlatformSpec;

use crate::memory_files::MemoryFiles;
use crate::rendering::render;

fn settings(files: &MemoryFiles, name: Option<&str>) -> Result<EnvironmentSettings, String> {
    let name = name.map(|name| EnvironmentName::new(name).expect("a valid name"));
    environment(files, "liminal.yml", name.as_ref()).map_err(|report| render(&report))
}

#[test]
fn an_environment_is_read_while_the_pipelines_are_broken() {
    let yaml = "project: p\ninclude: [gone.yml]\nenvironments: {staging: {keep: many}, other: 3}\npipelines: [no]\n";
    let files = MemoryFiles::new().with("liminal.yml", yaml);
    for name in [None, Some("local"), Some("staging")] {
        let settings = settings(&files, name).expect("settings");
        assert_eq!(settings.project.as_str(), "p");
        assert_eq!(settings.environment.as_str(), name.unwrap_or("local"));
        assert_eq!(settings.platform, PlatformSpec::Local);
    }
}

#[test]
fn an_environment_comes_from_the_files_that_are_extended_too() {
    let files = MemoryFiles::new()
        .with("liminal.yml", "extends: base.yml\nenvironments: {one: }\n")
        .with("base.yml", "project: parent\nenvironments: {two: }\n");
    for name in ["one", "two"] {
        assert_eq!(settings(&files, Some(name)).expect("settings").project.as_str(), "parent");
    }
}

#[test]
fn an_environment_that_is_not_defined_gets_a_suggestion() {
    let files = MemoryFiles::new().with("liminal.yml", "project: p\nenvironments: {staging: , prod: }\n");
    insta::assert_snapshot!(settings(&files, Some("stagign")).expect_err("no such environment"), @r#"
    liminal.yml:2:15 L0208 there is no environment `stagign`
      hint: did you mean `staging`?
      hint: known environments: local, prod, staging
    "#);
}

#[test]
fn what_stops_an_environment_from_being_read_is_told_at_once() {
    let files = MemoryFiles::new().with("liminal.yml", "owner: me\nenvironments: {staging: {platfrom: local}}\n");
    insta::assert_snapshot!(settings(&files, Some("staging")).expect_err("mistakes"), @"
    liminal.yml:1:1 L0202 a project needs the key `project`
    liminal.yml:2:26 L0201 an environment has no key `platfrom`
      here: did you mean `platform`?
      hint: known keys: platform, branch, protected, template, ttl, canary, region, account, bucket, arch, log_retention, fargate, owner, python, params, secrets, env, defaults, keep, policies, pipelines
    ");
    assert_eq!(
        settings(&MemoryFiles::new(), None).expect_err("no file").lines().next(),
        Some("L0001 liminal.yml does not exist")
    );
}
