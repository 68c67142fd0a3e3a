//! An environment on AWS with a hundred steps, on an emulator: planning it, making it, planning it again. Beside it tools
//! that turn as many functions into templates; those have no state to compare with, so that theirs is the smaller task.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use liminal_emulators::MiniStack;
use liminal_emulators::tools;

use crate::measure;
use crate::measure::Sample;
use crate::measure::repeat;
use crate::peers;
use crate::project::Project;
use crate::project::runner;
use crate::report::Goal;
use crate::report::Outcome;

const STEPS: usize = 100;

/// A hundred steps, each with a function, queue, role, log group and mapping of its own.
pub fn cloud() -> Vec<Outcome> {
    let emulator = MiniStack::start();
    let bucket = "bench";
    measure::run(tools().aws(&emulator).args(["s3", "mb", "s3://bench"]));
    let mut text = format!(
        "project: bench\nenvironments:\n  dev: {{platform: aws, region: eu-central-1, bucket: {bucket}}}\npipelines:\n  p:\n    steps:\n"
    );
    for step in 0..STEPS {
        let _ = writeln!(text, "      s{step}: {{run: [\"true\"]}}");
    }
    let project = Project::new(&text);
    let runner = runner();
    let on = |args: &[&str]| {
        let mut command = project.liminal(args);
        command.args(["-e", "dev", "--quiet"]).envs(emulator.env()).env("LIMINAL_RUNNER", &runner);
        command
    };
    let peers = renderers();
    let first = repeat(7, || measure::run(&mut on(&["plan"])));
    let apply = Sample::once(measure::time(|| measure::run(&mut on(&["apply", "-y"]))));
    let unchanged = repeat(7, || measure::run(&mut on(&["plan", "--detailed-exitcode"])));
    let fastest = peers.into_iter().min_by(|one, other| one.1.min.total_cmp(&other.1.min));
    let mut outcomes = Vec::new();
    if let Some(peer) = fastest {
        for (what, sample) in [("to make", &first), ("unchanged", &unchanged)] {
            outcomes.push(Outcome {
                case: format!("plan of {STEPS} steps on AWS, {what}"),
                value: sample.min / peer.1.min,
                unit: "×",
                goal: Goal::AtMost(0.1),
                measured: sample.clone(),
                floor: Some(peer.clone()),
            });
        }
    }
    outcomes.push(Outcome {
        case: format!("apply of {STEPS} steps on an emulator"),
        value: apply.min,
        unit: "s",
        goal: Goal::None,
        measured: apply,
        floor: None,
    });
    outcomes
}

/// Tools that render as many functions fed by queues, as far as they are installed.
fn renderers() -> Vec<(String, Sample)> {
    let modules = peers::root().join("npm/node_modules");
    let cdk =
        [("app.js", cdk_app()), ("cdk.json", "{\"app\": \"node app.js\", \"versionReporting\": false}".to_owned())];
    let osls = [("serverless.yml", serverless()), ("handler.py", "def handler(e, c): pass\n".to_owned())];
    let cdk = renderer("cdk synth", &modules, ".bin/cdk", &["synth", "-q", "--no-notices"], &cdk);
    let osls = renderer("osls package", &modules, ".bin/osls", &["package"], &osls);
    cdk.into_iter().chain(osls).collect()
}

/// What a tool takes in a folder of its own, since some of them pack whatever lies there; none when it is not installed.
fn renderer(
    name: &str,
    modules: &Path,
    program: &str,
    args: &[&str],
    files: &[(&str, String)],
) -> Option<(String, Sample)> {
    let program = modules.join(program);
    if !program.exists() {
        eprintln!("{name} is skipped: `just peers` installs it");
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let command = || {
        let mut command = peer(&program, args, folder.path());
        command.env("NODE_PATH", modules);
        command
    };
    Some((format!("{name}, {STEPS} functions"), repeat(3, || measure::run(&mut command()))))
}

fn peer(program: &Path, args: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).env("HOME", folder);
    let settings = [
        ("CDK_DISABLE_CLI_TELEMETRY", "true"),
        ("DO_NOT_TRACK", "1"),
        ("SLS_NOTIFICATIONS_MODE", "off"),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    command.envs(settings);
    command
}

fn cdk_app() -> String {
    format!(
        "const cdk = require('aws-cdk-lib'); const lambda = require('aws-cdk-lib/aws-lambda');\n\
         const sqs = require('aws-cdk-lib/aws-sqs'); const src = require('aws-cdk-lib/aws-lambda-event-sources');\n\
         const app = new cdk.App();\n\
         for (let s = 0; s * 50 < {STEPS}; s++) {{\n\
           const st = new cdk.Stack(app, 'S' + s);\n\
           for (let i = s * 50; i < Math.min({STEPS}, (s + 1) * 50); i++) {{\n\
             const f = new lambda.Function(st, 'F' + i, {{ runtime: lambda.Runtime.PYTHON_3_12, handler: 'index.handler',\n\
               code: lambda.Code.fromInline('def handler(e, c): pass') }});\n\
             f.addEventSource(new src.SqsEventSource(new sqs.Queue(st, 'Q' + i)));\n\
           }}\n\
         }}\n\
         app.synth();\n"
    )
}

fn serverless() -> String {
    let mut text = "service: bench\nprovider:\n  name: aws\n  runtime: python3.12\nfunctions:\n".to_owned();
    for step in 0..STEPS {
        let _ = writeln!(
            text,
            "  f{step}:\n    handler: handler.handler\n    events:\n      - sqs: arn:aws:sqs:us-east-1:123456789012:q{step}"
        );
    }
    text
}
