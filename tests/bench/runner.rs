//! The runner in a function: how soon a new process handles a message, and what a call of Python costs in a warm one.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use liminal_emulators::MiniStack;
use liminal_emulators::tools;
use liminal_functions::aws::artifacts::S3Artifacts;
use liminal_functions::aws::clients::AccessKeys;
use liminal_functions::aws::clients::Clients;
use liminal_functions::aws::clients::Connection;
use liminal_functions::aws::environment::Variables;
use liminal_functions::aws::executor::AwsExecutor;
use liminal_functions::aws::executor::Machine;
use liminal_functions::aws::place::Place;
use liminal_functions::aws::scratch::Scratch;
use liminal_functions::aws::secrets::Secrets;
use liminal_functions::aws::store::S3Store;
use liminal_functions::executor::AttemptJob;
use liminal_functions::executor::AttemptOutcome;
use liminal_functions::executor::Executor as _;
use liminal_functions::executor::Stop;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::release::PackageFile;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::step::Action;
use liminal_schemas::step::CachePolicy;
use liminal_schemas::step::Resources;
use liminal_schemas::step::Retries;
use liminal_schemas::step::StepSpec;
use liminal_schemas::unit::Unit;
use serde_json::json;
use tokio::sync::watch;

use crate::measure;
use crate::measure::Sample;
use crate::measure::repeat;
use crate::project;
use crate::report::Goal;
use crate::report::Outcome;

const CALLS: usize = 50;

/// What a function of Python that does nothing looks like.
const CODE: &str = "def nothing():\n    pass\n";

/// Cold and warm.
pub fn runner() -> Vec<Outcome> {
    vec![cold(), warm()]
}

/// A process from its start until it has handled a message: here one for a run that is not there, which takes a look into the
/// store.
fn cold() -> Outcome {
    let emulator = MiniStack::start();
    measure::run(tools().aws(&emulator).args(["s3", "mb", "s3://bench"]));
    let runner = project::runner();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let body = json!({ "schema": 1, "pipeline": "p", "run": "20261124-000000-test", "step": "s" }).to_string();
    let record = json!({
        "messageId": "m1", "receiptHandle": "gone", "body": body, "attributes": { "ApproximateReceiveCount": "1" },
        "eventSourceARN": "arn:aws:sqs:eu-central-1:000000000000:q",
    });
    let line = json!({ "event": { "Records": [record] }, "deadline_ms": 4_000_000_000_000_u64, "request_id": "r" });
    let variables = [("PROJECT", "bench"), ("ENVIRONMENT", "dev"), ("BUCKET", "bench"), ("MODE", "step")];
    let ran = repeat(20, || {
        let mut command = Command::new(&runner);
        command.arg("serve").envs(emulator.env()).env("LAMBDA_TASK_ROOT", folder.path());
        command.envs(variables.map(|(name, value)| (format!("LIMINAL_{name}"), value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the runner starts");
        let mut input = child.stdin.take().expect("a pipe");
        writeln!(input, "{line}").expect("sent");
        let mut answer = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut answer).expect("read");
        assert!(answer.contains("\"batchItemFailures\":[]"), "{answer}");
        // What comes after the answer is no part of it, but a moment.
        child.kill().expect("the child is ours");
        child.wait().expect("ended");
    });
    let floor = repeat(20, || measure::run(&mut Command::new("true")));
    Outcome {
        case: "runner from its start to the first message handled".to_owned(),
        value: ran.min * 1000.0,
        unit: "ms",
        goal: Goal::AtMost(40.0),
        measured: ran,
        floor: Some(("spawn `true`".to_owned(), floor)),
    }
}

/// An attempt at a step that calls a Python function which does nothing: its folder, the call in a process forked for it,
/// what it printed, its outputs. The store answers at once.
fn warm() -> Outcome {
    let store = instant_store();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let code = folder.path().join("code");
    std::fs::create_dir(&code).expect("made");
    std::fs::write(code.join("idle.py"), CODE).expect("written");
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch).expect("made");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut seconds = Vec::new();
    runtime.block_on(async {
        let keys = AccessKeys { id: "test".to_owned(), secret: "test".to_owned(), session: None };
        let connection =
            Connection { region: Some("eu-central-1".to_owned()), endpoint: Some(store), keys: Some(keys) };
        let clients = Clients::connect(connection).await;
        let place = Place::new("bench", "bench/dev");
        let machine = Machine {
            code,
            scratch: Scratch::claim(&scratch).expect("a folder"),
            python: None,
            search_path: std::env::var_os("PATH").and_then(|path| path.into_string().ok()),
            variables: Variables::default(),
            warm: true,
        };
        let artifacts = S3Artifacts::new(&clients, place.clone());
        let secrets = Secrets::new(&clients, Variables::default());
        let executor = AwsExecutor::new(S3Store::new(&clients, place), artifacts, secrets, machine).expect("made");
        for attempt in 0..=CALLS {
            let job = job(u32::try_from(attempt).expect("few"));
            let start = std::time::Instant::now();
            let outcome = executor.execute(job).await;
            // The first one starts the worker.
            if attempt > 0 {
                seconds.push(start.elapsed().as_secs_f64());
            }
            assert!(matches!(outcome, AttemptOutcome::Succeeded { .. }), "{outcome:?}");
        }
    });
    let measured = Sample::of(seconds);
    let floor = repeat(10, || measure::run(Command::new("python3").args(["-c", "pass"])));
    Outcome {
        case: "attempt at a Python step that does nothing, warm".to_owned(),
        value: measured.median * 1000.0,
        unit: "ms",
        goal: Goal::AtMost(5.0),
        measured,
        floor: Some(("python3 -c pass".to_owned(), floor)),
    }
}

fn package() -> PackageSpec {
    let file = PackageFile { blob: Digest::of_bytes(CODE.as_bytes()).hex(), executable: false };
    PackageSpec { packer: 1, root: String::new(), files: BTreeMap::from([("idle.py".to_owned(), file)]), python: None }
}

fn job(attempt: u32) -> AttemptJob {
    let spec = StepSpec {
        phase: None,
        action: Action::Call { module: "idle".to_owned(), function: "nothing".to_owned() },
        inputs: BTreeMap::new(),
        outputs: BTreeMap::new(),
        env: BTreeMap::new(),
        after: Default::default(),
        when: None,
        map: None,
        reads_metrics: Default::default(),
        reads_params: Default::default(),
        finally: false,
        package: Some(package().digest()),
        retries: Retries::default(),
        timeout_seconds: 60,
        resources: Resources::default(),
        cache: CachePolicy::Off,
        compute: Default::default(),
        image: None,
        names: Default::default(),
        within: Vec::new(),
    };
    AttemptJob {
        project: ProjectName::new("bench").expect("a name"),
        pipeline: PipelineName::new("p").expect("a name"),
        run: RunId::new("20261124-000000-test").expect("an id"),
        unit: Unit::step(StepName::new("s").expect("a name")),
        item: None,
        attempt,
        package: spec.package,
        spec: Arc::new(spec),
        params: Arc::default(),
        inputs: BTreeMap::new(),
        objects: Default::default(),
        secrets: Arc::default(),
        run_status: None,
        scheduled: liminal_schemas::run::Scheduled::in_utc(liminal_schemas::time::UtcTime::from_millis(
            1_800_000_000_000,
        )),
        timeout: Duration::from_secs(60),
        stop: watch::channel(Stop::No).1,
    }
}

/// A store that takes everything and has nothing but the document of the package; gives its address.
fn instant_store() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port is found");
    let endpoint = format!("http://{}", listener.local_addr().expect("the port is known"));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A connection that is closed is done with.
            std::thread::spawn(move || drop(serve(client)));
        }
    });
    endpoint
}

fn serve(mut client: TcpStream) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let document = serde_json::to_vec(&package())?;
    let mut input = BufReader::new(client.try_clone()?);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if input.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            input.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().unwrap_or(0);
            }
        }
        std::io::copy(&mut input.by_ref().take(length), &mut std::io::sink())?;
        let body: &[u8] = if first.starts_with("GET") { &document } else { &[] };
        write!(client, "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: {}\r\n\r\n", body.len())?;
        client.write_all(body)?;
    }
}
