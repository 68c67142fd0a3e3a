//! From settled items to a settled step: by markers of blocks, so that an item costs the same however many there are.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use futures_util::stream;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::map::BLOCK_ITEMS;
use liminal_schemas::map::BlockMarker;
use liminal_schemas::map::ItemCounts;
use liminal_schemas::map::ItemFailure;
use liminal_schemas::map::MapRecord;
use liminal_schemas::map::MapSpec;
use liminal_schemas::map::Spread;
use liminal_schemas::map::joined_metrics;
use liminal_schemas::map::joined_name;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::StepName;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::DirectoryListing;
use liminal_schemas::run::ListedFile;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::StepSpec;
use liminal_schemas::unit::Unit;

use super::AT_ONCE;
use crate::documents;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::ports::StoreError;
use crate::protocol::mapping::verdict;
use crate::protocol::planted::Bug;
use crate::protocol::planted::is_planted;
use crate::runner::Runner;
use crate::runner::context::RunContext;
use crate::runner::error::RunnerError;
use crate::runner::work::Work;

impl<P: Platform> Runner<P> {
    /// Goes on from a block one of whose items is settled: leaves its marker when all are, and those of the blocks above it; ends
    /// the step when nothing is open. Whoever settles the last item sees all the others, since listings show all that was
    /// written before them.
    pub(super) async fn join(
        &self,
        context: &RunContext,
        step: &StepName,
        spec: &StepSpec,
        map: &MapSpec,
        block: u32,
    ) -> Result<(), RunnerError> {
        let Some(record) = self.map_record(context, step).await? else { return Ok(()) };
        let (mut level, mut block) = (1, block);
        loop {
            if !self.is_whole(context, step, &record, level, block).await? {
                return Ok(());
            }
            self.mark(context, step, spec, &record, level, block).await?;
            if record.blocks(level) <= 1 {
                return self.end_map(context, step, spec, map, &record).await;
            }
            level += 1;
            block /= BLOCK_ITEMS;
        }
    }

    /// The same for all blocks whose items are all settled: in place of whoever died before it could.
    pub(super) async fn join_whole_blocks(
        &self,
        context: &RunContext,
        step: &StepName,
        spec: &StepSpec,
        map: &MapSpec,
        settled: &BTreeSet<u32>,
    ) -> Result<(), RunnerError> {
        let Some(record) = self.map_record(context, step).await? else { return Ok(()) };
        for block in 0..record.blocks(1) {
            let first = block * BLOCK_ITEMS;
            let members = settled.range(first..first + BLOCK_ITEMS).count();
            if u32::try_from(members).is_ok_and(|members| members == record.members(1, block)) {
                self.join(context, step, spec, map, block).await?;
            }
        }
        Ok(())
    }

    async fn is_whole(
        &self,
        context: &RunContext,
        step: &StepName,
        record: &MapRecord,
        level: u32,
        block: u32,
    ) -> Result<bool, RunnerError> {
        let (pipeline, run) = (context.pipeline(), context.run());
        let prefix = match level {
            1 => keys::settled_prefix(pipeline, run, step, block),
            _ => keys::markers_prefix(pipeline, run, step, level, block),
        };
        let members = self.platform.store().list(&prefix).await?.len();
        let early = usize::from(is_planted(Bug::BlocksCloseEarly));
        Ok(u32::try_from(members + early).is_ok_and(|members| members >= record.members(level, block)))
    }

    /// Leaves the marker of a block whose members are all settled.
    async fn mark(
        &self,
        context: &RunContext,
        step: &StepName,
        spec: &StepSpec,
        record: &MapRecord,
        level: u32,
        block: u32,
    ) -> Result<(), RunnerError> {
        let store = self.platform.store();
        let key = keys::marker(context.pipeline(), context.run(), step, level, block);
        if store.exists(&key).await? {
            return Ok(());
        }
        let first = block * BLOCK_ITEMS;
        let members = first..first + record.members(level, block);
        let marker = if level == 1 {
            let units = members.map(|item| Unit::item(step.clone(), item));
            let commits = units.map(|unit| async move { self.item_commit(context, &unit).await });
            let commits: Vec<_> = commits.collect();
            let commits: Vec<Option<Commit>> = stream::iter(commits).buffered(AT_ONCE).try_collect().await?;
            self.marker_of(spec, commits.into_iter().flatten()).await?
        } else {
            let below = members.map(|member| async move { self.marker(context, step, level - 1, member).await });
            let below: Vec<_> = below.collect();
            let below: Vec<Option<BlockMarker>> = stream::iter(below).buffered(AT_ONCE).try_collect().await?;
            let mut counts = ItemCounts::default();
            let mut first_failure = None;
            for member in below.into_iter().flatten() {
                counts.add(member.counts);
                first_failure = first_failure.or(member.first_failure);
            }
            BlockMarker {
                schema: RUN_SCHEMA,
                counts,
                outputs: BTreeMap::new(),
                metrics: BTreeMap::new(),
                first_failure,
            }
        };
        store.put_if_absent(&key, &documents::encode(&key, &marker)?).await?;
        Ok(())
    }

    async fn marker(
        &self,
        context: &RunContext,
        step: &StepName,
        level: u32,
        block: u32,
    ) -> Result<Option<BlockMarker>, RunnerError> {
        let key = keys::marker(context.pipeline(), context.run(), step, level, block);
        let marker: Option<documents::Versioned<BlockMarker>> =
            documents::read(self.platform.store(), &key, RUN_SCHEMA).await?;
        Ok(marker.map(|marker| marker.document))
    }

    /// What the commits of a block's items come to.
    async fn marker_of(
        &self,
        spec: &StepSpec,
        commits: impl Iterator<Item = Commit> + Send,
    ) -> Result<BlockMarker, RunnerError> {
        let mut counts = ItemCounts::default();
        let mut outputs: BTreeMap<FieldName, BTreeMap<String, ListedFile>> = BTreeMap::new();
        let mut metrics: BTreeMap<String, Spread> = BTreeMap::new();
        let mut first_failure = None;
        for commit in commits {
            let Some(item) = commit.item else { continue };
            counts.items += 1;
            match commit.status {
                CommitStatus::Succeeded => counts.succeeded += 1,
                CommitStatus::Cached => counts.cached += 1,
                CommitStatus::Failed => counts.failed += 1,
                CommitStatus::Skipped | CommitStatus::Rejected => counts.skipped += 1,
            }
            for (name, value) in &commit.metrics {
                let spread = Spread::of(*value);
                metrics.entry(name.clone()).and_modify(|all| all.add(spread)).or_insert(spread);
            }
            if let (None, Some(failure)) = (&first_failure, commit.failure) {
                first_failure = Some(ItemFailure { item, failure });
            }
            for (name, artifact) in &commit.outputs {
                let Some(output) = spec.outputs.get(name) else { continue };
                let below = joined_name(item, &output.path);
                let files = outputs.entry(name.clone()).or_default();
                match artifact.kind {
                    ArtifactKind::File => {
                        let file = ListedFile { digest: artifact.digest, bytes: artifact.bytes, executable: false };
                        files.insert(below, file);
                    }
                    ArtifactKind::Directory => {
                        let key = keys::artifact(&artifact.digest);
                        let listing: Option<DirectoryListing> =
                            documents::read_addressed(self.platform.store(), &key, &artifact.digest).await?;
                        let listing =
                            listing.ok_or_else(|| StoreError::Corrupt { key, source: "it is gone".into() })?;
                        files.extend(listing.files.into_iter().map(|(path, file)| (format!("{below}/{path}"), file)));
                    }
                }
            }
        }
        Ok(BlockMarker { schema: RUN_SCHEMA, counts, outputs, metrics, first_failure })
    }

    /// Ends a step all of whose items are settled: each of its outputs becomes a directory with those of its items, in their
    /// order. Nothing is copied, since a directory is a list of contents.
    pub(super) async fn end_map(
        &self,
        context: &RunContext,
        step: &StepName,
        spec: &StepSpec,
        map: &MapSpec,
        record: &MapRecord,
    ) -> Result<(), RunnerError> {
        if self.commit_of(context, step).await?.is_some() {
            return self.settle_onwards(context, vec![step.clone()]).await;
        }
        let markers = (0..record.blocks(1)).map(|block| async move { self.marker(context, step, 1, block).await });
        let markers: Vec<_> = markers.collect();
        let mut markers = stream::iter(markers).buffered(AT_ONCE);
        let mut counts = ItemCounts::default();
        let mut listings: BTreeMap<FieldName, DirectoryListing> =
            spec.outputs.keys().map(|name| (name.clone(), DirectoryListing::default())).collect();
        let mut metrics: BTreeMap<String, Spread> = BTreeMap::new();
        let mut first_failure = None;
        while let Some(marker) = markers.try_next().await? {
            // A marker that is not there yet is on its way by whoever will come here after us.
            let Some(marker) = marker else { return Ok(()) };
            counts.add(marker.counts);
            for (name, spread) in marker.metrics {
                metrics.entry(name).and_modify(|all| all.add(spread)).or_insert(spread);
            }
            for (name, files) in marker.outputs {
                listings.entry(name).or_default().files.extend(files);
            }
            first_failure = first_failure.or(marker.first_failure);
        }
        self.load_parents(context, step).await?;
        let (inputs, cache_key) = self.given_to(context, &Work::step(context, step, spec));
        let cancelled = counts.skipped > 0
            && self.platform.store().exists(&keys::cancel(context.pipeline(), context.run())).await?;
        let unit = Unit::step(step.clone());
        let mut commit = self.blank(context, &unit, CommitStatus::Succeeded, record.expanded_at);
        commit.items = Some(counts);
        commit.inputs = inputs;
        match verdict(map.tolerated_failures, counts, first_failure.as_ref(), cancelled) {
            Some(failure) => {
                commit.status = CommitStatus::Failed;
                commit.failure = Some(failure);
            }
            None => {
                for (name, listing) in listings {
                    commit.outputs.insert(name, self.keep_listing(&listing).await?);
                }
                commit.metrics = joined_metrics(&metrics);
                // A result with holes in it is not to be taken for the whole one by a later run.
                commit.cache_key = cache_key.filter(|_| counts.failed == 0);
            }
        }
        self.settle_and_cache(context, commit).await?;
        self.settle_onwards(context, vec![step.clone()]).await
    }

    async fn keep_listing(&self, listing: &DirectoryListing) -> Result<Artifact, RunnerError> {
        let digest = Digest::of_document(listing);
        let key = keys::artifact(&digest);
        self.platform.store().put_if_absent(&key, &documents::encode(&key, listing)?).await?;
        let bytes = listing.files.values().map(|file| file.bytes).sum();
        Ok(Artifact { digest, kind: ArtifactKind::Directory, bytes })
    }
}
