use liminal_infra::aws::Clients;
use liminal_infra::aws::bootstrap;
use liminal_infra::aws::bootstrap::BootstrapError;
use liminal_infra::aws::bootstrap::Done;
use liminal_infra::aws::bootstrap::Part;
use liminal_infra::aws::bootstrap::template;
use liminal_infra::aws::bootstrap::template::Deployer;
use liminal_infra::aws::locate;
use liminal_schemas::aws::AwsPlace;
use liminal_schemas::aws::names;
use liminal_schemas::platform::PlatformSpec;

use super::apply::consent;
use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::explain_account;
use crate::project;

/// Make what an AWS account needs once for liminal.
///
/// A bucket, an ECS cluster, an image repository, a permission boundary and, if asked for, a role that the jobs of one subject
/// deploy with, whose ARN is told in the end. What is there already is looked at and, where it is not as it should be, mended;
/// doing it again changes nothing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal bootstrap -e staging\n  liminal bootstrap -e staging --oidc-provider arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com --oidc-subject repo:shop/models:environment:production\n  liminal bootstrap --template > liminal.yml   the same as a CloudFormation template"
)]
pub(crate) struct BootstrapArgs {
    /// Do not ask.
    #[arg(short = 'y', long, visible_alias = "yes")]
    auto_approve: bool,
    /// The OIDC provider (GitHub, GitLab) whose jobs may deploy.
    #[arg(long, value_name = "ARN", requires = "oidc_subject")]
    oidc_provider: Option<String>,
    /// The exact `sub` claim of the jobs that may deploy; never a pattern.
    #[arg(long, value_name = "CLAIM", requires = "oidc_provider")]
    oidc_subject: Option<String>,
    /// Print the CloudFormation template that makes the same, and do nothing.
    #[arg(long)]
    template: bool,
}

pub(crate) async fn run(context: &Context, args: &BootstrapArgs) -> CommandResult {
    if args.template {
        context.printer.data(template::TEMPLATE);
        return Ok(ExitCode::Ok);
    }
    let directory = project::locate(&context.settings.directory)?;
    let environment = &context.settings.environment;
    let (_, platform, _) = project::platform(context, &directory)?;
    let spec = match platform {
        PlatformSpec::Aws(spec) => spec,
        PlatformSpec::Local => {
            return Err(CliError::new(format!("environment {environment} is on this machine, and needs no bootstrap"))
                .hint("-e ENV names an environment with `platform: aws`")
                .exit(ExitCode::Usage));
        }
    };
    let deployer = deployer(args)?;
    let clients = Clients::connect(&spec.region).await;
    let place = locate(&clients, &spec).await.map_err(|error| explain_account(context, &error))?;
    context
        .printer
        .say(&format!("In account {}, region {}, with bucket {}:", place.account, place.region, place.bucket));
    if !args.auto_approve && !consent(context, "bootstrap", "Make what is missing there?")? {
        context.printer.say("Nothing was changed.");
        return Ok(ExitCode::Ok);
    }
    let mut show = |part: &Part| context.printer.data(&format!("{}\n", line(part)));
    match bootstrap::bootstrap(&clients, &place, deployer.as_ref(), &mut show).await {
        Ok(_) => {
            if let Some(deployer) = &deployer {
                let role = names::role_arn(&place, "/", &deployer.role_name(&place));
                context.printer.data(&format!("{} deploys as {role}\n", deployer.subject));
            }
            Ok(ExitCode::Ok)
        }
        Err(error) => Err(explain(&place, &error)),
    }
}

fn deployer(args: &BootstrapArgs) -> Result<Option<Deployer>, CliError> {
    let (Some(provider), Some(subject)) = (&args.oidc_provider, &args.oidc_subject) else { return Ok(None) };
    let usage = |message: String| CliError::new(message).exit(ExitCode::Usage);
    let host = provider.split_once(":oidc-provider/").map(|(_, host)| host.to_owned());
    let host = host.ok_or_else(|| usage(format!("`{provider}` is no ARN of an OIDC provider")))?;
    if subject.contains(['*', '?']) {
        return Err(usage(format!("`{subject}` is a pattern, by which jobs could deploy that nobody thought of"))
            .hint("write the exact claim, as in repo:owner/name:environment:production"));
    }
    if subject.ends_with(":pull_request") {
        return Err(usage("jobs of pull requests must not deploy: anybody can open one".to_owned())
            .hint("write the claim of an environment or of a branch"));
    }
    Ok(Some(Deployer { provider: provider.clone(), host, subject: subject.clone() }))
}

fn line(part: &Part) -> String {
    match &part.done {
        Done::Created => format!("+ {}", part.what),
        Done::Unchanged => format!("= {}", part.what),
        Done::Mended(what) => format!("~ {}: {}", part.what, what.join(", ")),
    }
}

fn explain(place: &AwsPlace, error: &BootstrapError) -> CliError {
    let explained = CliError::because("bootstrap did not get to its end", error)
        .hint("once the cause is gone, the same command goes on");
    match error {
        BootstrapError::Call { .. } => explained.hint(format!(
            "the credentials need to be an administrator's of account {}; for others: liminal bootstrap --template",
            place.account
        )),
        BootstrapError::Ownership { bucket, .. } => explained.hint(format!(
            "aws s3api put-bucket-ownership-controls --bucket {bucket} --ownership-controls 'Rules=[{{ObjectOwnership=BucketOwnerEnforced}}]'"
        )),
        BootstrapError::ForeignBucket(_)
        | BootstrapError::KmsKey { .. }
        | BootstrapError::BucketPolicy(_)
        | BootstrapError::BoundaryFull
        | BootstrapError::Template(_) => explained,
    }
}
