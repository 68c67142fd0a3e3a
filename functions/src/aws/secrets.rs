//! Secrets, where a step runs: read when an attempt needs them, and kept in memory as long as the process lives.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use liminal_schemas::release::SecretRef;
use liminal_schemas::run::Failure;
use liminal_schemas::step::FailureClass;

use super::clients::Clients;
use super::environment::Variables;
use super::error::AwsError;
use super::error::explain;
use crate::attempt::failure;
use crate::causes::in_full;
use crate::protocol::attempt::failure as failed;

/// Finds the values of secrets.
#[derive(Debug)]
pub struct Secrets {
    clients: Clients,
    variables: Variables,
    known: Mutex<BTreeMap<SecretRef, Value>>,
}

/// A value that is not shown.
#[derive(Clone)]
struct Value(String);

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Secrets {
    /// Secrets among the variables of this process, and those that services keep.
    pub fn new(clients: &Clients, variables: Variables) -> Self {
        Self { clients: clients.clone(), variables, known: Mutex::default() }
    }

    /// The value of a secret, if it has one.
    pub(super) async fn find(&self, reference: &SecretRef) -> Result<Option<String>, Failure> {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(reference) {
            return Ok(Some(known.0.clone()));
        }
        let found = match reference {
            SecretRef::Env(variable) => return Ok(self.variables.get(variable).map(str::to_owned)),
            SecretRef::SecretsManager { name, key } => {
                let text = self.secret(name).await.map_err(|error| unread(reference, &error))?;
                match (text, key) {
                    (Some(text), Some(key)) => Some(one_key(reference, &text, key)?),
                    (text, None) | (text @ None, Some(_)) => text,
                }
            }
            SecretRef::Parameter(name) => self.parameter(name).await.map_err(|error| unread(reference, &error))?,
        };
        if let Some(found) = &found {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(reference.clone(), Value(found.clone()));
        }
        Ok(found)
    }

    async fn secret(&self, name: &str) -> Result<Option<String>, AwsError> {
        let client = aws_sdk_secretsmanager::Client::new(self.clients.sdk());
        match client.get_secret_value().secret_id(name).send().await.map_err(explain("GetSecretValue")) {
            Ok(found) => Ok(found.secret_string),
            Err(error) if error.is_code("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn parameter(&self, name: &str) -> Result<Option<String>, AwsError> {
        let client = aws_sdk_ssm::Client::new(self.clients.sdk());
        let found = client.get_parameter().name(name).with_decryption(true).send().await;
        match found.map_err(explain("GetParameter")) {
            Ok(found) => Ok(found.parameter.and_then(|parameter| parameter.value)),
            Err(error) if error.is_code("ParameterNotFound") => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What a JSON object holds under a key: a text as it is, anything else as JSON. Nothing of the object is told.
fn one_key(reference: &SecretRef, text: &str, key: &str) -> Result<String, Failure> {
    let object: serde_json::Value = serde_json::from_str(text)
        .map_err(|_| failure::user(format!("the secret {reference} holds no JSON object, so it has no key `{key}`")))?;
    match object.get(key) {
        Some(serde_json::Value::String(text)) => Ok(text.clone()),
        Some(other) => Ok(other.to_string()),
        None => Err(failure::user(format!("the secret {reference} has no key `{key}`"))),
    }
}

fn unread(reference: &SecretRef, error: &AwsError) -> Failure {
    let class = if error.is_throttling() { FailureClass::Throttled } else { FailureClass::Infrastructure };
    failed(class, format!("the secret {reference} can not be read: {}", in_full(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_secret_is_read_and_what_is_missing_is_named_without_what_is_there() {
        let reference = SecretRef::SecretsManager { name: "db".to_owned(), key: Some("password".to_owned()) };
        let text = r#"{"password": "hunter2", "port": 5432}"#;
        assert_eq!(one_key(&reference, text, "password").expect("there"), "hunter2");
        assert_eq!(one_key(&reference, text, "port").expect("there"), "5432");
        let missing = one_key(&reference, text, "user").expect_err("not there").message;
        insta::assert_snapshot!(missing, @"the secret secretsmanager:db#password has no key `user`");
        let no_object = one_key(&reference, "hunter2", "user").expect_err("no object").message;
        insta::assert_snapshot!(no_object, @"the secret secretsmanager:db#password holds no JSON object, so it has no key `user`");
    }
}
