//! From the definition to releases: settings merged, references looked up, packages listed. Pure; files are known by
//! their blob ids alone, so that resolving reads no contents.
//!
//! Every check goes on after the first problem, so that one report names all of them.

mod conditions;
mod containment;
mod files;
mod given;
mod inputs;
mod interface;
mod map;
mod nesting;
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
mod wiring;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::rc::Rc;

use crate::definition::model::ActionDefinition;
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
use crate::step::StepSpec;
use crate::value::ValueType;

use conditions::Expressions;
use containment::Containment;
use files::FileIndex;
use inputs::Referrer;
use interface::Interface;
use nesting::Nesting;
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
        containment: Containment::default(),
        interfaces: BTreeMap::new(),
        used: BTreeSet::new(),
        findings: Vec::new(),
    };
    resolver.find_contained();
    let releases = definition
        .pipelines
        .iter()
        .filter_map(|(name, entry)| Some((name.clone(), resolver.pipeline(name, &entry.value)?)));
    let releases = releases.collect();
    resolver.check_trigger_circles();
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
    containment: Containment<'a>,
    interfaces: BTreeMap<&'a PipelineName, Rc<Interface>>,
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
    sub: Sub,
}

/// Whether a step is a pipeline.
enum Sub {
    /// It is none.
    None,
    /// It is one, which leaves this.
    Known(Rc<Interface>),
    /// It is one that makes no sense, as was told.
    Broken,
}

/// What the steps of a pipeline may refer to.
struct Scope<'a> {
    name: &'a PipelineName,
    definition: &'a PipelineDefinition,
    params: BTreeMap<&'a FieldName, &'a ParamSpec>,
    types: BTreeMap<FieldName, ValueType>,
    steps: BTreeMap<&'a str, Peer<'a>>,
    nesting: Nesting,
}

/// Which step waits for which, and where it says so.
type Edges<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Span>>;

impl<'a> Resolver<'a> {
    /// Finds out which pipelines contain which, and what each leaves for those that contain it.
    fn find_contained(&mut self) {
        let definition = self.definition;
        self.containment = containment::containment(definition, &mut self.findings);
        for name in std::mem::take(&mut self.containment.order) {
            let Some(entry) = definition.pipelines.get(name) else { continue };
            let scope = self.scope(name, &entry.value, Nesting::default());
            let interface = self.interface(&scope);
            self.interfaces.insert(name, Rc::new(interface));
        }
    }

    /// The release of a pipeline; none for one that runs only as a part of others.
    fn pipeline(&mut self, name: &'a PipelineName, pipeline: &'a PipelineDefinition) -> Option<Release> {
        let nesting = self.alone(pipeline);
        let scope = self.scope(name, pipeline, nesting);
        let (specs, _) = self.steps_of(&scope);
        self.findings.extend(wiring::clash(&scope, &specs));
        let triggers = self.triggers(&scope, &specs);
        let secrets = self.secrets_of(&specs);
        let release = Release {
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
        };
        (!nesting::is_part_only(pipeline)).then_some(release)
    }

    fn scope(&mut self, name: &'a PipelineName, pipeline: &'a PipelineDefinition, nesting: Nesting) -> Scope<'a> {
        let params = params::effective(self.definition, pipeline);
        let types = params.iter().map(|(name, spec)| ((*name).clone(), spec.value_type)).collect();
        let steps = self.peers(name, pipeline);
        Scope { name, definition: pipeline, params, types, steps, nesting }
    }

    /// All steps of a pipeline, those of pipelines that it contains among them, by their full names; and the parameters that
    /// they use, as the pipeline names them.
    fn steps_of(&mut self, scope: &Scope<'a>) -> (BTreeMap<StepName, StepSpec>, BTreeSet<FieldName>) {
        self.check_shared_env(scope);
        let mut edges = Edges::new();
        let mut specs: BTreeMap<StepName, StepSpec> = BTreeMap::new();
        let mut used = BTreeSet::new();
        for peer in scope.steps.values() {
            let step = Referrer { scope, peer };
            let Some(full) = scope.full(peer.name) else {
                let message = format!("the name of step {} is too long with those of the steps around it", peer.name);
                self.findings.push(Finding::error(Code::InvalidName, peer.key, message).hint("choose shorter names"));
                continue;
            };
            match peer.sub {
                Sub::None => {
                    let spec = self.step(step, &full, &mut edges);
                    used.extend(spec.params_used().into_iter().cloned());
                    specs.insert(full, spec);
                }
                Sub::Known(_) | Sub::Broken => specs.extend(self.nested(step, &mut edges, &mut used)),
            }
        }
        self.check_order(scope, &mut edges);
        wiring::wire(scope, &mut specs);
        self.note_used_params(scope, &used);
        (specs, used)
    }

    /// All steps of a pipeline. A name may stand either under `steps:` or under `finally:`.
    fn peers(&mut self, outer: &'a PipelineName, pipeline: &'a PipelineDefinition) -> BTreeMap<&'a str, Peer<'a>> {
        let mut peers = BTreeMap::new();
        for (steps, finally) in [(&pipeline.finally, true), (&pipeline.steps, false)] {
            for (name, Entry { key, value }) in steps {
                let outputs = outputs::written(value);
                let sub = match &value.action {
                    ActionDefinition::Pipeline(_) => {
                        let inner = self.containment.contained.get(&(outer, name));
                        inner
                            .and_then(|inner| self.interfaces.get(inner))
                            .map_or(Sub::Broken, |it| Sub::Known(it.clone()))
                    }
                    ActionDefinition::Run(_)
                    | ActionDefinition::Call(_)
                    | ActionDefinition::Gate(_)
                    | ActionDefinition::Register(_) => Sub::None,
                };
                let peer = Peer { name, definition: value, key, finally, outputs, sub };
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
