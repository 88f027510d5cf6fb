//! YAML as the template compiler reads it: plain values with the line they stand on.
//!
//! Owns reading maps strictly: every key must be asked for, whatever is left over is an error. Floats are kept as
//! their own kind, so that the compiler can refuse them where they stand.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;

use super::TemplateError;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Line, from 1; 0 when unknown.
    pub line: u64,
    /// The value.
    pub value: Yaml,
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
            line: spanned.referenced.line(),
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
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Yaml::Map(entries))
    }
}

/// A node together with its path from the top of the document, for errors.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// The node.
    pub node: &'a Node,
    /// The way here.
    pub path: &'a Path<'a>,
}

/// A path as a linked list on the stack: written out only when something is wrong.
pub enum Path<'a> {
    /// The document.
    Top,
    /// A key of a map.
    Key(&'a Path<'a>, &'a str),
    /// A place in a list.
    Index(&'a Path<'a>, usize),
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Key(Self::Top, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl<'a> At<'a> {
    /// An error that stands here.
    pub fn error(&self, message: impl Into<String>) -> TemplateError {
        TemplateError {
            path: self.path.to_string(),
            line: (self.node.line > 0).then_some(self.node.line),
            message: message.into(),
        }
    }

    fn wrong(&self, wanted: &str) -> TemplateError {
        match self.node.value {
            Yaml::Float => {
                self.error("floats and integers beyond 64 bits are not allowed: use an integer in a small unit")
            }
            _ => self.error(format!("expected {wanted}, found {}", self.node.value.kind())),
        }
    }

    /// The string here.
    pub fn text(&self) -> Result<&'a str, TemplateError> {
        match &self.node.value {
            Yaml::Text(text) => Ok(text),
            _ => Err(self.wrong("a string")),
        }
    }

    /// The integer here.
    pub fn int(&self) -> Result<i64, TemplateError> {
        match self.node.value {
            Yaml::Int(value) => Ok(value),
            _ => Err(self.wrong("an integer")),
        }
    }

    /// The boolean here.
    pub fn bool(&self) -> Result<bool, TemplateError> {
        match self.node.value {
            Yaml::Bool(value) => Ok(value),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// Calls `each` for every element of the list here.
    pub fn each<T>(&self, mut each: impl FnMut(At<'_>) -> Result<T, TemplateError>) -> Result<Vec<T>, TemplateError> {
        let Yaml::List(list) = &self.node.value else {
            return Err(self.wrong("a list"));
        };
        list.iter()
            .enumerate()
            .map(|(index, node)| {
                each(At {
                    node,
                    path: &Path::Index(self.path, index),
                })
            })
            .collect()
    }

    /// Calls `each` for every entry of the map here, in source order.
    pub fn entries<T>(
        &self,
        mut each: impl FnMut(&'a str, At<'_>) -> Result<T, TemplateError>,
    ) -> Result<Vec<T>, TemplateError> {
        let Yaml::Map(map) = &self.node.value else {
            return Err(self.wrong("a map"));
        };
        map.iter()
            .map(|(key, node)| {
                each(
                    key,
                    At {
                        node,
                        path: &Path::Key(self.path, key),
                    },
                )
            })
            .collect()
    }

    /// Refuses every key that isn't in `allowed`.
    pub fn only(&self, allowed: &[&str]) -> Result<(), TemplateError> {
        self.entries(|key, at| {
            if allowed.contains(&key) {
                return Ok(());
            }
            Err(at.error(format!("unknown key `{key}`; allowed here: {}", allowed.join(", "))))
        })
        .map(drop)
    }

    /// Reads the value of `key` if it is there.
    pub fn get<T>(
        &self,
        key: &str,
        read: impl FnOnce(At<'_>) -> Result<T, TemplateError>,
    ) -> Result<Option<T>, TemplateError> {
        let Yaml::Map(map) = &self.node.value else {
            return Err(self.wrong("a map"));
        };
        let Some((_, node)) = map.iter().find(|(name, _)| name == key) else {
            return Ok(None);
        };
        read(At {
            node,
            path: &Path::Key(self.path, key),
        })
        .map(Some)
    }

    /// Reads the value of `key`, which must be there.
    pub fn need<T>(
        &self,
        key: &str,
        read: impl FnOnce(At<'_>) -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        self.get(key, read)?
            .ok_or_else(|| self.error(format!("the key `{key}` is missing")))
    }
}

/// Reads one YAML document.
pub fn parse(source: &str) -> Result<Node, TemplateError> {
    serde_yaml::from_str(source).map_err(|error| TemplateError {
        path: String::new(),
        line: error.location().map(|location| location.line()),
        message: error.to_string().lines().next().unwrap_or_default().to_owned(),
    })
}
