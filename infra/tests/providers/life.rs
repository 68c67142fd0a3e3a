//! The life of each kind of resource: absent, made, adopted, damaged, brought back, removed.

use aws_sdk_lambda::types::Environment;
use liminal_emulators::tools;
use liminal_infra::ports::Resources as _;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::state::ResourceAddress;

use crate::documents;
use crate::documents::Everything;
use crate::world::World;
use crate::world::shared_moto;
use crate::world::worlds;

async fn is_present(world: &World, address: &ResourceAddress) -> bool {
    world.resources().present(&[address.clone()].into()).await.expect("a listing").contains(address)
}

async fn make(world: &World, address: &ResourceAddress) {
    world.resources().create(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
}

async fn remove(world: &World, address: &ResourceAddress) {
    world.resources().delete(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
}

/// What differs, by field.
async fn drift(world: &World, address: &ResourceAddress) -> Vec<&'static str> {
    let drift = world.resources().inspect(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
    drift.unwrap_or_else(|| panic!("{address} is not there")).into_iter().map(|drift| drift.field).collect()
}

#[tokio::test]
async fn everything_is_absent_made_found_and_removed_and_each_of_it_twice() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        for address in everything.in_order() {
            assert!(!is_present(&world, address).await, "{address} is there before it was made");
            make(&world, address).await;
            assert!(is_present(&world, address).await, "{address} is not there");
            assert_eq!(drift(&world, address).await, Vec::<&str>::new(), "{address}");
        }
        let made = world.inventory().await;
        for address in everything.in_order() {
            make(&world, address).await;
            assert_eq!(drift(&world, address).await, Vec::<&str>::new(), "{address}");
        }
        assert_eq!(world.inventory().await, made, "making all again makes nothing new");
        // Both queues have a dead-letter queue; a bundle is an object like others.
        assert_eq!(made.len(), everything.in_order().len() + 2 - 1, "{made:#?}");
        for address in everything.in_order().into_iter().rev() {
            remove(&world, address).await;
            // moto lists families that have nothing in use.
            if address != &everything.task || !world.is_on_moto() {
                assert!(!is_present(&world, address).await, "{address} is still there");
            }
            remove(&world, address).await;
        }
        assert_eq!(world.inventory().await, []);
    }
}

/// ARNs of what carries the project's tag, as the tagging service knows them: another witness than liminal itself.
fn tagged(world: &World) -> Vec<String> {
    let filter = format!("Key=liminal:project,Values={}", world.project());
    let mut command = tools().aws(shared_moto());
    let command = command.args(["resourcegroupstaggingapi", "get-resources", "--tag-filters", &filter]);
    let answer = command.args(["--output", "json"]).output().expect("the AWS CLI runs");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let found: serde_json::Value = serde_json::from_slice(&answer.stdout).expect("JSON");
    let listed = found["ResourceTagMappingList"].as_array().expect("a list").iter();
    listed.map(|resource| resource["ResourceARN"].as_str().expect("an ARN").to_owned()).collect()
}

#[tokio::test]
async fn nothing_that_is_tagged_is_left_once_all_is_removed() {
    let mut world = World::on(shared_moto()).await;
    let everything = Everything::of(&mut world);
    everything.make(&world).await;
    let made = tagged(&world);
    for service in [":lambda:", ":sqs:"] {
        assert!(made.iter().any(|arn| arn.contains(service)), "{service} {made:?}");
    }
    for address in everything.in_order().into_iter().rev() {
        remove(&world, address).await;
    }
    assert_eq!(tagged(&world), Vec::<String>::new());
}

#[tokio::test]
async fn a_function_that_was_changed_is_absent_until_it_is_brought_back() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        everything.make(&world).await;
        let lambda = aws_sdk_lambda::Client::new(&world.config);
        let name = world.documents[&everything.function].spec.name();
        let environment = Environment::builder().variables("LIMINAL_MODE", "start").variables("MORE", "secret").build();
        let request = lambda.update_function_configuration().function_name(&name).memory_size(256).timeout(3);
        request.environment(environment).send().await.expect("an update");
        assert!(!is_present(&world, &everything.function).await);
        let drift = world.resources().inspect(&everything.function).await.expect("an answer").expect("a function");
        let fields: Vec<_> = drift.iter().map(|drift| drift.field).collect();
        assert_eq!(fields, ["memory", "timeout", "environment", "environment"]);
        assert!(!format!("{drift:?}").contains("secret"), "values of variables are not shown");
        make(&world, &everything.function).await;
        assert!(is_present(&world, &everything.function).await);
        assert_eq!(self::drift(&world, &everything.function).await, Vec::<&str>::new());
    }
}

#[tokio::test]
async fn code_that_was_replaced_is_noticed_by_the_listing_and_brought_back() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        everything.make(&world).await;
        let lambda = aws_sdk_lambda::Client::new(&world.config);
        let name = world.documents[&everything.function].spec.name();
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("other.py", zip::write::SimpleFileOptions::default()).expect("a zip");
        let zip = zip.finish().expect("a zip").into_inner();
        let request = lambda.update_function_code().function_name(&name);
        request.zip_file(zip.into()).send().await.expect("an update");
        assert!(!is_present(&world, &everything.function).await);
        assert_eq!(drift(&world, &everything.function).await, ["code"]);
        make(&world, &everything.function).await;
        assert!(is_present(&world, &everything.function).await);
    }
}

#[tokio::test]
async fn a_role_that_may_do_more_or_be_assumed_by_others_is_brought_back() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        make(&world, &everything.role).await;
        let iam = aws_sdk_iam::Client::new(&world.config);
        let name = world.documents[&everything.role].spec.name();
        let all = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
        let request = iam.put_role_policy().role_name(&name).policy_name("liminal").policy_document(all);
        request.send().await.expect("a policy");
        let anybody = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;
        let request = iam.update_assume_role_policy().role_name(&name).policy_document(anybody);
        request.send().await.expect("a policy");
        assert_eq!(drift(&world, &everything.role).await, ["who may assume it", "permissions"]);
        make(&world, &everything.role).await;
        assert_eq!(drift(&world, &everything.role).await, Vec::<&str>::new());
        let request = iam.put_role_policy().role_name(&name).policy_name("by hand").policy_document(all);
        request.send().await.expect("a policy");
        remove(&world, &everything.role).await;
        assert!(!is_present(&world, &everything.role).await, "policies that are not ours do not keep a role");
    }
}

#[tokio::test]
async fn a_role_that_lost_its_boundary_gets_it_back_and_one_that_was_given_to_a_role_stays() {
    for mut world in worlds().await {
        let iam = aws_sdk_iam::Client::new(&world.config);
        let least =
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
        let request = iam.create_policy().policy_name(format!("{}-boundary", world.project())).policy_document(least);
        let policy = request.send().await.expect("a policy").policy.and_then(|policy| policy.arn).expect("an ARN");
        let mut spec = documents::role(&world, "lambda.amazonaws.com");
        let unbounded = world.add(ResourceSpec::Role(spec.clone()));
        let unbounded_name = spec.name();
        spec.boundary = Some(policy.clone());
        let name = spec.name();
        let bounded = world.add(ResourceSpec::Role(spec));
        make(&world, &bounded).await;
        iam.delete_role_permissions_boundary().role_name(&name).send().await.expect("no boundary");
        assert_eq!(drift(&world, &bounded).await, ["permission boundary"]);
        make(&world, &bounded).await;
        assert_eq!(drift(&world, &bounded).await, Vec::<&str>::new());

        // Its document names none: to lift one is for whoever gave it.
        make(&world, &unbounded).await;
        let request = iam.put_role_permissions_boundary().role_name(&unbounded_name).permissions_boundary(&policy);
        request.send().await.expect("a boundary");
        make(&world, &unbounded).await;
        assert_eq!(drift(&world, &unbounded).await, Vec::<&str>::new());
        let found = iam.get_role().role_name(&unbounded_name).send().await.expect("a role").role.expect("a role");
        let kept = found.permissions_boundary().and_then(|boundary| boundary.permissions_boundary_arn());
        assert_eq!(kept, Some(policy.as_str()));
    }
}

#[tokio::test]
async fn a_queue_whose_attributes_were_changed_is_brought_back() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        make(&world, &everything.triggers).await;
        let sqs = aws_sdk_sqs::Client::new(&world.config);
        let name = world.documents[&everything.triggers].spec.name();
        let url = sqs.get_queue_url().queue_name(&name).send().await.expect("a queue").queue_url.expect("a URL");
        let request = sqs.set_queue_attributes().queue_url(&url).attributes("VisibilityTimeout".into(), "3");
        request.attributes("Policy".into(), "").send().await.expect("attributes");
        assert!(!is_present(&world, &everything.triggers).await, "who may send is looked at");
        let mut fields = drift(&world, &everything.triggers).await;
        fields.sort_unstable();
        assert_eq!(fields, ["Policy", "VisibilityTimeout"]);
        make(&world, &everything.triggers).await;
        assert_eq!(drift(&world, &everything.triggers).await, Vec::<&str>::new());
        assert!(is_present(&world, &everything.triggers).await);
    }
}

#[tokio::test]
async fn a_queue_without_its_dead_letter_queue_is_not_whole() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        make(&world, &everything.queue).await;
        let sqs = aws_sdk_sqs::Client::new(&world.config);
        let name = format!("{}-dlq", world.documents[&everything.queue].spec.name());
        let url = sqs.get_queue_url().queue_name(&name).send().await.expect("a queue").queue_url.expect("a URL");
        sqs.delete_queue().queue_url(&url).send().await.expect("deletion");
        assert!(!is_present(&world, &everything.queue).await);
        make(&world, &everything.queue).await;
        assert!(is_present(&world, &everything.queue).await);
    }
}

#[tokio::test]
async fn retention_mapping_and_schedule_that_were_changed_are_brought_back() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        everything.make(&world).await;
        let logs = aws_sdk_cloudwatchlogs::Client::new(&world.config);
        let name = world.documents[&everything.logs].spec.name();
        logs.put_retention_policy().log_group_name(&name).retention_in_days(1).send().await.expect("retention");
        assert!(!is_present(&world, &everything.logs).await);
        assert_eq!(drift(&world, &everything.logs).await, ["retention in days"]);

        let lambda = aws_sdk_lambda::Client::new(&world.config);
        let mappings = lambda.list_event_source_mappings().send().await.expect("mappings");
        let function = world.documents[&everything.function].spec.name();
        let mut mappings = mappings.event_source_mappings.unwrap_or_default().into_iter();
        let mapping = mappings.find(|mapping| mapping.function_arn().is_some_and(|arn| arn.contains(&function)));
        let uuid = mapping.and_then(|mapping| mapping.uuid).expect("a mapping");
        let request = lambda.update_event_source_mapping().uuid(&uuid).enabled(false).batch_size(7);
        request.send().await.expect("an update");
        assert!(!is_present(&world, &everything.mapping).await);

        let scheduler = aws_sdk_scheduler::Client::new(&world.config);
        let name = world.documents[&everything.schedule].spec.name();
        let found = scheduler.get_schedule().name(&name).send().await.expect("a schedule");
        let request = scheduler.update_schedule().name(&name).set_target(found.target);
        let request = request.set_flexible_time_window(found.flexible_time_window).set_description(found.description);
        request.schedule_expression("rate(7 minutes)").send().await.expect("an update");
        assert!(drift(&world, &everything.schedule).await.contains(&"expression"));

        for address in [&everything.logs, &everything.mapping, &everything.schedule] {
            make(&world, address).await;
            assert_eq!(drift(&world, address).await, Vec::<&str>::new(), "{address}");
            assert!(is_present(&world, address).await, "{address}");
        }
    }
}

#[tokio::test]
async fn a_rule_that_was_switched_off_or_sends_elsewhere_is_brought_back() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        make(&world, &everything.triggers).await;
        make(&world, &everything.rule).await;
        let events = aws_sdk_eventbridge::Client::new(&world.config);
        let name = world.documents[&everything.rule].spec.name();
        events.disable_rule().name(&name).send().await.expect("an update");
        events.remove_targets().rule(&name).ids("trigger-queue").send().await.expect("an update");
        assert!(!is_present(&world, &everything.rule).await);
        assert_eq!(drift(&world, &everything.rule).await, ["state", "queue"]);
        make(&world, &everything.rule).await;
        assert_eq!(drift(&world, &everything.rule).await, Vec::<&str>::new());
        assert!(is_present(&world, &everything.rule).await);
    }
}

#[tokio::test]
async fn another_revision_of_a_task_definition_is_noticed_and_a_new_one_takes_its_place() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        make(&world, &everything.task).await;
        let ecs = aws_sdk_ecs::Client::new(&world.config);
        let family = world.documents[&everything.task].spec.name();
        let found = ecs.describe_task_definition().task_definition(&family);
        let found = found.include(aws_sdk_ecs::types::TaskDefinitionField::Tags).send().await.expect("a definition");
        let definition = found.task_definition.expect("a definition");
        let request = ecs.register_task_definition().family(&family).cpu("512").memory("1024").set_tags(found.tags);
        let request = request.set_container_definitions(definition.container_definitions);
        let request = request.network_mode(aws_sdk_ecs::types::NetworkMode::Awsvpc);
        request.requires_compatibilities(aws_sdk_ecs::types::Compatibility::Fargate).send().await.expect("a revision");
        let fields = drift(&world, &everything.task).await;
        assert!(fields.contains(&"cpu") && fields.contains(&"memory"), "{fields:?}");
        make(&world, &everything.task).await;
        assert_eq!(drift(&world, &everything.task).await, Vec::<&str>::new());
        remove(&world, &everything.task).await;
        let request = ecs.list_task_definitions().family_prefix(&family);
        let left = request.status(aws_sdk_ecs::types::TaskDefinitionStatus::Active).send().await.expect("a listing");
        assert_eq!(left.task_definition_arns(), Vec::<String>::new(), "no revision is left in use");
    }
}
