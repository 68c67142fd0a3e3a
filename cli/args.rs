//! The command line: every command and the flags that all of them share.

use std::path::PathBuf;

use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

use crate::commands;

/// Declare the whole ML path in YAML, diff it against what is deployed, and run it.
#[derive(Debug, Parser)]
#[command(name = "liminal", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes and environment variables: `liminal help-topic exit-codes`, `liminal help-topic environment`."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command. They may stand before or after it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Work in this folder; the project is looked for there and above.
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub(crate) chdir: Option<PathBuf>,
    /// The environment to work on [default: local, or LIMINAL_ENV].
    #[arg(short = 'e', long = "env", global = true, value_name = "ENV")]
    pub(crate) environment: Option<String>,
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
    /// Print only data and errors.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Never ask: fail with a hint instead.
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The form of data on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// The commands, in the order in which a project meets them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(commands::init::InitArgs),
    Validate(commands::validate::ValidateArgs),
    Graph(commands::graph::GraphArgs),
    Config(commands::config::ConfigArgs),
    Diff(commands::diff::DiffArgs),
    Bootstrap(commands::bootstrap::BootstrapArgs),
    Plan(commands::plan::PlanArgs),
    Apply(commands::apply::ApplyArgs),
    Approve(commands::approve::ApproveArgs),
    Destroy(commands::destroy::DestroyArgs),
    History(commands::history::HistoryArgs),
    Rollback(commands::rollback::RollbackArgs),
    Promote(commands::promote::PromoteArgs),
    Abort(commands::abort::AbortArgs),
    Drift(commands::drift::DriftArgs),
    Verify(commands::verify::VerifyArgs),
    Gitops(commands::gitops::GitopsArgs),
    Run(commands::run::RunArgs),
    Backfill(commands::backfill::BackfillArgs),
    Dev(commands::dev::DevArgs),
    Runs(commands::runs::RunsArgs),
    Status(commands::status::StatusArgs),
    Logs(commands::logs::LogsArgs),
    Artifacts(commands::artifacts::ArtifactsArgs),
    Metrics(commands::metrics::MetricsArgs),
    Models(commands::models::ModelsArgs),
    Lineage(commands::lineage::LineageArgs),
    Why(commands::why::WhyArgs),
    Redrive(commands::redrive::RedriveArgs),
    Retry(commands::redrive::RetryArgs),
    Resume(commands::resume::ResumeArgs),
    Cancel(commands::cancel::CancelArgs),
    State(commands::state::StateArgs),
    Doctor(commands::doctor::DoctorArgs),
    EmulateTasks(commands::emulate_tasks::EmulateTasksArgs),
    Schema(commands::schema::SchemaArgs),
    Explain(commands::explain::ExplainArgs),
    Completions(commands::completions::CompletionsArgs),
    #[command(name = "help-topic")]
    HelpTopic(commands::help_topic::HelpTopicArgs),
    /// Ends the steps of a liminal that died. Started by liminal itself.
    #[command(name = "__warden", hide = true)]
    Warden,
}
