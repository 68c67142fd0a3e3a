//! `map:` — a step that is done once for each of many items — and what a run records of it.
//!
//! All that is recorded is create-only, and follows from what was there before. Items are kept, tried, settled and joined in
//! blocks of [`BLOCK_ITEMS`], so that the work for one item costs the same however many there are: whoever settles the last
//! item of a block leaves a marker, whoever leaves the last marker of a block of blocks leaves one for that, and whoever
//! leaves the topmost one ends the step.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::digest::Digest;
use crate::name::FieldName;
use crate::name::StepName;
use crate::run::Failure;
use crate::run::ListedFile;
use crate::time::UtcTime;
use crate::value::Value;

/// How many items, or blocks, make a block. A listing of them is one request on S3, which lists up to 1,000 keys at a time.
pub const BLOCK_ITEMS: u32 = 100;

/// The most items of one step, after batching.
pub const MAX_ITEMS: u32 = 1_000_000;

/// The input that holds the item.
pub const ITEM_INPUT: &str = "item";

/// The input that holds a batch of items.
pub const BATCH_INPUT: &str = "items";

/// What a step maps over, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MapSpec {
    /// Where the items come from.
    pub over: MapSource,
    /// How many items one attempt is given, where that is more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// How many items are worked on at once, where that is bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<u32>,
    /// How many items may fail.
    #[serde(default, skip_serializing_if = "Tolerance::is_none")]
    pub tolerated_failures: Tolerance,
}

impl MapSpec {
    /// The name of the input that holds what one attempt is given.
    pub const fn input(&self) -> &'static str {
        match self.batch {
            None => ITEM_INPUT,
            Some(_) => BATCH_INPUT,
        }
    }

    /// The output that holds the items, where one does, and the step that makes it. As a whole it is an input of the step that
    /// maps, under the name of [`input`](Self::input): its content decides on the result.
    pub const fn made(&self) -> Option<(&StepName, &FieldName)> {
        match &self.over {
            MapSource::Files { step, output } | MapSource::Rows { step, output } => Some((step, output)),
            MapSource::Values(_) | MapSource::Param { .. } | MapSource::Objects(_) => None,
        }
    }

    /// The step whose output holds the items, where one does.
    pub fn maker(&self) -> Option<&StepName> {
        self.made().map(|(step, _)| step)
    }
}

/// Where items come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MapSource {
    /// A list in the definition.
    Values(Vec<Value>),
    /// A parameter that is a list.
    Param {
        /// The parameter.
        name: FieldName,
    },
    /// The files of a directory, in the order of their names: `map: split.shards`.
    Files {
        /// The step that makes it.
        step: StepName,
        /// Its output.
        output: FieldName,
    },
    /// The rows of a file: a JSON array, or JSON lines, or CSV with a header.
    Rows {
        /// The step that makes it.
        step: StepName,
        /// Its output.
        output: FieldName,
    },
    /// The objects of a bucket that are there when the step begins, in the order of their keys.
    Objects(ObjectFilter),
}

/// Objects of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectFilter {
    /// The bucket; none for that of the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// What their keys begin with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// What their keys end with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub suffix: String,
}

impl ObjectFilter {
    /// Whether a key is meant. One that ends with `/` stands for a folder.
    pub fn is(&self, key: &str) -> bool {
        key.starts_with(&self.prefix)
            && key.ends_with(&self.suffix)
            && key.len() >= self.prefix.len() + self.suffix.len()
            && !key.ends_with('/')
    }
}

impl fmt::Display for ObjectFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.bucket {
            Some(bucket) => write!(f, "s3://{bucket}/{}", self.prefix)?,
            None => f.write_str(&self.prefix)?,
        }
        if self.suffix.is_empty() { Ok(()) } else { write!(f, "*{}", self.suffix) }
    }
}

impl fmt::Display for MapSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Values(values) => write!(f, "{} values", values.len()),
            Self::Param { name } => write!(f, "params.{name}"),
            Self::Files { step, output } => write!(f, "{step}.{output}"),
            Self::Rows { step, output } => write!(f, "rows of {step}.{output}"),
            Self::Objects(filter) => write!(f, "objects {filter}"),
        }
    }
}

/// How many items may fail before the step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tolerance {
    /// So many.
    Count(u32),
    /// So many of a hundred, rounded down.
    Percent(u8),
}

impl Default for Tolerance {
    fn default() -> Self {
        Self::Count(0)
    }
}

impl Tolerance {
    /// Whether no item may fail.
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::Count(0) | Self::Percent(0))
    }

    /// How many of `items` may fail.
    pub fn of(self, items: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                u32::try_from(u64::from(items) * u64::from(percent.min(100)) / 100).unwrap_or(items)
            }
        }
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// `…/steps/<step>/map.json`: created when the items of a step are known. From then on each goes its own way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MapRecord {
    /// See [`crate::run::RUN_SCHEMA`].
    pub schema: u32,
    /// How many there are, after batching.
    pub items: u32,
    /// When.
    pub expanded_at: UtcTime,
}

impl MapRecord {
    /// How many blocks there are on a level: of items on level 1, of blocks of the level below on each further one.
    pub const fn blocks(&self, level: u32) -> u32 {
        let mut blocks = self.items;
        let mut at = 0;
        while at < level {
            blocks = blocks.div_ceil(BLOCK_ITEMS);
            at += 1;
        }
        blocks
    }

    /// How many members a block has: the last one of a level may have fewer than the others.
    pub const fn members(&self, level: u32, block: u32) -> u32 {
        let below = self.blocks(level - 1);
        let rest = below.saturating_sub(block * BLOCK_ITEMS);
        if rest < BLOCK_ITEMS { rest } else { BLOCK_ITEMS }
    }
}

/// `…/steps/<step>/items/<block>.json`: what the items of a block are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ItemBlock {
    /// See [`crate::run::RUN_SCHEMA`].
    pub schema: u32,
    /// The items, in order.
    pub items: Vec<Item>,
}

/// What one attempt is given: an item, or a batch of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Item {
    /// A value.
    Value(Value),
    /// A file of a directory.
    File {
        /// Its path below the directory.
        name: String,
        /// Its content.
        file: ListedFile,
    },
    /// Several files of a directory, by path below it.
    Files(BTreeMap<String, ListedFile>),
    /// An object of a bucket.
    Object(ListedObject),
    /// Several objects, by what their keys have behind the prefix.
    Objects(BTreeMap<String, ListedObject>),
}

/// An object as it was listed. Its content stays where it is until an attempt is given it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListedObject {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// Size in bytes.
    pub bytes: u64,
    /// The entity tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The version, where the listing tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl ListedObject {
    /// What its content is known by, without reading it.
    pub fn content(&self) -> Digest {
        let tag = self.etag.as_deref().or(self.version.as_deref());
        Digest::of_document(&("object", tag, self.bytes))
    }

    /// `s3://bucket/key`.
    pub fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

impl Item {
    /// The item for people and for `LIMINAL_ITEM`: a value as JSON, a file by its name.
    pub fn label(&self) -> String {
        match self {
            Self::Value(Value::Text(text)) => text.clone(),
            Self::Value(value) => serde_json::to_string(value).unwrap_or_default(),
            Self::File { name, .. } => name.clone(),
            Self::Files(files) => ends(files.keys()),
            Self::Object(object) => object.key.clone(),
            Self::Objects(objects) => ends(objects.values().map(|object| &object.key)),
        }
    }
}

/// The first and the last of several names.
fn ends<'n>(mut names: impl DoubleEndedIterator<Item = &'n String>) -> String {
    match (names.next(), names.next_back()) {
        (Some(first), Some(last)) => format!("{first} … {last}"),
        (Some(only), None) => only.clone(),
        (None, _) => String::new(),
    }
}

/// `…/steps/<step>/blocks/<level>/<block of blocks>/<block>.json`: created when all members of a block are settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlockMarker {
    /// See [`crate::run::RUN_SCHEMA`].
    pub schema: u32,
    /// How its items ended.
    pub counts: ItemCounts,
    /// What its items left, as parts of a directory for each output. On level 1 alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<FieldName, BTreeMap<String, ListedFile>>,
    /// What its items measured. On level 1 alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, Spread>,
    /// The first item that failed, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<ItemFailure>,
}

/// An item that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ItemFailure {
    /// Its number, from 0.
    pub item: u32,
    /// Why it failed.
    pub failure: Failure,
}

/// How items ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemCounts {
    /// All of them.
    pub items: u32,
    /// Those that ran and left all they declared.
    #[serde(default)]
    pub succeeded: u32,
    /// Those whose results were taken from an earlier run.
    #[serde(default)]
    pub cached: u32,
    /// Those that failed.
    #[serde(default)]
    pub failed: u32,
    /// Those that did not run any more, since too many had failed or the run was cancelled.
    #[serde(default)]
    pub skipped: u32,
}

impl ItemCounts {
    /// Adds those of another block.
    pub const fn add(&mut self, other: Self) {
        self.items += other.items;
        self.succeeded += other.succeeded;
        self.cached += other.cached;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// What a metric was over many items.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// How many items have it.
    pub count: u32,
    /// Their sum.
    pub sum: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// The spread of one value.
    pub const fn of(value: f64) -> Self {
        Self { count: 1, sum: value, min: value, max: value }
    }

    /// Adds another one.
    pub const fn add(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

/// What a step's metrics are when it maps: the mean of each over its items, and the least and the greatest as `<name>_min` and
/// `<name>_max`, so that gates can ask for either.
pub fn joined_metrics(spreads: &BTreeMap<String, Spread>) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    for (name, spread) in spreads {
        metrics.insert(name.clone(), spread.sum / f64::from(spread.count.max(1)));
        metrics.insert(format!("{name}_min"), spread.min);
        metrics.insert(format!("{name}_max"), spread.max);
    }
    metrics
}

/// Where an item's file is in the directory that a map step leaves for an output: by the item's number, so that the order of
/// names is the order of items, and with the type of the file that the step declares.
pub fn joined_name(item: u32, path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    match file.split_once('.').filter(|(stem, _)| !stem.is_empty()) {
        Some((_, extension)) => format!("{item:06}.{extension}"),
        None => format!("{item:06}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(items: u32) -> MapRecord {
        MapRecord { schema: 1, items, expanded_at: UtcTime::from_millis(0) }
    }

    #[test]
    fn blocks_hold_a_hundred_members_each_but_for_the_last() {
        let map = record(10_001);
        assert_eq!([map.blocks(1), map.blocks(2), map.blocks(3)], [101, 2, 1]);
        assert_eq!([map.members(1, 0), map.members(1, 99), map.members(1, 100)], [100, 100, 1]);
        assert_eq!([map.members(2, 0), map.members(2, 1), map.members(3, 0)], [100, 1, 2]);
        assert_eq!([record(0).blocks(1), record(1).blocks(1), record(100).blocks(1)], [0, 1, 1]);
    }

    #[test]
    fn tolerated_failures_of_a_share_are_rounded_down() {
        assert_eq!([Tolerance::Percent(5).of(10), Tolerance::Percent(5).of(20), Tolerance::Count(3).of(2)], [0, 1, 3]);
    }

    #[test]
    fn files_are_joined_in_the_order_of_items_with_their_type() {
        assert_eq!(joined_name(7, "scores.csv"), "000007.csv");
        assert_eq!(joined_name(12, "out/data.tar.gz"), "000012.tar.gz");
        assert_eq!(joined_name(12, "model"), "000012");
        assert_eq!(joined_name(12, ".hidden"), "000012");
    }
}
