//! Emulators start, answer, and end with whoever started them.
#![expect(clippy::panic, clippy::expect_used, reason = "these are tests")]

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use liminal_emulators::Emulator;
use liminal_emulators::MiniStack;
use liminal_emulators::Moto;
use liminal_emulators::Options;
use liminal_emulators::shared_ministack;
use liminal_emulators::tools;

/// Set in a process that is to start an emulator and be killed: where it writes the port to.
const VICTIM: &str = "LIMINAL_EMULATORS_VICTIM";

fn aws(emulator: &Emulator, arguments: &[&str]) -> String {
    let output = tools().aws(emulator).args(arguments).output().expect("the AWS CLI is started");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "aws {arguments:?}: {error}\n{}", emulator.log());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Ends once nobody listens on a port: the processes that are killed take a moment.
fn wait_until_silent(port: u16) {
    for _ in 0..500 {
        if !answers(port) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("port {port} still answers");
}

#[test]
fn an_outside_client_stores_an_object_in_either() {
    let moto = Moto::start();
    for emulator in [shared_ministack(), &moto] {
        aws(emulator, &["s3", "mb", "s3://shelf"]);
        assert!(aws(emulator, &["s3", "ls"]).contains("shelf"));
        assert!(aws(emulator, &["sts", "get-caller-identity"]).contains(emulator.account()));
    }
}

#[test]
fn what_was_kept_is_there_after_a_graceful_stop() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let options = Options::new().persist(folder.path());
    let first = MiniStack::with(options.clone());
    let port = first.port();
    aws(&first, &["s3", "mb", "s3://kept"]);
    aws(&first, &["sqs", "create-queue", "--queue-name", "kept"]);
    first.stop_gracefully();
    let second = MiniStack::with(options.port(port));
    assert!(aws(&second, &["s3", "ls"]).contains("kept"));
    assert!(aws(&second, &["sqs", "list-queues"]).contains("kept"));
}

#[test]
fn permissions_are_enforced_once_asked_for() {
    let moto = Moto::start();
    aws(&moto, &["s3", "mb", "s3://before"]);
    moto.enforce_permissions();
    let denied = tools().aws(&moto).args(["s3", "ls"]).output().expect("the AWS CLI is started");
    assert!(!denied.status.success());
}

#[test]
fn a_killed_emulator_no_longer_answers() {
    let emulator = MiniStack::start();
    let port = emulator.port();
    assert!(answers(port));
    emulator.kill();
    assert!(!answers(port));
}

#[test]
fn an_emulator_ends_with_a_test_process_that_is_killed() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let place = folder.path().join("port");
    let mut victim = Command::new(std::env::current_exe().expect("the test binary is known"))
        .args(["--exact", "victim", "--ignored"])
        .env(VICTIM, &place)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the victim is started");
    let port = loop {
        if let Some(port) = fs::read_to_string(&place).ok().and_then(|text| text.strip_suffix('\n')?.parse().ok()) {
            break port;
        }
        assert!(victim.try_wait().expect("the victim is looked at").is_none(), "the victim started no emulator");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(answers(port));
    victim.kill().expect("the victim is killed");
    victim.wait().expect("the victim is waited for");
    wait_until_silent(port);
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn victim() {
    let Some(place) = std::env::var_os(VICTIM) else { return };
    let emulator = MiniStack::start();
    fs::write(Path::new(&place), format!("{}\n", emulator.port())).expect("the port is written");
    loop {
        std::thread::park();
    }
}
