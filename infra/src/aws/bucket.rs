//! The bucket that an environment keeps its objects in: whether it is there at all.

use liminal_schemas::aws::AwsPlace;

use super::clients::Clients;
use super::error::AwsError;
use super::error::failed;

/// Whether the bucket is there and belongs to the account.
///
/// # Errors
/// When the bucket is somebody else's, or AWS can not be asked.
pub async fn has_bucket(clients: &Clients, place: &AwsPlace) -> Result<bool, AwsError> {
    let asked = clients.s3.head_bucket().bucket(&place.bucket).expected_bucket_owner(&place.account).send().await;
    match asked.map_err(failed("s3:ListBucket", &place.bucket)) {
        Ok(_) => Ok(true),
        Err(error) if error.status == Some(404) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
