//! Environments on AWS, against an emulator that carries functions out: the same commands, the same output.

use liminal_emulators::Emulator;
use liminal_emulators::shared_ministack;
use liminal_emulators::tools;

use crate::harness::Project;

/// A definition with an environment on AWS, whose bucket is `bucket`.
fn definition(bucket: &str, pipelines: &str) -> String {
    format!(
        "project: demo\nenvironments:\n  dev: {{platform: aws, region: eu-central-1, bucket: {bucket}}}\npipelines:\n{pipelines}"
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
        run: [sh, -c, 'cat \"$1\" \"$1\" > \"$2/whole\"; echo doubled', sh, \"{{ inputs.d }}\", \"{{ outputs.o }}\"]
        inputs: {d: first.o}
        outputs: {o: both/}
      gate:
        gate: metrics.first.n > 5
";

/// A bucket of its own for a test, and the variables by which `liminal` finds it.
fn with_bucket(project: Project, emulator: &Emulator, bucket: &str) -> Project {
    let made = tools().aws(emulator).args(["s3", "mb", &format!("s3://{bucket}")]).output().expect("the AWS CLI runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    with_aws(project, emulator)
}

fn with_aws(project: Project, emulator: &Emulator) -> Project {
    emulator.env().iter().fold(project, |project, (name, value)| project.env(name, value))
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
        let there = project.ok(&[command, &["-e", "dev"]].concat());
        assert_eq!(there, here, "{command:?}");
    }
    let _ = project.liminal(&["run", "-e", "dev"]).exits(1).says("nothing is live in dev").says("liminal apply");
    let _ = project.liminal(&["run", "-e", "dev", "--rev", "main"]).exits(64).says("--rev");
    let _ = project.liminal(&["status", "-e", "dev"]).exits(1).says("there is no run yet");
    let _ = project.liminal(&["doctor", "-e", "dev"]).exits(0).prints("s3://demo-empty in account 000000000000");
}
