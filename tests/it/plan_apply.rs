//! Plan, apply, rollback and destroy in real git repositories.

use crate::harness::Project;

const DEFINITION: &str = "\
project: demo
params: {greeting: hello}
pipelines:
  greet:
    steps:
      say:
        run: [sh, say.sh, \"{{ params.greeting }}\", \"{{ outputs.text }}\"]
        outputs: {text: text.txt}
      count:
        run: [sh, -c, 'wc -c < \"$1\" > \"$2\"', sh, \"{{ inputs.text }}\", \"{{ outputs.size }}\"]
        inputs: {text: say.text}
        outputs: {size: size.txt}
";

fn project() -> Project {
    let project = Project::in_git(DEFINITION);
    project.write("say.sh", "echo \"$1\" > \"$2\"\n");
    project.commit("Start");
    project
}

#[test]
fn a_plan_has_changes_until_they_are_applied() {
    let project = project();
    let _ = project.liminal(&["plan", "--detailed-exitcode"]).exits(2).prints("+ greet");
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    let _ = project.liminal(&["plan", "--detailed-exitcode"]).exits(0).prints("No changes");
    let again = project.liminal(&["apply", "--auto-approve"]).exits(0);
    let _ = again.prints("No changes");
}

#[test]
fn the_json_of_a_plan_fits_its_schema() {
    let project = project();
    let plan = project.json(&["plan", "-o", "json"]);
    let schema = project.json(&["schema", "plan"]);
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors: Vec<String> =
        validator.iter_errors(&plan).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(errors, [""; 0]);
    assert_eq!(plan["has_changes"], true);
    assert_eq!(plan["pipelines"][0]["pipeline"], "greet");
}

#[test]
fn a_change_of_code_is_named_by_file_and_reruns_what_depends_on_it() {
    let project = project();
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    let _ = project.liminal(&["run", "greet"]).exits(0);
    project.edit("say.sh", "echo \"$1\"", "echo \"$1!\"");
    let text = project.ok(&["plan"]);
    assert!(text.contains("~ greet"), "{text}");
    assert!(text.contains("code/say.sh"), "{text}");
    let plan = project.json(&["plan", "-o", "json"]);
    let change = &plan["pipelines"][0];
    assert_eq!(change["steps"].as_array().map(Vec::len), Some(1), "only `say` changes: {change}");
    assert_eq!(change["unchanged_steps"], 1);
    assert_eq!(change["forecast"]["count"]["depends"], "say", "{change}");
    assert!(
        change["forecast"]["say"]["runs"]["changed"]["what"].as_str().is_some_and(|what| what == "code/say.sh"),
        "{change}"
    );
}

#[test]
fn a_setting_that_changes_no_result_reruns_nothing() {
    let project = project();
    let _ = project.liminal(&["run"]).exits(0);
    project.edit(
        "liminal.yml",
        "outputs: {size: size.txt}",
        "outputs: {size: size.txt}\n        timeout: 5m\n        retries: 3",
    );
    let plan = project.json(&["plan", "-o", "json"]);
    assert_eq!(plan["pipelines"][0]["forecast"]["count"], "cached", "{plan}");
    let summary = project.json(&["run", "-o", "json"]);
    assert_eq!(summary["commits"]["count"]["status"], "cached", "{summary}");
}

#[test]
fn a_saved_plan_is_applied_as_it_is_and_refused_when_stale() {
    let project = project();
    let _ = project.liminal(&["plan", "--out", "first.plan"]).exits(0);
    let _ = project.liminal(&["plan", "--out", "second.plan"]).exits(0);
    let _ = project.liminal(&["apply", "first.plan"]).exits(0);
    let _ = project.liminal(&["apply", "second.plan"]).exits(6).says("stale");
    let _ = project.liminal(&["plan", "--detailed-exitcode"]).exits(0);
    project.write("broken.plan", "{\"format_version\": \"1.0\"");
    let _ = project.liminal(&["apply", "broken.plan"]).exits(1).says("broken.plan");
}

#[test]
fn without_a_terminal_apply_asks_for_the_flag_instead_of_hanging() {
    let project = project();
    let _ = project.liminal(&["apply"]).exits(1).says("--auto-approve");
    let _ = project.liminal(&["plan", "--detailed-exitcode"]).exits(2);
}

#[test]
fn a_rollback_makes_the_release_before_live_again() {
    let project = project();
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    let first = project.json(&["state", "show", "-o", "json"])["pipelines"]["greet"]["live"].clone();
    project.edit("liminal.yml", "greeting: hello", "greeting: ahoy");
    project.commit("Change the greeting");
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    let second = project.json(&["state", "show", "-o", "json"])["pipelines"]["greet"]["live"].clone();
    assert_ne!(first, second);
    let _ = project.liminal(&["rollback", "--auto-approve"]).exits(0);
    assert_eq!(project.json(&["state", "show", "-o", "json"])["pipelines"]["greet"]["live"], first);
    let history = project.json(&["history", "-o", "json"]);
    let commands: Vec<&str> =
        history.as_array().expect("a list").iter().filter_map(|entry| entry["command"].as_str()).collect();
    assert_eq!(commands, ["rollback", "apply", "apply"]);
}

#[test]
fn a_rollback_to_a_commit_takes_all_pipelines_to_what_that_commit_had_live() {
    let project = project();
    let live = |name: &str| project.json(&["state", "show", "-o", "json"])["pipelines"][name]["live"].clone();
    project.edit("liminal.yml", "pipelines:\n", "pipelines:\n  other: {steps: {s: {run: [echo, one]}}}\n");
    project.commit("One");
    let _ = project.liminal(&["apply", "-y", "--rev", "HEAD"]).exits(0);
    let first = (live("greet"), live("other"));
    project.edit("liminal.yml", "greeting: hello", "greeting: ahoy");
    project.edit("liminal.yml", "[echo, one]", "[echo, two]");
    project.commit("Two");
    project.git(&["tag", "v2"]);
    let _ = project.liminal(&["apply", "-y", "--rev", "HEAD"]).exits(0);
    project.edit("liminal.yml", "[echo, two]", "[echo, three]");
    project.commit("Three");
    let _ = project.liminal(&["apply", "-y", "--rev", "HEAD"]).exits(0);
    let _ = project.liminal(&["rollback", "-y"]).exits(64).says("which pipeline?").says("HEAD~1");
    let _ = project.liminal(&["rollback", "HEAD~2", "-y"]).exits(0).prints("Rolled back");
    assert_eq!((live("greet"), live("other")), first);
    let second = project.liminal(&["rollback", "v2", "-y"]).exits(0).stdout;
    assert!(second.contains("greet is live as") && second.contains("other is live as"), "{second}");
    let _ = project.liminal(&["rollback", "v2", "-y"]).exits(0).prints("No changes");
    let _ = project.liminal(&["rollback", "other", "--to", "HEAD~2", "-y"]).exits(0);
    assert_eq!(live("other"), first.1);
    assert_ne!(live("greet"), first.0);
    let _ = project.liminal(&["rollback", "no-such-thing", "-y"]).exits(1).says("no-such-thing").says("greet, other");
    let _ = project.liminal(&["rollback", "--to", "no-such-thing", "greet", "-y"]).exits(64).says("kept are");
}

#[test]
fn a_history_tells_what_failed_and_what_was_refused_too() {
    let project = project();
    let _ = project.liminal(&["apply", "-y"]).exits(0);
    project.edit("liminal.yml", "pipelines:\n", "policies: {never: {deny: 'true', message: not today}}\npipelines:\n");
    project.edit("liminal.yml", "greeting: hello", "greeting: ahoy");
    let _ = project.liminal(&["apply", "-y"]).exits(3);
    let history = project.json(&["history", "-o", "json"]);
    assert_eq!((&history[0]["result"], &history[0]["command"]), (&"refused".into(), &"apply".into()), "{history}");
    assert!(history[0]["reason"].as_str().is_some_and(|reason| reason.contains("not today")), "{history}");
    let text = project.ok(&["history"]);
    assert!(text.contains("RESULT") && text.contains("refused") && text.contains("done"), "{text}");
    // What failed since hides no rollback.
    let _ = project.liminal(&["status"]);
}

#[test]
fn plans_at_a_revision_read_git_and_leave_edits_out() {
    let project = project();
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    project.edit("say.sh", "echo", "printf %s");
    let _ = project.liminal(&["plan", "--rev", "HEAD", "--detailed-exitcode"]).exits(0).says("uncommitted");
    let _ = project.liminal(&["plan", "--detailed-exitcode"]).exits(2);
    let _ = project.liminal(&["plan", "--rev", "--upload-pack=touch x"]).exits(64);
    let _ = project.liminal(&["plan", "--rev=--upload-pack=touch canary"]).exits(1);
    let _ = project.liminal(&["plan", "--rev", "no-such-branch"]).exits(1).says("no-such-branch");
    assert!(!project.join("canary").exists());
}

#[test]
fn removing_a_pipeline_is_planned_and_removing_all_is_refused() {
    let project = project();
    project.edit("liminal.yml", "pipelines:\n", "pipelines:\n  other:\n    steps: {s: {run: [\"true\"]}}\n");
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    project.edit("liminal.yml", "  other:\n    steps: {s: {run: [\"true\"]}}\n", "");
    let _ = project.liminal(&["plan", "--detailed-exitcode"]).exits(2).prints("- other");
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    project.write("liminal.yml", "project: demo\npipelines: {}\n");
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(1).says("no pipelines");
    let _ = project.liminal(&["state", "list"]).exits(0).prints("greet");
}

#[test]
fn destroy_removes_what_was_applied_and_keeps_the_data() {
    let project = project();
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    let _ = project.liminal(&["run"]).exits(0);
    let _ = project.liminal(&["destroy"]).exits(1).says("--auto-approve");
    let _ = project.liminal(&["destroy", "--auto-approve"]).exits(0);
    let _ = project.liminal(&["plan", "--detailed-exitcode"]).exits(2);
    let runs = project.json(&["runs", "-o", "json"]);
    assert_eq!(runs.as_array().map(Vec::len), Some(1));
    let text = project.ok(&["artifacts", "cat", "say.text"]);
    assert_eq!(text, "hello\n");
}

#[test]
fn unsafe_trees_are_refused_by_name() {
    let project = project();
    std::os::unix::fs::symlink("/etc/passwd", project.join("leak.sh")).expect("a link is made");
    project.edit("liminal.yml", "run: [sh, say.sh,", "code: [leak.sh]\n        run: [sh, say.sh,");
    project.commit("Point out of the project");
    for args in [&["validate"][..], &["validate", "--rev", "HEAD"]] {
        let _ = project.liminal(args).exits(1).says("symbolic link").says("leak.sh");
    }
}
