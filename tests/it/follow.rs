//! Pipelines that start when another one has ended, here and on AWS.

use std::time::Duration;

use liminal_emulators::shared_ministack;
use liminal_emulators::tools;

use crate::aws;
use crate::dev::Dev;
use crate::harness::Project;

const PIPELINES: &str = "  \
  train:
    steps:
      fit: {run: [sh, -c, 'echo trained > \"$1\"', sh, \"{{ outputs.m }}\"], outputs: {m: m.txt}}
      register: {register: {model: toy, artifact: fit.m, aliases: [champion]}}
  score:
    params: {of: {type: string, default: nobody}}
    triggers: [{finished: train, params: {of: finished.run}}]
    steps:
      use:
        run: [sh, -c, 'echo \"after $1\"; cat \"$2\" > \"$3\"', sh, \"{{ params.of }}\", \"{{ inputs.m }}\", \"{{ outputs.o }}\"]
        inputs: {m: models.toy@champion}
        outputs: {o: o.txt}
  mend:
    triggers: [{finished: train, result: failed}]
    steps: {s: {run: [\"true\"]}}
";

fn runs(project: &Project, pipeline: &str, environment: &[&str]) -> Vec<String> {
    let listed = project.json(&[&["runs", "-o", "json"][..], environment].concat());
    let of_pipeline = listed.as_array().expect("a list").iter().filter(|run| run["pipeline"] == pipeline);
    of_pipeline.filter_map(|run| run["run"].as_str().map(str::to_owned)).collect()
}

#[test]
fn the_end_of_a_run_starts_another_while_dev_runs() {
    let project = Project::new(&format!("project: follow\npipelines:\n{PIPELINES}"));
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    let _ = project.liminal(&["run", "train", "--live"]).exits(0);
    assert!(runs(&project, "score", &[]).is_empty(), "nobody is there to start it");
    let _ = project.liminal(&["run", "train"]).exits(0).says("Waits for ends of train: mend, score");
    let dev = Dev::start(&project, &[]);
    let _ = dev.says("3 pipelines live").contains("ends of 1 pipeline are waited for");
    let _ = project.liminal(&["run", "train", "--live"]).exits(0);
    let train = runs(&project, "train", &[]).remove(0);
    let begins = dev.says(" of score begins");
    assert!(begins.contains(&format!("(end of run {train} of train)")), "{begins}");
    let _ = dev.says(" of score succeeded");
    let (code, _) = dev.interrupt();
    assert_eq!(code, Some(0));
    assert_eq!((runs(&project, "score", &[]).len(), runs(&project, "mend", &[]).len()), (1, 0));
    let score = runs(&project, "score", &[]).remove(0);
    let _ = project.liminal(&["logs", &score, "use"]).exits(0).prints(&format!("after {train}"));
    // From now on runs close themselves again.
    let _ = project.liminal(&["run", "train", "--live", "--no-cache"]).exits(0);
    assert!(!project.join(".liminal/local/objects/open/train").read_dir().is_ok_and(|mut left| left.next().is_some()));
}

#[test]
fn the_end_of_a_run_starts_another_on_aws() {
    let emulator = shared_ministack();
    let project = Project::in_git(&aws::definition("demo-follow", PIPELINES));
    let project = aws::with_bucket(project, emulator, "demo-follow");
    let _ = project.commit("first");
    let dev = &["-e", "dev"][..];
    let _ = project.liminal(&["apply", "-y", "-e", "dev"]).exits(0);
    let queues = tools()
        .aws(emulator)
        .args([
            "sqs",
            "list-queues",
            "--queue-name-prefix",
            "liminal-demo-follow-dev-triggers",
            "--output",
            "text",
            "--query",
            "QueueUrls[]",
        ])
        .output();
    let queues = String::from_utf8(queues.expect("the AWS CLI runs").stdout).expect("text");
    let queue = queues.split_whitespace().find(|url| !url.ends_with("-dlq")).expect("the trigger queue").to_owned();
    // What the schedule of the sweeper sends each minute.
    let sweep = || {
        let sent = tools()
            .aws(emulator)
            .args(["sqs", "send-message", "--queue-url", &queue, "--message-body", r#"{"liminal":"sweep"}"#])
            .output();
        assert!(sent.expect("the AWS CLI runs").status.success());
        std::thread::sleep(Duration::from_secs(2));
    };
    let noted = || {
        let listed = tools().aws(emulator).args(["s3", "ls", "s3://demo-follow/demo-follow/dev/listeners/"]).output();
        String::from_utf8_lossy(&listed.expect("the AWS CLI runs").stdout).contains("train")
    };
    while !noted() {
        sweep();
    }
    let _ = project.liminal(&["run", "train", "-e", "dev"]).exits(0);
    let train = runs(&project, "train", dev).pop().expect("a run");
    let score = loop {
        sweep();
        if let Some(run) = runs(&project, "score", dev).pop() {
            break run;
        }
    };
    let _ = project.liminal(&["logs", "-f", &score, "-e", "dev"]).prints(&format!("after {train}"));
    for _ in 0..2 {
        sweep();
    }
    assert_eq!((runs(&project, "score", dev).len(), runs(&project, "mend", dev).len()), (1, 0));
    let _ = project.liminal(&["destroy", "-y", "--allow-destroy", "-e", "dev"]);
}
