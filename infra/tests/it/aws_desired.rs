//! What an environment on AWS is made of, derived from releases.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_infra::desired::AwsDesired;
use liminal_infra::desired::AwsInput;
use liminal_infra::desired::DesiredProblem;
use liminal_infra::desired::aws_resources;
use liminal_infra::plan::Revised;
use liminal_schemas::aws::AwsPlace;
use liminal_schemas::aws::AwsSpec;
use liminal_schemas::aws::policy::Statement;
use liminal_schemas::aws::resource::FunctionSpec;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::digest::Digest;
use liminal_schemas::map::MapSource;
use liminal_schemas::map::MapSpec;
use liminal_schemas::map::ObjectFilter;
use liminal_schemas::map::Tolerance;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::ModelName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::StepName;
use liminal_schemas::release::PACKER_VERSION;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::PythonSpec;
use liminal_schemas::release::Release;
use liminal_schemas::release::SecretRef;
use liminal_schemas::step::Action;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::Compute;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::OutputRole;
use liminal_schemas::step::OutputSpec;
use liminal_schemas::step::REGISTERED_INPUT;
use liminal_schemas::step::StepSpec;
use liminal_schemas::template::Template;
use liminal_schemas::trigger::Trigger;
use liminal_schemas::trigger::TriggerSource;

use crate::fixture::Aws;
use crate::fixture::call;
use crate::fixture::pipeline;
use crate::fixture::place;
use crate::fixture::release;
use crate::fixture::step;

fn field(name: &str) -> FieldName {
    FieldName::new(name).expect("a test writes valid names")
}

fn package(version: Option<&str>) -> PackageSpec {
    PackageSpec {
        packer: PACKER_VERSION,
        root: String::new(),
        files: BTreeMap::new(),
        python: Some(PythonSpec { version: version.map(str::to_owned), requirements: None }),
    }
}

fn output() -> OutputSpec {
    OutputSpec { path: "out".to_owned(), kind: ArtifactKind::File, role: OutputRole::Data }
}

fn from_step(maker: &str, output: &str) -> InputSource {
    InputSource::Output { step: step(maker), output: field(output) }
}

/// fetch (Lambda) → fit (Fargate) → check (a gate) → publish (a registration).
pub(crate) fn chain() -> Release {
    let package = package(Some("3.11")).digest();
    let mut fetch = call("fetch", Some(package), 60);
    fetch.outputs.insert(field("raw"), output());
    let mut fit = call("fit", Some(package), 7200);
    fit.inputs.insert(field("data"), from_step("fetch", "raw"));
    fit.outputs.insert(field("model"), output());
    let mut check = call("check", None, 60);
    check.action = Action::Gate { checks: vec!["fit.auc > 0.5".to_owned()] };
    check.reads_metrics.insert(step("fit"));
    let mut publish = call("publish", None, 60);
    let aliases = BTreeSet::from([field("champion")]);
    publish.action = Action::Register { model: ModelName::new("churn").expect("valid"), aliases };
    publish.inputs.insert(field(REGISTERED_INPUT), from_step("fit", "model"));
    publish.after.insert(step("check"));
    let steps = [("fetch", fetch), ("fit", fit), ("check", check), ("publish", publish)];
    release("train", steps.map(|(name, spec)| (step(name), spec)).into())
}

struct Wanted {
    spec: AwsSpec,
    releases: BTreeMap<PipelineName, Revised>,
    packages: BTreeMap<Digest, PackageSpec>,
    sizes: BTreeMap<Digest, u64>,
    place: AwsPlace,
}

impl Wanted {
    fn of(release: Release) -> Self {
        let packages = [package(Some("3.11")), package(None)];
        Self {
            spec: Aws::default().spec,
            releases: BTreeMap::from([(release.pipeline.clone(), Revised::from(release))]),
            packages: packages.map(|package| (package.digest(), package)).into(),
            sizes: BTreeMap::new(),
            place: place(),
        }
    }

    fn derive(&self) -> Result<AwsDesired, Vec<DesiredProblem>> {
        aws_resources(&AwsInput {
            place: &self.place,
            spec: &self.spec,
            project: &ProjectName::new("shop").expect("valid"),
            environment: &EnvironmentName::new("prod").expect("valid"),
            releases: &self.releases,
            live: &BTreeMap::new(),
            packages: &self.packages,
            runner: Digest::of_bytes(b"runner"),
            sizes: &self.sizes,
        })
    }
}

pub(crate) fn derived(release: Release) -> AwsDesired {
    Wanted::of(release).derive().expect("it can be carried out")
}

fn functions(desired: &AwsDesired) -> impl Iterator<Item = &FunctionSpec> {
    desired.resources.values().filter_map(|resource| resource.spec.as_function())
}

pub(crate) fn shown(statement: &Statement) -> String {
    let joined = |texts: &BTreeSet<String>| texts.iter().cloned().collect::<Vec<_>>().join(" ");
    let resources = joined(&statement.resources).replace("arn:aws:s3:::data/shop/prod/", "~/");
    let resources = resources.replace(":eu-central-1:123456789012:", ":…:").replace("123456789012", "…");
    let conditions = statement.conditions.iter().flat_map(|(operator, keys)| {
        let of_operator = keys.iter().map(move |(key, values)| format!(" if {operator} {key} {}", joined(values)));
        of_operator.collect::<Vec<_>>()
    });
    let conditions: String = conditions.collect();
    format!("  {}: {} on {resources}{conditions}", statement.sid, joined(&statement.actions))
}

/// The part of a name that no digest is in.
fn without_digest(name: &str) -> &str {
    name.rsplit_once('-').map_or(name, |(start, _)| start)
}

#[test]
fn the_permissions_of_a_pipeline_follow_from_its_flow_of_data() {
    let desired = derived(chain());
    let mut roles: Vec<_> = desired.resources.values().filter_map(|resource| resource.spec.as_role()).collect();
    roles.sort_by_key(|role| role.name_parts.clone());
    let mut lines = Vec::new();
    for role in &roles {
        lines.push(format!("{} for {}", role.name_parts.join("-"), role.service));
        lines.extend(role.statements.iter().map(shown));
    }
    let mut text = lines.join("\n");
    for role in roles {
        text = text.replace(&role.name(), without_digest(&role.name()));
    }
    insta::assert_snapshot!(text, @r"
    shop-prod-scheduler for scheduler.amazonaws.com
      SendTicks: sqs:SendMessage on arn:aws:sqs:…:liminal-shop-prod-triggers-58dc7bf3
    shop-prod-starter for lambda.amazonaws.com
      ReadReleases: s3:GetObject on ~/live/* ~/releases/* ~/state/prod.json
      WriteRuns: s3:AbortMultipartUpload s3:GetObject s3:PutObject on ~/artifacts/* ~/cache/* ~/canary/* ~/listeners/* ~/models/* ~/open/* ~/runs/* ~/waiting/*
      CloseRuns: s3:DeleteObject on ~/canary/open/* ~/listeners/* ~/open/* ~/waiting/*
      AbortCanaries: s3:PutObject on ~/live/*
      ListObjects: s3:ListBucket on arn:aws:s3:::data if StringLike s3:prefix shop/prod/artifacts/* shop/prod/cache/* shop/prod/canary/* shop/prod/listeners/* shop/prod/live/* shop/prod/models/* shop/prod/open/* shop/prod/releases/* shop/prod/runs/* shop/prod/state/prod.json shop/prod/waiting/*
      SendMessages: sqs:GetQueueUrl sqs:SendMessage on arn:aws:sqs:…:liminal-shop-prod-*
      ReceiveMessages: sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage on arn:aws:sqs:…:liminal-shop-prod-triggers-58dc7bf3
      WriteLog: logs:CreateLogStream logs:PutLogEvents on arn:aws:logs:…:log-group:/liminal/shop/prod/starter:*
    shop-prod-train-fetch for lambda.amazonaws.com
      ReadRun: s3:GetObject on ~/listeners/train ~/releases/train/* ~/runs/train/*/cancel.json ~/runs/train/*/result.json ~/runs/train/*/run.json ~/runs/train/*/steps/*/commit.json
      ReadResults: s3:GetObject on ~/artifacts/* ~/cache/*
      WriteAttempts: s3:GetObject s3:PutObject on ~/runs/train/*/steps/fetch/attempts/*
      SettleSteps: s3:PutObject on ~/cache/* ~/runs/train/*/result.json ~/runs/train/*/steps/check/commit.json ~/runs/train/*/steps/fetch/commit.json ~/runs/train/*/steps/fit/commit.json ~/runs/train/*/steps/publish/commit.json
      CloseRun: s3:DeleteObject on ~/open/train/*
      RegisterModels: s3:GetObject s3:PutObject on ~/models/churn/aliases/champion.json ~/models/churn/versions/*
      ListObjects: s3:ListBucket on arn:aws:s3:::data if StringLike s3:prefix shop/prod/artifacts/* shop/prod/cache/* shop/prod/listeners/train shop/prod/models/churn/aliases/champion.json shop/prod/models/churn/versions/* shop/prod/releases/train/* shop/prod/runs/train/*
      SendMessages: sqs:GetQueueUrl sqs:SendMessage on arn:aws:sqs:…:liminal-shop-prod-train-fetch-* arn:aws:sqs:…:liminal-shop-prod-train-fit-*
      LeaveOutputs: s3:AbortMultipartUpload s3:PutObject on ~/artifacts/*
      ReadCode: s3:GetObject on ~/packages/*.json
      ListCode: s3:ListBucket on arn:aws:s3:::data if StringLike s3:prefix shop/prod/packages/*.json
      ReceiveMessages: sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage on arn:aws:sqs:…:liminal-shop-prod-train-fetch-*
      WriteLog: logs:CreateLogStream logs:PutLogEvents on arn:aws:logs:…:log-group:/liminal/shop/prod/train/fetch:*
    shop-prod-train-fit-dispatch for lambda.amazonaws.com
      ReadRun: s3:GetObject on ~/listeners/train ~/releases/train/* ~/runs/train/*/cancel.json ~/runs/train/*/result.json ~/runs/train/*/run.json ~/runs/train/*/steps/*/commit.json
      ReadResults: s3:GetObject on ~/artifacts/* ~/cache/*
      WriteAttempts: s3:GetObject s3:PutObject on ~/runs/train/*/steps/fit/attempts/*
      SettleSteps: s3:PutObject on ~/cache/* ~/runs/train/*/result.json ~/runs/train/*/steps/check/commit.json ~/runs/train/*/steps/fit/commit.json ~/runs/train/*/steps/publish/commit.json
      CloseRun: s3:DeleteObject on ~/open/train/*
      RegisterModels: s3:GetObject s3:PutObject on ~/models/churn/aliases/champion.json ~/models/churn/versions/*
      ListObjects: s3:ListBucket on arn:aws:s3:::data if StringLike s3:prefix shop/prod/artifacts/* shop/prod/cache/* shop/prod/listeners/train shop/prod/models/churn/aliases/champion.json shop/prod/models/churn/versions/* shop/prod/releases/train/* shop/prod/runs/train/*
      SendMessages: sqs:GetQueueUrl sqs:SendMessage on arn:aws:sqs:…:liminal-shop-prod-train-fit-*
      ReceiveMessages: sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage on arn:aws:sqs:…:liminal-shop-prod-train-fit-*
      RunTasks: ecs:RunTask on arn:aws:ecs:…:task-definition/liminal-shop-prod-train-fit-* if ArnEquals ecs:cluster arn:aws:ecs:eu-central-1:123456789012:cluster/liminal
      PassRoles: iam:PassRole on arn:aws:iam::…:role/liminal/shop/prod/liminal-shop-prod-train-fit-execution arn:aws:iam::…:role/liminal/shop/prod/liminal-shop-prod-train-fit-task if StringEquals iam:PassedToService ecs-tasks.amazonaws.com
      WriteLog: logs:CreateLogStream logs:PutLogEvents on arn:aws:logs:…:log-group:/liminal/shop/prod/train/fit:*
    shop-prod-train-fit-execution for ecs-tasks.amazonaws.com
      WriteLog: logs:CreateLogStream logs:PutLogEvents on arn:aws:logs:…:log-group:/liminal/shop/prod/train/fit:*
      LogInToImages: ecr:GetAuthorizationToken on *
      PullImage: ecr:BatchCheckLayerAvailability ecr:BatchGetImage ecr:GetDownloadUrlForLayer on arn:aws:ecr:…:repository/liminal
    shop-prod-train-fit-task for ecs-tasks.amazonaws.com
      ReadRun: s3:GetObject on ~/listeners/train ~/releases/train/* ~/runs/train/*/cancel.json ~/runs/train/*/result.json ~/runs/train/*/run.json ~/runs/train/*/steps/*/commit.json
      ReadResults: s3:GetObject on ~/artifacts/* ~/cache/*
      WriteAttempts: s3:GetObject s3:PutObject on ~/runs/train/*/steps/fit/attempts/*
      SettleSteps: s3:PutObject on ~/cache/* ~/runs/train/*/result.json ~/runs/train/*/steps/check/commit.json ~/runs/train/*/steps/fit/commit.json ~/runs/train/*/steps/publish/commit.json
      CloseRun: s3:DeleteObject on ~/open/train/*
      RegisterModels: s3:GetObject s3:PutObject on ~/models/churn/aliases/champion.json ~/models/churn/versions/*
      ListObjects: s3:ListBucket on arn:aws:s3:::data if StringLike s3:prefix shop/prod/artifacts/* shop/prod/cache/* shop/prod/listeners/train shop/prod/models/churn/aliases/champion.json shop/prod/models/churn/versions/* shop/prod/releases/train/* shop/prod/runs/train/*
      SendMessages: sqs:GetQueueUrl sqs:SendMessage on arn:aws:sqs:…:liminal-shop-prod-train-fit-*
      LeaveOutputs: s3:AbortMultipartUpload s3:PutObject on ~/artifacts/*
      ReadCode: s3:GetObject on ~/bundles/* ~/packages/*.json
      ListCode: s3:ListBucket on arn:aws:s3:::data if StringLike s3:prefix shop/prod/bundles/* shop/prod/packages/*.json
    ");
}

#[test]
fn nothing_but_marks_of_runs_is_ever_deleted_and_no_action_is_for_everything() {
    let mut release = chain();
    release.triggers.push(objects(Some("other"), "in/"));
    let desired = derived(release);
    let is_mark = |arn: &String| {
        ["open", "waiting", "listeners", "canary/open"]
            .iter()
            .any(|marks| arn.contains(&format!("/shop/prod/{marks}/")))
    };
    for role in desired.resources.values().filter_map(|resource| resource.spec.as_role()) {
        assert_eq!(role.boundary.as_deref(), Some("arn:aws:iam::123456789012:policy/liminal-boundary"));
        let sids: BTreeSet<&String> = role.statements.iter().map(|statement| &statement.sid).collect();
        assert_eq!(sids.len(), role.statements.len(), "a sid is there once");
        for statement in &role.statements {
            assert!(statement.sid.chars().all(|letter| letter.is_ascii_alphanumeric()), "{}", statement.sid);
            assert!(!statement.resources.is_empty() && !statement.actions.is_empty(), "{statement:?}");
            assert!(statement.actions.iter().all(|action| !action.contains('*')), "{statement:?}");
            let deletes = statement.actions.contains("s3:DeleteObject");
            assert!(!deletes || statement.resources.iter().all(is_mark), "{statement:?}");
            let everything = statement.resources.contains("*");
            assert!(!everything || statement.actions == BTreeSet::from(["ecr:GetAuthorizationToken".to_owned()]));
        }
    }
}

#[test]
fn a_function_knows_where_it_is_and_what_it_is_for() {
    let desired = derived(chain());
    let mut lines: Vec<String> = functions(&desired)
        .map(|function| {
            let variables = function.environment.iter().map(|(name, value)| {
                let value = if name == "LIMINAL_TASK_DEFINITION" { without_digest(value) } else { value };
                format!("{name}={value}")
            });
            let variables = variables.collect::<Vec<_>>().join(" ");
            let FunctionSpec { runtime, handler, memory_mib, disk_mib, timeout_seconds, log_group, .. } = function;
            let name = without_digest(&function.name()).to_owned();
            format!(
                "{name}: {runtime} {handler} {memory_mib} MiB, {disk_mib} MiB, {timeout_seconds}s, {log_group}\n  {variables}"
            )
        })
        .collect();
    lines.sort();
    insta::assert_snapshot!(lines.join("\n"), @"
    liminal-shop-prod-starter: provided.al2023 bootstrap 1024 MiB, 10240 MiB, 300s, /liminal/shop/prod/starter
      LIMINAL_BUCKET=data LIMINAL_ENVIRONMENT=prod LIMINAL_MODE=start LIMINAL_PROJECT=shop
    liminal-shop-prod-train-fetch: python3.11 liminal_handler.handler 2048 MiB, 10240 MiB, 120s, /liminal/shop/prod/train/fetch
      LIMINAL_BUCKET=data LIMINAL_ENVIRONMENT=prod LIMINAL_MODE=step LIMINAL_PROJECT=shop
    liminal-shop-prod-train-fit-dispatch: provided.al2023 bootstrap 512 MiB, 512 MiB, 120s, /liminal/shop/prod/train/fit
      LIMINAL_BUCKET=data LIMINAL_CLUSTER=liminal LIMINAL_ENVIRONMENT=prod LIMINAL_MODE=dispatch LIMINAL_PROJECT=shop LIMINAL_PUBLIC_IP=false LIMINAL_SECURITY_GROUPS= LIMINAL_SUBNETS=subnet-0a1b2c3d LIMINAL_TASK_DEFINITION=liminal-shop-prod-train-fit
    ");
}

#[test]
fn a_task_is_as_large_as_its_step_asks_and_fetches_its_own_bundle() {
    let mut release = chain();
    let fit = release.steps.get_mut("fit").expect("it is there");
    fit.resources = liminal_schemas::step::Resources { memory_mib: Some(5000), cpu: 2, disk_mib: Some(30_000) };
    let desired = derived(release);
    let mut tasks = desired.resources.values().filter_map(|resource| match &resource.spec {
        ResourceSpec::Task(task) => Some(task),
        _ => None,
    });
    let task = tasks.next().expect("a task");
    assert_eq!((task.cpu, task.memory_mib, task.disk_gib), (2048, 5120, Some(30)));
    assert_eq!(task.image, "123456789012.dkr.ecr.eu-central-1.amazonaws.com/liminal:python3.11");
    assert_eq!(task.environment["LIMINAL_BUNDLE"], task.bundle.digest.hex());
    let bundle = desired.resources[&task.bundle].spec.as_bundle().expect("a bundle");
    assert_eq!((bundle.runner, bundle.python.as_deref()), (None, Some("3.11")));
}

/// One of its steps uses two of three secrets.
pub(crate) fn chain_with_secrets() -> Release {
    let mut release = chain();
    let references = [
        ("database", SecretRef::SecretsManager { name: "db/main".to_owned(), key: Some("password".to_owned()) }),
        ("token", SecretRef::Parameter("/shop/token".to_owned())),
        ("unused", SecretRef::Parameter("/shop/unused".to_owned())),
    ];
    release.secrets.extend(references.map(|(name, reference)| (field(name), reference)));
    let template = Template::parse("{{ secrets.database }}{{ secrets.token }}").expect("a template");
    step_of(&mut release, "fit").env.insert("KEYS".to_owned(), template);
    release
}

#[test]
fn a_step_may_read_the_secrets_that_it_names_and_no_other() {
    let desired = derived(chain_with_secrets());
    let roles = desired.resources.values().filter_map(|resource| resource.spec.as_role());
    let readers = roles.filter_map(|role| {
        let reads = |it: &&Statement| it.sid == "ReadSecrets" || it.sid == "ReadParameters";
        let statements: Vec<String> = role.statements.iter().filter(reads).map(shown).collect();
        (!statements.is_empty()).then(|| format!("{}\n{}", role.name_parts.join("-"), statements.join("\n")))
    });
    insta::assert_snapshot!(readers.collect::<Vec<_>>().join("\n"), @"
    shop-prod-train-fit-task
      ReadSecrets: secretsmanager:GetSecretValue on arn:aws:secretsmanager:…:secret:db/main-??????
      ReadParameters: ssm:GetParameter on arn:aws:ssm:…:parameter/shop/token
    ");
}

#[test]
fn gates_and_registrations_get_nothing_of_their_own() {
    let desired = derived(chain());
    let served: BTreeSet<&StepName> =
        desired.resources.values().filter_map(|resource| Some(&resource.serves.as_ref()?.step)).collect();
    assert_eq!(served.into_iter().map(StepName::as_str).collect::<Vec<_>>(), ["fetch", "fit"]);
}

#[test]
fn every_need_is_there_and_names_its_own_kind_of_thing() {
    let mut release = chain();
    release.triggers = vec![objects(None, "in/"), hourly()];
    let desired = derived(release);
    for (address, resource) in &desired.resources {
        assert_eq!(*address, resource.spec.address());
        for need in &resource.needs {
            let is_package = need.kind == liminal_schemas::state::ResourceKind::Package;
            assert!(is_package || desired.resources.contains_key(need), "{address} needs {need}");
        }
    }
}

pub(crate) fn objects(bucket: Option<&str>, prefix: &str) -> Trigger {
    let (bucket, prefix) = (bucket.map(str::to_owned), prefix.to_owned());
    Trigger { on: TriggerSource::Object { bucket, prefix, suffix: ".csv".to_owned() }, params: BTreeMap::new() }
}

pub(crate) fn hourly() -> Trigger {
    let on = TriggerSource::Schedule { expression: "rate(1 hour)".to_owned(), timezone: "UTC".to_owned() };
    Trigger { on, params: BTreeMap::new() }
}

#[test]
fn what_starts_runs_follows_from_triggers() {
    let mut release = chain();
    release.triggers =
        vec![objects(None, "in/"), objects(Some("other"), "x/"), objects(Some("other"), "x/y/"), hourly()];
    let trigger = release.triggers[3].digest();
    let desired = derived(release);
    let mut lines = Vec::new();
    for resource in desired.resources.values() {
        match &resource.spec {
            ResourceSpec::Schedule(it) => {
                lines.push(format!("{} {} {}", it.name_parts.join("-"), it.expression, it.message));
            }
            ResourceSpec::Notification(it) => lines.push(format!("{} {} {:?}", it.bucket, it.id_prefix, it.filters)),
            ResourceSpec::Rule(it) => lines.push(it.pattern.clone()),
            ResourceSpec::Queue(it) if it.name.contains("-triggers-") => lines.push(format!("{it:?}")),
            _ => {}
        }
    }
    lines.sort();
    insta::assert_snapshot!(lines.join("\n").replace(&trigger.to_string(), "<trigger>"), @r#"
    QueueSpec { name: "liminal-shop-prod-triggers-58dc7bf3", visibility_seconds: 1800, max_receives: 5, senders: {"events.amazonaws.com": {"arn:aws:events:eu-central-1:123456789012:rule/liminal-shop-prod-tasks-c2989ef1"}, "s3.amazonaws.com": {"arn:aws:s3:::data", "arn:aws:s3:::other"}} }
    data liminal-shop-prod-58dc7bf3- {KeyFilter { prefix: "in/", suffix: ".csv" }}
    other liminal-shop-prod-58dc7bf3- {KeyFilter { prefix: "x/", suffix: ".csv" }}
    shop-prod-sweep rate(1 minute) {"liminal":"sweep"}
    shop-prod-train rate(1 hour) {"liminal":"schedule","pipeline":"train","trigger":"45db14106333e7c4d10dc9e9b0e5b1e56b181e57c39216cecde26b2ad8d38665","time":"<aws.scheduler.scheduled-time>"}
    {"detail":{"clusterArn":["arn:aws:ecs:eu-central-1:123456789012:cluster/liminal"],"group":[{"prefix":"family:liminal-shop-prod-"}],"lastStatus":["STOPPED"]},"detail-type":["ECS Task State Change"],"source":["aws.ecs"]}
    "#);
}

#[test]
fn a_queue_is_found_by_whoever_has_the_step() {
    let release = chain();
    let digest = release.steps["fit"].digest();
    let (project, environment) =
        (ProjectName::new("shop").expect("valid"), EnvironmentName::new("prod").expect("valid"));
    let name =
        liminal_schemas::aws::names::step_queue(&project, &environment, &pipeline("train"), &step("fit"), &digest);
    let desired = derived(release);
    let queue = desired.resources.values().find_map(|resource| match &resource.spec {
        ResourceSpec::Queue(queue) if queue.name == name => Some(queue),
        _ => None,
    });
    let queue = queue.expect("it is there");
    assert_eq!((queue.visibility_seconds, queue.max_receives), (720, 5), "six times what its function takes");
}

#[test]
fn a_change_in_one_step_touches_no_resource_of_another() {
    let (before, mut after) = (derived(chain()), chain());
    after.steps.get_mut("fetch").expect("it is there").resources.memory_mib = Some(4096);
    let after = derived(after);
    let changed: BTreeSet<Option<&StepName>> = before
        .resources
        .iter()
        .filter(|(address, _)| !after.resources.contains_key(address))
        .map(|(_, resource)| resource.serves.as_ref().map(|served| &served.step))
        .collect();
    assert_eq!(changed, BTreeSet::from([Some(&step("fetch"))]));
}

#[test]
fn dependencies_that_are_too_large_for_lambda_move_a_step_to_fargate() {
    let mut release = chain();
    release.steps.get_mut("fit").expect("it is there").compute = Compute::Fargate;
    let mut wanted = Wanted::of(release);
    let python = package(Some("3.11")).python.expect("it has one").digest();
    wanted.sizes.insert(python, 312 * 1024 * 1024);
    let placements = wanted.derive().expect("it can be carried out").placements;
    let fetch = placements.iter().find(|it| it.step == step("fetch")).expect("it is placed");
    assert_eq!(
        (fetch.compute, fetch.reason.as_str()),
        (Compute::Fargate, "its package unpacks to 312 MiB, and Lambda takes less than 250 MiB")
    );
}

type Edit = fn(&mut Release);

#[test]
fn a_task_without_a_network_is_refused_before_anything_is_made() {
    let mut release = chain();
    step_of(&mut release, "fit").compute = Compute::Fargate;
    let mut wanted = Wanted::of(release);
    wanted.spec.fargate.subnets.clear();
    wanted.place.endpoint = Some("http://127.0.0.1:4566".to_owned());
    assert!(wanted.derive().is_ok(), "emulators start tasks without one");
    wanted.place.endpoint = None;
    let problems = wanted.derive().expect_err("ECS takes no task without subnets");
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @"step train/fit runs on Fargate (its definition says so), and the environment names no subnets: give it `fargate: {subnets: [subnet-…]}`");
    wanted.spec.fargate.subnets = vec!["subnet-0a1b2c3d".to_owned()];
    assert!(wanted.derive().is_ok());
}

#[test]
fn all_problems_are_told_at_once() {
    let edits: [Edit; 4] = [
        |release| {
            let fit = step_of(release, "fit");
            fit.compute = Compute::Lambda;
        },
        |release| {
            let fetch = step_of(release, "fetch");
            fetch.env.insert("TOKEN".to_owned(), Template::parse("{{ secrets.token }}").expect("a template"));
            release.secrets.insert(field("token"), SecretRef::Env("TOKEN".to_owned()));
        },
        |release| release.triggers.push(objects(None, "shop/prod/in/")),
        |release| {
            let mut other = call("other", Some(Digest::of_bytes(b"nobody knows")), 60);
            other.after.insert(step("fetch"));
            release.steps.insert(step("other"), other);
        },
    ];
    let mut release = chain();
    for edit in edits {
        edit(&mut release);
    }
    let problems = Wanted::of(release).derive().expect_err("it can not be carried out");
    let lines = problems.iter().map(|problem| match std::error::Error::source(problem) {
        Some(source) => format!("{problem}: {source}"),
        None => problem.to_string(),
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @"
    step train/fetch uses the secret token, which is an environment variable of this machine (`env:TOKEN`); functions have no such variable: refer to Secrets Manager or the Parameter Store instead
    step train/fit can run nowhere: its attempts may take 2h, and Lambda takes 15m; write `compute: fargate`, or leave `compute` out, to run it on Fargate
    step train/other names the package 03982e2a, whose document is not known
    a trigger of pipeline train is for objects under `shop/prod/in/` in the bucket data, where liminal keeps its own, which start no runs; give it another prefix
    ");
}

fn step_of<'a>(release: &'a mut Release, name: &str) -> &'a mut StepSpec {
    release.steps.get_mut(name).expect("it is there")
}

#[test]
fn a_long_pipeline_has_permissions_that_iam_takes() {
    let mut steps = BTreeMap::new();
    for index in 0..100 {
        let mut spec = call("m", None, 60);
        if index > 0 {
            spec.after.insert(step(&format!("a_step_with_a_rather_long_name_{:03}", index - 1)));
        }
        steps.insert(step(&format!("a_step_with_a_rather_long_name_{index:03}")), spec);
    }
    let desired = derived(release("a_pipeline_with_a_rather_long_name", steps));
    assert_eq!(desired.placements.len(), 100);
    let names: BTreeSet<String> =
        functions(&desired).map(FunctionSpec::name).inspect(|name| assert!(name.len() <= 64)).collect();
    assert_eq!(names.len(), 101, "each function has a name of its own");
}

#[test]
fn a_step_that_maps_over_objects_may_read_these_and_no_others() {
    let mut lines = Vec::new();
    for bucket in [None, Some("uploads")] {
        let mut release = chain();
        let filter =
            ObjectFilter { bucket: bucket.map(str::to_owned), prefix: "in/".to_owned(), suffix: ".csv".to_owned() };
        for name in ["fetch", "fit"] {
            step_of(&mut release, name).map = Some(MapSpec {
                over: MapSource::Objects(filter.clone()),
                batch: None,
                max_concurrency: None,
                tolerated_failures: Tolerance::default(),
            });
        }
        let desired = derived(release);
        let mut roles: Vec<_> = desired.resources.values().filter_map(|resource| resource.spec.as_role()).collect();
        roles.sort_by_key(|role| role.name_parts.clone());
        for role in roles {
            let of_items = |it: &&Statement| it.sid == "ListItems" || it.sid == "ReadItems";
            let statements = role.statements.iter().filter(of_items).map(shown);
            lines.extend(statements.map(|statement| format!("{}{statement}", role.name_parts.join("-"))));
        }
    }
    insta::assert_snapshot!(lines.join("\n"), @"
    shop-prod-train-fetch  ListItems: s3:ListBucket on arn:aws:s3:::data if StringLike s3:prefix in/*
    shop-prod-train-fetch  ReadItems: s3:GetObject on arn:aws:s3:::data/in/*.csv
    shop-prod-train-fit-dispatch  ListItems: s3:ListBucket on arn:aws:s3:::data if StringLike s3:prefix in/*
    shop-prod-train-fit-task  ListItems: s3:ListBucket on arn:aws:s3:::data if StringLike s3:prefix in/*
    shop-prod-train-fit-task  ReadItems: s3:GetObject on arn:aws:s3:::data/in/*.csv
    shop-prod-train-fetch  ListItems: s3:ListBucket on arn:aws:s3:::uploads if StringLike s3:prefix in/*
    shop-prod-train-fetch  ReadItems: s3:GetObject on arn:aws:s3:::uploads/in/*.csv
    shop-prod-train-fit-dispatch  ListItems: s3:ListBucket on arn:aws:s3:::uploads if StringLike s3:prefix in/*
    shop-prod-train-fit-task  ListItems: s3:ListBucket on arn:aws:s3:::uploads if StringLike s3:prefix in/*
    shop-prod-train-fit-task  ReadItems: s3:GetObject on arn:aws:s3:::uploads/in/*.csv
    ");
}

#[test]
fn steps_of_a_pipeline_in_a_pipeline_have_resources_of_their_own() {
    let mut release = chain();
    let fetch = release.steps.remove("fetch").expect("it is there");
    release.steps.insert(step("features/fetch"), fetch);
    step_of(&mut release, "fit").inputs.insert(field("data"), from_step("features/fetch", "raw"));
    let desired = derived(release);
    let mut names: Vec<String> = desired
        .resources
        .values()
        .filter_map(|resource| match &resource.spec {
            ResourceSpec::Function(function) => Some(without_digest(&function.name()).to_owned()),
            ResourceSpec::Queue(queue) => Some(format!("queue {}", without_digest(&queue.name))),
            ResourceSpec::Logs(logs) => Some(logs.name.clone()),
            ResourceSpec::Role(role) => {
                Some(format!("role {} for {}", without_digest(&role.name()), role.name_parts.join(" ")))
            }
            _ => None,
        })
        .filter(|name| name.contains("features"))
        .collect();
    names.sort();
    let role = desired.resources.values().filter_map(|resource| resource.spec.as_role());
    let settles = role.flat_map(|role| &role.statements).filter(|it| it.sid == "WriteAttempts").map(shown);
    names.extend(settles);
    insta::assert_snapshot!(names.join("\n"), @r"
    /liminal/shop/prod/train/features/fetch
    liminal-shop-prod-train-features--fetch
    queue liminal-shop-prod-train-features--fetch
    role liminal-shop-prod-train-features--fetch for shop prod train features/fetch
      WriteAttempts: s3:GetObject s3:PutObject on ~/runs/train/*/steps/features.fetch/attempts/*
      WriteAttempts: s3:GetObject s3:PutObject on ~/runs/train/*/steps/fit/attempts/*
      WriteAttempts: s3:GetObject s3:PutObject on ~/runs/train/*/steps/fit/attempts/*
    ");
}
