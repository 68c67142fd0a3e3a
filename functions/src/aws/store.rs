//! The object store in S3.
//!
//! The conditional writes of S3 tell whether the *last* sending of a request took place. When an earlier one was answered
//! by nobody, a refusal may be owed to our own write. Then the object is read: every conditional body of the run protocol
//! has a nonce, so that equal content is our own.

use std::collections::BTreeSet;

use aws_sdk_s3::primitives::ByteStream;

use super::buckets::S3Buckets;
use super::clients::Clients;
use super::clients::patience_of_transfers;
use super::clock::StoreClock;
use super::error::AwsError;
use super::error::explain;
use super::place::Place;
use super::retry;
use super::retry::Sendings;
use crate::object_key;
use crate::ports::Etag;
use crate::ports::Object;
use crate::ports::ObjectStore;
use crate::ports::Put;
use crate::ports::StoreError;
use crate::ports::Swap;

/// Up to this size a request is a small one, in bytes: more takes its time on slow lines.
const SMALL_BYTES: usize = 1 << 20;

/// Objects in a part of a bucket.
#[derive(Clone, Debug)]
pub struct S3Store {
    client: aws_sdk_s3::Client,
    place: Place,
    clock: StoreClock,
}

/// What a write depends on.
#[derive(Clone, Copy)]
enum Condition<'a> {
    Absent,
    Matches(&'a Etag),
}

/// How a conditional write came out.
enum Written {
    Done(Etag),
    Refused,
}

impl S3Store {
    /// The objects of a place.
    pub fn new(clients: &Clients, place: Place) -> Self {
        Self::with_clock(clients, place, StoreClock::default())
    }

    /// The objects of a place, whose answers set a clock.
    pub fn with_clock(clients: &Clients, place: Place, clock: StoreClock) -> Self {
        Self { client: clients.s3(&clock), place, clock }
    }

    /// The clock that goes by what the store answers.
    pub const fn clock(&self) -> &StoreClock {
        &self.clock
    }

    /// Where the objects are.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// All buckets that may be read, that of this place among them.
    pub fn buckets(&self) -> S3Buckets {
        S3Buckets::new(self.client.clone(), self.place.clone())
    }

    /// The names that follow a prefix up to the next `/`, in order: what would be folders if there were any.
    ///
    /// # Errors
    /// When the prefix is none, or the service fails.
    pub async fn list_folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        object_key::check_prefix(prefix)?;
        let full = format!("{}{prefix}", self.place.prefix());
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(self.place.bucket())
            .set_expected_bucket_owner(self.place.owner().map(str::to_owned))
            .prefix(&full)
            .delimiter("/")
            .into_paginator()
            .send();
        let mut names = BTreeSet::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(explain("ListObjectsV2")).map_err(unavailable(prefix))?;
            let found = page.common_prefixes.into_iter().flatten().filter_map(|common| common.prefix);
            names.extend(found.filter_map(|found| Some(found.strip_prefix(&full)?.strip_suffix('/')?.to_owned())));
        }
        Ok(names.into_iter().collect())
    }

    /// What an object has from a byte on, none when there is no such object: for logs that grow while they are read.
    ///
    /// # Errors
    /// When the key is none, or the service fails.
    pub async fn get_from(&self, key: &str, from: u64) -> Result<Option<Vec<u8>>, StoreError> {
        if from == 0 {
            return Ok(self.get(key).await?.map(|object| object.bytes));
        }
        let full = self.place.key(key)?;
        let answer = self
            .client
            .get_object()
            .bucket(self.place.bucket())
            .set_expected_bucket_owner(self.place.owner().map(str::to_owned))
            .key(&full)
            .range(format!("bytes={from}-"))
            .send()
            .await
            .map_err(explain("GetObject"));
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.is_code("NoSuchKey") => return Ok(None),
            // There is nothing from that byte on.
            Err(error) if error.is_status(416) => return Ok(Some(Vec::new())),
            Err(error) => return Err(unavailable(key)(error)),
        };
        match answer.body.collect().await {
            Ok(body) => Ok(Some(body.to_vec())),
            Err(error) => {
                let broken = AwsError::NoAnswer { operation: "GetObject", source: error.into() };
                Err(unavailable(key)(broken))
            }
        }
    }

    async fn write(&self, key: &str, bytes: &[u8], condition: Condition<'_>) -> Result<Written, StoreError> {
        let full = self.place.key(key)?;
        let sendings = Sendings::default();
        let mut operations = 0;
        loop {
            operations += 1;
            let request = self
                .client
                .put_object()
                .bucket(self.place.bucket())
                .set_expected_bucket_owner(self.place.owner().map(str::to_owned))
                .key(&full)
                .body(ByteStream::from(bytes.to_vec()));
            let request = match condition {
                Condition::Absent => request.if_none_match("*"),
                Condition::Matches(etag) => request.if_match(etag.as_str()),
            };
            let mut request = request.customize().interceptor(sendings.clone());
            if bytes.len() > SMALL_BYTES {
                let patient = aws_sdk_s3::config::Builder::new().timeout_config(patience_of_transfers());
                request = request.config_override(patient);
            }
            let error = match request.send().await {
                Ok(done) => return Ok(Written::Done(Etag::new(done.e_tag.unwrap_or_default()))),
                Err(error) => explain("PutObject")(error),
            };
            match (error.refusal(), condition) {
                (Some((412, _)), _) | (Some((404, "NoSuchKey")), Condition::Matches(_)) => {
                    // A conflict says that nothing was written; any other sending may have been.
                    if sendings.count() > operations {
                        return self.own_write(key, bytes).await;
                    }
                    return Ok(Written::Refused);
                }
                // Another write of this key is under way, and ours did not take place.
                (Some((409, _)), _) if operations < retry::CONFLICT_TRIES => retry::pause(operations).await,
                (Some((409, _)), _) => {
                    let contended = AwsError::Contended { operation: "PutObject", tries: operations };
                    return Err(unavailable(key)(contended));
                }
                (_, _) => return Err(unavailable(key)(error)),
            }
        }
    }

    /// Whether what is there is what we wrote.
    async fn own_write(&self, key: &str, bytes: &[u8]) -> Result<Written, StoreError> {
        let there = self.get(key).await?.filter(|there| there.bytes == bytes);
        Ok(there.map_or(Written::Refused, |there| Written::Done(there.etag)))
    }
}

impl ObjectStore for S3Store {
    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        let full = self.place.key(key)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = self
                .client
                .get_object()
                .bucket(self.place.bucket())
                .set_expected_bucket_owner(self.place.owner().map(str::to_owned))
                .key(&full)
                .send()
                .await
                .map_err(explain("GetObject"));
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) if error.is_code("NoSuchKey") => return Ok(None),
                Err(error) => return Err(unavailable(key)(error)),
            };
            match answer.body.collect().await {
                Ok(body) => {
                    let etag = Etag::new(answer.e_tag.unwrap_or_default());
                    return Ok(Some(Object { bytes: body.to_vec(), etag }));
                }
                Err(_) if tries < retry::BODY_TRIES => retry::pause(tries).await,
                Err(error) => {
                    let broken = AwsError::NoAnswer { operation: "GetObject", source: error.into() };
                    return Err(unavailable(key)(broken));
                }
            }
        }
    }

    async fn put_if_absent(&self, key: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        Ok(match self.write(key, bytes, Condition::Absent).await? {
            Written::Done(etag) => Put::Created(etag),
            Written::Refused => Put::Exists,
        })
    }

    async fn put_if_match(&self, key: &str, bytes: &[u8], etag: &Etag) -> Result<Swap, StoreError> {
        Ok(match self.write(key, bytes, Condition::Matches(etag)).await? {
            Written::Done(etag) => Swap::Swapped(etag),
            Written::Refused => Swap::Changed,
        })
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        object_key::check_prefix(prefix)?;
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(self.place.bucket())
            .set_expected_bucket_owner(self.place.owner().map(str::to_owned))
            .prefix(format!("{}{prefix}", self.place.prefix()))
            .into_paginator()
            .send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(explain("ListObjectsV2")).map_err(unavailable(prefix))?;
            let found = page.contents.into_iter().flatten().filter_map(|object| object.key);
            keys.extend(found.filter_map(|key| Some(key.strip_prefix(self.place.prefix())?.to_owned())));
        }
        // S3 lists in this order; others that speak its protocol need not.
        keys.sort_unstable();
        Ok(keys)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let full = self.place.key(key)?;
        let deleted = self
            .client
            .delete_object()
            .bucket(self.place.bucket())
            .set_expected_bucket_owner(self.place.owner().map(str::to_owned))
            .key(&full)
            .send()
            .await
            .map_err(explain("DeleteObject"));
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if error.is_code("NoSuchKey") => Ok(()),
            Err(error) => Err(unavailable(key)(error)),
        }
    }

    async fn exists(&self, key: &str) -> Result<bool, StoreError> {
        let full = self.place.key(key)?;
        let found = self
            .client
            .head_object()
            .bucket(self.place.bucket())
            .set_expected_bucket_owner(self.place.owner().map(str::to_owned))
            .key(&full)
            .send()
            .await
            .map_err(explain("HeadObject"));
        match found {
            Ok(_) => Ok(true),
            Err(error) if error.is_status(404) => Ok(false),
            Err(error) => Err(unavailable(key)(error)),
        }
    }
}

fn unavailable(key: &str) -> impl Fn(AwsError) -> StoreError {
    let key = key.to_owned();
    move |error| StoreError::Unavailable { key: key.clone(), source: error.into() }
}
