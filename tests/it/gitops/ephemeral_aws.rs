//! Environments that are made from a template on AWS, and removed after their time: by the agent, without a trace.

use std::time::Duration;
use std::time::Instant;

use liminal_emulators::Emulator;
use liminal_emulators::shared_ministack;

use super::world::World;
use crate::aws::inventory;
use crate::aws::with_bucket;
use crate::harness::Outcome;
use crate::harness::Project;

/// A project and a bucket called `name`. Its pipeline has a trigger, so that there is a queue with ticks in it, and a function
/// that starts runs.
fn definition(name: &str, step: &str) -> String {
    format!(
        "project: {name}\n\
         params: {{greeting: hello}}\n\
         environments:\n  \
           staging: {{branch: main, platform: aws, region: eu-central-1, bucket: {name}}}\n  \
           preview: {{template: pr-*, platform: aws, region: eu-central-1, bucket: {name}, params: {{greeting: hi}}}}\n\
         pipelines:\n  \
           greet:\n    \
             triggers: [{{object: {{prefix: in/}}}}]\n    \
             steps:\n      \
               say:\n        \
                 run: [sh, say.sh, \"{{{{ params.greeting }}}}\", \"{{{{ outputs.text }}}}\"]\n        \
                 outputs: {{text: text.txt}}\n{step}"
    )
}

/// An agent's home, and the repository that it follows.
struct Followed {
    emulator: &'static Emulator,
    world: World,
    place: Project,
    name: &'static str,
}

impl Followed {
    fn new(name: &'static str, step: &str) -> Self {
        let emulator = shared_ministack();
        let world = World::new(&definition(name, step));
        let _ = world.push("main").exits(0);
        let place = with_bucket(Project::empty(), emulator, name);
        let followed = Self { emulator, world, place, name };
        let _ = followed.pass().exits(0).prints("Applied");
        followed
    }

    fn pass(&self) -> Outcome {
        let remote = self.world.path().display().to_string();
        self.place.liminal(&["gitops", "agent", "--once", "--home", "home", "--remote", &remote])
    }

    fn on(&self, environment: &str, args: &[&str]) -> Outcome {
        self.place.liminal(&[&["-C", "home", "-e", environment], args].concat())
    }

    fn left(&self, environment: &str) -> Vec<(String, String)> {
        inventory(self.emulator, self.name, environment)
    }

    /// What stands for environments that were made from the template.
    fn made(&self) -> Vec<(String, String)> {
        self.left("preview")
    }
}

#[test]
fn what_is_made_from_a_template_on_aws_is_removed_by_the_agent_without_a_trace_and_nothing_else_is() {
    let followed = Followed::new("demo-preview", "");
    let on = |environment: &str, args: &[&str]| followed.on(environment, args);
    let _ = on("pr-20", &["apply", "-y"]).exits(64).says("--ttl 48h");
    let _ = on("pr-20", &["apply", "-y", "--ttl", "48h"]).exits(0).prints("greet is live as");
    let _ = on("pr-2", &["apply", "-y", "--ttl", "48h"]).exits(0);
    let _ = on("pr-2", &["run", "--live"]).exits(0).prints("succeeded");
    assert_eq!(
        on("pr-2", &["artifacts", "cat", "say.text"]).exits(0).stdout,
        "hi\n",
        "the settings are the template's"
    );
    // Its time is over as soon as it is applied again.
    let _ = on("pr-2", &["apply", "-y", "--ttl", "1s"]).exits(0).prints("No changes");
    std::thread::sleep(Duration::from_millis(1100));
    let _ = on("pr-2", &["status"]).exits(0).says("Expired");

    let staging = followed.left("staging");
    let removed = followed.pass().exits(0).stdout;
    assert!(removed.contains("pr-2: expired, and is removed"), "{removed}");
    assert_eq!(followed.left("pr-2"), [], "what is left of pr-2");
    assert_eq!(followed.made(), [("object".to_owned(), "environments/pr-20.json".to_owned())]);
    let kinds =
        |found: &[(String, String)]| found.iter().filter(|(kind, _)| kind != "object").cloned().collect::<Vec<_>>();
    assert_eq!(kinds(&followed.left("staging")), kinds(&staging));
    for environment in ["pr-20", "staging"] {
        let _ = on(environment, &["drift", "--detailed-exitcode"]).exits(0).prints("No drift");
        let _ = on(environment, &["run", "--live"]).exits(0).prints("succeeded");
    }
    let again = followed.pass().exits(0).stdout;
    assert!(!again.contains("expired"), "{again}");

    // The same name may be made again.
    let _ = on("pr-2", &["apply", "-y", "--ttl", "48h"]).exits(0);
    let _ = on("pr-2", &["run", "--live"]).exits(0).prints("succeeded");
    for environment in ["pr-2", "pr-20"] {
        let _ = on(environment, &["destroy", "-y"]).exits(0).prints("Destroyed");
        assert_eq!(followed.left(environment), [], "what is left of {environment}");
    }
    assert_eq!(followed.made(), []);
}

/// A step that does not end by itself.
const SLOW: &str = "      wait:\n        run: [sh, -c, 'sleep 600']\n        after: [say]\n";

/// The same, and another one that runs when the others have ended, however that was.
const WITH_FINALLY: &str = "      wait:\n        run: [sh, -c, 'sleep 600']\n        after: [say]\n    \
    finally:\n      tidy: {run: [sh, -c, 'sleep 30']}\n";

impl Followed {
    /// Makes an environment whose time is over at once, with a run whose slow step is under way.
    fn with_open_run(&self, environment: &str) {
        let _ = self.on(environment, &["apply", "-y", "--ttl", "1s"]).exits(0);
        let run = self.on(environment, &["run", "--live", "--detach"]).exits(0).stdout;
        let begun = format!("runs/greet/{}/steps/wait/attempts/1.json", run.trim());
        let start = Instant::now();
        while !self.left(environment).iter().any(|(_, key)| *key == begun) {
            assert!(start.elapsed() < Duration::from_secs(100), "the step never begins");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

#[test]
fn an_environment_on_aws_whose_time_is_over_ends_its_runs_before_it_goes() {
    let followed = Followed::new("demo-preview-open", SLOW);
    followed.with_open_run("pr-3");
    let told = followed.pass().exits(0).stdout;
    assert!(told.contains("pr-3: expired, and is removed"), "{told}");
    assert_eq!(followed.made(), []);
    // Whoever carried the step out notices that it lost, and leaves nothing either.
    for _ in 0..30 {
        assert_eq!(followed.left("pr-3"), [], "what is left of pr-3");
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn an_environment_on_aws_stays_while_a_run_of_it_does_not_end() {
    let followed = Followed::new("demo-preview-busy", WITH_FINALLY);
    followed.with_open_run("pr-4");
    let before = followed.left("pr-4");
    let mut told = followed.pass().exits(0).stdout;
    assert!(told.contains("pr-4: expired; what runs that have not ended need"), "{told}");
    let after = followed.left("pr-4");
    for kind in ["queue", "role", "function", "mapping", "logs"] {
        let of = |found: &[(String, String)]| found.iter().filter(|it| it.0 == kind).count();
        assert_eq!(of(&after), of(&before), "{kind} {after:#?}");
    }
    let start = Instant::now();
    while !told.contains("pr-4: expired, and is removed") {
        assert!(start.elapsed() < Duration::from_secs(200), "it never goes: {told}");
        std::thread::sleep(Duration::from_millis(500));
        told = followed.pass().exits(0).stdout;
    }
    assert_eq!(followed.left("pr-4"), [], "what is left of pr-4");
    assert_eq!(followed.made(), []);
}

/// Kills the agent at effects of the removal, and lets it look again.
#[cfg(feature = "failpoints")]
#[test]
fn an_agent_that_is_killed_while_it_removes_an_environment_goes_on_with_its_next_pass() {
    /// Each kill costs an apply and two passes, so that only some of the moments are gone through.
    const STRIDE: usize = 7;
    let followed = Followed::new("demo-preview-killed", "");
    let remote = followed.world.path().display().to_string();
    let pass = ["gitops", "agent", "--once", "--home", "home", "--remote", &remote];
    let mut crashes = 0;
    for effect in (5..).step_by(STRIDE) {
        let _ = followed.on("pr-5", &["apply", "-y", "--ttl", "1s"]).exits(0);
        let _ = followed.on("pr-5", &["run", "--live"]).exits(0);
        std::thread::sleep(Duration::from_millis(1100));
        let mut command = followed.place.command(&pass);
        command.env("LIMINAL_CRASH_AT", effect.to_string());
        let outcome = crate::harness::wait(command.spawn().expect("liminal starts"), &pass);
        if outcome.code == Some(0) {
            break;
        }
        assert_eq!(outcome.code, None, "effect {effect} ends by a signal: {outcome:?}");
        crashes += 1;
        let _ = followed.pass().exits(0);
        assert_eq!(followed.left("pr-5"), [], "what is left when effect {effect} was the last");
    }
    assert!(crashes > 3, "only {crashes} effects were found");
    assert_eq!(followed.left("pr-5"), []);
    let _ = followed.on("staging", &["drift", "--detailed-exitcode"]).exits(0);
}
