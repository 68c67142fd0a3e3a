//! A push deploys: the hooks of a bare repository.

use super::world::World;

#[test]
fn a_push_shows_the_plan_and_what_came_of_it() {
    let world = World::with_hook(&[]);
    let pushed = world.push("main").exits(0);
    insta::assert_snapshot!(world.plain(&pushed.stderr), @"
    remote: staging: commit [ID] is taken up, since no commit was applied before
    remote: Plan for demo, environment staging, from commit [ID]
    remote:
    remote: + greet  new, 1 step, [ID]
    remote:     + say  run sh say.sh {{ params.greeting }} {{ outputs.text }}
    remote:
    remote:     The next run: all 1 step, for the first time
    remote:
    remote: Resources
    remote:   + package [ID] (1 file for say)
    remote:
    remote: Plan: 1 to create, 0 to update, 0 to delete.
    remote: Applied: 3 operations; greet is live as [ID].
    ");
    assert_eq!(world.applied(), world.clone.git(&["rev-parse", "HEAD"]));
    assert_eq!(world.history(), ["apply by hook"]);
    let status = world.liminal(&["status", "-e", "staging"]);
    insta::assert_snapshot!(world.plain(status.stderr.lines().next().unwrap_or_default()), @"Applied: commit [ID], just now by tester (hook)");
    let _ = world.liminal(&["run", "--live", "-e", "staging"]).exits(0);
    let _ = world.liminal(&["artifacts", "cat", "say.text", "-e", "staging"]).exits(0).prints("hello");
}

#[test]
fn a_broken_definition_is_told_with_its_place_and_leaves_what_is_live() {
    let world = World::with_hook(&[]);
    let _ = world.push("main").exits(0);
    let (live, good) = (world.live(), world.applied());

    world.clone.edit("liminal.yml", "outputs: {text", "output: {text");
    let broken = world.clone.commit("Break the definition");
    let pushed = world.push("main").exits(0);
    insta::assert_snapshot!(world.plain(&pushed.stderr), @r#"
    remote: staging: commit [ID] is taken up, since it comes after the applied commit
    remote: error[L0301]: step say has no output `text`
    remote:   --> liminal.yml:10:52
    remote:    |
    remote: 10 |         run: [sh, say.sh, "{{ params.greeting }}", "{{ outputs.text }}"]
    remote:    |                                                    ^^^^^^^^^^^^^^^^^^^^
    remote:    |
    remote:    = help: step say declares no outputs
    remote:
    remote: error[L0201]: a step has no key `output`
    remote:   --> liminal.yml:11:9
    remote:    |
    remote: 11 |         output: {text: text.txt}
    remote:    |         ^^^^^^ did you mean `outputs`?
    remote:    |
    remote:    = help: known keys: phase, description, run, call, gate, register, pipeline, params, code, inputs, outputs, metrics, plots, map, after, when, retries, timeout, resources, compute, image, cache, env, python
    remote:
    remote: 2 errors in liminal.yml
    remote: for more: liminal explain L0201 (also L0301)
    remote: error: staging does not take commit [ID]: its definition is broken
    remote:    hint: what is live stays as it is; push a commit that mends the definition
    "#);
    assert_eq!((world.live(), world.applied()), (live.clone(), good));
    let status = world.liminal(&["status", "-e", "staging"]);
    assert!(status.stderr.contains(&format!("In quarantine: commit {}", &broken[..8])), "{}", status.stderr);

    world.clone.edit("liminal.yml", "output: {text", "outputs: {text");
    world.greet("hello", "ahoy");
    let _ = world.push("main").exits(0).says("Applied");
    assert_ne!(world.live(), live);
    let status = world.liminal(&["status", "-e", "staging"]);
    assert!(!status.stderr.contains("In quarantine"), "{}", status.stderr);
}

#[test]
fn an_empty_definition_never_means_that_everything_is_removed() {
    let world = World::with_hook(&[]);
    let _ = world.push("main").exits(0);
    let live = world.live();
    for definition in ["project: demo\nenvironments: {staging: {branch: main}}\npipelines: {}\n", ""] {
        world.clone.write("liminal.yml", definition);
        world.clone.commit("Empty it");
        let pushed = world.push("main").exits(0);
        assert!(pushed.stderr.contains("is broken"), "{}", pushed.stderr);
        assert_eq!(world.live(), live);
    }
    world.clone.git(&["rm", "-q", "liminal.yml"]);
    world.clone.commit("Remove it");
    let _ = world.push("main").exits(0).says("liminal.yml does not exist");
    assert_eq!(world.live(), live);
}

#[test]
fn a_commit_that_changes_nothing_is_recorded_and_makes_no_history() {
    let world = World::with_hook(&[]);
    let _ = world.push("main").exits(0);
    let live = world.live();
    world.clone.write("README.md", "Nothing of the pipeline.\n");
    let commit = world.clone.commit("Explain");
    let _ = world.push("main").exits(0).says("changes nothing");
    assert_eq!((world.applied(), world.live()), (commit, live));
    assert_eq!(world.history(), ["apply by hook"]);
}

#[test]
fn a_rewritten_branch_is_refused_unless_it_is_forced() {
    let world = World::with_hook(&[]);
    let _ = world.push("main").exits(0);
    let first = world.applied();
    let second = world.greet("hello", "ahoy");
    let _ = world.push("main").exits(0);

    world.clone.git(&["reset", "-q", "--hard", &first]);
    let pushed = world.clone.try_git(&["push", "-q", "-f", "origin", "main"]).exits(0);
    assert!(pushed.stderr.contains("it is older than the applied commit"), "{}", pushed.stderr);
    assert_eq!(world.applied(), second);

    let third = world.greet("hello", "salut");
    let _ = world.push("main").exits(0).says("the branch was rewritten");
    assert_eq!(world.applied(), second);

    world.clone.write("note", "x");
    let fourth = world.clone.commit("Go on");
    let pushed = world.clone.try_git(&["push", "-q", "-o", "liminal-force", "origin", "main"]).exits(0);
    assert!(pushed.stderr.contains("it was asked for by force"), "{}", pushed.stderr);
    assert_eq!(world.applied(), fourth);
    assert_ne!(third, fourth);
}

#[test]
fn branches_that_no_environment_follows_and_branches_that_go_touch_nothing() {
    let world = World::with_hook(&[]);
    let _ = world.push("main").exits(0);
    let _ = world.push("main:topic").exits(0).says("no environment follows branch topic");
    let _ = world.push(":topic").exits(0).says("branch topic is gone");
    world.clone.git(&["tag", "v1"]);
    let tag = world.push("v1").exits(0);
    assert_eq!(tag.stderr, "", "tags are nobody's business");
    assert_eq!(world.history(), ["apply by hook"]);
}

#[test]
fn a_branch_can_not_make_an_environment_follow_it() {
    let world = World::with_hook(&[]);
    let _ = world.push("main").exits(0);
    world.clone.git(&["checkout", "-q", "-b", "evil"]);
    world.clone.edit("liminal.yml", "staging: {branch: main}", "staging: {branch: evil}");
    world.greet("hello", "gotcha");
    let _ = world.push("evil").exits(0).says("no environment follows branch evil");
    assert_eq!(world.history(), ["apply by hook"]);
}

#[test]
fn no_branch_decides_where_the_default_branch_was_never_pushed() {
    let world = World::with_hook(&[]);
    world.server().git(&["-C", "repo.git", "symbolic-ref", "HEAD", "refs/heads/master"]);
    for branch in ["main", "main:evil"] {
        let pushed = world.push(branch);
        assert!(pushed.stderr.contains("the default branch master has no commit"), "{}", pushed.stderr);
        assert!(pushed.stderr.contains("symbolic-ref HEAD refs/heads/"), "{}", pushed.stderr);
        assert!(!world.path().join(".liminal").exists(), "nothing was applied");
    }
    // As the hint says.
    world.server().git(&["-C", "repo.git", "symbolic-ref", "HEAD", "refs/heads/main"]);
    world.greet("hello", "ahoy");
    let _ = world.push("main").exits(0).says("Applied");
}

#[test]
fn every_branch_has_its_environments() {
    let world = World::with_hook(&[]);
    let _ = world.push("main").exits(0);
    let commit = world.clone.git(&["rev-parse", "HEAD"]);
    let _ = world.push("main:next").exits(0).says("next: commit");
    let state = world.json(&["state", "show", "-o", "json", "-e", "next"]);
    assert_eq!(state["applied"]["commit"], commit.as_str());
}

#[test]
fn with_pre_receive_a_broken_push_is_refused() {
    let world = World::with_hook(&["--pre-receive"]);
    let _ = world.push("main").exits(0).says("is fine");
    let before = world.applied();
    world.clone.edit("liminal.yml", "outputs: {text", "output: {text");
    world.clone.commit("Break the definition");
    let pushed = world.push("main").exits(1);
    insta::assert_snapshot!(world.plain(&pushed.stderr), @r#"
    remote: error[L0301]: step say has no output `text`
    remote:   --> liminal.yml:10:52
    remote:    |
    remote: 10 |         run: [sh, say.sh, "{{ params.greeting }}", "{{ outputs.text }}"]
    remote:    |                                                    ^^^^^^^^^^^^^^^^^^^^
    remote:    |
    remote:    = help: step say declares no outputs
    remote:
    remote: error[L0201]: a step has no key `output`
    remote:   --> liminal.yml:11:9
    remote:    |
    remote: 11 |         output: {text: text.txt}
    remote:    |         ^^^^^^ did you mean `outputs`?
    remote:    |
    remote:    = help: known keys: phase, description, run, call, gate, register, pipeline, params, code, inputs, outputs, metrics, plots, map, after, when, retries, timeout, resources, compute, image, cache, env, python
    remote:
    remote: 2 errors in liminal.yml
    remote: for more: liminal explain L0201 (also L0301)
    remote: error: staging does not take commit [ID]: its definition is broken
    remote:    hint: what is live stays as it is; push a commit that mends the definition
    To [SERVER]/repo.git
     ! [remote rejected] main -> main (pre-receive hook declined)
    error: failed to push some refs to '[SERVER]/repo.git'
    "#);
    assert_eq!(world.clone.git(&["ls-remote", "origin", "refs/heads/main"]).split_whitespace().next(), Some(&*before));
    let quarantined = world.liminal(&["status", "-e", "staging"]);
    assert!(!quarantined.stderr.contains("In quarantine"), "what was never pushed is in no quarantine");
    world.clone.edit("liminal.yml", "output: {text", "outputs: {text");
    let fixed = world.clone.commit("Mend it");
    let _ = world.push("main").exits(0);
    assert_eq!(world.applied(), fixed);
}

#[test]
fn the_hook_is_the_same_text_everywhere_and_leaves_others_alone() {
    let world = World::with_hook(&["--folder", "ml/$(touch canary)"]);
    insta::assert_snapshot!(std::fs::read_to_string(world.path().join("hooks/post-receive")).expect("the hook"), @r#"
    #!/bin/sh
    # Written by `liminal gitops install-hook`, which writes it again.
    program=$(git config --get liminal.program) || program=liminal
    # Git's own variables are for programs that work on this repository, which installers of packages do not.
    unset $(git rev-parse --local-env-vars)
    exec "$program" gitops receive post-receive
    "#);
    let hook = world.path().join("hooks/pre-receive");
    std::fs::write(&hook, "#!/bin/sh\nexit 0\n").expect("a hook is written");
    let again = ["gitops", "install-hook", "repo.git", "--pre-receive"];
    let _ = world.server().liminal(&again).exits(1).says("is not liminal's");
    assert_eq!(std::fs::read_to_string(&hook).expect("the hook"), "#!/bin/sh\nexit 0\n");
    let clone = world.clone.path().display().to_string();
    let _ = world.server().liminal(&["gitops", "install-hook", &clone]).exits(64).says("no bare git repository");
    let _ = world.server().liminal(&["gitops", "install-hook", "repo.git", "--folder", "../up"]).exits(64);
}

#[test]
fn a_project_may_lie_in_a_folder_of_the_repository() {
    let world = World::with_hook(&["--folder", "ml/demo"]);
    std::fs::create_dir_all(world.clone.join("ml/demo")).expect("a folder");
    world.clone.git(&["mv", "liminal.yml", "say.sh", "ml/demo"]);
    let commit = world.clone.commit("Move into a folder");
    let _ = world.push("main").exits(0).says("Applied");
    assert_eq!(world.applied(), commit);
}

#[test]
fn what_the_hook_reads_must_come_from_git() {
    let world = World::with_hook(&[]);
    let id = "1111111111111111111111111111111111111111";
    for (text, says) in [
        ("nonsense\n".to_owned(), "is not of the form OLD NEW REF"),
        (format!("{id} {id} refs/heads/main\n"), "can not be read"),
    ] {
        let path = world.path().display().to_string();
        let mut command = world.server().command(&["-C", &path, "gitops", "receive", "post-receive"]);
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("liminal starts");
        let mut input = child.stdin.take().expect("stdin is piped");
        std::io::Write::write_all(&mut input, text.as_bytes()).expect("the input is taken");
        drop(input);
        let _ = crate::harness::wait(child, &["receive"]).exits(1).says(says);
    }
}

#[test]
fn what_is_deployed_is_verified_from_its_commit() {
    let world = World::with_hook(&[]);
    let _ = world.push("main").exits(0);
    let verified = world.liminal(&["verify", "-e", "staging"]).exits(0);
    insta::assert_snapshot!(world.plain(&verified.stdout), @"
    WHAT              DEPLOYED  FROM THE COMMIT
    release of greet  [ID]  [ID]         same
    package [ID]  [ID]  [ID]         same
    What is deployed is what commit [ID] makes.
    ");
    let packages = world.path().join(".liminal/staging/objects/packages");
    for entry in std::fs::read_dir(packages).expect("packages").flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "zip") {
            std::fs::write(entry.path(), "tampered with").expect("the package is written");
        }
    }
    let _ = world.liminal(&["verify", "-e", "staging"]).exits(1).prints("differs").prints("1 of 2 differ");
}
