//! Values in cases: JSON, with a few words for what is known only while a case runs.
//!
//! | word | value |
//! |---|---|
//! | `{ $record: NAME }` | id of the record that an earlier step named |
//! | `{ $member: NAME }` | signer key of a party |
//! | `{ $digest: TEXT }` | SHA-256 of the text, hex; of a list of values, of their texts one after the other |
//! | `{ $time: DURATION }` | block time of this step plus a duration, in milliseconds |
//! | `{ $repeat: [TEXT, COUNT] }` | a text many times over |
//! | `{ $text: [VALUE, …] }` | the texts of values, one after the other |
//! | `{ $count: NUMBER }` | that number and how often the step was taken before (`times`) |

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::template::TemplateError;
use crate::template::yaml::{At, Yaml};

/// Longest text that `$repeat` makes, in bytes.
const MAX_REPEAT: usize = 64 * 1024;
/// Deepest nesting of a value.
const MAX_DEPTH: usize = 32;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Plain JSON.
    Plain(Value),
    /// A list with words in it.
    List(Vec<Data>),
    /// An object with words in it.
    Object(Vec<(String, Data)>),
    /// Id of a named record.
    Record(String),
    /// Signer key of a party.
    Member(String),
    /// SHA-256 of texts one after the other.
    Digest(Vec<Data>),
    /// Texts one after the other.
    Text(Vec<Data>),
    /// A number, and how often the step was taken before.
    Count(i64),
    /// Block time plus milliseconds.
    Time(i64),
}

/// What the words of a value stand for while a case runs.
pub trait Names {
    /// Hex id of a record that has been named.
    fn record(&self, name: &str) -> Option<String>;
    /// Signer key of a party.
    fn member(&self, name: &str) -> Option<String>;
    /// Block time, milliseconds.
    fn time(&self) -> u64;
    /// How often this step was taken before.
    fn count(&self) -> u32;
}

impl Data {
    /// The value, or the name of a record that isn't there.
    pub fn resolve(&self, names: &dyn Names) -> Result<Value, String> {
        match self {
            Self::Plain(value) => Ok(value.clone()),
            Self::List(items) => items.iter().map(|item| item.resolve(names)).collect(),
            Self::Object(members) => members
                .iter()
                .map(|(name, value)| Ok((name.clone(), value.resolve(names)?)))
                .collect(),
            Self::Record(name) => names.record(name).map(Value::String).ok_or_else(|| name.clone()),
            Self::Member(name) => names.member(name).map(Value::String).ok_or_else(|| name.clone()),
            Self::Digest(parts) => Ok(hex::encode(Sha256::digest(text(parts, names)?)).into()),
            Self::Text(parts) => text(parts, names).map(Value::String),
            Self::Count(first) => Ok(first.saturating_add(names.count().into()).into()),
            Self::Time(plus) => Ok(names.time().saturating_add_signed(*plus).into()),
        }
    }
}

fn text(parts: &[Data], names: &dyn Names) -> Result<String, String> {
    let texts = parts.iter().map(|part| {
        Ok(match part.resolve(names)? {
            Value::String(text) => text,
            other => other.to_string(),
        })
    });
    texts.collect()
}

/// What a value may name.
pub trait Known {
    /// An error when the word can't be used.
    fn record(&self, at: At<'_>, name: &str) -> Result<(), TemplateError>;
    /// An error when the word can't be used.
    fn member(&self, at: At<'_>, name: &str) -> Result<(), TemplateError>;
}

/// Reads a value.
pub fn data(at: At<'_>, known: &dyn Known) -> Result<Data, TemplateError> {
    below(at, known, 0)
}

fn below(at: At<'_>, known: &dyn Known, depth: usize) -> Result<Data, TemplateError> {
    if depth > MAX_DEPTH {
        return Err(at.error(format!("values may be nested at most {MAX_DEPTH} deep")));
    }
    Ok(match &at.node.value {
        Yaml::Null => Data::Plain(Value::Null),
        Yaml::Bool(value) => Data::Plain((*value).into()),
        Yaml::Int(value) => Data::Plain((*value).into()),
        Yaml::Text(text) => Data::Plain(text.as_str().into()),
        // Fails, and says why.
        Yaml::Float => Data::Plain(at.int()?.into()),
        Yaml::List(_) => {
            let items = at.each(|at| below(at, known, depth + 1))?;
            plain_list(&items).map_or(Data::List(items), Data::Plain)
        }
        Yaml::Map(entries) => match entries.as_slice() {
            [(word, _)] if word.starts_with('$') => at.need(word, |value| self::word(word, value, known))?,
            _ => {
                let members = at.entries(|name, at| Ok((name.to_owned(), below(at, known, depth + 1)?)))?;
                plain_object(&members).map_or(Data::Object(members), Data::Plain)
            }
        },
    })
}

fn plain_list(items: &[Data]) -> Option<Value> {
    let plain = |item: &Data| match item {
        Data::Plain(value) => Some(value.clone()),
        _ => None,
    };
    items.iter().map(plain).collect()
}

fn plain_object(members: &[(String, Data)]) -> Option<Value> {
    let plain = |(name, value): &(String, Data)| match value {
        Data::Plain(value) => Some((name.clone(), value.clone())),
        _ => None,
    };
    members.iter().map(plain).collect()
}

fn word(word: &str, at: At<'_>, known: &dyn Known) -> Result<Data, TemplateError> {
    match word {
        "$record" => {
            let name = at.text()?;
            known.record(at, name)?;
            Ok(Data::Record(name.to_owned()))
        }
        "$member" => {
            let name = at.text()?;
            known.member(at, name)?;
            Ok(Data::Member(name.to_owned()))
        }
        "$digest" => match &at.node.value {
            Yaml::List(_) => at.each(|at| data(at, known)).map(Data::Digest),
            _ => Ok(Data::Plain(hex::encode(Sha256::digest(at.text()?)).into())),
        },
        "$text" => at.each(|at| data(at, known)).map(Data::Text),
        "$count" => at.int().map(Data::Count),
        "$time" => Ok(Data::Time(offset(at)?)),
        "$repeat" => repeat(at),
        other => Err(at.key_error(format!(
            "`{other}` is no word; there are $record, $member, $digest, $time, $text, $count and $repeat"
        ))),
    }
}

fn repeat(at: At<'_>) -> Result<Data, TemplateError> {
    let Yaml::List(parts) = &at.node.value else {
        return Err(at.error("write $repeat: [TEXT, COUNT]"));
    };
    match parts.as_slice() {
        [text, count] => match (&text.value, &count.value) {
            (Yaml::Text(text), Yaml::Int(count)) => {
                let count = usize::try_from(*count)
                    .ok()
                    .filter(|count| count.saturating_mul(text.len()) <= MAX_REPEAT);
                let count = count.ok_or_else(|| at.error(format!("this makes more than {MAX_REPEAT} bytes")))?;
                Ok(Data::Plain(text.repeat(count).into()))
            }
            _ => Err(at.error("write $repeat: [TEXT, COUNT]")),
        },
        _ => Err(at.error("write $repeat: [TEXT, COUNT]")),
    }
}

/// A duration that may be negative, in milliseconds.
fn offset(at: At<'_>) -> Result<i64, TemplateError> {
    let text = at.text()?.trim();
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    Ok(sign * i64::try_from(milliseconds(at, text.trim())?).unwrap_or(i64::MAX))
}

/// A duration such as `3days`, `2h 30m` or `0s`, in milliseconds.
pub fn duration(at: At<'_>) -> Result<u64, TemplateError> {
    milliseconds(at, at.text()?)
}

fn milliseconds(at: At<'_>, text: &str) -> Result<u64, TemplateError> {
    humantime::parse_duration(text)
        .ok()
        .and_then(|duration| u64::try_from(duration.as_millis()).ok())
        .filter(|milliseconds| *milliseconds < crate::block::MAX_TIME / 2)
        .ok_or_else(|| {
            at.error(format!(
                "`{text}` is no duration; write for instance 90s, 2h 30m or 3days"
            ))
        })
}
