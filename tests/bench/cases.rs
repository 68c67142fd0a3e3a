//! What is measured, against which floor, and what the goal is.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use crate::cloud;
use crate::maps;
use crate::measure;
use crate::measure::Sample;
use crate::measure::repeat;
use crate::project;
use crate::project::Project;
use crate::report::Goal;
use crate::report::Outcome;
use crate::runner;
use crate::transfer;

/// A case: its name and what runs it.
pub struct Case {
    /// The name by which it is chosen.
    pub name: &'static str,
    /// Measures it.
    pub run: fn() -> Vec<Outcome>,
}

/// All cases.
pub const ALL: &[Case] = &[
    Case { name: "chain", run: chain },
    Case { name: "fan", run: fan },
    Case { name: "maps", run: maps::maps },
    Case { name: "few", run: maps::few },
    Case { name: "many", run: maps::many },
    Case { name: "plan", run: plan },
    Case { name: "large_tree", run: large_tree },
    Case { name: "version", run: version },
    Case { name: "artifact", run: artifact },
    Case { name: "cloud", run: cloud::cloud },
    Case { name: "transfer", run: transfer::transfer },
    Case { name: "runner", run: runner::runner },
];

const STEPS: usize = 50;
const FAN: usize = 200;
const PIPELINES: usize = 1000;
const FILES: usize = 100_000;

/// A chain of no-op steps: run, and again from the cache.
fn chain() -> Vec<Outcome> {
    let project = Project::new(&project::chain(STEPS));
    let floor = repeat(7, || (0..STEPS).for_each(|_| measure::run(&mut Command::new("true"))));
    let ran = repeat(7, || measure::run(&mut project.liminal(&["run", "--quiet", "--no-cache"])));
    measure::run(&mut project.liminal(&["run", "--quiet"]));
    let cached = repeat(15, || measure::run(&mut project.liminal(&["run", "--quiet"])));
    let per_step = (ran.min - floor.min) / STEPS as f64 * 1000.0;
    vec![
        Outcome {
            case: format!("chain of {STEPS} no-op steps: overhead a step"),
            value: per_step,
            unit: "ms",
            goal: Goal::AtMost(3.0),
            measured: ran,
            floor: Some((format!("{STEPS} × spawn `true`"), floor)),
        },
        Outcome {
            case: format!("the same chain, all {STEPS} cached"),
            value: cached.min * 1000.0,
            unit: "ms",
            goal: Goal::AtMost(30.0),
            measured: cached,
            floor: None,
        },
    ]
}

/// Independent no-op steps, two at a time.
fn fan() -> Vec<Outcome> {
    let project = Project::new(&project::fan(FAN));
    let names = "x\n".repeat(FAN);
    let floor = repeat(5, || {
        let mut child = Command::new("xargs")
            .args(["-P2", "-n1", "true"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("xargs starts");
        child.stdin.take().expect("stdin is piped").write_all(names.as_bytes()).expect("xargs reads");
        assert!(child.wait().expect("xargs ends").success());
    });
    let ran = repeat(5, || measure::run(&mut project.liminal(&["run", "--quiet", "--no-cache", "--jobs", "2"])));
    vec![Outcome {
        case: format!("{FAN} independent no-op steps at --jobs 2"),
        value: ran.min / floor.min,
        unit: "×",
        goal: Goal::AtMost(1.5),
        measured: ran,
        floor: Some((format!("xargs -P2, {FAN} × `true`"), floor)),
    }]
}

/// Plans of a large project in git.
fn plan() -> Vec<Outcome> {
    let project = Project::new("project: bench\ninclude: [pipelines/*.yml]\n");
    for number in 0..PIPELINES {
        let name = format!("p{number:04}");
        project.write(&format!("pipelines/{name}.yml"), &project::pipeline_of_ten(&name));
    }
    for step in 0..10 {
        project.write(
            &format!("steps/part{step}.py"),
            "def main(data=None, out=None, rate=0.1):\n    out.write_text('')\n",
        );
    }
    project.write(".gitignore", ".liminal/\n.cache/\n");
    project.commit_all();
    let floor =
        repeat(5, || measure::run(Command::new("git").args(["status", "--porcelain"]).current_dir(project.path())));
    let first = repeat(5, || measure::run(&mut project.liminal(&["plan", "--quiet", "-o", "json"])));
    measure::run(&mut project.liminal(&["apply", "--quiet", "--auto-approve"]));
    let unchanged = repeat(9, || measure::run(&mut project.liminal(&["plan", "--quiet", "--detailed-exitcode"])));
    let memory = measure::peak_memory_mib(&mut project.liminal(&["plan", "--quiet", "--detailed-exitcode"]), 0);
    let label = "git status of the same repository".to_owned();
    let mut outcomes = vec![
        Outcome {
            case: format!("first plan, {PIPELINES} pipelines × 10 steps"),
            value: first.min * 1000.0,
            unit: "ms",
            goal: Goal::AtMost(400.0),
            measured: first,
            floor: Some((label.clone(), floor.clone())),
        },
        Outcome {
            case: "the same with no change".to_owned(),
            value: unchanged.min * 1000.0,
            unit: "ms",
            goal: Goal::AtMost(150.0),
            measured: unchanged.clone(),
            floor: Some((label, floor)),
        },
    ];
    outcomes.extend(memory.map(|peak| Outcome {
        case: "peak memory of that plan".to_owned(),
        value: peak,
        unit: "MiB",
        goal: Goal::AtMost(150.0),
        measured: unchanged,
        floor: None,
    }));
    outcomes
}

/// Start-up alone.
fn version() -> Vec<Outcome> {
    let liminal = || Command::new(env!("CARGO_BIN_EXE_liminal"));
    let floor = repeat(40, || measure::run(&mut Command::new("true")));
    let ran = repeat(40, || measure::run(liminal().arg("--version")));
    vec![Outcome {
        case: "liminal --version".to_owned(),
        value: ran.min * 1000.0,
        unit: "ms",
        goal: Goal::AtMost(5.0),
        measured: ran,
        floor: Some(("spawn `true`".to_owned(), floor)),
    }]
}

/// A large artifact from one step to the next.
fn artifact() -> Vec<Outcome> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("source");
    write_noise(&source, 1 << 30);
    let source_text = source.to_string_lossy().into_owned();
    let project = Project::new(&format!(
        "project: bench\npipelines:\n  big:\n    steps:\n      make:\n        run: [cp, {source_text:?}, \"{{{{ outputs.big }}}}\"]\n        outputs: {{big: big.bin}}\n      take:\n        run: [cp, \"{{{{ inputs.big }}}}\", \"{{{{ outputs.copy }}}}\"]\n        inputs: {{big: make.big}}\n        outputs: {{copy: copy.bin}}\n"
    ));
    let copies = [folder.path().join("a"), folder.path().join("b")];
    let floor = repeat(3, || {
        for copy in &copies {
            let _ = std::fs::remove_file(copy);
            measure::run(Command::new("cp").arg(&source).arg(copy));
            measure::run(Command::new("sha256sum").arg(copy));
        }
    });
    let ran = repeat(3, || {
        let _ = std::fs::remove_dir_all(project.path().join(".liminal"));
        measure::run(&mut project.liminal(&["run", "--quiet", "--no-cache"]));
    });
    let ratio = |ran: &Sample, floor: &Sample| ran.min / floor.min;
    vec![Outcome {
        case: "1 GiB through two steps".to_owned(),
        value: ratio(&ran, &floor),
        unit: "×",
        goal: Goal::AtMost(1.3),
        measured: ran,
        floor: Some(("2 × (cp + sha256sum) of 1 GiB".to_owned(), floor)),
    }]
}

/// A file that does not compress: the same on every run.
pub fn write_noise(path: &Path, bytes: usize) {
    let mut file = File::create(path).expect("a file is made");
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut block = vec![0_u8; 1 << 20];
    for _ in 0..bytes / block.len() {
        for chunk in block.chunks_exact_mut(8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            chunk.copy_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block).expect("the disk has room");
    }
}

/// A repository of many files that no pipeline uses: a plan at a commit after one of them changed.
fn large_tree() -> Vec<Outcome> {
    let project = Project::new(&project::chain(3));
    for number in 0..FILES {
        project.write(&format!("data/{:03}/{number:06}.txt", number / 500), "row\n");
    }
    project.write(".gitignore", ".liminal/\n.cache/\n");
    project.commit_all();
    let at_head = ["plan", "--quiet", "--rev", "HEAD", "--detailed-exitcode"];
    measure::run(&mut project.liminal(&["apply", "--quiet", "--rev", "HEAD", "--auto-approve"]));
    project.write("data/000/000000.txt", "another row\n");
    project.commit_all();
    let ls = ["ls-tree", "-r", "HEAD"];
    let floor =
        repeat(5, || measure::run(Command::new("git").args(ls).current_dir(project.path()).stdout(Stdio::null())));
    let unchanged = repeat(9, || measure::run(&mut project.liminal(&at_head)));
    vec![Outcome {
        case: format!("plan at a commit of {FILES} files, none of which a pipeline uses"),
        value: unchanged.min * 1000.0,
        unit: "ms",
        goal: Goal::AtMost(500.0),
        measured: unchanged,
        floor: Some(("git ls-tree -r of the same commit".to_owned(), floor)),
    }]
}
