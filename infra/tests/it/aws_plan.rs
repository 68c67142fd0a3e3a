//! Plans and applies of an environment in the cloud, on a cloud in memory.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_infra::memory::CLOUD_PREFIX;
use liminal_infra::ports::Objects as _;
use liminal_schemas::keys;
use liminal_schemas::name::RunId;
use liminal_schemas::plan::ChangeAction;
use liminal_schemas::plan::Operation;
use liminal_schemas::plan::Plan;
use liminal_schemas::state::ResourceKind;
use liminal_schemas::step::Compute;
use liminal_schemas::trigger::Trigger;
use liminal_schemas::trigger::TriggerSource;

use crate::apply::essence;
use crate::apply::start_run;
use crate::fixture::Aws;
use crate::fixture::Project;
use crate::fixture::World;
use crate::fixture::block_on;
use crate::fixture::pipeline;

/// Two steps on Lambda and one on Fargate, a schedule, and objects that start runs.
fn shop() -> Project {
    let mut project = Project::new(&[("train", &[("fetch", "f1"), ("fit", "t1")]), ("score", &[("load", "l1")])]);
    project.requirements = Some("numpy==2.3.0\n".to_owned());
    project.aws = Some(Aws::default());
    let steps = project.pipelines.get_mut("train").expect("it is there");
    steps.insert("fit".to_owned(), ("t1".to_owned(), 7200));
    project.triggers.insert("score".to_owned(), vec![schedule("rate(1 hour)"), objects("in/")]);
    project
}

fn schedule(expression: &str) -> Trigger {
    let on = TriggerSource::Schedule { expression: expression.to_owned(), timezone: "UTC".to_owned() };
    Trigger { on, params: BTreeMap::new() }
}

fn objects(prefix: &str) -> Trigger {
    let on = TriggerSource::Object { bucket: None, prefix: prefix.to_owned(), suffix: String::new() };
    Trigger { on, params: BTreeMap::new() }
}

/// How many resources of each kind a plan makes and removes: `+2 function`.
fn kinds(plan: &Plan) -> String {
    let mut counts: BTreeMap<(&str, ResourceKind), usize> = BTreeMap::new();
    for operation in &plan.operations {
        let counted = match operation {
            Operation::CreateResource { address } => ("+", address.kind),
            Operation::DeleteResource { address } => ("-", address.kind),
            Operation::WriteRelease { .. }
            | Operation::MoveLive { .. }
            | Operation::RemoveLive { .. }
            | Operation::StartCanary { .. }
            | Operation::EndCanary { .. }
            | Operation::DeleteRelease { .. } => continue,
        };
        *counts.entry(counted).or_default() += 1;
    }
    let texts = counts.iter().map(|((sign, kind), count)| format!("{sign}{count} {}", kind.as_str()));
    texts.collect::<Vec<_>>().join(", ")
}

fn cloud(world: &World) -> BTreeSet<String> {
    world.objects.contents().into_keys().filter_map(|key| Some(key.strip_prefix(CLOUD_PREFIX)?.to_owned())).collect()
}

async fn assert_empty(world: &World, project: &Project) {
    let again = world.plan(project).await.expect("a plan");
    assert_eq!((again.has_changes, again.operations, again.notes), (false, Vec::new(), Vec::new()));
    assert!(again.permissions.is_empty() && again.placements.is_empty());
}

#[test]
fn a_first_plan_makes_everything_and_says_where_steps_run_and_what_they_may_do() {
    block_on(async {
        let (world, project) = (World::new(), shop());
        let plan = world.plan(&project).await.expect("a plan");
        insta::assert_snapshot!(kinds(&plan), @"+3 package, +4 bundle, +7 role, +4 logs, +4 queue, +4 function, +1 task, +4 mapping, +2 schedule, +1 notification, +1 rule");
        let placements: Vec<String> = plan
            .placements
            .iter()
            .map(|it| format!("{}/{} {}: {}", it.pipeline, it.step, it.compute.as_str(), it.reason))
            .collect();
        insta::assert_snapshot!(placements.join("\n"), @"
        score/load lambda: it is within all limits of Lambda
        train/fetch lambda: it is within all limits of Lambda
        train/fit fargate: its attempts may take 2h, and Lambda takes 15m
        ");
        let subjects: Vec<&str> = plan.permissions.iter().map(|change| change.subject.as_str()).collect();
        insta::assert_snapshot!(subjects.join(", "), @"scheduler, score/load, starter, train/fetch, train/fit (dispatch), train/fit (execution), train/fit (task)");
        assert!(plan.permissions.iter().all(|change| change.action == ChangeAction::Create && change.lost.is_empty()));
        let created = plan.operations.iter().filter(|it| matches!(it, Operation::CreateResource { .. })).count();
        let packages = plan.documents.packages.len();
        assert_eq!(plan.documents.resources.len(), created - packages, "every cloud resource has its document");
        let report = world.apply(&project, &plan).await.expect("an apply");
        assert_eq!(report.operations, plan.operations.len());
        assert_empty(&world, &project).await;
    });
}

#[test]
fn what_starts_runs_is_made_when_all_else_is_live() {
    block_on(async {
        let plan = World::new().plan(&shop()).await.expect("a plan");
        let is_trigger = |operation: &Operation| match operation {
            Operation::CreateResource { address } => {
                matches!(address.kind, ResourceKind::Schedule | ResourceKind::Notification | ResourceKind::Rule)
            }
            Operation::WriteRelease { .. }
            | Operation::MoveLive { .. }
            | Operation::RemoveLive { .. }
            | Operation::StartCanary { .. }
            | Operation::EndCanary { .. }
            | Operation::DeleteRelease { .. }
            | Operation::DeleteResource { .. } => false,
        };
        let moved = plan.operations.iter().position(|it| matches!(it, Operation::MoveLive { .. })).expect("a move");
        let first = plan.operations.iter().position(is_trigger).expect("a trigger");
        assert!(first > moved);
    });
}

#[test]
fn a_change_of_code_replaces_what_runs_it_and_keeps_the_role() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        world.deploy(&project).await;
        let before = cloud(&world);
        project.edit("train", "fetch", "f2");
        let plan = world.plan(&project).await.expect("a plan");
        assert_eq!(kinds(&plan), "+1 package, +1 bundle, +1 queue, +1 function, +1 mapping");
        assert!(plan.permissions.is_empty(), "{:?}", plan.permissions);
        assert_eq!(plan.placements.len(), 1);
        assert!(plan.notes.is_empty(), "{:?}", plan.notes);
        world.apply(&project, &plan).await.expect("an apply");
        assert!(cloud(&world).is_superset(&before), "the release before can be rolled back to");
        assert_empty(&world, &project).await;
    });
}

#[test]
fn a_change_of_what_the_runner_alone_reads_replaces_the_queue_and_keeps_the_function() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        project.keep = 0;
        world.deploy(&project).await;
        project.pipelines.get_mut("train").expect("it is there").insert("fit".to_owned(), ("t1".to_owned(), 7300));
        let plan = world.plan(&project).await.expect("a plan");
        assert_eq!(kinds(&plan), "+1 queue, +1 mapping, -1 queue, -1 mapping");
        world.apply(&project, &plan).await.expect("an apply");
        assert_empty(&world, &project).await;
    });
}

#[test]
fn a_newer_runner_is_a_reason_of_its_own_and_changes_no_step() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        world.deploy(&project).await;
        let (before, state) = (cloud(&world), world.state().await.expect("a state").state);
        project.aws.as_mut().expect("a cloud").runner = "r2".to_owned();
        let plan = world.plan(&project).await.expect("a plan");
        assert!(plan.has_changes && plan.pipelines.is_empty(), "{:?}", plan.pipelines);
        assert_eq!(kinds(&plan), "+3 bundle, +4 function, +4 mapping, -3 bundle, -4 function, -4 mapping");
        insta::assert_snapshot!(plan.notes.join("\n"), @"runner 82f3e9c6 → db77fd01: 4 functions are made again; `--keep-runner` puts it off");
        assert!(plan.permissions.is_empty());
        world.apply(&project, &plan).await.expect("an apply");
        assert_eq!(cloud(&world).len(), before.len());
        assert_empty(&world, &project).await;
        let runner = liminal_infra::plan::recorded_runner(&state);
        assert_eq!(runner, Some(liminal_schemas::digest::Digest::of_bytes(b"r1")), "what --keep-runner keeps");
    });
}

#[test]
fn a_rollback_moves_one_pointer_and_everything_it_needs_is_there() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        world.deploy(&project).await;
        let first = project.revision("train");
        // The same timeout as before: the step stays where it runs.
        project.pipelines.get_mut("train").expect("it is there").insert("fit".to_owned(), ("t2".to_owned(), 7200));
        world.deploy(&project).await;
        let before = cloud(&world);
        let plan = world.plan_rollback(&project, "train", None).await.expect("a plan");
        assert_eq!(plan.operations.len(), 1, "{:?}", plan.operations);
        assert!(plan.permissions.is_empty(), "{:?}", plan.permissions);
        world.apply(&project, &plan).await.expect("a rollback");
        assert_eq!((world.live("train").await, cloud(&world)), (Some(first), before));
        world.deploy(&project).await;
        assert_empty(&world, &project).await;
    });
}

#[test]
fn a_rollback_brings_back_what_started_runs_then() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        let first = project.clone();
        world.deploy(&project).await;
        let before = cloud(&world);
        project.triggers.insert("score".to_owned(), vec![schedule("rate(2 hours)"), objects("other/")]);
        let plan = world.plan(&project).await.expect("a plan");
        assert_eq!(
            kinds(&plan),
            "+1 role, +1 function, +1 mapping, +1 schedule, +1 notification, -1 role, -1 function, -1 mapping, -1 schedule"
        );
        world.apply(&project, &plan).await.expect("an apply");
        assert_empty(&world, &project).await;
        let back = world.plan_rollback(&project, "score", None).await.expect("a plan");
        world.apply(&project, &back).await.expect("a rollback");
        assert_eq!(cloud(&world), before, "one schedule, one notification, and a starter that may read what it names");
        assert_empty(&world, &first).await;
    });
}

#[test]
fn what_was_collected_can_not_be_rolled_back_to() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        world.deploy(&project).await;
        project.edit("train", "fit", "t2");
        world.deploy(&project).await;
        let mut state = world.state().await.expect("a state").state;
        state.resources.retain(|address, _| address.kind != ResourceKind::Mapping);
        let bytes = serde_json::to_vec(&state).expect("JSON");
        world.objects.overwrite(&keys::state(&crate::fixture::environment()), &bytes);
        let error = world.plan_rollback(&project, "train", None).await.expect_err("refused");
        assert!(error.to_string().contains("nothing left that carries out fetch, fit"), "{error}");
    });
}

#[test]
fn what_a_retired_release_needs_goes_when_it_goes_unless_a_run_is_open() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        project.keep = 0;
        world.deploy(&project).await;
        let (first, before) = (project.clone(), cloud(&world));
        let run = RunId::new("20261124-000000-aaaa").expect("valid");
        start_run(&world, &first, "train");
        world.objects.overwrite(&keys::open_run(&pipeline("train"), &run), b"");
        project.edit("train", "fetch", "f2");
        world.deploy(&project).await;
        assert!(cloud(&world).is_superset(&before), "the run goes on");

        // It ended: its records stay, and so do its release and packages, but nothing carries it out any more.
        world.objects.overwrite(&keys::result(&pipeline("train"), &run), b"{}");
        project.edit("score", "load", "l2");
        world.deploy(&project).await;
        let gone: Vec<String> = before.difference(&cloud(&world)).cloned().collect();
        let kinds: Vec<&str> = gone.iter().filter_map(|key| Some(key.split_once('/')?.0)).collect();
        assert_eq!(kinds.join(", "), "bundle, bundle, function, function, mapping, mapping, queue, queue");
        let contents = world.objects.contents();
        assert!(contents.contains_key(&keys::release(&pipeline("train"), &first.revision("train"))));
        assert_empty(&world, &project).await;
    });
}

#[test]
fn a_run_that_starts_between_plan_and_apply_keeps_what_carries_it_out() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        project.keep = 0;
        world.deploy(&project).await;
        let (first, before) = (project.clone(), cloud(&world));
        // The release stays anyway, for the records of an earlier run.
        start_run(&world, &first, "train");
        project.edit("train", "fetch", "f2");
        let plan = world.plan(&project).await.expect("a plan");
        let run = RunId::new("20261124-000000-aaaa").expect("valid");
        world.objects.overwrite(&keys::open_run(&pipeline("train"), &run), b"");
        let report = world.apply(&project, &plan).await.expect("an apply");
        assert!(!report.skipped.is_empty());
        assert!(cloud(&world).is_superset(&before));
    });
}

#[test]
fn logs_stay_when_their_step_goes_and_keep_their_name_when_they_are_kept_longer() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        project.keep = 0;
        world.deploy(&project).await;
        project.aws.as_mut().expect("a cloud").spec.log_retention_days = 90;
        let plan = world.plan(&project).await.expect("a plan");
        assert_eq!(kinds(&plan), "+4 logs");
        world.apply(&project, &plan).await.expect("an apply");
        assert_empty(&world, &project).await;
        project.pipelines.remove("train");
        world.deploy(&project).await;
        let left: Vec<String> = cloud(&world).into_iter().filter(|key| key.contains("/train/")).collect();
        assert_eq!(left, ["logs//liminal/shop/local/train/fetch", "logs//liminal/shop/local/train/fit"]);
        assert_empty(&world, &project).await;
    });
}

#[test]
fn destroy_leaves_logs_and_says_so_unless_data_is_deleted() {
    block_on(async {
        let (world, project) = (World::new(), shop());
        world.deploy(&project).await;
        let plan = world.plan_destroy(&project).await;
        assert_eq!(plan.notes, ["4 log groups stay, since they hold data"]);
        world.apply(&project, &plan).await.expect("a destroy");
        assert!(cloud(&world).iter().all(|key| key.starts_with("logs/")), "{:?}", cloud(&world));
        assert!(!world.plan_destroy(&project).await.has_changes);
        let plan = world.plan_destroy_of(&project, true).await;
        world.apply_as(1, &project, &plan, true).await.expect("a destroy");
        assert_eq!(cloud(&world), BTreeSet::new());
        world.deploy(&project).await;
        assert_empty(&world, &project).await;
    });
}

#[test]
fn destroy_keeps_what_carries_out_a_run_that_is_open() {
    block_on(async {
        let (world, project) = (World::new(), shop());
        world.deploy(&project).await;
        let run = RunId::new("20261124-000000-aaaa").expect("valid");
        start_run(&world, &project, "score");
        world.objects.overwrite(&keys::open_run(&pipeline("score"), &run), b"");
        let plan = world.plan_destroy(&project).await;
        assert!(plan.notes.iter().any(|note| note.contains("cancel these")), "{:?}", plan.notes);
        world.apply(&project, &plan).await.expect("a destroy");
        assert!(cloud(&world).iter().any(|key| key.starts_with("function/liminal-shop-local-score-load-")));
        assert!(!cloud(&world).iter().any(|key| key.starts_with("function/liminal-shop-local-train")));
        world.objects.delete(&keys::open_run(&pipeline("score"), &run)).await.expect("deleted");
        let plan = world.plan_destroy(&project).await;
        world.apply(&project, &plan).await.expect("a destroy");
        assert!(cloud(&world).iter().all(|key| key.starts_with("logs/")));
    });
}

#[test]
fn what_drifted_in_the_cloud_is_put_right_and_named() {
    block_on(async {
        let (world, project) = (World::new(), shop());
        world.deploy(&project).await;
        let undisturbed = world.objects.contents();
        let of = |start: &str| {
            let key = cloud(&world).into_iter().find(|key| key.starts_with(start)).expect("it is there");
            format!("{CLOUD_PREFIX}{key}")
        };
        world.objects.delete(&of("function/liminal-shop-local-score-load")).await.expect("deleted");
        world.objects.overwrite(&of("queue/liminal-shop-local-train-fetch"), b"somebody changed it");
        let plan = world.plan(&project).await.expect("a plan");
        assert_eq!(kinds(&plan), "+1 queue, +1 function");
        assert!(plan.notes.iter().all(|note| note.ends_with("is gone or was changed, and is made again")));
        world.apply(&project, &plan).await.expect("an apply");
        let is_cloud = |contents: BTreeMap<String, Vec<u8>>| {
            contents.into_iter().filter(|(key, _)| key.starts_with(CLOUD_PREFIX)).collect::<BTreeMap<_, _>>()
        };
        assert_eq!(is_cloud(world.objects.contents()), is_cloud(undisturbed));
        assert_empty(&world, &project).await;
    });
}

#[test]
fn a_step_that_moves_to_fargate_says_why_and_what_it_may_do_now() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        world.deploy(&project).await;
        project.pipelines.get_mut("score").expect("it is there").insert("load".to_owned(), ("l1".to_owned(), 3600));
        let plan = world.plan(&project).await.expect("a plan");
        let [placement] = plan.placements.as_slice() else { panic!("{:?}", plan.placements) };
        assert_eq!((placement.compute, placement.step.as_str()), (Compute::Fargate, "load"));
        assert_eq!(placement.reason, "its attempts may take 1h, and Lambda takes 15m");
        let changes: Vec<(&str, ChangeAction)> =
            plan.permissions.iter().map(|change| (change.subject.as_str(), change.action)).collect();
        assert_eq!(
            changes,
            [
                ("score/load", ChangeAction::Delete),
                ("score/load (dispatch)", ChangeAction::Create),
                ("score/load (execution)", ChangeAction::Create),
                ("score/load (task)", ChangeAction::Create),
            ]
        );
        world.apply(&project, &plan).await.expect("an apply");
        assert_empty(&world, &project).await;
    });
}

#[test]
fn plans_of_a_cloud_are_deterministic_and_empty_after_their_apply() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        project.keep = 1;
        let edits: [&dyn Fn(&mut Project); 8] = [
            &|_| {},
            &|project| {
                project.edit("train", "fit", "t2");
            },
            &|project| project.aws.as_mut().expect("a cloud").runner = "r2".to_owned(),
            &|project| {
                project.edit("train", "new", "n1");
            },
            &|project| drop(project.triggers.remove("score")),
            &|project| drop(project.pipelines.remove("score")),
            &|project| project.requirements = None,
            &|project| project.keep = 0,
        ];
        for edit in edits {
            edit(&mut project);
            let plan = world.plan(&project).await.expect("a plan");
            let bytes = serde_json::to_vec(&plan).expect("JSON");
            let same = world.plan(&project).await.expect("a plan");
            assert_eq!(bytes, serde_json::to_vec(&same).expect("JSON"));
            assert_eq!(serde_json::from_slice::<Plan>(&bytes).expect("JSON"), plan);
            world.apply(&project, &plan).await.expect("an apply");
            assert_empty(&world, &project).await;
        }
        let wanted: BTreeSet<String> = {
            let fresh = World::new();
            fresh.deploy(&project).await;
            cloud(&fresh)
        };
        let more: Vec<String> = cloud(&world).difference(&wanted).cloned().collect();
        assert!(more.iter().all(|key| key.starts_with("logs/")), "nothing is left over but logs: {more:?}");
    });
}

#[test]
fn a_death_at_any_effect_in_the_cloud_leads_to_the_same_end() {
    let (mut before, mut after) = (shop(), shop());
    before.edit("old", "step", "o1");
    before.keep = 0;
    after.keep = 0;
    after.edit("train", "fetch", "f2").edit("new", "step", "n1");
    after.triggers.insert("new".to_owned(), vec![objects("new/")]);
    after.aws.as_mut().expect("a cloud").runner = "r2".to_owned();
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
            assert!(effects > 40, "the apply had effects to die at");
            return;
        }
    }
}
