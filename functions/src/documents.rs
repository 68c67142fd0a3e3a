//! Documents in the object store: JSON with a schema version, told apart from objects that are corrupt or too new.

use liminal_schemas::digest::Digest;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ports::Etag;
use crate::ports::ObjectStore;
use crate::ports::StoreError;

/// A document and the version of the object that it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned<T> {
    /// The document.
    pub document: T,
    /// The version.
    pub etag: Etag,
}

/// Reads a document, if there is one. A schema newer than `known` is an error of its own, since the document is fine.
pub async fn read<T: DeserializeOwned>(
    store: &impl ObjectStore,
    key: &str,
    known: u32,
) -> Result<Option<Versioned<T>>, StoreError> {
    let Some(object) = store.get(key).await? else { return Ok(None) };
    let document = parse(key, &object.bytes, known)?;
    Ok(Some(Versioned { document, etag: object.etag }))
}

/// Makes a document of an object's content.
pub fn parse<T: DeserializeOwned>(key: &str, bytes: &[u8], known: u32) -> Result<T, StoreError> {
    #[derive(Deserialize)]
    struct Version {
        schema: u32,
    }
    let corrupt = |source: serde_json::Error| StoreError::Corrupt { key: key.to_owned(), source: source.into() };
    let version: Version = serde_json::from_slice(bytes).map_err(corrupt)?;
    if version.schema > known {
        return Err(StoreError::UnknownSchema { key: key.to_owned(), found: version.schema, known });
    }
    serde_json::from_slice(bytes).map_err(corrupt)
}

/// The content of the object that a document becomes.
pub fn encode(key: &str, document: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(document).map_err(|source| StoreError::Corrupt { key: key.to_owned(), source: source.into() })
}

/// Reads an object that is known by the digest of its content, such as the listing of a directory.
pub async fn read_addressed<T: DeserializeOwned>(
    store: &impl ObjectStore,
    key: &str,
    digest: &Digest,
) -> Result<Option<T>, StoreError> {
    let Some(object) = store.get(key).await? else { return Ok(None) };
    let corrupt = |source| StoreError::Corrupt { key: key.to_owned(), source };
    if Digest::of_bytes(&object.bytes) != *digest {
        return Err(corrupt("its content is not that of its digest".into()));
    }
    serde_json::from_slice(&object.bytes).map(Some).map_err(|source| corrupt(source.into()))
}

#[cfg(test)]
mod tests {
    use liminal_schemas::run::ModelAlias;

    use super::*;

    fn problem(bytes: &[u8]) -> String {
        let error = parse::<ModelAlias>("models/m/aliases/champion.json", bytes, 1).expect_err("no such document");
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}")
    }

    #[test]
    fn a_document_that_is_no_such_document_is_named_with_its_fault() {
        insta::assert_snapshot!(problem(b"{\"schema\":1,\"vers"), @"object models/m/aliases/champion.json is corrupt: EOF while parsing a string at line 1 column 17");
        insta::assert_snapshot!(problem(b"\0\0\0\0"), @"object models/m/aliases/champion.json is corrupt: expected value at line 1 column 1");
        insta::assert_snapshot!(problem(b"{\"schema\":1}"), @"object models/m/aliases/champion.json is corrupt: missing field `version` at line 1 column 12");
        insta::assert_snapshot!(problem(b"{\"schema\":7,\"anything\":[]}"), @"object models/m/aliases/champion.json has schema 7, and this liminal knows only 1");
    }
}
