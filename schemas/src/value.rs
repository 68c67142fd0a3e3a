//! Parameter values and their types.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// The value of a parameter: what JSON can say, with whole numbers kept apart from fractions and keys in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Value {
    /// `null`: only inside lists and maps.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite fraction.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A map.
    Map(BTreeMap<String, Value>),
}

/// The declared type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    /// A text.
    String,
    /// A whole number of 64 bits.
    Int,
    /// A finite number.
    Float,
    /// `true` or `false`.
    Bool,
    /// A list of values.
    List,
    /// A map from text to values.
    Map,
}

impl ValueType {
    /// The type as it is written in a definition.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::List => "list",
            Self::Map => "map",
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Value {
    /// The type that a value has by itself; none for `null`.
    pub const fn value_type(&self) -> Option<ValueType> {
        match self {
            Self::Null => None,
            Self::Bool(_) => Some(ValueType::Bool),
            Self::Int(_) => Some(ValueType::Int),
            Self::Float(_) => Some(ValueType::Float),
            Self::Text(_) => Some(ValueType::String),
            Self::List(_) => Some(ValueType::List),
            Self::Map(_) => Some(ValueType::Map),
        }
    }

    /// The value as one of the given type, if it is one: a whole number also serves as a float, nothing else converts.
    #[expect(clippy::cast_precision_loss, reason = "a float parameter given as a whole number is read as YAML would")]
    pub fn coerce(self, to: ValueType) -> Result<Self, Self> {
        match (self, to) {
            (Self::Int(number), ValueType::Float) => Ok(Self::Float(number as f64)),
            (value, to) if value.value_type() == Some(to) => Ok(value),
            (value, _) => Err(value),
        }
    }

    /// Reads a value of the given type from a command line.
    ///
    /// # Errors
    /// A sentence that says what was expected.
    pub fn parse_as(text: &str, to: ValueType) -> Result<Self, String> {
        let fail = |expected: &str| Err(format!("`{text}` is no {to}: {expected}"));
        match to {
            ValueType::String => Ok(Self::Text(text.to_owned())),
            ValueType::Int => match text.parse() {
                Ok(number) => Ok(Self::Int(number)),
                Err(_) => fail("a whole number is needed"),
            },
            ValueType::Float => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Self::Float(number)),
                Ok(_) | Err(_) => fail("a finite number is needed"),
            },
            ValueType::Bool => match text {
                "true" => Ok(Self::Bool(true)),
                "false" => Ok(Self::Bool(false)),
                _ => fail("`true` or `false` is needed"),
            },
            ValueType::List | ValueType::Map => match serde_json::from_str::<Self>(text) {
                Ok(value) if value.value_type() == Some(to) => Ok(value),
                Ok(_) | Err(_) => fail("JSON of that type is needed"),
            },
        }
    }
}

impl fmt::Display for Value {
    /// A text as it is; everything else as JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            other => f.write_str(&serde_json::to_string(other).map_err(|_| fmt::Error)?),
        }
    }
}
