//! Whose the credentials are, asked before anything else.

use liminal_infra::aws;
use liminal_infra::aws::AccountError;
use liminal_infra::aws::Clients;
use liminal_infra::aws::Owner;
use liminal_infra::aws::Site;
use liminal_schemas::aws::AwsSpec;
use liminal_schemas::name::ProjectName;

use crate::app::Context;
use crate::error::CliError;
use crate::error::While as _;
use crate::exit_code::ExitCode;

/// Where an environment's resources are, once it is known that the credentials are for there.
pub(super) async fn site(context: &Context, spec: &AwsSpec, project: &ProjectName) -> Result<Site, CliError> {
    let environment = &context.settings.environment;
    let clients = Clients::connect(&spec.region).await;
    let place = aws::locate(&clients, spec).await.map_err(|error| explain(context, &error))?;
    let has_bucket = aws::has_bucket(&clients, &place)
        .await
        .or_failed(|| format!("the bucket {} of environment {environment} can not be used", place.bucket))?;
    if !has_bucket {
        return Err(CliError::new(format!(
            "environment {environment} has no bucket yet: there is no {}",
            place.bucket
        ))
        .hint(format!("`liminal bootstrap -e {environment}` makes it, with all else that the account needs once"))
        .hint("another one is named by `bucket` of the environment in liminal.yml"));
    }
    let owner = Owner { project: project.clone(), environment: environment.clone() };
    Ok(Site { clients, place, owner })
}

/// Says what keeps the account from being used, and what helps.
pub(crate) fn explain(context: &Context, error: &AccountError) -> CliError {
    let environment = &context.settings.environment;
    let explained = CliError::because(format!("environment {environment} can not be reached"), error);
    match error {
        AccountError::NoCredentials { .. } => explained
            .hint("aws sso login, or AWS_PROFILE=NAME for a profile of ~/.aws/config")
            .hint("for an emulator: AWS_ENDPOINT_URL=http://localhost:4566 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test")
            .exit(ExitCode::Credentials),
        AccountError::Refused { .. } => {
            explained.hint("aws sso login renews what has expired").exit(ExitCode::Credentials)
        }
        AccountError::WrongAccount { .. } => {
            explained.hint("AWS_PROFILE=NAME chooses other credentials").exit(ExitCode::Credentials)
        }
        AccountError::WrongRegion { .. } | AccountError::Call(_) => explained,
    }
}
