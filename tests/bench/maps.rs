//! Steps that map over many items: against `xargs` with as many processes, and without any process at all.

use std::future::Future;
use std::pin::pin;
use std::process::Command;
use std::process::Stdio;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;

use liminal_functions::executor::Stop;
use liminal_functions::ports::ObjectStore as _;
use liminal_functions::ports::Platform as _;
use liminal_functions::ports::Queue as _;
use liminal_functions::runner::Events;
use liminal_functions::runner::Handled;
use liminal_functions::runner::Runner;
use liminal_functions::simulated::SimulatedPlatform;
use liminal_functions::simulated::World;
use liminal_schemas::keys;
use liminal_schemas::map::MapSource;
use liminal_schemas::map::MapSpec;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::release::RELEASE_SCHEMA;
use liminal_schemas::release::Release;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunRecord;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;
use liminal_schemas::value::Value;
use tokio::sync::watch;

use crate::measure;
use crate::measure::Sample;
use crate::measure::repeat;
use crate::peers;
use crate::project::Project;
use crate::report::Goal;
use crate::report::Outcome;

/// Items that each start a process.
const ITEMS: u32 = 10_000;

/// Items for whose memory is looked.
const MANY: u32 = 100_000;

/// How many messages are handled before the world's time is set on.
const VISIBILITY: Duration = Duration::from_secs(600);

/// Maps over no-op commands, two at a time, and what the protocol itself costs.
pub fn maps() -> Vec<Outcome> {
    let project = Project::new(
        "project: bench\npipelines:\n  p:\n    steps:\n      list:\n        run: sh list.sh {{ outputs.rows }}\n        outputs: {rows: rows.jsonl}\n      work:\n        map: {rows: list.rows}\n        run: [\"true\"]\n",
    );
    project.write("list.sh", &format!("seq -f '\"%g\"' {ITEMS} > \"$1\"\n"));
    let floor = repeat(2, || {
        let lines = "x\n".repeat(usize::try_from(ITEMS).expect("it fits"));
        drop(measure::run_with_input(Command::new("xargs").args(["-P2", "-n1", "true"]).stdout(Stdio::null()), &lines));
    });
    let run = ["run", "--quiet", "--no-cache", "--jobs", "2"];
    let ran = repeat(2, || measure::run(&mut project.liminal(&run)));
    let memory = measure::peak_memory_mib(&mut project.liminal(&run), 0).expect("this system tells");
    let protocol = repeat(3, || in_memory(ITEMS));
    vec![
        Outcome {
            case: format!("{ITEMS} no-op items at --jobs 2"),
            value: ran.min / floor.min,
            unit: "×",
            // At least 0.6 of what xargs does in the same time.
            goal: Goal::AtMost(1.0 / 0.6),
            measured: ran.clone(),
            floor: Some((format!("xargs -P2, {ITEMS} × `true`"), floor)),
        },
        Outcome {
            case: format!("peak memory of a map over {ITEMS} items"),
            value: memory,
            unit: "MiB",
            goal: Goal::AtMost(200.0),
            measured: ran,
            floor: None,
        },
        Outcome {
            case: "the protocol alone, an item, in memory and without a process".to_owned(),
            value: protocol.min / f64::from(ITEMS) * 1e6,
            unit: "µs",
            goal: Goal::AtMost(100.0),
            measured: protocol,
            floor: None,
        },
    ]
}

/// How many items are compared with tools that take a second for each.
const FEW: u32 = 20;

/// A map over a few items in Python, beside tools that map as well: each item is a process with an interpreter of its own.
pub fn few() -> Vec<Outcome> {
    let numbers: Vec<String> = (0..FEW).map(|number| number.to_string()).collect();
    let project = Project::new(&format!(
        "project: bench\npipelines:\n  p:\n    steps:\n      work:\n        map: {{over: [{}]}}\n        call: steps:work\n        outputs: {{o: o.txt}}\n",
        numbers.join(", ")
    ));
    project.write("steps.py", "def work(item, o):\n    o.write_text(str(item))\n");
    let ran = repeat(3, || measure::run(&mut project.liminal(&["run", "--quiet", "--no-cache"])));
    let others = [("lithops", lithops()), ("metaflow", metaflow())];
    let others = others.into_iter().filter_map(|(name, sample)| Some((name, sample?)));
    let outcome = |(name, sample): (&str, Sample)| Outcome {
        case: format!("{FEW} items of a map in Python, beside {name}"),
        value: ran.min / sample.min,
        unit: "×",
        goal: Goal::AtMost(1.0),
        measured: ran.clone(),
        floor: Some((format!("{name}, {FEW} items"), sample)),
    };
    others.map(outcome).collect()
}

fn lithops() -> Option<Sample> {
    const FLOW: &str = "\
import sys, lithops
def step(x): return x
if __name__ == '__main__':
    storage = {'backend': 'localhost', 'storage': 'localhost', 'log_level': 'WARNING', 'telemetry': False}
    ex = lithops.FunctionExecutor(config={'lithops': storage, 'localhost': {}})
    ex.map(step, range(int(sys.argv[1])))
    assert len(ex.get_result()) == int(sys.argv[1])
    ex.clean()
";
    flow("lithops", FLOW, &[])
}

fn metaflow() -> Option<Sample> {
    const FLOW: &str = "\
from metaflow import FlowSpec, step
class F(FlowSpec):
    @step
    def start(self):
        self.xs = list(range(20))
        self.next(self.item, foreach='xs')
    @step
    def item(self):
        self.next(self.join)
    @step
    def join(self, inputs):
        self.next(self.end)
    @step
    def end(self):
        pass
if __name__ == '__main__':
    F()
";
    assert!(FLOW.contains(&format!("range({FEW})")));
    flow("metaflow", FLOW, &["--no-pylint", "--quiet", "run", "--max-workers", "2"])
}

/// Runs a peer's own program in a folder of its own; none when the peer is not installed.
fn flow(name: &str, text: &str, args: &[&str]) -> Option<Sample> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("flow.py");
    std::fs::write(&file, text).expect("written");
    peers::python(name)?;
    let count = FEW.to_string();
    let args: Vec<&str> = if args.is_empty() { vec![&count] } else { args.to_vec() };
    Some(repeat(2, || {
        let mut command = peers::python(name).expect("it is installed");
        command.arg(&file).args(&args).current_dir(folder.path()).env("HOME", folder.path());
        measure::run(command.env("METAFLOW_USER", "bench").env("USERNAME", "bench"));
    }))
}

/// The memory of a map over very many items: a case of its own, since it takes minutes.
pub fn many() -> Vec<Outcome> {
    let project = Project::new(
        "project: bench\npipelines:\n  p:\n    steps:\n      list:\n        run: sh list.sh {{ outputs.rows }}\n        outputs: {rows: rows.jsonl}\n      work:\n        map: {rows: list.rows}\n        run: [\"true\"]\n",
    );
    project.write("list.sh", &format!("seq -f '\"%g\"' {MANY} > \"$1\"\n"));
    let mut memory = 0.0;
    let seconds = measure::time(|| {
        let run = ["run", "--quiet", "--no-cache", "--jobs", "2"];
        memory = measure::peak_memory_mib(&mut project.liminal(&run), 0).expect("this system tells");
    });
    vec![Outcome {
        case: format!("peak memory of a map over {MANY} items"),
        value: memory,
        unit: "MiB",
        goal: Goal::AtMost(200.0),
        measured: Sample::once(seconds),
        floor: None,
    }]
}

/// Carries a map out in a simulated world in which nothing goes wrong, by the real runner.
fn in_memory(items: u32) {
    let values = (0..items).map(|item| Value::Int(i64::from(item))).collect();
    let map = MapSpec {
        over: MapSource::Values(values),
        batch: None,
        max_concurrency: None,
        tolerated_failures: Default::default(),
    };
    let spec: StepSpec = serde_json::from_value(serde_json::json!({
        "action": {"run": {"argv": ["true"]}},
        "retries": {"max": 0, "backoff_seconds": 1.0, "jitter": 0.5, "on": []},
        "timeout_seconds": 60, "resources": {"cpu": 1}, "cache": "off",
    }))
    .expect("a step");
    let step = StepName::new("work").expect("a name");
    let release = Release {
        schema: RELEASE_SCHEMA,
        project: ProjectName::new("bench").expect("a name"),
        owner: None,
        pipeline: PipelineName::new("p").expect("a name"),
        steps: [(step, StepSpec { map: Some(map), ..spec })].into(),
        ..empty_release()
    };
    let record = run_record(&release);
    let world = World::calm(1);
    let runner = Runner::new(SimulatedPlatform::new(&world, "process", true), Events::silent());
    let bytes = serde_json::to_vec(&release).expect("JSON");
    let key = keys::release(&release.pipeline, &release.revision());
    complete(&world, runner.platform().store().put_if_absent(&key, &bytes)).expect("written");
    complete(&world, runner.start(record.clone())).expect("started");
    let (_stop, stopped) = watch::channel(Stop::No);
    while complete(&world, runner.result(&record.pipeline, &record.run)).expect("read").is_none() {
        let queue = runner.platform().queue();
        let delivery = complete(&world, queue.receive(SimulatedPlatform::QUEUE, VISIBILITY)).expect("received");
        let delivery = delivery.expect("a message is left");
        let handled = complete(&world, runner.handle(&delivery.body, stopped.clone())).expect("handled");
        assert_eq!(handled, Handled::Done);
        complete(&world, queue.delete(&delivery.receipt)).expect("deleted");
    }
}

/// Polls to the end, letting the world's time pass when nothing else happens.
fn complete<T>(world: &World, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        let before = world.activity();
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
        if world.activity() == before {
            world.pass_time();
        }
    }
}

fn empty_release() -> Release {
    serde_json::from_value(serde_json::json!({
        "schema": RELEASE_SCHEMA, "project": "bench", "pipeline": "p", "params": {}, "steps": {},
    }))
    .expect("a release")
}

fn run_record(release: &Release) -> RunRecord {
    serde_json::from_value(serde_json::json!({
        "schema": RUN_SCHEMA, "run": RunId::new("20261124-000000-test").expect("an id"), "pipeline": "p",
        "revision": release.revision(), "source": {}, "started_at": UtcTime::from_millis(1_800_000_000_000),
    }))
    .expect("a record")
}
