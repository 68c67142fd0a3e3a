//! What reading a step's secrets needs: each by its own name, and none that the step does not use.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::aws::names;
use liminal_schemas::aws::policy::Statement;
use liminal_schemas::name::FieldName;
use liminal_schemas::release::SecretRef;
use liminal_schemas::template::Reference;
use liminal_schemas::template::Template;

use super::DesiredProblem;
use super::Scope;
use super::statements::allow;
use super::step::StepInput;

impl StepInput<'_> {
    /// The permissions to read the step's secrets.
    pub(super) fn secrets(&self) -> Result<Vec<Statement>, DesiredProblem> {
        let mut secrets = BTreeSet::new();
        let mut parameters = BTreeSet::new();
        for (secret, reference) in self.secrets_used() {
            match reference {
                SecretRef::Env(variable) => {
                    return Err(DesiredProblem::SecretOfMachine {
                        pipeline: self.pipeline.clone(),
                        step: self.step.clone(),
                        secret: secret.clone(),
                        variable: variable.clone(),
                    });
                }
                SecretRef::SecretsManager { name, key: _ } => {
                    secrets.insert(secret_arn(self.scope, name));
                }
                SecretRef::Parameter(name) => {
                    parameters.insert(parameter_arn(self.scope, name));
                }
            }
        }
        Ok(read_secrets(secrets, parameters))
    }

    /// The secrets that the step's templates name, by reference.
    fn secrets_used(&self) -> BTreeMap<&FieldName, &SecretRef> {
        let references = self.spec.templates().flat_map(Template::references);
        let used = references.filter_map(|reference| match reference {
            Reference::Secret(name) => Some((name, self.release.secrets.get(name)?)),
            Reference::Input(_)
            | Reference::Output(_)
            | Reference::Param(_)
            | Reference::RunId
            | Reference::ScheduledTime
            | Reference::Partition
            | Reference::StepName => None,
        });
        used.collect()
    }
}

/// Allows to read one secret; none for one that no service keeps.
pub(super) fn read_secret(scope: Scope<'_>, reference: &SecretRef) -> Option<Statement> {
    let (secrets, parameters) = match reference {
        SecretRef::Env(_) => return None,
        SecretRef::SecretsManager { name, key: _ } => (BTreeSet::from([secret_arn(scope, name)]), BTreeSet::new()),
        SecretRef::Parameter(name) => (BTreeSet::new(), BTreeSet::from([parameter_arn(scope, name)])),
    };
    read_secrets(secrets, parameters).into_iter().next()
}

fn read_secrets(secrets: BTreeSet<String>, parameters: BTreeSet<String>) -> Vec<Statement> {
    let statements =
        [("ReadSecrets", "secretsmanager:GetSecretValue", secrets), ("ReadParameters", "ssm:GetParameter", parameters)];
    let used = statements.into_iter().filter(|(_, _, arns)| !arns.is_empty());
    used.map(|(sid, action, arns)| allow(sid, &[action], arns)).collect()
}

/// The ARN of a parameter, by its full name.
fn parameter_arn(scope: Scope<'_>, name: &str) -> String {
    names::arn(scope.place, "ssm", &format!("parameter/{}", name.trim_start_matches('/')))
}

/// The ARN of a secret that is given by name or by ARN. Secrets Manager appends six random characters to the name.
fn secret_arn(scope: Scope<'_>, name: &str) -> String {
    if name.starts_with("arn:") {
        return name.to_owned();
    }
    names::arn(scope.place, "secretsmanager", &format!("secret:{name}-??????"))
}
