//! Objects of any bucket, listed for a step that maps over them.

use liminal_schemas::map::ListedObject;
use liminal_schemas::map::ObjectFilter;

use super::error::explain;
use super::place::Place;
use crate::ports::Buckets;
use crate::ports::BucketsError;

/// The buckets that may be read.
#[derive(Clone, Debug)]
pub struct S3Buckets {
    client: aws_sdk_s3::Client,
    own: Place,
}

impl S3Buckets {
    /// All buckets; `own` is where liminal keeps its objects, which are never listed.
    pub(super) const fn new(client: aws_sdk_s3::Client, own: Place) -> Self {
        Self { client, own }
    }
}

impl Buckets for S3Buckets {
    async fn list(&self, filter: &ObjectFilter, most: usize) -> Result<Vec<ListedObject>, BucketsError> {
        let bucket = filter.bucket.as_deref().unwrap_or(self.own.bucket());
        let is_own = |key: &str| {
            bucket == self.own.bucket() && !self.own.prefix().is_empty() && key.starts_with(self.own.prefix())
        };
        let request = self.client.list_objects_v2().bucket(bucket).prefix(&filter.prefix);
        let mut pages = request.into_paginator().send();
        let mut listed = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page
                .map_err(explain("ListObjectsV2"))
                .map_err(|error| BucketsError { objects: filter.to_string(), source: error.into() })?;
            for object in page.contents.into_iter().flatten() {
                let Some(key) = object.key.filter(|key| filter.is(key) && !is_own(key)) else { continue };
                listed.push(ListedObject {
                    bucket: bucket.to_owned(),
                    key,
                    bytes: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                    etag: object.e_tag.map(|etag| etag.trim_matches('"').to_owned()),
                    version: None,
                });
            }
            if listed.len() > most {
                break;
            }
        }
        // S3 lists in this order; others that speak its protocol need not.
        listed.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        listed.truncate(most);
        Ok(listed)
    }
}
