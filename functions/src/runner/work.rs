//! What an attempt is made at: a step, or an item of a step that maps, each as its attempts see it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use liminal_schemas::digest::Digest;
use liminal_schemas::map::BATCH_INPUT;
use liminal_schemas::map::ITEM_INPUT;
use liminal_schemas::map::Item;
use liminal_schemas::map::MapSource;
use liminal_schemas::map::MapSpec;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::StepName;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::DirectoryListing;
use liminal_schemas::run::Failure;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::StepSpec;
use liminal_schemas::unit::Unit;
use liminal_schemas::value::Value;

use super::context::RunContext;
use crate::executor::GivenObjects;
use crate::protocol::attempt::failure;

/// A step or an item, with what it is given besides its inputs from others.
pub(super) struct Work<'a> {
    pub(super) unit: Unit,
    /// For an item: the step without its map, and with the item among its inputs.
    pub(super) spec: Cow<'a, StepSpec>,
    /// The run's parameters as the step names them, and the item where it is a value.
    pub(super) params: Arc<BTreeMap<FieldName, Value>>,
    /// The item's content, where it is a file or several, by the input that holds it.
    pub(super) given: Option<(FieldName, Artifact)>,
    /// The item, where it is an object or several, by the input that holds it.
    pub(super) objects: Option<(FieldName, GivenObjects)>,
    /// What the item is, for people.
    pub(super) label: Option<String>,
}

impl<'a> Work<'a> {
    /// A step as a whole.
    pub(super) fn step(context: &'a RunContext, step: &StepName, spec: &'a StepSpec) -> Self {
        Self {
            unit: Unit::step(step.clone()),
            spec: Cow::Borrowed(spec),
            params: params_of(context, spec),
            given: None,
            objects: None,
            label: None,
        }
    }

    /// One item of a step. With it comes the listing of a directory that holds several files, which is to be in the store
    /// before an attempt is made.
    ///
    /// # Errors
    /// When the item is of no kind that the map could give.
    pub(super) fn item(
        context: &RunContext,
        step: &StepName,
        spec: &StepSpec,
        map: &MapSpec,
        number: u32,
        item: Item,
    ) -> Result<(Self, Option<DirectoryListing>), Failure> {
        let poison = |problem: &str| failure(FailureClass::Poison, format!("item {number}: {problem}"));
        let input = FieldName::new(map.input()).map_err(|error| poison(&error.to_string()))?;
        let label = item.label();
        let mut params = params_of(context, spec);
        let mut spec = spec.of_item();
        let (mut given, mut several, mut objects) = (None, None, None);
        match item {
            Item::Value(value) => {
                spec.inputs.insert(input.clone(), InputSource::Param { name: input.clone() });
                Arc::make_mut(&mut params).insert(input, value);
            }
            Item::File { file, .. } => {
                let artifact = Artifact { digest: file.digest, kind: ArtifactKind::File, bytes: file.bytes };
                spec.inputs.insert(input.clone(), source_of(map).ok_or_else(|| poison("its source holds no files"))?);
                given = Some((input, artifact));
            }
            Item::Files(files) => {
                let bytes = files.values().map(|file| file.bytes).sum();
                let listing = DirectoryListing { files };
                let artifact = Artifact { digest: Digest::of_document(&listing), kind: ArtifactKind::Directory, bytes };
                spec.inputs.insert(input.clone(), source_of(map).ok_or_else(|| poison("its source holds no files"))?);
                given = Some((input, artifact));
                several = Some(listing);
            }
            Item::Object(object) => objects = Some((input, GivenObjects::One(object))),
            Item::Objects(all) => objects = Some((input, GivenObjects::Several(all))),
        }
        let unit = Unit::item(step.clone(), number);
        Ok((Self { unit, spec: Cow::Owned(spec), params, given, objects, label: Some(label) }, several))
    }
}

impl Work<'_> {
    /// What the item is known by, where it is a value or an object: what tells one item from another.
    pub(super) fn item_digest(&self) -> Option<(FieldName, Digest)> {
        self.unit.item?;
        if let Some((name, objects)) = &self.objects {
            return Some((name.clone(), objects.content()));
        }
        if self.given.is_some() {
            return None;
        }
        let name = [ITEM_INPUT, BATCH_INPUT].into_iter().find(|name| self.spec.inputs.contains_key(*name))?;
        let name = FieldName::new(name).ok()?;
        let value = self.params.get(&name)?;
        Some((name, Digest::of_document(value)))
    }
}

/// The parameters of a run as a step names them.
fn params_of(context: &RunContext, spec: &StepSpec) -> Arc<BTreeMap<FieldName, Value>> {
    match spec.names.params(&context.params) {
        Cow::Borrowed(_) => Arc::clone(&context.params),
        Cow::Owned(params) => Arc::new(params),
    }
}

/// Where the files of a map come from.
fn source_of(map: &MapSpec) -> Option<InputSource> {
    match &map.over {
        MapSource::Files { step, output } => Some(InputSource::Output { step: step.clone(), output: output.clone() }),
        MapSource::Rows { .. } | MapSource::Values(_) | MapSource::Param { .. } | MapSource::Objects(_) => None,
    }
}
