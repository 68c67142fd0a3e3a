//! Settings of a step: its own, those of its pipeline, those of the project, in this order of precedence.

use std::collections::BTreeMap;

use crate::definition::model::StepDefinition;
use crate::definition::model::StepSettings;
use crate::finding::Spanned;
use crate::step::CachePolicy;
use crate::step::Compute;
use crate::step::DEFAULT_TIMEOUT_SECONDS;
use crate::step::Resources;
use crate::step::Retries;
use crate::template::Template;

use super::Resolver;
use super::Scope;

/// The settings of one step.
pub(super) struct Settings {
    pub(super) retries: Retries,
    pub(super) timeout_seconds: u64,
    pub(super) resources: Resources,
    pub(super) cache: CachePolicy,
    pub(super) compute: Compute,
}

impl<'a> Resolver<'a> {
    /// Levels of `defaults:`, the nearest first.
    fn levels(&self, scope: &Scope<'a>, step: &'a StepDefinition) -> [&'a StepSettings; 3] {
        [&step.settings, &scope.definition.defaults, &self.definition.defaults]
    }

    pub(super) fn settings(&self, scope: &Scope<'a>, step: &'a StepDefinition) -> Settings {
        let levels = self.levels(scope, step);
        let (retries, resources) = (Retries::default(), Resources::default());
        let of_retries = levels.map(|level| level.retries.as_ref());
        let of_retries = || of_retries.iter().flatten();
        let of_resources = || levels.iter().map(|level| &level.resources);
        Settings {
            retries: Retries {
                max: of_retries().find_map(|level| level.max).unwrap_or(retries.max),
                backoff_seconds: of_retries()
                    .find_map(|level| level.backoff_seconds)
                    .unwrap_or(retries.backoff_seconds),
                jitter: of_retries().find_map(|level| level.jitter).unwrap_or(retries.jitter),
                on: match of_retries().find_map(|level| level.on.as_ref()) {
                    Some(classes) => classes.iter().copied().collect(),
                    None => retries.on,
                },
            },
            timeout_seconds: levels.iter().find_map(|level| level.timeout_seconds).unwrap_or(DEFAULT_TIMEOUT_SECONDS),
            resources: Resources {
                memory_mib: of_resources().find_map(|level| level.memory_mib),
                cpu: of_resources().find_map(|level| level.cpu).unwrap_or(resources.cpu),
                disk_mib: of_resources().find_map(|level| level.disk_mib),
            },
            cache: levels.iter().find_map(|level| level.cache).unwrap_or_default(),
            compute: levels
                .iter()
                .find_map(|level| level.compute.as_ref())
                .map_or(Compute::Auto, |compute| compute.value),
        }
    }

    /// The environment of a step: project, project defaults, pipeline, pipeline defaults, step; later ones win.
    pub(super) fn environment(
        &self,
        scope: &Scope<'a>,
        step: &'a StepDefinition,
    ) -> BTreeMap<&'a str, &'a Spanned<Template>> {
        let shared = [
            &self.definition.env,
            &self.definition.defaults.env,
            &scope.definition.env,
            &scope.definition.defaults.env,
            &step.settings.env,
        ];
        shared.into_iter().flatten().map(|(name, entry)| (name.as_str(), &entry.value)).collect()
    }
}
