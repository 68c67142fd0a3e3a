//! Emulators: starting, waiting until they answer, ending.

use std::fs;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;
use std::time::Instant;

use crate::http;
use crate::install::Package;
use crate::options::Options;
use crate::watch::Watched;

/// How long an emulator may take until it answers: far longer than any takes on a busy machine.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// How often a starting emulator is asked.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// The region of all tests.
const REGION: &str = "eu-central-1";

const MINISTACK: Package = Package { name: "ministack", version: "1.5.33", requirements: &["ministack==1.5.33"] };

const MOTO: Package = Package { name: "moto", version: "5.2.5", requirements: &["moto[server]==5.2.5"] };

/// Starts moto so that it judges permissions as far as tests need it.
const MOTO_SERVER: &str = include_str!("moto.py");

/// Carries out Lambda functions, queues and objects: <https://pypi.org/project/ministack>.
#[derive(Debug)]
pub struct MiniStack;

impl MiniStack {
    /// Starts one.
    pub fn start() -> Emulator {
        Self::with(Options::new())
    }

    /// Starts one that is not as most tests want it.
    pub fn with(options: Options) -> Emulator {
        let venv = MINISTACK.install(options.python.as_deref());
        let port = options.port.unwrap_or_else(free_port);
        let mut env = vec![
            ("BIND_HOST".to_owned(), Ipv4Addr::LOCALHOST.to_string()),
            ("GATEWAY_PORT".to_owned(), port.to_string()),
        ];
        if let Some(folder) = &options.persist {
            env.push(("PERSIST_STATE".to_owned(), "1".to_owned()));
            env.push(("STATE_DIR".to_owned(), folder.join("state").display().to_string()));
            env.push(("S3_PERSIST".to_owned(), "1".to_owned()));
            env.push(("S3_DATA_DIR".to_owned(), folder.join("s3").display().to_string()));
        }
        let kind = Kind { name: "ministack", account: "000000000000", health: "/_ministack/health" };
        Emulator::start(kind, &venv, vec!["bin/ministack".to_owned()], port, env, options)
    }
}

/// Keeps records of nearly all services, carries out few, and can enforce permissions: <https://docs.getmoto.org>.
#[derive(Debug)]
pub struct Moto;

impl Moto {
    /// Starts one.
    pub fn start() -> Emulator {
        Self::with(Options::new())
    }

    /// Starts one that is not as most tests want it.
    pub fn with(options: Options) -> Emulator {
        assert!(options.persist.is_none(), "moto keeps nothing");
        let venv = MOTO.install(options.python.as_deref());
        let port = options.port.unwrap_or_else(free_port);
        let program = ["bin/python", "-c", MOTO_SERVER, "-H", "127.0.0.1", "-p", &port.to_string()];
        let program = program.map(str::to_owned).to_vec();
        let kind = Kind { name: "moto", account: "123456789012", health: "/moto-api/data.json" };
        Emulator::start(kind, &venv, program, port, Vec::new(), options)
    }
}

/// One emulator for all tests of a process that do not mind each other: they use names of their own.
pub fn shared_ministack() -> &'static Emulator {
    static SHARED: OnceLock<Emulator> = OnceLock::new();
    SHARED.get_or_init(MiniStack::start)
}

#[derive(Clone, Copy, Debug)]
struct Kind {
    name: &'static str,
    account: &'static str,
    health: &'static str,
}

/// A running emulator. It ends, with all that it started, when this is dropped or the test process ends.
#[derive(Debug)]
pub struct Emulator {
    kind: Kind,
    port: u16,
    log: PathBuf,
    watched: Watched,
}

impl Emulator {
    fn start(
        kind: Kind,
        venv: &std::path::Path,
        mut program: Vec<String>,
        port: u16,
        mut env: Vec<(String, String)>,
        options: Options,
    ) -> Self {
        // Removed by the watcher, which outlives this process.
        let folder = tempfile::Builder::new().prefix("emulator-").tempdir().expect("a folder is made").keep();
        let log = folder.join("log");
        if let Some(first) = program.first_mut() {
            *first = venv.join(&*first).display().to_string();
        }
        // What it starts is to talk to it, and to leave its files where they are removed.
        env.extend(variables(port));
        env.push(("TMPDIR".to_owned(), folder.display().to_string()));
        env.extend(options.env);
        let watched = Watched::start(&venv.join("bin/python"), &program, &env, &folder, &log);
        let mut emulator = Self { kind, port, log, watched };
        emulator.wait_until_ready();
        emulator
    }

    fn wait_until_ready(&mut self) {
        let start = Instant::now();
        loop {
            let ready =
                http::request(self.port, "GET", self.kind.health, "").is_ok_and(|answer| http::is_success(&answer));
            if self.watched.ended() || (!ready && start.elapsed() > START_TIMEOUT) {
                panic!("{} did not start on port {}:\n{}", self.kind.name, self.port, self.log());
            }
            if ready {
                return;
            }
            std::thread::sleep(ASK_EVERY);
        }
    }

    /// Where clients reach it.
    pub fn endpoint(&self) -> String {
        endpoint(self.port)
    }

    /// The port of [`Emulator::endpoint`].
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The account that its default credentials belong to.
    pub const fn account(&self) -> &'static str {
        self.kind.account
    }

    /// The region that [`Emulator::env`] names.
    pub const fn region(&self) -> &'static str {
        REGION
    }

    /// The variables with which every SDK and the AWS CLI find it, and nothing of the user's own settings.
    pub fn env(&self) -> Vec<(String, String)> {
        variables(self.port)
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map_or_else(|error| error.to_string(), |text| String::from_utf8_lossy(&text).into_owned())
    }

    /// From now on each request needs the permission of whoever signed it. Only moto can do so.
    pub fn enforce_permissions(&self) {
        self.let_pass("0");
    }

    /// From now on permissions are no longer asked for.
    pub fn waive_permissions(&self) {
        self.let_pass("inf");
    }

    /// Lets so many requests pass before permissions are enforced.
    fn let_pass(&self, requests: &str) {
        let answer = http::request(self.port, "POST", "/moto-api/reset-auth", requests).expect("the emulator answers");
        assert!(http::is_success(&answer), "{} enforces no permissions: {answer}", self.kind.name);
    }

    /// Ends it in a way that lets it keep its state.
    pub fn stop_gracefully(mut self) {
        self.watched.stop();
    }

    /// Ends it as a crash does.
    pub fn kill(mut self) {
        self.watched.kill();
    }
}

fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

pub(crate) fn variables(port: u16) -> Vec<(String, String)> {
    let endpoint = endpoint(port);
    let pairs = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// A port that was free a moment ago. The system gives them out at random, so that another process hardly gets the same.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port is found");
    listener.local_addr().expect("the port is known").port()
}
