//! An agent that follows a remote.

use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;
use std::time::Instant;

use super::world::DEFINITION;
use super::world::World;
use crate::harness::Outcome;
use crate::harness::Project;
use crate::harness::wait;

/// An agent with a home of its own.
struct Agent {
    place: Project,
    remote: String,
}

impl Agent {
    fn of(world: &World) -> Self {
        Self { place: Project::empty(), remote: world.path().display().to_string() }
    }

    fn home(&self) -> PathBuf {
        self.place.join("home")
    }

    /// One pass.
    fn once(&self, options: &[&str]) -> Outcome {
        let mut args = vec!["gitops", "agent", "--home", "home", "--once", "--remote", &self.remote];
        args.extend(options);
        self.place.liminal(&args)
    }

    /// An agent that stays.
    fn start(&self, options: &[&str]) -> Child {
        let mut args = vec!["gitops", "agent", "--home", "home", "--interval", "100ms", "--remote", &self.remote];
        args.extend(options);
        self.place.command(&args).spawn().expect("liminal starts")
    }

    fn json(&self, args: &[&str]) -> serde_json::Value {
        let mut all = vec!["-C", "home"];
        all.extend(args);
        self.place.json(&all)
    }

    fn state(&self) -> serde_json::Value {
        self.json(&["state", "show", "-o", "json", "-e", "staging"])
    }

    fn applied(&self) -> String {
        self.state()["applied"]["commit"].as_str().unwrap_or_default().to_owned()
    }

    fn history(&self) -> Vec<String> {
        let history = self.json(&["history", "-o", "json", "-n", "0", "-e", "staging"]);
        let entries = history.as_array().expect("a list").iter().rev().filter(|entry| entry["result"].is_null());
        entries.map(|entry| entry["command"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn status(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.home().join("agent.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} never came to be");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn curl(url: &str) -> String {
    let output = std::process::Command::new("curl")
        .args(["-sS", "--noproxy", "*", "-m", "20", "-w", "\n%{http_code}", url])
        .output()
        .expect("curl starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn an_agent_brings_environments_to_their_branches_and_acts_once_on_a_commit() {
    let world = World::new(DEFINITION);
    let first = world.clone.git(&["rev-parse", "HEAD"]);
    let _ = world.push("main").exits(0);
    let agent = Agent::of(&world);
    let pass = agent.once(&[]).exits(0);
    insta::assert_snapshot!(world.plain(&pass.stdout), @"
    next: branch next is not there, and what is live stays as it is
    staging: commit [ID] is taken up, since no commit was applied before
    Plan for demo, environment staging, from commit [ID]

    + greet  new, 1 step, [ID]
        + say  run sh say.sh {{ params.greeting }} {{ outputs.text }}

        The next run: all 1 step, for the first time

    Resources
      + package [ID] (1 file for say)

    Plan: 1 to create, 0 to update, 0 to delete.
    Applied: 3 operations; greet is live as [ID].
    ");
    assert_eq!(agent.applied(), first);
    let again = agent.once(&[]).exits(0);
    insta::assert_snapshot!(world.plain(&again.stdout), @"
    next: branch next is not there, and what is live stays as it is
    staging: commit [ID] is left alone: it is applied
    ");
    assert_eq!(agent.history(), ["apply"]);
    let second = world.greet("hello", "ahoy");
    let _ = world.push("main").exits(0);
    let _ = agent.once(&[]).exits(0).prints("Applied");
    assert_eq!(agent.applied(), second);
    assert_eq!(agent.history(), ["apply", "apply"]);
    assert_eq!(agent.status()["environments"]["staging"]["outcome"], "applied");
}

#[test]
fn good_broken_fixed_rolled_back_and_newer_commits_end_where_they_should() {
    let world = World::with_hook(&[]);
    let _ = world.push("main").exits(0);
    let first = world.live();
    world.clone.edit("liminal.yml", "outputs: {text", "output: {text");
    world.clone.commit("Break the definition");
    let _ = world.push("main").exits(0).says("its definition is broken");
    assert_eq!(world.live(), first);
    world.clone.edit("liminal.yml", "output: {text", "outputs: {text");
    let fixed = world.greet("hello", "ahoy");
    let _ = world.push("main").exits(0).says("Applied");
    assert_eq!(world.applied(), fixed);
    let second = world.live();

    let _ = world.liminal(&["rollback", "-e", "staging", "--auto-approve"]).exits(0);
    assert_eq!(world.live(), first);
    // An agent that works on the repository itself, as another one would on its copy.
    let mut agent = Agent::of(&world);
    agent.place = Project::empty();
    std::os::unix::fs::symlink(world.path(), agent.home()).expect("a link");
    let pass = agent.once(&["--drift", "heal"]).exits(0);
    assert!(pass.stdout.contains("it was rolled back; a newer commit goes ahead"), "{}", pass.stdout);
    assert_eq!(world.live(), first, "the rollback is left alone");
    let status = world.liminal(&["status", "-e", "staging"]);
    assert!(status.stderr.contains(&format!("Rolled back from commit {}", &fixed[..8])), "{}", status.stderr);

    let third = world.greet("ahoy", "salut");
    let _ = world.push("main").exits(0).says("Applied");
    assert_eq!(world.applied(), third);
    assert!(![first, second].contains(&world.live()));
    assert_eq!(world.history(), ["apply by hook", "apply by hook", "rollback by terminal", "apply by hook"]);
}

#[test]
fn an_agent_that_stays_follows_tells_of_itself_and_ends_when_asked() {
    let world = World::new(DEFINITION);
    let _ = world.push("main").exits(0);
    let agent = Agent::of(&world);
    let child = agent.start(&["--listen", "127.0.0.1:0"]);
    until("the first pass", || agent.status()["environments"]["staging"]["outcome"] == "skipped");
    let second = world.greet("hello", "ahoy");
    let _ = world.push("main").exits(0);
    until("the second commit", || agent.applied() == second);
    let address = std::fs::read_to_string(agent.home().join("agent.address")).expect("an address");
    let address = address.trim();
    assert_eq!(curl(&format!("http://{address}/healthz")), "ok\n\n200");
    let metrics = curl(&format!("http://{address}/metrics"));
    assert!(metrics.contains("liminal_reconciles_total{environment=\"staging\",outcome=\"applied\"} 2"), "{metrics}");
    assert!(curl(&format!("http://{address}/")).ends_with("404"));
    let other = agent.once(&[]).exits(5);
    assert!(other.stderr.contains("another agent works in"), "{}", other.stderr);
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    let ended = wait(child, &["agent"]).exits(0);
    assert!(ended.stderr.contains("The agent has stopped"), "{}", ended.stderr);
}

#[test]
fn an_agent_that_is_killed_at_any_effect_goes_on_and_applies_every_commit_once() {
    let world = World::new(DEFINITION);
    let _ = world.push("main").exits(0);
    let whole = Agent::of(&world);
    let _ = whole.once(&[]).exits(0);
    let expected = whole.state()["pipelines"].clone();
    for effect in 1..100 {
        let mut agent = Agent::of(&world);
        agent.place = agent.place.env("LIMINAL_CRASH_AT", &effect.to_string());
        let killed = agent.once(&[]);
        agent.place = agent.place.env("LIMINAL_CRASH_AT", "");
        let _ = agent.once(&[]).exits(0);
        let _ = agent.once(&[]).exits(0).prints("it is applied");
        assert_eq!(agent.state()["pipelines"], expected, "after effect {effect}");
        let history = agent.history();
        assert!(history == ["apply"] || (killed.code.is_none() && history == ["apply", "apply"]), "{history:?}");
        if killed.code == Some(0) {
            assert!(effect > 5, "the agent has effects that it can be killed at");
            return;
        }
    }
    panic!("the agent never gets to its end");
}

#[test]
fn an_agent_that_is_killed_and_started_again_goes_on() {
    let world = World::new(DEFINITION);
    let _ = world.push("main").exits(0);
    let agent = Agent::of(&world);
    for round in 0..5 {
        let mut child = agent.start(&[]);
        let commit = world.greet(if round == 0 { "hello" } else { "again" }, "again");
        let _ = world.push("main").exits(0);
        std::thread::sleep(Duration::from_millis(40 * round));
        child.kill().expect("the child is ours");
        let _ = child.wait();
        let _ = agent.once(&[]).exits(0);
        assert_eq!(agent.applied(), commit);
    }
}

#[test]
fn remotes_that_can_not_be_followed_are_told_and_touch_nothing() {
    let world = World::new(DEFINITION);
    let mut agent = Agent::of(&world);
    let empty = agent.once(&[]).exits(1);
    assert!(empty.stderr.contains("has no commit on its default branch"), "{}", empty.stderr);
    agent.remote = world.path().with_extension("gone").display().to_string();
    let gone = agent.once(&[]).exits(1);
    assert!(gone.stderr.contains("can not be fetched"), "{}", gone.stderr);
    for address in [
        "--upload-pack=touch canary",
        "ext::sh -c touch% canary",
        "ssh://-oProxyCommand=touch/x",
        "http://example.invalid/x",
    ] {
        agent.remote = address.to_owned();
        let _ = agent.once(&[]).exits(64).says("can not be followed");
    }
    assert!(!agent.place.join("canary").exists() && !agent.home().join("canary").exists());
    agent.remote = "https://me:hunter2@127.0.0.1:1/x.git".to_owned();
    let refused = agent.once(&[]).exits(1);
    assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
    assert!(!agent.status().to_string().contains("hunter2"));
}

#[test]
fn a_remote_that_never_answers_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let world = World::new(DEFINITION);
    let mut agent = Agent::of(&world);
    agent.remote = format!("http://{}/x.git", silent.local_addr().expect("an address"));
    let _ = agent.once(&["--timeout", "1s"]).exits(1).says("did not answer within 1 s");
}

#[test]
fn credentials_that_are_not_accepted_are_told_without_asking_for_others() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = server.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in server.incoming().flatten() {
            let mut stream = stream;
            let mut bytes = [0_u8; 4096];
            let _ = std::io::Read::read(&mut stream, &mut bytes);
            let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
        }
    });
    let world = World::new(DEFINITION);
    let mut agent = Agent::of(&world);
    agent.remote = format!("http://me:hunter2@{address}/x.git");
    let refused = agent.once(&[]).exits(4);
    assert!(refused.stderr.contains("does not let us in"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
}

#[test]
fn rewritten_and_deleted_branches_leave_what_is_live() {
    let world = World::new(DEFINITION);
    let first = world.clone.git(&["rev-parse", "HEAD"]);
    let _ = world.push("main").exits(0);
    let second = world.greet("hello", "ahoy");
    let _ = world.push("main").exits(0);
    let _ = world.push("main:next").exits(0);
    let agent = Agent::of(&world);
    let _ = agent.once(&[]).exits(0);
    world.clone.git(&["reset", "-q", "--hard", &first]);
    let third = world.greet("hello", "salut");
    world.clone.git(&["push", "-q", "-f", "origin", "main"]);
    let refused = agent.once(&[]).exits(3);
    assert!(refused.stderr.contains("the branch was rewritten"), "{}", refused.stderr);
    assert_eq!(agent.applied(), second);
    let _ = agent.once(&["--force"]).exits(0).prints("it was asked for by force");
    assert_eq!(agent.applied(), third);
    let _ = world.push(":next").exits(0);
    let _ = agent.once(&[]).exits(0).prints("branch next is not there, and what is live stays as it is");
    let next = agent.json(&["state", "show", "-o", "json", "-e", "next"]);
    assert_eq!(next["applied"]["commit"], second.as_str());
}

#[test]
fn a_shallow_remote_is_told_from_a_whole_one() {
    let world = World::new(DEFINITION);
    let _ = world.push("main").exits(0);
    world.greet("hello", "ahoy");
    let _ = world.push("main").exits(0);
    let shallow = Project::empty();
    let from = format!("file://{}", world.path().display());
    shallow.git(&["clone", "-q", "--bare", "--depth", "1", &from, "shallow.git"]);
    let mut agent = Agent::of(&world);
    agent.remote = shallow.join("shallow.git").display().to_string();
    let refused = agent.once(&[]).exits(1);
    assert!(refused.stderr.contains("shallow"), "{}", refused.stderr);
}

#[test]
fn hooks_and_odd_names_of_the_watched_repository_have_no_say() {
    let world = World::new(DEFINITION);
    let _ = world.push("main").exits(0);
    let agent = Agent::of(&world);
    let canary = agent.place.join("canary");
    let head = world.clone.git(&["rev-parse", "HEAD"]);
    let bare = world.path().display().to_string();
    for name in ["refs/heads/--upload-pack=touch-canary", "refs/heads/-x", "refs/heads/$(touch-canary)"] {
        world.server().git(&["--git-dir", &bare, "update-ref", name, &head]);
    }
    let hook = format!("#!/bin/sh\ntouch {}\n", canary.display());
    for name in
        ["post-checkout", "post-merge", "reference-transaction", "post-update", "pre-auto-gc", "fsmonitor-watchman"]
    {
        let path = world.path().join("hooks").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, &hook).expect("a hook is written");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, executable).expect("the hook is executable");
    }
    let _ = agent.once(&[]).exits(0);
    let _ = agent.once(&["--drift", "heal"]).exits(0);
    assert!(!canary.exists(), "no hook ran");
    assert_eq!(agent.applied(), head);
}

#[test]
fn submodules_links_and_lfs_pointers_are_refused_by_name() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
    let world = World::new(DEFINITION);
    let _ = world.push("main").exits(0);
    let agent = Agent::of(&world);
    let _ = agent.once(&[]).exits(0);
    let good = agent.applied();
    let live = agent.state()["pipelines"].clone();

    world.clone.write("say.sh", pointer);
    world.clone.commit("Track the script with LFS");
    let _ = world.push("main").exits(0);
    let refused = agent.once(&[]).exits(1);
    assert!(refused.stderr.contains("say.sh") && refused.stderr.contains("Git LFS"), "{}", refused.stderr);
    assert_eq!(agent.state()["pipelines"], live);
    let again = agent.once(&[]).exits(3);
    assert!(again.stderr.contains("in quarantine"), "{}", again.stderr);

    std::fs::remove_file(world.clone.join("say.sh")).expect("a file");
    std::os::unix::fs::symlink("/etc/passwd", world.clone.join("say.sh")).expect("a link");
    world.clone.commit("Point out of the project");
    let _ = world.push("main").exits(0);
    let _ = agent.once(&[]).exits(1).says("symbolic link");

    world.clone.git(&["rm", "-q", "-f", "say.sh"]);
    let link = format!("160000,{good},say.sh");
    world.clone.git(&["update-index", "--add", "--cacheinfo", &link]);
    world.clone.git(&["commit", "-q", "-m", "Make it a submodule"]);
    let _ = world.push("main").exits(0);
    let _ = agent.once(&[]).exits(1).says("submodule");
    assert_eq!(agent.state()["pipelines"], live);
    assert_eq!(agent.applied(), good);
}

#[test]
fn what_somebody_else_moved_is_told_and_put_back() {
    let world = World::new(DEFINITION);
    let _ = world.push("main").exits(0);
    let agent = Agent::of(&world);
    let _ = agent.once(&[]).exits(0);
    let objects = agent.home().join(".liminal/staging/objects");
    let pointer = objects.join("live/greet.json");
    let before = std::fs::read_to_string(&pointer).expect("a live pointer");
    std::fs::remove_file(&pointer).expect("the pointer goes");
    for entry in std::fs::read_dir(objects.join("packages")).expect("packages").flatten() {
        std::fs::remove_file(entry.path()).expect("the package goes");
    }
    let told = agent.once(&[]).exits(0);
    insta::assert_snapshot!(world.plain(&told.stdout), @"
    next: branch next is not there, and what is live stays as it is
    staging: commit [ID] is left alone: it is applied
    staging: drift
    ~ live pointer of greet
        revision  [ID] is recorded, nothing is there
    - package [ID] (of environment)
        it is gone
    Drift: 2 things are not as recorded; 1 resource looked at.
    ");
    assert!(!pointer.exists(), "a report changes nothing");
    let drift = ["-C", "home", "drift", "-e", "staging", "--detailed-exitcode"];
    let _ = agent.place.liminal(&drift).exits(2);
    let healed = agent.once(&["--drift", "heal"]).exits(0);
    assert!(healed.stdout.contains("Healed"), "{}", healed.stdout);
    let revision = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON")["revision"].clone();
    assert_eq!(revision(&std::fs::read_to_string(&pointer).expect("it is back")), revision(&before));
    let _ = agent.place.liminal(&drift).exits(0).prints("No drift");
    assert_eq!(agent.status()["environments"]["staging"]["healed"], 2);
    assert_eq!(agent.history(), ["apply", "heal"]);
    let _ = agent.once(&["--drift", "heal"]).exits(0);
    assert_eq!(agent.history(), ["apply", "heal"], "what is whole is left alone");
}
