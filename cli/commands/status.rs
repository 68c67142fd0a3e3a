use liminal_schemas::name::StepName;

use crate::app::Context;
use crate::args::Format;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Carrier;
use crate::platform::Environment;
use crate::platform::SeenCanary;
use crate::render;
use crate::render::units;
use crate::watch::watch;

/// How many failed items are listed.
const MOST_FAILED: usize = 20;

/// Show how far a run is, or how it came out, and which commit is applied.
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// The run; the newest where none is given.
    run: Option<String>,
    /// Show how the items of this step stand, and which failed.
    #[arg(long, value_name = "STEP", conflicts_with = "output")]
    items: Option<StepName>,
    /// Show the run as it goes on, until it ends.
    #[arg(short, long, conflicts_with_all = ["items", "output"])]
    watch: bool,
    /// The form of the answer.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

pub(crate) async fn run(context: &Context, args: &StatusArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    if args.run.is_none() && args.output == Format::Text {
        say_applied(context, &environment).await?;
    }
    let records = environment.records();
    let name = match &args.run {
        // Who asks for nothing in particular is told of what is applied, and that is an answer.
        None if args.items.is_none() && args.output == Format::Text => match records.newest(None).await? {
            Some(name) => name,
            None => {
                context.printer.say("There is no run yet: `liminal run` starts one.");
                return Ok(ExitCode::Ok);
            }
        },
        wanted => records.find(wanted.as_deref(), None).await?,
    };
    if let Some(step) = &args.items {
        let seen = records.items(&name, step, MOST_FAILED).await?.ok_or_else(|| {
            CliError::new(format!("step {step} of run {} has no items yet", name.run))
                .hint("only steps with `map:` have items, once they begin")
        })?;
        context.printer.data(&render::items::text(&name.run, step, &seen, &context.printer.out));
        return Ok(ExitCode::Ok);
    }
    if args.watch {
        watch(context, &environment, &name).await?;
    }
    let view = records.view(&name).await?;
    environment.show_run(context, &view, args.output).await;
    if view.result.is_none() {
        match environment.carrier(&name.run) {
            Carrier::Process(process) => context.printer.say(&format!("Run {} is driven by {process}.", name.run)),
            Carrier::Cloud => {
                context.printer.say(&format!("Run {run} goes on: liminal logs -f {run} watches it.", run = name.run));
            }
            Carrier::Nobody => {
                context.printer.say(&format!("Nobody drives run {run}: liminal resume {run} goes on.", run = name.run));
            }
        }
    }
    Ok(ExitCode::Ok)
}

/// Says what is on trial, and what came off.
async fn say_canaries(context: &Context, environment: &Environment) -> Result<(), CliError> {
    let (seen, aborted) = environment.canaries().await?;
    for SeenCanary { pipeline, canary, tally } in seen {
        let (revision, share) = (canary.revision.short(), canary.share);
        let age = units::age(environment.now(), canary.since);
        context.printer.say(&format!(
            "Canary: {pipeline} gives {share} of its runs to {revision}, begun {age}: {} succeeded, {} failed",
            tally.succeeded, tally.failed
        ));
    }
    for (pipeline, aborted) in aborted {
        let (revision, age) = (aborted.revision.short(), units::age(environment.now(), aborted.at));
        context.printer.say(&format!("Aborted: the canary {revision} of {pipeline}, {age}: {}", aborted.reason));
    }
    Ok(())
}

/// Says which commit the environment is at, and what keeps it from a newer one.
async fn say_applied(context: &Context, environment: &Environment) -> Result<(), CliError> {
    let Some(applied) = environment.state().await?.and_then(|loaded| loaded.state.applied) else { return Ok(()) };
    let what = match &applied.source.commit {
        Some(commit) if applied.source.dirty => format!("commit {} with edits", units::short_commit(commit)),
        Some(commit) => format!("commit {}", units::short_commit(commit)),
        None => "a work tree outside git".to_owned(),
    };
    let by = applied.by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
    let trigger = applied.trigger.map(|trigger| format!(" ({})", trigger.as_str())).unwrap_or_default();
    let age = units::age(environment.now(), applied.at);
    let verb = if environment.is_rolled_back(&applied.source).await? { "Rolled back from" } else { "Applied:" };
    context.printer.say(&format!("{verb} {what}, {age}{by}{trigger}"));
    if let Some(expiry) = environment.expiry().await? {
        let left = expiry.at.millis() - environment.now().millis();
        let in_time = units::between(environment.now(), expiry.at);
        let text = if left > 0 { format!("Expires in {in_time}") } else { "Expired".to_owned() };
        context.printer.say(&format!("{text}, at {}: it is made from {}", expiry.at, expiry.template));
    }
    say_canaries(context, environment).await?;
    let undelivered = environment.undelivered_triggers().await;
    if undelivered > 0 {
        let messages = units::count(usize::try_from(undelivered).unwrap_or(usize::MAX), "message");
        context.printer.say(&format!(
            "Undelivered: {messages} that would have started runs: `liminal redrive --undelivered` sends them again"
        ));
    }
    if let Some(quarantine) = environment.quarantine().await? {
        let commit = units::short_commit(&quarantine.commit);
        context.printer.say(&format!("In quarantine: commit {commit}, since {}", quarantine.reason));
    }
    Ok(())
}
