//! Which keys objects may have: those that every store takes, and that are safe as paths.

use crate::ports::StoreError;

/// The longest key, in bytes: S3's limit.
const MAX_KEY_BYTES: usize = 1024;

/// The longest part of a key between two `/`, in bytes: the limit of a file name.
const MAX_PART_BYTES: usize = 255;

/// Checks a key.
///
/// # Errors
/// When it is empty, names a folder, or holds what no key may hold.
pub fn check(key: &str) -> Result<(), StoreError> {
    if key.is_empty() {
        return refuse(key, "it is empty");
    }
    if key.ends_with('/') {
        return refuse(key, "it ends with `/`");
    }
    check_prefix(key)
}

/// Checks what keys and prefixes have in common: as paths, they leave no directory and meet no hidden file.
///
/// # Errors
/// What is wrong with it.
pub fn check_prefix(prefix: &str) -> Result<(), StoreError> {
    if prefix.len() > MAX_KEY_BYTES {
        return refuse(prefix, "it has more than 1024 bytes");
    }
    if prefix.starts_with('/') {
        return refuse(prefix, "it begins with `/`");
    }
    if prefix.chars().any(|c| c.is_control() || c == '\\') {
        return refuse(prefix, "it holds a backslash or a control character");
    }
    let parts = prefix.strip_suffix('/').unwrap_or(prefix).split('/');
    for part in parts.filter(|_| !prefix.is_empty()) {
        if part.is_empty() {
            return refuse(prefix, "it holds an empty part");
        }
        if part.starts_with('.') {
            return refuse(prefix, "a part of it begins with `.`");
        }
        if part.len() > MAX_PART_BYTES {
            return refuse(prefix, "a part of it has more than 255 bytes");
        }
    }
    Ok(())
}

fn refuse(key: &str, problem: &'static str) -> Result<(), StoreError> {
    Err(StoreError::InvalidKey { key: key.chars().take(80).collect(), problem })
}
