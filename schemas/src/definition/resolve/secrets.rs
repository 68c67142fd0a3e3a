//! Secrets that steps use, and whether the environment's platform can read them.

use std::collections::BTreeMap;

use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::name::FieldName;
use crate::name::StepName;
use crate::platform::PlatformSpec;
use crate::release::SecretRef;
use crate::step::StepSpec;
use crate::template::Reference;
use crate::template::Template;

use super::Resolver;

impl Resolver<'_> {
    /// The secrets that the steps of a pipeline use.
    pub(super) fn secrets_of(&mut self, steps: &BTreeMap<StepName, StepSpec>) -> BTreeMap<FieldName, SecretRef> {
        let references = steps.values().flat_map(StepSpec::templates).flat_map(Template::references);
        let names = references.filter_map(|reference| match reference {
            Reference::Secret(name) => Some(name),
            Reference::Input(_)
            | Reference::Output(_)
            | Reference::Param(_)
            | Reference::RunId
            | Reference::ScheduledTime
            | Reference::Partition
            | Reference::StepName => None,
        });
        let mut secrets = BTreeMap::new();
        for name in names {
            // One that is not declared was told of where it is used.
            let Some(entry) = self.definition.secrets.get(name) else { continue };
            if secrets.insert(name.clone(), entry.value.clone()).is_none() {
                self.findings.extend(self.unreadable(name, &entry.value, &entry.key));
            }
        }
        secrets
    }

    /// The finding for a secret that the platform of the environment can not read.
    fn unreadable(&self, name: &FieldName, secret: &SecretRef, span: &Span) -> Option<Finding> {
        let environment = &self.definition.environment;
        let (message, better) = match (&self.definition.platform, secret) {
            (PlatformSpec::Local, SecretRef::Env(_)) => return None,
            (PlatformSpec::Aws(_), SecretRef::SecretsManager { .. } | SecretRef::Parameter(_)) => return None,
            (PlatformSpec::Local, SecretRef::SecretsManager { .. } | SecretRef::Parameter(_)) => (
                format!("secret {name} is kept by AWS, and the environment `{environment}` reads variables only"),
                format!("env:{}", name.as_str().to_uppercase()),
            ),
            (PlatformSpec::Aws(_), SecretRef::Env(_)) => (
                format!("secret {name} is a variable of your machine, and the environment `{environment}` is on AWS"),
                "\"secretsmanager:NAME\"".to_owned(),
            ),
        };
        let hint =
            format!("name another place for it: `environments: {{{environment}: {{secrets: {{{name}: {better}}}}}}}`");
        let finding = Finding::error(Code::SecretPlatform, span, message).hint(hint);
        Some(match self.definition.platform {
            PlatformSpec::Local => finding,
            PlatformSpec::Aws(_) => finding.hint("`ssm:/PATH/NAME` is a parameter of Systems Manager"),
        })
    }
}
