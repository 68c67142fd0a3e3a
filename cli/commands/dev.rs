use std::num::NonZeroU32;
use std::path::PathBuf;

use crate::app::Context;
use crate::args::Format;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::platform::Keep;

/// Keep the schedules and triggers of this machine, and carry their runs out.
///
/// It works on what `liminal apply` made live: schedules fire as they would on AWS, and a folder stands for the bucket of the
/// environment, so that a file that lands in it is an object that was created. Runs that were left open are carried on. It
/// prints a line for each thing that happens, and goes on until Ctrl-C, which stops what runs and loses nothing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal apply --auto-approve && liminal dev\n  liminal dev --watch-dir inbox\n  liminal dev --bucket other-bucket=./other"
)]
pub(crate) struct DevArgs {
    /// The folder that stands for the bucket of the environment [default: .liminal/dev/objects of the project].
    #[arg(long, value_name = "DIR")]
    watch_dir: Option<PathBuf>,
    /// A folder that stands for another bucket. May be given several times.
    #[arg(long = "bucket", value_name = "BUCKET=DIR")]
    buckets: Vec<String>,
    /// How many steps of one run may run at once [default: the number of cores].
    #[arg(short, long, value_name = "COUNT")]
    jobs: Option<NonZeroU32>,
    /// How many runs are carried out at once; further ones follow.
    #[arg(long, value_name = "COUNT", default_value = "4")]
    runs: NonZeroU32,
    /// The form of the lines; `json` is an object a line.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

pub(crate) async fn run(context: &Context, args: &DevArgs) -> CommandResult {
    let buckets = args.buckets.iter().map(|text| bucket(text)).collect::<Result<Vec<_>, CliError>>()?;
    let environment = Environment::of_project(context).await?;
    let keep =
        Keep { watch_dir: args.watch_dir.clone(), buckets, jobs: args.jobs, runs: args.runs, output: args.output };
    environment.keep(context, keep).await?;
    Ok(ExitCode::Ok)
}

fn bucket(text: &str) -> Result<(String, PathBuf), CliError> {
    match text.split_once('=') {
        Some((bucket, folder)) if !bucket.is_empty() && !folder.is_empty() => {
            Ok((bucket.to_owned(), PathBuf::from(folder)))
        }
        Some(_) | None => Err(CliError::new(format!("`--bucket {text}` names no bucket and folder"))
            .hint("write --bucket BUCKET=DIR")
            .exit(ExitCode::Usage)),
    }
}
