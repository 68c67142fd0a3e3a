//! Several environments of one definition: what each has, what differs between commits, and promotion.

use crate::harness::Project;

const DEFINITION: &str = "\
project: demo
extends: base.yml
include: [pipelines/*.yml]
environments:
  staging:
  prod:
    params: {greeting: hallo}
";

fn project() -> Project {
    let project = Project::in_git(DEFINITION);
    project.write("base.yml", "owner: data\nparams: {greeting: hello, loud: false}\n");
    let pipeline = "pipelines:\n  greet:\n    steps:\n      say:\n        run: [sh, say.sh, \"{{ params.greeting }}\", \"{{ outputs.text }}\"]\n        outputs: {text: text.txt}\n        when: params.loud == false\n";
    project.write("pipelines/greet.yml", pipeline);
    project.write("say.sh", "echo \"$1\" > \"$2\"\n");
    project.commit("Start");
    project
}

#[test]
fn every_value_of_a_definition_has_a_place_that_it_comes_from() {
    let project = project();
    insta::assert_snapshot!(project.ok(&["config", "-e", "prod", "--explain"]), @r#"
    KEY                                     VALUE                                  FROM
    owner                                   "data"                                 base.yml:1
    params.greeting.type                    "string"                               base.yml:2
    params.greeting.default                 "hallo"                                liminal.yml:7
    params.loud                             false                                  base.yml:2
    project                                 "demo"                                 liminal.yml:1
    extends                                 "base.yml"                             liminal.yml:2
    include                                 ["pipelines/*.yml"]                    liminal.yml:3
    pipelines.greet.steps.say.run           ["sh", "say.sh", "{{ params.greeting…  pipelines/greet.yml:5
    pipelines.greet.steps.say.outputs.text  "text.txt"                             pipelines/greet.yml:6
    pipelines.greet.steps.say.when          "params.loud == false"                 pipelines/greet.yml:7
    "#);
    let values = project.json(&["config", "-e", "staging", "-o", "json"]);
    let greeting = values.as_array().expect("a list").iter().find(|value| value["path"] == "params.greeting");
    assert_eq!(greeting.expect("a greeting")["file"], "base.yml");
    let _ = project.liminal(&["config", "-e", "prodd"]).exits(1).says("did you mean `prod`?");
}

#[test]
fn two_revisions_are_compared_field_by_field() {
    let project = project();
    project.edit("say.sh", "echo", "printf '%s\\n'");
    project.edit("base.yml", "greeting: hello", "greeting: ahoy");
    project.commit("Change both");
    let text = project.ok(&["diff", "HEAD~1", "HEAD", "-e", "staging"]);
    assert!(text.contains("~ greet") && text.contains("code/say.sh"), "{text}");
    assert!(text.contains("hello") && text.contains("ahoy"), "{text}");
    let text = project.ok(&["diff", "HEAD~1", "HEAD~1"]);
    assert_eq!(text, "No difference: 1 pipeline the same.\n");
    let _ = project.liminal(&["diff", "HEAD", "--upload-pack=x"]).exits(64);
    let _ = project.liminal(&["diff", "HEAD", "nowhere"]).exits(1).says("nowhere");
}

#[test]
fn what_was_applied_to_one_environment_is_promoted_to_another_without_building_it_again() {
    let project = project();
    let promote = ["promote", "staging", "prod", "--auto-approve"];
    let _ = project.liminal(&promote).exits(1).says("no commit to promote");
    let _ = project.liminal(&["apply", "-e", "staging", "--rev", "HEAD", "--auto-approve"]).exits(0);
    let commit = project.git(&["rev-parse", "HEAD"]);
    project.edit("say.sh", "echo", "printf '%s\\n'");
    project.commit("Go on");
    let _ = project.liminal(&promote).exits(0).says("1 package copied").prints("Applied");
    let state = project.json(&["state", "show", "-o", "json", "-e", "prod"]);
    assert_eq!(state["applied"]["commit"], commit.as_str(), "the commit of staging, not the newest one");
    let package = |environment: &str| {
        let folder = project.join(&format!(".liminal/{environment}/objects/packages"));
        let mut files: Vec<_> =
            std::fs::read_dir(folder).expect("packages").flatten().map(|it| it.file_name()).collect();
        files.sort();
        files
    };
    assert_eq!(package("staging"), package("prod"));
    let _ = project.liminal(&["run", "--live", "-e", "prod"]).exits(0);
    let _ = project.liminal(&["artifacts", "cat", "say.text", "-e", "prod"]).exits(0).prints("hallo");

    let _ = project.liminal(&["apply", "-e", "staging", "--rev", "HEAD", "--auto-approve"]).exits(0);
    let _ = project.liminal(&["rollback", "-e", "staging", "--auto-approve"]).exits(0);
    let _ = project.liminal(&promote).exits(3).says("was rolled back");
}
