//! Signed requests that tell of pushes, sent by curl.

use std::process::Child;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use super::world::DEFINITION;
use super::world::World;
use crate::harness::Project;

pub const SECRET: &str = "a secret of more than sixteen bytes";

/// A receiver that fetches only when it is told to.
struct Receiver {
    place: Project,
    child: Child,
    address: String,
}

impl Receiver {
    fn start(world: &World) -> Self {
        let place = Project::empty().env("LIMINAL_WEBHOOK_SECRET", SECRET);
        let remote = world.path().display().to_string();
        let args =
            ["gitops", "webhook", "--home", "home", "--listen", "127.0.0.1:0", "--interval", "1h", "--remote", &remote];
        let child = place.command(&args).spawn().expect("liminal starts");
        let mut receiver = Self { place, child, address: String::new() };
        receiver.until("the first pass", |it| it.passes() == 1);
        let address = std::fs::read_to_string(receiver.place.join("home/agent.address")).expect("an address");
        receiver.address = format!("http://{}/", address.trim());
        receiver
    }

    fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            assert!(start.elapsed() < Duration::from_secs(60), "{what} never came to be");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn status(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.place.join("home/agent.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn passes(&self) -> u64 {
        self.status()["passes"].as_u64().unwrap_or(0)
    }

    /// Sends a body with headers; gives the status and the answer.
    fn post(&self, body: &[u8], headers: &[String]) -> (String, String) {
        curl(&self.place, &self.address, body, headers, 30)
    }

    /// Sends a push as GitHub does.
    fn deliver(&self, id: &str, body: &[u8], signature: &str) -> (String, String) {
        let headers = ["X-GitHub-Event: push".to_owned(), format!("X-GitHub-Delivery: {id}"), signature.to_owned()];
        self.post(body, &headers)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a body with headers from a folder of its own, within so many seconds; gives the status and the answer.
pub fn curl(place: &Project, address: &str, body: &[u8], headers: &[String], seconds: u32) -> (String, String) {
    place.write("body", body);
    let mut command = Command::new("curl");
    command.args(["-sS", "--noproxy", "*", "-m", &seconds.to_string(), "-w", "%{http_code}", "--data-binary", "@body"]);
    for header in headers {
        command.args(["-H", header]);
    }
    let output = command.arg(address).current_dir(place.path()).output().expect("curl starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (answer, status) = text.split_at(text.len() - 3);
    (status.to_owned(), answer.trim().to_owned())
}

/// The header that signs a body, computed by another program.
pub fn signed(body: &[u8]) -> String {
    let program = "import hashlib, hmac, sys; print(hmac.new(sys.argv[1].encode(), sys.stdin.buffer.read(), hashlib.sha256).hexdigest())";
    let mut python = Command::new("python3");
    python.args(["-c", program, SECRET]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = python.spawn().expect("python starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("stdin is piped"), body).expect("the body is taken");
    let output = child.wait_with_output().expect("python ends");
    format!("X-Hub-Signature-256: sha256={}", String::from_utf8_lossy(&output.stdout).trim())
}

#[test]
fn a_signed_delivery_lets_the_remote_be_fetched_and_others_are_turned_away() {
    let world = World::new(DEFINITION);
    let _ = world.push("main").exits(0);
    let receiver = Receiver::start(&world);
    let second = world.greet("hello", "ahoy");
    let _ = world.push("main").exits(0);
    let body = br#"{"ref": "refs/heads/main"}"#;
    let good = signed(body);
    let is = |outcome: (String, String), status: &str| assert_eq!(outcome.0, status, "{}", outcome.1);

    is(receiver.deliver("d-1", body, "X-Nothing: x"), "401");
    is(receiver.deliver("d-1", body, "X-Hub-Signature: sha1=0123456789012345678901234567890123456789"), "401");
    is(receiver.deliver("d-1", body, &good.replace("sha256=", "sha256=0")), "401");
    is(receiver.deliver("d-1", br#"{"ref": "refs/heads/evil"}"#, &good), "401");
    is(receiver.post(body, &["X-GitHub-Event: push".to_owned(), good.clone()]), "400");
    is(receiver.deliver("../../../canary", body, &good), "400");
    let oversized = vec![b' '; (25 << 20) + 1];
    is(receiver.deliver("d-1", &oversized, &signed(&oversized)), "413");
    let ping = ["X-GitHub-Event: ping".to_owned(), "X-GitHub-Delivery: p-1".to_owned(), good.clone()];
    is(receiver.post(body, &ping), "200");
    assert_eq!(receiver.passes(), 1, "none of these had anything fetched");

    is(receiver.deliver("d-1", body, &good), "202");
    receiver.until("the second commit", |it| it.status()["environments"]["staging"]["commit"] == second.as_str());
    receiver.until("the second pass", |it| it.passes() == 2);
    let (status, answer) = receiver.deliver("d-1", body, &good);
    assert_eq!((status.as_str(), answer.as_str()), ("200", "this delivery was seen before"));
    assert_eq!(receiver.passes(), 2, "a delivery counts once");
    let history = receiver.place.json(&["-C", "home", "history", "-o", "json", "-e", "staging"]);
    let by: Vec<&str> =
        history.as_array().expect("a list").iter().filter_map(|it| it["applied"]["trigger"].as_str()).collect();
    assert_eq!(by, ["webhook", "webhook"]);
    assert!(!receiver.status().to_string().contains(SECRET));
}

#[test]
fn a_large_delivery_is_taken_and_one_that_never_ends_holds_nobody_up() {
    let world = World::new(DEFINITION);
    let _ = world.push("main").exits(0);
    let receiver = Receiver::start(&world);
    let address = receiver.address.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut slow = std::net::TcpStream::connect(&address).expect("a connection");
    std::io::Write::write_all(&mut slow, b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nx").expect("half a request");
    let body = vec![b'x'; 5 << 20];
    assert_eq!(receiver.deliver("d-2", &body, &signed(&body)).0, "202");
}

#[test]
fn a_receiver_needs_a_secret_worth_its_name() {
    let place = Project::empty();
    let args = ["gitops", "webhook", "--home", "home", "--remote", "/nowhere"];
    let _ = place.liminal(&args).exits(64).says("LIMINAL_WEBHOOK_SECRET");
    let place = place.env("LIMINAL_WEBHOOK_SECRET", "short");
    let _ = place.liminal(&args).exits(64).says("fewer than 16 bytes");
    let place = place.env("LIMINAL_WEBHOOK_SECRET", SECRET);
    let _ = place.liminal(&[&args[..], &["--listen", "0.0.0.0:0"]].concat()).exits(64).says("127.0.0.1");
}
