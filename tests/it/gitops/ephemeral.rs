//! Environments that are made from a template, and removed after their time.

use std::time::Duration;

use super::world::World;
use crate::harness::Outcome;
use crate::harness::Project;

const DEFINITION: &str = "\
project: demo
params: {greeting: hello}
environments:
  staging: {branch: main}
  preview:
    template: pr-*
    params: {greeting: hi}
pipelines:
  greet:
    steps:
      say:
        run: [sh, say.sh, \"{{ params.greeting }}\", \"{{ outputs.text }}\"]
        outputs: {text: text.txt}
";

/// A pass of the agent, whose home is below a folder.
fn pass(place: &Project, world: &World) -> Outcome {
    let remote = world.path().display().to_string();
    place.liminal(&["gitops", "agent", "--once", "--home", "home", "--remote", &remote])
}

#[test]
fn what_is_made_from_a_template_is_removed_by_the_agent_once_its_time_has_come_and_nothing_else_is() {
    let world = World::new(DEFINITION);
    let _ = world.push("main").exits(0);
    let place = Project::empty();
    let _ = pass(&place, &world).exits(0).prints("Applied");
    let on = |environment: &str, args: &[&str]| place.liminal(&[&["-C", "home", "-e", environment], args].concat());
    let _ = on("pr-1", &["apply", "-y"]).exits(64).says("--ttl 48h");
    let _ = on("pr-1", &["apply", "-y", "--ttl", "48h"]).exits(0).prints("greet is live as");
    let _ = on("pr-2", &["apply", "-y", "--ttl", "1s"]).exits(0);
    let _ = on("pr-1", &["run", "--live"]).exits(0);
    assert_eq!(
        on("pr-1", &["artifacts", "cat", "say.text"]).exits(0).stdout,
        "hi\n",
        "the settings are the template's"
    );
    let status = on("pr-1", &["status"]).exits(0).stderr;
    assert!(status.contains("Expires in 1 d 23 h") || status.contains("Expires in 2 d 00 h"), "{status}");
    assert!(status.contains("made from preview"), "{status}");
    std::thread::sleep(Duration::from_millis(1100));
    let _ = on("pr-2", &["status"]).says("Expired");
    let removed = pass(&place, &world).exits(0).stdout;
    assert!(removed.contains("pr-2: expired, and is removed"), "{removed}");
    assert!(!removed.contains("pr-1"), "{removed}");
    assert!(!place.join("home/.liminal/pr-2").exists());
    let _ = on("pr-1", &["state", "list"]).exits(0).prints("greet");
    let _ = on("staging", &["state", "list"]).exits(0).prints("greet");
    let again = pass(&place, &world).exits(0).stdout;
    assert!(!again.contains("expired"), "{again}");

    let _ = on("pr-1", &["destroy"]).exits(1).says("--auto-approve");
    let _ = on("pr-1", &["destroy", "-y"]).exits(0).prints("Destroyed");
    assert!(!place.join("home/.liminal/pr-1").exists(), "nothing of it stays");
}

#[test]
fn an_apply_that_changes_nothing_lets_an_environment_live_on() {
    let project = Project::in_git(&DEFINITION.replace("template: pr-*", "template: pr-*\n    ttl: 2h"));
    project.write("say.sh", "echo \"$1\" > \"$2\"\n");
    project.commit("Start");
    let expiry = || project.json(&["state", "show", "-o", "json", "-e", "pr-7"])["expires"].clone();
    let _ = project.liminal(&["apply", "-y", "-e", "pr-7"]).exits(0);
    let first = expiry();
    assert_eq!((first["ttl_seconds"].as_u64(), first["template"].as_str()), (Some(7200), Some("preview")), "{first}");
    std::thread::sleep(Duration::from_millis(5));
    let _ = project.liminal(&["apply", "-y", "-e", "pr-7"]).exits(0).prints("No changes");
    let second = expiry();
    assert!(second["at"].as_str() > first["at"].as_str(), "{first} {second}");
    let _ = project.liminal(&["apply", "-y", "-e", "pr-7", "--ttl", "3h"]).exits(0);
    assert_eq!(expiry()["ttl_seconds"].as_u64(), Some(10_800));
}

#[test]
fn a_time_to_live_is_only_for_what_is_made_from_a_template() {
    let project = Project::in_git(DEFINITION);
    project.write("say.sh", "echo \"$1\" > \"$2\"\n");
    project.commit("Start");
    let _ = project.liminal(&["apply", "-y", "-e", "staging", "--ttl", "1h"]).exits(64).says("made from no template");
    let _ = project.liminal(&["apply", "-y", "--ttl", "1h"]).exits(64).says("made from no template");
    let _ = project
        .liminal(&["apply", "-y", "-e", "preview", "--ttl", "1h"])
        .exits(1)
        .says("is a template")
        .says("-e pr-1");
    let _ = project.liminal(&["status", "-e", "preview"]).exits(1).says("is a template");
    let _ = project.liminal(&["plan", "-e", "other"]).exits(1).says("there is no environment `other`");
    let _ = project.liminal(&["config", "-e", "pr-1"]).exits(0).prints("hi");
    for (wrong, said) in [
        ("template: pr", "does not end with `*`"),
        ("template: pr-*\n    branch: main", "follows no branch"),
        ("template: pr-*\n    protected: true", "can not be protected"),
        ("ttl: 48h", "`ttl` means nothing without `template`"),
    ] {
        project.write("liminal.yml", DEFINITION.replace("template: pr-*", wrong));
        let _ = project.liminal(&["validate"]).exits(1).says(said);
    }
}
