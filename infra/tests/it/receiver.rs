//! What a receiver is made of.

use liminal_infra::desired::ReceiverInput;
use liminal_infra::desired::SecretOfMachine;
use liminal_infra::desired::receiver_resources;
use liminal_schemas::aws::Arch;
use liminal_schemas::aws::names;
use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::aws::resource::FunctionSpec;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::release::SecretRef;

use crate::aws_desired::shown;
use crate::fixture::place;

pub(crate) fn of(secret: &SecretRef, runner: &str) -> Result<Vec<CloudResource>, SecretOfMachine> {
    receiver_resources(&ReceiverInput {
        place: &place(),
        project: &ProjectName::new("shop").expect("a name"),
        environment: &EnvironmentName::new("prod").expect("a name"),
        secret,
        runner: Digest::of_bytes(runner.as_bytes()),
        arch: Arch::Arm64,
        log_retention_days: 7,
    })
}

pub(crate) fn managed() -> SecretRef {
    SecretRef::SecretsManager { name: "liminal/webhook".to_owned(), key: Some("token".to_owned()) }
}

fn function(resources: &[CloudResource]) -> &FunctionSpec {
    resources.last().and_then(|resource| resource.spec.as_function()).expect("the function comes last")
}

#[test]
fn a_receiver_may_remember_deliveries_tell_of_them_and_read_its_secret() {
    let permissions = |secret: &SecretRef| {
        let resources = of(secret, "runner").expect("a receiver");
        let role = resources.iter().find_map(|resource| resource.spec.as_role()).expect("a role");
        role.statements.iter().map(shown).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(permissions(&managed()), @"
      RememberDeliveries: s3:GetObject s3:PutObject on ~/deliveries/*
      ListDeliveries: s3:ListBucket on arn:aws:s3:::data if StringLike s3:prefix shop/prod/deliveries/*
      SendMessages: sqs:GetQueueUrl sqs:SendMessage on arn:aws:sqs:…:liminal-shop-prod-deliveries-58dc7bf3
      ReadSecrets: secretsmanager:GetSecretValue on arn:aws:secretsmanager:…:secret:liminal/webhook-??????
      WriteLog: logs:CreateLogStream logs:PutLogEvents on arn:aws:logs:…:log-group:/liminal/shop/prod/receiver:*
    ");
    let parameter = permissions(&SecretRef::Parameter("/shop/webhook".to_owned()));
    assert!(
        parameter.contains("ReadParameters: ssm:GetParameter on arn:aws:ssm:…:parameter/shop/webhook"),
        "{parameter}"
    );
    assert!(!parameter.contains("secretsmanager"), "{parameter}");
    assert_eq!(of(&SecretRef::Env("WEBHOOK".to_owned()), "runner").err(), Some(SecretOfMachine));
}

#[test]
fn a_newer_runner_or_another_secret_change_the_function_and_never_its_name() {
    let (first, newer) = (of(&managed(), "runner").expect("a receiver"), of(&managed(), "newer").expect("a receiver"));
    let other = of(&SecretRef::Parameter("/shop/webhook".to_owned()), "runner").expect("a receiver");
    let address = |resources: &[CloudResource]| resources.last().map(|function| function.spec.address());
    assert!(address(&first) != address(&newer) && address(&first) != address(&other));
    for resources in [&first, &newer, &other] {
        assert_eq!(function(resources).name(), function(&first).name());
    }
    assert_eq!(function(&first).environment["LIMINAL_SIGNING_SECRET"], "secretsmanager:liminal/webhook#token");
    assert_eq!(function(&first).environment["LIMINAL_MODE"], "receive");
}

#[test]
fn names_of_two_environments_differ_however_long_they_are() {
    let name = |project: &str, environment: &str| {
        let (project, environment) = (ProjectName::new(project), EnvironmentName::new(environment));
        let (project, environment) = (project.expect("a name"), environment.expect("a name"));
        let (function, queue) =
            (names::receiver(&project, &environment), names::deliveries_queue(&project, &environment));
        assert!(function.len() <= names::MAX_NAME && queue.len() <= names::MAX_QUEUE_NAME, "{function} {queue}");
        (function, queue)
    };
    let long = "a".repeat(40);
    assert_ne!(name(&long, "prod"), name(&long, "prob"));
    assert_ne!(name("shop", "prod"), name("shop-prod", "receiver"));
}
