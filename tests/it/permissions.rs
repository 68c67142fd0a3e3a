//! The roles that an apply makes, enforced: runners work with the credentials of their step's role and nothing else.
//!
//! moto is the judge. Its evaluator knows the actions of S3 and SQS and, from each request, the ARN of the object, bucket or
//! queue, and matches both with `*` in patterns; it checks signatures and session tokens. It overlooks conditions; that on the
//! prefix of a listing is added by the starter in `tests/emulators`. Which cluster a task may run in and to which service a
//! role may be passed are watched by the snapshots of derived policies alone. It overlooks permission boundaries and, for
//! services other than S3, SQS and IAM, it takes `*` for the resource. Events are handed to the runner by this test, since
//! moto carries no function out.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use liminal_emulators::Emulator;
use liminal_emulators::Moto;
use liminal_emulators::tools;
use liminal_schemas::message::TriggerMessage;
use serde_json::Value;
use serde_json::json;

use crate::aws::definition;
use crate::aws::with_bucket;
use crate::gitops::webhook::SECRET;
use crate::gitops::webhook::signed;
use crate::harness::Project;

/// The project, and its bucket.
const NAME: &str = "demo-permitted";

/// The first step leaves more than goes up in one part; what follows needs no process but one.
const PIPELINES: &str = "  \
  p:
    steps:
      first:
        run: [sh, -c, 'head -c 17000000 /dev/zero > \"$1\"; echo \"{\\\"n\\\": 1000}\" > \"$2\"', sh, \"{{ outputs.o }}\", \"{{ outputs.metrics }}\"]
        outputs: {o: o.bin}
        metrics: m.json
      second:
        run: [sh, second.sh, \"{{ inputs.d }}\", \"{{ outputs.o }}\"]
        code: [second.sh]
        inputs: {d: first.o}
        outputs: {o: both/}
      gate:
        gate: metrics.first.n > 5
      register:
        register: {model: toy, artifact: second.o, aliases: [champion]}
        after: [gate]
  other:
    steps:
      only:
        run: [\"true\"]
";

/// The code of the second step, which its function has from its bundle.
const SECOND: &str = "echo counting; mkdir -p \"$2\"; wc -c < \"$1\" > \"$2/size\"\n";

/// Variables that name whose requests are.
type Credentials = Vec<(String, String)>;

struct Account {
    emulator: Emulator,
    queues: Vec<String>,
}

impl Account {
    fn command(&self, credentials: &[(String, String)], args: &[&str]) -> std::process::Output {
        let mut command = tools().aws(&self.emulator);
        command.envs(credentials.iter().cloned()).args(args).args(["--output", "json"]);
        command.output().expect("the AWS CLI runs")
    }

    fn allowed(&self, credentials: &[(String, String)], args: &[&str]) -> Value {
        let output = self.command(credentials, args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    fn denied(&self, credentials: &[(String, String)], args: &[&str]) {
        let output = self.command(credentials, args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{args:?} is not denied");
        let denials = ["AccessDenied", "Forbidden", "not authorized", "InvalidAccessKeyId"];
        assert!(denials.iter().any(|denial| error.contains(denial)), "{args:?}: {error}");
    }

    /// The credentials of a role that was made for a part of the environment.
    fn role(&self, part: &str) -> Credentials {
        let path = format!("/liminal/{NAME}/dev/");
        let roles = self.allowed(&[], &["iam", "list-roles", "--path-prefix", &path]);
        let mut roles = roles["Roles"].as_array().expect("a list").iter();
        let name =
            |role: &&Value| role["RoleName"].as_str().is_some_and(|name| name.contains(&format!("-dev-{part}-")));
        let role = roles.find(name).unwrap_or_else(|| panic!("there is a role for {part}"));
        let arn = role["Arn"].as_str().expect("an ARN");
        let assumed = self.allowed(&[], &["sts", "assume-role", "--role-arn", arn, "--role-session-name", "test"]);
        let text = |name: &str| assumed["Credentials"][name].as_str().expect("a text").to_owned();
        vec![
            ("AWS_ACCESS_KEY_ID".to_owned(), text("AccessKeyId")),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), text("SecretAccessKey")),
            ("AWS_SESSION_TOKEN".to_owned(), text("SessionToken")),
        ]
    }

    fn queue(&self, part: &str) -> &str {
        let is_of = |url: &&String| url.contains(&format!("-dev-{part}-")) && !url.ends_with("-dlq");
        self.queues.iter().find(is_of).unwrap_or_else(|| panic!("there is a queue for {part}: {:?}", self.queues))
    }

    /// Takes the next message of a queue, as the mapping of a function does, with the function's role.
    fn receive(&self, credentials: &[(String, String)], part: &str) -> Option<Value> {
        let url = self.queue(part);
        let received = self.allowed(credentials, &["sqs", "receive-message", "--queue-url", url]);
        received["Messages"].as_array().and_then(|messages| messages.first()).cloned()
    }

    /// Lets the runner of a part handle a message with the credentials of its role.
    fn handle(&self, credentials: &[(String, String)], mode: &str, part: &str, message: &Value) {
        let queue = self.queue(part).rsplit('/').next().expect("a name");
        let account = self.emulator.account();
        let record = json!({
            "messageId": "m1", "receiptHandle": message["ReceiptHandle"], "body": message["Body"],
            "attributes": { "ApproximateReceiveCount": "1" },
            "eventSourceARN": format!("arn:aws:sqs:eu-central-1:{account}:{queue}"),
        });
        #[expect(clippy::disallowed_methods, reason = "deadlines are told by the clock of the machine")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let deadline = u64::try_from((now + Duration::from_mins(5)).as_millis()).expect("a time");
        let line = json!({ "event": { "Records": [record] }, "deadline_ms": deadline, "request_id": "r1" });

        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("second.sh"), SECOND).expect("written");
        let runner = Path::new(env!("CARGO_BIN_EXE_liminal")).with_file_name("liminal-runner");
        let variables = [("PROJECT", NAME), ("ENVIRONMENT", "dev"), ("BUCKET", NAME), ("MODE", mode)];
        let mut command = Command::new(runner);
        #[expect(clippy::disallowed_methods, reason = "tests look for programs where the machine has them")]
        let path = std::env::var("PATH").expect("a PATH");
        command.arg("serve").env_clear().env("PATH", path).env("LAMBDA_TASK_ROOT", folder.path());
        command.envs(self.emulator.env()).envs(credentials.iter().cloned());
        command.envs(variables.map(|(name, value)| (format!("LIMINAL_{name}"), value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the runner starts");
        let mut input = child.stdin.take().expect("a pipe");
        writeln!(input, "{line}").expect("sent");
        let mut answer = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut answer).expect("read");
        drop(input);
        child.wait().expect("it ends");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["result"]["batchItemFailures"], json!([]), "{answer}\n{}", self.emulator.log());
    }
}

fn project() -> Project {
    let project = Project::new(&definition(NAME, PIPELINES));
    project.write("second.sh", SECOND);
    project
}

#[test]
fn a_role_allows_what_its_step_declares_and_denies_the_rest() {
    let project = project();
    let emulator = Moto::start();
    let project = with_bucket(project, &emulator, NAME);
    let _ = project.liminal(&["apply", "-y", "-e", "dev"]).exits(0);
    let start = |pipeline: &str| project.ok(&["run", pipeline, "--detach", "-e", "dev"]).trim().to_owned();
    let (run, other) = (start("p"), start("other"));

    let mut account = Account { emulator, queues: Vec::new() };
    let queues = account.allowed(&[], &["sqs", "list-queues"]);
    let urls = queues["QueueUrls"].as_array().expect("a list").iter();
    account.queues = urls.map(|url| url.as_str().expect("a URL").to_owned()).collect();
    let roles: BTreeMap<_, _> = ["p-first", "p-second", "starter"].map(|part| (part, account.role(part))).into();
    account.emulator.enforce_permissions();
    account.denied(&[], &["s3api", "list-objects-v2", "--bucket", NAME]);

    for part in ["p-first", "p-second"] {
        let message = account.receive(&roles[part], part).unwrap_or_else(|| panic!("{part} has a message"));
        account.handle(&roles[part], "step", part, &message);
    }
    let sweep = json!({ "ReceiptHandle": "none", "Body": TriggerMessage::sweep().body() });
    account.handle(&roles["starter"], "start", "triggers", &sweep);

    let object = |key: &str| format!("{NAME}/dev/{key}");
    let get = |role: &str, key: &str, is_allowed: bool| {
        let key = object(key);
        let to = project.join("got");
        let args = ["s3api", "get-object", "--bucket", NAME, "--key", &key, to.to_str().expect("a path in UTF-8")];
        if is_allowed {
            drop(account.allowed(&roles[role], &args));
        } else {
            account.denied(&roles[role], &args);
        }
    };
    let put_denied = |role: &str, key: &str| {
        account.denied(&roles[role], &["s3api", "put-object", "--bucket", NAME, "--key", &object(key)]);
    };
    let delete_denied = |role: &str, key: &str| {
        account.denied(&roles[role], &["s3api", "delete-object", "--bucket", NAME, "--key", &object(key)]);
    };
    get("p-first", &format!("runs/p/{run}/run.json"), true);
    get("p-first", &format!("runs/other/{other}/run.json"), false);
    get("p-first", "state/dev.json", false);
    get("p-first", "live/p.json", false);
    put_denied("p-first", "state/dev.json");
    put_denied("p-first", "live/p.json");
    put_denied("p-first", "releases/p/forged.json");
    put_denied("p-first", "packages/forged");
    put_denied("p-first", &format!("runs/p/{run}/run.json"));
    put_denied("p-first", &format!("runs/p/{run}/steps/second/attempts/1.json"));
    put_denied("p-first", &format!("runs/other/{other}/steps/only/commit.json"));
    put_denied("p-second", &format!("runs/p/{run}/steps/first/commit.json"));
    put_denied("p-second", "models/else/versions/1.json");
    put_denied("starter", "state/dev.json");
    // It takes canaries off by the live pointer; what that may name it can not write, and no step can write what is counted.
    put_denied("starter", "releases/p/other.json");
    put_denied("p-first", "canary/open/p/other/run");
    delete_denied("p-first", &format!("runs/p/{run}/run.json"));
    delete_denied("p-first", &format!("open/other/{other}"));
    delete_denied("p-first", "artifacts/any");
    delete_denied("starter", &format!("runs/p/{run}/run.json"));
    let list = |role: &str, prefix: &str| {
        let prefix = object(prefix);
        account.command(&roles[role], &["s3api", "list-objects-v2", "--bucket", NAME, "--prefix", &prefix]).status
    };
    assert!(list("p-first", &format!("runs/p/{run}/")).success());
    for prefix in ["", "runs/", "runs/other/", "state/", "open/"] {
        assert!(!list("p-first", prefix).success(), "{prefix} is not denied");
    }
    let send = |role: &str, part: &str| {
        account.denied(
            &roles[role],
            &["sqs", "send-message", "--queue-url", account.queue(part), "--message-body", "forged"],
        );
    };
    send("p-first", "other-only");
    send("p-second", "p-first");
    send("p-first", "triggers");
    account.denied(&roles["p-first"], &["sqs", "receive-message", "--queue-url", account.queue("p-second")]);
    account.denied(&roles["p-first"], &["sqs", "purge-queue", "--queue-url", account.queue("p-first")]);
    account.denied(&roles["p-first"], &["iam", "list-roles"]);
    account.denied(&roles["starter"], &["sqs", "receive-message", "--queue-url", account.queue("p-first")]);

    account.emulator.waive_permissions();
    let status = project.json(&["status", &run, "-o", "json", "-e", "dev"]);
    assert_eq!(status["result"]["status"], "succeeded", "{status}");
    let models = project.json(&["models", "toy", "-o", "json", "-e", "dev"]);
    assert_eq!(models.as_array().map(Vec::len), Some(1), "{models}");
}

/// A runner that takes deliveries with the credentials of its role.
struct Receiver {
    child: std::process::Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Receiver {
    fn start(account: &Account, credentials: &[(String, String)]) -> Self {
        let runner = Path::new(env!("CARGO_BIN_EXE_liminal")).with_file_name("liminal-runner");
        let secret = format!("secretsmanager:{NAME}");
        let variables = [
            ("PROJECT", NAME),
            ("ENVIRONMENT", "dev"),
            ("BUCKET", NAME),
            ("MODE", "receive"),
            ("SIGNING_SECRET", &secret),
        ];
        let mut command = Command::new(runner);
        command.arg("serve").env_clear().envs(account.emulator.env()).envs(credentials.iter().cloned());
        command.envs(variables.map(|(name, value)| (format!("LIMINAL_{name}"), value)));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the runner starts");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, answers }
    }

    /// The status of the answer to what tells of an event.
    fn tell(&mut self, event: &str, id: &str) -> u64 {
        let body = "{}";
        let signature = signed(body.as_bytes()).replace("X-Hub-Signature-256: ", "");
        let event = json!({
            "version": "2.0", "rawPath": "/", "body": body, "isBase64Encoded": false,
            "headers": { "x-github-event": event, "x-github-delivery": id, "x-hub-signature-256": signature },
            "requestContext": { "http": { "method": "POST", "path": "/" } },
        });
        #[expect(clippy::disallowed_methods, reason = "deadlines are told by the clock of the machine")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let deadline = u64::try_from((now + Duration::from_mins(5)).as_millis()).expect("a time");
        let line = json!({ "event": event, "deadline_ms": deadline, "request_id": "r1" });
        writeln!(self.child.stdin.as_mut().expect("a pipe"), "{line}").expect("sent");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("read");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        answer["result"]["statusCode"].as_u64().unwrap_or_else(|| panic!("{answer}"))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_role_of_a_receiver_allows_to_take_deliveries_and_denies_the_rest() {
    let project = project();
    let emulator = Moto::start();
    let project = with_bucket(project, &emulator, NAME);
    let _ = project.liminal(&["apply", "-y", "-e", "dev"]).exits(0);
    let mut account = Account { emulator, queues: Vec::new() };
    account.allowed(&[], &["secretsmanager", "create-secret", "--name", NAME, "--secret-string", SECRET]);
    let secret = format!("secretsmanager:{NAME}");
    let _ = project.liminal(&["gitops", "receiver", "create", "-y", "-e", "dev", "--secret", &secret]).exits(0);
    let queues = account.allowed(&[], &["sqs", "list-queues"]);
    let urls = queues["QueueUrls"].as_array().expect("a list").iter();
    account.queues = urls.map(|url| url.as_str().expect("a URL").to_owned()).collect();
    let role = account.role("receiver");
    let mut receiver = Receiver::start(&account, &role);
    // moto can not tell one secret from another, so this one is read before it judges.
    assert_eq!(receiver.tell("ping", "p-1"), 200);
    account.emulator.enforce_permissions();
    assert_eq!(receiver.tell("push", "d-1"), 202, "{}", account.emulator.log());
    assert_eq!(receiver.tell("push", "d-1"), 200, "{}", account.emulator.log());

    let object = |key: &str| format!("{NAME}/dev/{key}");
    for key in ["state/dev.json", "live/p.json", "state/dev.receiver.json"] {
        let to = project.join("got");
        let to = to.to_str().expect("a path in UTF-8");
        account.denied(&role, &["s3api", "get-object", "--bucket", NAME, "--key", &object(key), to]);
        account.denied(&role, &["s3api", "put-object", "--bucket", NAME, "--key", &object(key)]);
    }
    account.denied(&role, &["s3api", "delete-object", "--bucket", NAME, "--key", &object("deliveries/d-1")]);
    for prefix in ["", "state/", "runs/"] {
        account.denied(&role, &["s3api", "list-objects-v2", "--bucket", NAME, "--prefix", &object(prefix)]);
    }
    let own = account.queue("deliveries");
    account.denied(&role, &["sqs", "receive-message", "--queue-url", own]);
    account.denied(&role, &["sqs", "send-message", "--queue-url", account.queue("triggers"), "--message-body", "{}"]);
    account.denied(&role, &["sqs", "send-message", "--queue-url", account.queue("p-first"), "--message-body", "{}"]);
    account.denied(&role, &["iam", "list-roles"]);
    account.emulator.waive_permissions();
    let received = account.allowed(&[], &["sqs", "receive-message", "--queue-url", own]);
    let body = received["Messages"][0]["Body"].as_str().expect("a message");
    assert_eq!(body, r#"{"schema":1,"delivery":"d-1"}"#);
}
