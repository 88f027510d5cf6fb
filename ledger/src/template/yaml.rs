//! YAML as the template compiler reads it: plain values with the place they stand at.
//!
//! Floats are kept as their own kind, so that the compiler can refuse them where they stand. Taking values apart is the
//! reader's ([`At`]).

mod read;

pub use read::{At, Path, Run, similar};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{Location, Spanned};

use super::TemplateError;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where the value begins.
    pub start: Place,
    /// Where its key begins, for the values of a map.
    pub key: Option<Place>,
    /// The value.
    pub value: Yaml,
}

/// A place in a source. Of a file of 64 KiB, so that small numbers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From 1; 0 when unknown.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// Bytes before it.
    pub offset: u32,
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        let small = |number: u64| u32::try_from(number).unwrap_or(0);
        Self {
            line: small(location.line()),
            column: small(location.column()),
            offset: small(location.span().byte_offset().unwrap_or(0)),
        }
    }
}

/// A YAML value as far as templates need it.
#[derive(Clone, Debug)]
pub enum Yaml {
    /// Nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// Any other number: always refused, never looked into.
    Float,
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map in source order; keys are strings.
    Map(Vec<(String, Node)>),
}

impl Yaml {
    /// What a value is called in messages.
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Float => "a number that is not an integer",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Yaml>::deserialize(deserializer)?;
        Ok(Self {
            start: spanned.referenced.into(),
            key: None,
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = Yaml;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_none<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
        Ok(i64::try_from(value).map_or(Yaml::Float, Yaml::Int))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Yaml, E> {
        Ok(Yaml::Float)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Yaml, E> {
        Ok(Yaml::Float)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Yaml, E> {
        Ok(Yaml::Float)
    }

    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Yaml, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = seq.next_element()? {
            list.push(node);
        }
        Ok(Yaml::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Yaml, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, node)) = map.next_entry::<Spanned<String>, Node>()? {
            let place = Some(key.referenced.into());
            entries.push((key.value, Node { key: place, ..node }));
        }
        Ok(Yaml::Map(entries))
    }
}

/// Reads one YAML document.
pub fn parse(source: &str) -> Result<Node, TemplateError> {
    serde_yaml::from_str(source).map_err(|error| not_yaml(&error))
}

/// As [`parse`], for files that use few anchors often. The other bounds of the parser hold.
pub fn parse_repeating(source: &str) -> Result<Node, TemplateError> {
    let options = serde_yaml::options! { budget: serde_yaml::budget! { enforce_alias_anchor_ratio: false } };
    serde_yaml::from_str_with_options(source, options).map_err(|error| not_yaml(&error))
}

fn not_yaml(error: &serde_yaml::Error) -> TemplateError {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    // The parser writes the place before the message: `error: line 1 column 4: …`.
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let message = match first.split_once(": ") {
        Some((place, message)) if place.starts_with("line ") => message,
        _ => first,
    };
    TemplateError {
        path: String::new(),
        line: error.location().map(|location| location.line()),
        column: error.location().map(|location| location.column()),
        message: format!("this is not YAML that can be read: {message}"),
    }
}
