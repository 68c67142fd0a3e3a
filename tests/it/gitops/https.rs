//! An agent that follows a remote over https, from git's own server behind TLS.

use std::io::BufRead as _;
use std::io::BufReader;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use super::world::DEFINITION;
use super::world::World;
use crate::harness::Project;

/// A server, ended with the test.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(files: &Project, world: &World) -> Self {
        files.write(
            "openssl.cnf",
            "[req]\ndistinguished_name=n\nx509_extensions=e\n[n]\n[e]\nsubjectAltName=DNS:localhost\n",
        );
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-config", "openssl.cnf", "-keyout", "key.pem", "-out", "certificate.pem"])
            .current_dir(files.path())
            .output()
            .expect("openssl starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut child = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/gitops/git_https.py"))
            .args([files.join("certificate.pem"), files.join("key.pem"), world.server().path().to_owned()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says its port");
        Self { child, port: line.trim().parse().expect("a port") }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}/{path}repo.git", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_agent_follows_a_remote_over_https_and_trusts_only_who_it_should() {
    let world = World::new(DEFINITION);
    let _ = world.push("main").exits(0);
    let files = Project::empty();
    let server = Server::start(&files, &world);
    let certificate = files.join("certificate.pem").display().to_string();
    let place = Project::empty().env("GIT_SSL_CAINFO", &certificate).env("NO_PROXY", "localhost");
    let pass = |place: &Project, home: &str, url: &str| {
        place.liminal(&["gitops", "agent", "--once", "--home", home, "--remote", url])
    };
    let _ = pass(&place, "home", &server.url("")).exits(0).prints("Applied");
    let second = world.greet("hello", "ahoy");
    let _ = world.push("main").exits(0);
    let _ = pass(&place, "home", &server.url("")).exits(0).prints("Applied").prints(&second[..8]);

    // A certificate that nobody vouches for, and a repository that asks who is there.
    let stranger = Project::empty().env("NO_PROXY", "localhost");
    let _ = pass(&stranger, "home", &server.url("")).exits(1).says("can not be followed").says("certificate");
    let private = server.url("private/");
    let _ = pass(&place, "other", &private).exits(4).says("can not be followed").says("never asks for a password");
    let known = private.replacen("https://", "https://tester:secret@", 1);
    let told = pass(&place, "private", &known).exits(0);
    assert!(
        told.stdout.contains("Applied") && !format!("{}{}", told.stdout, told.stderr).contains("secret"),
        "{told:?}"
    );
    let status = std::fs::read_to_string(place.join("private/agent.json")).expect("a status file");
    assert!(!status.contains("secret"), "{status}");
}
