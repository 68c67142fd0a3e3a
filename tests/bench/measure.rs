//! Wall time and peak memory of whole processes.

use std::io::Write as _;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// Seconds of several repetitions of one thing.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Sample {
    /// The least: the best estimate of the true cost on a shared machine.
    pub min: f64,
    /// The middle one; 0 in what was written down without it.
    #[serde(default, skip_serializing_if = "is_unknown")]
    pub median: f64,
    /// How many there were.
    pub repetitions: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_unknown(seconds: &f64) -> bool {
    *seconds <= 0.0
}

impl Sample {
    /// What several repetitions took.
    pub fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self { min: seconds[0], median: seconds[seconds.len() / 2], repetitions: seconds.len() }
    }

    /// What can be done only once.
    pub fn once(seconds: f64) -> Self {
        Self::of(vec![seconds])
    }
}

/// Times something so many times, after one repetition that does not count.
pub fn repeat(repetitions: usize, mut action: impl FnMut()) -> Sample {
    action();
    Sample::of((0..repetitions).map(|_| time(&mut action)).collect())
}

/// Times something once.
pub fn time(action: impl FnOnce()) -> f64 {
    let start = Instant::now();
    action();
    start.elapsed().as_secs_f64()
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("the command starts");
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a command that must succeed and reads a text; gives what it prints.
pub fn run_with_input(command: &mut Command, text: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the command starts");
    // A command that reads nothing closes the pipe.
    let _ = child.stdin.take().expect("stdin is piped").write_all(text.as_bytes());
    let output = child.wait_with_output().expect("the command ends");
    assert!(output.status.success(), "{command:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a command that must end with this status, and gives its greatest resident memory in MiB, as far as the system tells.
pub fn peak_memory_mib(command: &mut Command, code: i32) -> Option<f64> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak = None;
    let status = loop {
        if let Some(kib) = std::fs::read_to_string(&status_file).ok().as_deref().and_then(high_water_mark) {
            peak = Some(kib / 1024.0);
        }
        if let Some(status) = child.try_wait().expect("the child is ours") {
            break status;
        }
        std::thread::sleep(Duration::from_micros(300));
    };
    assert_eq!(status.code(), Some(code), "{command:?}");
    peak
}

fn high_water_mark(status: &str) -> Option<f64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
