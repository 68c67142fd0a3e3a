//! Environments on AWS, against an emulator that carries functions out: the same commands, the same output.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use liminal_emulators::Emulator;
use liminal_emulators::MiniStack;
use liminal_emulators::shared_ministack;
use liminal_emulators::tools;

use crate::harness::Project;
#[cfg(feature = "failpoints")]
use crate::harness::wait;

/// A definition with an environment on AWS, whose bucket and project are called `bucket`: tests share an account, in which
/// two projects of one name would be one.
pub fn definition(bucket: &str, pipelines: &str) -> String {
    format!(
        "project: {bucket}\nenvironments:\n  dev: {{platform: aws, region: eu-central-1, bucket: {bucket}}}\npipelines:\n{pipelines}"
    )
}

const TWO_STEPS: &str = "  \
  p:
    steps:
      first:
        run: [sh, -c, 'echo made; seq 1 1000 > \"$1\"; echo \"{\\\"n\\\": 1000}\" > \"$2\"', sh, \"{{ outputs.o }}\", \"{{ outputs.metrics }}\"]
        outputs: {o: o.txt}
        metrics: m.json
      second:
        run: [sh, -c, 'mkdir -p \"$2\"; cat \"$1\" \"$1\" > \"$2/whole\"; echo doubled', sh, \"{{ inputs.d }}\", \"{{ outputs.o }}\"]
        inputs: {d: first.o}
        outputs: {o: both/}
      gate:
        gate: metrics.first.n > 5
";

/// The runner that functions get: that of this build, stripped, since every bundle has it in it.
fn runner() -> &'static Path {
    static RUNNER: OnceLock<PathBuf> = OnceLock::new();
    RUNNER.get_or_init(|| {
        let built = Path::new(env!("CARGO_BIN_EXE_liminal")).with_file_name("liminal-runner");
        if !built.exists() {
            let args = ["build", "-p", "liminal-functions", "--bin", "liminal-runner"];
            let status = Command::new(env!("CARGO")).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).status();
            assert!(status.expect("cargo runs").success(), "the runner is built");
        }
        let stripped = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("runner-{}", std::process::id()));
        let status = Command::new("strip").arg("-o").arg(&stripped).arg(&built).status();
        assert!(status.expect("strip runs").success());
        stripped
    })
}

/// A bucket of its own for a test, and the variables by which `liminal` finds it.
pub fn with_bucket(project: Project, emulator: &Emulator, bucket: &str) -> Project {
    let made = tools().aws(emulator).args(["s3", "mb", &format!("s3://{bucket}")]).output().expect("the AWS CLI runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    with_aws(project, emulator)
}

pub fn with_aws(project: Project, emulator: &Emulator) -> Project {
    let project = project.env("LIMINAL_RUNNER", runner().to_str().expect("a path in UTF-8"));
    emulator.env().iter().fold(project, |project, (name, value)| project.env(name, value))
}

/// The AWS CLI.
pub fn aws(emulator: &Emulator, args: &[&str]) -> String {
    let output = tools().aws(emulator).args(args).output().expect("the AWS CLI runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// All that an account holds of an environment, by kind, in a bucket that is called as its project is.
pub fn inventory(emulator: &Emulator, project: &str, environment: &str) -> Vec<(String, String)> {
    let mut command = tools().python(emulator);
    command
        .args(["-c", include_str!("inventory.py")])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("Python starts");
    let asked = format!("{project} {environment} {project}\n");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), asked.as_bytes()).expect("asked");
    let output = child.wait_with_output().expect("Python ends");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn without_credentials_every_command_ends_with_4_and_says_what_to_do() {
    let project = Project::new(&definition("nowhere", TWO_STEPS))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    for command in [&["plan", "-e", "dev"][..], &["status", "-e", "dev"], &["apply", "-y", "-e", "dev"]] {
        let _ = project.liminal(command).exits(4).says("no AWS credentials").says("AWS_PROFILE").says("aws sso login");
    }
}

#[test]
fn without_a_bucket_bootstrap_is_what_to_do() {
    let project = with_aws(Project::new(&definition("demo-not-there", TWO_STEPS)), shared_ministack());
    let _ = project.liminal(&["runs", "-e", "dev"]).exits(1).says("demo-not-there").says("liminal bootstrap -e dev");
}

#[test]
fn bootstrap_ends_with_the_role_of_whoever_it_was_made_for_and_leaves_those_of_others() {
    let emulator = MiniStack::start();
    let project = with_aws(Project::new(&definition("demo-deploy", TWO_STEPS)), &emulator);
    let provider = "arn:aws:iam::000000000000:oidc-provider/token.actions.githubusercontent.com";
    let bootstrap = ["bootstrap", "-y", "-e", "dev", "--oidc-provider", provider, "--oidc-subject"];
    let role = "arn:aws:iam::000000000000:role/liminal-deploy-eu-central-1-";
    for environment in ["staging", "production", "staging"] {
        let subject = format!("repo:shop/models:environment:{environment}");
        let done = project.liminal(&[&bootstrap[..], &[&subject]].concat());
        let _ = done.exits(0).prints(&format!("{subject} deploys as {role}"));
    }
    let roles =
        ["iam", "list-roles", "--output", "text", "--query", "Roles[?starts_with(RoleName, 'liminal-deploy-')].Arn"];
    let roles = aws(&emulator, &roles);
    assert!(roles.split_whitespace().count() == 2 && roles.starts_with(role), "{roles}");
}

#[test]
fn credentials_of_another_account_are_refused_before_anything_is_looked_at() {
    let definition = definition("demo-elsewhere", TWO_STEPS).replace("{platform", "{account: '111122223333', platform");
    let project = with_aws(Project::new(&definition), shared_ministack());
    let _ = project.liminal(&["apply", "-y", "-e", "dev"]).exits(4).says("111122223333").says("000000000000");
}

#[test]
fn an_environment_without_anything_in_it_reads_as_a_local_one_does() {
    let project = Project::new(&definition("demo-empty", TWO_STEPS));
    let project = with_bucket(project, shared_ministack(), "demo-empty");
    for command in [&["runs"][..], &["history"], &["models"], &["state", "list"]] {
        let here = project.ok(command);
        let there = project.ok(&[command, &["-e", "dev"][..]].concat());
        assert_eq!(there, here, "{command:?}");
    }
    let _ = project.liminal(&["run", "-e", "dev"]).exits(1).says("nothing is live in dev").says("liminal apply");
    let _ = project.liminal(&["run", "-e", "dev", "--rev", "main"]).exits(64).says("--rev");
    let _ = project.liminal(&["status", "-e", "dev"]).exits(0).says("There is no run yet");
    let _ = project.liminal(&["doctor", "-e", "dev"]).exits(0).prints("s3://demo-empty in account 000000000000");
}

pub fn outputs(status: &serde_json::Value) -> BTreeMap<String, (String, String)> {
    let commits = status["commits"].as_object().expect("commits");
    let of = |commit: &serde_json::Value| (commit["outputs"].to_string(), commit["metrics"].to_string());
    commits.iter().map(|(step, commit)| (step.clone(), of(commit))).collect()
}

/// Rows of `artifacts ls` without where the objects are.
fn artifacts(project: &Project, env: &[&str]) -> serde_json::Value {
    let mut rows = project.json(&[&["artifacts", "ls", "-o", "json"][..], env].concat());
    for row in rows.as_array_mut().expect("a list") {
        row.as_object_mut().expect("a row").remove("path");
    }
    rows
}

#[test]
fn plan_apply_run_and_all_that_follows_are_the_same_as_here() {
    let emulator = shared_ministack();
    let project = Project::in_git(&definition("demo-whole", TWO_STEPS));
    let project = with_bucket(project, emulator, "demo-whole");
    let _ = project.commit("first");
    let dev = &["-e", "dev"][..];
    let on = |command: &[&str]| project.liminal(&[command, dev].concat());

    let _ = on(&["plan", "--detailed-exitcode"])
        .exits(2)
        .prints("from commit")
        .prints("+ 3 queues")
        .prints("Where steps run")
        .prints("Permissions");
    let _ = on(&["apply", "-y"]).exits(0).prints("Applied");
    let _ = on(&["plan", "--detailed-exitcode"]).exits(0).prints("No changes");

    let _ = on(&["run"]).exits(0).prints("succeeded");
    let _ = project.liminal(&["run"]).exits(0);
    let there = project.json(&["status", "-o", "json", "-e", "dev"]);
    let here = project.json(&["status", "-o", "json"]);
    assert_eq!(outputs(&there), outputs(&here), "{there}");
    assert_eq!(artifacts(&project, dev), artifacts(&project, &[]));
    for command in [&["logs"][..], &["logs", "first"], &["artifacts", "cat", "first.o"], &["runs", "-n", "0"]] {
        let strip = |text: String| if command[0] == "runs" { text.lines().count().to_string() } else { text };
        assert_eq!(strip(on(command).exits(0).stdout), strip(project.ok(command)), "{command:?}");
    }
    let _ = on(&["artifacts", "get", "second.o", "--to", "there"]).exits(0);
    assert_eq!(project.read("there/whole").lines().count(), 2000);

    let again = project.json(&["run", "-o", "json", "-e", "dev"]);
    assert_eq!(again["commits"]["second"]["status"], "cached", "{again}");
    let started = on(&["run", "--detach", "--fresh", "second"]).exits(0).stdout;
    let _ = on(&["logs", "-f", started.trim()]).exits(0).prints("doubled");
    let _ = on(&["metrics"]).exits(0).prints("first.n");
    let _ = on(&["why", "second"]).exits(0);
    let _ = on(&["lineage", "second.o"]).exits(0).prints("step first");

    project.edit("liminal.yml", "echo doubled", "echo twice");
    let _ = on(&["plan"]).exits(0).says("uncommitted changes are left out: liminal.yml").prints("No changes");
    let _ = project.commit("second");
    let plan = on(&["plan"]).exits(0).prints("~ second").stdout;
    assert!(!plan.contains("~ first"), "only what changes is in the plan:\n{plan}");
    let _ = on(&["apply", "-y"]).exits(0);
    let _ = on(&["run", "--fresh", "second"]).exits(0);
    let _ = on(&["logs", "second"]).exits(0).prints("twice");
    let _ = on(&["rollback", "-y"]).exits(0).prints("Rolled back");
    let _ = on(&["run", "--fresh", "second"]).exits(0);
    let _ = on(&["logs", "second"]).exits(0).prints("doubled");
    let _ = on(&["history"]).exits(0).prints("rollback");
    let _ = on(&["destroy", "-y"]).exits(0).prints("Destroyed").says("what stays");
    let _ = on(&["runs"]).exits(0).prints("succeeded");
}

/// The Python that the emulator runs functions with: its own, whatever their runtime says.
pub fn python_of_emulator() -> String {
    let args = ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"];
    let asked = Command::new("python3").args(args).output().expect("python3 runs");
    String::from_utf8(asked.stdout).expect("a version").trim().to_owned()
}

#[test]
fn an_object_that_lands_starts_a_run_of_python_functions_with_the_results_that_it_has_here() {
    let emulator = shared_ministack();
    let version = python_of_emulator();
    let project = Project::in_git(&format!(
        r#"project: demo-python
params: {{factor: 2}}
environments:
  dev: {{platform: aws, region: eu-central-1, bucket: demo-python, python: {{version: "{version}"}}}}
pipelines:
  p:
    triggers:
      - object: {{prefix: in/, suffix: .csv}}
    steps:
      double: {{call: "steps:double", inputs: {{data: trigger.object, factor: params.factor}}, outputs: {{out: b.csv}}}}
      count: {{call: "steps:count", inputs: {{data: double.out}}, outputs: {{counts: counts}}, metrics: m.json}}
      enough: {{gate: metrics.count.rows == 6}}
"#
    ));
    project.write(
        "steps.py",
        "def double(data, out, factor: int):\n    out.write_text(data.read_text() * factor)\n\n\n\
         def count(data, counts):\n    counts.write_text(data.read_text().upper())\n    \
         return {'rows': len(data.read_text().splitlines())}\n",
    );
    project.write("rows.csv", "a\nb\nc\n");
    let project = with_bucket(project, emulator, "demo-python");
    let _ = project.commit("first");
    let _ = project.liminal(&["apply", "-y", "-e", "dev"]).exits(0);

    let from = project.path().join("rows.csv");
    let to = "s3://demo-python/in/rows%20of+today.csv";
    let sent = tools().aws(emulator).args(["s3", "cp", from.to_str().expect("a path in UTF-8"), to]).output();
    assert!(sent.expect("the AWS CLI runs").status.success());
    let run = loop {
        let runs = project.json(&["runs", "-o", "json", "-e", "dev"]);
        if let Some(run) = runs.as_array().and_then(|runs| runs.first()) {
            break run["run"].as_str().expect("a run id").to_owned();
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    };
    let _ = project.liminal(&["logs", "-f", &run, "-e", "dev"]);
    let there = project.json(&["status", &run, "-o", "json", "-e", "dev"]);
    let _ = project.liminal(&["run", "--object", "rows.csv"]).exits(0);
    let here = project.json(&["status", "-o", "json"]);
    assert_eq!(there["result"]["status"], "succeeded", "{there}");
    assert_eq!(outputs(&there), outputs(&here), "{there}");
}

/// Kills an apply at effects of its store and around each resource, and applies again.
#[cfg(feature = "failpoints")]
#[test]
fn an_apply_that_is_killed_is_put_right_by_the_next() {
    /// Each kill costs an apply to an emulator, so that only some of the moments are gone through.
    const STRIDE: usize = 4;
    let emulator = shared_ministack();
    let project = with_bucket(Project::new(&definition("demo-killed", TWO_STEPS)), emulator, "demo-killed");
    let args = ["apply", "-y", "-e", "dev"];
    let mut crashes = 0;
    for effect in (0..).step_by(STRIDE) {
        project.edit("liminal.yml", "echo made", &format!("echo made {effect}; echo made"));
        let mut command = project.command(&args);
        command.env("LIMINAL_CRASH_AT", effect.to_string());
        let outcome = wait(command.spawn().expect("liminal starts"), &args);
        if outcome.code == Some(0) {
            break;
        }
        assert_eq!(outcome.code, None, "effect {effect} ends by a signal: {outcome:?}");
        crashes += 1;
        let _ = project.liminal(&args).exits(0);
        let _ = project.liminal(&["plan", "--detailed-exitcode", "-e", "dev"]).exits(0);
    }
    assert!(crashes > 4, "only {crashes} effects were found");
    let _ = project.liminal(&["run", "-e", "dev"]).exits(0);
}
