//! Secrets, where a step runs.

use liminal_schemas::release::SecretRef;
use liminal_schemas::run::Failure;

use super::clients::Clients;
use super::environment::Variables;

/// Finds the values of secrets.
#[derive(Clone, Debug)]
pub struct Secrets {
    variables: Variables,
}

impl Secrets {
    /// Secrets among the variables of this process, and those that services keep.
    pub fn new(_clients: &Clients, variables: Variables) -> Self {
        Self { variables }
    }

    /// The value of a secret, if it has one.
    pub(super) async fn find(&self, reference: &SecretRef) -> Result<Option<String>, Failure> {
        match reference {
            SecretRef::Env(variable) => Ok(self.variables.get(variable).map(str::to_owned)),
        }
    }
}
