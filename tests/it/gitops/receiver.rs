//! A receiver of deliveries on AWS, against an emulator that carries functions out: the real runner, called by its address.

use std::process::Child;
use std::time::Duration;
use std::time::Instant;

use liminal_emulators::Emulator;
use liminal_emulators::shared_ministack;
use liminal_emulators::tools;
use serde_json::Value;

use super::webhook::SECRET;
use super::webhook::curl;
use super::webhook::signed;
use super::world::World;
use crate::aws::aws;
use crate::aws::inventory;
use crate::aws::with_bucket;
use crate::harness::Outcome;
use crate::harness::Project;

const BODY: &[u8] = br#"{"ref": "refs/heads/main"}"#;

/// A definition whose project and bucket are called `name`, with an environment that follows `main`.
fn definition(name: &str) -> String {
    format!(
        "project: {name}\n\
         params: {{greeting: hello}}\n\
         environments:\n  \
           staging: {{branch: main, platform: aws, region: eu-central-1, bucket: {name}}}\n  \
           preview: {{template: pr-*, ttl: 1h, platform: aws, region: eu-central-1, bucket: {name}}}\n\
         pipelines:\n  \
           greet:\n    \
             steps:\n      \
               say:\n        \
                 run: [sh, say.sh, \"{{{{ params.greeting }}}}\", \"{{{{ outputs.text }}}}\"]\n        \
                 outputs: {{text: text.txt}}\n"
    )
}

/// A project with a secret in Secrets Manager under its name, and its environment `staging`.
struct Staging {
    emulator: &'static Emulator,
    project: Project,
    name: &'static str,
}

impl Staging {
    fn new(name: &'static str) -> Self {
        let emulator = shared_ministack();
        let project = Project::in_git(&definition(name));
        project.write("say.sh", "echo \"$1\" > \"$2\"\n");
        let project = with_bucket(project, emulator, name);
        project.commit("Start");
        aws(emulator, &["secretsmanager", "create-secret", "--name", name, "--secret-string", SECRET]);
        Self { emulator, project, name }
    }

    fn on(&self, args: &[&str]) -> Outcome {
        self.project.liminal(&[args, &["-e", "staging"]].concat())
    }

    fn create(&self) -> String {
        let secret = format!("secretsmanager:{}", self.name);
        self.on(&["gitops", "receiver", "create", "-y", "--secret", &secret]).exits(0).stdout
    }

    fn show(&self) -> Value {
        self.project.json(&["gitops", "receiver", "show", "-o", "json", "-e", "staging"])
    }

    fn caller(&self) -> Caller {
        Caller::new(self.emulator, &self.show())
    }
}

/// Whoever calls the address of a receiver, and looks into its queue.
struct Caller {
    emulator: &'static Emulator,
    address: String,
    queue: String,
    place: Project,
}

impl Caller {
    fn new(emulator: &'static Emulator, shown: &Value) -> Self {
        let url = shown["url"].as_str().expect("an address");
        let id = url.trim_start_matches("https://").split('.').next().expect("the first label");
        // What the emulator serves under the name of the host it serves below this path too.
        let address = format!("{}/_aws/lambda-url/{id}/", emulator.endpoint());
        let queue = shown["queue"].as_str().expect("a queue").to_owned();
        Self { emulator, address, queue, place: Project::empty() }
    }

    /// Sends a body; gives the status and the answer.
    fn post(&self, content_type: &str, body: &[u8], headers: &[&str]) -> (u16, String) {
        let content_type = format!("Content-Type: {content_type}");
        let headers: Vec<String> =
            std::iter::once(content_type).chain(headers.iter().map(|it| (*it).to_owned())).collect();
        let (status, answer) = curl(&self.place, &self.address, body, &headers, 60);
        (status.parse().expect("a status"), answer)
    }

    /// Sends what tells of a push.
    fn deliver(&self, id: &str, body: &[u8], signature: &str) -> (u16, String) {
        self.post("application/json", body, &["X-GitHub-Event: push", &format!("X-GitHub-Delivery: {id}"), signature])
    }

    /// How many messages are in the queue, those that somebody holds among them.
    fn messages(&self) -> u64 {
        let url = aws(
            self.emulator,
            &["sqs", "get-queue-url", "--queue-name", &self.queue, "--query", "QueueUrl", "--output", "text"],
        );
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let mut args =
            vec!["sqs", "get-queue-attributes", "--queue-url", &url, "--output", "json", "--attribute-names"];
        args.extend(names);
        let found: Value = serde_json::from_str(&aws(self.emulator, &args)).expect("JSON");
        names.iter().filter_map(|name| found["Attributes"][name].as_str()?.parse::<u64>().ok()).sum()
    }
}

/// The first word and the kind of each line that tells of a part.
fn parts(told: &str) -> Vec<String> {
    let lines = told.lines().take_while(|line| !line.is_empty());
    lines.map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_receiver_is_made_once_brought_back_and_removed_without_a_trace() {
    let staging = Staging::new("demo-receiver");
    let (emulator, name) = (staging.emulator, staging.name);
    let _ = staging.on(&["gitops", "receiver", "show"]).exits(1).says("no receiver").says("receiver create");
    assert_eq!(staging.on(&["gitops", "receiver", "remove", "-y"]).exits(0).stdout, "There is no receiver.\n");
    let _ = staging.on(&["gitops", "receiver", "create", "--secret", "ssm:/a"]).exits(1).says("--auto-approve");

    let made = staging.create();
    assert_eq!(parts(&made), ["+ logs", "+ queue", "+ role", "+ bundle", "+ function", "+ address"], "{made}");
    let shown = staging.show();
    let (function, url) = (shown["function"].as_str().expect("a name"), shown["url"].as_str().expect("an address"));
    assert!(made.contains(&format!("Deliveries go to {url}, signed with what secretsmanager:{name} holds.")), "{made}");
    let again = staging.create();
    assert_eq!(parts(&again), ["= logs", "= queue", "= role", "= bundle", "= function", "= address"], "{again}");

    let configuration = aws(emulator, &["lambda", "get-function-configuration", "--function-name", function]);
    assert!(configuration.contains(&format!("secretsmanager:{name}")) && !configuration.contains(SECRET));
    let policy = || {
        let text = aws(
            emulator,
            &["lambda", "get-policy", "--function-name", function, "--query", "Policy", "--output", "text"],
        );
        let policy: Value = serde_json::from_str(&text).expect("JSON");
        let of = |it: &Value| {
            format!("{} {} {}", it["Action"].as_str().unwrap_or_default(), it["Principal"], it["Condition"])
        };
        let mut statements: Vec<String> = policy["Statement"].as_array().expect("a list").iter().map(of).collect();
        statements.sort();
        statements
    };
    let open = [
        r#"lambda:InvokeFunction "*" {"Bool":{"lambda:InvokedViaFunctionUrl":"true"}}"#,
        r#"lambda:InvokeFunctionUrl "*" {"StringEquals":{"lambda:FunctionUrlAuthType":"NONE"}}"#,
    ];
    assert_eq!(policy(), open);
    let record = aws(emulator, &["s3", "cp", &format!("s3://{name}/{name}/staging/state/staging.receiver.json"), "-"]);
    assert!(!record.contains(SECRET), "{record}");

    // Behind its back.
    aws(emulator, &["lambda", "update-function-configuration", "--function-name", function, "--memory-size", "128"]);
    aws(
        emulator,
        &["lambda", "remove-permission", "--function-name", function, "--statement-id", "liminal-invoke-by-url"],
    );
    let mended = staging.create();
    assert!(mended.contains(&format!("~ function {function}: memory\n")), "{mended}");
    assert!(mended.contains(&format!("+ address {url}\n")), "{mended}");
    assert_eq!(policy(), open);

    // Another secret needs another role, and the address stays.
    let other = staging.on(&["gitops", "receiver", "create", "-y", "--secret", "ssm:/demo/webhook"]).exits(0).stdout;
    assert_eq!(
        parts(&other),
        ["= logs", "= queue", "+ role", "= bundle", "~ function", "= address", "- role"],
        "{other}"
    );
    assert_eq!(staging.show()["url"], url);
    assert_eq!(inventory(emulator, name, "staging").iter().filter(|(kind, _)| kind == "role").count(), 1);

    // What is applied to the environment, and its removal, leave it alone.
    let _ = staging.on(&["apply", "-y"]).exits(0);
    let _ = staging.on(&["destroy", "-y", "--allow-destroy"]).exits(0).says("receiver remove");
    assert_eq!(staging.show()["url"], url);
    staging.create();
    let caller = staging.caller();
    assert_eq!(caller.deliver("d-1", BODY, &signed(BODY)).0, 202);

    let removed = staging.on(&["gitops", "receiver", "remove", "-y"]).exits(0).stdout;
    assert_eq!(parts(&removed).first().map(String::as_str), Some("- function"), "{removed}");
    let left: Vec<_> = inventory(emulator, name, "staging")
        .into_iter()
        .filter(|(kind, key)| {
            kind != "object" || !(key.starts_with("state/staging/history/") || key == "state/staging.json")
        })
        .filter(|(kind, key)| kind != "object" || !key.ends_with(".lock.json"))
        .collect();
    assert_eq!(left, [], "what is left");
    let urls = ["lambda", "list-function-url-configs", "--function-name", function];
    let asked = tools().aws(emulator).args(urls).output().expect("the AWS CLI runs");
    assert!(!String::from_utf8_lossy(&asked.stdout).contains("lambda-url"), "the address is gone");
    assert_eq!(caller.deliver("d-2", BODY, &signed(BODY)).0, 404);
}

#[test]
fn what_is_not_for_a_receiver_is_refused() {
    let staging = Staging::new("demo-refused");
    let create = |secret: &str| staging.on(&["gitops", "receiver", "create", "-y", "--secret", secret]);
    let _ = create("env:WEBHOOK").exits(64).says("a function has no variables of this machine");
    let refused = create("a-secret-that-was-pasted-here").exits(64).says("--secret is no reference");
    assert!(!refused.stderr.contains("pasted"), "{}", refused.stderr);
    let _ = create("secretsmanager:arn:aws:x").exits(64).says("it is an ARN");
    let at = |environment: &str| {
        let args = ["gitops", "receiver", "create", "-y", "--secret", "ssm:/a", "-e", environment];
        staging.project.liminal(&args)
    };
    let _ = at("local").exits(64).says("liminal gitops webhook");
    let _ = at("pr-1").exits(64).says("made from a template");
    let kinds: Vec<_> = inventory(staging.emulator, staging.name, "staging");
    assert_eq!(kinds, [], "nothing was made");
}

#[test]
fn deliveries_are_judged_by_the_function_as_they_are_here() {
    let staging = Staging::new("demo-deliveries");
    staging.create();
    let caller = staging.caller();
    let good = signed(BODY);
    let is = |outcome: (u16, String), status: u16| assert_eq!(outcome.0, status, "{}", outcome.1);

    is(caller.deliver("d-1", BODY, "X-Nothing: x"), 401);
    is(caller.deliver("d-1", BODY, "X-Hub-Signature: sha1=0123456789012345678901234567890123456789"), 401);
    is(caller.deliver("d-1", BODY, &good.replace("sha256=", "sha256=0")), 401);
    is(caller.deliver("d-1", br#"{"ref": "refs/heads/evil"}"#, &good), 401);
    is(caller.post("application/json", BODY, &["X-GitHub-Event: push", &good]), 400);
    is(caller.deliver("../../../state/staging.json", BODY, &good), 400);
    let oversized = vec![b' '; (6 << 20) + 1];
    is(caller.deliver("d-1", &oversized, &signed(&oversized)), 413);
    is(caller.post("application/octet-stream", &oversized, &["X-GitHub-Event: push", &signed(&oversized)]), 413);
    let with = |event: &str| caller.post("application/json", BODY, &[event, "X-GitHub-Delivery: p-1", &good]);
    assert_eq!(with("X-GitHub-Event: ping"), (200, "pong".to_owned()));
    assert_eq!(with("X-GitHub-Event: issues"), (200, "only pushes matter here".to_owned()));
    assert_eq!(caller.messages(), 0, "none of these was passed on");

    assert_eq!(caller.deliver("d-1", BODY, &good), (202, "the remote is fetched".to_owned()));
    assert_eq!(caller.messages(), 1);
    assert_eq!(caller.deliver("d-1", BODY, &good), (200, "this delivery was seen before".to_owned()));
    assert_eq!(caller.messages(), 1, "a delivery counts once");
    // A body that is no text comes to the function as base64.
    let form = b"payload=%7B%22ref%22%3A+%22refs%2Fheads%2Fmain%22%7D\xff\xfe";
    let headers = ["X-GitHub-Event: push", "X-GitHub-Delivery: d-2", &signed(form)];
    is(caller.post("application/x-www-form-urlencoded", form, &headers), 202);
    assert_eq!(caller.messages(), 2);

    // Where nobody can be told, the host is told to send it again, and it then counts.
    let queue = ["sqs", "get-queue-url", "--queue-name", &caller.queue, "--query", "QueueUrl", "--output", "text"];
    aws(staging.emulator, &["sqs", "delete-queue", "--queue-url", &aws(staging.emulator, &queue)]);
    is(caller.deliver("d-3", BODY, &good), 503);
    let mended = staging.create();
    assert!(mended.contains("+ queue"), "{mended}");
    is(caller.deliver("d-3", BODY, &good), 202);
    assert_eq!(caller.messages(), 1);
    is(caller.deliver("d-3", BODY, &good), 200);

    let log = aws(
        staging.emulator,
        &["logs", "filter-log-events", "--log-group-name", "/liminal/demo-deliveries/staging/receiver"],
    );
    assert!(!log.contains(SECRET));
}

#[test]
fn a_secret_that_can_not_be_read_lets_the_host_try_again() {
    let staging = Staging::new("demo-unread");
    let _ = staging.on(&["gitops", "receiver", "create", "-y", "--secret", "ssm:/demo/unread"]).exits(0);
    let caller = staging.caller();
    let good = signed(BODY);
    assert_eq!(caller.deliver("d-1", BODY, &good).0, 503);
    let put = ["ssm", "put-parameter", "--name", "/demo/unread", "--type", "SecureString", "--value"];
    aws(staging.emulator, &[&put[..], &["short"]].concat());
    assert_eq!(caller.deliver("d-1", BODY, &good).0, 503, "it can be guessed");
    aws(staging.emulator, &[&put[..], &[SECRET, "--overwrite"]].concat());
    assert_eq!(caller.deliver("d-1", BODY, &good).0, 202);
    assert_eq!(caller.messages(), 1);
}

/// Kills the command that makes a receiver at each of its effects, and the one that removes it.
#[cfg(feature = "failpoints")]
#[test]
fn a_receiver_whose_making_or_removal_was_killed_is_put_right_by_the_next_command() {
    /// Each kill costs three commands, so that every other moment is gone through.
    const STRIDE: usize = 2;
    let staging = Staging::new("demo-killed-receiver");
    let secret = format!("secretsmanager:{}", staging.name);
    let create = ["gitops", "receiver", "create", "-y", "--secret", &secret, "-e", "staging"];
    let remove = ["gitops", "receiver", "remove", "-y", "-e", "staging"];
    let killed = |args: &[&str], effect: usize| {
        let mut command = staging.project.command(args);
        command.env("LIMINAL_CRASH_AT", effect.to_string());
        let outcome = crate::harness::wait(command.spawn().expect("liminal starts"), args);
        assert!(matches!(outcome.code, None | Some(0)), "effect {effect} ends by a signal: {outcome:?}");
        outcome.code.is_none()
    };
    let left = || inventory(staging.emulator, staging.name, "staging");
    let making = (0..).step_by(STRIDE).take_while(|effect| {
        let killed = killed(&create, *effect);
        let _ = staging.project.liminal(&remove).exits(0);
        assert_eq!(left(), [], "what is left of what was made up to effect {effect}");
        killed
    });
    let made = making.count();
    let removing = (0..).step_by(STRIDE).take_while(|effect| {
        let _ = staging.project.liminal(&create).exits(0);
        let killed = killed(&remove, *effect);
        let _ = staging.project.liminal(&remove).exits(0);
        assert_eq!(left(), [], "what is left of what was removed up to effect {effect}");
        killed
    });
    let removed = removing.count();
    assert!(made >= 4 && removed >= 4, "only {made} and {removed} effects were found");
}

struct Agent {
    place: Project,
    child: Child,
}

impl Agent {
    fn start(world: &World, place: Project) -> Self {
        let remote = world.path().display().to_string();
        let args =
            ["gitops", "agent", "--home", "home", "--interval", "1h", "--deliveries", "staging", "--remote", &remote];
        let child = place.command(&args).spawn().expect("liminal starts");
        Self { place, child }
    }

    fn status(&self) -> Value {
        let text = std::fs::read_to_string(self.place.join("home/agent.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn until(&self, what: &str, condition: impl Fn(&Value) -> bool) {
        let start = Instant::now();
        while !condition(&self.status()) {
            assert!(start.elapsed() < Duration::from_secs(120), "{what} never came to be: {}", self.status());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_delivery_to_the_function_lets_an_agent_apply_the_commit_that_was_pushed() {
    let emulator = shared_ministack();
    let name = "demo-told";
    let world = World::new(&definition(name));
    let _ = world.push("main").exits(0);
    aws(emulator, &["secretsmanager", "create-secret", "--name", name, "--secret-string", SECRET]);
    let place = with_bucket(Project::empty(), emulator, name);
    let (secret, clone) = (format!("secretsmanager:{name}"), world.clone.path().display().to_string());
    let receiver = ["-C", &clone, "-e", "staging", "gitops", "receiver"];
    let _ = place.liminal(&[&receiver[..], &["create", "-y", "--secret", &secret]].concat()).exits(0);
    let caller = Caller::new(emulator, &place.json(&[&receiver[..], &["show", "-o", "json"]].concat()));
    let deliver = |id: &str| assert_eq!(caller.deliver(id, BODY, &signed(BODY)).0, 202);

    let agent = Agent::start(&world, place);
    agent.until("the first commit", |status| status["environments"]["staging"]["outcome"] == "applied");
    let second = world.greet("hello", "ahoy");
    let _ = world.push("main").exits(0);
    deliver("d-1");
    agent.until("the second commit", |status| {
        status["environments"]["staging"]["commit"] == second.as_str()
            && status["environments"]["staging"]["outcome"] == "applied"
    });
    agent.until("the end of the message", |_| caller.messages() == 0);
    let history = agent.place.json(&["-C", "home", "history", "-o", "json", "-e", "staging"]);
    let by = |it: &Value| it["applied"]["trigger"].as_str().unwrap_or_default().to_owned();
    assert_eq!(history.as_array().expect("a list").iter().map(by).collect::<Vec<_>>(), ["webhook", "webhook"]);
    let _ = agent.place.liminal(&["-C", "home", "run", "--live", "-e", "staging"]).exits(0);
    let said = agent.place.liminal(&["-C", "home", "artifacts", "cat", "say.text", "-e", "staging"]).exits(0).stdout;
    assert_eq!(said, "ahoy\n");

    // While the remote is away the message is kept, and comes again.
    let away = world.path().with_file_name("away.git");
    std::fs::rename(world.path(), &away).expect("moved");
    let passes = agent.status()["passes"].as_u64().expect("a number");
    deliver("d-2");
    agent.until("a failed fetch", |status| status["failed_fetches"] == 1);
    assert_eq!(caller.messages(), 1);
    std::fs::rename(&away, world.path()).expect("moved back");
    agent.until("a fetch", |status| status["passes"].as_u64() >= Some(passes + 2) && status["error"].is_null());
    agent.until("the end of the message", |_| caller.messages() == 0);
}
