//! How AWS refuses what passes, and what does not: rules that the emulators do not have. Time is tokio's and stands still
//! but for pauses, so that two minutes of waiting take none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use liminal_infra::aws::AwsError;
use liminal_infra::aws::AwsResources;
use liminal_infra::aws::BundleFacts;
use liminal_infra::aws::Clients;
use liminal_infra::aws::Owner;
use liminal_infra::aws::Site;
use liminal_infra::memory::MemoryObjects;
use liminal_infra::ports::PortError;
use liminal_infra::ports::Resources as _;
use liminal_schemas::aws::Arch;
use liminal_schemas::aws::AwsPlace;
use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::aws::resource::FunctionSpec;
use liminal_schemas::aws::resource::KeyFilter;
use liminal_schemas::aws::resource::MappingSpec;
use liminal_schemas::aws::resource::NotificationSpec;
use liminal_schemas::aws::resource::QueueSpec;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::aws::resource::RoleSpec;
use liminal_schemas::aws::resource::ScheduleSpec;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::state::ResourceAddress;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::answers::Answer;
use crate::answers::Answers;
use crate::answers::Call;
use crate::answers::answering;
use crate::documents;
use crate::objects::NoFiles;
use crate::objects::SmallBundles;

const ROLE: &str = "arn:aws:iam::111122223333:role/liminal/shop/dev/liminal-shop-dev-train-fit-01234567";
const NOT_ASSUMABLE: &str = "The role defined for the function cannot be assumed by Lambda.";
const FUNCTIONS: &str = "POST /2015-03-31/functions";
const MAPPINGS: &str = "POST /2015-03-31/event-source-mappings";
const LIST_MAPPINGS: &str = "GET /2015-03-31/event-source-mappings";

fn function() -> FunctionSpec {
    FunctionSpec {
        lasting_name: None,
        name_parts: ["shop", "dev", "train", "fit"].map(str::to_owned).to_vec(),
        runtime: "python3.11".to_owned(),
        handler: "liminal_handler.handle".to_owned(),
        bundle: documents::bundle().address(),
        role: ROLE.to_owned(),
        memory_mib: 512,
        disk_mib: 1024,
        timeout_seconds: 60,
        arch: Arch::X86_64,
        environment: BTreeMap::from([("LIMINAL_MODE".to_owned(), "step".to_owned())]),
        log_group: "/liminal/shop/dev/train/fit".to_owned(),
    }
}

fn facts() -> BundleFacts {
    BundleFacts { sha256: Digest::of_bytes(b"a zip"), zipped_bytes: 5, unzipped_bytes: 5 }
}

/// Makes a resource against answers; tells how it went, and how long it took.
async fn make(answers: &Answers, spec: ResourceSpec) -> (Result<(), PortError>, Duration) {
    let address = spec.address();
    let documents = BTreeMap::from([(address.clone(), CloudResource { spec, needs: [].into(), serves: None })]);
    let objects = MemoryObjects::default();
    let bundle = documents::bundle().address();
    objects.overwrite(&keys::bundle_facts(&bundle.digest), &serde_json::to_vec(&facts()).expect("JSON"));
    let site = Site {
        clients: Clients::with_config(&answers.config()),
        place: AwsPlace {
            partition: "aws".to_owned(),
            region: "eu-central-1".to_owned(),
            account: "111122223333".to_owned(),
            bucket: "liminal-111122223333-eu-central-1".to_owned(),
            endpoint: None,
        },
        owner: owner(),
    };
    let resources = AwsResources {
        site: &site,
        objects: &objects,
        bundles: &SmallBundles::default(),
        files: &NoFiles,
        packages: &BTreeMap::new(),
        documents: &documents,
        delete_messages: false,
    };
    let start = Instant::now();
    let outcome = resources.create(&address).await;
    (outcome, start.elapsed())
}

fn owner() -> Owner {
    Owner {
        project: ProjectName::new("shop").expect("a name"),
        environment: EnvironmentName::new("dev").expect("a name"),
    }
}

fn tags(address: &ResourceAddress) -> Value {
    json!({ "liminal:project": "shop", "liminal:environment": "dev", "liminal:resource": address.to_string() })
}

/// A function as `GetFunction` shows it.
fn shown(spec: &FunctionSpec, revision: &str, state: &str) -> Value {
    let code = facts().code_sha256();
    json!({
        "Configuration": {
            "FunctionName": spec.name(),
            "Runtime": spec.runtime,
            "Role": spec.role,
            "Handler": spec.handler,
            "Timeout": spec.timeout_seconds,
            "MemorySize": spec.memory_mib,
            "Architectures": ["x86_64"],
            "EphemeralStorage": { "Size": spec.disk_mib },
            "LoggingConfig": { "LogFormat": "Text", "LogGroup": spec.log_group },
            "Environment": { "Variables": spec.environment },
            "Description": format!("liminal code {code}"),
            "CodeSha256": code,
            "RevisionId": revision,
            "State": state,
            "LastUpdateStatus": "Successful",
        },
        "Tags": tags(&ResourceSpec::Function(Box::new(spec.clone())).address()),
    })
}

/// A stopwatch that starts when it is first read.
#[derive(Clone, Default)]
struct Watch(Arc<Mutex<Option<Instant>>>);

impl Watch {
    fn seconds(&self) -> u64 {
        self.0.lock().expect("a time").get_or_insert_with(Instant::now).elapsed().as_secs()
    }
}

/// How often something happened.
#[derive(Clone, Default)]
struct Count(Arc<Mutex<usize>>);

impl Count {
    fn next(&self) -> usize {
        let mut count = self.0.lock().expect("a number");
        *count += 1;
        *count
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_that_becomes_known_after_20_seconds_is_waited_for() {
    // The second is about the key that variables are encrypted with, which is granted to the role.
    const NO_PRINCIPAL: &str = "Lambda was unable to configure access to your environment variables because the KMS key is invalid for CreateGrant. Please check your KMS key settings. KMS Exception: InvalidArnException KMS Message: ARN does not refer to a valid principal";
    for refusal in [NOT_ASSUMABLE, NO_PRINCIPAL] {
        let watch = Watch::default();
        let answers = answering(move |call| match call.operation.as_str() {
            FUNCTIONS if watch.seconds() < 20 => Answer::refusal(400, "InvalidParameterValueException", refusal),
            FUNCTIONS => Answer::json(&shown(&function(), "1", "Pending")["Configuration"]),
            _ => Answer::json(&shown(&function(), "1", "Active")),
        });
        let (outcome, took) = make(&answers, ResourceSpec::Function(Box::new(function()))).await;
        outcome.expect("a function");
        assert!((20..40).contains(&took.as_secs()), "{took:?}");
        assert!((4..10).contains(&answers.count(FUNCTIONS)), "{}", answers.count(FUNCTIONS));
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_that_never_becomes_usable_is_named_with_what_aws_says_within_two_minutes() {
    let answers = answering(|_| Answer::refusal(400, "InvalidParameterValueException", NOT_ASSUMABLE));
    let (outcome, took) = make(&answers, ResourceSpec::Function(Box::new(function()))).await;
    let error = outcome.expect_err("no role");
    assert!(took <= Duration::from_mins(2), "{took:?}");
    assert!(matches!(error.downcast_ref(), Some(AwsError::RoleNotUsable { .. })), "{error}");
    assert!(error.to_string().contains(ROLE) && error.to_string().contains(NOT_ASSUMABLE), "{error}");
}

fn role(boundary: Option<String>) -> ResourceSpec {
    ResourceSpec::Role(RoleSpec {
        path: "/liminal/shop/dev/".to_owned(),
        name_parts: ["shop", "dev", "train", "fit"].map(str::to_owned).to_vec(),
        service: "lambda.amazonaws.com".to_owned(),
        account: "111122223333".to_owned(),
        boundary,
        statements: Vec::new(),
    })
}

const NO_ENTITY: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>The role with name x cannot be found.</Message></Error></ErrorResponse>";

#[tokio::test(start_paused = true)]
async fn a_new_role_that_is_not_known_everywhere_is_waited_for_before_its_permissions_are_written() {
    const MADE: &str = "<CreateRoleResponse><CreateRoleResult><Role><Path>/</Path><RoleName>x</RoleName><RoleId>x</RoleId><Arn>x</Arn><CreateDate>2026-11-25T00:00:00Z</CreateDate></Role></CreateRoleResult></CreateRoleResponse>";
    let watch = Watch::default();
    let answers = answering(move |call| match call.operation.as_str() {
        "CreateRole" => Answer::xml(200, MADE),
        "PutRolePolicy" if watch.seconds() < 10 => Answer::xml(404, NO_ENTITY),
        "PutRolePolicy" => Answer::xml(200, "<PutRolePolicyResponse/>"),
        other => panic!("{other}"),
    });
    let (outcome, took) = make(&answers, role(None)).await;
    outcome.expect("a role");
    assert!((10..20).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_boundary_that_the_account_does_not_have_is_named_with_what_makes_it() {
    let answers = answering(|_| Answer::xml(404, NO_ENTITY));
    let (outcome, _) = make(&answers, role(Some("arn:aws:iam::111122223333:policy/liminal-boundary".to_owned()))).await;
    let error = outcome.expect_err("no boundary").to_string();
    assert!(error.contains("policy/liminal-boundary") && error.contains("liminal bootstrap"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_no_waiting_helps_is_said_at_once() {
    for (code, message) in [
        (
            "InvalidParameterValueException",
            "Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: AWS_REGION",
        ),
        ("InvalidParameterValueException", "Error occurred while GetObject. S3 Error Code: NoSuchKey."),
        ("CodeStorageExceededException", "Code storage limit exceeded."),
        (
            "AccessDeniedException",
            "User: arn:aws:iam::111122223333:user/x is not authorized to perform: lambda:CreateFunction",
        ),
    ] {
        let answers = answering(move |_| Answer::refusal(400, code, message));
        let (outcome, took) = make(&answers, ResourceSpec::Function(Box::new(function()))).await;
        let error = outcome.expect_err("a refusal").to_string();
        assert_eq!((took, answers.count(FUNCTIONS)), (Duration::ZERO, 1), "{error}");
        assert!(error.contains(message) && error.contains(&function().name()), "{error}");
        assert_eq!(error.contains("needs the permission lambda:CreateFunction"), code == "AccessDeniedException");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pending_function_is_waited_for_and_one_that_stays_so_is_given_up_with_its_state() {
    let watch = Watch::default();
    let answers = answering(move |call| match call.operation.as_str() {
        FUNCTIONS => Answer::json(&shown(&function(), "1", "Pending")["Configuration"]),
        _ if watch.seconds() < 30 => Answer::json(&shown(&function(), "1", "Pending")),
        _ => Answer::json(&shown(&function(), "1", "Active")),
    });
    let (outcome, took) = make(&answers, ResourceSpec::Function(Box::new(function()))).await;
    outcome.expect("a function");
    assert!((30..35).contains(&took.as_secs()), "{took:?}");

    let answers = answering(|call| match call.operation.as_str() {
        FUNCTIONS => Answer::json(&shown(&function(), "1", "Pending")["Configuration"]),
        _ => Answer::json(&shown(&function(), "1", "Pending")),
    });
    let (outcome, took) = make(&answers, ResourceSpec::Function(Box::new(function()))).await;
    let error = outcome.expect_err("never active");
    assert!(matches!(error.downcast_ref(), Some(AwsError::NotReady { .. })), "{error}");
    assert!(took <= Duration::from_mins(4) && error.to_string().contains("pending"), "{took:?} {error}");
}

#[tokio::test(start_paused = true)]
async fn why_a_function_failed_is_shown() {
    let answers = answering(|call| match call.operation.as_str() {
        FUNCTIONS => Answer::json(&shown(&function(), "1", "Pending")["Configuration"]),
        _ => {
            let mut failed = shown(&function(), "1", "Failed");
            failed["Configuration"]["StateReason"] = "The function was not able to be restored.".into();
            Answer::json(&failed)
        }
    });
    let (outcome, _) = make(&answers, ResourceSpec::Function(Box::new(function()))).await;
    let error = outcome.expect_err("failed").to_string();
    assert!(error.contains("not able to be restored"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_function_of_ours_is_made_anew() {
    let spec = function();
    let one = format!("/2015-03-31/functions/{}", spec.name());
    let (get, delete) = (format!("GET {one}"), format!("DELETE {one}"));
    let removed = Count::default();
    let made = Count::default();
    let answers = answering({
        let (get, delete, removed) = (get.clone(), delete.clone(), removed.clone());
        move |call: &Call| {
            let gone = *removed.0.lock().expect("a number") > 0;
            if call.operation == FUNCTIONS {
                return match made.next() {
                    1 => Answer::refusal(409, "ResourceConflictException", "Function already exist: x"),
                    _ => Answer::json(&shown(&function(), "2", "Pending")["Configuration"]),
                };
            }
            if call.operation == delete {
                removed.next();
                return Answer::json(&json!({}));
            }
            assert_eq!(call.operation, get);
            Answer::json(&shown(&function(), "1", if gone { "Active" } else { "Failed" }))
        }
    });
    let (outcome, _) = make(&answers, ResourceSpec::Function(Box::new(spec))).await;
    outcome.expect("a function");
    assert_eq!((answers.count(&delete), answers.count(FUNCTIONS)), (1, 2));
}

/// A function of ours with less memory than it should have, and what its updates are answered.
fn with_less_memory(refuse: impl Fn(usize) -> Option<Answer> + Send + Sync + 'static) -> Answers {
    let spec = function();
    let update = format!("PUT /2015-03-31/functions/{}/configuration", spec.name());
    let (tries, done) = (Count::default(), Count::default());
    answering(move |call| {
        let revision = *tries.0.lock().expect("a number");
        if call.operation == FUNCTIONS {
            return Answer::refusal(409, "ResourceConflictException", "Function already exist: x");
        }
        if call.operation == update {
            assert_eq!(call.json()["RevisionId"], format!("r{revision}"), "updates name what they were made for");
            assert_eq!(call.json()["MemorySize"], 512);
            return refuse(tries.next()).unwrap_or_else(|| {
                done.next();
                Answer::json(&json!({}))
            });
        }
        let mut shown = shown(&function(), &format!("r{revision}"), "Active");
        if *done.0.lock().expect("a number") == 0 {
            shown["Configuration"]["MemorySize"] = 128.into();
        }
        Answer::json(&shown)
    })
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_is_stale_is_read_again() {
    let stale = |round| {
        let message = "The Revision Id provided does not match the latest Revision Id.";
        (round == 1).then(|| Answer::refusal(412, "PreconditionFailedException", message))
    };
    let answers = with_less_memory(stale);
    let (outcome, _) = make(&answers, ResourceSpec::Function(Box::new(function()))).await;
    outcome.expect("a function");

    let answers = with_less_memory(|_| {
        Some(Answer::refusal(412, "PreconditionFailedException", "The Revision Id provided does not match"))
    });
    let (outcome, _) = make(&answers, ResourceSpec::Function(Box::new(function()))).await;
    let error = outcome.expect_err("changed for ever");
    assert!(matches!(error.downcast_ref(), Some(AwsError::Contended { .. })), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_update_that_meets_another_one_waits_for_it() {
    let spec = function();
    let update = format!("PUT /2015-03-31/functions/{}/configuration", spec.name());
    let tries = Count::default();
    let answers = answering(move |call| {
        if call.operation == FUNCTIONS {
            return Answer::refusal(409, "ResourceConflictException", "Function already exist: x");
        }
        if call.operation == update {
            let message = "The operation cannot be performed at this time. An update is in progress for resource: x";
            return match tries.next() {
                1 | 2 => Answer::refusal(409, "ResourceConflictException", message),
                _ => Answer::json(&json!({})),
            };
        }
        let mut shown = shown(&function(), "r", "Active");
        if *tries.0.lock().expect("a number") < 3 {
            shown["Configuration"]["MemorySize"] = 128.into();
        }
        Answer::json(&shown)
    });
    let (outcome, took) = make(&answers, ResourceSpec::Function(Box::new(spec))).await;
    outcome.expect("a function");
    assert!((3..10).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_function_whose_creation_got_no_answer_is_recognised_as_ours() {
    let made = Count::default();
    let answers = answering(move |call| match call.operation.as_str() {
        FUNCTIONS if made.next() == 1 => Answer::lost(),
        FUNCTIONS => Answer::refusal(409, "ResourceConflictException", "Function already exist: x"),
        _ => Answer::json(&shown(&function(), "1", "Active")),
    });
    let (outcome, _) = make(&answers, ResourceSpec::Function(Box::new(function()))).await;
    outcome.expect("a function");
    assert!(answers.seen().iter().all(|call| !call.operation.starts_with("PUT")), "nothing is changed");
}

#[tokio::test(start_paused = true)]
async fn throttling_is_waited_for_and_given_up_when_it_does_not_end() {
    let watch = Watch::default();
    let answers = answering(move |call| match call.operation.as_str() {
        FUNCTIONS if watch.seconds() < 60 => Answer::refusal(429, "TooManyRequestsException", "Rate exceeded"),
        FUNCTIONS => Answer::json(&shown(&function(), "1", "Pending")["Configuration"]),
        _ => Answer::json(&shown(&function(), "1", "Active")),
    });
    let (outcome, _) = make(&answers, ResourceSpec::Function(Box::new(function()))).await;
    outcome.expect("a function");

    let answers = answering(|_| Answer::refusal(429, "TooManyRequestsException", "Rate exceeded"));
    let (outcome, took) = make(&answers, ResourceSpec::Function(Box::new(function()))).await;
    let error = outcome.expect_err("throttled for ever");
    assert!(took <= Duration::from_mins(4), "{took:?}");
    assert!(matches!(error.downcast_ref(), Some(AwsError::Patience { .. })), "{error}");
    assert!(error.to_string().contains("Rate exceeded"), "{error}");
}

fn mapping() -> MappingSpec {
    MappingSpec {
        queue: "liminal-shop-dev-train-fit-01234567".to_owned(),
        function: function().name(),
        max_concurrency: Some(5),
    }
}

fn shown_mapping(state: &str) -> Value {
    let mapping = mapping();
    json!({
        "UUID": "14e0db71-xmpl",
        "BatchSize": 1,
        "EventSourceArn": format!("arn:aws:sqs:eu-central-1:111122223333:{}", mapping.queue),
        "FunctionArn": format!("arn:aws:lambda:eu-central-1:111122223333:function:{}", mapping.function),
        "State": state,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": { "MaximumConcurrency": 5 },
    })
}

#[tokio::test(start_paused = true)]
async fn a_mapping_that_somebody_made_in_between_is_adopted_and_waited_for() {
    let listed = Count::default();
    let answers = answering(move |call| match call.operation.as_str() {
        MAPPINGS => Answer::refusal(
            409,
            "ResourceConflictException",
            "The event source arn (\" x \") and function (\" y \") provided mapping already exists. Please update or delete the existing mapping with UUID 14e0db71-xmpl",
        ),
        LIST_MAPPINGS => match listed.next() {
            1 => Answer::json(&json!({ "EventSourceMappings": [] })),
            2..=5 => Answer::json(&json!({ "EventSourceMappings": [shown_mapping("Creating")] })),
            _ => Answer::json(&json!({ "EventSourceMappings": [shown_mapping("Enabled")] })),
        },
        other => panic!("{other}"),
    });
    let (outcome, _) = make(&answers, ResourceSpec::Mapping(mapping())).await;
    outcome.expect("a mapping");
    assert_eq!(answers.count(MAPPINGS), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mapping_whose_role_may_not_read_yet_is_tried_again() {
    const NO_PERMISSION: &str = "The provided execution role does not have permissions to call ReceiveMessage on SQS";
    let (watch, made) = (Watch::default(), Count::default());
    let answers = answering(move |call| match call.operation.as_str() {
        MAPPINGS if watch.seconds() < 10 => Answer::refusal(400, "InvalidParameterValueException", NO_PERMISSION),
        MAPPINGS => {
            made.next();
            Answer::json(&shown_mapping("Creating"))
        }
        _ if *made.0.lock().expect("a number") == 0 => Answer::json(&json!({ "EventSourceMappings": [] })),
        _ => Answer::json(&json!({ "EventSourceMappings": [shown_mapping("Enabled")] })),
    });
    let (outcome, took) = make(&answers, ResourceSpec::Mapping(mapping())).await;
    outcome.expect("a mapping");
    assert!((10..30).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_shows_messages_again_before_its_function_ends_is_refused_at_once_with_both_times() {
    const TOO_SHORT: &str =
        "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds (Service: Lambda)";
    let answers = answering(|call| match call.operation.as_str() {
        MAPPINGS => Answer::refusal(400, "InvalidParameterValueException", TOO_SHORT),
        _ => Answer::json(&json!({ "EventSourceMappings": [] })),
    });
    let (outcome, took) = make(&answers, ResourceSpec::Mapping(mapping())).await;
    let error = outcome.expect_err("a refusal").to_string();
    assert_eq!((took, answers.count(MAPPINGS)), (Duration::ZERO, 1), "{error}");
    assert!(error.contains(TOO_SHORT) && error.contains(&mapping().queue), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_queue_that_was_just_deleted_is_waited_for() {
    let watch = Watch::default();
    let answers = answering(move |call| match call.operation.as_str() {
        "GetQueueUrl" => {
            Answer::refusal(400, "com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist.")
        }
        "CreateQueue" if watch.seconds() < 60 => Answer::refusal(
            400,
            "com.amazonaws.sqs#QueueDeletedRecently",
            "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
        ),
        "CreateQueue" => Answer::json(&json!({ "QueueUrl": "https://sqs.eu-central-1.amazonaws.com/111122223333/x" })),
        other => panic!("{other}"),
    });
    let queue = QueueSpec { name: "x".to_owned(), visibility_seconds: 60, max_receives: 5, senders: BTreeMap::new() };
    let (outcome, took) = make(&answers, ResourceSpec::Queue(queue)).await;
    outcome.expect("a queue");
    assert!((60..90).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_that_may_not_assume_its_role_yet_is_tried_again() {
    const NOT_ASSUMABLE: &str =
        "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.";
    let watch = Watch::default();
    let answers = answering(move |_| match watch.seconds() {
        0..15 => Answer::refusal(400, "ValidationException", NOT_ASSUMABLE),
        _ => Answer::json(&json!({ "ScheduleArn": "arn" })),
    });
    let schedule = ScheduleSpec {
        name_parts: ["shop", "dev", "sweep"].map(str::to_owned).to_vec(),
        expression: "rate(1 minute)".to_owned(),
        timezone: "UTC".to_owned(),
        queue: "x".to_owned(),
        role: ROLE.to_owned(),
        message: "{}".to_owned(),
    };
    let (outcome, took) = make(&answers, ResourceSpec::Schedule(schedule)).await;
    outcome.expect("a schedule");
    assert!((15..30).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_let_s3_send_yet_is_tried_again() {
    const REFUSED: &str = "<Error><Code>InvalidArgument</Code><Message>Unable to validate the following destination configurations</Message></Error>";
    const EMPTY: &str = "<NotificationConfiguration/>";
    let (watch, written) = (Watch::default(), Arc::new(Mutex::new(EMPTY.to_owned())));
    let answers = answering(move |call| {
        if call.operation.starts_with("GET") {
            return Answer::xml(200, &written.lock().expect("a text"));
        }
        if watch.seconds() < 30 {
            return Answer::xml(400, REFUSED);
        }
        call.body.clone_into(&mut written.lock().expect("a text"));
        Answer::xml(200, "")
    });
    let notification = NotificationSpec {
        bucket: "data".to_owned(),
        id_prefix: "liminal-shop-dev-".to_owned(),
        queue: "x".to_owned(),
        filters: [KeyFilter { prefix: "in/".to_owned(), suffix: String::new() }].into(),
    };
    let (outcome, took) = make(&answers, ResourceSpec::Notification(notification)).await;
    outcome.expect("notifications");
    assert!((30..60).contains(&took.as_secs()), "{took:?}");
}
