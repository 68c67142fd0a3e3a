//! What is not ours is refused, whatever its name, and never changed.

use std::collections::HashMap;

use liminal_infra::aws::AwsError;
use liminal_infra::ports::PortError;
use liminal_infra::ports::Resources as _;
use liminal_schemas::state::ResourceAddress;

use crate::documents::Everything;
use crate::world::World;
use crate::world::worlds;

fn is_foreign(outcome: Result<(), PortError>) -> bool {
    let error = outcome.expect_err("not ours");
    matches!(error.downcast_ref(), Some(AwsError::Foreign { .. }))
}

async fn is_refused(world: &World, address: &ResourceAddress) {
    assert!(is_foreign(world.resources().create(address).await), "{address} is made");
    assert!(is_foreign(world.resources().delete(address).await), "{address} is deleted");
    let seen = world.resources().inspect(address).await.expect("an answer");
    assert_eq!(seen, None, "{address} is looked at");
}

#[tokio::test]
async fn a_queue_of_the_same_name_without_our_tags_keeps_its_attributes() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        let sqs = aws_sdk_sqs::Client::new(&world.config);
        let name = world.documents[&everything.queue].spec.name();
        let request = sqs.create_queue().queue_name(&name).attributes("VisibilityTimeout".into(), "7");
        let url = request.send().await.expect("a queue").queue_url.expect("a URL");
        is_refused(&world, &everything.queue).await;
        let request = sqs.get_queue_attributes().queue_url(&url).attribute_names("VisibilityTimeout".into());
        let found = request.send().await.expect("attributes").attributes.unwrap_or_default();
        assert_eq!(found.into_values().collect::<Vec<_>>(), ["7"]);
    }
}

#[tokio::test]
async fn what_another_environment_tagged_is_foreign_too() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        let sqs = aws_sdk_sqs::Client::new(&world.config);
        let name = world.documents[&everything.queue].spec.name();
        let tags =
            [("liminal:project", world.project()), ("liminal:environment", "prod"), ("liminal:resource", "queue/0")];
        let tags: HashMap<String, String> = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        sqs.create_queue().queue_name(&name).set_tags(Some(tags)).send().await.expect("a queue");
        is_refused(&world, &everything.queue).await;
    }
}

#[tokio::test]
async fn a_role_of_the_same_name_without_our_tags_keeps_its_policies() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        let iam = aws_sdk_iam::Client::new(&world.config);
        let spec = world.documents[&everything.role].spec.clone();
        let trust = r#"{"Version":"2012-10-17","Statement":[]}"#;
        let path = format!("/liminal/{}/dev/", world.project());
        let request = iam.create_role().role_name(spec.name()).path(path).assume_role_policy_document(trust);
        request.send().await.expect("a role");
        is_refused(&world, &everything.role).await;
        let policies = iam.list_role_policies().role_name(spec.name()).send().await.expect("policies");
        assert_eq!(policies.policy_names(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_function_of_the_same_name_without_our_tags_keeps_its_settings() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        world.resources().create(&everything.bundle).await.expect("a bundle");
        world.resources().create(&everything.role).await.expect("a role");
        let lambda = aws_sdk_lambda::Client::new(&world.config);
        let name = world.documents[&everything.function].spec.name();
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("other.py", zip::write::SimpleFileOptions::default()).expect("a zip");
        let zip = zip.finish().expect("a zip").into_inner();
        let code = aws_sdk_lambda::types::FunctionCode::builder().zip_file(zip.into()).build();
        let role = world.documents[&everything.role].spec.name();
        let role = format!("arn:aws:iam::{}:role/liminal/{}/dev/{role}", world.site.place.account, world.project());
        let request = lambda.create_function().function_name(&name).code(code).role(role).handler("other.handle");
        request.runtime("python3.11".into()).memory_size(128).send().await.expect("a function");
        is_refused(&world, &everything.function).await;
        let found = lambda.get_function_configuration().function_name(&name).send().await.expect("a function");
        assert_eq!((found.memory_size(), found.handler()), (Some(128), Some("other.handle")));
    }
}

#[tokio::test]
async fn a_log_group_schedule_rule_and_task_definition_of_somebody_else_are_left_alone() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        let name = |address: &ResourceAddress| world.documents[address].spec.name();
        let logs = aws_sdk_cloudwatchlogs::Client::new(&world.config);
        logs.create_log_group().log_group_name(name(&everything.logs)).send().await.expect("a log group");
        is_refused(&world, &everything.logs).await;
        let found = logs.describe_log_groups().log_group_name_prefix(name(&everything.logs)).send().await;
        let found = found.expect("log groups").log_groups.unwrap_or_default();
        assert_eq!(found.first().and_then(aws_sdk_cloudwatchlogs::types::LogGroup::retention_in_days), None);

        let events = aws_sdk_eventbridge::Client::new(&world.config);
        let request = events.put_rule().name(name(&everything.rule)).event_pattern(r#"{"source":["mine"]}"#);
        request.send().await.expect("a rule");
        is_refused(&world, &everything.rule).await;
        let found = events.describe_rule().name(name(&everything.rule)).send().await.expect("a rule");
        assert_eq!(found.event_pattern(), Some(r#"{"source":["mine"]}"#));

        let scheduler = aws_sdk_scheduler::Client::new(&world.config);
        let target = aws_sdk_scheduler::types::Target::builder().arn("arn:aws:sqs:eu-central-1:000000000000:x");
        let target = target.role_arn("arn:aws:iam::000000000000:role/x").build().expect("a target");
        let window = aws_sdk_scheduler::types::FlexibleTimeWindow::builder();
        let window = window.mode(aws_sdk_scheduler::types::FlexibleTimeWindowMode::Off).build().expect("a window");
        let request = scheduler.create_schedule().name(name(&everything.schedule)).target(target);
        let request = request.flexible_time_window(window).schedule_expression("rate(9 days)");
        request.send().await.expect("a schedule");
        is_refused(&world, &everything.schedule).await;
        let found = scheduler.get_schedule().name(name(&everything.schedule)).send().await.expect("a schedule");
        assert_eq!(found.schedule_expression(), Some("rate(9 days)"));

        let ecs = aws_sdk_ecs::Client::new(&world.config);
        let container =
            aws_sdk_ecs::types::ContainerDefinition::builder().name("web").image("nginx").memory(64).build();
        let request = ecs.register_task_definition().family(name(&everything.task)).container_definitions(container);
        request.send().await.expect("a definition");
        is_refused(&world, &everything.task).await;
        let found = ecs.list_task_definitions().family_prefix(name(&everything.task)).send().await.expect("a listing");
        assert_eq!(found.task_definition_arns().len(), 1);
    }
}
