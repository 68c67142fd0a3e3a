//! Pipelines for tests: written by hand, or drawn from a world's luck.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::map::MapSource;
use liminal_schemas::map::MapSpec;
use liminal_schemas::map::Tolerance;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::ModelName;
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
use liminal_schemas::value::Value;

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
        map: None,
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
        names: Default::default(),
        within: Vec::new(),
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

/// Lets a step be done once for each of so many numbers.
pub(crate) fn mapped(mut step: StepSpec, items: u32) -> StepSpec {
    let values = (0..items).map(|item| Value::Int(i64::from(item))).collect();
    step.map = Some(map_over(MapSource::Values(values)));
    step
}

/// Lets a step be done once for each file that another leaves as `shards`.
pub(crate) fn mapped_over_files(mut step: StepSpec, maker: &str) -> StepSpec {
    step.map = Some(map_over(MapSource::Files { step: step_name(maker), output: field("shards") }));
    step
}

fn map_over(over: MapSource) -> MapSpec {
    MapSpec { over, batch: None, max_concurrency: None, tolerated_failures: Tolerance::default() }
}

/// Lets a step leave a directory as `shards`, too.
pub(crate) fn with_shards(mut step: StepSpec) -> StepSpec {
    let shards = OutputSpec { path: "shards".to_owned(), kind: ArtifactKind::Directory, role: OutputRole::Data };
    step.outputs.insert(field("shards"), shards);
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

/// How large pipelines are that are drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// The most steps.
    pub(super) steps: u64,
    /// The most items of a step.
    pub(super) items: u64,
}

/// As small as most are.
pub(super) const SMALL: Size = Size { steps: 8, items: 6 };

/// As large as few are.
pub(super) const LARGE: Size = Size { steps: 200, items: 1000 };

/// How many items the steps of a release have that list them.
pub(super) fn items(release: &Release) -> usize {
    let items = |spec: &StepSpec| match &spec.map.as_ref()?.over {
        MapSource::Values(values) => Some(values.len()),
        MapSource::Files { .. } | MapSource::Rows { .. } | MapSource::Param { .. } | MapSource::Objects(_) => Some(8),
    };
    release.steps.values().filter_map(items).sum()
}

/// Steps of all kinds, each after some of those before it.
pub(super) fn draw(world: &World, size: Size) -> Release {
    let count = 1 + usize::try_from(world.draw(size.steps)).expect("small");
    let names: Vec<String> = (0..count).map(|index| format!("s{index:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut steps: BTreeMap<StepName, StepSpec> = BTreeMap::new();
    // Steps of large pipelines wait for some of those before them, not for most.
    let (near, rare) = (8, if count > 8 { 12 } else { 1 });
    for (index, name) in names.iter().enumerate() {
        let finally = index > 0 && index + 1 == count && world.draw(4) == 0;
        let behind = index.saturating_sub(near);
        let makers: Vec<&str> =
            names[behind..index].iter().copied().filter(|maker| steps[*maker].outputs.contains_key("data")).collect();
        let mut spec = match (world.draw(8), makers.last()) {
            (0, Some(maker)) => gate(if world.draw(4) == 0 { "1 > 2" } else { "1 < 2" }, &[maker]),
            (1, Some(maker)) => register(name, maker),
            _ => {
                let chosen: Vec<&str> = makers.iter().copied().filter(|_| world.draw(3) == 0).collect();
                let spec = with_inputs(step(name), &chosen);
                let sharded = makers.iter().copied().find(|maker| steps[*maker].outputs.contains_key("shards"));
                match (world.draw(6), sharded) {
                    (0, _) if rare == 1 || world.draw(10) == 0 => {
                        mapped(spec, u32::try_from(world.draw(size.items)).expect("small"))
                    }
                    (1, Some(maker)) => mapped_over_files(spec, maker),
                    (2, _) => with_shards(spec),
                    _ => spec,
                }
            }
        };
        for before in &names[behind..index] {
            if world.draw(6 * rare) == 0 {
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
