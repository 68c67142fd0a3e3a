use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_infra::apply::ApplyError;
use liminal_infra::apply::history::history;
use liminal_infra::ports::Objects as _;
use liminal_infra::state::Pushed;
use liminal_infra::state::push;
use liminal_schemas::keys;
use liminal_schemas::name::RunId;
use liminal_schemas::plan::Operation;
use liminal_schemas::plan::PlanPurpose;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunCache;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::SourceVersion;
use liminal_schemas::state::ResourceKind;
use liminal_schemas::time::UtcTime;
use proptest::prelude::*;

use crate::fixture::Aws;
use crate::fixture::Project;
use crate::fixture::World;
use crate::fixture::block_on;
use crate::fixture::environment;
use crate::fixture::pipeline;

fn shop() -> Project {
    let mut project = Project::new(&[("train", &[("fetch", "f1"), ("fit", "t1")]), ("score", &[("load", "l1")])]);
    project.requirements = Some("numpy==2.3.0\n".to_owned());
    project
}

/// What an environment holds, but for what tells when and how it came to be so: times, and log groups, which stay as data.
pub(crate) fn essence(world: &World) -> BTreeMap<String, Vec<u8>> {
    let mut objects = world.objects.contents();
    objects.retain(|key, _| !key.starts_with("state/") && !key.starts_with("cloud/logs/"));
    for (key, bytes) in &mut objects {
        if key.starts_with(keys::LIVE_PREFIX) {
            let mut pointer: serde_json::Value = serde_json::from_slice(bytes).expect("JSON");
            pointer["moved_at"] = serde_json::Value::Null;
            *bytes = pointer.to_string().into_bytes();
        }
    }
    let state = block_on(world.state()).expect("a state").state;
    let (logs, others): (Vec<_>, Vec<_>) =
        state.resources.keys().partition(|address| address.kind == ResourceKind::Logs);
    for log_group in logs.into_iter().filter_map(|address| state.resources[address].resource.as_ref()) {
        let key = format!("cloud/logs/{}", log_group.spec.name());
        assert!(world.objects.contents().contains_key(&key), "{key} is recorded and not there");
    }
    let resources: Vec<String> = others.into_iter().map(ToString::to_string).collect();
    let essence = serde_json::to_vec(&(&state.pipelines, &resources, &state.journal)).expect("JSON");
    objects.insert("state".to_owned(), essence);
    objects
}

/// The keys of objects that only one side has, or that differ.
fn differing(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    keys.into_iter().filter(|key| one.get(*key) != other.get(*key)).cloned().collect()
}

#[test]
fn an_apply_followed_by_a_plan_is_empty() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        let first = world.plan(&project).await.expect("a plan");
        assert!(first.has_changes);
        let report = world.apply(&project, &first).await.expect("an apply");
        assert_eq!(report.operations, first.operations.len());
        let edits: [&dyn Fn(&mut Project); 6] = [
            &|_| {},
            &|project| {
                project.edit("train", "fit", "t2").edit("score", "load", "l2");
            },
            &|project| drop(project.pipelines.remove("score")),
            &|project| project.requirements = Some("numpy==2.4.0\n".to_owned()),
            &|project| project.keep = 0,
            &|project| project.requirements = None,
        ];
        for edit in edits {
            edit(&mut project);
            world.deploy(&project).await;
            let again = world.plan(&project).await.expect("a plan");
            assert_eq!((again.has_changes, again.operations), (false, Vec::new()));
        }
        let kept: Vec<String> =
            world.objects.contents().into_keys().filter(|key| key.starts_with("packages/")).collect();
        assert_eq!(kept.len(), 4, "with keep: 0 only the live packages stay: {kept:?}");
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plans_are_deterministic_and_empty_after_their_apply(
        edits in prop::collection::vec((0..3_usize, 0..3_usize, 0..3_u8, 0..4_u8, 0..3_usize), 1..8),
        in_the_cloud in any::<bool>(),
    ) {
        block_on(async {
            let (world, mut project) = (World::new(), shop());
            project.aws = in_the_cloud.then(Aws::default);
            for (place, at, version, kind, keep) in edits {
                let name = ["train", "score", "extra"][place];
                let step = ["fetch", "fit", "load"][at];
                match kind {
                    0 if project.pipelines.len() > 1 => { project.pipelines.remove(name); }
                    1 => project.requirements = Some(format!("numpy=={version}\n")),
                    2 => project.keep = keep,
                    _ => { project.edit(name, step, &format!("v{version}")); }
                }
                let plan = world.plan(&project).await.expect("a plan");
                let same = world.plan(&project).await.expect("a plan");
                prop_assert_eq!(serde_json::to_vec(&plan).expect("JSON"), serde_json::to_vec(&same).expect("JSON"));
                let text = serde_json::to_vec(&plan).expect("JSON");
                prop_assert_eq!(&serde_json::from_slice::<liminal_schemas::plan::Plan>(&text).expect("JSON"), &plan);
                world.apply(&project, &plan).await.expect("an apply");
                let again = world.plan(&project).await.expect("a plan");
                prop_assert_eq!((again.has_changes, again.operations), (false, Vec::new()));
            }
            Ok(())
        })?;
    }
}

/// Edits: of a step, by pipeline and step, or of the requirements file; each with its version.
type Edits = Vec<(Option<(usize, usize)>, u8)>;

/// Sets of edits that do not meet, each in two orders: a step has at most one, and so has the requirements file.
fn two_orders() -> impl Strategy<Value = (Edits, Edits)> {
    let place = prop::option::weighted(0.9, (0..3_usize, 0..3_usize));
    let edits = prop::collection::btree_map(place, 0..4_u8, 1..8);
    edits.prop_flat_map(|edits| {
        let edits: Edits = edits.into_iter().collect();
        (Just(edits.clone()).prop_shuffle(), Just(edits).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_edits_in_two_orders_lead_to_the_same_releases_resources_and_objects(
        (one, other) in two_orders(),
        in_the_cloud in any::<bool>(),
    ) {
        let ends = [one, other].map(|edits| {
            let mut project = shop();
            (project.keep, project.aws) = (0, in_the_cloud.then(Aws::default));
            let world = World::new();
            block_on(world.deploy(&project));
            for (place, version) in edits {
                match place {
                    Some((pipeline, step)) => {
                        let (pipeline, step) = (["train", "score", "extra"][pipeline], ["fetch", "fit", "load"][step]);
                        project.edit(pipeline, step, &format!("v{version}"));
                    }
                    None => project.requirements = Some(format!("numpy=={version}\n")),
                }
                block_on(world.deploy(&project));
            }
            essence(&world)
        });
        prop_assert_eq!(differing(&ends[0], &ends[1]), Vec::<String>::new());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// However many applies died on the way, what is deployed in the end depends on the last definition alone.
    #[test]
    fn any_history_of_deaths_ends_as_if_there_had_been_none(
        steps in prop::collection::vec((0..3_usize, 0..3_u8, 0..3_u8, 0..30_usize), 1..6),
        in_the_cloud in any::<bool>(),
    ) {
        let mut project = shop();
        (project.keep, project.aws) = (0, in_the_cloud.then(Aws::default));
        let world = World::new();
        for (place, version, kind, effects) in steps {
            let name = ["train", "score", "extra"][place];
            match kind {
                0 if project.pipelines.len() > 1 => { project.pipelines.remove(name); }
                1 => project.requirements = Some(format!("numpy=={version}\n")),
                _ => { project.edit(name, "fit", &format!("v{version}")); }
            }
            block_on(async {
                let plan = world.plan(&project).await.expect("a plan");
                world.objects.fail_after(effects);
                let _ = world.apply(&project, &plan).await;
                world.objects.heal();
            });
        }
        block_on(world.deploy(&project));
        let undisturbed = World::new();
        block_on(undisturbed.deploy(&project));
        prop_assert_eq!(differing(&essence(&world), &essence(&undisturbed)), Vec::<String>::new());
        prop_assert!(!block_on(world.plan(&project)).expect("a plan").has_changes);
    }
}

#[test]
fn a_death_at_any_effect_leads_to_the_same_end() {
    let (mut before, mut after) = (shop(), shop());
    before.edit("old", "step", "o1");
    before.keep = 0;
    after.keep = 0;
    after.edit("train", "fit", "t2").edit("new", "step", "n1");
    let undisturbed = World::new();
    block_on(async {
        undisturbed.deploy(&before).await;
        undisturbed.deploy(&after).await;
    });
    for effects in 0.. {
        let world = World::new();
        let died = block_on(async {
            world.deploy(&before).await;
            let plan = world.plan(&after).await.expect("a plan");
            world.objects.fail_after(effects);
            let outcome = world.apply_as(1, &after, &plan, false).await;
            world.objects.heal();
            let mut rounds = 0;
            while world.plan(&after).await.expect("a plan").has_changes {
                world.deploy(&after).await;
                rounds += 1;
                assert!(rounds <= 2, "one more apply finishes what a killed one left, at {effects}");
            }
            outcome.is_err()
        });
        assert_eq!(essence(&world), essence(&undisturbed), "died after {effects} effects");
        if !died {
            assert!(effects > 10, "the apply had effects to die at");
            return;
        }
    }
}

#[test]
fn of_two_applies_of_one_plan_exactly_one_wins() {
    block_on(async {
        let (world, project) = (World::new(), shop());
        let plan = world.plan(&project).await.expect("a plan");
        let (one, other) =
            tokio::join!(world.apply_as(1, &project, &plan, false), world.apply_as(2, &project, &plan, false),);
        assert_eq!([&one, &other].iter().filter(|outcome| outcome.is_ok()).count(), 1, "{one:?} {other:?}");
        assert_eq!(world.live("train").await, Some(project.revision("train")));
        let again = world.plan(&project).await.expect("a plan");
        assert!(!again.has_changes, "{:?}", again.operations);
    });
}

#[test]
fn a_refused_state_is_spilled_and_can_be_pushed() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        world.deploy(&project).await;
        project.edit("train", "fit", "t2");
        let plan = world.plan(&project).await.expect("a plan");
        // The lock and the journal are written, then the store takes no state any more.
        let clean = world.objects.effects();
        world.objects.fail_after(2 + 2);
        let error = world.apply(&project, &plan).await.expect_err("the store refuses");
        assert!(world.objects.effects() > clean);
        let ApplyError::Spilled { spill, .. } = &error else { panic!("{error}") };
        assert!(error.to_string().contains("liminal state push"), "{error}");
        world.objects.heal();
        let spilled = std::fs::read(spill).expect("a spilled state");
        assert_eq!(push(&world.objects, &environment(), &spilled).await.expect("pushed"), Pushed::Written);
        assert_eq!(push(&world.objects, &environment(), &spilled).await.expect("pushed"), Pushed::Unchanged);
        world.deploy(&project).await;
        assert!(!world.plan(&project).await.expect("a plan").has_changes);
    });
}

#[test]
fn a_plan_is_refused_when_its_base_has_moved() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        let stale = world.plan(&project).await.expect("a plan");
        world.deploy(&project).await;
        let error = world.apply(&project, &stale).await.expect_err("stale");
        assert!(matches!(error, ApplyError::Stale(_)), "{error}");

        project.edit("train", "fit", "t2");
        let stale = world.plan(&project).await.expect("a plan");
        project.edit("train", "fit", "t3");
        world.deploy(&project).await;
        let error = world.apply(&project, &stale).await.expect_err("stale");
        assert_eq!(error.to_string(), "the plan is stale: the state was at serial 3 and is at 6; make a new one");
        assert_eq!(world.live("train").await, Some(project.revision("train")), "nothing was changed");
    });
}

#[test]
fn a_rollback_moves_the_pointer_and_a_second_one_moves_it_back() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        let mut revisions = Vec::new();
        for code in ["t1", "t2", "t3"] {
            project.edit("train", "fit", code);
            world.deploy(&project).await;
            revisions.push(project.revision("train"));
        }
        let plan = world.plan_rollback(&project, "train", None).await.expect("a plan");
        assert_eq!(plan.purpose, PlanPurpose::Rollback);
        assert_eq!(plan.operations.len(), 1, "one pointer moves: {:?}", plan.operations);
        world.apply(&project, &plan).await.expect("a rollback");
        assert_eq!(world.live("train").await, Some(revisions[1]));
        assert_eq!(world.retired("train").await, [revisions[2], revisions[0]]);

        let plan = world.plan_rollback(&project, "train", Some(revisions[0])).await.expect("a plan");
        world.apply(&project, &plan).await.expect("a rollback");
        assert_eq!(world.retired("train").await, [revisions[1], revisions[2]]);
        world.deploy(&project).await;
        assert_eq!(world.live("train").await, Some(revisions[2]), "the next apply goes back to the definition");

        let entries = history(&world.objects, &environment(), 3).await.expect("a history");
        let commands: Vec<&str> = entries.iter().map(|entry| entry.command.as_str()).collect();
        assert_eq!(commands, ["apply", "rollback", "rollback"]);
        assert_eq!(entries[1].pipelines, BTreeMap::from([(pipeline("train"), Some(revisions[0]))]));
    });
}

#[test]
fn what_an_interrupted_apply_made_is_collected_even_after_a_rollback() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        world.deploy(&project).await;
        project.edit("train", "fit", "t2");
        world.deploy(&project).await;
        let second = project.clone();
        project.edit("train", "fit", "t3");
        let plan = world.plan(&project).await.expect("a plan");
        // Lock, journal, and the new package: then it dies.
        world.objects.fail_after(4);
        world.apply(&project, &plan).await.expect_err("it died");
        world.objects.heal();
        let orphan = plan.documents.packages.keys().next().expect("a new package");
        assert!(world.objects.contents().contains_key(&keys::package(orphan)));
        let back = world.plan_rollback(&project, "train", None).await.expect("a plan");
        world.apply(&project, &back).await.expect("a rollback");
        world.deploy(&second).await;
        assert!(!world.objects.contents().contains_key(&keys::package(orphan)));
        assert!(!world.plan(&second).await.expect("a plan").has_changes);
    });
}

pub(crate) fn start_run(world: &World, project: &Project, name: &str) {
    let run = RunId::new("20261124-000000-aaaa").expect("valid");
    let record = RunRecord {
        schema: RUN_SCHEMA,
        run: run.clone(),
        pipeline: pipeline(name),
        revision: project.revision(name),
        params: BTreeMap::new(),
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
    world.objects.overwrite(&keys::run(&pipeline(name), &run), &serde_json::to_vec(&record).expect("JSON"));
}

#[test]
fn a_release_stays_as_long_as_a_run_refers_to_it() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        project.keep = 0;
        world.deploy(&project).await;
        let first = project.clone();
        start_run(&world, &project, "train");
        project.edit("train", "fit", "t2");
        world.deploy(&project).await;
        let contents = world.objects.contents();
        assert!(contents.contains_key(&keys::release(&pipeline("train"), &first.revision("train"))));
        for package in first.desired().releases["train"].release.steps.values().filter_map(|step| step.package) {
            assert!(contents.contains_key(&keys::package(&package)), "the run's code stays");
        }
        let run = RunId::new("20261124-000000-aaaa").expect("valid");
        world.objects.overwrite(&keys::result(&pipeline("train"), &run), b"{}");
        let plan = world.plan(&project).await.expect("a plan");
        assert!(!plan.has_changes, "a run that has ended still refers to its release");
        world.objects.delete(&keys::run(&pipeline("train"), &run)).await.expect("the store works");
        let plan = world.plan(&project).await.expect("a plan");
        assert!(plan.operations.iter().any(|operation| matches!(operation, Operation::DeleteRelease { .. })));
        world.apply(&project, &plan).await.expect("an apply");
        assert!(!world.plan(&project).await.expect("a plan").has_changes);
        assert!(!world.objects.contents().contains_key(&keys::release(&pipeline("train"), &first.revision("train"))));
    });
}

#[test]
fn a_run_that_starts_between_plan_and_apply_keeps_its_release() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        project.keep = 0;
        world.deploy(&project).await;
        let first = project.clone();
        project.edit("train", "fit", "t2");
        let plan = world.plan(&project).await.expect("a plan");
        start_run(&world, &first, "train");
        let report = world.apply(&project, &plan).await.expect("an apply");
        assert!(!report.skipped.is_empty());
        let contents = world.objects.contents();
        assert!(contents.contains_key(&keys::release(&pipeline("train"), &first.revision("train"))));
        for package in first.desired().packages.keys() {
            assert!(contents.contains_key(&keys::package(package)));
        }
    });
}

#[test]
fn destroy_keeps_data_unless_told_otherwise() {
    block_on(async {
        let (world, project) = (World::new(), shop());
        world.deploy(&project).await;
        world.objects.overwrite("artifacts/aa/aabb", b"data");
        world.objects.overwrite("cache/aabb.json", b"{}");
        let plan = world.plan_destroy(&project).await;
        world.apply(&project, &plan).await.expect("a destroy");
        let left: Vec<String> = world.objects.contents().into_keys().filter(|key| !key.starts_with("state/")).collect();
        assert_eq!(left, ["artifacts/aa/aabb", "cache/aabb.json"]);
        assert!(!world.plan_destroy(&project).await.has_changes);

        let plan = world.plan_destroy(&project).await;
        let report = world.apply_as(1, &project, &plan, true).await.expect("a destroy");
        assert_eq!(report.deleted_objects, 2);
        world.deploy(&project).await;
        assert_eq!(world.live("train").await, Some(project.revision("train")), "it can be applied again");
    });
}

#[test]
fn an_apply_that_is_asked_to_stop_is_finished_by_the_next() {
    let undisturbed = World::new();
    block_on(undisturbed.deploy(&shop()));
    for after in 0..12 {
        let world = World::new();
        block_on(async {
            let project = shop();
            let plan = world.plan(&project).await.expect("a plan");
            let asked = std::sync::atomic::AtomicUsize::new(0);
            let stop = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= after;
            let error = world.apply_until(1, &project, &plan, false, &stop).await.expect_err("stopped");
            let ApplyError::Stopped { done, operations } = error else { panic!("{error}") };
            assert!(done <= after && operations == plan.operations.len());
            let open = world.state().await.expect("a state").state.journal.expect("a journal").open;
            assert_eq!(open.len(), operations - done, "the journal says what is left");
            let next = world.plan(&project).await.expect("a plan");
            assert!(next.notes.iter().any(|note| note.contains("was interrupted")), "{:?}", next.notes);
            world.apply(&project, &next).await.expect("an apply");
        });
        assert_eq!(essence(&world), essence(&undisturbed), "stopped after {after}");
    }
}

#[test]
fn what_drifted_is_put_right_and_named() {
    block_on(async {
        let (world, project) = (World::new(), shop());
        world.deploy(&project).await;
        let undisturbed = {
            let world = World::new();
            world.deploy(&project).await;
            world
        };
        let package = *project.desired().packages.keys().next().expect("a package");
        world.objects.delete(&keys::package(&package)).await.expect("deleted");
        world.objects.delete(&keys::live(&pipeline("score"))).await.expect("deleted");
        world.objects.delete(&keys::release(&pipeline("train"), &project.revision("train"))).await.expect("deleted");
        let plan = world.plan(&project).await.expect("a plan");
        assert_eq!(plan.notes.len(), 3, "{:?}", plan.notes);
        world.apply(&project, &plan).await.expect("an apply");
        assert!(!world.plan(&project).await.expect("a plan").has_changes);
        let (one, other) = (world.objects.contents(), undisturbed.objects.contents());
        assert_eq!(
            one.keys().filter(|key| !key.contains("history")).collect::<Vec<_>>(),
            other.keys().filter(|key| !key.contains("history")).collect::<Vec<_>>()
        );
    });
}

#[test]
fn a_lost_state_is_rebuilt_from_what_is_there() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        world.deploy(&project).await;
        let first = project.revision("train");
        project.edit("train", "fit", "t2");
        world.deploy(&project).await;
        world.objects.delete(&keys::state(&environment())).await.expect("deleted");
        let plan = world.plan(&project).await.expect("a plan");
        assert!(plan.notes.iter().any(|note| note.contains("only to be recorded")), "{:?}", plan.notes);
        world.apply(&project, &plan).await.expect("an apply");
        assert_eq!(world.live("train").await, Some(project.revision("train")));
        assert_eq!(world.retired("train").await, [first], "what can be rolled back to is found again");
        let entries = history(&world.objects, &environment(), usize::MAX).await.expect("a history");
        assert_eq!(entries.len(), 3, "the history goes on");
        assert!(!world.plan(&project).await.expect("a plan").has_changes);
    });
}
