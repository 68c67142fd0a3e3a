//! Looking at a hundred steps takes a handful of calls; bundles that are there are neither built nor sent again.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use liminal_infra::ports::Resources as _;
use liminal_schemas::aws::resource::LogsSpec;
use liminal_schemas::aws::resource::MappingSpec;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::state::ResourceAddress;
use serde_json::json;

use crate::answers::Answer;
use crate::answers::answering;
use crate::documents;
use crate::documents::Everything;
use crate::world::World;
use crate::world::worlds;

/// The documents of a step that nothing else is like.
fn add_step(world: &mut World, number: usize) -> Vec<ResourceAddress> {
    let bundle = world.add(documents::bundle());
    let mut role = documents::role(world, "lambda.amazonaws.com");
    role.name_parts[3] = format!("step{number}");
    let role_arn = documents::role_arn(world, &role);
    let log_group = format!("/liminal/{}/dev/train/step{number}", world.project());
    let queue = documents::queue(world, &format!("step{number}"));
    let mut function = documents::function(world, &bundle, &role_arn, &log_group);
    function.name_parts[3] = format!("step{number}");
    let mapping = MappingSpec { queue: queue.name.clone(), function: function.name(), max_concurrency: None };
    vec![
        bundle,
        world.add(ResourceSpec::Role(role)),
        world.add(ResourceSpec::Logs(LogsSpec { name: log_group, retention_days: 30 })),
        world.add(ResourceSpec::Queue(queue)),
        world.add(ResourceSpec::Function(Box::new(function))),
        world.add(ResourceSpec::Mapping(mapping)),
    ]
}

#[tokio::test]
async fn a_hundred_steps_are_looked_at_by_at_most_twenty_calls() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        let mut asked: BTreeSet<ResourceAddress> = everything.in_order().into_iter().cloned().collect();
        for number in 0..100 {
            asked.extend(add_step(&mut world, number));
        }
        assert!(asked.len() > 500);
        let listed = world.resources().present(&asked).await.expect("listings");
        assert_eq!(listed, BTreeSet::new());
    }
    let answers = answering(|call| {
        if call.body.contains("Action=ListRoles") {
            let body = "<ListRolesResponse><ListRolesResult><Roles/><IsTruncated>false</IsTruncated></ListRolesResult></ListRolesResponse>";
            return Answer::xml(200, body);
        }
        if call.operation.starts_with("GET /2015-03-31/event-source-mappings") {
            return Answer::json(&json!({ "EventSourceMappings": [] }));
        }
        if call.operation.starts_with("GET /schedules") {
            return Answer::json(&json!({ "Schedules": [] }));
        }
        if call.operation.starts_with("GET /2015-03-31/functions") || !call.operation.starts_with("GET") {
            return Answer::json(&json!({}));
        }
        Answer::xml(200, "<NotificationConfiguration/>")
    });
    let mut world = worlds().await.remove(0);
    let everything = Everything::of(&mut world);
    let mut asked: BTreeSet<ResourceAddress> = everything.in_order().into_iter().cloned().collect();
    for number in 0..100 {
        asked.extend(add_step(&mut world, number));
    }
    world.site.clients = liminal_infra::aws::Clients::with_config(&answers.config());
    world.resources().present(&asked).await.expect("listings");
    // And one for the objects.
    assert!(answers.seen().len() < 20, "{:#?}", answers.seen());
}

#[tokio::test]
async fn a_bundle_that_is_there_is_neither_built_nor_sent_again() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        for _ in 0..2 {
            world.resources().create(&everything.bundle).await.expect("a bundle");
            assert_eq!(world.bundles.built.load(Ordering::Relaxed), 1);
        }
        world.resources().delete(&everything.bundle).await.expect("deletion");
        world.resources().create(&everything.bundle).await.expect("a bundle");
        assert_eq!(world.bundles.built.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test]
async fn a_large_bundle_is_sent_in_parts_and_arrives_whole() {
    for mut world in worlds().await {
        world.bundles.padding = 40 << 20;
        let everything = Everything::of(&mut world);
        for address in [&everything.bundle, &everything.role, &everything.logs, &everything.function] {
            world.resources().create(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        }
        // Lambda hashes what it fetched itself.
        let drift = world.resources().inspect(&everything.function).await.expect("an answer");
        assert_eq!(drift, Some(Vec::new()));
    }
}
