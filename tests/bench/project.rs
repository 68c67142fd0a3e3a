//! Projects to measure, in temporary folders.

use std::fmt::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use crate::measure;

/// A project in a temporary folder.
pub struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    /// A project with this definition.
    pub fn new(definition: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let project = Self { folder };
        project.write("liminal.yml", definition);
        project
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, and the folders above it.
    pub fn write(&self, path: &str, content: &str) {
        let target = self.path().join(path);
        std::fs::create_dir_all(target.parent().expect("below the folder")).expect("folders are made");
        std::fs::write(target, content).expect("a file is written");
    }

    /// liminal, ready to be started in the project.
    pub fn liminal(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_liminal"));
        command.arg("-C").arg(self.path()).args(args).env("LIMINAL_CACHE_DIR", self.path().join(".cache"));
        command.env_remove("LIMINAL_ENV");
        command
    }

    /// Makes a git repository of the project and commits everything.
    pub fn commit_all(&self) {
        for args in [&["init", "-q"][..], &["add", "-A"], &["commit", "-q", "-m", "Start"]] {
            let identity = ["-c", "user.name=Bench", "-c", "user.email=bench@example.invalid", "-c", "gc.auto=0"];
            measure::run(Command::new("git").args(identity).args(args).current_dir(self.path()));
        }
    }
}

/// The program that functions run, as it is released: static and small.
pub fn runner() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    measure::run(Command::new(root.join(".ci/runner")).arg("x86_64").stdout(Stdio::null()));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("x86_64-unknown-linux-musl");
    target.join("runner/liminal-runner")
}

/// A pipeline of no-op steps, each after the one before.
pub fn chain(steps: usize) -> String {
    let mut text = "project: bench\npipelines:\n  chain:\n    steps:\n".to_owned();
    for step in 0..steps {
        let _ = writeln!(text, "      s{step}:\n        run: [\"true\"]");
        if step > 0 {
            let _ = writeln!(text, "        after: [s{}]", step - 1);
        }
    }
    text
}

/// A pipeline of no-op steps that know nothing of each other.
pub fn fan(steps: usize) -> String {
    let mut text = "project: bench\npipelines:\n  fan:\n    steps:\n".to_owned();
    for step in 0..steps {
        let _ = writeln!(text, "      s{step}:\n        run: [\"true\"]");
    }
    text
}

/// A pipeline of ten steps as they are found in projects: Python calls with inputs, outputs and settings.
pub fn pipeline_of_ten(name: &str) -> String {
    let mut text = format!("pipelines:\n  {name}:\n    params:\n      rate: 0.1\n    steps:\n");
    for step in 0..10 {
        let _ = writeln!(
            text,
            "      s{step}:\n        phase: train\n        call: steps.part{step}:main\n        timeout: 10m"
        );
        if step > 0 {
            let _ = writeln!(text, "        inputs: {{data: s{}.out, rate: params.rate}}", step - 1);
        }
        let _ = writeln!(text, "        outputs: {{out: out.csv}}\n        retries: 2");
    }
    text
}
