//! Cached results that were looked up beforehand, since a forecast asks for them one by one and each answer takes its time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_functions::ports::ObjectStore;
use liminal_infra::apply::window::all;
use liminal_infra::plan::forecast::CacheView;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::run::CacheEntry;

use crate::records::AT_ONCE;

/// How often a forecast is made again with what it asked for the time before. A chain of steps whose keys nobody knew
/// takes a round for each; what is not known by then counts as not there.
const MOST_ROUNDS: usize = 64;

/// What is known, and what was asked for without being known.
#[derive(Default)]
pub(in crate::platform) struct Results {
    entries: BTreeMap<Digest, Option<CacheEntry>>,
    artifacts: BTreeMap<Digest, bool>,
    asked_entries: RefCell<BTreeSet<Digest>>,
    asked_artifacts: RefCell<BTreeSet<Digest>>,
}

impl Results {
    /// What `forecast` comes to once all that it asks for was looked up: many things at a time, and few times.
    pub(in crate::platform) async fn settle<S: ObjectStore, T>(
        store: &S,
        keys: impl IntoIterator<Item = Digest>,
        forecast: impl Fn(&Self) -> T,
    ) -> T {
        let mut results = Self::default();
        results.asked_entries.get_mut().extend(keys);
        // What it asks for first is told by asking.
        let _ = forecast(&results);
        for _ in 0..MOST_ROUNDS {
            if !results.look_up(store).await {
                break;
            }
            // What it comes to now may ask for more.
            let _ = forecast(&results);
        }
        forecast(&results)
    }

    /// Looks up what was asked for; false when there is nothing.
    async fn look_up<S: ObjectStore>(&mut self, store: &S) -> bool {
        let entries = std::mem::take(self.asked_entries.get_mut());
        let artifacts = std::mem::take(self.asked_artifacts.get_mut());
        if entries.is_empty() && artifacts.is_empty() {
            return false;
        }
        // A result that can not be read is as good as none: the step runs.
        let reads = entries.iter().map(|key| async move {
            let object = store.get(&keys::cache(key)).await.ok().flatten();
            (*key, object.and_then(|object| serde_json::from_slice(&object.bytes).ok()))
        });
        self.entries.extend(all(reads, AT_ONCE).await);
        let looks = artifacts
            .iter()
            .map(|digest| async move { (*digest, store.exists(&keys::artifact(digest)).await.unwrap_or(false)) });
        self.artifacts.extend(all(looks, AT_ONCE).await);
        true
    }
}

impl CacheView for Results {
    fn entry(&self, key: &Digest) -> Option<CacheEntry> {
        let known = self.entries.get(key);
        if known.is_none() {
            self.asked_entries.borrow_mut().insert(*key);
        }
        known.cloned().flatten()
    }

    fn has_artifact(&self, digest: &Digest) -> bool {
        let known = self.artifacts.get(digest);
        if known.is_none() {
            self.asked_artifacts.borrow_mut().insert(*digest);
        }
        // Until it is known, what a result names is taken to be there, so that one round looks further.
        known.copied().unwrap_or(true)
    }
}
