//! The unit of work: what attempts are made at, and what a commit ends.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::name::StepName;

/// A step, or one item of a step that maps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Unit {
    /// The step.
    pub step: StepName,
    /// The item's number, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
}

/// A [`Unit`] by reference: what functions take that need no unit of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitRef<'a> {
    /// The step.
    pub step: &'a StepName,
    /// The item's number, from 0.
    pub item: Option<u32>,
}

impl Unit {
    /// A step as a whole.
    pub const fn step(step: StepName) -> Self {
        Self { step, item: None }
    }

    /// An item of a step.
    pub const fn item(step: StepName, item: u32) -> Self {
        Self { step, item: Some(item) }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        UnitRef::from(self).fmt(f)
    }
}

impl fmt::Display for UnitRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item {
            None => self.step.fmt(f),
            Some(item) => write!(f, "{}[{item}]", self.step),
        }
    }
}

impl<'a> From<&'a StepName> for UnitRef<'a> {
    fn from(step: &'a StepName) -> Self {
        Self { step, item: None }
    }
}

impl<'a> From<&'a Unit> for UnitRef<'a> {
    fn from(unit: &'a Unit) -> Self {
        Self { step: &unit.step, item: unit.item }
    }
}

impl From<UnitRef<'_>> for Unit {
    fn from(unit: UnitRef<'_>) -> Self {
        Self { step: unit.step.clone(), item: unit.item }
    }
}

impl From<StepName> for Unit {
    fn from(step: StepName) -> Self {
        Self::step(step)
    }
}
