//! Reading request bodies: JSON with errors that name the place and the fix.

use serde_json::{Map, Value};

use crate::problem::{ApiError, Code};

/// First bytes of common document formats.
const DOCUMENTS: &[(&[u8], &str)] = &[
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP or office file"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"<?xml", "an XML file"),
    (b"<!DOCTYPE", "an HTML file"),
    (b"<html", "an HTML file"),
    (b"\x7fELF", "a program"),
    (b"\x1f\x8b", "a gzip file"),
];

/// Field names under which people send documents.
const CONTENT_FIELDS: &[&str] = &[
    "content", "contents", "document", "file", "data", "body", "base64", "text", "payload",
];

const HASH_IT: &str = "this API takes digests, never documents: run `sha256sum FILE` and send \
                       {\"digests\":[{\"alg\":\"sha-256\",\"value\":\"…\"}],\"mode\":\"plain\"}, or use `muniment notarize FILE`";

/// The JSON value of a body.
///
/// # Errors
/// `looks_like_document` or `malformed_json`.
pub fn json(bytes: &[u8]) -> Result<Value, ApiError> {
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(error) => {
            let start = bytes.trim_ascii_start();
            if let Some((_, what)) = DOCUMENTS.iter().find(|(magic, _)| start.starts_with(magic)) {
                return Err(document(&format!("the body is {what}")));
            }
            if std::str::from_utf8(bytes).is_err() {
                return Err(document("the body isn't text"));
            }
            let detail = if start.is_empty() {
                "the body is empty; send JSON".to_owned()
            } else {
                format!("{error}")
            };
            Err(ApiError::new(Code::MALFORMED_JSON, detail))
        }
    }
}

fn document(what: &str) -> ApiError {
    ApiError::new(Code::LOOKS_LIKE_DOCUMENT, format!("{what}; {HASH_IT}"))
}

/// The value as an object that has no other fields than these.
///
/// # Errors
/// `invalid_field`, `unknown_field` with the nearest name, `looks_like_document`.
pub fn object<'a>(value: &'a Value, at: &str, known: &[&str]) -> Result<&'a Map<String, Value>, ApiError> {
    let Value::Object(map) = value else {
        return Err(ApiError::new(
            Code::INVALID_FIELD,
            format!("expected an object, found {}", kind(value)),
        )
        .at(at));
    };
    for name in map.keys() {
        if known.contains(&name.as_str()) {
            continue;
        }
        let pointer = format!("{at}/{}", escape(name));
        if CONTENT_FIELDS.contains(&name.as_str()) {
            return Err(document(&format!("the field `{}` looks like a document", shorten(name))).at(pointer));
        }
        let hint = nearest(name, known)
            .map(|near| format!("did you mean `{near}`? "))
            .unwrap_or_default();
        let known = known.join("`, `");
        let detail = format!("there is no field `{}`; {hint}known fields: `{known}`", shorten(name));
        return Err(ApiError::new(Code::UNKNOWN_FIELD, detail).at(pointer));
    }
    Ok(map)
}

/// A string field that must be there.
///
/// # Errors
/// `missing_field` or `invalid_field`.
pub fn text<'a>(map: &'a Map<String, Value>, name: &str, at: &str) -> Result<&'a str, ApiError> {
    match map.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(wrong(name, "a string", other, at)),
        None => Err(missing(name, at)),
    }
}

/// A string field that may be absent.
///
/// # Errors
/// `invalid_field`.
pub fn optional_text<'a>(map: &'a Map<String, Value>, name: &str, at: &str) -> Result<Option<&'a str>, ApiError> {
    if map.get(name).is_none_or(Value::is_null) {
        Ok(None)
    } else {
        text(map, name, at).map(Some)
    }
}

/// An array field that must be there.
///
/// # Errors
/// `missing_field` or `invalid_field`.
pub fn array<'a>(map: &'a Map<String, Value>, name: &str, at: &str) -> Result<&'a [Value], ApiError> {
    match map.get(name) {
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(wrong(name, "an array", other, at)),
        None => Err(missing(name, at)),
    }
}

/// An object field that must be there, whatever its members are.
///
/// # Errors
/// `missing_field` or `invalid_field`.
pub fn map<'a>(map: &'a Map<String, Value>, name: &str, at: &str) -> Result<&'a Map<String, Value>, ApiError> {
    match map.get(name) {
        Some(Value::Object(inner)) => Ok(inner),
        Some(other) => Err(wrong(name, "an object", other, at)),
        None => Err(missing(name, at)),
    }
}

/// A field of a wrong JSON type.
pub fn wrong(name: &str, expected: &str, found: &Value, at: &str) -> ApiError {
    let detail = format!("`{name}` must be {expected}, found {}", kind(found));
    ApiError::new(Code::INVALID_FIELD, detail).at(format!("{at}/{name}"))
}

/// A field that must be there and isn't.
pub fn missing(name: &str, at: &str) -> ApiError {
    ApiError::new(Code::MISSING_FIELD, format!("`{name}` is missing")).at(format!("{at}/{name}"))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > 64 {
        return None;
    }
    let lower = name.to_lowercase();
    known
        .iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()),
                *candidate,
            )
        })
        .min()
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 2).clamp(1, 3))
        .map(|(_, candidate)| candidate)
}

/// RFC 6901 escaping.
fn escape(name: &str) -> String {
    shorten(name).replace('~', "~0").replace('/', "~1")
}

/// A caller's name as it may stand in an answer: short.
fn shorten(name: &str) -> String {
    if name.chars().count() <= 64 {
        name.to_owned()
    } else {
        name.chars().take(64).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn the_nearest_name_is_suggested() {
        let error = object(&json!({"digest": []}), "", &["digests", "mode"]).unwrap_err();
        assert_eq!(error.code(), "unknown_field");
        assert_eq!(error.pointer(), Some("/digest"));
        assert!(error.detail().contains("did you mean `digests`"), "{}", error.detail());
        let error = object(&json!({"zzzzzzzz": 1}), "/a", &["digests", "mode"]).unwrap_err();
        assert!(!error.detail().contains("did you mean"));
    }

    #[test]
    fn documents_are_named() {
        assert_eq!(super::json(b"%PDF-1.7 ...").unwrap_err().code(), "looks_like_document");
        assert_eq!(super::json(b"\xff\xfe\x00").unwrap_err().code(), "looks_like_document");
        assert_eq!(super::json(b"{").unwrap_err().code(), "malformed_json");
        assert_eq!(super::json(b"").unwrap_err().code(), "malformed_json");
        let error = object(&json!({"content": "aGVsbG8="}), "", &["digests"]).unwrap_err();
        assert_eq!(error.code(), "looks_like_document");
    }
}
