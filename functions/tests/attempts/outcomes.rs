//! How an attempt ends.

use std::fs;
use std::time::Duration;

use liminal_functions::executor::AttemptOutcome;
use liminal_functions::executor::Stop;
use liminal_functions::local::sandbox;
use liminal_functions::local::sandbox::SandboxStatus;
use liminal_schemas::step::FailureClass;
use tokio::sync::watch;

use crate::harness::Place;
use crate::harness::Step;
use crate::harness::appears;
use crate::harness::gone;

#[tokio::test]
async fn a_step_that_succeeds_leaves_no_folder() {
    let place = Place::new();
    place.succeed(&Step::sh("mkdir ro; touch ro/file; chmod 555 ro")).await;
    let left: Vec<_> = fs::read_dir(place.config.root.join("work/20261124-000000-test")).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_step_that_fails_says_how_and_shows_its_last_lines() {
    let place = Place::new();
    let text = place.fail_text(&Step::sh("echo out; echo err >&2; exit 3")).await;
    insta::assert_snapshot!(text, @r"
    user: `sh` exited with status 3
    out
    err
    its work folder is kept: PLACE/state/work/20261124-000000-test/train.1
    ");
}

#[tokio::test]
async fn the_folder_of_a_failed_attempt_stays_until_the_next_one() {
    let place = Place::new();
    place.fail(&Step::sh("echo kept > note; exit 1")).await;
    assert_eq!(fs::read_to_string(place.work(1).join("note")).expect("a note"), "kept\n");
    place.fail(&Step::sh("exit 1").attempt(2)).await;
    assert!(!place.work(1).exists());
    assert!(place.work(2).exists());
}

#[tokio::test]
async fn a_step_that_takes_too_long_is_ended() {
    let place = Place::new();
    let failure = place.fail(&Step::sh("echo started; sleep 60").timeout(Duration::from_millis(300))).await;
    assert_eq!(failure.class, FailureClass::Timeout);
    assert_eq!(failure.message, "the step took longer than its timeout of 300ms");
    assert!(failure.detail.starts_with("started\n"), "{}", failure.detail);
}

#[tokio::test]
async fn a_step_that_ignores_the_request_to_end_is_killed() {
    let place = Place::new();
    let step = Step::sh("trap '' TERM; while true; do sleep 0.05; done").timeout(Duration::from_millis(200));
    assert_eq!(place.fail(&step).await.class, FailureClass::Timeout);
}

#[tokio::test]
async fn a_signal_is_named() {
    let place = Place::new();
    let failure = place.fail(&Step::sh("kill -SEGV $$")).await;
    assert_eq!((failure.message.as_str(), failure.signal), ("`sh` was ended by SIGSEGV", Some(11)));
    let killed = place.fail(&Step::sh("kill -KILL $$")).await;
    assert_eq!(killed.message, "`sh` was ended by SIGKILL, most often because memory ran out");
}

#[tokio::test]
async fn children_that_outlive_the_step_are_ended() {
    let place = Place::new();
    place.succeed(&Step::sh("sleep 60 & echo $! > out/pid").output("pid", "pid")).await;
    let log = String::from_utf8(place.log()).expect("text");
    assert_eq!(log, "liminal: processes that the step had left running were ended\n");
}

#[tokio::test]
async fn a_child_that_left_the_group_delays_nothing_and_is_ended() {
    let place = Place::new();
    let pid = place.path().join("state/work/20261124-000000-test/train.1/pid");
    let step =
        Step::sh("setsid sh -c 'echo $$ > pid; sleep 60' & while ! test -s pid; do sleep 0.01; done; cat pid; exit 1");
    let failure = place.fail(&step).await;
    assert!(failure.detail.contains("had left running were ended"), "{}", failure.detail);
    gone(&appears(&pid).await).await;
}

#[tokio::test]
async fn a_step_that_is_to_stop_is_asked_first() {
    let place = Place::new();
    let (sender, stop) = watch::channel(Stop::No);
    let work = place.work(1);
    let step = Step::sh("trap 'exit 0' TERM; echo $$ > ready; while true; do sleep 0.02; done");
    let asking = async {
        let pid = appears(&work.join("ready")).await;
        sender.send(Stop::Gracefully).expect("a step that listens");
        pid
    };
    let (outcome, pid) = tokio::join!(place.run_until(&step, stop), asking);
    assert_eq!(outcome, AttemptOutcome::Stopped);
    gone(&pid).await;
    assert!(!work.exists());
}

#[tokio::test]
async fn a_second_request_to_stop_does_not_wait() {
    let mut place = Place::new();
    place.config.grace = Duration::from_secs(600);
    let (sender, stop) = watch::channel(Stop::No);
    let work = place.work(1);
    let step = Step::sh("trap '' TERM; echo $$ > ready; while true; do sleep 0.02; done");
    let asking = async {
        appears(&work.join("ready")).await;
        sender.send(Stop::Gracefully).expect("a step that listens");
        tokio::time::sleep(Duration::from_millis(50)).await;
        sender.send(Stop::Now).expect("a step that listens");
    };
    let (outcome, ()) = tokio::join!(place.run_until(&step, stop), asking);
    assert_eq!(outcome, AttemptOutcome::Stopped);
}

#[tokio::test]
async fn dropping_the_attempt_kills_its_whole_group() {
    let place = Place::new();
    let ready = place.work(1).join("ready");
    let step = Step::sh("sleep 60 & echo $! > ready; wait");
    let pid = tokio::select! {
        outcome = place.run(&step) => panic!("{outcome:?}"),
        pid = appears(&ready) => pid,
    };
    gone(&pid).await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_the_steps_fault() {
    let mut place = Place::new();
    place.config.path = "/usr/bin:/bin".to_owned();
    insta::assert_snapshot!(place.fail_text(&Step::argv(&["no-such-program"])).await, @r"
    user: there is no program `no-such-program` on the PATH (/usr/bin:/bin)
    hint: if it is a file of the project, write it as ./no-such-program and name it under `code:`
    its work folder is kept: PLACE/state/work/20261124-000000-test/train.1
    ");
    insta::assert_snapshot!(place.fail_text(&Step::argv(&["./train.sh"])).await, @r"
    user: there is no program `./train.sh`
    hint: if it is a file of the project, name it under `code:`
    its work folder is kept: PLACE/state/work/20261124-000000-test/train.1
    ");
}

#[tokio::test]
async fn a_step_over_its_memory_limit_is_killed() {
    let place = Place::new();
    let hungry = "import time; data = bytearray(200 << 20); time.sleep(60)";
    let chatty = format!(
        "import threading; threading.Thread(target=lambda: [print(1) for _ in iter(int, 1)], daemon=True).start(); {hungry}"
    );
    let failure = place.fail(&Step::argv(&["python3", "-c", &chatty]).resources(Some(64), None)).await;
    assert_eq!(failure.class, FailureClass::User);
    assert!(failure.message.ends_with("MiB of memory, and its limit is 64 MiB"), "{}", failure.message);
    assert!(failure.detail.contains("hint: raise `resources: {memory: …}` of the step"), "{}", failure.detail);
}

#[tokio::test]
async fn a_step_over_its_disk_limit_is_killed() {
    let place = Place::new();
    let many_files = "i=0; while true; do head -c 500000 /dev/zero > file$i; i=$((i+1)); done";
    let failure = place.fail(&Step::sh(many_files).resources(None, Some(5))).await;
    assert!(failure.message.ends_with("MiB of disk, and its limit is 5 MiB"), "{}", failure.message);
    let one_file = place.fail(&Step::sh("head -c 50000000 /dev/zero > file").resources(None, Some(5))).await;
    assert!(one_file.message.ends_with("MiB of disk, and its limit is 5 MiB"), "{}", one_file.message);
    let quick = place
        .fail(&Step::sh("for i in 1 2 3; do head -c 3000000 /dev/zero > f$i; done").resources(None, Some(5)))
        .await;
    assert!(quick.message.ends_with("MiB of disk, and its limit is 5 MiB"), "{}", quick.message);
}

#[tokio::test]
async fn a_step_writes_only_below_its_folder() {
    if sandbox::status() == SandboxStatus::Unavailable {
        return;
    }
    let place = Place::new();
    let outside = place.path().join("outside");
    let script =
        format!("echo x > /dev/null; echo y > tmp/y; cp tmp/y out/y; mv tmp/y z; echo bad > {}", outside.display());
    let failure = place.fail(&Step::sh(&script)).await;
    assert!(failure.detail.contains("Permission denied"), "{}", failure.detail);
    assert!(failure.detail.contains("hint: a step may write only below its work folder"), "{}", failure.detail);
    assert!(!outside.exists());
}

#[tokio::test]
async fn processes_of_a_step_may_share_memory() {
    let place = Place::new();
    let pool = "import multiprocessing as m; print(m.Pool(2).map(abs, [1, -2]))";
    place.succeed(&Step::argv(&["python3", "-c", pool])).await;
    assert_eq!(place.log(), b"[1, 2]\n");
}

#[tokio::test]
async fn without_the_sandbox_a_step_writes_where_its_user_may() {
    let mut place = Place::new();
    place.config.sandbox = false;
    let outside = place.path().join("outside");
    place.succeed(&Step::sh(&format!("echo x > {}", outside.display()))).await;
    assert!(outside.exists());
}

#[tokio::test]
async fn a_step_sees_a_clean_environment() {
    let mut place = Place::new();
    place.config.path = "/usr/bin:/bin".to_owned();
    let step = Step::argv(&["env"])
        .param("seed", liminal_schemas::value::Value::Int(7))
        .output("model", "models/m.bin")
        .env("GREETING", "{{ params.seed }} for {{ step.name }}");
    place.fail(&step).await;
    let log = String::from_utf8(place.log()).expect("text");
    let mut lines: Vec<&str> = log.lines().collect();
    lines.sort_unstable();
    let text = lines.join("\n").replace(&place.path().to_string_lossy().into_owned(), "PLACE");
    insta::assert_snapshot!(text, @"
    GREETING=7 for train
    HOME=PLACE/state/work/20261124-000000-test/train.1
    LANG=C.UTF-8
    LIMINAL_ATTEMPT=1
    LIMINAL_INPUT_SEED=7
    LIMINAL_OUTPUTS=PLACE/state/work/20261124-000000-test/train.1/out
    LIMINAL_OUTPUT_MODEL=PLACE/state/work/20261124-000000-test/train.1/out/models/m.bin
    LIMINAL_PARAM_SEED=7
    LIMINAL_PARTITION=2027-01-15
    LIMINAL_PIPELINE=train
    LIMINAL_PROJECT=demo
    LIMINAL_RUN=20261124-000000-test
    LIMINAL_SCHEDULED_TIME=2027-01-15T08:00:00.000Z
    LIMINAL_STEP=train
    LIMINAL_WORK=PLACE/state/work/20261124-000000-test/train.1
    MPLBACKEND=Agg
    PATH=/usr/bin:/bin
    PYTHONDONTWRITEBYTECODE=1
    PYTHONHASHSEED=0
    PYTHONUNBUFFERED=1
    PYTHONUTF8=1
    TMPDIR=PLACE/state/work/20261124-000000-test/train.1
    TZ=UTC
    ");
}
