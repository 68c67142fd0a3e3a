use std::time::Duration;

use liminal_infra::apply::ApplyError;
use liminal_infra::state::LockError;
use liminal_infra::state::LockRequest;
use liminal_infra::state::PushError;
use liminal_infra::state::Pushed;
use liminal_infra::state::StateError;
use liminal_infra::state::acquire;
use liminal_infra::state::holder;
use liminal_infra::state::load;
use liminal_infra::state::push;
use liminal_infra::state::unlock;
use liminal_schemas::keys;
use liminal_schemas::state::LockHolder;

use crate::fixture;
use crate::fixture::Project;
use crate::fixture::World;
use crate::fixture::block_on;
use crate::fixture::environment;

fn project() -> Project {
    Project::new(&[("train", &[("fit", "t1")])])
}

fn request(holder: LockHolder, timeout: u64, alive: &'static (dyn Fn(u32) -> bool + Sync)) -> LockRequest<'static> {
    LockRequest { holder, timeout: Duration::from_secs(timeout), is_alive: alive }
}

const ALIVE: &(dyn Fn(u32) -> bool + Sync) = &|_| true;
const DEAD: &(dyn Fn(u32) -> bool + Sync) = &|_| false;

#[test]
fn a_truncated_state_is_named_and_can_be_replaced_or_rebuilt() {
    block_on(async {
        let (world, project) = (World::new(), project());
        world.deploy(&project).await;
        let key = keys::state(&environment());
        let whole = world.objects.contents()[&key].clone();
        for damaged in [&b""[..], &whole[..whole.len() / 2], b"null", b"[]", b"\xff\xfe", b"{\"schema\":1}"] {
            world.objects.overwrite(&key, damaged);
            let error = load(&world.objects, &environment()).await.expect_err("damaged");
            assert!(matches!(error, StateError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains("state/local.json is damaged"), "{error}");
            assert!(error.to_string().contains("liminal state push FILE"), "{error}");
        }
        assert_eq!(push(&world.objects, &environment(), &whole).await.expect("pushed"), Pushed::Written);
        assert!(!world.plan(&project).await.expect("a plan").has_changes);
    });
}

#[test]
fn a_state_of_a_newer_liminal_is_left_alone() {
    block_on(async {
        let world = World::new();
        world.objects.overwrite(&keys::state(&environment()), b"{\"schema\": 2, \"new\": true}");
        let error = load(&world.objects, &environment()).await.expect_err("newer");
        insta::assert_snapshot!(error, @"the state state/local.json has format 2, and this liminal knows up to 1; use the newer liminal that wrote it");
    });
}

#[test]
fn only_a_newer_state_of_the_same_lineage_can_be_pushed() {
    block_on(async {
        let (world, project) = (World::new(), project());
        world.deploy(&project).await;
        let state = world.state().await.expect("a state").state;
        let pushed = |change: &dyn Fn(&mut liminal_schemas::state::State)| {
            let mut state = state.clone();
            change(&mut state);
            serde_json::to_vec(&state).expect("JSON")
        };
        let refuse = async |bytes: Vec<u8>| push(&world.objects, &environment(), &bytes).await.expect_err("refused");
        let error = refuse(pushed(&|state| state.lineage = "other".to_owned())).await;
        assert!(matches!(error, PushError::OtherLineage { .. }), "{error}");
        let error = refuse(pushed(&|state| state.serial -= 1)).await;
        assert!(matches!(error, PushError::Older { .. }), "{error}");
        let error = refuse(pushed(&|state| state.pipelines.clear())).await;
        assert!(matches!(error, PushError::Older { .. }), "another content under the same serial: {error}");
        let error = refuse(b"{".to_vec()).await;
        assert!(matches!(error, PushError::State(_)), "{error}");
        let newer = pushed(&|state| state.serial += 1);
        assert_eq!(push(&world.objects, &environment(), &newer).await.expect("pushed"), Pushed::Written);
        let elsewhere = liminal_schemas::name::EnvironmentName::new("staging").expect("valid");
        let error = push(&world.objects, &elsewhere, &newer).await.expect_err("refused");
        assert!(matches!(error, PushError::OtherEnvironment { .. }), "{error}");
    });
}

#[test]
fn a_plan_against_another_lineage_is_stale() {
    block_on(async {
        let (world, mut project) = (World::new(), project());
        world.deploy(&project).await;
        project.edit("train", "fit", "t2");
        let plan = world.plan(&project).await.expect("a plan");
        let mut state = world.state().await.expect("a state").state;
        state.lineage = "other".to_owned();
        world.objects.overwrite(&keys::state(&environment()), &serde_json::to_vec(&state).expect("JSON"));
        let error = world.apply(&project, &plan).await.expect_err("stale");
        assert!(matches!(error, ApplyError::Stale(_)), "{error}");
    });
}

#[test]
fn a_held_lock_is_refused_with_its_holder_and_age() {
    block_on(async {
        let world = World::new();
        let lease = acquire(&world.objects, &world.clock, &environment(), request(fixture::holder(1), 0, ALIVE))
            .await
            .expect("free");
        world.clock.advance(41_000);
        let error = acquire(&world.objects, &world.clock, &environment(), request(fixture::holder(2), 1, ALIVE))
            .await
            .expect_err("held");
        insta::assert_snapshot!(error, @"ada on here (process 1, `liminal apply`) has held the lock for 41 s, working from commit 0123456789ab");
        let LockError::Held { holder, .. } = error else { panic!("{error}") };
        assert_eq!(holder.pid, 1);
        lease.release().await.expect("released");
        assert_eq!(holder_id(&world).await, None);
        acquire(&world.objects, &world.clock, &environment(), request(fixture::holder(2), 0, ALIVE))
            .await
            .expect("free again");
    });
}

async fn holder_id(world: &World) -> Option<u32> {
    holder(&world.objects, &environment()).await.expect("readable").map(|holder| holder.pid)
}

#[test]
fn a_lock_is_taken_over_when_its_holder_is_dead_or_late() {
    block_on(async {
        let world = World::new();
        let take = async |pid: u32, alive| {
            acquire(&world.objects, &world.clock, &environment(), request(fixture::holder(pid), 0, alive)).await
        };
        let first = take(1, ALIVE).await.expect("free");
        take(2, DEAD).await.expect("its holder is dead");
        first.release().await.expect("no error");
        assert_eq!(holder_id(&world).await, Some(2), "who lost a lock does not free it for others");
        assert!(take(3, ALIVE).await.is_err());
        world.clock.advance(61_000);
        take(3, ALIVE).await.expect("it has run out");
        world.objects.overwrite(&keys::lock(&environment()), b"garbage");
        take(4, ALIVE).await.expect("a lock that nobody can read protects nothing");
        assert_eq!(unlock(&world.objects, &environment()).await.expect("freed").map(|holder| holder.pid), Some(4));
        assert_eq!(unlock(&world.objects, &environment()).await.expect("free"), None);
    });
}

#[test]
fn a_dead_process_on_another_host_keeps_its_lock_until_it_runs_out() {
    block_on(async {
        let world = World::new();
        let elsewhere = LockHolder { host: "there".to_owned(), ..fixture::holder(1) };
        acquire(&world.objects, &world.clock, &environment(), request(elsewhere, 0, ALIVE)).await.expect("free");
        let refused = acquire(&world.objects, &world.clock, &environment(), request(fixture::holder(2), 0, DEAD)).await;
        assert!(refused.is_err());
    });
}

#[test]
fn a_lock_is_renewed_while_work_goes_on() {
    block_on(async {
        let world = World::new();
        let mut lease = acquire(&world.objects, &world.clock, &environment(), request(fixture::holder(1), 0, ALIVE))
            .await
            .expect("free");
        lease
            .while_held(async {
                for _ in 0..20 {
                    tokio::time::sleep(Duration::from_secs(10)).await;
                    world.clock.advance(10_000);
                }
            })
            .await;
        let other = acquire(&world.objects, &world.clock, &environment(), request(fixture::holder(2), 0, ALIVE)).await;
        assert!(other.is_err(), "200 seconds later the lease still holds");
        lease.release().await.expect("released");
    });
}

#[test]
fn an_apply_waits_for_the_lock_as_long_as_it_is_told_to() {
    block_on(async {
        let world = World::new();
        let lease = acquire(&world.objects, &world.clock, &environment(), request(fixture::holder(1), 0, ALIVE))
            .await
            .expect("free");
        let local = environment();
        let wait = acquire(&world.objects, &world.clock, &local, request(fixture::holder(2), 30, ALIVE));
        let release = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            lease.release().await
        };
        let (taken, released) = tokio::join!(wait, release);
        released.expect("released");
        taken.expect("taken once it was free");
    });
}
