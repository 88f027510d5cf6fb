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
    /// A string of at most so many bytes.
    Text(u64),
    /// A list of at most so many items.
    List(Box<Shape>, u64),
    /// An object with exactly these fields (some perhaps absent).
    Object(BTreeMap<String, Shape>),
}

/// Bytes of text that count for one step where they are looked at.
const STEP_BYTES: u64 = 64;

impl Shape {
    /// Steps that it takes to look at all of a value, as comparing, joining and searching do.
    pub fn weight(&self) -> u64 {
        match self {
            Self::Text(bytes) => bytes / STEP_BYTES,
            Self::List(item, max) => max.saturating_mul(item.weight().saturating_add(1)),
            Self::Object(fields) => fields
                .values()
                .fold(0, |sum, field| sum.saturating_add(field.weight()).saturating_add(1)),
            _ => 0,
        }
    }

    /// Parts that it is made of, itself among them.
    pub fn parts(&self) -> usize {
        1 + match self {
            Self::List(item, _) => item.parts(),
            Self::Object(fields) => fields.values().map(Self::parts).sum(),
            _ => 0,
        }
    }

    /// What is known of a value that is one or the other.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, known) | (known, Self::Never) => known,
            (Self::List(a, first), Self::List(b, second)) => Self::List(Box::new(a.join(*b)), first.max(second)),
            (Self::Text(a), Self::Text(b)) => Self::Text(a.max(b)),
            (Self::Object(a), Self::Object(b)) if a.keys().eq(b.keys()) => Self::Object(
                a.into_iter()
                    .zip(b)
                    .map(|((name, a), (_, b))| (name, a.join(b)))
                    .collect(),
            ),
            (a, b) if a == b => a,
            _ => Self::Any,
        }
    }

    /// Can a value be of both shapes?
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any | Self::Never, _) | (_, Self::Any | Self::Never) => true,
            (Self::List(a, _), Self::List(b, _)) => a.meets(b),
            (Self::Object(_), Self::Object(_)) | (Self::Text(_), Self::Text(_)) => true,
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
            Self::Text(_) => "a string",
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
            // A character takes four bytes at most.
            Schema::Text(text) => Self::Text(text.max as u64 * 4),
            Schema::Int { .. } => Self::Int,
            Schema::Bool(_) => Self::Bool,
        }
    }
}
