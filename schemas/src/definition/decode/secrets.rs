//! Secrets: references to where their values are kept.

use super::Context;
use super::settings::problem_with_variable;
use crate::definition::model::SpannedMap;
use crate::definition::yaml::Key;
use crate::definition::yaml::Node;
use crate::finding::Code;
use crate::finding::Finding;
use crate::name::FieldName;
use crate::release::SecretRef;
use crate::suggestion::closest;

/// The longest name of a secret: `CreateSecret` of the Secrets Manager API reference, 2026-11.
const MAX_SECRET_CHARS: usize = 512;

/// The longest name of a parameter: `PutParameter` of the Systems Manager API reference, 2026-11.
const MAX_PARAMETER_CHARS: usize = 1011;

const SCHEMES: [&str; 3] = ["env", "secretsmanager", "ssm"];

impl Context {
    /// `secrets:`. Messages never repeat the value: somebody may have written the secret itself there.
    pub(super) fn secrets(&mut self, node: Node) -> SpannedMap<FieldName, SecretRef> {
        self.named(node, "the secrets", |text| FieldName::new(text), Self::secret)
    }

    fn secret(&mut self, key: &Key, node: Node) -> Option<SecretRef> {
        let text = self.text(node, "a secret")?;
        let name = &key.text;
        let refused = match secret_reference(&text.value) {
            Ok(reference) => return Some(reference),
            Err(refused) => refused,
        };
        let (message, hint) = match refused {
            SecretProblem::Scheme => {
                let scheme = scheme_of(&text.value).0;
                let message = match scheme {
                    "vault" | "file" | "aws" | "gcp" | "azure" => {
                        format!("secrets by `{scheme}:` are not part of this version")
                    }
                    _ => format!("the secret `{name}` is no reference"),
                };
                let hint = match closest(scheme, SCHEMES) {
                    Some(scheme) => format!("did you mean `{scheme}:`?"),
                    None => format!(
                        "write `{name}: env:NAME`, with the environment variable that holds it; on AWS `secretsmanager:NAME` or `ssm:/NAME`"
                    ),
                };
                (message, hint)
            }
            SecretProblem::Variable(problem) => (
                format!("the secret `{name}` names no environment variable: {problem}"),
                format!("write `{name}: env:NAME`, with the environment variable that holds it"),
            ),
            SecretProblem::Secret(problem) => (
                format!("the secret `{name}` names no secret of Secrets Manager: {problem}"),
                format!(
                    "write `{name}: secretsmanager:NAME`, or `secretsmanager:NAME#KEY` for one key of the JSON in it"
                ),
            ),
            SecretProblem::Parameter(problem) => (
                format!("the secret `{name}` names no parameter of Systems Manager: {problem}"),
                format!("write `{name}: ssm:/PATH/NAME`, the full name of the parameter"),
            ),
        };
        self.lose(Finding::error(Code::InvalidValue, &text.span, message).hint(hint));
        None
    }
}

/// Why a text is no reference to a secret. The text itself is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretProblem {
    /// It does not say where the secret is.
    #[error("it begins with none of `env:`, `secretsmanager:` and `ssm:`")]
    Scheme,
    /// There can be no such environment variable.
    #[error("it names no environment variable: {0}")]
    Variable(&'static str),
    /// There can be no such secret of Secrets Manager.
    #[error("it names no secret of Secrets Manager: {0}")]
    Secret(&'static str),
    /// There can be no such parameter of Systems Manager.
    #[error("it names no parameter of Systems Manager: {0}")]
    Parameter(&'static str),
}

/// Reads a reference to a secret, in the form that definitions have: `secretsmanager:NAME#KEY`.
///
/// # Errors
/// When it is none.
pub fn secret_reference(text: &str) -> Result<SecretRef, SecretProblem> {
    match scheme_of(text) {
        ("env", name) => environment_variable(name),
        ("secretsmanager", name) => managed_secret(name),
        ("ssm", name) => parameter(name),
        _ => Err(SecretProblem::Scheme),
    }
}

fn scheme_of(text: &str) -> (&str, &str) {
    text.split_once(':').unwrap_or(("", text))
}

fn environment_variable(name: &str) -> Result<SecretRef, SecretProblem> {
    match problem_with_variable(name) {
        None => Ok(SecretRef::Env(name.to_owned())),
        Some(problem) => Err(SecretProblem::Variable(problem)),
    }
}

fn managed_secret(text: &str) -> Result<SecretRef, SecretProblem> {
    let (name, key) = match text.split_once('#') {
        Some((name, key)) => (name, Some(key)),
        None => (text, None),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
    if name.is_empty() {
        Err(SecretProblem::Secret("it is empty"))
    } else if name.starts_with("arn:") {
        Err(SecretProblem::Secret("it is an ARN, and the account and region of the environment are meant in any case"))
    } else if name.len() > MAX_SECRET_CHARS {
        Err(SecretProblem::Secret("it has more than 512 characters"))
    } else if !name.chars().all(allowed) {
        Err(SecretProblem::Secret("only letters, digits and `/_+=.@-` are allowed"))
    } else if key.is_some_and(|key| key.is_empty() || key.len() > MAX_SECRET_CHARS || key.contains(char::is_control)) {
        Err(SecretProblem::Secret("a key is missing behind `#`"))
    } else {
        Ok(SecretRef::SecretsManager { name: name.to_owned(), key: key.map(str::to_owned) })
    }
}

fn parameter(name: &str) -> Result<SecretRef, SecretProblem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/_.-".contains(c);
    if !name.starts_with('/') || name.len() < 2 {
        Err(SecretProblem::Parameter("it does not begin with `/`"))
    } else if name.len() > MAX_PARAMETER_CHARS {
        Err(SecretProblem::Parameter("it has more than 1011 characters"))
    } else if !name.chars().all(allowed) || name.contains("//") || name.ends_with('/') {
        Err(SecretProblem::Parameter("only letters, digits and `_.-` are allowed between the `/`"))
    } else {
        Ok(SecretRef::Parameter(name.to_owned()))
    }
}
