//! Where we are is known, and right, before anything else.

use aws_config::SdkConfig;
use aws_sdk_sts::config::Credentials;
use aws_sdk_sts::config::ProvideCredentials;
use aws_sdk_sts::config::SharedCredentialsProvider;
use aws_sdk_sts::error::DisplayErrorContext;
use liminal_emulators::shared_ministack;
use liminal_infra::aws::AccountError;
use liminal_infra::aws::Clients;
use liminal_infra::aws::locate;

use crate::answers::Answer;
use crate::answers::answering;
use crate::world::World;
use crate::world::config;
use crate::world::settings;

#[tokio::test]
async fn the_account_of_the_credentials_is_the_place_and_its_default_bucket_is_named_by_it() {
    let world = World::on(shared_ministack()).await;
    let place = &world.site.place;
    assert_eq!(place.partition, "aws");
    assert_eq!(place.bucket, "liminal-000000000000-eu-central-1");
}

#[tokio::test]
async fn credentials_of_another_account_are_refused_and_both_accounts_are_named() {
    let world = World::on(shared_ministack()).await;
    let mut spec = settings("eu-central-1");
    spec.account = Some("111122223333".to_owned());
    let error = locate(&world.site.clients, &spec).await.expect_err("another account");
    assert!(error.is_about_credentials());
    let text = error.to_string();
    assert!(text.contains("111122223333") && text.contains("000000000000") && text.contains("AWS_PROFILE"), "{text}");
}

#[tokio::test]
async fn another_region_than_that_of_the_environment_is_refused() {
    let world = World::on(shared_ministack()).await;
    let error = locate(&world.site.clients, &settings("us-east-1")).await.expect_err("another region");
    assert!(matches!(error, AccountError::WrongRegion { .. }), "{error}");
}

#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        use aws_credential_types::provider::error::CredentialsError;
        let error = CredentialsError::not_loaded("no providers in chain provided credentials");
        aws_credential_types::provider::future::ProvideCredentials::ready(Err(error))
    }
}

fn without_credentials(config: &SdkConfig) -> SdkConfig {
    config.to_builder().credentials_provider(SharedCredentialsProvider::new(Nobody)).build()
}

#[tokio::test]
async fn without_credentials_no_call_is_made_and_what_to_do_is_said() {
    let config = without_credentials(&config("http://127.0.0.1:1", "eu-central-1"));
    let error = locate(&Clients::with_config(&config), &settings("eu-central-1")).await.expect_err("nobody");
    assert!(matches!(error, AccountError::NoCredentials { .. }), "{}", DisplayErrorContext(&error));
    assert!(error.is_about_credentials());
    let text = error.to_string();
    assert!(text.contains("aws sso login") && text.contains("AWS_PROFILE"), "{text}");
}

#[tokio::test]
async fn credentials_that_have_expired_are_a_matter_of_credentials() {
    let answers = answering(|_| {
        Answer::xml(
            403,
            "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error></ErrorResponse>",
        )
    });
    let (secret, token) = ("wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2VjEXAMPLETOKEN");
    let credentials = Credentials::new("ASIAEXAMPLE", secret, Some(token.to_owned()), None, "test");
    let config = answers.config().to_builder();
    let config = config.credentials_provider(SharedCredentialsProvider::new(credentials)).build();
    let error = locate(&Clients::with_config(&config), &settings("eu-central-1")).await.expect_err("expired");
    assert!(error.is_about_credentials(), "{error}");
    assert!(error.to_string().contains("ExpiredToken"), "{error}");
    // Never a credential itself, whoever prints it and how.
    for text in [error.to_string(), format!("{error:?}"), DisplayErrorContext(&error).to_string()] {
        assert!(!text.contains(secret) && !text.contains(token), "{text}");
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_no_matter_of_credentials() {
    let config = config("http://127.0.0.1:1", "eu-central-1");
    let error = locate(&Clients::with_config(&config), &settings("eu-central-1")).await.expect_err("nobody there");
    assert!(!error.is_about_credentials(), "{error}");
    assert!(error.to_string().contains("AWS_ENDPOINT_URL"), "{error}");
}
