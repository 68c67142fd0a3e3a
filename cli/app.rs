//! From arguments to exit code.

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::args::Args;
use crate::args::Command;
use crate::commands;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::printer::Printer;
use crate::settings::Settings;

/// What every command is given.
pub(crate) struct Context {
    /// Flags and environment, resolved.
    pub(crate) settings: Settings,
    /// The two streams.
    pub(crate) printer: Printer,
}

/// Parses the command line, carries the command out, and says how it ended.
pub(crate) fn run() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return explain_usage(&error),
    };
    let printer = Printer::new(&args.global);
    let result = Settings::resolve(&args.global)
        .and_then(|settings| dispatch(&Context { settings, printer: printer.clone() }, args.command));
    match result {
        Ok(code) => code,
        Err(error) => {
            printer.complain(&error.render(&printer.err));
            error.exit
        }
    }
}

/// clap exits with 2 on bad usage, which here means "there are changes".
fn explain_usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::Ok,
        _ => ExitCode::Usage,
    }
}

fn dispatch(context: &Context, command: Command) -> CommandResult {
    match command {
        Command::Init(args) => commands::init::run(context, &args),
        Command::Validate(args) => commands::validate::run(context, &args),
        Command::Graph(args) => commands::graph::run(context, &args),
        Command::Config(args) => commands::config::run(context, &args),
        Command::Diff(args) => commands::diff::run(context, &args),
        Command::Schema(args) => commands::schema::run(context, &args),
        Command::Explain(args) => commands::explain::run(context, &args),
        Command::Completions(args) => commands::completions::run(context, &args),
        Command::HelpTopic(args) => commands::help_topic::run(context, &args),
        Command::Warden => commands::warden::run(),
        Command::Bootstrap(args) => block_on(commands::bootstrap::run(context, &args)),
        Command::Plan(args) => block_on(commands::plan::run(context, &args)),
        Command::Apply(args) => block_on(commands::apply::run(context, &args)),
        Command::Approve(args) => block_on(commands::approve::run(context, &args)),
        Command::Destroy(args) => block_on(commands::destroy::run(context, &args)),
        Command::History(args) => block_on(commands::history::run(context, &args)),
        Command::Rollback(args) => block_on(commands::rollback::run(context, &args)),
        Command::Promote(args) => block_on(commands::promote::run(context, &args)),
        Command::Abort(args) => block_on(commands::abort::run(context, &args)),
        Command::Drift(args) => block_on(commands::drift::run(context, &args)),
        Command::Verify(args) => block_on(commands::verify::run(context, &args)),
        Command::Gitops(args) => block_on(commands::gitops::run(context, &args)),
        Command::Run(args) => block_on(commands::run::run(context, &args)),
        Command::Backfill(args) => block_on(commands::backfill::run(context, &args)),
        Command::Dev(args) => block_on(commands::dev::run(context, &args)),
        Command::Runs(args) => block_on(commands::runs::run(context, &args)),
        Command::Status(args) => block_on(commands::status::run(context, &args)),
        Command::Logs(args) => block_on(commands::logs::run(context, &args)),
        Command::Artifacts(args) => block_on(commands::artifacts::run(context, &args)),
        Command::Metrics(args) => block_on(commands::metrics::run(context, &args)),
        Command::Models(args) => block_on(commands::models::run(context, &args)),
        Command::Lineage(args) => block_on(commands::lineage::run(context, &args)),
        Command::Why(args) => block_on(commands::why::run(context, &args)),
        Command::Redrive(args) => block_on(commands::redrive::run(context, &args)),
        Command::Retry(args) => block_on(commands::redrive::retry(context, &args)),
        Command::Resume(args) => block_on(commands::resume::run(context, &args)),
        Command::Cancel(args) => block_on(commands::cancel::run(context, &args)),
        Command::EmulateTasks(args) => block_on(commands::emulate_tasks::run(context, &args)),
        Command::State(args) => block_on(commands::state::run(context, &args)),
        Command::Doctor(args) => block_on(commands::doctor::run(context, &args)),
    }
}

/// Runs a command that waits for things.
fn block_on(command: impl Future<Output = CommandResult>) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::because("the async runtime does not start", &error))?;
    let result = runtime.block_on(command);
    // A blocking read of a terminal or of a slow disk must not hold up the end.
    runtime.shutdown_background();
    result
}
