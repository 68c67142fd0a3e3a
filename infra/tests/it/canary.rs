//! Plans that put releases on trial, and end that.

use liminal_infra::plan::Revised;
use liminal_infra::plan::Rollout;
use liminal_schemas::canary::DEFAULT_TOLERATED;
use liminal_schemas::canary::Share;
use liminal_schemas::plan::Operation;
use liminal_schemas::state::ResourceKind;

use crate::fixture::Aws;
use crate::fixture::Project;
use crate::fixture::World;
use crate::fixture::block_on;

fn canary(hundredths: u32) -> Rollout {
    Rollout::Canary { share: Share::new(hundredths), tolerated: DEFAULT_TOLERATED }
}

fn shop() -> Project {
    Project::new(&[("train", &[("fit", "t1"), ("load", "l1")])])
}

#[test]
fn what_is_live_stays_whole_beside_a_canary_and_a_second_apply_is_empty() {
    block_on(async {
        for aws in [None, Some(Aws::default())] {
            let (world, mut project) = (World::new(), Project { aws, ..shop() });
            world.deploy(&project).await;
            let before = world.state().await.expect("a state").state;
            let live = project.desired().releases["train"].clone();
            project.edit("train", "fit", "t2");
            project.rollout = canary(1000);
            project.live = [(live.release.pipeline.clone(), live.clone())].into();
            let plan = world.plan(&project).await.expect("a plan");
            let moved = |operation: &Operation| matches!(operation, Operation::MoveLive { .. });
            let tried = |operation: &Operation| matches!(operation, Operation::StartCanary { .. });
            assert!(!plan.operations.iter().any(moved) && plan.operations.iter().any(tried), "{:?}", plan.operations);
            let made = plan.operations.iter().filter_map(|operation| match operation {
                Operation::CreateResource { address } => Some(address.kind),
                _ => None,
            });
            assert!(made.clone().all(|kind| kind != ResourceKind::Rule && kind != ResourceKind::Notification));
            world.apply(&project, &plan).await.expect("an apply");
            let after = world.state().await.expect("a state").state;
            assert!(
                before.resources.keys().all(|address| after.resources.contains_key(address)),
                "nothing is collected"
            );
            assert_eq!(world.live("train").await, Some(live.revision));
            let again = world.plan(&project).await.expect("a plan");
            assert!(!again.has_changes, "{:?}", again.operations);

            project.rollout = canary(5000);
            let more = world.plan(&project).await.expect("a plan");
            let same = |operation: &Operation| matches!(operation, Operation::WriteRelease { .. }) || tried(operation);
            assert!(more.has_changes && more.operations.iter().all(same), "{:?}", more.operations);
            world.apply(&project, &more).await.expect("an apply");

            // The definition goes back to what is live.
            project.edit("train", "fit", "t1");
            (project.rollout, project.live) = (Rollout::Whole, std::collections::BTreeMap::new());
            let back = world.plan(&project).await.expect("a plan");
            let ended = |operation: &Operation| matches!(operation, Operation::EndCanary { aborted: None, .. });
            assert!(back.operations.iter().any(ended), "{:?}", back.operations);
            world.apply(&project, &back).await.expect("an apply");
            let there = world.state().await.expect("a state").state;
            assert_eq!(there.resources.keys().collect::<Vec<_>>(), before.resources.keys().collect::<Vec<_>>());
            assert!(!world.plan(&project).await.expect("a plan").has_changes);
        }
    });
}

#[test]
fn a_release_that_was_tried_becomes_live_with_what_it_has() {
    block_on(async {
        let (world, mut project) = (World::new(), shop());
        world.deploy(&project).await;
        let live: Revised = project.desired().releases["train"].clone();
        project.edit("train", "fit", "t2");
        project.rollout = canary(1000);
        world.deploy(&project).await;
        project.rollout = Rollout::Whole;
        let plan = world.plan(&project).await.expect("a plan");
        let made = |operation: &Operation| matches!(operation, Operation::CreateResource { .. });
        assert!(!plan.operations.iter().any(made), "{:?}", plan.operations);
        world.apply(&project, &plan).await.expect("an apply");
        assert_eq!(world.retired("train").await, [live.revision]);
        assert!(!world.plan(&project).await.expect("a plan").has_changes);
    });
}
