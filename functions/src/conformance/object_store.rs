//! The promises of [`ObjectStore`].

use std::sync::Arc;

use tokio::task::JoinSet;

use super::Violation;
use super::promise;
use crate::ports::Etag;
use crate::ports::Object;
use crate::ports::ObjectStore;
use crate::ports::Put;
use crate::ports::StoreError;
use crate::ports::Swap;

/// How many callers try the same at once.
const RIVALS: u32 = 8;

/// How often each rival increments the counter that all of them share.
const INCREMENTS: u32 = 5;

/// Checks a store, with keys below `prefix`, which ends with `/` and has no objects. Needs a tokio runtime.
///
/// # Errors
/// The first promise that is not kept.
pub async fn object_store<S: ObjectStore>(store: Arc<S>, prefix: &str) -> Result<(), Violation> {
    one_writer(&*store, prefix).await?;
    listing(&*store, prefix).await?;
    bad_keys(&*store).await?;
    rivals_create(&store, &format!("{prefix}rivals/created.json")).await?;
    rivals_swap(&store, &format!("{prefix}rivals/counter")).await?;
    for key in store.list(prefix).await? {
        store.delete(&key).await?;
    }
    promise("nothing is listed once all is deleted", store.list(prefix).await?, Vec::new())
}

async fn one_writer<S: ObjectStore>(store: &S, prefix: &str) -> Result<(), Violation> {
    let key = format!("{prefix}one/object.json");
    promise("an object that was never written is not there", store.get(&key).await?, None)?;
    promise("an object that was never written does not exist", store.exists(&key).await?, false)?;
    let unwritten = store.put_if_match(&key, b"x", &Etag::new("none")).await?;
    promise("an object that is not there is not swapped", unwritten, Swap::Changed)?;
    let Put::Created(etag) = store.put_if_absent(&key, b"first").await? else {
        return Err(broken("the first write creates", "that the object exists"));
    };
    let there = Some(Object { bytes: b"first".to_vec(), etag: etag.clone() });
    promise("what was written is read, with the version of the write", store.get(&key).await?, there.clone())?;
    promise("a written object exists", store.exists(&key).await?, true)?;
    promise("a second create finds the object", store.put_if_absent(&key, b"second").await?, Put::Exists)?;
    promise("a second create changes nothing", store.get(&key).await?, there)?;
    let Swap::Swapped(next) = store.put_if_match(&key, b"third", &etag).await? else {
        return Err(broken("a swap from the present version succeeds", "that the object has changed"));
    };
    promise("a swap from an old version fails", store.put_if_match(&key, b"no", &etag).await?, Swap::Changed)?;
    let there = Some(Object { bytes: b"third".to_vec(), etag: next });
    promise("a failed swap changes nothing", store.get(&key).await?, there)?;
    let empty = format!("{prefix}one/empty");
    store.put_if_absent(&empty, b"").await?;
    let bytes = store.get(&empty).await?.map(|object| object.bytes);
    promise("an object may be empty", bytes, Some(Vec::new()))?;
    store.delete(&key).await?;
    promise("a deleted object is gone", store.get(&key).await?, None)?;
    store.delete(&key).await?;
    let again = store.put_if_absent(&key, b"again").await?;
    promise("a deleted object can be created again", matches!(again, Put::Created(_)), true)
}

async fn listing<S: ObjectStore>(store: &S, prefix: &str) -> Result<(), Violation> {
    let keys = ["list/a/1.json", "list/a/2.json", "list/a-b/1.json", "list/ab.json", "list/b/c/d.json"];
    for key in keys {
        store.put_if_absent(&format!("{prefix}{key}"), b"{}").await?;
    }
    let full = |keys: &[&str]| -> Vec<String> { keys.iter().map(|key| format!("{prefix}{key}")).collect() };
    let list = async |part: &str| store.list(&format!("{prefix}{part}")).await;
    let mut all = full(&keys);
    all.sort();
    promise("a listing is complete and in order", list("list/").await?, all)?;
    promise("a listing ends at `/`", list("list/a/").await?, full(&["list/a/1.json", "list/a/2.json"]))?;
    let mut begin = full(&["list/a-b/1.json", "list/a/1.json", "list/a/2.json", "list/ab.json"]);
    begin.sort();
    promise("a prefix may end within a name", list("list/a").await?, begin)?;
    promise("a prefix that nothing has lists nothing", list("list/none/").await?, Vec::new())?;
    promise("a folder is no object", store.get(&format!("{prefix}list/b")).await?, None)?;
    promise("a folder does not exist as an object", store.exists(&format!("{prefix}list/b")).await?, false)
}

async fn bad_keys<S: ObjectStore>(store: &S) -> Result<(), Violation> {
    let long = "k".repeat(2000);
    for key in
        ["", "/absolute", "a//b", "a/../b", "../up", "a/./b", "folder/", "nul\0", "line\nbreak", "back\\slash", &long]
    {
        let refused = matches!(store.put_if_absent(key, b"x").await, Err(StoreError::InvalidKey { .. }));
        promise("a key that leaves the store or is no name is refused", (key, refused), (key, true))?;
        let refused = matches!(store.get(key).await, Err(StoreError::InvalidKey { .. }));
        promise("such a key is not read either", (key, refused), (key, true))?;
    }
    Ok(())
}

async fn rivals_create<S: ObjectStore>(store: &Arc<S>, key: &str) -> Result<(), Violation> {
    let mut rivals = JoinSet::new();
    for rival in 0..RIVALS {
        let (store, key) = (Arc::clone(store), key.to_owned());
        rivals.spawn(async move { Ok((rival, store.put_if_absent(&key, rival.to_string().as_bytes()).await?)) });
    }
    let mut winners = Vec::new();
    while let Some(joined) = rivals.join_next().await {
        let outcome: Result<(u32, Put), StoreError> = finished(joined)?;
        if let (rival, Put::Created(_)) = outcome? {
            winners.push(rival);
        }
    }
    promise("of many that create an object, one succeeds", winners.len(), 1)?;
    let bytes = store.get(key).await?.map(|object| object.bytes);
    let written = winners.first().map(|winner| winner.to_string().into_bytes());
    promise("the object is that of the one who created it", bytes, written)
}

async fn rivals_swap<S: ObjectStore>(store: &Arc<S>, key: &str) -> Result<(), Violation> {
    store.put_if_absent(key, b"0").await?;
    let mut rivals = JoinSet::new();
    for _ in 0..RIVALS {
        let (store, key) = (Arc::clone(store), key.to_owned());
        rivals.spawn(async move {
            for _ in 0..INCREMENTS {
                increment(&*store, &key).await?;
            }
            Ok(())
        });
    }
    while let Some(joined) = rivals.join_next().await {
        let outcome: Result<(), StoreError> = finished(joined)?;
        outcome?;
    }
    let bytes = store.get(key).await?.map(|object| object.bytes);
    let sum = (RIVALS * INCREMENTS).to_string().into_bytes();
    promise("no swap is lost, and none takes place twice", bytes, Some(sum))
}

/// Adds one to a number in an object.
async fn increment<S: ObjectStore>(store: &S, key: &str) -> Result<(), StoreError> {
    loop {
        let Some(object) = store.get(key).await? else { continue };
        let number: u32 = String::from_utf8_lossy(&object.bytes).parse().unwrap_or(0);
        let next = (number + 1).to_string();
        if let Swap::Swapped(_) = store.put_if_match(key, next.as_bytes(), &object.etag).await? {
            return Ok(());
        }
    }
}

fn finished<T>(joined: Result<T, tokio::task::JoinError>) -> Result<T, Violation> {
    joined.map_err(|error| broken("no operation panics", &error.to_string()))
}

fn broken(promise: &'static str, found: &str) -> Violation {
    Violation::Broken { promise, found: found.to_owned() }
}
