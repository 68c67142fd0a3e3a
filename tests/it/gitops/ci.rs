//! Workflows for code hosts, as YAML and as what their shells do.

use std::process::Command;

use crate::harness::Project;

fn parse(project: &Project, file: &str) -> serde_json::Value {
    let yaml = project.read(file);
    serde_yaml::from_str(&yaml).unwrap_or_else(|error| panic!("{file} is YAML: {error}"))
}

fn written(host: &str, file: &str) -> (Project, serde_json::Value) {
    let project = Project::empty();
    let _ = project.liminal(&["-e", "staging", "gitops", "ci", host, "--branch", "release/1"]).exits(0).prints(file);
    let yaml = parse(&project, file);
    (project, yaml)
}

#[test]
fn the_workflow_for_github_plans_pull_requests_and_applies_what_is_merged() {
    let (project, workflow) = written("github", ".github/workflows/liminal.yml");
    insta::assert_snapshot!("github", project.read(".github/workflows/liminal.yml"));
    assert_eq!(workflow["env"]["LIMINAL_ENV"], "staging");
    for job in ["plan", "apply"] {
        let job = &workflow["jobs"][job];
        assert_eq!(job["permissions"]["id-token"], "write", "credentials come by OIDC");
        let steps = job["steps"].as_array().expect("steps");
        for run in steps.iter().filter_map(|step| step["run"].as_str()) {
            assert!(!run.contains("${{"), "no text of others gets into a shell: {run}");
        }
    }
    assert_eq!(workflow["permissions"], serde_json::json!({"contents": "read"}));
}

#[test]
fn the_pipeline_for_gitlab_plans_merge_requests_and_applies_what_is_merged() {
    let (project, pipeline) = written("gitlab", ".gitlab-ci.yml");
    insta::assert_snapshot!("gitlab", project.read(".gitlab-ci.yml"));
    assert_eq!(pipeline["variables"]["LIMINAL_BRANCH"], "release/1");
    assert_eq!(pipeline["apply"]["resource_group"], "liminal-apply");
    assert_eq!(pipeline[".liminal"]["id_tokens"]["AWS_TOKEN"]["aud"], "sts.amazonaws.com");
}

#[test]
fn the_plan_step_tells_changes_from_failures() {
    let (project, workflow) = written("github", ".github/workflows/liminal.yml");
    let steps = workflow["jobs"]["plan"]["steps"].as_array().expect("steps");
    let plan = steps.iter().find(|step| step["id"] == "plan").expect("a step that plans");
    project.write("plan.sh", plan["run"].as_str().expect("a script"));
    for (code, ends, output) in [(0, 0, "changes=false\n"), (2, 0, "changes=true\n"), (1, 1, ""), (3, 3, "")] {
        project.write("bin/liminal", format!("#!/bin/sh\nexit {code}\n"));
        project.write("output", "");
        let path = project.join("bin/liminal");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, executable).expect("it is executable");
        let status = Command::new("bash")
            .args(["-e", "plan.sh"])
            .current_dir(project.path())
            .env("PATH", format!("{}:/usr/bin:/bin", project.join("bin").display()))
            .env("GITHUB_OUTPUT", project.join("output"))
            .status()
            .expect("bash starts");
        assert_eq!((status.code(), project.read("output").as_str()), (Some(ends), output), "for {code}");
    }
}

#[test]
fn a_workflow_that_is_there_stays() {
    let project = Project::empty();
    project.write(".gitlab-ci.yml", "mine: true\n");
    let _ = project.liminal(&["gitops", "ci", "gitlab"]).exits(1).says("--overwrite");
    assert_eq!(project.read(".gitlab-ci.yml"), "mine: true\n");
    let _ = project.liminal(&["gitops", "ci", "gitlab", "--branch", "--x"]).exits(64);
    let _ = project.liminal(&["gitops", "ci", "gitlab", "--out", "-"]).exits(0).prints("stages:");
}
