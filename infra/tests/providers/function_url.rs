//! The address of a function. Of the emulators, one keeps the conditions of a function's policy.

use aws_sdk_lambda::types::Cors;
use liminal_emulators::shared_ministack;
use liminal_infra::aws::close_function;
use liminal_infra::aws::function_address;
use liminal_infra::aws::open_function;
use liminal_schemas::name::EnvironmentName;

use crate::documents::Everything;
use crate::world::World;

#[tokio::test]
async fn an_address_is_given_once_mended_and_taken_away() {
    let mut world = World::on(shared_ministack()).await;
    let everything = Everything::of(&mut world);
    everything.make(&world).await;
    let name = world.documents[&everything.function].spec.name();
    assert_eq!(function_address(&world.site, &name).await.expect("an answer"), None);
    let opened = open_function(&world.site, &name).await.expect("an address");
    assert!(opened.changed);
    assert_eq!(function_address(&world.site, &name).await.expect("an answer"), Some(opened.url.clone()));
    let again = open_function(&world.site, &name).await.expect("an address");
    assert_eq!((again.url, again.changed), (opened.url.clone(), false));

    let lambda = aws_sdk_lambda::Client::new(&world.config);
    let request = lambda.remove_permission().function_name(&name).statement_id("liminal-invoke-by-url");
    request.send().await.expect("an update");
    let request = lambda.add_permission().function_name(&name).statement_id("liminal-invoke-by-url");
    request.action("lambda:InvokeFunction").principal("*").send().await.expect("an update");
    let mended = open_function(&world.site, &name).await.expect("an address");
    assert_eq!((mended.url, mended.changed), (opened.url, true), "nobody may invoke it by other ways");
    let policy = lambda.get_policy().function_name(&name).send().await.expect("a policy").policy;
    assert!(policy.is_some_and(|policy| policy.contains("lambda:InvokedViaFunctionUrl")));

    let request = lambda.update_function_url_config().function_name(&name);
    request.cors(Cors::builder().allow_origins("*").build()).send().await.expect("an update");
    assert!(open_function(&world.site, &name).await.expect("an address").changed, "no page may call it");

    close_function(&world.site, &name).await.expect("closed");
    close_function(&world.site, &name).await.expect("closed");
    assert_eq!(function_address(&world.site, &name).await.expect("an answer"), None);
    let left = lambda.get_policy().function_name(&name).send().await;
    let left = left.ok().and_then(|answer| answer.policy).unwrap_or_default();
    assert!(!left.contains("liminal-"), "{left}");
}

#[tokio::test]
async fn a_function_of_somebody_else_gets_no_address_and_keeps_its_own() {
    let mut world = World::on(shared_ministack()).await;
    let everything = Everything::of(&mut world);
    everything.make(&world).await;
    let name = world.documents[&everything.function].spec.name();
    open_function(&world.site, &name).await.expect("an address");
    let mut other = world.site.clone();
    other.owner.environment = EnvironmentName::new("other").expect("a name");
    let refused = open_function(&other, &name).await.expect_err("foreign");
    assert!(refused.to_string().contains("does not carry the tags"), "{refused}");
    close_function(&other, &name).await.expect("left alone");
    assert_eq!(function_address(&other, &name).await.expect("an answer"), None);
    assert!(function_address(&world.site, &name).await.expect("an answer").is_some());
}
