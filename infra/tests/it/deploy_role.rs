//! What the role of a CI may do, held against what the control plane calls and what its resources are named: the actions are
//! read from the sources, where errors name them, and the policy is evaluated as IAM evaluates it.
//!
//! Which action is about which kind of thing, and which about none, is told by the Service Authorization Reference of AWS
//! (2026-11). The role that the same template bounds is held against the permissions that are derived for roles.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;

use liminal_infra::aws::bootstrap::template::Deployer;
use liminal_infra::aws::bootstrap::template::Template;
use liminal_schemas::aws::names;
use liminal_schemas::aws::names::DEAD_LETTER_SUFFIX;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::digest::Digest;
use serde_json::Value;

use crate::aws_desired::chain_with_secrets;
use crate::aws_desired::derived;
use crate::aws_desired::hourly;
use crate::aws_desired::objects;
use crate::fixture::place;
use crate::policies::Context;
use crate::policies::allows;
use crate::policies::grants;
use crate::receiver;

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Function,
    Mapping,
    Queue,
    TriggerQueue,
    DeadLetterQueue,
    Role,
    Logs,
    Schedule,
    Rule,
    Task,
    Bucket,
    Object,
    Repository,
}

/// What the calls of each file of `infra/src/aws` are about.
const ABOUT: &[(&str, Thing)] = &[
    ("bucket.rs", Thing::Bucket),
    ("bundle.rs", Thing::Object),
    ("function.rs", Thing::Function),
    ("image.rs", Thing::Repository),
    ("log_group.rs", Thing::Logs),
    ("mapping.rs", Thing::Mapping),
    ("notification.rs", Thing::Bucket),
    ("queue.rs", Thing::Queue),
    ("role.rs", Thing::Role),
    ("rule.rs", Thing::Rule),
    ("schedule.rs", Thing::Schedule),
    ("task_definition.rs", Thing::Task),
    ("ticks.rs", Thing::TriggerQueue),
    // What it sends again goes where `OPERATIONS` has it.
    ("undelivered.rs", Thing::DeadLetterQueue),
];

/// Files whose calls are not made by whoever deploys, with the reason.
const NOT_DEPLOYING: &[(&str, &str)] = &[
    ("account.rs", "nobody needs a permission to ask who they are"),
    ("function_url.rs", "a receiver is made by whoever administers the account: it opens an address to the internet"),
    ("policy.rs", "documents for roles and queues, and no calls"),
    ("running_tasks.rs", "stands in for AWS beside an emulator that only records tasks"),
];

/// Texts that look like actions.
const NO_ACTIONS: &[&str] = &["s3:TestEvent"];

/// Actions that are about nothing by name, so that only `*` grants them.
const ABOUT_NOTHING: &[&str] = &[
    "ecs:DeregisterTaskDefinition",
    "ecs:DescribeTaskDefinition",
    "ecs:ListTaskDefinitionFamilies",
    "ecs:ListTaskDefinitions",
    "events:ListRules",
    "iam:ListRoles",
    "lambda:CreateEventSourceMapping",
    "lambda:ListEventSourceMappings",
    "lambda:ListFunctions",
    "logs:DescribeLogGroups",
    "scheduler:ListSchedules",
    "sqs:ListQueues",
];

/// What AWS asks for besides the action that a call is named by, with the reason.
const IMPLIED: &[(&str, Thing, &str)] = &[
    ("ecs:TagResource", Thing::Task, "made with tags"),
    ("events:TagResource", Thing::Rule, "made with tags"),
    ("iam:PassRole", Thing::Role, "functions, tasks and schedules get roles"),
    ("iam:TagRole", Thing::Role, "made with tags"),
    ("lambda:ListTags", Thing::Function, "GetFunction tells tags only to those who may list them"),
    ("lambda:TagResource", Thing::Function, "made with tags"),
    ("lambda:TagResource", Thing::Mapping, "made with tags"),
    ("logs:TagResource", Thing::Logs, "made with tags"),
    ("s3:AbortMultipartUpload", Thing::Object, "a bundle or an artifact that did not arrive whole"),
    ("s3:GetObject", Thing::Object, "Lambda reads the code of a function for whoever makes it"),
    ("sqs:TagQueue", Thing::Queue, "made with tags"),
];

/// What the requests of the data plane need that are made at a terminal too, where runs are started and looked at: those
/// of `functions/src/aws`, by the names of operations. None for what only runners and agents do.
const OPERATIONS: &[(&str, Option<(&str, Thing)>)] = &[
    ("ChangeMessageVisibility", None),
    ("CompleteMultipartUpload", Some(("s3:PutObject", Thing::Object))),
    ("CreateMultipartUpload", Some(("s3:PutObject", Thing::Object))),
    ("DeleteMessage", None),
    ("DeleteObject", Some(("s3:DeleteObject", Thing::Object))),
    ("GetObject", Some(("s3:GetObject", Thing::Object))),
    ("GetParameter", None),
    ("GetQueueUrl", Some(("sqs:GetQueueUrl", Thing::Queue))),
    ("GetSecretValue", None),
    ("HeadObject", Some(("s3:GetObject", Thing::Object))),
    ("ListObjectsV2", Some(("s3:ListBucket", Thing::Bucket))),
    ("PutObject", Some(("s3:PutObject", Thing::Object))),
    ("ReceiveMessage", None),
    ("RunTask", None),
    ("SendMessage", Some(("sqs:SendMessage", Thing::Queue))),
    ("SendMessageBatch", Some(("sqs:SendMessage", Thing::Queue))),
    ("UploadPart", Some(("s3:PutObject", Thing::Object))),
];

/// The most that the inline policies of a role may have together, in characters (IAM quotas, 2026-11).
const MAX_INLINE: usize = 10_240;

fn deployer() -> Deployer {
    Deployer {
        provider: "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com".to_owned(),
        host: "token.actions.githubusercontent.com".to_owned(),
        subject: "repo:shop/models:environment:production".to_owned(),
    }
}

fn template() -> Template {
    Template::new(&place(), Some(&deployer())).expect("readable")
}

fn deployer_policy() -> Value {
    template().deployer_policy().expect("complete")
}

/// The ARNs of an environment's things, and of some whose names are as long as they can be.
fn things() -> BTreeMap<Thing, BTreeSet<String>> {
    let place = place();
    let mut release = chain_with_secrets();
    release.triggers = vec![objects(None, "in/"), hourly()];
    let mut things: BTreeMap<Thing, BTreeSet<String>> = BTreeMap::new();
    let mut add = |thing, arn: String| {
        things.entry(thing).or_default().insert(arn);
    };
    let arn = |service: &str, resource: &str| names::arn(&place, service, resource);
    for resource in derived(release).resources.values() {
        let name = resource.spec.name();
        match &resource.spec {
            ResourceSpec::Function(_) => add(Thing::Function, arn("lambda", &format!("function:{name}"))),
            ResourceSpec::Queue(_) => {
                let is_trigger = name.starts_with("liminal-shop-prod-triggers-");
                let dead_letters = format!("{name}{DEAD_LETTER_SUFFIX}");
                add(Thing::DeadLetterQueue, arn("sqs", &dead_letters));
                for name in [name.clone(), dead_letters] {
                    add(Thing::Queue, arn("sqs", &name));
                    if is_trigger {
                        add(Thing::TriggerQueue, arn("sqs", &name));
                    }
                }
            }
            ResourceSpec::Role(role) => add(Thing::Role, names::role_arn(&place, &role.path, &name)),
            ResourceSpec::Logs(_) => add(Thing::Logs, arn("logs", &format!("log-group:{name}"))),
            // Schedules are made in the group that every account has.
            ResourceSpec::Schedule(_) => add(Thing::Schedule, arn("scheduler", &format!("schedule/default/{name}"))),
            ResourceSpec::Rule(_) => add(Thing::Rule, arn("events", &format!("rule/{name}"))),
            ResourceSpec::Task(_) => add(Thing::Task, arn("ecs", &format!("task-definition/{name}:1"))),
            ResourceSpec::Mapping(_) => add(Thing::Mapping, arn("lambda", "event-source-mapping:0a0b0c0d")),
            ResourceSpec::Notification(spec) => add(Thing::Bucket, format!("arn:aws:s3:::{}", spec.bucket)),
            ResourceSpec::Bundle(_) => add(Thing::Object, "arn:aws:s3:::data/shop/prod/bundles/0a.zip".to_owned()),
        }
    }
    add(Thing::Repository, arn("ecr", &format!("repository/{}", names::DEFAULT_REPOSITORY)));
    let parts = ["p", "e", "l", "s"].map(|letter| letter.repeat(40));
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let long = names::resource(&parts, &Digest::of_bytes(b"x"), names::MAX_NAME);
    add(Thing::Function, arn("lambda", &format!("function:{long}")));
    add(Thing::Schedule, arn("scheduler", &format!("schedule/default/{long}")));
    add(Thing::Role, names::role_arn(&place, &format!("/liminal/{}/{}/", parts[0], parts[1]), &long));
    things
}

/// What is known of a request beside its action and what it is about.
fn context() -> Context {
    let function = names::arn(&place(), "lambda", "function:liminal-shop-prod-train-fetch-01234567");
    Context::from([
        ("iam:PermissionsBoundary", names::boundary_arn(&place())),
        ("lambda:FunctionArn", function),
        ("aws:TagKeys", "liminal:project".to_owned()),
        ("iam:PassedToService", "lambda.amazonaws.com".to_owned()),
    ])
}

/// The sources of a folder, by name, without their tests.
fn sources(folder: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(&folder).expect("the folder is there").map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let read = files.map(|path| {
        let text = std::fs::read_to_string(&path).expect("readable");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        (path.file_name().expect("a name").to_string_lossy().into_owned(), code)
    });
    read.collect()
}

/// The texts of a source that are written as actions are.
fn actions(source: &str) -> BTreeSet<&str> {
    const SERVICES: [&str; 10] = ["ecr", "ecs", "events", "iam", "lambda", "logs", "s3", "scheduler", "sqs", "sts"];
    let is_action = |text: &&str| {
        text.split_once(':').is_some_and(|(service, action)| {
            SERVICES.contains(&service)
                && action.starts_with(|first: char| first.is_ascii_uppercase())
                && action.chars().all(char::is_alphanumeric)
        })
    };
    source.split('"').filter(is_action).filter(|text| !NO_ACTIONS.contains(text)).collect()
}

/// All actions that the control plane names, each with the files that do.
fn called(sources: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    let is_deploying = |file: &str| NOT_DEPLOYING.iter().all(|(other, _)| *other != file);
    let deploying = sources.iter().filter(|(file, _)| is_deploying(file));
    deploying.flat_map(|(file, source)| actions(source).into_iter().map(|action| (file.as_str(), action))).collect()
}

/// The requests of the data plane that are made at a terminal too.
fn requested() -> Vec<(&'static str, Thing)> {
    let mut sources = sources("../functions/src/aws");
    sources.extend(self::sources("../functions/src/aws/transfer"));
    let mut requested = Vec::new();
    for source in sources.values() {
        for operation in source.split("explain(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let known = OPERATIONS.iter().find(|(name, _)| *name == operation);
            let (_, needed) = known.unwrap_or_else(|| panic!("say in OPERATIONS what {operation} needs"));
            requested.extend(*needed);
        }
    }
    requested
}

#[test]
fn whoever_deploys_may_make_every_call_of_the_control_plane_on_what_it_is_about() {
    let (policy, things, sources) = (deployer_policy(), things(), sources("src/aws"));
    let mut refused = BTreeSet::new();
    let called = called(&sources);
    assert!(called.len() > 50, "{called:?}");
    for (file, action) in called {
        let about = ABOUT.iter().find(|(name, _)| *name == file);
        let (_, thing) = about.unwrap_or_else(|| panic!("say in ABOUT what {action} of {file} is about"));
        let everything = BTreeSet::from(["*".to_owned()]);
        let arns = if ABOUT_NOTHING.contains(&action) { &everything } else { &things[thing] };
        let denied = arns.iter().filter(|arn| !allows(&policy, action, arn, &context()));
        refused.extend(denied.map(|arn| format!("{action} on {arn}")));
    }
    assert_eq!(refused, BTreeSet::new());
}

#[test]
fn whoever_deploys_may_do_what_aws_asks_for_besides_and_what_a_terminal_does_with_runs() {
    let (policy, things) = (deployer_policy(), things());
    let implied = IMPLIED.iter().map(|(action, thing, _)| (*action, *thing));
    let mut refused = BTreeSet::new();
    for (action, thing) in implied.chain(requested()) {
        let denied = things[&thing].iter().filter(|arn| !allows(&policy, action, arn, &context()));
        refused.extend(denied.map(|arn| format!("{action} on {arn}")));
    }
    for service in ["lambda.amazonaws.com", "ecs-tasks.amazonaws.com", "scheduler.amazonaws.com"] {
        let to = Context::from([("iam:PassedToService", service.to_owned())]);
        let denied = things[&Thing::Role].iter().filter(|arn| !allows(&policy, "iam:PassRole", arn, &to));
        refused.extend(denied.map(|arn| format!("iam:PassRole of {arn} to {service}")));
    }
    assert_eq!(refused, BTreeSet::new());
}

#[test]
fn whoever_deploys_may_do_nothing_that_nothing_needs() {
    let (policy, sources) = (deployer_policy(), sources("src/aws"));
    let called = called(&sources).into_iter().map(|(_, action)| action);
    let needed = called.chain(IMPLIED.iter().map(|(action, _, _)| *action));
    let needed: BTreeSet<&str> = needed.chain(requested().into_iter().map(|(action, _)| action)).collect();
    let granted = grants(&policy);
    let idle: Vec<&String> = granted.iter().filter(|action| !needed.contains(action.as_str())).collect();
    assert_eq!(idle, Vec::<&String>::new());
}

#[test]
fn whoever_deploys_may_touch_nothing_of_others_and_lift_no_boundary() {
    let (policy, place) = (deployer_policy(), place());
    let arn = |service: &str, resource: &str| names::arn(&place, service, resource);
    let ours = names::role_arn(&place, "/liminal/shop/prod/", "liminal-shop-prod-train-fit-0a0a0a0a");
    let other = |key: &'static str, value: &str| {
        let mut context = context();
        context.insert(key, value.to_owned());
        context
    };
    let administrator = "arn:aws:iam::aws:policy/AdministratorAccess";
    let refused = [
        ("lambda:UpdateFunctionCode", arn("lambda", "function:billing"), context()),
        ("sqs:SendMessage", arn("sqs", "billing"), context()),
        ("sqs:ReceiveMessage", arn("sqs", "liminal-shop-prod-train-fit-0a0a0a0a"), context()),
        ("sqs:DeleteMessage", arn("sqs", "liminal-shop-prod-train-fit-0a0a0a0a"), context()),
        ("sqs:ReceiveMessage", arn("sqs", "billing-dlq"), context()),
        ("logs:DeleteLogGroup", arn("logs", "log-group:/aws/lambda/billing"), context()),
        ("scheduler:DeleteSchedule", arn("scheduler", "schedule/default/billing"), context()),
        ("events:PutTargets", arn("events", "rule/billing"), context()),
        ("ecs:RegisterTaskDefinition", arn("ecs", "task-definition/billing:1"), context()),
        ("lambda:CreateEventSourceMapping", "*".to_owned(), other("lambda:FunctionArn", &arn("lambda", "function:x"))),
        ("lambda:TagResource", arn("lambda", "event-source-mapping:0a"), other("aws:TagKeys", "cost-center")),
        ("s3:PutBucketNotification", "arn:aws:s3:::other".to_owned(), context()),
        ("s3:GetObject", "arn:aws:s3:::other/x".to_owned(), context()),
        ("iam:PutRolePolicy", names::role_arn(&place, "/", &deployer().role_name(&place)), context()),
        ("iam:CreateRole", "arn:aws:iam::123456789012:role/administrator".to_owned(), context()),
        ("iam:CreateRole", ours.clone(), Context::new()),
        ("iam:PutRolePolicy", ours.clone(), Context::new()),
        ("iam:PutRolePermissionsBoundary", ours.clone(), other("iam:PermissionsBoundary", administrator)),
        ("iam:DeleteRolePermissionsBoundary", ours.clone(), context()),
        ("iam:AttachRolePolicy", ours.clone(), context()),
        ("iam:PassRole", ours, other("iam:PassedToService", "ec2.amazonaws.com")),
        ("iam:CreatePolicyVersion", names::boundary_arn(&place), context()),
    ];
    for (action, arn, context) in refused {
        assert!(!allows(&policy, action, &arn, &context), "{action} on {arn}");
    }
}

#[test]
fn the_policy_of_whoever_deploys_is_not_longer_than_iam_takes() {
    let length = deployer_policy().to_string().len();
    assert!(length <= MAX_INLINE, "{length}");
}

#[test]
fn the_boundary_leaves_every_role_what_is_derived_for_it() {
    let boundary = template().boundary().expect("complete");
    let mut release = chain_with_secrets();
    release.triggers = vec![objects(None, "in/"), objects(Some("other"), "x/"), hourly()];
    let mut resources: Vec<_> = derived(release).resources.into_values().collect();
    resources.extend(receiver::of(&receiver::managed(), "runner").expect("a receiver"));
    let mut refused = BTreeSet::new();
    for role in resources.iter().filter_map(|resource| resource.spec.as_role()) {
        for statement in &role.statements {
            let passed = Context::from([
                ("iam:PassedToService", "ecs-tasks.amazonaws.com".to_owned()),
                ("aws:ResourceAccount", place().account),
            ]);
            let pairs =
                statement.actions.iter().flat_map(|action| statement.resources.iter().map(move |to| (action, to)));
            let denied = pairs.filter(|(action, to)| !allows(&boundary, action, to, &passed));
            refused.extend(denied.map(|(action, to)| format!("{}: {action} on {to}", statement.sid)));
        }
    }
    assert_eq!(refused, BTreeSet::new());
}

#[test]
fn the_boundary_lets_roles_write_to_buckets_of_the_account_and_of_liminal_alone() {
    let (boundary, place) = (template().boundary().expect("complete"), place());
    let of = |account: &str| Context::from([("aws:ResourceAccount", account.to_owned())]);
    let by_default = format!("arn:aws:s3:::{}/x", names::default_bucket(&place.account, "us-east-1"));
    let own = format!("arn:aws:s3:::{}/x", place.bucket);
    for action in ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"] {
        for arn in [&own, &by_default] {
            assert!(allows(&boundary, action, arn, &of(&place.account)), "{action} on {arn}");
            assert!(!allows(&boundary, action, arn, &of("111122223333")), "{action} on {arn} of somebody else");
        }
        assert!(!allows(&boundary, action, "arn:aws:s3:::billing/x", &of(&place.account)), "{action}");
    }
    assert!(allows(&boundary, "s3:GetObject", "arn:aws:s3:::incoming/x", &Context::new()));
}
