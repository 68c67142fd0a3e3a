//! Folders that stand for buckets: what lands in one is an object that was created.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use liminal_schemas::run::TriggerObject;
use liminal_schemas::time::UtcTime;
use serde_json::json;

use crate::local::artifacts::LocalArtifacts;
use crate::local::buckets::FileHere;
use crate::local::buckets::collect;
use crate::local::buckets::version_of;
use crate::starter::ForeignObject;
use crate::starter::ObjectSource;
use crate::starter::SourceError;

/// A folder that stands for a bucket.
#[derive(Clone, Debug)]
pub struct WatchedFolder {
    /// The bucket.
    pub bucket: String,
    /// The folder: a file in it is an object, its path below the folder the key.
    pub folder: PathBuf,
}

/// What is known of the files in such folders.
#[derive(Debug)]
pub(super) struct Folders {
    folders: Vec<WatchedFolder>,
    /// The version of each file at the last look, and whether it was told of.
    seen: BTreeMap<(String, String), (String, bool)>,
}

impl Folders {
    pub(super) fn new(folders: Vec<WatchedFolder>) -> Self {
        Self { folders, seen: BTreeMap::new() }
    }

    /// The notifications of files that are new, or new again: a file counts once it has been the same at two looks, so that
    /// one that is being written is left alone. What can not be read is left out, since it may be gone by now.
    pub(super) fn look(&mut self) -> Vec<String> {
        let (mut notifications, mut now) = (Vec::new(), BTreeMap::new());
        for WatchedFolder { bucket, folder } in &self.folders {
            let mut files = Vec::new();
            collect(folder, "", 0, &mut files);
            for FileHere { key, version, time, .. } in files {
                let id = (bucket.clone(), key);
                let told = match self.seen.get(&id) {
                    Some((known, true)) if *known == version => true,
                    Some((known, false)) if *known == version => {
                        notifications.push(notification(bucket, &id.1, &version, time));
                        true
                    }
                    Some(_) | None => false,
                };
                now.insert(id, (version, told));
            }
        }
        self.seen = now;
        notifications
    }
}

/// What a bucket would send.
fn notification(bucket: &str, key: &str, version: &str, time: UtcTime) -> String {
    let object = json!({"key": encoded(key), "versionId": version});
    let s3 = json!({"bucket": {"name": bucket}, "object": object});
    json!({"Records": [{"eventName": "ObjectCreated:Put", "eventTime": time, "s3": s3}]}).to_string()
}

/// A key as notifications have it.
fn encoded(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    key.bytes().map(one).collect()
}

/// Brings files of such folders in.
#[derive(Debug)]
pub(super) struct FolderSource {
    pub(super) folders: Vec<WatchedFolder>,
    pub(super) artifacts: LocalArtifacts,
}

impl FolderSource {
    fn path_of(&self, bucket: &str, key: &str) -> Option<PathBuf> {
        let folder = self.folders.iter().find(|folder| folder.bucket == bucket)?;
        Some(folder.folder.join(key))
    }
}

impl ObjectSource for FolderSource {
    async fn bring_in(&self, object: &ForeignObject) -> Result<Option<TriggerObject>, SourceError> {
        let Some(path) = self.path_of(&object.bucket, &object.key) else { return Ok(None) };
        let is_it = |path: &Path| {
            version_of(path).is_ok_and(|found| object.version.as_ref().is_none_or(|wanted| *wanted == found.version))
        };
        if !is_it(&path) {
            return Ok(None);
        }
        let uri = path.display().to_string();
        let artifacts = self.artifacts.clone();
        let file = path.clone();
        let brought = tokio::task::spawn_blocking(move || artifacts.bring_in(&file)).await;
        let brought = brought.map_err(io::Error::other).and_then(|brought| brought);
        // What was written over meanwhile has an event of its own.
        if !is_it(&path) {
            return Ok(None);
        }
        let artifact = brought.map_err(|error| SourceError { uri: uri.clone(), source: error.into() })?;
        Ok(Some(TriggerObject { uri, version: object.version.clone(), artifact }))
    }

    fn address(&self, bucket: &str, key: &str) -> String {
        match self.path_of(bucket, key) {
            Some(path) => path.display().to_string(),
            None => format!("s3://{bucket}/{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::starter::event::Event;
    use crate::starter::event::parse;

    fn keys(notifications: &[String]) -> Vec<String> {
        let key = |body: &String| match parse(body) {
            Event::Objects { created, dropped } if dropped.is_empty() => created[0].key.clone(),
            other => panic!("{other:?} is no object"),
        };
        notifications.iter().map(key).collect()
    }

    #[test]
    fn a_file_counts_once_it_has_stopped_changing_and_again_when_it_is_written_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let watched = WatchedFolder { bucket: "local".to_owned(), folder: folder.path().to_owned() };
        let mut folders = Folders::new(vec![watched]);
        fs::create_dir_all(path("in/deep")).expect("made");
        fs::write(path("in/deep/a+b é.csv"), "1").expect("written");
        fs::write(path("in/.a.csv.part"), "1").expect("written");
        assert!(folders.look().is_empty(), "it may still be written");
        assert_eq!(keys(&folders.look()), ["in/deep/a+b é.csv"]);
        assert!(folders.look().is_empty(), "once");
        fs::write(path("in/deep/a+b é.csv"), "12").expect("written");
        assert!(folders.look().is_empty());
        assert_eq!(keys(&folders.look()), ["in/deep/a+b é.csv"]);
        fs::remove_file(path("in/deep/a+b é.csv")).expect("removed");
        assert!(folders.look().is_empty());
    }
}
