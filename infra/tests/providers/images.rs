//! The image of a task is looked for in ECR before a task definition names it.

use liminal_infra::ports::Resources as _;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::state::ResourceAddress;

use crate::documents;
use crate::world::World;
use crate::world::shared_moto;

/// A task of an image, on an account whose images are not an emulator's.
fn task(world: &mut World, image: &str) -> ResourceAddress {
    world.site.place.endpoint = None;
    let bundle = world.add(documents::bundle());
    let role = format!("arn:aws:iam::{}:role/tasks", world.site.place.account);
    let task = documents::task(world, &bundle, &role, "/liminal/tasks");
    world
        .add(ResourceSpec::Task(Box::new(liminal_schemas::aws::resource::TaskSpec { image: image.to_owned(), ..task })))
}

#[tokio::test]
async fn a_task_whose_image_is_not_in_ecr_is_refused_by_name_and_made_once_the_image_is_pushed() {
    let mut world = World::on(shared_moto()).await;
    let repository = world.project().to_owned();
    let image =
        format!("{}.dkr.ecr.{}.amazonaws.com/{repository}:1", world.site.place.account, world.site.place.region);
    let task = task(&mut world, &image);
    let ecr = aws_sdk_ecr::Client::new(&world.config);

    let refused = world.resources().create(&task).await.expect_err("there is no repository").to_string();
    assert!(refused.contains(&format!("no container image {image}")) && refused.contains("image:"), "{refused}");

    ecr.create_repository().repository_name(&repository).send().await.expect("a repository");
    let refused = world.resources().create(&task).await.expect_err("there is no image").to_string();
    assert!(refused.contains(&image), "{refused}");

    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 7, "digest": format!("sha256:{}", "0".repeat(64))},
        "layers": [],
    });
    let pushed = ecr.put_image().repository_name(&repository).image_tag("1").image_manifest(manifest.to_string());
    pushed.send().await.expect("an image");
    world.resources().create(&task).await.expect("a task definition");
}

#[tokio::test]
async fn an_image_that_is_elsewhere_is_left_to_the_registry() {
    let mut world = World::on(shared_moto()).await;
    let task = task(&mut world, "ghcr.io/nobody/nothing:1");
    world.resources().create(&task).await.expect("a task definition");
}
