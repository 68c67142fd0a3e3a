//! The runner behind a line protocol, without the function around it, so that a test decides when what arrives.

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use serde_json::Value;
use serde_json::json;

use crate::world::World;

/// A runner that waits for events.
pub(crate) struct Serving {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Serving {
    /// Starts one in front of which there may be a proxy.
    pub(crate) fn start(world: &World, endpoint: &[(String, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_liminal-runner"));
        #[expect(clippy::disallowed_methods, reason = "tests look for programs where the machine has them")]
        let path = std::env::var("PATH").expect("a PATH");
        command
            .arg("serve")
            .env_clear()
            .env("PATH", path)
            .env("LAMBDA_TASK_ROOT", world.folder.path())
            .envs(world.variables())
            .envs(endpoint.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the runner starts");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, answers }
    }

    /// Sends an event as it is; gives the answer.
    pub(crate) fn event(&mut self, event: &Value, left: Duration) -> Value {
        #[expect(clippy::disallowed_methods, reason = "deadlines are told by the clock of the machine")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let deadline = u64::try_from((now + left).as_millis()).expect("a time");
        let line = json!({ "event": event, "deadline_ms": deadline, "request_id": "r1" });
        writeln!(self.child.stdin.as_mut().expect("a pipe"), "{line}").expect("sent");
        self.answer().expect("an answer")
    }

    /// Sends a message of a queue as Lambda does.
    pub(crate) fn send(&mut self, queue: &str, body: &str, receives: u32, left: Duration) {
        #[expect(clippy::disallowed_methods, reason = "deadlines are told by the clock of the machine")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let record = json!({
            "messageId": "m1", "receiptHandle": "gone", "body": body,
            "attributes": { "ApproximateReceiveCount": receives.to_string() },
            "eventSourceARN": format!("arn:aws:sqs:eu-central-1:000000000000:{queue}"),
        });
        let deadline = u64::try_from((now + left).as_millis()).expect("a time");
        let line = json!({ "event": { "Records": [record] }, "deadline_ms": deadline, "request_id": "r1" });
        let input = self.child.stdin.as_mut().expect("a pipe");
        writeln!(input, "{line}").expect("sent");
    }

    /// The answer to what was sent; none when the runner ended instead.
    pub(crate) fn answer(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("read");
        (!line.is_empty()).then(|| serde_json::from_str(&line).expect("JSON"))
    }

    /// Whether a message was handled: it is not among the failures.
    pub(crate) fn handles(&mut self, queue: &str, body: &str) -> bool {
        self.send(queue, body, 1, Duration::from_secs(120));
        let answer = self.answer().expect("an answer");
        let failures = answer["result"]["batchItemFailures"].as_array().unwrap_or_else(|| panic!("{answer}"));
        failures.is_empty()
    }

    /// Ends it without a word.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
