//! Rules of a definition over what a plan would do.

use super::world::DEFINITION;
use super::world::World;
use crate::harness::Project;

const POLICIES: &str = "policies:
  memory: {deny: \"steps.exists(s, s.memory_mib > 1024)\", message: steps get 1 GiB at most}
  owned: {warn: \"pipelines.exists(p, p.owner == '')\", message: every pipeline should have an owner}
";

fn definition() -> String {
    DEFINITION.replace("pipelines:\n", &format!("{POLICIES}pipelines:\n"))
}

#[test]
fn a_plan_that_a_policy_denies_is_shown_and_not_carried_out() {
    let project = Project::in_git(&definition());
    project.write("say.sh", "echo \"$1\" > \"$2\"\n");
    project.commit("Start");
    let _ = project.liminal(&["plan"]).exits(0).says("policy owned: every pipeline should have an owner");
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    project.edit(
        "liminal.yml",
        "outputs: {text: text.txt}",
        "outputs: {text: text.txt}\n        resources: {memory: 2GiB}",
    );
    let denied = project.liminal(&["apply", "--auto-approve"]).exits(3).prints("~ greet");
    insta::assert_snapshot!(denied.stderr, @"
    warning: policy owned: every pipeline should have an owner
    error: the plan for local is denied by policy memory
       hint: memory: steps get 1 GiB at most
       hint: policies stand under `policies:` of the definition
    ");
    let _ = project.liminal(&["plan", "--detailed-exitcode"]).exits(3).says("policy memory");
    let _ = project.liminal(&["state", "show"]).exits(0);
}

#[test]
fn a_push_that_a_policy_denies_leaves_what_is_live() {
    let world = World::new(&definition());
    let _ = world.server().liminal(&["gitops", "install-hook", "repo.git"]).exits(0);
    let _ = world.push("main").exits(0);
    let live = world.live();
    world.clone.edit(
        "liminal.yml",
        "outputs: {text: text.txt}",
        "outputs: {text: text.txt}\n        resources: {memory: 2GiB}",
    );
    world.clone.commit("Take more memory");
    let _ = world.push("main").exits(0).says("is denied by policy memory");
    assert_eq!(world.live(), live);
    let status = world.liminal(&["status", "-e", "staging"]);
    assert!(status.stderr.contains("In quarantine") && status.stderr.contains("policy memory"), "{}", status.stderr);
}

#[test]
fn rules_that_make_no_sense_are_told_with_their_place() {
    let broken = "policies:\n  one: {deny: \"steps.exists(\"}\n  two: {deny: \"true\", warn: \"true\"}\n  three: {allow: \"true\"}\n";
    let project = Project::in_git(&DEFINITION.replace("pipelines:\n", &format!("{broken}pipelines:\n")));
    project.write("say.sh", "");
    insta::assert_snapshot!(project.liminal(&["validate"]).exits(1).stderr, @r#"
    error[L0401]: the rule of policy `one` can not be read: it ends too early
     --> liminal.yml:7:15
      |
    7 |   one: {deny: "steps.exists("}
      |               ^^^^^^^^^^^^^^^
      |
      = help: rules ask about project, environment, pipelines, steps, permissions

    error[L0202]: the policy `two` needs either `deny` or `warn`
     --> liminal.yml:8:3
      |
    8 |   two: {deny: "true", warn: "true"}
      |   ^^^
      |
      = help: write the rule that must not hold: `deny: steps.exists(s, s.memory_mib > 8192)`

    error[L0202]: the policy `three` needs either `deny` or `warn`
     --> liminal.yml:9:3
      |
    9 |   three: {allow: "true"}
      |   ^^^^^
      |
      = help: write the rule that must not hold: `deny: steps.exists(s, s.memory_mib > 8192)`

    error[L0201]: a policy has no key `allow`
     --> liminal.yml:9:11
      |
    9 |   three: {allow: "true"}
      |           ^^^^^
      |
      = help: known keys: deny, warn, message

    4 errors in liminal.yml
    for more: liminal explain L0201 (also L0202, L0401)
    "#);
    let project =
        Project::in_git(&DEFINITION.replace("pipelines:\n", "policies: {one: {deny: \"nothing > 1\"}}\npipelines:\n"));
    project.write("say.sh", "");
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(3).says("can not be evaluated");
}
