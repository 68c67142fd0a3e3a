//! One step, from all its parts.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::definition::model::ActionDefinition;
use crate::name::StepName;
use crate::step::Action;
use crate::step::Compute;
use crate::step::DEFAULT_TIMEOUT_SECONDS;
use crate::step::Names;
use crate::step::Resources;
use crate::step::Retries;
use crate::step::StepSpec;
use crate::template::Part;
use crate::template::Template;

use super::Edges;
use super::Resolver;
use super::files::FileIndex;
use super::files::trimmed;
use super::inputs::Referrer;

impl<'a> Resolver<'a> {
    /// A step; `full` is its name with those of the steps around it. What it waits for without data is added later.
    pub(super) fn step(&mut self, step: Referrer<'_, 'a>, full: &StepName, edges: &mut Edges<'a>) -> StepSpec {
        let Referrer { scope, peer } = step;
        let definition = peer.definition;
        let inputs = self.inputs(step, edges);
        let outputs = self.outputs(peer.name, &peer.outputs);
        let map = self.map(step, edges);
        self.after(step, edges);
        let reads = self.conditions(step, edges);
        self.check_templates(scope, peer);
        let python = self.python(scope, definition);
        let package = self.package(definition, python, &inputs.paths);
        let action = action(&definition.action, full.as_str(), &self.files);
        let settings = self.settings(scope, definition);
        // What starts no process has no environment, and is not to change with the defaults of those that do.
        let inline = action.is_inline();
        let env = self.environment(scope, definition);
        let mut spec = StepSpec {
            phase: definition.phase,
            inputs: inputs.sources,
            outputs,
            env: if inline {
                BTreeMap::new()
            } else {
                env.into_iter()
                    .map(|(name, value)| (name.to_owned(), value.value.with_step_name(full.as_str())))
                    .collect()
            },
            after: BTreeSet::new(),
            when: definition.when.as_ref().map(|when| when.value.clone()),
            map,
            reads_metrics: reads.metrics,
            reads_params: reads.params,
            finally: scope.nesting.finally || peer.finally,
            package,
            retries: if inline { Retries::default() } else { settings.retries },
            timeout_seconds: if inline { DEFAULT_TIMEOUT_SECONDS } else { settings.timeout_seconds },
            resources: if inline { Resources::default() } else { settings.resources },
            cache: settings.cache,
            compute: match &definition.image {
                // An image says by itself where the step runs, whatever the defaults of its neighbours are.
                Some(_) if definition.settings.compute.is_none() => Compute::Auto,
                Some(_) | None if inline => Compute::Auto,
                Some(_) | None => settings.compute,
            },
            image: definition.image.as_ref().filter(|_| !inline).map(|image| image.value.clone()),
            action,
            names: Names::default(),
            within: scope.nesting.conditions.clone(),
        };
        spec.names = scope.nesting.names(spec.params_used(), reads.names);
        spec
    }
}

fn action(definition: &ActionDefinition, step: &str, files: &FileIndex<'_>) -> Action {
    match definition {
        ActionDefinition::Run(argv) => Action::Run {
            argv: argv.value.iter().map(|item| argument(&item.value, files).with_step_name(step)).collect(),
        },
        ActionDefinition::Call(call) => {
            Action::Call { module: call.value.module.clone(), function: call.value.function.clone() }
        }
        ActionDefinition::Gate(checks) => Action::Gate { checks: checks.iter().map(|one| one.value.clone()).collect() },
        // Its steps stand for it.
        ActionDefinition::Pipeline(_) => Action::Gate { checks: Vec::new() },
        ActionDefinition::Register(register) => Action::Register {
            model: register.model.value.clone(),
            aliases: register.aliases.iter().map(|alias| alias.value.clone()).collect(),
        },
    }
}

/// An argument; `./train.py`, where that is a project file, becomes `train.py`, as packages list it.
fn argument(template: &Template, files: &FileIndex<'_>) -> Template {
    match template.parts() {
        [Part::Text(text)] if text.starts_with("./") && matches!(files.file(trimmed(text)), Ok(Some(_))) => {
            Template::literal(trimmed(text))
        }
        _ => template.clone(),
    }
}
