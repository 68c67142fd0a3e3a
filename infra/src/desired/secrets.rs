//! The secrets of a step: where they must be, and the permission to read just these.

use std::collections::BTreeMap;

use liminal_schemas::aws::names;
use liminal_schemas::aws::policy::Statement;
use liminal_schemas::name::FieldName;
use liminal_schemas::release::SecretRef;
use liminal_schemas::template::Reference;
use liminal_schemas::template::Template;

use super::DesiredProblem;
use super::statements::allow;
use super::step::StepInput;

impl StepInput<'_> {
    /// The secrets that the step's templates name, by reference.
    fn secrets(&self) -> BTreeMap<&FieldName, &SecretRef> {
        let references = self.spec.templates().flat_map(Template::references);
        let used = references.filter_map(|reference| match reference {
            Reference::Secret(name) => Some((name, self.release.secrets.get(name)?)),
            Reference::Input(_)
            | Reference::Output(_)
            | Reference::Param(_)
            | Reference::RunId
            | Reference::StepName => None,
        });
        used.collect()
    }

    /// Refuses secrets that no function can find.
    pub(super) fn check_secrets(&self) -> Result<(), DesiredProblem> {
        for (secret, reference) in self.secrets() {
            match reference {
                SecretRef::Env(variable) => {
                    return Err(DesiredProblem::SecretOfMachine {
                        pipeline: self.pipeline.clone(),
                        step: self.step.clone(),
                        secret: secret.clone(),
                        variable: variable.clone(),
                    });
                }
                SecretRef::SecretsManager { .. } | SecretRef::Parameter(_) => {}
            }
        }
        Ok(())
    }

    /// What a runner needs to look the step's secrets up. Their values are encrypted with the keys that AWS keeps for these
    /// services, which need no permission of their own.
    pub(super) fn reads_secrets(&self) -> Vec<Statement> {
        let arn = |service: &str, resource: String| names::arn(self.scope.place, service, &resource);
        let (mut secrets, mut parameters) = (Vec::new(), Vec::new());
        for reference in self.secrets().into_values() {
            match reference {
                SecretRef::Env(_) => {}
                // Secrets Manager puts six letters of its own behind the name.
                SecretRef::SecretsManager { name, .. } => {
                    secrets.push(arn("secretsmanager", format!("secret:{name}-*")))
                }
                SecretRef::Parameter(name) => parameters.push(arn("ssm", format!("parameter{name}"))),
            }
        }
        let mut statements = Vec::new();
        if !secrets.is_empty() {
            statements.push(allow("ReadSecrets", &["secretsmanager:GetSecretValue"], secrets));
        }
        if !parameters.is_empty() {
            statements.push(allow("ReadParameters", &["ssm:GetParameter"], parameters));
        }
        statements
    }
}
