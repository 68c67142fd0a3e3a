//! Pipelines for tests: written by hand, or drawn from a world's luck.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::name::FieldName;
use liminal_schemas::name::ModelName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::policy::RunPolicy;
use liminal_schemas::release::RELEASE_SCHEMA;
use liminal_schemas::release::Release;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunCache;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::SourceVersion;
use liminal_schemas::step::Action;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::CachePolicy;
use liminal_schemas::step::Compute;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::METRICS_OUTPUT;
use liminal_schemas::step::OutputRole;
use liminal_schemas::step::OutputSpec;
use liminal_schemas::step::REGISTERED_INPUT;
use liminal_schemas::step::Resources;
use liminal_schemas::step::Retries;
use liminal_schemas::step::StepSpec;
use liminal_schemas::template::Template;
use liminal_schemas::time::UtcTime;

use crate::simulated::world::World;

pub(crate) fn step_name(text: &str) -> StepName {
    StepName::new(text).expect("tests write valid names")
}

pub(crate) fn field(text: &str) -> FieldName {
    FieldName::new(text).expect("tests write valid names")
}

/// A step that leaves the output `data` and a metrics file.
pub(crate) fn step(argument: &str) -> StepSpec {
    let file = |path: &str, role| OutputSpec { path: path.to_owned(), kind: ArtifactKind::File, role };
    StepSpec {
        phase: None,
        action: Action::Run { argv: vec![Template::literal("work"), Template::literal(argument)] },
        inputs: BTreeMap::new(),
        outputs: BTreeMap::from([
            (field("data"), file("data", OutputRole::Data)),
            (field(METRICS_OUTPUT), file("metrics.json", OutputRole::Metrics)),
        ]),
        env: BTreeMap::new(),
        after: BTreeSet::new(),
        when: None,
        reads_metrics: BTreeSet::new(),
        reads_params: BTreeSet::new(),
        finally: false,
        package: None,
        retries: Retries::default(),
        timeout_seconds: 120,
        resources: Resources::default(),
        cache: CachePolicy::On,
        compute: Compute::Auto,
        image: None,
    }
}

pub(crate) fn gate(check: &str, reads: &[&str]) -> StepSpec {
    let action = Action::Gate { checks: vec![check.to_owned()] };
    let reads_metrics = reads.iter().map(|step| step_name(step)).collect();
    StepSpec { action, reads_metrics, outputs: BTreeMap::new(), ..step("gate") }
}

pub(crate) fn register(model: &str, maker: &str) -> StepSpec {
    let action =
        Action::Register { model: ModelName::new(model).expect("valid"), aliases: BTreeSet::from([field("champion")]) };
    let inputs = BTreeMap::from([(field(REGISTERED_INPUT), output(maker))]);
    StepSpec { action, inputs, outputs: BTreeMap::new(), ..step("register") }
}

pub(crate) fn output(maker: &str) -> InputSource {
    InputSource::Output { step: step_name(maker), output: field("data") }
}

/// Lets a step need the data of others.
pub(crate) fn with_inputs(mut step: StepSpec, makers: &[&str]) -> StepSpec {
    for maker in makers {
        step.inputs.insert(field(&format!("from_{maker}")), output(maker));
    }
    step
}

pub(crate) fn release(steps: impl IntoIterator<Item = (&'static str, StepSpec)>) -> Release {
    release_of(steps.into_iter().map(|(name, spec)| (step_name(name), spec)).collect())
}

fn release_of(steps: BTreeMap<StepName, StepSpec>) -> Release {
    Release {
        schema: RELEASE_SCHEMA,
        project: ProjectName::new("project").expect("valid"),
        owner: None,
        pipeline: PipelineName::new("pipeline").expect("valid"),
        params: BTreeMap::new(),
        secrets: BTreeMap::new(),
        triggers: Vec::new(),
        runs: RunPolicy::default(),
        steps,
    }
}

pub(crate) fn run_record(release: &Release, run: &str) -> RunRecord {
    RunRecord {
        schema: RUN_SCHEMA,
        run: RunId::new(run).expect("valid"),
        pipeline: release.pipeline.clone(),
        revision: release.revision(),
        params: BTreeMap::new(),
        models: BTreeMap::new(),
        object: None,
        scheduled: None,
        cache: RunCache::default(),
        source: SourceVersion::default(),
        started_at: UtcTime::from_millis(1_800_000_000_000),
        deadline: None,
        started_by: None,
    }
}

/// Up to eight steps of all kinds, each after some of those before it.
pub(super) fn draw(world: &World) -> Release {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let count = 1 + usize::try_from(world.draw(8)).expect("small");
    let mut steps: BTreeMap<StepName, StepSpec> = BTreeMap::new();
    for (index, name) in names.iter().take(count).enumerate() {
        let finally = index > 0 && index + 1 == count && world.draw(4) == 0;
        let makers: Vec<&str> =
            names[..index].iter().copied().filter(|maker| steps[*maker].outputs.contains_key("data")).collect();
        let mut spec = match (world.draw(8), makers.last()) {
            (0, Some(maker)) => gate(if world.draw(4) == 0 { "1 > 2" } else { "1 < 2" }, &[maker]),
            (1, Some(maker)) => register(name, maker),
            _ => {
                let chosen: Vec<&str> = makers.iter().copied().filter(|_| world.draw(3) == 0).collect();
                with_inputs(step(name), &chosen)
            }
        };
        for before in &names[..index] {
            if world.draw(6) == 0 {
                spec.after.insert(step_name(before));
            }
        }
        if world.draw(10) == 0 {
            spec.when = Some("1 > 2".to_owned());
        }
        if world.draw(5) == 0 {
            spec.cache = CachePolicy::Off;
        }
        spec.finally = finally;
        steps.insert(step_name(name), spec);
    }
    release_of(steps)
}
