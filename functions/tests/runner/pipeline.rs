//! Steps and releases, written by hand.

use std::collections::BTreeMap;

use liminal_schemas::digest::Digest;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::release::RELEASE_SCHEMA;
use liminal_schemas::release::Release;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunCache;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::SourceVersion;
use liminal_schemas::run_policy::RunPolicy;
use liminal_schemas::step::Action;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::CachePolicy;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::OutputRole;
use liminal_schemas::step::OutputSpec;
use liminal_schemas::step::Resources;
use liminal_schemas::step::Retries;
use liminal_schemas::step::StepSpec;
use liminal_schemas::template::Template;
use liminal_schemas::time::UtcTime;

pub(crate) fn field(text: &str) -> FieldName {
    FieldName::new(text).expect("a name")
}

pub(crate) fn step_name(text: &str) -> StepName {
    StepName::new(text).expect("a name")
}

fn step(action: Action) -> StepSpec {
    StepSpec {
        phase: None,
        action,
        inputs: BTreeMap::new(),
        outputs: BTreeMap::new(),
        env: BTreeMap::new(),
        after: Default::default(),
        when: None,
        map: None,
        reads_metrics: Default::default(),
        reads_params: Default::default(),
        finally: false,
        package: None,
        retries: Retries::default(),
        timeout_seconds: 60,
        resources: Resources::default(),
        cache: CachePolicy::Off,
        compute: Default::default(),
        image: None,
        names: Default::default(),
        within: Vec::new(),
    }
}

/// A step whose program is a shell, which is the test's choice.
pub(crate) fn sh(script: &str) -> StepSpec {
    let argv = ["sh", "-c", script].map(|item| Template::parse(item).expect("a template"));
    step(Action::Run { argv: argv.to_vec() })
}

pub(crate) fn call(module: &str, function: &str, package: Digest) -> StepSpec {
    let action = Action::Call { module: module.to_owned(), function: function.to_owned() };
    StepSpec { package: Some(package), ..step(action) }
}

/// Lets a step leave a file.
pub(crate) fn leaves(mut step: StepSpec, output: &str, path: &str) -> StepSpec {
    let role = if output == "metrics" { OutputRole::Metrics } else { OutputRole::Data };
    step.outputs.insert(field(output), OutputSpec { path: path.to_owned(), kind: ArtifactKind::File, role });
    step
}

/// Lets a step take what another leaves.
pub(crate) fn takes(mut step: StepSpec, input: &str, maker: &str, output: &str) -> StepSpec {
    step.inputs.insert(field(input), InputSource::Output { step: step_name(maker), output: field(output) });
    step
}

pub(crate) fn release(steps: impl IntoIterator<Item = (&'static str, StepSpec)>) -> Release {
    Release {
        schema: RELEASE_SCHEMA,
        project: ProjectName::new("shop").expect("a name"),
        owner: None,
        pipeline: PipelineName::new("train").expect("a name"),
        params: BTreeMap::new(),
        secrets: BTreeMap::new(),
        triggers: Vec::new(),
        runs: RunPolicy::default(),
        steps: steps.into_iter().map(|(name, spec)| (step_name(name), spec)).collect(),
    }
}

pub(crate) fn run_record(release: &Release) -> RunRecord {
    RunRecord {
        schema: RUN_SCHEMA,
        run: RunId::new("20261124-000000-test").expect("an id"),
        pipeline: release.pipeline.clone(),
        revision: release.revision(),
        params: BTreeMap::new(),
        models: BTreeMap::new(),
        object: None,
        scheduled: None,
        follows: None,
        cache: RunCache::default(),
        redrives: None,
        canary: None,
        source: SourceVersion::default(),
        started_at: UtcTime::from_millis(1_800_000_000_000),
        deadline: None,
        started_by: None,
    }
}
