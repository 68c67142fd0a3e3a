//! Canaries: a part of the runs goes to what is new, until somebody promotes it or its runs take it off.

use liminal_emulators::shared_ministack;
use liminal_schemas::canary::Canary;
use liminal_schemas::name::RunId;
use liminal_schemas::state::LivePointer;

use crate::aws::definition;
use crate::aws::with_bucket;
use crate::harness::Project;

const DEFINITION: &str = "\
project: demo
params: {greeting: hello}
pipelines:
  greet:
    steps:
      say:
        run: [sh, say.sh, \"{{ params.greeting }}\", \"{{ outputs.text }}\", \"{{ outputs.metrics }}\"]
        outputs: {text: text.txt}
        metrics: m.json
      good:
        gate: metrics.say.quality > 0
";

const SAY: &str = "echo \"$1\" > \"$2\"; echo '{\"quality\": 1}' > \"$3\"\n";

fn project() -> Project {
    let project = Project::in_git(DEFINITION);
    project.write("say.sh", SAY);
    project.commit("Start");
    let _ = project.liminal(&["apply", "-y"]).exits(0);
    project
}

fn pointer(project: &Project) -> LivePointer {
    serde_json::from_str(&project.read(".liminal/local/objects/live/greet.json")).expect("a live pointer")
}

fn live(project: &Project) -> String {
    let state = project.json(&["state", "show", "-o", "json"]);
    state["pipelines"]["greet"]["live"].as_str().expect("a revision").to_owned()
}

/// The newest run and the release that it went to.
fn newest_run(project: &Project) -> (String, String, bool) {
    let runs = project.json(&["runs", "-o", "json", "-n", "1"]);
    let text = |field: &str| runs[0][field].as_str().expect("a text").to_owned();
    (text("run"), text("revision"), runs[0]["canary"].as_bool().expect("a flag"))
}

#[test]
fn a_canary_takes_the_runs_that_their_ids_choose_until_it_is_promoted() {
    let project = project();
    let before = live(&project);
    project.edit("liminal.yml", "greeting: hello", "greeting: ahoy");
    project.commit("Say ahoy");
    let _ = project.liminal(&["plan", "--canary", "40%"]).exits(0).prints("canary for 40% of the runs");
    let _ = project.liminal(&["apply", "--canary", "40%", "-y"]).exits(0).prints("greet gives 40% of its runs to");
    assert_eq!(live(&project), before, "what is live is as it was");
    let again = project.liminal(&["apply", "--canary", "40%", "-y"]).exits(0).stdout;
    assert!(again.contains("No changes") && again.contains("goes on, with 40% of the runs"), "{again}");
    let canary = pointer(&project).canary.expect("on trial");
    let mut taken = 0;
    for _ in 0..16 {
        let _ = project.liminal(&["run", "--live"]).exits(0);
        let (run, revision, is_canary) = newest_run(&project);
        let is_meant = canary.takes(&RunId::new(run.clone()).expect("an id"));
        assert_eq!(is_canary, is_meant, "{run}");
        assert_eq!(revision, if is_meant { canary.revision.hex() } else { before.clone() }, "{run}");
        taken += usize::from(is_meant);
    }
    let status = project.liminal(&["status"]).exits(0).stderr;
    assert!(status.contains(&format!("gives 40% of its runs to {}", canary.revision.short())), "{status}");
    assert!(status.contains(&format!("{taken} succeeded, 0 failed")), "{status}");
    let _ = project.liminal(&["promote", "-y"]).exits(0).prints("Promoted").prints("greet is live as");
    assert_eq!((live(&project), pointer(&project).canary), (canary.revision.hex(), None));
    let _ = project.liminal(&["plan", "--detailed-exitcode"]).exits(0);
    let _ = project.liminal(&["promote", "-y"]).exits(1).says("no pipeline has a canary").says("--canary");
    let history = project.ok(&["history"]);
    assert!(history.contains("promote") && history.contains("canary 40%"), "{history}");
    let _ = project.liminal(&["rollback", "-y"]).exits(0);
    assert_eq!(live(&project), before);
}

#[test]
fn a_rejected_gate_takes_a_canary_off_and_no_commit_makes_it_live_by_itself() {
    let project = project();
    let before = live(&project);
    project.write("say.sh", SAY.replace("\"quality\": 1", "\"quality\": 0"));
    project.commit("Say it worse");
    let _ = project.liminal(&["apply", "--canary", "100%", "-y"]).exits(0);
    let aborted = project.liminal(&["run", "--live"]).exits(3).stderr;
    assert!(aborted.contains("is aborted: a gate rejected run"), "{aborted}");
    let there = pointer(&project);
    assert_eq!((there.revision.hex(), there.canary), (before.clone(), None));
    let _ = project.liminal(&["run", "--live"]).exits(0);
    let (_, revision, is_canary) = newest_run(&project);
    assert_eq!((revision, is_canary), (before.clone(), false));
    let _ = project.liminal(&["status"]).exits(0).says("Aborted: the canary").says("a gate rejected run");
    let _ = project.liminal(&["history"]).exits(0).prints("aborted");

    // A commit about something else has the bad release too.
    project.edit("liminal.yml", "pipelines:\n", "pipelines:\n  other: {steps: {s: {run: [\"true\"]}}}\n");
    project.commit("Something else");
    let _ = project.liminal(&["apply", "-y"]).exits(0).prints("greet stays at").prints("other is live as");
    assert_eq!(live(&project), before);
    let _ = project.liminal(&["apply", "-y"]).exits(0).prints("No changes");
    let _ = project.liminal(&["apply", "-y", "--allow-aborted"]).exits(0).prints("greet is live as");
    assert_ne!(live(&project), before);
    let _ = project.liminal(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn failures_beyond_what_is_tolerated_take_a_canary_off() {
    let project = project();
    let before = live(&project);
    project.write("say.sh", "exit 3\n");
    let _ = project.liminal(&["apply", "--canary", "100%", "-y"]).exits(0);
    let first = project.liminal(&["run", "--live"]).exits(7).stderr;
    assert!(!first.contains("aborted"), "one failure may be chance: {first}");
    let _ = project.liminal(&["run", "--live"]).exits(7).says("2 of 2 runs failed, which is more than 10%");
    assert_eq!((live(&project), pointer(&project).canary), (before, None));
    let _ = project.liminal(&["apply", "--canary", "100%", "--tolerated-failures", "0%", "-y"]).exits(0);
    assert_eq!(pointer(&project).aborted, None, "somebody tries it again");
    let _ = project.liminal(&["run", "--live"]).exits(7).says("1 of 1 runs failed");
}

#[test]
fn a_canary_comes_off_by_hand_by_another_apply_and_by_a_rollback() {
    let project = project();
    let before = live(&project);
    let tries = |greeting: &str| -> Option<Canary> {
        let text = DEFINITION.replace("greeting: hello", &format!("greeting: {greeting}"));
        project.write("liminal.yml", text);
        let _ = project.liminal(&["apply", "--canary", "5%", "-y"]).exits(0);
        pointer(&project).canary
    };
    let first = tries("one").expect("on trial");
    let _ = project.liminal(&["abort"]).exits(1).says("--auto-approve");
    let _ = project.liminal(&["abort", "-y", "--reason", "it looks odd"]).exits(0).prints("tries");
    let there = pointer(&project);
    assert_eq!((there.canary, there.aborted.map(|it| it.reason)), (None, Some("tester said: it looks odd".to_owned())));
    let _ = project.liminal(&["apply", "-y"]).exits(0).prints("greet stays at").prints("it looks odd");

    let second = tries("two").expect("on trial");
    assert_ne!(first.revision, second.revision);
    let third = tries("three").expect("on trial");
    assert_ne!(second.revision, third.revision, "a canary makes way for another");
    project.write("liminal.yml", DEFINITION);
    let _ = project.liminal(&["apply", "-y"]).exits(0).prints("ends: the definition has what is live");
    assert_eq!((live(&project), pointer(&project).canary), (before, None));

    project.write("liminal.yml", DEFINITION.replace("greeting: hello", "greeting: four"));
    let _ = project.liminal(&["apply", "-y"]).exits(0);
    assert!(tries("five").is_some());
    let _ = project.liminal(&["rollback", "-y"]).exits(0);
    assert_eq!(pointer(&project).canary, None);
    for share in ["10", "101%", "ten"] {
        let _ = project.liminal(&["apply", "--canary", share, "-y"]).exits(64).says("percentage");
    }
}

#[test]
fn a_canary_on_aws_has_functions_of_its_own_and_is_taken_off_by_the_starter() {
    let emulator = shared_ministack();
    let steps = "  p:\n    triggers: [{object: {prefix: in/}}]\n    steps:\n      say: {run: [sh, -c, 'echo v1']}\n";
    let project = with_bucket(Project::new(&definition("demo-canary", steps)), emulator, "demo-canary");
    let on = |args: &[&str]| project.liminal(&[args, &["-e", "dev"]].concat());
    let _ = on(&["apply", "-y"]).exits(0);
    project.edit("liminal.yml", "echo v1", "echo v2; exit 1");
    let _ = on(&["apply", "-y", "--canary", "100%", "--tolerated-failures", "0%"]).exits(0).prints("100%");
    let _ = on(&["plan", "--canary", "100%", "--tolerated-failures", "0%", "--detailed-exitcode"]).exits(0);
    let _ = on(&["run", "--detach"]).exits(0).says("is given to the canary");
    let start = std::time::Instant::now();
    loop {
        // The sweeper counts by itself within a minute; a run that starts counts at once.
        let _ = on(&["run", "--detach"]).exits(0);
        let said = on(&["status"]).stderr;
        if said.contains("Aborted: the canary") {
            break;
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(120), "{said}");
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    let _ = on(&["run", "--no-cache"]).exits(0);
    let text = on(&["logs"]).exits(0).stdout;
    assert!(text.contains("v1"), "{text}");
    let _ = on(&["apply", "-y"]).exits(0).prints("p stays at");
}

#[test]
fn the_definition_says_how_canaries_are_and_the_flags_go_before_it() {
    let project = project();
    let environments =
        "environments:\n  local: {canary: {share: 20%, tolerated_failures: 0.5%}}\n  other: {}\npipelines:";
    let _ = project.liminal(&["plan", "--canary"]).exits(64).says("--canary 10%").says("canary: {share: 10%}");
    project.edit("liminal.yml", "pipelines:", environments);
    project.edit("liminal.yml", "greeting: hello", "greeting: ahoy");
    project.commit("Say ahoy");
    let _ = project.liminal(&["plan", "--canary", "-e", "other"]).exits(64).says("--canary 10%");
    let _ = project.liminal(&["apply", "--canary", "-y"]).exits(0).prints("greet gives 20% of its runs to");
    let limits = |project: &Project| {
        let canary = pointer(project).canary.expect("on trial");
        (canary.share.to_string(), canary.tolerated.to_string())
    };
    assert_eq!(limits(&project), ("20%".to_owned(), "0.5%".to_owned()));
    let _ = project.liminal(&["apply", "--canary", "30%", "--tolerated-failures", "2%", "-y"]).exits(0);
    assert_eq!(limits(&project), ("30%".to_owned(), "2%".to_owned()));
    let _ = project.liminal(&["apply", "-y"]).exits(0);
    assert_eq!(pointer(&project).canary, None, "an apply that asks for no canary begins none");

    for (wrong, said) in [
        ("share: 20", "write the sign too"),
        ("share: 101%", "from 0% to 100%"),
        ("share: ten", "from 0% to 100%"),
        ("shares: 10%", "did you mean `share`"),
    ] {
        let text = project.read("liminal.yml").replace("share: 20%", wrong);
        let place = Project::new(&text);
        place.write("say.sh", SAY);
        let _ = place.liminal(&["validate"]).exits(1).says(said);
    }
}
