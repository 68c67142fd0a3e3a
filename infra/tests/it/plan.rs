use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_infra::plan::PlanError;
use liminal_infra::plan::Revised;
use liminal_infra::plan::diff::Packages;
use liminal_infra::plan::diff::releases;
use liminal_infra::plan::forecast::CacheView;
use liminal_infra::plan::forecast::ForecastInput;
use liminal_infra::plan::forecast::default_params;
use liminal_infra::plan::forecast::forecast;
use liminal_infra::plan::key_facts::KeyFacts;
use liminal_infra::plan::key_facts::facts_of_run;
use liminal_infra::plan::key_facts::first_difference;
use liminal_infra::plan::plan;
use liminal_schemas::cache_key::CacheKeyParts;
use liminal_schemas::cache_key::KeyContext;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::plan::Plan;
use liminal_schemas::plan::StepForecast;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::ParamSpec;
use liminal_schemas::release::Release;
use liminal_schemas::release::SecretRef;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::CacheEntry;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunCache;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::SourceVersion;
use liminal_schemas::step::Action;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::CachePolicy;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::OutputRole;
use liminal_schemas::step::OutputSpec;
use liminal_schemas::step::StepSpec;
use liminal_schemas::template::Template;
use liminal_schemas::time::UtcTime;
use liminal_schemas::unit::Unit;
use liminal_schemas::value::Value;
use liminal_schemas::value::ValueType;

use crate::fixture::Project;
use crate::fixture::World;
use crate::fixture::block_on;
use crate::fixture::call;
use crate::fixture::pipeline;
use crate::fixture::release;
use crate::fixture::step;

fn field(name: &str) -> FieldName {
    FieldName::new(name).expect("a test writes valid names")
}

fn digest(text: &str) -> Digest {
    Digest::of_bytes(text.as_bytes())
}

fn param(default: i64) -> ParamSpec {
    ParamSpec {
        value_type: ValueType::Int,
        default: Some(Value::Int(default)),
        min: None,
        max: None,
        choices: Vec::new(),
    }
}

fn output(path: &str) -> OutputSpec {
    OutputSpec { path: path.to_owned(), kind: ArtifactKind::File, role: OutputRole::Data }
}

fn from_step(maker: &str, output: &str) -> InputSource {
    InputSource::Output { step: step(maker), output: field(output) }
}

/// fetch → train → check, with everything that can be declared about train.
fn chain() -> Release {
    let mut fetch = call("fetch", None, 60);
    fetch.outputs.insert(field("raw"), output("raw.csv"));
    let mut train = call("train", None, 600);
    train.action = Action::Run { argv: ["python", "train.py", "--seed", "{{ params.seed }}"].map(template).to_vec() };
    train.inputs.insert(field("data"), from_step("fetch", "raw"));
    train.outputs.insert(field("model"), output("model.bin"));
    train.env.insert("TOKEN".to_owned(), template("{{ secrets.key }}"));
    train.retries.max = 1;
    train.resources.memory_mib = Some(1536);
    let mut check = call("check", None, 60);
    check.inputs.insert(field("model"), from_step("train", "model"));
    let steps = BTreeMap::from([(step("fetch"), fetch), (step("train"), train), (step("check"), check)]);
    let mut release = release("train", steps);
    release.params.insert(field("seed"), param(42));
    release.secrets.insert(field("key"), SecretRef::Env("KEY".to_owned()));
    release
}

fn template(text: &str) -> Template {
    Template::parse(text).expect("a template")
}

fn train(release: &mut Release) -> &mut StepSpec {
    release.steps.get_mut("train").expect("it is there")
}

fn changes(before: &Release, after: &Release) -> String {
    let nothing = BTreeMap::new();
    let difference = releases(Some(before), Some(after), Packages { before: &nothing, after: &nothing });
    let mut lines = Vec::new();
    let mut show = |place: &str, fields: &[liminal_schemas::plan::FieldChange]| {
        for change in fields {
            let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            let reruns = if change.reruns { "  (reruns)" } else { "" };
            lines.push(format!(
                "{place}{}: {} → {}{reruns}",
                change.field,
                value(&change.before),
                value(&change.after)
            ));
        }
    };
    show("", &difference.fields);
    for change in &difference.steps {
        show(&format!("{:?} {} ", change.action, change.step), &change.fields);
    }
    lines.join("\n")
}

#[test]
fn a_change_is_shown_field_by_field_with_what_makes_the_step_run_again() {
    let (before, mut after) = (chain(), chain());
    after.owner = Some("ada".to_owned());
    after.params.insert(field("seed"), ParamSpec { max: Some(100.0), ..param(43) });
    after.params.insert(field("unused"), param(1));
    after.secrets.insert(field("key"), SecretRef::Env("OTHER".to_owned()));
    let step = train(&mut after);
    step.phase = Some(liminal_schemas::step::Phase::Train);
    step.action = Action::Run { argv: ["python", "fit.py", "--seed", "{{ params.seed }}"].map(template).to_vec() };
    step.inputs.insert(field("rates"), InputSource::File { path: "rates.csv".to_owned(), content: digest("rates") });
    step.inputs.insert(field("data"), from_step("fetch", "clean"));
    step.outputs.insert(field("model"), output("model.pkl"));
    step.env.insert("TZ".to_owned(), template("UTC"));
    step.after.insert(crate::fixture::step("fetch"));
    step.when = Some("params.seed > 0".to_owned());
    step.retries.max = 3;
    step.timeout_seconds = 90;
    step.resources.memory_mib = Some(2048);
    step.cache = CachePolicy::MaxAge(7 * 86_400);
    insta::assert_snapshot!(changes(&before, &after), @"
    owner: - → ada
    params.seed: 42 → 43  (reruns)
    params.seed.max: - → 100
    params.unused: - → 1
    secrets.key: env:KEY → env:OTHER  (reruns)
    Update train phase: - → train
    Update train run[1]: train.py → fit.py  (reruns)
    Update train env.TZ: - → UTC  (reruns)
    Update train outputs.model: model.bin → model.pkl  (reruns)
    Update train inputs.data: fetch.raw → fetch.clean
    Update train inputs.rates: - → ./rates.csv (ff24aad2)  (reruns)
    Update train after: - → fetch
    Update train when: - → params.seed > 0
    Update train retries.max: 1 → 3
    Update train timeout: 10m → 90s
    Update train resources.memory: 1536 MiB → 2 GiB
    Update train cache: on → at most 7d old
    ");
}

/// Whatever is changed in a step: it is said to run again exactly when its cache key is another one.
#[test]
fn a_field_reruns_exactly_when_it_is_part_of_the_key() {
    type Edit = fn(&mut StepSpec);
    let edits: [(&str, Edit); 14] = [
        ("phase", |step| step.phase = Some(liminal_schemas::step::Phase::Train)),
        ("argv", |step| step.action = Action::Run { argv: vec![template("python")] }),
        ("call", |step| step.action = Action::Call { module: "m".to_owned(), function: "f".to_owned() }),
        ("input from elsewhere", |step| drop(step.inputs.insert(field("data"), from_step("fetch", "other")))),
        ("input gone", |step| drop(step.inputs.remove("data"))),
        ("input param", |step| drop(step.inputs.insert(field("n"), InputSource::Param { name: field("seed") }))),
        ("outputs", |step| drop(step.outputs.insert(field("log"), output("log.txt")))),
        ("env", |step| drop(step.env.remove("TOKEN"))),
        ("when", |step| step.when = Some("true".to_owned())),
        ("retries", |step| step.retries.backoff_seconds = 7.0),
        ("timeout", |step| step.timeout_seconds = 1),
        ("memory", |step| step.resources.memory_mib = None),
        ("cache", |step| step.cache = CachePolicy::Off),
        ("package", |step| step.package = Some(digest("package"))),
    ];
    for (what, edit) in edits {
        let (before, mut after) = (chain(), chain());
        edit(train(&mut after));
        let nothing = BTreeMap::new();
        let difference = releases(Some(&before), Some(&after), Packages { before: &nothing, after: &nothing });
        let reruns = difference.steps.iter().flat_map(|step| &step.fields).any(|field| field.reruns);
        let key = |release: &Release| {
            let spec = &release.steps["train"];
            // Every artifact has the same content, wherever it comes from.
            let made = spec.inputs.iter().filter(|(_, source)| matches!(source, InputSource::Output { .. }));
            let context = KeyContext {
                params: default_params(release),
                inputs: made.map(|(name, _)| (name.clone(), digest("same"))).collect(),
                metrics: BTreeMap::new(),
                secrets: Some(&release.secrets),
                scheduled: None,
            };
            CacheKeyParts::new(spec, context).key()
        };
        assert_eq!(reruns, key(&before) != key(&after), "{what}: {difference:?}");
        assert_eq!(difference.steps.len(), 1, "{what}");
        assert!(!difference.steps[0].fields.is_empty(), "{what} is shown");
    }
}

#[test]
fn a_change_of_code_is_followed_down_to_the_file() {
    block_on(async {
        let (world, mut project) = (World::new(), Project::new(&[("train", &[("fit", "t1"), ("load", "l1")])]));
        world.deploy(&project).await;
        project.edit("train", "fit", "t2").edit("score", "load", "s1");
        project.keep = 0;
        let plan = world.plan(&project).await.expect("a plan");
        insta::assert_snapshot!(shown(&plan), @"
        Create score (0 steps unchanged)
          Create load
        Update train (1 steps unchanged)
          Update fit
            code/train/fit.py 3e0bb638 → 85f0f00c
        create_resource
        create_resource
        write_release
        write_release
        move_live
        move_live
        delete_release
        delete_resource
        ");
    });
}

fn shown(plan: &Plan) -> String {
    let mut lines = Vec::new();
    for change in &plan.pipelines {
        lines.push(format!("{:?} {} ({} steps unchanged)", change.action, change.pipeline, change.unchanged_steps));
        for step in &change.steps {
            lines.push(format!("  {:?} {}", step.action, step.step));
            for field in &step.fields {
                let value = |value: &Option<String>| value.clone().unwrap_or_default();
                lines.push(format!("    {} {} → {}", field.field, value(&field.before), value(&field.after)));
            }
        }
    }
    lines.extend(plan.operations.iter().map(|operation| {
        let json = serde_json::to_value(operation).expect("JSON");
        json.as_object().and_then(|kinds| kinds.keys().next()).expect("a kind").clone()
    }));
    lines.extend(plan.notes.iter().cloned());
    lines.join("\n")
}

#[test]
fn an_empty_definition_is_refused_when_something_is_deployed() {
    block_on(async {
        let (world, mut project) = (World::new(), Project::new(&[("train", &[("fit", "t1")])]));
        world.deploy(&project).await;
        project.pipelines.clear();
        let error = world.plan(&project).await.expect_err("refused");
        insta::assert_snapshot!(error, @"the definition has no pipelines, but one is deployed: train; to remove everything, use `liminal destroy`");
        assert!(!World::new().plan(&project).await.expect("nothing is deployed there").has_changes);
    });
}

#[test]
fn a_state_of_another_project_is_refused() {
    block_on(async {
        let (world, project) = (World::new(), Project::new(&[("train", &[("fit", "t1")])]));
        world.deploy(&project).await;
        let mut desired = project.desired();
        desired.target.project = liminal_schemas::name::ProjectName::new("other").expect("valid");
        let state = world.state().await;
        let error = plan(&desired, state.as_ref(), &liminal_infra::plan::Observed::default()).expect_err("refused");
        assert!(matches!(error, PlanError::OtherProject { .. }), "{error}");
    });
}

#[test]
fn a_rollback_needs_a_release_that_is_kept() {
    block_on(async {
        let (world, mut project) = (World::new(), Project::new(&[("train", &[("fit", "t1")])]));
        let first = project.revision("train");
        let error = world.plan_rollback(&project, "train", None).await.expect_err("not deployed");
        assert_eq!(error, PlanError::NotDeployed(pipeline("train")));
        world.deploy(&project).await;
        let error = world.plan_rollback(&project, "train", None).await.expect_err("nothing earlier");
        assert_eq!(error, PlanError::NoEarlier(pipeline("train")));
        project.keep = 1;
        for code in ["t2", "t3"] {
            project.edit("train", "fit", code);
            world.deploy(&project).await;
        }
        let error = world.plan_rollback(&project, "train", Some(first)).await.expect_err("not kept");
        assert!(matches!(error, PlanError::NotKept { .. }), "{error}");
    });
}

#[derive(Default)]
struct Cache {
    entries: BTreeMap<Digest, CacheEntry>,
    gone: BTreeSet<Digest>,
}

impl CacheView for Cache {
    fn entry(&self, key: &Digest) -> Option<CacheEntry> {
        self.entries.get(key).cloned()
    }
    fn has_artifact(&self, digest: &Digest) -> bool {
        !self.gone.contains(digest)
    }
}

fn artifact(text: &str) -> Artifact {
    Artifact { digest: digest(text), kind: ArtifactKind::File, bytes: 1 }
}

/// What a run of a release left: commits, cache entries, and the facts of its keys.
fn ran(release: &Release, inputs: &[(&str, &str, &str)]) -> (Cache, BTreeMap<StepName, KeyFacts>) {
    let run = RunId::new("20261124-000000-aaaa").expect("valid");
    let params = default_params(release);
    let mut commits = BTreeMap::new();
    for (name, spec) in &release.steps {
        let outputs = spec.outputs.keys().map(|output| (output.clone(), artifact(&format!("{name}.{output}"))));
        let given = inputs.iter().filter(|(step, ..)| *step == name.as_str());
        let inputs: BTreeMap<FieldName, Digest> =
            given.map(|(_, input, content)| (field(input), digest(content))).collect();
        let context = KeyContext {
            params: params.clone(),
            inputs: inputs.clone(),
            metrics: BTreeMap::new(),
            secrets: Some(&release.secrets),
            scheduled: None,
        };
        let start = UtcTime::from_millis(0);
        let unit = Unit::step(name.clone());
        let commit = Commit {
            attempt: Some(1),
            cache_key: Some(CacheKeyParts::new(spec, context).key()),
            inputs,
            outputs: outputs.collect(),
            ..Commit::blank(run.clone(), unit, CommitStatus::Succeeded, String::new(), (start, start))
        };
        commits.insert(name.clone(), commit);
    }
    let record = RunRecord {
        schema: RUN_SCHEMA,
        run: run.clone(),
        pipeline: release.pipeline.clone(),
        revision: release.revision(),
        params,
        models: BTreeMap::new(),
        object: None,
        scheduled: None,
        follows: None,
        cache: RunCache::default(),
        redrives: None,
        canary: None,
        source: SourceVersion::default(),
        started_at: UtcTime::from_millis(0),
        deadline: None,
        started_by: None,
    };
    let mut cache = Cache::default();
    let mut facts = BTreeMap::new();
    for (name, commit) in &commits {
        let entry = CacheEntry {
            schema: RUN_SCHEMA,
            pipeline: release.pipeline.clone(),
            run: run.clone(),
            step: name.clone(),
            outputs: commit.outputs.clone(),
            metrics: BTreeMap::new(),
            checks: Vec::new(),
            model: None,
            made_at: UtcTime::from_millis(0),
        };
        cache.entries.insert(commit.cache_key.expect("a key"), entry);
        facts.insert(name.clone(), facts_of_run(&record, release, &commits, name, None).expect("it ran"));
    }
    (cache, facts)
}

const INPUTS: &[(&str, &str, &str)] = &[("train", "data", "fetch.raw"), ("check", "model", "train.model")];

fn next_run(release: &Release, cache: &Cache, last: &BTreeMap<StepName, KeyFacts>, now: i64) -> String {
    let (packages, models, params): (BTreeMap<Digest, PackageSpec>, _, _) =
        (BTreeMap::new(), BTreeMap::new(), default_params(release));
    let now = UtcTime::from_millis(now);
    let input =
        ForecastInput { release, packages: &packages, params: &params, models: &models, last, now, scheduled: None };
    let forecasts = forecast(&input, cache);
    let lines = forecasts.iter().map(|(step, forecast)| match forecast {
        StepForecast::Cached => format!("{step}: cached"),
        StepForecast::Depends(on) => format!("{step}: depends on {on}"),
        StepForecast::Runs(reason) => format!("{step}: runs, {reason:?}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_forecast_names_the_first_cause_and_what_depends_on_it() {
    let before = chain();
    let (cache, last) = ran(&before, INPUTS);
    insta::assert_snapshot!(next_run(&before, &Cache::default(), &BTreeMap::new(), 0), @"
    check: depends on train
    fetch: runs, NeverRan
    train: depends on fetch
    ");
    insta::assert_snapshot!(next_run(&before, &cache, &last, 0), @"
    check: cached
    fetch: cached
    train: cached
    ");
    let mut after = chain();
    after.params.insert(field("seed"), param(43));
    train(&mut after).timeout_seconds = 1;
    insta::assert_snapshot!(next_run(&after, &cache, &last, 0), @r#"
    check: depends on train
    fetch: cached
    train: runs, Changed { what: "params.seed", before: Some("42"), after: Some("43") }
    "#);
    let mut after = chain();
    train(&mut after).cache = CachePolicy::MaxAge(60);
    insta::assert_snapshot!(next_run(&after, &cache, &last, 61_000), @"
    check: depends on train
    fetch: cached
    train: runs, Expired
    ");
    let gone = Cache { gone: BTreeSet::from([digest("fetch.raw")]), ..ran(&before, INPUTS).0 };
    insta::assert_snapshot!(next_run(&before, &gone, &last, 0), @"
    check: depends on train
    fetch: runs, Expired
    train: depends on fetch
    ");
    let mut after = chain();
    after.steps.get_mut("fetch").expect("it is there").cache = CachePolicy::Off;
    train(&mut after).env.insert("TZ".to_owned(), template("UTC"));
    after.steps.get_mut("check").expect("it is there").finally = true;
    insta::assert_snapshot!(next_run(&after, &cache, &last, 0), @r#"
    check: runs, Finally
    fetch: runs, CacheOff
    train: runs, Changed { what: "env.TZ", before: None, after: Some("UTC") }
    "#);
}

#[test]
fn equal_facts_have_no_difference() {
    let (_, facts) = ran(&chain(), INPUTS);
    for fact in facts.values() {
        assert_eq!(first_difference(fact, fact), None);
    }
}

#[test]
fn a_release_knows_its_revision() {
    let release = chain();
    assert_eq!(Revised::from(release.clone()).revision, release.revision());
}
