//! An agent that follows a remote over ssh, from a real sshd. Where there is none the test says so and does nothing:
//! `LIMINAL_SSHD` names one that is in no usual place.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use super::world::DEFINITION;
use super::world::World;
use crate::harness::Project;

/// The program, if the machine has it.
fn sshd() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("LIMINAL_SSHD") {
        return Some(named.into());
    }
    ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"].map(PathBuf::from).into_iter().find(|it| it.is_file())
}

/// A server with keys of its own, ended with the test.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts one on a port, by the host key of that name. It lets in whoever has the key `known`.
    fn start(program: &Path, files: &Project, port: u16, host_key: &str) -> Self {
        let configuration = [
            format!("Port {port}"),
            "ListenAddress 127.0.0.1".to_owned(),
            format!("HostKey {}", files.join(host_key).display()),
            format!("AuthorizedKeysFile {}", files.join("known.pub").display()),
            "PasswordAuthentication no".to_owned(),
            "KbdInteractiveAuthentication no".to_owned(),
            "PermitRootLogin prohibit-password".to_owned(),
            "PidFile none".to_owned(),
            // The folder of a test is below one that anybody may write to.
            "StrictModes no".to_owned(),
        ];
        files.write("sshd_config", configuration.join("\n") + "\n");
        let log = std::fs::File::create(files.join("sshd.log")).expect("a log");
        let child = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/gitops/sshd.sh"))
            .arg(program)
            .args([files.join("sshd_config"), files.path().to_owned()])
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sh starts");
        let mut server = Self { child, port };
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = server.child.try_wait().expect("the child is ours");
            let waits = ended.is_none() && start.elapsed() < Duration::from_secs(30);
            assert!(waits, "sshd does not start: {ended:?} {}", files.read("sshd.log"));
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn url(&self, repository: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", user(), self.port, repository.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whom an sshd lets in that is not root's: whoever started it.
fn user() -> String {
    let asked = Command::new("id").arg("-un").output().expect("id starts");
    String::from_utf8(asked.stdout).expect("a name").trim().to_owned()
}

fn make_key(files: &Project, name: &str) {
    let path = files.join(name);
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(path).output();
    assert!(made.expect("ssh-keygen starts").status.success(), "{name} is made");
}

#[test]
fn an_agent_follows_a_remote_over_ssh_and_is_let_in_by_its_key_alone() {
    let Some(program) = sshd() else {
        // Not by a macro, whose text is shown of tests that fail alone.
        let text = "SKIPPED: there is no sshd on this machine. `apt-get install openssh-server` has one, and LIMINAL_SSHD names one elsewhere.";
        let _ = writeln!(std::io::stderr(), "{text}");
        return;
    };
    let world = World::new(DEFINITION);
    let _ = world.push("main").exits(0);
    let files = Project::empty();
    for key in ["host", "other-host", "known", "unknown"] {
        make_key(&files, key);
    }
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|it| it.local_addr()).expect("a free port").port();
    let server = Server::start(&program, &files, port, "host");
    let host_key = files.read("host.pub");
    files.write("known_hosts", format!("[127.0.0.1]:{port} {}", host_key.trim_end_matches(" host\n")));
    let ssh = |key: &str| {
        format!(
            "ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile={} -i {}",
            files.join("known_hosts").display(),
            files.join(key).display()
        )
    };
    let url = server.url(&world.path());
    let pass =
        |place: &Project, home: &str| place.liminal(&["gitops", "agent", "--once", "--home", home, "--remote", &url]);
    let place = Project::empty().env("GIT_SSH_COMMAND", &ssh("known"));
    let _ = pass(&place, "home").exits(0).prints("Applied");
    let second = world.greet("hello", "ahoy");
    let _ = world.push("main").exits(0);
    let _ = pass(&place, "home").exits(0).prints("Applied").prints(&second[..8]);

    // A key that nobody knows, and an ssh of its own, which asks nobody about a host that it does not know.
    let stranger = Project::empty().env("GIT_SSH_COMMAND", &ssh("unknown"));
    let _ = pass(&stranger, "home").exits(4).says("does not let us in").says("never asks for a password");
    let _ =
        pass(&Project::empty(), "home").exits(1).says("not known by this key").says("`ssh HOST` with the same user");

    // Somebody else in the place of the host.
    drop(server);
    let _impostor = Server::start(&program, &files, port, "other-host");
    let third = world.greet("ahoy", "moin");
    let _ = world.push("main").exits(0);
    let refused = pass(&place, "home").exits(1).says("REMOTE HOST IDENTIFICATION HAS CHANGED").says("another key now");
    assert!(!refused.stderr.contains("@@@"), "{}", refused.stderr);
    assert!(!refused.stdout.contains(&third[..8]), "{}", refused.stdout);
    let state = place.json(&["-C", "home", "state", "show", "-o", "json", "-e", "staging"]);
    assert_eq!(state["applied"]["commit"], second.as_str(), "what is live stays");
}
