//! Takes a parsed JSON object apart, field by field, moving values out; what is left over is unknown.

use serde_json::{Map, Value};

use crate::encoding::from_hex_exact;

/// A field is missing, unknown or of another shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The document is not an object.
    #[error("expected a JSON object")]
    Object,
    /// A required field is not there.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    /// A field of another shape.
    #[error("field `{0}` must be {1}")]
    Shape(&'static str, &'static str),
    /// A field that this format does not have.
    #[error("field `{0}` is not known; remove it")]
    Unknown(String),
}

pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    pub(crate) fn new(value: Value) -> Result<Self, FieldError> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            _ => Err(FieldError::Object),
        }
    }

    pub(crate) fn finish(self) -> Result<(), FieldError> {
        self.0
            .into_iter()
            .next()
            .map_or(Ok(()), |(name, _)| Err(FieldError::Unknown(name)))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn value(&mut self, name: &'static str) -> Result<Value, FieldError> {
        self.0.remove(name).ok_or(FieldError::Missing(name))
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, FieldError> {
        match self.value(name)? {
            Value::String(text) => Ok(text),
            _ => Err(FieldError::Shape(name, "a string")),
        }
    }

    /// A string that must have one given value.
    pub(crate) fn constant(&mut self, name: &'static str, wanted: &'static str) -> Result<(), FieldError> {
        if self.text(name)? == wanted {
            Ok(())
        } else {
            Err(FieldError::Shape(name, wanted))
        }
    }

    /// A string read by `read`; `shape` names what it must be.
    pub(crate) fn read<T>(
        &mut self,
        name: &'static str,
        shape: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, FieldError> {
        read(&self.text(name)?).ok_or(FieldError::Shape(name, shape))
    }

    pub(crate) fn hash(&mut self, name: &'static str) -> Result<[u8; 32], FieldError> {
        self.read(name, "32 bytes of lowercase hex", from_hex_exact)
    }

    pub(crate) fn integer(&mut self, name: &'static str) -> Result<u64, FieldError> {
        self.value(name)?
            .as_u64()
            .ok_or(FieldError::Shape(name, "a whole number"))
    }

    pub(crate) fn small(&mut self, name: &'static str) -> Result<u32, FieldError> {
        self.integer(name)?
            .try_into()
            .map_err(|_| FieldError::Shape(name, "a whole number below 2^32"))
    }

    pub(crate) fn object(&mut self, name: &'static str) -> Result<Map<String, Value>, FieldError> {
        match self.value(name)? {
            Value::Object(map) => Ok(map),
            _ => Err(FieldError::Shape(name, "an object")),
        }
    }

    pub(crate) fn array(&mut self, name: &'static str) -> Result<Vec<Value>, FieldError> {
        match self.value(name)? {
            Value::Array(items) => Ok(items),
            _ => Err(FieldError::Shape(name, "an array")),
        }
    }
}
