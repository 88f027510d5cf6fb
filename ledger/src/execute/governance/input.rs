//! Takes the input of a governance action apart, field by field, and names the field that is wrong.

use serde_json::{Map, Value};

use super::super::reject::Reject;

/// Fields that have not been read yet.
pub struct Input(Map<String, Value>);

fn wrong(name: &str, what: &str) -> Reject {
    let message = format!("`{name}` must be {what}");
    Reject::new("INVALID_INPUT", message, format!("/input/{name}"))
}

impl Input {
    /// Inputs of statements are objects; anything else is refused all the same.
    pub fn new(input: &Value) -> Result<Self, Reject> {
        match input {
            Value::Object(map) => Ok(Self(map.clone())),
            _ => Err(Reject::new("INVALID_INPUT", "the input must be an object", "/input")),
        }
    }

    /// A text that must be there.
    pub fn text(&mut self, name: &str) -> Result<String, Reject> {
        match self.0.remove(name) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(wrong(name, "a text")),
            None => Err(Reject::new("INVALID_INPUT", format!("`{name}` is missing"), "/input")),
        }
    }

    /// A whole number that may be there.
    pub fn number(&mut self, name: &str) -> Result<Option<u64>, Reject> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| wrong(name, "a whole number")),
        }
    }

    /// Everything that was not read.
    pub fn rest(self) -> Map<String, Value> {
        self.0
    }

    /// Refuses what was not read.
    pub fn finish(self) -> Result<(), Reject> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let pointer = format!("/input/{}", name.replace('~', "~0").replace('/', "~1"));
                let message = format!("`{name}` is not a field of this action; remove it");
                Err(Reject::new("UNKNOWN_FIELD", message, pointer))
            }
        }
    }
}

impl From<Map<String, Value>> for Input {
    fn from(map: Map<String, Value>) -> Self {
        Self(map)
    }
}
