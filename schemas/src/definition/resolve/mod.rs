//! From the definition to releases: settings merged, references looked up, packages listed. Pure; files are known by
//! their blob ids alone, so that resolving reads no contents.
//!
//! Every check goes on after the first problem, so that one report names all of them.

mod conditions;
mod files;
mod inputs;
mod map;
mod order;
mod outputs;
mod packages;
mod params;
mod python;
mod secrets;
mod settings;
mod step;
mod templates;
mod triggers;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::definition::model::Definition;
use crate::definition::model::Entry;
use crate::definition::model::PipelineDefinition;
use crate::definition::model::StepDefinition;
use crate::delivery::Delivery;
use crate::digest::Digest;
use crate::files::ProjectFiles;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Report;
use crate::finding::Span;
use crate::name::EnvironmentName;
use crate::name::FieldName;
use crate::name::PipelineName;
use crate::name::ProjectName;
use crate::name::StepName;
use crate::platform::PlatformSpec;
use crate::policy::Policy;
use crate::release::PackageSpec;
use crate::release::ParamSpec;
use crate::release::RELEASE_SCHEMA;
use crate::release::Release;
use crate::run_policy::RunPolicy;
use crate::step::ArtifactKind;
use crate::step::StepSpec;
use crate::value::ValueType;

use conditions::Expressions;
use files::FileIndex;
use inputs::Referrer;
use outputs::Written;
use packages::Packages;

/// A definition with nothing left to look up.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The project.
    pub project: ProjectName,
    /// The environment that it was resolved for.
    pub environment: EnvironmentName,
    /// What carries that environment out.
    pub platform: PlatformSpec,
    /// How changes come to it.
    pub delivery: Delivery,
    /// How many retired releases are kept for rollback.
    pub keep: usize,
    /// Rules over what a plan would do.
    pub policies: BTreeMap<FieldName, Policy>,
    /// The releases, one for each pipeline.
    pub releases: BTreeMap<PipelineName, Release>,
    /// The documents that package digests in the releases stand for.
    pub packages: BTreeMap<Digest, PackageSpec>,
}

/// Resolves a definition. None when something in it is wrong, or was found to be wrong before; the report says what.
pub fn resolve(definition: &Definition, files: &dyn ProjectFiles, report: &mut Report) -> Option<Resolved> {
    let mut resolver = Resolver {
        definition,
        files: FileIndex::new(files),
        packages: Packages::default(),
        expressions: Expressions::default(),
        used: BTreeSet::new(),
        findings: Vec::new(),
    };
    let releases =
        definition.pipelines.iter().map(|(name, entry)| (name.clone(), resolver.pipeline(name, &entry.value)));
    let releases = releases.collect();
    resolver.warn_of_unused_params();
    report.findings.append(&mut resolver.findings);
    report.sort();
    (!report.has_errors()).then(|| Resolved {
        project: definition.project.value.clone(),
        environment: definition.environment.clone(),
        platform: definition.platform.clone(),
        delivery: definition.delivery.clone(),
        keep: definition.keep,
        policies: definition.policies.iter().map(|(name, entry)| (name.clone(), entry.value.clone())).collect(),
        releases,
        packages: resolver.packages.into_specs(),
    })
}

/// What resolving shares between pipelines.
struct Resolver<'a> {
    definition: &'a Definition,
    files: FileIndex<'a>,
    packages: Packages<'a>,
    expressions: Expressions<'a>,
    /// Parameters that some step of some pipeline uses.
    used: BTreeSet<FieldName>,
    findings: Vec<Finding>,
}

/// A step as others of its pipeline see it.
struct Peer<'a> {
    name: &'a StepName,
    definition: &'a StepDefinition,
    /// Where its name was written.
    key: &'a Span,
    finally: bool,
    outputs: Vec<Written<'a>>,
}

/// What the steps of a pipeline may refer to.
struct Scope<'a> {
    definition: &'a PipelineDefinition,
    params: BTreeMap<&'a FieldName, &'a ParamSpec>,
    types: BTreeMap<FieldName, ValueType>,
    steps: BTreeMap<&'a str, Peer<'a>>,
}

impl Scope<'_> {
    /// What an output of a step is for those that use it: all that a step leaves for its items is a directory.
    fn output_kind(&self, step: &StepName, output: &FieldName) -> Option<ArtifactKind> {
        let peer = self.steps.get(step.as_str())?;
        if peer.definition.map.is_some() {
            return Some(ArtifactKind::Directory);
        }
        peer.outputs.iter().find(|known| known.name == output).map(Written::kind)
    }
}

/// Which step waits for which, and where it says so.
type Edges<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Span>>;

impl<'a> Resolver<'a> {
    fn pipeline(&mut self, name: &PipelineName, pipeline: &'a PipelineDefinition) -> Release {
        let params = params::effective(self.definition, pipeline);
        let types = params.iter().map(|(name, spec)| ((*name).clone(), spec.value_type)).collect();
        let steps = self.peers(pipeline);
        let scope = Scope { definition: pipeline, params, types, steps };
        self.check_shared_env(&scope);
        let mut edges = Edges::new();
        let mut specs: BTreeMap<StepName, StepSpec> = BTreeMap::new();
        for peer in scope.steps.values() {
            let spec = self.step(Referrer { scope: &scope, peer }, &mut edges);
            specs.insert(peer.name.clone(), spec);
        }
        self.check_order(&scope, &mut edges);
        self.note_used_params(&scope, &specs);
        let triggers = self.triggers(&scope);
        let secrets = self.secrets_of(&specs);
        Release {
            schema: RELEASE_SCHEMA,
            project: self.definition.project.value.clone(),
            owner: pipeline.owner.clone().or_else(|| self.definition.owner.clone()),
            pipeline: name.clone(),
            params: scope.params.iter().map(|(name, spec)| ((*name).clone(), (*spec).clone())).collect(),
            secrets,
            triggers,
            runs: RunPolicy {
                deadline_seconds: pipeline.deadline_seconds,
                overlap: pipeline.overlap,
                max_concurrent_runs: pipeline.max_concurrent_runs,
            },
            steps: specs,
        }
    }

    /// All steps of a pipeline. A name may stand either under `steps:` or under `finally:`.
    fn peers(&mut self, pipeline: &'a PipelineDefinition) -> BTreeMap<&'a str, Peer<'a>> {
        let mut peers = BTreeMap::new();
        for (steps, finally) in [(&pipeline.finally, true), (&pipeline.steps, false)] {
            for (name, Entry { key, value }) in steps {
                let outputs = outputs::written(value);
                let peer = Peer { name, definition: value, key, finally, outputs };
                if let Some(other) = peers.insert(name.as_str(), peer) {
                    let message = format!("step {name} stands under `steps:` and under `finally:`");
                    self.findings.push(
                        Finding::error(Code::DuplicateKey, other.key, message)
                            .related(key, "the other is here")
                            .hint("give one of them another name"),
                    );
                }
            }
        }
        peers
    }
}
