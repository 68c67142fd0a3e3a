//! What all platforms share in bringing artifacts to a step: modes of files, names that are safe, and the words of what
//! may go wrong.

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::run::Failure;

use crate::attempt::failure;

/// The longest directory listing that is read, in bytes: about a million files.
pub(crate) const MAX_LISTING_BYTES: u64 = 256 << 20;

/// What a file is brought out of the store for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// For a step to read: read-only, and a link where that spares a copy.
    Input,
    /// For somebody to keep.
    Copy,
}

impl Purpose {
    /// The mode of the file.
    pub(crate) const fn mode(self, executable: bool) -> u32 {
        match (self, executable) {
            (Self::Input, false) => 0o444,
            (Self::Input, true) => 0o555,
            (Self::Copy, false) => 0o644,
            (Self::Copy, true) => 0o755,
        }
    }
}

/// Checks that a path in a directory listing stays below the directory.
///
/// # Errors
/// When it does not: whoever wrote the listing meant harm.
pub(crate) fn check_listed(listing: &Digest, below: &str) -> Result<(), Failure> {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    if below.split('/').all(plain) {
        return Ok(());
    }
    let key = keys::artifact(listing);
    Err(failure::poison(format!("the directory listing {key} names {below:?}, which leaves it")))
}

/// The object of an artifact is not there.
pub(crate) fn missing(digest: &Digest) -> Failure {
    let lost = failure::poison(format!("object {} is not in the store", keys::artifact(digest)));
    failure::with_hint(lost, "run the step that makes it again, without the cache")
}

/// The object of an artifact is not what its name says.
pub(crate) fn corrupt(expected: &Digest, found: &Digest) -> Failure {
    let key = keys::artifact(expected);
    let broken = failure::poison(format!("object {key} is corrupt: expected {expected}, found {found}"));
    failure::with_hint(broken, "delete that object, and run the step that makes it again, without the cache")
}

/// The object of a directory is no listing.
pub(crate) fn no_listing(digest: &Digest, error: &serde_json::Error) -> Failure {
    failure::poison(format!("object {} is no directory listing: {error}", keys::artifact(digest)))
}
