//! A project in a folder of its own, and the program run in it with a clean environment.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// The longest that a command of a test may take: far more than any needs, so that a hang is found and not waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// A project in a temporary folder.
pub struct Project {
    folder: tempfile::TempDir,
    env: BTreeMap<String, String>,
}

/// How a command came out.
#[must_use]
#[derive(Debug)]
pub struct Outcome {
    /// Its exit status; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed as data.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
}

impl Project {
    /// An empty folder.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), env: BTreeMap::new() }
    }

    /// A project with this definition, outside git.
    pub fn new(definition: &str) -> Self {
        let project = Self::empty();
        project.write("liminal.yml", definition);
        project
    }

    /// A project with this definition in a git repository of its own, not yet committed.
    pub fn in_git(definition: &str) -> Self {
        let project = Self::new(definition);
        project.write(".gitignore", ".liminal/\n");
        project.git(&["init", "-q", "-b", "main"]);
        project
    }

    /// A copy of a folder of the repository.
    pub fn copy_of(folder: &str) -> Self {
        let project = Self::empty();
        copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), project.path());
        project
    }

    /// Sets a variable for all commands.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path below the folder.
    pub fn join(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    /// Writes a file, and the folders above it.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let target = self.join(path);
        std::fs::create_dir_all(target.parent().expect("a path below the folder")).expect("folders are made");
        std::fs::write(target, content).expect("a file is written");
    }

    /// Reads a file.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.join(path)).expect("a file is read")
    }

    /// Replaces a text in a file, which must be there.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let before = self.read(path);
        assert!(before.contains(from), "{path} holds {from:?}");
        self.write(path, before.replace(from, to));
    }

    /// Runs git.
    pub fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false"])
            .args(args)
            .current_dir(self.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .expect("git starts");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs git, which may fail.
    pub fn try_git(&self, args: &[&str]) -> Outcome {
        let output = Command::new("git")
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false"])
            .args(args)
            .current_dir(self.path())
            .env_clear()
            .envs(base_env())
            .envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null")])
            .output()
            .expect("git starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Outcome { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Commits everything.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// The program, ready to be started in the folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_liminal"));
        command.args(args).current_dir(self.path()).env_clear().envs(base_env()).envs(&self.env);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub fn liminal(&self, args: &[&str]) -> Outcome {
        let child = self.command(args).spawn().expect("liminal starts");
        wait(child, args)
    }

    /// Runs the program, which must succeed, and gives what it printed as data.
    pub fn ok(&self, args: &[&str]) -> String {
        self.liminal(args).exits(0).stdout
    }

    /// Runs the program, which must succeed, and reads the JSON that it printed.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let text = self.ok(args);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?} prints JSON: {error}\n{text}"))
    }
}

impl Outcome {
    /// Checks the exit status.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Checks that something was said on stderr.
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "stderr holds {text:?}:\n{}", self.stderr);
        self
    }

    /// Checks that something was printed on stdout.
    pub fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "stdout holds {text:?}:\n{}", self.stdout);
        self
    }
}

/// Waits for a command, and ends it when it hangs.
pub fn wait(mut child: std::process::Child, args: &[&str]) -> Outcome {
    let mut stdout = child.stdout.take().expect("stdout is piped");
    let mut stderr = child.stderr.take().expect("stderr is piped");
    let read = |pipe: &mut dyn std::io::Read| {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let out = std::thread::spawn(move || read(&mut stdout));
    let err = std::thread::spawn(move || read(&mut stderr));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            break status;
        }
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("liminal {args:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Outcome {
        code: status.code(),
        stdout: out.join().expect("stdout is read"),
        stderr: err.join().expect("stderr is read"),
    }
}

/// The few variables that every command gets. Python environments are shared by all tests, since they take long to make.
fn base_env() -> Vec<(&'static str, String)> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
    #[expect(clippy::disallowed_methods, reason = "programs are found where the tests find them")]
    let path = std::env::var("PATH").unwrap_or_default();
    #[expect(clippy::disallowed_methods, reason = "pip and version managers look below HOME")]
    let home = std::env::var("HOME").unwrap_or_default();
    vec![
        ("PATH", path),
        ("HOME", home),
        ("LIMINAL_CACHE_DIR", cache.to_string_lossy().into_owned()),
        ("COLUMNS", "100".to_owned()),
        ("USER", "tester".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
    ]
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder is read") {
        let entry = entry.expect("a folder is read");
        let name = entry.file_name();
        if [".liminal", "__pycache__"].iter().any(|skipped| name == *skipped) {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type().expect("a file has a type").is_dir() {
            std::fs::create_dir_all(&target).expect("folders are made");
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("a file is copied");
        }
    }
}
