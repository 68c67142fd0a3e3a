//! The agent and an environment on AWS, against an emulator that carries functions out.

use liminal_emulators::shared_ministack;
use liminal_emulators::tools;

use super::world::World;
use crate::aws::with_bucket;
use crate::harness::Project;

const DEFINITION: &str = "\
project: demo-drift
environments:
  staging: {branch: main, platform: aws, region: eu-central-1, bucket: demo-drift}
pipelines:
  p:
    steps:
      say:
        run: [sh, -c, 'echo hello > \"$1\"', sh, \"{{ outputs.text }}\"]
        outputs: {text: text.txt}
";

#[test]
fn what_is_changed_behind_the_agents_back_is_told_field_by_field_and_healed() {
    let emulator = shared_ministack();
    let world = World::new(DEFINITION);
    let _ = world.push("main").exits(0);
    let place = with_bucket(Project::empty(), emulator, "demo-drift");
    let remote = world.path().display().to_string();
    let agent = |drift: &str| {
        place.liminal(&["gitops", "agent", "--once", "--home", "home", "--remote", &remote, "--drift", drift])
    };
    let on = |args: &[&str]| place.liminal(&[&["-C", "home"], args, &["-e", "staging"]].concat());
    let _ = agent("heal").exits(0).prints("Applied");
    let _ = on(&["drift", "--detailed-exitcode"]).exits(0).prints("No drift");
    let _ = on(&["verify"]).exits(0).prints("What is deployed is what commit");

    let aws = |args: &[&str]| {
        let output = tools().aws(emulator).args(args).output().expect("the AWS CLI runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let query = "Functions[?contains(FunctionName, 'demo-drift') && contains(FunctionName, 'say')].FunctionName | [0]";
    let function = aws(&["lambda", "list-functions", "--query", query, "--output", "text"]);
    aws(&["lambda", "update-function-configuration", "--function-name", &function, "--memory-size", "3008"]);
    let query = "QueueUrls[?contains(@, 'demo-drift') && contains(@, 'say')] | [0]";
    let queue = aws(&["sqs", "list-queues", "--query", query, "--output", "text"]);
    aws(&["sqs", "delete-queue", "--queue-url", &queue]);

    let told = on(&["drift", "--detailed-exitcode"]).exits(2).stdout;
    assert!(told.contains("memory") && told.contains("3008 is there"), "{told}");
    assert!(told.contains("(of p/say)") && told.contains("it is gone"), "{told}");
    let _ = on(&["verify"]).exits(1).prints("changed since");
    let _ = agent("report").exits(0).prints("3008 is there");
    let _ = on(&["drift", "--detailed-exitcode"]).exits(2);
    let _ = agent("heal").exits(0).prints("Healed");
    let _ = on(&["drift", "--detailed-exitcode"]).exits(0).prints("No drift");
    let _ = on(&["verify"]).exits(0);
    let _ = on(&["run", "--live"]).exits(0).prints("succeeded");
    let _ = on(&["history"]).exits(0).prints("heal");
}
