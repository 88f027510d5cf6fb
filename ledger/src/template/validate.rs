//! Checks a JSON value against a compiled schema.
//!
//! On the hot path of every action: allocates only to describe a failure.

use serde_json::Value;

use super::schema::{Array, Property, Schema, Text};

/// The first thing that is wrong with a value, in the order of the value's own keys and items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Is it a property that the schema doesn't know?
    pub unknown: bool,
    /// JSON pointer to the place at fault, relative to the value that was checked.
    pub pointer: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl Invalid {
    fn here(message: impl Into<String>) -> Self {
        Self {
            unknown: false,
            pointer: String::new(),
            message: message.into(),
        }
    }

    /// The whole sentence. Messages say of what is at fault what it must be.
    pub fn sentence(&self) -> String {
        match self.pointer.strip_prefix('/') {
            _ if self.unknown => self.message.clone(),
            None => format!("the input {}", self.message),
            Some(place) => format!("`{place}` {}", self.message),
        }
    }

    fn below(mut self, segment: impl std::fmt::Display) -> Self {
        let escaped = segment.to_string().replace('~', "~0").replace('/', "~1");
        self.pointer.insert_str(0, &escaped);
        self.pointer.insert(0, '/');
        self
    }
}

/// Checks `value` against `schema`.
pub fn validate(schema: &Schema, value: &Value) -> Result<(), Invalid> {
    match schema {
        Schema::Object(properties) => object(properties, value),
        Schema::Array(array) => list(array, value),
        Schema::Text(text) => string(text, value),
        Schema::Int { min, max, choices } => int(*min, *max, choices, value),
        Schema::Bool(only) => match (value, only) {
            (Value::Bool(value), Some(only)) if value != only => Err(Invalid::here(format!("must be {only}"))),
            (Value::Bool(_), _) => Ok(()),
            _ => Err(Invalid::here("must be true or false")),
        },
    }
}

fn object(properties: &[Property], value: &Value) -> Result<(), Invalid> {
    let Value::Object(map) = value else {
        return Err(Invalid::here("must be an object"));
    };
    // Both are sorted by name.
    let (mut members, mut stranger) = (map.iter().peekable(), None);
    for property in properties {
        while let Some((name, _)) = members.next_if(|(name, _)| **name < property.name) {
            stranger = stranger.or(Some(name));
        }
        match members.next_if(|(name, _)| **name == property.name) {
            Some((_, value)) => validate(&property.schema, value).map_err(|invalid| invalid.below(&property.name))?,
            None if property.required => return Err(Invalid::here(format!("lacks `{}`", property.name))),
            None => {}
        }
    }
    let Some(stranger) = stranger.or(members.next().map(|(name, _)| name)) else {
        return Ok(());
    };
    let allowed: Vec<_> = properties.iter().map(|property| property.name.as_str()).collect();
    let short: String = stranger.chars().take(64).collect();
    let message = format!("unknown field `{short}`; allowed here: {}", allowed.join(", "));
    Err(Invalid {
        unknown: true,
        ..Invalid::here(message)
    }
    .below(stranger))
}

fn list(array: &Array, value: &Value) -> Result<(), Invalid> {
    let Value::Array(items) = value else {
        return Err(Invalid::here("must be a list"));
    };
    if items.len() < array.min {
        return Err(Invalid::here(format!("must have at least {} items", array.min)));
    }
    if items.len() > array.max {
        return Err(Invalid::here(format!("must have at most {} items", array.max)));
    }
    for (index, item) in items.iter().enumerate() {
        let schema = array.prefix.get(index).or(array.items.as_deref());
        let Some(schema) = schema else {
            return Err(Invalid::here("has too many items").below(index));
        };
        validate(schema, item).map_err(|invalid| invalid.below(index))?;
        if array.unique && items.iter().take(index).any(|earlier| earlier == item) {
            return Err(Invalid::here("is the same as an earlier item").below(index));
        }
    }
    Ok(())
}

fn string(text: &Text, value: &Value) -> Result<(), Invalid> {
    let Value::String(value) = value else {
        return Err(Invalid::here("must be a string"));
    };
    if !text.choices.is_empty() && !text.choices.contains(value) {
        return Err(Invalid::here(format!("must be one of: {}", text.choices.join(", "))));
    }
    // JSON Schema counts characters; most strings are ASCII, where those are the bytes.
    let characters = if value.is_ascii() {
        value.len()
    } else {
        value.chars().count()
    };
    if characters < text.min {
        return Err(Invalid::here(format!("must have at least {} characters", text.min)));
    }
    if characters > text.max {
        return Err(Invalid::here(format!("must have at most {} characters", text.max)));
    }
    match &text.pattern {
        Some(pattern) if !pattern.is_match(value) => Err(Invalid::here(format!("must match {}", pattern.as_str()))),
        _ => Ok(()),
    }
}

fn int(min: i64, max: i64, choices: &[i64], value: &Value) -> Result<(), Invalid> {
    let Some(value) = value.as_i64() else {
        return Err(Invalid::here("must be an integer"));
    };
    if !choices.is_empty() && !choices.contains(&value) {
        let choices: Vec<_> = choices.iter().map(i64::to_string).collect();
        return Err(Invalid::here(format!("must be one of: {}", choices.join(", "))));
    }
    if value < min {
        return Err(Invalid::here(format!("must be at least {min}")));
    }
    if value > max {
        return Err(Invalid::here(format!("must be at most {max}")));
    }
    Ok(())
}
