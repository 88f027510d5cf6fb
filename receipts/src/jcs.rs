//! Canonical JSON (RFC 8785) within the limits that all our documents keep: no floats, integers below 2^53,
//! no duplicate keys.
//!
//! Reading checks canonicity in one pass: keys must ascend, and writing the values again must give the same bytes.
//! Within the limits above `serde_json`'s compact text *is* RFC 8785 once the keys are in order; whatever is not in
//! order yet goes through `serde_json_canonicalizer`.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Integers of a document lie in `-MAX_INTEGER..=MAX_INTEGER`: those every JSON reader keeps exactly.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// JSON that is not, or can't be, canonical.
#[derive(Debug, thiserror::Error)]
pub enum JcsError {
    /// Not JSON, or JSON that breaks a limit; the source says where.
    #[error("not canonical JSON")]
    Json(#[source] serde_json::Error),
    /// White space, or another spelling of a string or number.
    #[error("not canonical JSON: differs from RFC 8785 at byte {0}")]
    Spelling(usize),
}

/// RFC 8785 bytes of a value. [`parse`] accepts exactly these.
///
/// # Errors
/// When the value has a float, an integer beyond [`MAX_INTEGER`], or can't be written as JSON.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, JcsError> {
    let plain = serde_json::to_vec(value).map_err(JcsError::Json)?;
    if walk::<false>(&plain).is_ok() {
        return Ok(plain);
    }
    // Keys out of order, or a value beyond the limits: the second walk tells which.
    let canonical = serde_json_canonicalizer::to_vec(&value).map_err(JcsError::Json)?;
    let numbers = serde_json::from_slice::<Value>(&plain).map_err(JcsError::Json)?;
    within_limits(&numbers)?;
    walk::<false>(&canonical)?;
    Ok(canonical)
}

/// Reads canonical JSON and nothing else.
///
/// # Errors
/// When a key appears twice or out of order, a number is a float or too large, or any byte differs from RFC 8785.
pub fn parse(bytes: &[u8]) -> Result<Value, JcsError> {
    walk::<true>(bytes)
}

fn within_limits(value: &Value) -> Result<(), JcsError> {
    match value {
        Value::Number(number) => {
            let fits = number
                .as_i64()
                .map(i64::unsigned_abs)
                .is_some_and(|magnitude| magnitude <= MAX_INTEGER);
            if fits {
                Ok(())
            } else {
                Err(JcsError::Json(serde_json::Error::custom(NUMBER)))
            }
        }
        Value::Array(items) => items.iter().try_for_each(within_limits),
        Value::Object(map) => map.values().try_for_each(within_limits),
        _ => Ok(()),
    }
}

const NUMBER: &str = "numbers must be integers between -(2^53-1) and 2^53-1";

/// Reads JSON while writing it again; `BUILD` tells whether the value is wanted.
fn walk<const BUILD: bool>(bytes: &[u8]) -> Result<Value, JcsError> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Walk::<BUILD> { out: &mut out }
        .deserialize(&mut deserializer)
        .map_err(JcsError::Json)?;
    deserializer.end().map_err(JcsError::Json)?;
    if out == bytes {
        return Ok(value);
    }
    let same = out.iter().zip(bytes).take_while(|(a, b)| a == b).count();
    Err(JcsError::Spelling(same))
}

struct Walk<'a, const BUILD: bool> {
    out: &'a mut Vec<u8>,
}

impl<const BUILD: bool> Walk<'_, BUILD> {
    fn write<E: Error, T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), E> {
        serde_json::to_writer(&mut *self.out, value).map_err(E::custom)
    }

    /// Writes a string that stood in the input without escapes. JSON lets no raw quote, backslash or control character
    /// stand there, so nothing in it needs an escape.
    fn write_plain(&mut self, text: &str) {
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
    }
}

impl<'de, const BUILD: bool> DeserializeSeed<'de> for Walk<'_, BUILD> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, const BUILD: bool> Visitor<'de> for Walk<'_, BUILD> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("canonical JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.out.extend_from_slice(b"null");
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<Value, E> {
        self.write(&value)?;
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(mut self, value: u64) -> Result<Value, E> {
        if value > MAX_INTEGER {
            return Err(E::custom(NUMBER));
        }
        self.write(&value)?;
        Ok(Value::from(value))
    }

    fn visit_i64<E: Error>(mut self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > MAX_INTEGER {
            return Err(E::custom(NUMBER));
        }
        self.write(&value)?;
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
        Err(E::custom(NUMBER))
    }

    fn visit_str<E: Error>(mut self, value: &str) -> Result<Value, E> {
        self.write(value)?;
        Ok(if BUILD { Value::from(value) } else { Value::Null })
    }

    fn visit_borrowed_str<E: Error>(mut self, value: &'de str) -> Result<Value, E> {
        self.write_plain(value);
        Ok(if BUILD { Value::from(value) } else { Value::Null })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        self.out.push(b'[');
        let mut first = true;
        loop {
            // The comma is written before the element is read, and taken back when there is none.
            let mark = self.out.len();
            if !first {
                self.out.push(b',');
            }
            let Some(item) = sequence.next_element_seed(Walk::<BUILD> { out: self.out })? else {
                self.out.truncate(mark);
                break;
            };
            first = false;
            if BUILD {
                items.push(item);
            }
        }
        self.out.push(b']');
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        let mut last: Option<Cow<'de, str>> = None;
        self.out.push(b'{');
        while let Some(key) = map.next_key_seed(Key)? {
            if let Some(last) = &last {
                if !ascends(last, &key) {
                    return Err(A::Error::custom(format_args!(
                        "key {key:?} is a duplicate or not in order"
                    )));
                }
                self.out.push(b',');
            }
            match &key {
                Cow::Borrowed(key) => self.write_plain(key),
                Cow::Owned(key) => self.write(key)?,
            }
            self.out.push(b':');
            let value = map.next_value_seed(Walk::<BUILD> { out: self.out })?;
            if BUILD {
                entries.push((key.clone().into_owned(), value));
            }
            last = Some(key);
        }
        self.out.push(b'}');
        // They ascend: the map is made in one go.
        Ok(Value::Object(entries.into_iter().collect()))
    }
}

/// RFC 8785 orders keys by UTF-16 code units, which is byte order as long as both are ASCII.
fn ascends(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        a < b
    } else {
        a.encode_utf16().lt(b.encode_utf16())
    }
}

/// Keeps a key borrowed where the input allows.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}
