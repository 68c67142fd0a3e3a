use liminal_schemas::definition::secret_reference;
use liminal_schemas::release::SecretRef;
use serde_json::json;

use crate::app::Context;
use crate::args::Format;
use crate::commands::apply::consent;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::platform::ReceiverPart;

/// Let a code host tell of pushes by way of AWS.
///
/// A receiver is a small function with an address of its own, which takes signed deliveries and lets agents know: those that
/// were started with `--deliveries ENV` fetch at once. It belongs to an environment on AWS, and is made and removed by these
/// commands alone.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal gitops receiver create -e staging --secret secretsmanager:liminal/webhook\n  liminal gitops agent --remote git@example.com:churn.git --deliveries staging"
)]
pub(crate) struct ReceiverArgs {
    #[command(subcommand)]
    command: ReceiverCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ReceiverCommand {
    /// Make it, or bring the one that is there to what is wanted. Its address stays.
    Create {
        /// Where the secret is that deliveries are signed with: secretsmanager:NAME, secretsmanager:NAME#KEY or ssm:/NAME.
        #[arg(long, value_name = "REFERENCE")]
        secret: String,
        /// Do not ask.
        #[arg(short = 'y', long, visible_alias = "yes")]
        auto_approve: bool,
    },
    /// Show its address.
    Show {
        /// The form of what is shown.
        #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
        output: Format,
    },
    /// Remove it, with all that it wrote down.
    Remove {
        /// Do not ask.
        #[arg(short = 'y', long, visible_alias = "yes")]
        auto_approve: bool,
    },
}

pub(crate) async fn run(context: &Context, args: &ReceiverArgs) -> CommandResult {
    match &args.command {
        ReceiverCommand::Create { secret, auto_approve } => create(context, secret, *auto_approve).await,
        ReceiverCommand::Show { output } => show(context, *output).await,
        ReceiverCommand::Remove { auto_approve } => remove(context, *auto_approve).await,
    }
}

async fn create(context: &Context, secret: &str, auto_approve: bool) -> CommandResult {
    let secret = reference(secret)?;
    let environment = Environment::of_project(context).await?;
    let name = &context.settings.environment;
    let question = "Make a receiver, whose address anybody can call?";
    if !auto_approve && !consent(context, "gitops receiver create", question)? {
        context.printer.say("Nothing was changed.");
        return Ok(ExitCode::Error);
    }
    let mut tell = |kind: &str, name: &str, part: &ReceiverPart| context.printer.data(&line(kind, name, part));
    let url = environment.make_receiver(context, &secret, &mut tell).await?;
    context.printer.data(&format!("\nDeliveries go to {url}, signed with what {secret} holds.\n"));
    context.printer.say(&format!(
        "An agent that takes them: liminal gitops agent --remote URL --deliveries {name}\nWhoever knows the address can call it; what is not signed is turned away."
    ));
    Ok(ExitCode::Ok)
}

async fn show(context: &Context, output: Format) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let name = &context.settings.environment;
    let Some(receiver) = environment.receiver().await? else {
        return Err(CliError::new(format!("environment {name} has no receiver"))
            .hint("`liminal gitops receiver create --secret secretsmanager:NAME` makes one"));
    };
    let secret = receiver.secret.to_string();
    match output {
        Format::Json => context.printer.json(&json!({
            "url": receiver.url, "secret": secret, "function": receiver.function, "queue": receiver.queue,
        })),
        Format::Text => {
            let none = "none; `liminal gitops receiver create` gives it one again".to_owned();
            let lines = [
                format!("address   {}", receiver.url.unwrap_or(none)),
                format!("secret    {secret}"),
                format!("function  {}", receiver.function),
                format!("queue     {}", receiver.queue),
            ];
            context.printer.data(&format!("{}\n", lines.join("\n")));
        }
    }
    Ok(ExitCode::Ok)
}

async fn remove(context: &Context, auto_approve: bool) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let question = "Remove the receiver? Its address will be gone for good.";
    if !auto_approve && !consent(context, "gitops receiver remove", question)? {
        context.printer.say("Nothing was changed.");
        return Ok(ExitCode::Error);
    }
    let mut tell = |kind: &str, name: &str, part: &ReceiverPart| context.printer.data(&line(kind, name, part));
    if !environment.remove_receiver(context, &mut tell).await? {
        context.printer.data("There is no receiver.\n");
    }
    Ok(ExitCode::Ok)
}

/// A reference to a secret that a function can read. What was written is not repeated: it may be the secret itself.
fn reference(text: &str) -> Result<SecretRef, CliError> {
    let hint = "write --secret secretsmanager:NAME, secretsmanager:NAME#KEY or ssm:/NAME";
    match secret_reference(text) {
        Ok(SecretRef::Env(_)) => {
            Err(CliError::new("a function has no variables of this machine").hint(hint).exit(ExitCode::Usage))
        }
        Ok(reference @ (SecretRef::SecretsManager { .. } | SecretRef::Parameter(_))) => Ok(reference),
        Err(problem) => {
            Err(CliError::because("--secret is no reference to a secret", &problem).hint(hint).exit(ExitCode::Usage))
        }
    }
}

fn line(kind: &str, name: &str, part: &ReceiverPart) -> String {
    match part {
        ReceiverPart::Made => format!("+ {kind} {name}\n"),
        ReceiverPart::Unchanged => format!("= {kind} {name}\n"),
        ReceiverPart::Removed => format!("- {kind} {name}\n"),
        ReceiverPart::Mended(fields) => {
            let fields: std::collections::BTreeSet<&str> = fields.iter().map(|field| field.field).collect();
            format!("~ {kind} {name}: {}\n", fields.into_iter().collect::<Vec<_>>().join(", "))
        }
    }
}
