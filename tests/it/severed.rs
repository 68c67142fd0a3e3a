//! An apply that dies at any of its calls. From one call on nothing gets through any more, which is what a service sees of
//! a program that was killed; every eighth time it is killed in earnest. The next apply puts everything right: nothing is
//! there twice, nothing is left over, nothing is left to do. And `destroy` leaves data alone.
//!
//! That a call was carried out and its answer did not arrive (the proxy loses it) or that it was not sent at all: both are
//! gone through, by turns.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::process::Child;
use std::process::ChildStdin;
use std::process::ChildStdout;
use std::process::Stdio;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use liminal_emulators::Emulator;
use liminal_emulators::Fault;
use liminal_emulators::FaultProxy;
use liminal_emulators::MiniStack;
use liminal_emulators::Rule;
use liminal_emulators::tools;

use crate::aws::with_bucket;
use crate::harness::Outcome;
use crate::harness::Project;
use crate::harness::wait;

/// How many applies are gone through beside each other: most of the time of each is waiting.
const BESIDE: usize = 3;

/// Environments that no apply has touched, more than there are calls in one.
const ENVIRONMENTS: usize = 150;

/// What a severed call is answered with: no error that is tried again.
const SEVERED: Fault = Fault::Answer { status: 400, code: "Severed" };

/// Longer than the test takes.
const FOR_EVER: Duration = Duration::from_hours(1);

const INVENTORY: &str = include_str!("inventory.py");

/// A pipeline that has some of everything but tasks, which are in that of [`changing`].
fn definition(bucket: &str) -> String {
    let mut text = format!("project: {bucket}\nenvironments:\n");
    for number in 0..ENVIRONMENTS {
        let _ = writeln!(text, "  e{number}: {{platform: aws, region: eu-central-1, bucket: {bucket}}}");
    }
    text.push_str(
        "pipelines:\n  p:\n    triggers: [{object: {prefix: in/}}]\n    steps:\n      only: {run: [\"true\"]}\n",
    );
    text
}

/// Lists what an account holds.
struct Inventory {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What is there: kind and name without what differs between environments, and how often.
type Holdings = BTreeMap<(String, String), usize>;

impl Inventory {
    fn start(emulator: &Emulator) -> Self {
        let mut command = tools().python(emulator);
        command.args(["-c", INVENTORY]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python starts");
        let ask = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, ask, answers }
    }

    fn of(&mut self, bucket: &str, environment: &str) -> Holdings {
        self.ask(bucket, environment, "")
    }

    /// The same, once all messages are thrown away: no function is here that would handle them.
    fn drained(&mut self, bucket: &str, environment: &str) -> Holdings {
        self.ask(bucket, environment, " drained")
    }

    fn ask(&mut self, bucket: &str, environment: &str, more: &str) -> Holdings {
        writeln!(self.ask, "{bucket} {environment} {bucket}{more}").expect("asked");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("answered");
        let found: Vec<(String, String)> = serde_json::from_str(&line).expect("JSON");
        let mut holdings = Holdings::new();
        for (kind, name) in found {
            *holdings.entry((kind, general(&name, environment))).or_default() += 1;
        }
        holdings
    }
}

impl Drop for Inventory {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A name without its environment, and without digests, which hold it too.
fn general(name: &str, environment: &str) -> String {
    let of_digest = |letters: &&str| letters.len() >= 8 && letters.bytes().all(|letter| letter.is_ascii_hexdigit());
    let parts = name.split_inclusive(['-', '/', '.']).map(|part| {
        let (letters, end) = part.split_at(part.trim_end_matches(['-', '/', '.']).len());
        let shown = if letters == environment || of_digest(&letters) { "…" } else { letters };
        format!("{shown}{end}")
    });
    parts.collect()
}

/// Resources, which an apply makes, without records of applies themselves.
fn resources(holdings: &Holdings) -> Holdings {
    let is_record = |key: &str| key.starts_with("state/");
    let kept = holdings.iter().filter(|((kind, name), _)| kind != "object" || !is_record(name));
    kept.map(|(thing, count)| (thing.clone(), *count)).collect()
}

/// A project, and the proxy between it and the emulator.
struct Bench {
    bucket: String,
    project: Project,
    proxy: FaultProxy,
    inventory: Inventory,
}

impl Bench {
    fn new(emulator: &Emulator, number: usize) -> Self {
        let bucket = format!("demo-severed{number}");
        let project = with_bucket(Project::new(&definition(&bucket)), emulator, &bucket);
        // No step runs here, and a small program is sent sooner.
        let project = project.env("LIMINAL_RUNNER", "/bin/true");
        let proxy = FaultProxy::start(emulator);
        let project = proxy.env().iter().fold(project, |project, (name, value)| project.env(name, value));
        Self { bucket, project, proxy, inventory: Inventory::start(emulator) }
    }

    fn apply(&self, environment: &str) -> Outcome {
        self.project.liminal(&["apply", "-y", "-e", environment])
    }

    /// Applies until so many calls were carried out.
    fn die_after(&self, calls: u32, environment: &str) -> Outcome {
        let args = ["apply", "-y", "-e", environment];
        if calls.is_multiple_of(8) {
            self.proxy.add(Rule::always(Fault::Slow(FOR_EVER)).after(calls));
            let mut child = self.project.command(&args).spawn().expect("liminal starts");
            while child.try_wait().expect("the child is ours").is_none() {
                if self.proxy.take_seen().iter().any(|seen| seen.fault.is_some()) {
                    child.kill().expect("the child is ours");
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            return wait(child, &args);
        }
        if calls % 2 == 1 {
            self.proxy.add(Rule::once(Fault::LoseResponse).after(calls - 1));
            self.proxy.add(Rule::always(SEVERED).after(calls - 1));
        } else {
            self.proxy.add(Rule::always(SEVERED).after(calls));
        }
        self.project.liminal(&args)
    }

    /// Lets an apply die after so many calls, and the next one put it right: everything is there that is expected, and once.
    /// Whether it died.
    fn dies_and_is_put_right(&mut self, calls: usize, environment: &str, expected: &Holdings) -> bool {
        let died = self.die_after(u32::try_from(calls).expect("few"), environment);
        self.proxy.clear();
        let again = self.apply(environment);
        assert_eq!(again.code, Some(0), "after {calls} calls: {again:?}\nbefore: {died:?}");
        let _ = self.project.liminal(&["plan", "--detailed-exitcode", "-e", environment]).exits(0);
        let there = resources(&self.inventory.drained(&self.bucket, environment));
        assert_eq!(there, *expected, "after {calls} calls");
        died.code != Some(0)
    }
}

#[test]
fn an_apply_that_dies_at_any_of_its_calls_is_put_right_by_the_next() {
    let emulator = MiniStack::start();
    let benches: Vec<Bench> = (0..BESIDE).map(|number| Bench::new(&emulator, number)).collect();
    let next = AtomicUsize::new(0);
    let deaths = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for mut bench in benches {
            let (next, deaths) = (&next, &deaths);
            scope.spawn(move || {
                let whole = format!("e{}", ENVIRONMENTS - 1);
                let _ = bench.apply(&whole).exits(0);
                let seen = bench.proxy.take_seen();
                let first = seen.iter().position(|seen| seen.method == "PUT").expect("the lock is taken");
                let expected = resources(&bench.inventory.of(&bench.bucket, &whole));
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let calls = first + number;
                    if calls >= seen.len() {
                        break;
                    }
                    let environment = format!("e{number}");
                    let died = bench.dies_and_is_put_right(calls, &environment, &expected);
                    deaths.fetch_add(usize::from(died), Ordering::Relaxed);
                    let destroyed = bench.project.liminal(&["destroy", "-y", "-e", &environment]).exits(0);
                    let left = resources(&bench.inventory.of(&bench.bucket, &environment));
                    let is_data = |(kind, _): &(String, String)| kind == "logs";
                    assert!(left.keys().all(is_data), "after {calls} calls destroy leaves {left:?}");
                    let _ = destroyed.says("the log groups below /liminal/").says("--allow-destroy removes the data");
                    bench.proxy.take_seen();
                }
            });
        }
    });
    assert!(deaths.load(Ordering::Relaxed) > 50, "only {deaths:?} deaths");
}

/// How many calls are left out between two deaths of a change: each death costs several applies.
const STRIDE: usize = 3;

/// A step on Lambda and one on Fargate; `word` is what changes.
fn changing(bucket: &str, word: &str) -> String {
    let text = definition(bucket);
    let (head, _) = text.split_once("pipelines:").expect("it has pipelines");
    format!(
        "{head}pipelines:\n  p:\n    triggers: [{{object: {{prefix: in/}}}}]\n    steps:\n      \
         small: {{run: [echo, {word}]}}\n      large: {{run: [echo, {word}], compute: fargate, after: [small]}}\n"
    )
}

#[test]
fn a_change_and_a_destroy_that_die_at_any_of_their_calls_are_put_right_by_the_next() {
    let emulator = MiniStack::start();
    let mut bench = Bench::new(&emulator, BESIDE);
    let define = |bench: &Bench, word: &str| bench.project.write("liminal.yml", changing(&bench.bucket, word));
    // What one apply after another leaves: the release of before is kept beside the new one.
    let whole = format!("e{}", ENVIRONMENTS - 1);
    define(&bench, "one");
    let _ = bench.apply(&whole).exits(0);
    bench.proxy.take_seen();
    define(&bench, "two");
    let _ = bench.apply(&whole).exits(0);
    let seen = bench.proxy.take_seen();
    let first = seen.iter().position(|seen| seen.method == "PUT").expect("the lock is taken");
    let expected = resources(&bench.inventory.of(&bench.bucket, &whole));
    let (mut number, mut deaths) = (0, 0);
    for calls in (first..seen.len()).step_by(STRIDE) {
        let environment = format!("e{number}");
        number += 1;
        define(&bench, "one");
        let _ = bench.apply(&environment).exits(0);
        bench.proxy.take_seen();
        define(&bench, "two");
        deaths += usize::from(bench.dies_and_is_put_right(calls, &environment, &expected));
        bench.proxy.take_seen();
        bench.proxy.add(Rule::always(SEVERED).after(u32::try_from(calls).expect("few")));
        let died = bench.project.liminal(&["destroy", "-y", "-e", &environment]);
        bench.proxy.clear();
        let destroyed = bench.project.liminal(&["destroy", "-y", "-e", &environment]);
        assert_eq!(destroyed.code, Some(0), "after {calls} calls: {destroyed:?}\nbefore: {died:?}");
        let left = resources(&bench.inventory.of(&bench.bucket, &environment));
        assert!(left.keys().all(|(kind, _)| kind == "logs"), "after {calls} calls destroy leaves {left:?}");
    }
    assert!(deaths > 5, "only {deaths} deaths");
}
