//! The smaller commands, and how the program behaves as one among others in a shell.

use crate::harness::Project;

const DEFINITION: &str = "\
project: demo
pipelines:
  p:
    steps:
      a:
        phase: fetch
        run: [sh, -c, 'mkdir \"$1\"; echo 1 > \"$1/one.txt\"', sh, \"{{ outputs.d }}\"]
        outputs: {d: d/}
      b:
        phase: train
        run: [\"true\"]
        inputs: {d: a.d}
";

#[test]
fn usage_errors_exit_with_64_and_never_with_2() {
    let project = Project::empty();
    let _ = project.liminal(&["no-such-command"]).exits(64);
    let _ = project.liminal(&["plan", "--no-such-flag"]).exits(64);
    let _ = project.liminal(&[]).exits(64);
    let _ = project.liminal(&["--version"]).exits(0).prints("liminal ");
    let _ = project.liminal(&["--help"]).exits(0).prints("rollback");
}

#[test]
fn outside_a_project_every_command_says_how_to_begin() {
    let project = Project::empty();
    for args in [&["plan"][..], &["run"], &["status"], &["runs"], &["state", "list"], &["graph"], &["metrics"]] {
        let _ = project.liminal(args).exits(1).says("liminal init");
    }
}

#[test]
fn the_project_is_found_from_a_folder_below() {
    let project = Project::new(DEFINITION);
    project.write("deep/below/file", "");
    let _ = project.liminal(&["-C", "deep/below", "validate"]).exits(0);
    let _ = project.liminal(&["validate", "-C", "deep/below"]).exits(0);
    let _ = project.liminal(&["-C", "no/such/folder", "validate"]).exits(64);
}

#[test]
fn a_graph_is_drawn_in_every_form() {
    let project = Project::new(DEFINITION);
    let _ = project.liminal(&["graph"]).exits(0).prints("a").prints("b");
    let _ = project.liminal(&["graph", "-o", "mermaid"]).exits(0).prints("flowchart");
    let _ = project.liminal(&["graph", "-o", "dot"]).exits(0).prints("digraph");
    let _ = project.liminal(&["graph", "-o", "svg"]).exits(0).prints("<svg");
    let json = project.json(&["graph", "-o", "json"]);
    assert!(json.to_string().contains("\"a\""), "{json}");
}

#[test]
fn artifacts_are_listed_copied_and_printed() {
    let project = Project::new(DEFINITION);
    let _ = project.liminal(&["run"]).exits(0);
    let _ = project.liminal(&["artifacts", "ls"]).exits(0).prints("a.d");
    let _ = project.liminal(&["artifacts", "get", "a.d", "--to", "copy"]).exits(0);
    assert_eq!(project.read("copy/one.txt"), "1\n");
    project.write("copy/one.txt", "changed\n");
    let _ = project.liminal(&["artifacts", "get", "a.d", "--to", "copy"]).exits(1).says("--force");
    let _ = project.liminal(&["artifacts", "get", "a.d", "--to", "copy", "--force"]).exits(0);
    assert_eq!(project.read("copy/one.txt"), "1\n", "the store is not what was changed");
    let _ = project.liminal(&["artifacts", "cat", "a.d"]).exits(1).says("directory");
    let _ = project.liminal(&["artifacts", "cat", "a.x"]).exits(1).says("a.d");
}

#[test]
fn the_state_is_listed_shown_and_unlocked() {
    let project = Project::new(DEFINITION);
    let _ = project.liminal(&["state", "list"]).exits(0);
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    let _ = project.liminal(&["state", "list"]).exits(0).prints("p");
    let state = project.json(&["state", "show", "-o", "json"]);
    let schema = project.json(&["schema", "state"]);
    assert!(jsonschema::validator_for(&schema).expect("a schema").is_valid(&state), "{state}");
    let _ = project.liminal(&["state", "unlock", "--auto-approve"]).exits(0);
}

#[test]
fn doctor_looks_at_tools_project_and_store() {
    let project = Project::new(DEFINITION);
    let _ = project.liminal(&["doctor"]).exits(0).prints("python").prints("git");
}

#[test]
fn completions_are_made_for_every_shell() {
    let project = Project::empty();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let _ = project.liminal(&["completions", shell]).exits(0).prints("liminal");
    }
}

#[test]
fn help_topics_list_exit_codes_and_variables() {
    let project = Project::empty();
    let _ = project.liminal(&["help-topic", "exit-codes"]).exits(0).prints("  64  ");
    let _ = project.liminal(&["help-topic", "environment"]).exits(0).prints("LIMINAL_CACHE_DIR");
}

#[test]
fn colour_comes_only_when_asked_for_off_a_terminal() {
    let project = Project::new(DEFINITION);
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    assert!(!project.ok(&["plan"]).contains('\u{1b}'));
    project.edit("liminal.yml", "[\"true\"]", "[\"false\"]");
    assert!(project.ok(&["plan", "--color", "always"]).contains('\u{1b}'));
    assert!(!project.ok(&["plan"]).contains('\u{1b}'));
}
