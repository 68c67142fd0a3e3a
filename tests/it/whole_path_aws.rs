//! The whole path of a project on emulated AWS, as one goes along it: an account made ready, plans and applies, runs that
//! objects and schedules start while nobody calls, a change, a rollback, and the end.

use std::time::Duration;
use std::time::Instant;

use liminal_emulators::Emulator;
use liminal_emulators::shared_ministack;
use serde_json::Value;
use serde_json::json;

use crate::aws::aws;
use crate::aws::inventory;
use crate::aws::outputs;
use crate::aws::python_of_emulator;
use crate::aws::with_aws;
use crate::harness::Project;

const NAME: &str = "demo-path";

/// How long something may take that comes: a schedule of one minute above all.
const PATIENCE: Duration = Duration::from_secs(180);

fn definition(version: &str) -> String {
    format!(
        r#"project: {NAME}
params: {{factor: 2}}
environments:
  dev: {{platform: aws, region: eu-central-1, bucket: {NAME}, python: {{version: "{version}"}}}}
pipelines:
  p:
    triggers:
      - object: {{prefix: in/, suffix: .csv}}
    steps:
      double: {{call: "double:double", inputs: {{data: trigger.object, factor: params.factor}}, outputs: {{out: b.csv}}}}
      count: {{call: "count:count", inputs: {{data: double.out}}, outputs: {{counts: counts}}, metrics: m.json}}
      enough: {{gate: metrics.count.rows >= 6}}
  clock:
    triggers:
      - schedule: rate(1 minute)
    steps:
      tick: {{run: [echo, ticked]}}
"#
    )
}

/// The runs of a pipeline, oldest first.
fn runs(project: &Project, pipeline: &str) -> Vec<String> {
    let runs = project.json(&["runs", "-o", "json", "-n", "0", "-e", "dev"]);
    let of_pipeline = |run: &&Value| run["pipeline"] == pipeline;
    let id = |run: &Value| run["run"].as_str().expect("a run id").to_owned();
    let mut ids: Vec<String> = runs.as_array().expect("a list").iter().filter(of_pipeline).map(id).collect();
    ids.sort();
    ids
}

/// Waits until a pipeline has so many runs, and for the end of the last one.
fn ended(project: &Project, pipeline: &str, count: usize) -> Value {
    let start = Instant::now();
    let run = loop {
        if let Some(run) = runs(project, pipeline).get(count - 1) {
            break run.clone();
        }
        assert!(start.elapsed() < PATIENCE, "no run appears; the emulator says:\n{}", shared_ministack().log());
        std::thread::sleep(Duration::from_millis(200));
    };
    let _ = project.liminal(&["logs", "-f", &run, "-e", "dev"]);
    project.json(&["status", &run, "-o", "json", "-e", "dev"])
}

fn put(emulator: &Emulator, project: &Project, name: &str, content: &str) {
    project.write(name, content);
    let (from, to) = (project.path().join(name), format!("s3://{NAME}/in/{name}"));
    let _ = aws(emulator, &["s3", "cp", from.to_str().expect("a path in UTF-8"), &to]);
}

#[test]
fn a_project_goes_the_whole_path_on_aws_with_the_results_that_it_has_here() {
    let emulator = shared_ministack();
    let project = with_aws(Project::in_git(&definition(&python_of_emulator())), emulator);
    project.write("double.py", "def double(data, out, factor: int):\n    out.write_text(data.read_text() * factor)\n");
    project.write(
        "count.py",
        "def count(data, counts):\n    counts.write_text(data.read_text().upper())\n    \
         return {'rows': len(data.read_text().splitlines())}\n",
    );
    let _ = project.commit("first");
    let dev = &["-e", "dev"][..];
    let on = |command: &[&str]| project.liminal(&[command, dev].concat());

    let _ = on(&["bootstrap", "-y"]).exits(0);
    let _ = on(&["plan", "--detailed-exitcode"]).exits(2).prints("+ p").prints("+ clock");
    let _ = on(&["apply", "-y"]).exits(0).prints("Applied");
    let _ = on(&["plan", "--detailed-exitcode"]).exits(0).prints("No changes");

    put(emulator, &project, "rows.csv", "a\nb\nc\n");
    let there = ended(&project, "p", 1);
    let _ = project.liminal(&["run", "p", "--object", "rows.csv"]).exits(0);
    let here = project.json(&["status", "-o", "json"]);
    assert_eq!(there["result"]["status"], "succeeded", "{there}");
    assert_eq!(outputs(&there), outputs(&here), "{there}");

    project.write(
        "double.py",
        "def double(data, out, factor: int):\n    out.write_text(data.read_text() * (factor + 1))\n",
    );
    let _ = project.commit("second");
    let plan = on(&["plan"]).exits(0).prints("~ double").stdout;
    assert!(!plan.contains("~ count") && !plan.contains("clock"), "only what changes is in the plan:\n{plan}");
    let _ = on(&["apply", "-y"]).exits(0);
    put(emulator, &project, "more.csv", "a\nb\nc\n");
    assert_eq!(ended(&project, "p", 2)["commits"]["count"]["metrics"]["rows"], 9.0);
    let _ = on(&["rollback", "p", "-y"]).exits(0).prints("Rolled back");
    put(emulator, &project, "last.csv", "a\nb\nc\nd\n");
    assert_eq!(ended(&project, "p", 3)["commits"]["count"]["metrics"]["rows"], 8.0);

    let ticked = ended(&project, "clock", 1);
    assert_eq!(ticked["result"]["status"], "succeeded", "{ticked}");
    assert_eq!(runs(&project, "p").len(), 3, "each object starts one run");

    let _ = on(&["destroy", "-y"]).exits(0).prints("Destroyed").says("what stays");
    let left = inventory(emulator, NAME, "dev");
    let kinds: Vec<&str> = left.iter().map(|(kind, _)| kind.as_str()).filter(|kind| *kind != "object").collect();
    assert!(kinds.iter().all(|kind| *kind == "logs"), "nothing is left but data and logs: {left:?}");
    let _ = on(&["runs"]).exits(0).prints("succeeded");
}

#[test]
fn what_could_not_start_a_run_is_sent_again_when_somebody_asks() {
    const PROJECT: &str = "demo-undelivered";
    let emulator = shared_ministack();
    let project = with_aws(Project::in_git(&definition(&python_of_emulator()).replace(NAME, PROJECT)), emulator);
    project.write("double.py", "def double(data, out, factor: int):\n    out.write_text(data.read_text() * factor)\n");
    project.write("count.py", "def count(data, counts):\n    counts.write_text('x')\n    return {'rows': 7}\n");
    project.write("rows.csv", "a\nb\n");
    let _ = project.commit("first");
    let dev = &["-e", "dev"][..];
    let on = |command: &[&str]| project.liminal(&[command, dev].concat());
    let _ = on(&["bootstrap", "-y"]).exits(0);
    // It lands before anything listens, and what S3 would have told of it ends in the dead-letter queue.
    let from = project.path().join("rows.csv");
    let from = from.to_str().expect("a path in UTF-8");
    let put = aws(emulator, &["s3api", "put-object", "--bucket", PROJECT, "--key", "in/rows.csv", "--body", from]);
    let put: Value = serde_json::from_str(&put).expect("JSON");
    let object = json!({ "key": "in/rows.csv", "size": 4, "eTag": put["ETag"].as_str().map(|tag| tag.replace('"', "")), "versionId": put["VersionId"] });
    let record = json!({
        "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "eventTime": "2026-11-24T12:00:00.000Z", "awsRegion": "eu-central-1",
        "s3": { "bucket": { "name": PROJECT }, "object": object },
    });
    let _ = on(&["apply", "-y"]).exits(0);
    let _ = on(&["redrive", "--undelivered"]).exits(0).says("Every message was delivered");
    let queues = format!("liminal-{PROJECT}-dev-triggers");
    let urls = aws(emulator, &["sqs", "list-queues", "--queue-name-prefix", &queues]);
    let urls: Value = serde_json::from_str(&urls).expect("JSON");
    let mut urls = urls["QueueUrls"].as_array().expect("a list").iter().filter_map(Value::as_str);
    let dead = urls.find(|url| url.ends_with("-dlq")).expect("there is one");
    let event = json!({ "Records": [record] }).to_string();
    let _ = aws(emulator, &["sqs", "send-message", "--queue-url", dead, "--message-body", &event]);

    let _ = on(&["status"]).exits(0).says("Undelivered: 1 message");
    let _ = on(&["redrive", "--undelivered", "--dry-run"]).exits(0).says("To send again: 1 message");
    let _ = on(&["redrive", "--undelivered"]).exits(0).says("Sent again: 1 message");
    assert_eq!(ended(&project, "p", 1)["result"]["status"], "succeeded");
    let _ = on(&["redrive", "--undelivered"]).exits(0).says("Every message was delivered");
}
