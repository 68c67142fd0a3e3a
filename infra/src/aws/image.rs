//! The image of a task: looked for before anything names it, since ECS does not, and a task without one fails minutes later.

use aws_sdk_ecr::types::ImageIdentifier;
use liminal_schemas::aws::image::EcrImage;
use liminal_schemas::aws::image::ImageVersion;

use super::error::AwsError;
use super::error::failed;
use super::site::Site;

/// Makes sure that an image is there, as far as that can be known: images elsewhere than in the region's ECR, and those that
/// whoever deploys may not look at, are taken to be. An emulator starts no containers and needs no images.
///
/// # Errors
/// When ECR knows no such image or repository.
pub(super) async fn require(site: &Site, image: &str) -> Result<(), AwsError> {
    match (&site.place.endpoint, EcrImage::parse(image)) {
        (None, Some(found)) if found.region == site.place.region => look_for(site, image, found).await,
        (None | Some(_), Some(_) | None) => Ok(()),
    }
}

/// Asks ECR for an image.
async fn look_for(site: &Site, image: &str, found: EcrImage<'_>) -> Result<(), AwsError> {
    let id = ImageIdentifier::builder();
    let id = match found.version {
        ImageVersion::Tag(tag) => id.image_tag(tag),
        ImageVersion::Digest(digest) => id.image_digest(digest),
    };
    let request = site.clients.ecr.describe_images().registry_id(found.account).repository_name(found.repository);
    match request.image_ids(id.build()).send().await.map_err(failed("ecr:DescribeImages", image)) {
        Ok(_) => Ok(()),
        Err(error) if error.is(&["ImageNotFoundException", "RepositoryNotFoundException"]) => {
            Err(AwsError::NoImage { image: image.to_owned() })
        }
        Err(error) if error.is_denied() => Ok(()),
        Err(error) => Err(error.into()),
    }
}
