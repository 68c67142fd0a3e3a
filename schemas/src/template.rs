//! Templates: `{{ inputs.x }}`, `{{ outputs.y }}`, `{{ params.z }}`, `{{ secrets.s }}`, `{{ run.id }}`,
//! `{{ run.scheduled_time }}`, `{{ run.partition }}`, `{{ step.name }}`.
//!
//! A template fills one argument or one environment variable. What is filled in never becomes text for a shell or a
//! further template, so a value with spaces, quotes or braces stays what it is.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Serialize;

use crate::name::FieldName;

/// A text with references in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text that stays as it is.
    Text(String),
    /// A reference that is filled in.
    Reference(Reference),
}

/// What a template may refer to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// The path of an input file, or the value of an input that is a parameter.
    Input(FieldName),
    /// The path at which an output is expected.
    Output(FieldName),
    /// The value of a parameter.
    Param(FieldName),
    /// The value of a secret: only as the whole of an environment variable.
    Secret(FieldName),
    /// The id of the run.
    RunId,
    /// The time that the run is for.
    ScheduledTime,
    /// The day of that time.
    Partition,
    /// The name of the step.
    StepName,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(name) => write!(f, "inputs.{name}"),
            Self::Output(name) => write!(f, "outputs.{name}"),
            Self::Param(name) => write!(f, "params.{name}"),
            Self::Secret(name) => write!(f, "secrets.{name}"),
            Self::RunId => f.write_str("run.id"),
            Self::ScheduledTime => f.write_str("run.scheduled_time"),
            Self::Partition => f.write_str("run.partition"),
            Self::StepName => f.write_str("step.name"),
        }
    }
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct TemplateError {
    /// What is wrong.
    pub problem: String,
    /// Where the faulty `{{` begins, in bytes.
    pub offset: usize,
}

impl Template {
    /// A template without references.
    pub fn literal(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Text(text.into())] }
    }

    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            let offset = text.len() - rest.len() + start;
            if start > 0 {
                parts.push(Part::Text(rest[..start].to_owned()));
            }
            let inside = &rest[start + 2..];
            let Some(end) = inside.find("}}") else {
                return Err(TemplateError { problem: "`{{` without `}}`".to_owned(), offset });
            };
            let reference =
                parse_reference(inside[..end].trim()).map_err(|problem| TemplateError { problem, offset })?;
            parts.push(Part::Reference(reference));
            rest = &inside[end + 2..];
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// The pieces, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The references, in order.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Reference(reference) => Some(reference),
            Part::Text(_) => None,
        })
    }

    /// The parameters that are filled in.
    pub fn params(&self) -> impl Iterator<Item = &FieldName> {
        self.references().filter_map(|reference| match reference {
            Reference::Param(name) => Some(name),
            Reference::Input(_)
            | Reference::Output(_)
            | Reference::Secret(_)
            | Reference::RunId
            | Reference::ScheduledTime
            | Reference::Partition
            | Reference::StepName => None,
        })
    }

    /// The same template with `{{ step.name }}` filled in, which is known as soon as the definition is: so the name is
    /// part of what the step does, and of its cache key.
    pub fn with_step_name(&self, name: &str) -> Self {
        let mut parts: Vec<Part> = Vec::new();
        for part in &self.parts {
            let text = match part {
                Part::Reference(Reference::StepName) => name,
                Part::Text(text) => text,
                Part::Reference(_) => {
                    parts.push(part.clone());
                    continue;
                }
            };
            // Texts that have come to stand side by side become one, as when the template is written down and read again.
            match parts.last_mut() {
                Some(Part::Text(before)) => before.push_str(text),
                Some(Part::Reference(_)) | None => parts.push(Part::Text(text.to_owned())),
            }
        }
        Self { parts }
    }

    /// Fills in every reference by what `value` says of it.
    ///
    /// # Errors
    /// The first error of `value`.
    pub fn fill<E>(&self, mut value: impl FnMut(&Reference) -> Result<String, E>) -> Result<String, E> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Reference(reference) => text.push_str(&value(reference)?),
            }
        }
        Ok(text)
    }
}

fn parse_reference(text: &str) -> Result<Reference, String> {
    let known = "known are inputs.NAME, outputs.NAME, params.NAME, secrets.NAME, run.id, run.scheduled_time, run.partition and step.name";
    let Some((scope, name)) = text.split_once('.') else {
        return Err(format!("`{text}` is no reference: {known}"));
    };
    let field = || FieldName::new(name).map_err(|error| error.to_string());
    match (scope, name) {
        ("inputs", _) => Ok(Reference::Input(field()?)),
        ("outputs", _) => Ok(Reference::Output(field()?)),
        ("params", _) => Ok(Reference::Param(field()?)),
        ("secrets", _) => Ok(Reference::Secret(field()?)),
        ("run", "id") => Ok(Reference::RunId),
        ("run", "scheduled_time") => Ok(Reference::ScheduledTime),
        ("run", "partition") => Ok(Reference::Partition),
        ("step", "name") => Ok(Reference::StepName),
        _ => Err(format!("`{text}` is no reference: {known}")),
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Reference(reference) => write!(f, "{{{{ {reference} }}}}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Template {
    type Err = TemplateError;
    fn from_str(text: &str) -> Result<Self, TemplateError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;
    fn try_from(text: String) -> Result<Self, TemplateError> {
        Self::parse(&text)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> String {
        template.to_string()
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "a text, in which {{ inputs.NAME }}, {{ outputs.NAME }}, {{ params.NAME }}, {{ secrets.NAME }}, {{ run.id }}, {{ run.scheduled_time }}, {{ run.partition }} and {{ step.name }} are filled in" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_with_the_name_of_its_step_is_what_it_reads_as() {
        let template = Template::parse("a-{{ step.name }}-{{ run.id }}").expect("a template").with_step_name("fit");
        let json = serde_json::to_string(&template).expect("JSON");
        assert_eq!(serde_json::from_str::<Template>(&json).expect("read"), template);
    }
}
