//! The JSON Schema 2020-12 subset of templates, compiled.
//!
//! Owns which keywords exist and that every size is bounded: a schema that compiles describes values of bounded size
//! and depth without floats, and checking a value is linear in it (`validate`). What a schema means for a value it
//! admits is exactly what JSON Schema says (tested against the `jsonschema` crate).

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};

use super::TemplateError;
use super::yaml::{At, Yaml};

/// Deepest nesting of a schema.
const MAX_DEPTH: usize = 8;
/// Most characters of a string.
pub const MAX_TEXT: i64 = 4_096;
/// Most items of an array.
pub const MAX_ITEMS: i64 = 1_000;
/// Most items of an array whose items must differ: they are compared pairwise.
const MAX_UNIQUE: i64 = 64;
/// Most properties of an object, and most values of an `enum`.
const MAX_NAMES: usize = 128;
/// Largest integer that JSON implementations agree on, 2^53 - 1.
pub const MAX_INT: i64 = (1 << 53) - 1;

/// What a value must look like.
#[derive(Clone, Debug, PartialEq)]
pub enum Schema {
    /// An object with exactly these properties, sorted by name.
    Object(Vec<Property>),
    /// An array.
    Array(Array),
    /// A string.
    Text(Text),
    /// An integer between two bounds, both included; one of `choices` unless that is empty.
    Int {
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
        /// Allowed values; empty means any.
        choices: Vec<i64>,
    },
    /// A boolean, perhaps a fixed one.
    Bool(Option<bool>),
}

/// One property of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// Name: ASCII letters, digits and `_`.
    pub name: String,
    /// Must it be there?
    pub required: bool,
    /// Its value.
    pub schema: Schema,
}

/// An array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Schemas of the first items.
    pub prefix: Vec<Schema>,
    /// Schema of every further item; none means that there are no further items.
    pub items: Option<Box<Schema>>,
    /// Fewest items.
    pub min: usize,
    /// Most items.
    pub max: usize,
    /// Must the items differ from each other?
    pub unique: bool,
}

/// A string.
#[derive(Clone, Debug)]
pub struct Text {
    /// Fewest characters.
    pub min: usize,
    /// Most characters.
    pub max: usize,
    /// Must match somewhere, as in JSON Schema.
    pub pattern: Option<Regex>,
    /// Allowed values; empty means any.
    pub choices: Vec<String>,
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        let pattern = |text: &Self| text.pattern.as_ref().map(|pattern| pattern.as_str().to_owned());
        self.min == other.min
            && self.max == other.max
            && self.choices == other.choices
            && pattern(self) == pattern(other)
    }
}

impl Schema {
    /// The property `name` of an object schema.
    pub fn property(&self, name: &str) -> Option<&Property> {
        match self {
            Self::Object(properties) => properties
                .binary_search_by(|property| property.name.as_str().cmp(name))
                .ok()
                .and_then(|index| properties.get(index)),
            _ => None,
        }
    }
}

impl Schema {
    /// Does this schema admit every value that the other does? May say no where the answer is hard to tell.
    pub fn admits(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Object(_), Self::Object(theirs)) => {
                theirs.iter().all(|property| {
                    let own = self.property(&property.name);
                    own.is_some_and(|own| own.schema.admits(&property.schema) && (property.required || !own.required))
                }) && self.required().all(|name| other.property(name).is_some())
            }
            (Self::Array(own), Self::Array(their)) => {
                let items = match (&own.items, &their.items) {
                    (_, None) => own.prefix.len() >= their.prefix.len(),
                    (Some(own), Some(their)) => own.admits(their),
                    (None, Some(_)) => false,
                };
                let prefix = own
                    .prefix
                    .iter()
                    .zip(&their.prefix)
                    .all(|(own, their)| own.admits(their));
                let bounds = own.min <= their.min && own.max >= their.max && (their.unique || !own.unique);
                items && prefix && own.prefix.len() == their.prefix.len() && bounds
            }
            (Self::Text(own), Self::Text(their)) => {
                let pattern = |text: &Text| text.pattern.as_ref().map(|pattern| pattern.as_str().to_owned());
                let fits = |choice: &String| super::validate::validate(self, &choice.as_str().into()).is_ok();
                if !their.choices.is_empty() {
                    return their.choices.iter().all(fits);
                }
                let same = own.pattern.is_none() || pattern(own) == pattern(their);
                own.choices.is_empty() && own.min <= their.min && own.max >= their.max && same
            }
            (
                Self::Int { min, max, choices },
                Self::Int {
                    min: least,
                    max: most,
                    choices: theirs,
                },
            ) => {
                let choices =
                    choices.is_empty() || !theirs.is_empty() && theirs.iter().all(|one| choices.contains(one));
                choices && min <= least && max >= most
            }
            (Self::Bool(own), Self::Bool(their)) => own.is_none() || own == their,
            _ => false,
        }
    }

    /// Most bytes of JSON that a value can take; text counts as if every character were escaped.
    pub fn most_bytes(&self) -> u64 {
        match self {
            Self::Object(properties) => properties.iter().fold(2, |sum, property| {
                let name = property.name.len() as u64 + 4;
                sum.saturating_add(name).saturating_add(property.schema.most_bytes())
            }),
            Self::Array(array) => {
                let items = array.items.iter().map(AsRef::as_ref).chain(&array.prefix);
                let item = items.map(Self::most_bytes).max().unwrap_or(0).saturating_add(1);
                item.saturating_mul(array.max as u64).saturating_add(2)
            }
            Self::Text(text) => text.max as u64 * 6 + 2,
            Self::Int { .. } => 17,
            Self::Bool(_) => 5,
        }
    }

    fn required(&self) -> impl Iterator<Item = &str> {
        let properties = match self {
            Self::Object(properties) => properties.as_slice(),
            _ => &[],
        };
        properties
            .iter()
            .filter(|property| property.required)
            .map(|property| property.name.as_str())
    }
}

/// Schemas that `$ref: "#/fields/NAME"` can name.
pub type Named = BTreeMap<String, Schema>;

/// Compiles an object schema, the only kind allowed at the top.
pub fn object(at: At<'_>, named: &Named) -> Result<Schema, TemplateError> {
    match compile(at, named, 0)? {
        schema @ Schema::Object(_) => Ok(schema),
        _ => Err(at.error("this schema must have `type: object`")),
    }
}

fn compile(at: At<'_>, named: &Named, depth: usize) -> Result<Schema, TemplateError> {
    if depth > MAX_DEPTH {
        return Err(at.error(format!("schemas may be nested at most {MAX_DEPTH} deep")));
    }
    if let Some(schema) = at.get("$ref", |at| reference(at, named))? {
        at.only(&["$ref", "title", "description"])?;
        return Ok(schema);
    }
    match at.need("type", |at| at.text().map(str::to_owned))?.as_str() {
        "object" => compile_object(at, named, depth),
        "array" => compile_array(at, named, depth),
        "string" => compile_text(at),
        "integer" => compile_int(at),
        "boolean" => {
            at.only(&["type", "title", "description", "const"])?;
            Ok(Schema::Bool(at.get("const", |at| at.bool())?))
        }
        "number" => {
            Err(at.error("`type: number` would allow floats; use `type: integer` in a small unit, such as cents"))
        }
        other => Err(at.error(format!(
            "type `{other}` is not supported; use object, array, string, integer or boolean"
        ))),
    }
}

fn reference(at: At<'_>, named: &Named) -> Result<Schema, TemplateError> {
    let target = at.text()?;
    target
        .strip_prefix("#/fields/")
        .and_then(|name| named.get(name))
        .cloned()
        .ok_or_else(|| {
            at.error(format!(
                "`{target}` names no field; write `#/fields/NAME` with a NAME from spec.fields"
            ))
        })
}

fn compile_object(at: At<'_>, named: &Named, depth: usize) -> Result<Schema, TemplateError> {
    at.only(&[
        "type",
        "title",
        "description",
        "properties",
        "required",
        "additionalProperties",
    ])?;
    if at.get("additionalProperties", |at| at.bool())? != Some(false) {
        return Err(at.error("an object needs `additionalProperties: false`: without it its size has no bound"));
    }
    let required = at
        .get("required", |at| at.each(|at| at.text().map(str::to_owned)))?
        .unwrap_or_default();
    let mut properties = at
        .get("properties", |at| {
            at.entries(|name, at| {
                check_name(name, at)?;
                Ok(Property {
                    name: name.to_owned(),
                    required: required.iter().any(|wanted| wanted == name),
                    schema: compile(at, named, depth + 1)?,
                })
            })
        })?
        .unwrap_or_default();
    if properties.len() > MAX_NAMES {
        return Err(at.error(format!("an object may have at most {MAX_NAMES} properties")));
    }
    properties.sort_by(|a, b| a.name.cmp(&b.name));
    for name in required {
        if !properties.iter().any(|property| property.name == name) {
            return Err(at.error(format!("`required` names `{name}`, which is not among `properties`")));
        }
    }
    Ok(Schema::Object(properties))
}

/// Names that need no escaping anywhere and sort the same in every implementation.
pub fn check_name(name: &str, at: At<'_>) -> Result<(), TemplateError> {
    let mut bytes = name.bytes();
    let good = bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.len() <= 64;
    if good {
        return Ok(());
    }
    Err(at.error(format!(
        "`{name}` is no name: use up to 64 ASCII letters, digits and `_`, first a letter"
    )))
}

fn size(at: At<'_>, key: &str, most: i64) -> Result<Option<usize>, TemplateError> {
    at.get(key, |at| {
        let value = at.int()?;
        usize::try_from(value)
            .ok()
            .filter(|_| value <= most)
            .ok_or_else(|| at.error(format!("`{key}` must be between 0 and {most}, not {value}")))
    })
}

fn compile_array(at: At<'_>, named: &Named, depth: usize) -> Result<Schema, TemplateError> {
    at.only(&[
        "type",
        "title",
        "description",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "uniqueItems",
    ])?;
    let prefix = at
        .get("prefixItems", |at| at.each(|at| compile(at, named, depth + 1)))?
        .unwrap_or_default();
    let items = at.need("items", |at| match at.node.value {
        Yaml::Bool(false) => Ok(None),
        _ => compile(at, named, depth + 1).map(|schema| Some(Box::new(schema))),
    })?;
    let unique = at.get("uniqueItems", |at| at.bool())?.unwrap_or(false);
    let max = match (
        size(at, "maxItems", if unique { MAX_UNIQUE } else { MAX_ITEMS })?,
        &items,
    ) {
        (Some(max), Some(_)) => max,
        (Some(max), None) => max.min(prefix.len()),
        (None, None) => prefix.len(),
        (None, Some(_)) => return Err(at.error("an array needs `maxItems`: without it its size has no bound")),
    };
    Ok(Schema::Array(Array {
        prefix,
        items,
        min: size(at, "minItems", MAX_ITEMS)?.unwrap_or(0),
        max,
        unique,
    }))
}

fn compile_text(at: At<'_>) -> Result<Schema, TemplateError> {
    at.only(&[
        "type",
        "title",
        "description",
        "minLength",
        "maxLength",
        "pattern",
        "enum",
        "const",
    ])?;
    let mut choices = at
        .get("enum", |at| at.each(|at| at.text().map(str::to_owned)))?
        .unwrap_or_default();
    if let Some(only) = at.get("const", |at| at.text().map(str::to_owned))? {
        choices = vec![only];
    }
    check_choices(at, choices.len())?;
    let max = match size(at, "maxLength", MAX_TEXT)? {
        Some(max) => max,
        None if !choices.is_empty() => choices.iter().map(|choice| choice.chars().count()).max().unwrap_or(0),
        None => {
            return Err(at.error("a string needs `maxLength` (or `enum` or `const`): without it its size has no bound"));
        }
    };
    let min = size(at, "minLength", MAX_TEXT)?.unwrap_or(0);
    Ok(Schema::Text(Text {
        min,
        max,
        pattern: at.get("pattern", pattern)?,
        choices,
    }))
}

fn check_choices(at: At<'_>, choices: usize) -> Result<(), TemplateError> {
    if choices > MAX_NAMES {
        return Err(at.error(format!("`enum` may have at most {MAX_NAMES} values")));
    }
    Ok(())
}

/// Patterns mean the same in ECMA 262 and in the `regex` crate, and match in linear time.
fn pattern(at: At<'_>) -> Result<Regex, TemplateError> {
    let source = at.text()?;
    if !source.is_ascii() || source.len() > 256 {
        return Err(at.error("a pattern may have at most 256 ASCII characters"));
    }
    let class = source
        .as_bytes()
        .windows(2)
        .find(|pair| pair[0] == b'\\' && pair[1].is_ascii_alphanumeric());
    if class.is_some() || source.contains("(?") {
        return Err(
            at.error("`\\d`, `\\w`, `(?` and the like differ between implementations; write classes such as [0-9]")
        );
    }
    RegexBuilder::new(source)
        .size_limit(256 * 1024)
        .dfa_size_limit(256 * 1024)
        .nest_limit(16)
        .build()
        .map_err(|error| at.error(format!("this pattern can't be used: {error}")))
}

fn compile_int(at: At<'_>) -> Result<Schema, TemplateError> {
    at.only(&["type", "title", "description", "minimum", "maximum", "enum", "const"])?;
    let mut choices = at.get("enum", |at| at.each(|at| at.int()))?.unwrap_or_default();
    if let Some(only) = at.get("const", |at| at.int())? {
        choices = vec![only];
    }
    check_choices(at, choices.len())?;
    let bound = |key: &str| {
        at.get(key, |at| {
            let value = at.int()?;
            if value.abs() > MAX_INT {
                return Err(at.error(format!("`{key}` must lie within ±{MAX_INT} (2^53 - 1)")));
            }
            Ok(value)
        })
    };
    Ok(Schema::Int {
        min: bound("minimum")?.unwrap_or(-MAX_INT),
        max: bound("maximum")?.unwrap_or(MAX_INT),
        choices,
    })
}
