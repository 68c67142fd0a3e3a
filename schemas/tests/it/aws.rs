//! Environments on AWS, and what steps say of it.

use insta::assert_snapshot;
use liminal_schemas::aws::Arch;
use liminal_schemas::aws::AwsSpec;
use liminal_schemas::aws::FargateSettings;
use liminal_schemas::definition::load;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::StepName;
use liminal_schemas::platform::PlatformSpec;
use liminal_schemas::release::Release;
use liminal_schemas::release::SecretRef;
use liminal_schemas::step::Compute;

use crate::memory_files::MemoryFiles;
use crate::rendering::findings;
use crate::rendering::render;

const PIPELINE: &str = "pipelines: {p: {steps: {s: {run: [x]}}}}\n";

/// Environments around a pipeline.
fn environments(yaml: &str) -> String {
    format!("project: p\n{PIPELINE}environments:\n{yaml}")
}

fn loaded(yaml: &str, environment: &str) -> liminal_schemas::definition::Loaded {
    let environment = EnvironmentName::new(environment).expect("a valid name");
    match load(&MemoryFiles::new().with("liminal.yml", yaml), "liminal.yml", Some(&environment)) {
        Ok(loaded) => loaded,
        Err(report) => panic!("{}", render(&report)),
    }
}

fn release(yaml: &str, environment: &str) -> Release {
    loaded(yaml, environment).resolved.releases[&PipelineName::new("p").expect("valid")].clone()
}

#[test]
fn an_environment_says_where_in_aws_it_is() {
    let yaml = environments(
        r#"
  staging: {platform: aws, region: eu-central-1}
  prod:
    platform: aws
    region: us-gov-west-1
    account: "012345678901"
    bucket: my-objects
    arch: arm64
    log_retention: 400d
    fargate:
      image: 012345678901.dkr.ecr.us-gov-west-1.amazonaws.com/base:3
      cluster: jobs
      subnets: [subnet-0a1b2c3d, subnet-4e5f6a7b]
      security_groups: [sg-0123abcd]
      public_ip: true
    keep: 7
  local:
"#,
    );
    let platform = |name: &str| loaded(&yaml, name).resolved.platform;
    assert_eq!(platform("local"), PlatformSpec::Local);
    let staging = AwsSpec {
        region: "eu-central-1".to_owned(),
        account: None,
        bucket: None,
        arch: Arch::X86_64,
        log_retention_days: 30,
        fargate: FargateSettings::default(),
    };
    assert_eq!(platform("staging"), PlatformSpec::Aws(Box::new(staging)));
    let prod = AwsSpec {
        region: "us-gov-west-1".to_owned(),
        account: Some("012345678901".to_owned()),
        bucket: Some("my-objects".to_owned()),
        arch: Arch::Arm64,
        log_retention_days: 400,
        fargate: FargateSettings {
            image: Some("012345678901.dkr.ecr.us-gov-west-1.amazonaws.com/base:3".to_owned()),
            cluster: Some("jobs".to_owned()),
            subnets: vec!["subnet-0a1b2c3d".to_owned(), "subnet-4e5f6a7b".to_owned()],
            security_groups: vec!["sg-0123abcd".to_owned()],
            public_ip: true,
        },
    };
    assert_eq!(platform("prod"), PlatformSpec::Aws(Box::new(prod)));
    assert_eq!(loaded(&yaml, "prod").resolved.keep, 7, "the rest is still laid over the project");
}

#[test]
fn where_an_environment_is_changes_no_revision() {
    let yaml = environments("  here:\n  there: {platform: aws, region: eu-central-1, arch: arm64}\n");
    assert_eq!(release(&yaml, "here").revision(), release(&yaml, "there").revision());
}

#[test]
fn where_an_environment_is_may_be_told_by_the_file_that_is_extended() {
    let files = MemoryFiles::new()
        .with("liminal.yml", format!("extends: base.yml\n{PIPELINE}environments: {{prod: {{region: eu-west-1}}}}\n"))
        .with(
            "base.yml",
            "project: p\nenvironments: {prod: {platform: aws, region: us-east-1, fargate: {cluster: c}}}\n",
        );
    let prod = EnvironmentName::new("prod").expect("valid");
    let loaded = load(&files, "liminal.yml", Some(&prod)).map_err(|report| render(&report)).expect("loaded");
    let PlatformSpec::Aws(aws) = loaded.resolved.platform else { panic!("on AWS") };
    assert_eq!((aws.region.as_str(), aws.fargate.cluster.as_deref()), ("eu-west-1", Some("c")));
}

#[test]
fn mistakes_about_aws_are_told_at_once_each_in_its_place() {
    assert_snapshot!(findings(environments(
        r#"
  a: {platform: aws}
  b: {platform: aws, region: eu_central_1, account: 123456789012, bucket: My_Bucket, arch: amd64, log_retention: 10d}
  c: {platform: aws, region: eu-central-1a, account: 1234-5678-9012, bucket: "s3://x/y", arch: arm65, log_retention: 30}
  d: {platform: aws, region: us-east-1, account: "123", log_retention: 20y, fargate: {image: "a b", cluster: "x y", subnets: [subnet-1, vpc-2], security_groups: sg-1, public_ip: yes, memory: 1}}
  e: {platform: aws, region: us-east-1, log_retention: 100000d, regoin: x, fargate: [1]}
  f: {region: us-east-1, arch: arm64}
  g: {platform: local, bucket: abc}
  h: {platform: awss, region: us-east-1}
  local: {platform: aws, region: us-east-1}
"#
    )), @r#"
    liminal.yml:5:3 L0202 the environment `a` is on AWS, and needs the key `region`
      here: `region` is missing
      hint: write it as AWS does: `region: eu-central-1`
    liminal.yml:6:30 L0205 `eu_central_1` can not be a region: it is not how AWS writes one
      hint: write `eu-central-1`
    liminal.yml:6:53 L0203 a text is needed for the account, not a whole number
      hint: put its twelve digits into quotes: as a number it loses the zeros it may begin with
    liminal.yml:6:75 L0205 `My_Bucket` can not be a bucket: it has a character that is not allowed
      hint: S3 allows 3 to 63 lower-case letters, digits, `-` and `.` in the name of a bucket
    liminal.yml:6:92 L0205 this is another name of what AWS calls otherwise
      hint: write `arch: x86_64`
    liminal.yml:6:114 L0205 CloudWatch Logs can not keep logs for just that long
      here: write `14d`
      hint: it can for so many days: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
    liminal.yml:7:30 L0205 `eu-central-1a` can not be a region: it is a zone
      hint: write the region that the zone is in: `eu-central-1`
    liminal.yml:7:54 L0205 `1234-5678-9012` can not be an account: it has more than digits
      hint: write it as "123456789012"
    liminal.yml:7:78 L0205 `s3://x/y` can not be a bucket: it is an address
      hint: S3 allows 3 to 63 lower-case letters, digits, `-` and `.` in the name of a bucket
    liminal.yml:7:96 L0205 `arch` can not be `arm65`
      here: did you mean `arm64`?
      hint: one of x86_64, arm64 is allowed
    liminal.yml:7:118 L0205 CloudWatch Logs can not keep logs for just that long
      here: write `30d`
      hint: it can for so many days: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
    liminal.yml:8:50 L0205 `123` can not be an account: an account has twelve digits
      hint: `aws sts get-caller-identity` shows it
    liminal.yml:8:72 L0205 the log retention can not be read
      hint: write a number and a unit: 500ms, 30s, 5m, 2h, 1d
    liminal.yml:8:94 L0205 `a b` can not be the image of tasks: it has a character that is not allowed
      hint: write it as `docker pull` takes it: `123456789012.dkr.ecr.eu-central-1.amazonaws.com/train:3`
    liminal.yml:8:110 L0205 `x y` can not be a cluster: it is neither name nor ARN
      hint: write the name of an ECS cluster, or its ARN
    liminal.yml:8:137 L0205 `vpc-2` can not be a subnet: it is no id
      hint: the id of a subnet begins with `subnet-`
    liminal.yml:8:162 L0203 a list is needed for the security groups, not a text
      hint: put it into brackets: [...]
    liminal.yml:8:179 L0203 a boolean is needed for `public_ip`, not a text
      hint: write true or false
    liminal.yml:8:184 L0201 the fargate settings has no key `memory`
      hint: known keys: image, cluster, subnets, security_groups, public_ip
    liminal.yml:9:56 L0205 CloudWatch Logs can not keep logs for just that long
      hint: it can for so many days: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
    liminal.yml:9:65 L0201 an environment has no key `regoin`
      here: did you mean `region`?
      hint: known keys: platform, branch, protected, template, ttl, canary, region, account, bucket, arch, log_retention, fargate, owner, python, params, secrets, env, defaults, keep, policies, pipelines
    liminal.yml:9:85 L0203 a map is needed for the fargate settings, not a list
      hint: write `name: value` without the dash
    liminal.yml:10:7 L0207 `region` means nothing to the environment `f`, which is on `local`
      hint: add `platform: aws`, or leave it out
    liminal.yml:10:26 L0207 `arch` means nothing to the environment `f`, which is on `local`
      hint: add `platform: aws`, or leave it out
    liminal.yml:11:24 L0207 `bucket` means nothing to the environment `g`, which is on `local`
      liminal.yml:11:17: because of this
      hint: write `platform: aws`, or leave it out
    liminal.yml:12:17 L0205 the platform can not be `awss`
      here: did you mean `aws`?
      hint: one of local, aws is allowed
    liminal.yml:13:21 L0205 the environment `local` is always this machine
      hint: give the environment on AWS another name, as in `staging`
    "#);
}

#[test]
fn keys_of_aws_elsewhere_are_led_to_their_place() {
    assert_snapshot!(findings(
        r#"
project: p
region: eu-central-1
account: "012345678901"
compute: fargate
pipelines:
  p:
    bucket: b
    image: i
    steps: {s: {run: [x], triggers: [], schedule: x}}
"#
    ), @r#"
    liminal.yml:3:1 L0201 a project has no key `region`
      hint: it is a key of an environment on AWS: `environments: {NAME: {platform: aws, region: REGION}}`
      hint: known keys: project, owner, description, extends, include, environments, python, params, secrets, env, defaults, keep, policies, pipelines
    liminal.yml:4:1 L0201 a project has no key `account`
      hint: it is a key of an environment on AWS: `environments: {NAME: {platform: aws, region: REGION}}`
      hint: known keys: project, owner, description, extends, include, environments, python, params, secrets, env, defaults, keep, policies, pipelines
    liminal.yml:5:1 L0201 a project has no key `compute`
      hint: it is a key of steps and of `defaults:`
      hint: known keys: project, owner, description, extends, include, environments, python, params, secrets, env, defaults, keep, policies, pipelines
    liminal.yml:8:5 L0201 a pipeline has no key `bucket`
      hint: it is a key of an environment on AWS, and of `object:` in a trigger
      hint: known keys: description, owner, params, env, python, defaults, inputs, outputs, triggers, deadline, overlap, max_concurrent_runs, steps, finally
    liminal.yml:9:5 L0201 a pipeline has no key `image`
      hint: a container image is named by a step, or under `fargate:` of an environment on AWS
      hint: known keys: description, owner, params, env, python, defaults, inputs, outputs, triggers, deadline, overlap, max_concurrent_runs, steps, finally
    liminal.yml:10:27 L0201 a step has no key `triggers`
      hint: triggers belong to a pipeline, which starts as a whole
      hint: known keys: phase, description, run, call, gate, register, pipeline, params, code, inputs, outputs, metrics, plots, map, after, when, retries, timeout, resources, compute, image, cache, env, python
    liminal.yml:10:41 L0201 a step has no key `schedule`
      hint: write it in a pipeline, under `triggers:`: `triggers: [{schedule: "cron(0 6 * * ? *)"}]`
      hint: known keys: phase, description, run, call, gate, register, pipeline, params, code, inputs, outputs, metrics, plots, map, after, when, retries, timeout, resources, compute, image, cache, env, python
    "#);
}

#[test]
fn steps_choose_a_service_and_an_image() {
    let yaml = r#"
project: p
defaults: {compute: lambda}
pipelines:
  p:
    steps:
      plain: {run: [x]}
      free: {run: [x], compute: auto}
      task: {run: [x], compute: fargate}
      image: {run: [x], image: "repo/image:1"}
      both: {run: [x], image: "repo/image:1", compute: fargate}
      gate: {gate: run.id != ''}
"#;
    let release = release(yaml, "local");
    let step = |name: &str| {
        let step = &release.steps[&StepName::new(name).expect("valid")];
        (step.compute, step.image.as_deref())
    };
    assert_eq!(step("plain"), (Compute::Lambda, None));
    assert_eq!(step("free"), (Compute::Auto, None));
    assert_eq!(step("task"), (Compute::Fargate, None));
    assert_eq!(step("image"), (Compute::Auto, Some("repo/image:1")), "an image goes before the defaults");
    assert_eq!(step("both"), (Compute::Fargate, Some("repo/image:1")));
    assert_eq!(step("gate"), (Compute::Auto, None));
}

#[test]
fn mistakes_about_compute_and_images_are_told() {
    assert_snapshot!(findings(
        r#"
project: p
defaults: {compute: lamda, image: i}
pipelines:
  p:
    defaults: {compute: [auto]}
    steps:
      a: {run: [x], image: "repo/image:1", compute: lambda}
      b: {run: [x], image: "two words"}
      c: {run: [x], compute: ec2, image: 3}
      d: {gate: run.id != '', compute: lambda, image: i}
"#
    ), @r"
    liminal.yml:3:21 L0205 `compute` can not be `lamda`
      here: did you mean `lambda`?
      hint: one of auto, lambda, fargate is allowed
    liminal.yml:3:28 L0201 the step defaults has no key `image`
      hint: a container image is named by a step, or under `fargate:` of an environment on AWS
      hint: known keys: retries, timeout, resources, compute, cache, env
    liminal.yml:6:25 L0203 a text is needed for `compute`, not a list
    liminal.yml:8:53 L0207 a step with an image runs on Fargate, not on Lambda
      liminal.yml:8:28: the image
      hint: leave out `compute:`, or `image:`
    liminal.yml:9:28 L0205 `two words` can not be the image of a step: it has a character that is not allowed
      hint: write it as `docker pull` takes it: `123456789012.dkr.ecr.eu-central-1.amazonaws.com/train:3`
    liminal.yml:10:30 L0205 `compute` can not be `ec2`
      hint: one of auto, lambda, fargate is allowed
    liminal.yml:10:42 L0203 a text is needed for the image of a step, not a whole number
      hint: put it into quotes
    liminal.yml:11:31 L0207 `compute` means nothing to step `d`, which is a `gate`
      liminal.yml:11:11: because of this
      hint: a gate reads `metrics.<step>.<name>` and `params.<name>` in its expressions, and starts no process
    liminal.yml:11:48 L0207 `image` means nothing to step `d`, which is a `gate`
      liminal.yml:11:11: because of this
      hint: a gate reads `metrics.<step>.<name>` and `params.<name>` in its expressions, and starts no process
    ");
}

const SECRETS: &str = r#"
project: p
secrets: {a: "env:A", b: "secretsmanager:prod/db#password", c: "ssm:/prod/token", unused: "env:U"}
pipelines:
  p:
    steps:
      s: {run: [x], env: {A: "{{ secrets.a }}", B: "{{ secrets.b }}", C: "{{ secrets.c }}"}}
environments:
  staging:
    platform: aws
    region: eu-central-1
"#;

#[test]
fn secrets_are_kept_where_the_environment_can_read_them() {
    let local = SECRETS.to_owned() + "  local: {secrets: {b: env:B, c: env:C}}\n";
    let secrets = release(&local, "local").secrets;
    assert!(secrets.values().all(|secret| matches!(secret, SecretRef::Env(_))));
    let staging = SECRETS.to_owned() + "    secrets: {a: secretsmanager:a}\n";
    let written: Vec<String> = release(&staging, "staging").secrets.values().map(ToString::to_string).collect();
    assert_eq!(written, ["secretsmanager:a", "secretsmanager:prod/db#password", "ssm:/prod/token"]);
}

#[test]
fn secrets_that_the_environment_can_not_read_are_told_with_what_to_write() {
    let report = |environment: &str| {
        let environment = EnvironmentName::new(environment).expect("valid");
        let files = MemoryFiles::new().with("liminal.yml", SECRETS);
        render(&load(&files, "liminal.yml", Some(&environment)).expect_err("secrets that can not be read"))
    };
    assert_snapshot!(format!("{}\n{}", report("local"), report("staging")), @r#"
    liminal.yml:3:23 L0405 secret b is kept by AWS, and the environment `local` reads variables only
      hint: name another place for it: `environments: {local: {secrets: {b: env:B}}}`
    liminal.yml:3:61 L0405 secret c is kept by AWS, and the environment `local` reads variables only
      hint: name another place for it: `environments: {local: {secrets: {c: env:C}}}`

    liminal.yml:3:11 L0405 secret a is a variable of your machine, and the environment `staging` is on AWS
      hint: name another place for it: `environments: {staging: {secrets: {a: "secretsmanager:NAME"}}}`
      hint: `ssm:/PATH/NAME` is a parameter of Systems Manager
    "#);
}

#[test]
fn references_to_secrets_are_checked_and_never_repeated() {
    let shown = findings(format!(
        "project: p\n{PIPELINE}secrets:\n  a: \"secretsmanager:\"\n  b: secretsmanager:arn:aws:x\n  c: secretsmanager:hunter2 x\n  d: secretsmanager:x#\n  e: ssm:hunter2\n  f: ssm:/a//b\n  g: secretmanager:hunter2\n  h: vault:hunter2\n"
    ));
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_snapshot!(shown, @r"
    liminal.yml:4:6 L0205 the secret `a` names no secret of Secrets Manager: it is empty
      hint: write `a: secretsmanager:NAME`, or `secretsmanager:NAME#KEY` for one key of the JSON in it
    liminal.yml:5:6 L0205 the secret `b` names no secret of Secrets Manager: it is an ARN, and the account and region of the environment are meant in any case
      hint: write `b: secretsmanager:NAME`, or `secretsmanager:NAME#KEY` for one key of the JSON in it
    liminal.yml:6:6 L0205 the secret `c` names no secret of Secrets Manager: only letters, digits and `/_+=.@-` are allowed
      hint: write `c: secretsmanager:NAME`, or `secretsmanager:NAME#KEY` for one key of the JSON in it
    liminal.yml:7:6 L0205 the secret `d` names no secret of Secrets Manager: a key is missing behind `#`
      hint: write `d: secretsmanager:NAME`, or `secretsmanager:NAME#KEY` for one key of the JSON in it
    liminal.yml:8:6 L0205 the secret `e` names no parameter of Systems Manager: it does not begin with `/`
      hint: write `e: ssm:/PATH/NAME`, the full name of the parameter
    liminal.yml:9:6 L0205 the secret `f` names no parameter of Systems Manager: only letters, digits and `_.-` are allowed between the `/`
      hint: write `f: ssm:/PATH/NAME`, the full name of the parameter
    liminal.yml:10:6 L0205 the secret `g` is no reference
      hint: did you mean `secretsmanager:`?
    liminal.yml:11:6 L0205 secrets by `vault:` are not part of this version
      hint: write `h: env:NAME`, with the environment variable that holds it; on AWS `secretsmanager:NAME` or `ssm:/NAME`
    ");
}
