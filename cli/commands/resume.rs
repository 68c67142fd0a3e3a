use crate::app::Context;
use crate::args::Format;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::platform::Carry;
use crate::platform::Environment;

/// Go on with a run that was interrupted or killed.
///
/// What is committed stays as it is. The run keeps the code it started with.
#[derive(Debug, clap::Args)]
pub(crate) struct ResumeArgs {
    /// The run; the newest that has not ended where none is given.
    run: Option<String>,
    /// How many steps may run at once [default: the number of cores].
    #[arg(short, long, value_name = "COUNT")]
    jobs: Option<std::num::NonZeroU32>,
    /// The form of the summary.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

pub(crate) async fn run(context: &Context, args: &ResumeArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let records = environment.records();
    let name = match &args.run {
        Some(run) => records.find(Some(run), None).await?,
        None => records.newest_open().await?.ok_or_else(|| {
            CliError::new("there is no run to resume: all have ended").hint("`liminal run` starts a new one")
        })?,
    };
    if let Some(result) = records.result(&name).await? {
        return Err(CliError::new(format!("run {} has ended: it {}", name.run, result.status))
            .hint("`liminal run` starts a new one, which takes from the cache what is done"));
    }
    let record = records.record(&name).await?;
    let release = records.release(&record.pipeline, &record.revision).await?;
    let interrupt = environment.listen(context)?;
    let carry = Carry { jobs: args.jobs, output: Some(args.output), detach: false, interrupt };
    environment.resume_run(context, &name, &release, carry).await
}
