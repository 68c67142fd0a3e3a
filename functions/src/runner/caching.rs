//! The cache: results of earlier runs, by cache key.

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::name::StepName;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::CacheEntry;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::DirectoryListing;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::CachePolicy;
use liminal_schemas::step::StepSpec;

use super::Runner;
use super::context::RunContext;
use super::error::RunnerError;
use crate::documents;
use crate::ports::Clock;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::ports::Put;
use crate::ports::StoreError;
use crate::protocol::caching::is_usable;
use crate::protocol::commit::Winner;

impl<P: Platform> Runner<P> {
    /// The entry of a key, if all that it names is there. An entry that makes no sense is as good as none.
    pub(super) async fn usable_entry(
        &self,
        step: &StepName,
        spec: &StepSpec,
        key: &Digest,
    ) -> Result<Option<CacheEntry>, RunnerError> {
        let object = keys::cache(key);
        let entry: Option<documents::Versioned<CacheEntry>> =
            match documents::read(self.platform.store(), &object, RUN_SCHEMA).await {
                Ok(entry) => entry,
                Err(error) if error.is_corrupt() => {
                    self.warn(Some(step), format!("{error}, so the cached result is not used"));
                    None
                }
                Err(error) => return Err(error.into()),
            };
        let Some(entry) = entry.map(|entry| entry.document) else { return Ok(None) };
        if !is_usable(spec, &entry, self.platform.clock().now()) {
            return Ok(None);
        }
        for artifact in entry.outputs.values() {
            if !self.is_there(step, artifact).await? {
                return Ok(None);
            }
        }
        if let Some(model) = &entry.model
            && !self.platform.store().exists(&keys::model_version(&model.model, model.version)).await?
        {
            return Ok(None);
        }
        Ok(Some(entry))
    }

    /// Whether an artifact is in the store: a directory with every file of its listing.
    pub(super) async fn is_there(&self, step: &StepName, artifact: &Artifact) -> Result<bool, RunnerError> {
        let store = self.platform.store();
        let key = keys::artifact(&artifact.digest);
        match artifact.kind {
            ArtifactKind::File => Ok(store.exists(&key).await?),
            ArtifactKind::Directory => {
                let listing: Option<DirectoryListing> =
                    match documents::read_addressed(store, &key, &artifact.digest).await {
                        Ok(listing) => listing,
                        Err(error @ StoreError::Corrupt { .. }) => {
                            self.warn(Some(step), format!("{error}, so the cached result is not used"));
                            None
                        }
                        Err(error) => return Err(error.into()),
                    };
                let Some(listing) = listing else { return Ok(false) };
                for file in listing.files.values() {
                    if !store.exists(&keys::artifact(&file.digest)).await? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }

    /// Ends a step that did its work, and leaves the result for later runs.
    pub(super) async fn settle_and_cache(&self, context: &RunContext, commit: Commit) -> Result<(), RunnerError> {
        let entry = cache_entry(context, &commit);
        let ages = context.spec(&commit.step).is_some_and(|spec| spec.cache != CachePolicy::On);
        if self.settle(context, commit).await? == Winner::Ours
            && let Some((key, entry)) = entry
        {
            self.leave(&key, &entry, ages).await?;
        }
        Ok(())
    }

    /// Leaves the result of a step that is settled, in case whoever settled it died before that.
    pub(super) async fn leave_again(&self, context: &RunContext, commit: &Commit) -> Result<(), RunnerError> {
        if let Some((key, entry)) = cache_entry(context, commit) {
            let object = keys::cache(&key);
            let bytes = documents::encode(&object, &entry)?;
            self.platform.store().put_if_absent(&object, &bytes).await?;
        }
        Ok(())
    }

    /// Leaves a result for later runs. A step that ran found no entry it could use, or was told to use none: its result
    /// takes the place of another one that is there, and of the same one where results age.
    async fn leave(&self, key: &Digest, entry: &CacheEntry, ages: bool) -> Result<(), RunnerError> {
        let store = self.platform.store();
        let object = keys::cache(key);
        let bytes = documents::encode(&object, entry)?;
        match store.put_if_absent(&object, &bytes).await? {
            Put::Created(_) => {}
            Put::Exists => {
                if let Some(there) = store.get(&object).await? {
                    let earlier: Option<CacheEntry> = serde_json::from_slice(&there.bytes).ok();
                    if !ages && earlier.is_some_and(|earlier| earlier.has_result_of(entry)) {
                        return Ok(());
                    }
                    // Whoever wins, the entry holds the result of a step that just ran.
                    store.put_if_match(&object, &bytes, &there.etag).await?;
                }
            }
        }
        Ok(())
    }
}

/// What a commit leaves for later runs, if anything.
fn cache_entry(context: &RunContext, commit: &Commit) -> Option<(Digest, CacheEntry)> {
    let key = commit.cache_key?;
    if commit.status != CommitStatus::Succeeded {
        return None;
    }
    let entry = CacheEntry {
        schema: RUN_SCHEMA,
        pipeline: context.pipeline().clone(),
        run: context.run().clone(),
        step: commit.step.clone(),
        outputs: commit.outputs.clone(),
        metrics: commit.metrics.clone(),
        checks: commit.checks.clone(),
        model: commit.model.clone(),
        made_at: commit.ended_at,
    };
    Some((key, entry))
}
