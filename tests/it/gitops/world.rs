//! A bare repository, and a clone that pushes to it.

use std::path::PathBuf;

use crate::harness::Outcome;
use crate::harness::Project;

/// A pipeline for an environment that follows `main`, on this machine.
pub const DEFINITION: &str = "\
project: demo
params: {greeting: hello}
environments:
  staging: {branch: main}
  next: {branch: next}
pipelines:
  greet:
    steps:
      say:
        run: [sh, say.sh, \"{{ params.greeting }}\", \"{{ outputs.text }}\"]
        outputs: {text: text.txt}
";

/// A bare repository and a clone of it.
pub struct World {
    /// Holds `repo.git`.
    server: Project,
    /// The clone.
    pub clone: Project,
}

impl World {
    /// A repository without a commit, and a clone with one that is not pushed yet.
    pub fn new(definition: &str) -> Self {
        let server = Project::empty();
        server.git(&["init", "-q", "--bare", "-b", "main", "repo.git"]);
        let clone = Project::in_git(definition);
        clone.write("say.sh", "echo \"$1\" > \"$2\"\n");
        clone.commit("Start");
        let world = Self { server, clone };
        world.clone.git(&["remote", "add", "origin", &world.path().display().to_string()]);
        world
    }

    /// The same, with hooks.
    pub fn with_hook(options: &[&str]) -> Self {
        let world = Self::new(DEFINITION);
        let mut args = vec!["gitops", "install-hook", "repo.git"];
        args.extend(options);
        let _ = world.server.liminal(&args).exits(0).prints("post-receive");
        world
    }

    /// The bare repository.
    pub fn path(&self) -> PathBuf {
        self.server.join("repo.git")
    }

    /// Runs liminal on the repository.
    pub fn liminal(&self, args: &[&str]) -> Outcome {
        let path = self.path().display().to_string();
        let mut all = vec!["-C", &path];
        all.extend(args);
        self.server.liminal(&all)
    }

    /// Runs liminal on the repository and reads the JSON that it prints.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let outcome = self.liminal(args).exits(0);
        serde_json::from_str(&outcome.stdout).expect("JSON")
    }

    /// The program for a longer stay, in the folder that holds the repository.
    pub fn server(&self) -> &Project {
        &self.server
    }

    /// Pushes, and gives what the terminal of whoever pushes shows.
    pub fn push(&self, refspec: &str) -> Outcome {
        self.clone.try_git(&["push", "-q", "origin", refspec])
    }

    /// The revision of `greet` that is live in `staging`.
    pub fn live(&self) -> String {
        let state = self.json(&["state", "show", "-o", "json", "-e", "staging"]);
        state["pipelines"]["greet"]["live"].as_str().expect("a live revision").to_owned()
    }

    /// The commit that `staging` is at.
    pub fn applied(&self) -> String {
        let state = self.json(&["state", "show", "-o", "json", "-e", "staging"]);
        state["applied"]["commit"].as_str().expect("an applied commit").to_owned()
    }

    /// What was done to `staging`, oldest first.
    pub fn history(&self) -> Vec<String> {
        let history = self.json(&["history", "-o", "json", "-e", "staging"]);
        let entries = history.as_array().expect("a list").iter().rev().filter(|entry| entry["result"].is_null());
        let trigger = |entry: &serde_json::Value| entry["applied"]["trigger"].as_str().unwrap_or("terminal").to_owned();
        entries
            .map(|entry| format!("{} by {}", entry["command"].as_str().unwrap_or_default(), trigger(entry)))
            .collect()
    }

    /// Changes the greeting and commits.
    pub fn greet(&self, from: &str, to: &str) -> String {
        self.clone.edit("liminal.yml", &format!("greeting: {from}"), &format!("greeting: {to}"));
        self.clone.commit(&format!("Say {to}"))
    }

    /// A text without what differs from run to run.
    pub fn plain(&self, text: &str) -> String {
        let mut plain = String::new();
        for line in text.lines() {
            plain.push_str(line.trim_end());
            plain.push('\n');
        }
        plain = plain.replace(&self.server.path().display().to_string(), "[SERVER]");
        plain = plain.replace(&self.clone.path().display().to_string(), "[CLONE]");
        blank_hex(&plain)
    }
}

/// Replaces what looks like an id, whole or shortened, by `[ID]`.
fn blank_hex(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
            continue;
        }
        let hex = word.chars().all(|c| c.is_ascii_hexdigit()) && matches!(word.len(), 8 | 12 | 40 | 64);
        out.push_str(if hex { "[ID]" } else { &word });
        word.clear();
        out.push(c);
    }
    out.trim_end().to_owned()
}
