//! What the trigger queue can hold: notifications of buckets, schedules, the sweeper's ticks, and events of ECS. None of it
//! is trusted: an event is a hint, and what is true is looked up.

use liminal_schemas::aws::names::TASK_CONTAINER;
use liminal_schemas::digest::Digest;
use liminal_schemas::message::SweepPart;
use liminal_schemas::message::TriggerMessage;
use liminal_schemas::name::PipelineName;
use liminal_schemas::time::UtcTime;
use serde::Deserialize;
use serde_json::Value;

/// What a message of the trigger queue says.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Objects were created in a bucket.
    Objects {
        /// Those that make sense.
        created: Vec<ObjectCreated>,
        /// What is wrong with the others.
        dropped: Vec<String>,
    },
    /// A schedule fired.
    Schedule {
        /// The pipeline.
        pipeline: PipelineName,
        /// The digest of the trigger.
        trigger: Digest,
        /// The time that it fired for; none when the message does not tell it.
        time: Option<UtcTime>,
    },
    /// The open runs are to be looked at.
    Sweep(SweepPart),
    /// A task stopped.
    TaskStopped(TaskStopped),
    /// Nothing is to be done, and nothing is wrong.
    Nothing,
    /// It makes no sense: why.
    Unknown(String),
}

/// An object was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectCreated {
    /// The bucket.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// The version, where the bucket keeps versions.
    pub version: Option<String>,
    /// The entity tag.
    pub etag: Option<String>,
    /// What tells events for one key apart, and which of them came later.
    pub sequencer: Option<String>,
    /// When.
    pub time: UtcTime,
}

impl ObjectCreated {
    /// What tells this content from an earlier one under the same key.
    pub fn identity(&self) -> &str {
        let known = self.version.as_deref().or(self.sequencer.as_deref()).or(self.etag.as_deref());
        known.unwrap_or_default()
    }
}

/// A task stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskStopped {
    /// The task's ARN.
    pub task: String,
    /// What it was started by: see [`crate::task_command::started_by`].
    pub started_by: Option<String>,
    /// The arguments that it was started with.
    pub arguments: Vec<String>,
    /// Why it stopped, as a code: `SpotInterruption`, `EssentialContainerExited`…
    pub code: Option<String>,
    /// Why it stopped, in words.
    pub reason: Option<String>,
    /// The exit status of its container; none when that never ran.
    pub exit_code: Option<i32>,
}

/// Reads a message of the trigger queue.
pub fn parse(body: &str) -> Event {
    let value: Value = match serde_json::from_str(body) {
        Ok(value) => value,
        Err(error) => return Event::Unknown(format!("it is no JSON: {error}")),
    };
    if value.get("liminal").is_some() {
        return own(value);
    }
    if value.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Event::Nothing;
    }
    if let Some(records) = value.get("Records").and_then(Value::as_array) {
        return objects(records);
    }
    match value.get("detail-type").and_then(Value::as_str) {
        Some("ECS Task State Change") => task(value),
        Some(other) => Event::Unknown(format!("`{}` is no event that starts or ends anything", short(other))),
        None => Event::Unknown("it is neither a notification of a bucket nor an event of ECS".to_owned()),
    }
}

fn own(value: Value) -> Event {
    match serde_json::from_value(value) {
        Ok(TriggerMessage::Sweep(part)) => Event::Sweep(part),
        Ok(TriggerMessage::Schedule { pipeline, trigger, time }) => {
            Event::Schedule { pipeline, trigger, time: time.parse().ok() }
        }
        Err(error) => Event::Unknown(format!("it is no message of this liminal: {error}")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    event_time: UtcTime,
    s3: S3,
}

#[derive(Deserialize)]
struct S3 {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    key: String,
    version_id: Option<String>,
    e_tag: Option<String>,
    sequencer: Option<String>,
}

fn objects(records: &[Value]) -> Event {
    let (mut created, mut dropped) = (Vec::new(), Vec::new());
    for record in records {
        match Record::deserialize(record) {
            Ok(record) => match object(record) {
                Ok(object) => created.extend(object),
                Err(problem) => dropped.push(problem),
            },
            Err(error) => dropped.push(format!("a record of a notification makes no sense: {error}")),
        }
    }
    Event::Objects { created, dropped }
}

fn object(record: Record) -> Result<Option<ObjectCreated>, String> {
    let key = decode(&record.s3.object.key)
        .ok_or_else(|| format!("the key {:?} of a notification is no UTF-8", short(&record.s3.object.key)))?;
    // What ends with `/` stands for a folder, and has no content.
    if !record.event_name.trim_start_matches("s3:").starts_with("ObjectCreated:") || key.ends_with('/') {
        return Ok(None);
    }
    let told = |text: Option<String>| text.filter(|text| !text.is_empty());
    Ok(Some(ObjectCreated {
        bucket: record.s3.bucket.name,
        key,
        // A bucket that keeps no versions any more calls all of them `null`.
        version: told(record.s3.object.version_id).filter(|version| version != "null"),
        etag: told(record.s3.object.e_tag).map(|etag| etag.trim_matches('"').to_owned()),
        sequencer: told(record.s3.object.sequencer),
        time: record.event_time,
    }))
}

/// Decodes a key as S3 encodes it in notifications: as in a form, with `+` for a space.
fn decode(key: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.bytes();
    while let Some(byte) = rest.next() {
        let decoded = match byte {
            b'+' => b' ',
            b'%' => {
                let mut ahead = rest.clone();
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                match (digit(ahead.next()), digit(ahead.next())) {
                    (Some(high), Some(low)) => {
                        rest = ahead;
                        u8::try_from(high * 16 + low).ok()?
                    }
                    _ => byte,
                }
            }
            other => other,
        };
        bytes.push(decoded);
    }
    String::from_utf8(bytes).ok()
}

#[derive(Deserialize)]
struct TaskEvent {
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    task_arn: String,
    last_status: String,
    started_by: Option<String>,
    stop_code: Option<String>,
    stopped_reason: Option<String>,
    #[serde(default)]
    containers: Vec<Container>,
    #[serde(default)]
    overrides: Overrides,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    name: Option<String>,
    exit_code: Option<i32>,
    reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Overrides {
    #[serde(default)]
    container_overrides: Vec<ContainerOverride>,
}

#[derive(Deserialize)]
struct ContainerOverride {
    name: Option<String>,
    #[serde(default)]
    command: Vec<String>,
}

fn task(value: Value) -> Event {
    let detail = match TaskEvent::deserialize(value) {
        Ok(event) => event.detail,
        Err(error) => return Event::Unknown(format!("it is no event of a task: {error}")),
    };
    // A task that is being stopped still writes down by itself how its attempt came out.
    if detail.last_status != "STOPPED" {
        return Event::Nothing;
    }
    let is_step = |name: &Option<String>| name.as_deref() == Some(TASK_CONTAINER);
    let container = detail.containers.into_iter().find(|container| is_step(&container.name));
    let overridden = detail.overrides.container_overrides.into_iter().find(|container| is_step(&container.name));
    let (exit_code, said) = container.map_or((None, None), |container| (container.exit_code, container.reason));
    Event::TaskStopped(TaskStopped {
        task: detail.task_arn,
        started_by: detail.started_by,
        arguments: overridden.map(|container| container.command).unwrap_or_default(),
        code: detail.stop_code,
        reason: said.or(detail.stopped_reason),
        exit_code,
    })
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}
