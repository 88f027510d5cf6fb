//! What is known of a value before it is there.

use std::collections::BTreeMap;
use std::fmt;

use crate::template::schema::Schema;

/// The kind of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Nothing is known.
    Any,
    /// No value at all: the items of an empty list.
    Never,
    /// null
    Null,
    /// A boolean.
    Bool,
    /// An integer.
    Int,
    /// A string.
    Text,
    /// A list of at most so many items.
    List(Box<Shape>, u64),
    /// An object with exactly these fields (some perhaps absent).
    Object(BTreeMap<String, Shape>),
}

impl Shape {
    /// What is known of a value that is one or the other.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, known) | (known, Self::Never) => known,
            (Self::List(a, first), Self::List(b, second)) => Self::List(Box::new(a.join(*b)), first.max(second)),
            (a, b) if a == b => a,
            _ => Self::Any,
        }
    }

    /// Can a value be of both shapes?
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any | Self::Never, _) | (_, Self::Any | Self::Never) => true,
            (Self::List(a, _), Self::List(b, _)) => a.meets(b),
            (Self::Object(_), Self::Object(_)) => true,
            (a, b) => a == b,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any | Self::Never => "a value",
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Int => "an integer",
            Self::Text => "a string",
            Self::List(..) => "a list",
            Self::Object(_) => "an object",
        })
    }
}

impl From<&Schema> for Shape {
    fn from(schema: &Schema) -> Self {
        match schema {
            Schema::Object(properties) => Self::Object(
                properties
                    .iter()
                    .map(|property| (property.name.clone(), Self::from(&property.schema)))
                    .collect(),
            ),
            Schema::Array(array) => {
                let items = array.prefix.iter().chain(array.items.as_deref());
                let item = items.map(Self::from).fold(Self::Never, Self::join);
                Self::List(Box::new(item), array.max as u64)
            }
            Schema::Text(_) => Self::Text,
            Schema::Int { .. } => Self::Int,
            Schema::Bool(_) => Self::Bool,
        }
    }
}
