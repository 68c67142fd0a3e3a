//! Where the objects of an environment are: a bucket, and a prefix in it.

use crate::object_key;
use crate::ports::StoreError;

/// A part of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    bucket: String,
    prefix: String,
    owner: Option<String>,
}

impl Place {
    /// The objects of `bucket` below `prefix`, which is empty or ends with `/`.
    pub fn new(bucket: impl Into<String>, prefix: impl Into<String>) -> Self {
        let mut prefix = prefix.into();
        if !prefix.is_empty() && !prefix.ends_with('/') {
            prefix.push('/');
        }
        Self { bucket: bucket.into(), prefix, owner: None }
    }

    /// Requests are refused when the bucket is of another account: its name may have been taken by somebody else.
    #[must_use]
    pub fn owned_by(mut self, account: impl Into<String>) -> Self {
        self.owner = Some(account.into());
        self
    }

    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What all keys begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The account that the bucket has to be of.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// The whole key of an object.
    ///
    /// # Errors
    /// When it is no key.
    pub fn key(&self, key: &str) -> Result<String, StoreError> {
        object_key::check(key)?;
        Ok(format!("{}{key}", self.prefix))
    }

    /// An object, for people.
    pub fn uri(&self, key: &str) -> String {
        format!("s3://{}/{}{key}", self.bucket, self.prefix)
    }
}
