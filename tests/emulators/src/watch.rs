//! Programs that do not outlive the test process: nobody can catch SIGKILL, but a pipe closes whatever way its writer
//! ends, and a small watcher waits for that. It also ends what the program has started.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

const WATCHER: &str = include_str!("watch.py");

/// A program, killed with all its descendants when this is dropped or the test process ends.
#[derive(Debug)]
pub(crate) struct Watched {
    watcher: Child,
}

impl Watched {
    /// Starts a program with variables instead of the AWS ones of this process. `folder` is removed after its end.
    pub(crate) fn start(
        python: &Path,
        program: &[String],
        env: &[(String, String)],
        folder: &Path,
        log: &Path,
    ) -> Self {
        let log = File::create(log).expect("the log file is made");
        let mut command = Command::new(python);
        command.args(["-c", WATCHER]).arg(folder).args(program).current_dir(folder).process_group(0);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command.envs(env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("the log file is shared")).stderr(log);
        Self { watcher: command.spawn().expect("the watcher is started") }
    }

    /// Whether the program ended by itself.
    pub(crate) fn ended(&mut self) -> bool {
        self.watcher.try_wait().expect("the watcher is looked at").is_some()
    }

    /// Lets the program end as it wishes, for some seconds, and then kills it.
    pub(crate) fn stop(&mut self) {
        if let Some(mut pipe) = self.watcher.stdin.take() {
            // Fails when it has ended, which is what is wanted. Closed after the answer: closing means kill.
            let _ = pipe.write_all(b"stop\n");
            self.watcher.wait().expect("the watcher is waited for");
        }
    }

    /// Kills the program.
    pub(crate) fn kill(&mut self) {
        drop(self.watcher.stdin.take());
        self.watcher.wait().expect("the watcher is waited for");
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        // A watcher that is gone already leaves nothing to wait for.
        let _ = self.watcher.wait();
    }
}
