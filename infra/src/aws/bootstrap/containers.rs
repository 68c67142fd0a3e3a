//! Where tasks run, and where their images are.

use aws_sdk_ecr::error::ProvideErrorMetadata as _;
use aws_sdk_ecr::types::ImageScanningConfiguration;
use aws_sdk_ecr::types::ImageTagMutability;
use aws_sdk_ecr::types::Repository;
use aws_sdk_ecr::types::Tag;
use liminal_schemas::aws::names;

use super::BootstrapError;
use super::Done;
use super::Part;
use super::TAG;
use super::failed;
use super::found;
use super::outcome;
use crate::aws::clients::Clients;
use crate::aws::error;
use crate::aws::retry::patiently;

/// Tasks name Fargate themselves when they start, so that the cluster needs no capacity providers. The first cluster of an
/// account makes the role that ECS works with, and may be refused until that is known.
pub(super) async fn cluster(clients: &Clients) -> Result<Part, BootstrapError> {
    let what = format!("cluster {}", names::DEFAULT_CLUSTER);
    let there = clients.ecs.describe_clusters().clusters(names::DEFAULT_CLUSTER).send().await;
    let there = there.map_err(failed(&what, "looked at"))?;
    if there.clusters().iter().any(|cluster| cluster.status() == Some("ACTIVE")) {
        return Ok(Part { what, done: Done::Unchanged });
    }
    let tag = aws_sdk_ecs::types::Tag::builder().key(TAG.0).value(TAG.1).build();
    let made = patiently(async || {
        let call = clients.ecs.create_cluster().cluster_name(names::DEFAULT_CLUSTER).tags(tag.clone());
        call.send().await.map_err(error::failed("ecs:CreateCluster", names::DEFAULT_CLUSTER))
    });
    made.await.map_err(failed(&what, "made"))?;
    Ok(Part { what, done: Done::Created })
}

/// Tags of the repository can be pushed again: `python3.11` names the base image for a Python version, and a newer runner
/// comes as a new image of that name. Otherwise each would want definitions to name another image.
pub(super) async fn repository(clients: &Clients) -> Result<Part, BootstrapError> {
    let what = format!("image repository {}", names::DEFAULT_REPOSITORY);
    let there = clients.ecr.describe_repositories().repository_names(names::DEFAULT_REPOSITORY).send().await;
    let there = found(there, &["RepositoryNotFoundException"]).map_err(failed(&what, "looked at"))?;
    if let Some(there) = there.and_then(|there| there.repositories.unwrap_or_default().pop()) {
        let mended = mend_repository(clients, &what, &there).await?;
        return Ok(Part { what, done: outcome(false, mended) });
    }
    let tag = Tag::builder().key(TAG.0).value(TAG.1).build();
    let call = clients
        .ecr
        .create_repository()
        .repository_name(names::DEFAULT_REPOSITORY)
        .image_tag_mutability(ImageTagMutability::Mutable)
        .image_scanning_configuration(scanning())
        .tags(tag.map_err(failed(&what, "tagged"))?);
    match call.send().await {
        Ok(_) => Ok(Part { what, done: Done::Created }),
        Err(error) if error.code() == Some("RepositoryAlreadyExistsException") => {
            Ok(Part { what, done: Done::Unchanged })
        }
        Err(error) => Err(failed(&what, "made")(error)),
    }
}

async fn mend_repository(
    clients: &Clients,
    what: &str,
    there: &Repository,
) -> Result<Vec<&'static str>, BootstrapError> {
    let mut mended = Vec::new();
    // Where some tags are exempt, somebody thought of which.
    if there.image_tag_mutability() == Some(&ImageTagMutability::Immutable) {
        let call = clients.ecr.put_image_tag_mutability().repository_name(names::DEFAULT_REPOSITORY);
        let call = call.image_tag_mutability(ImageTagMutability::Mutable);
        call.send().await.map_err(failed(what, "opened for newer images"))?;
        mended.push("tags that can be pushed again");
    }
    if !there.image_scanning_configuration().is_some_and(ImageScanningConfiguration::scan_on_push) {
        let call = clients.ecr.put_image_scanning_configuration().repository_name(names::DEFAULT_REPOSITORY);
        let call = call.image_scanning_configuration(scanning());
        call.send().await.map_err(failed(what, "told to scan images"))?;
        mended.push("scan on push");
    }
    Ok(mended)
}

fn scanning() -> ImageScanningConfiguration {
    ImageScanningConfiguration::builder().scan_on_push(true).build()
}
