//! What may be deposited: the check of one notarization request, before it is signed.
//!
//! Owns the form of a deposit. The rules of the business (duplicates, who may) are the template's.

use serde_json::{Map, Value};
use std::borrow::Cow;

use crate::body;
use crate::problem::{ApiError, Code};
use crate::sign::Kind;

/// What a deposit is on the ledger.
pub const KIND: Kind = Kind {
    template: Cow::Borrowed("notarization"),
    action: Cow::Borrowed("deposit"),
    revision: 1,
};

const FIELDS: &[&str] = &["digests", "mode", "size", "mediaType", "subject"];
const MAX_SUBJECT: usize = 256;
const MAX_MEDIA_TYPE: usize = 255;
/// Largest integer that JSON readers agree on.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Checks one deposit and gives the action's input.
///
/// # Errors
/// With a pointer into the item.
pub fn input(item: Value) -> Result<Map<String, Value>, ApiError> {
    let map = body::object(&item, "", FIELDS)?;
    digests(body::array(map, "digests", "")?)?;
    let mode = body::text(map, "mode", "")?;
    if mode != "plain" && mode != "salted" {
        return Err(ApiError::new(Code::INVALID_FIELD, "`mode` must be `plain` or `salted`").at("/mode"));
    }
    match map.get("size") {
        None | Some(Value::Null) => {}
        Some(size) if size.as_u64().is_some_and(|size| size <= MAX_INTEGER) => {}
        Some(size) => return Err(body::wrong("size", "a whole number of bytes below 2^53", size, "")),
    }
    if let Some(media_type) = body::optional_text(map, "mediaType", "")? {
        let fine = media_type.len() <= MAX_MEDIA_TYPE
            && media_type
                .split_once('/')
                .is_some_and(|(kind, sub)| !kind.is_empty() && !sub.is_empty())
            && media_type.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if !fine {
            let detail = "`mediaType` must look like `application/pdf` and have at most 255 characters";
            return Err(ApiError::new(Code::INVALID_FIELD, detail).at("/mediaType"));
        }
    }
    if let Some(subject) = body::optional_text(map, "subject", "")?
        && (subject.is_empty() || subject.len() > MAX_SUBJECT || subject.chars().any(char::is_control))
    {
        let detail = format!("`subject` must have 1 to {MAX_SUBJECT} bytes and no control characters");
        return Err(ApiError::new(Code::INVALID_FIELD, detail).at("/subject"));
    }
    let Value::Object(mut map) = item else {
        return Err(ApiError::internal("an object is no longer one"));
    };
    map.retain(|_, value| !value.is_null());
    // One order of digests, so that one document has one identity: sha-256 sorts first.
    if let Some(Value::Array(digests)) = map.get_mut("digests") {
        digests.sort_by(|one, two| one["alg"].as_str().cmp(&two["alg"].as_str()));
    }
    Ok(map)
}

fn digests(digests: &[Value]) -> Result<(), ApiError> {
    if digests.is_empty() || digests.len() > 2 {
        let detail = "`digests` must hold one sha-256 digest and may hold one sha-512 digest";
        return Err(ApiError::new(Code::INVALID_FIELD, detail).at("/digests"));
    }
    let mut seen = Vec::new();
    for (index, entry) in digests.iter().enumerate() {
        let at = format!("/digests/{index}");
        let map = body::object(entry, &at, &["alg", "value"])?;
        let alg = body::text(map, "alg", &at)?;
        let value = body::text(map, "value", &at)?;
        let length = match alg {
            "sha-256" => 64,
            "sha-512" => 128,
            _ => return Err(algorithm(alg, &at)),
        };
        if let Err(detail) = hex_digest(alg, value, length) {
            return Err(ApiError::new(Code::MALFORMED_DIGEST, detail).at(format!("{at}/value")));
        }
        if seen.contains(&alg) {
            let detail = format!("there are two {alg} digests; send one of each algorithm");
            return Err(ApiError::new(Code::INVALID_FIELD, detail).at(at));
        }
        seen.push(alg);
    }
    if !seen.contains(&"sha-256") {
        return Err(ApiError::new(Code::MISSING_FIELD, "a sha-256 digest is required").at("/digests"));
    }
    Ok(())
}

fn algorithm(alg: &str, at: &str) -> ApiError {
    let shown: String = alg.chars().take(32).collect();
    let lower = alg.to_ascii_lowercase();
    let hint = match lower.as_str() {
        "sha256" | "sha-256" | "sha_256" => " (did you mean `sha-256`?)",
        "sha512" | "sha-512" | "sha_512" => " (did you mean `sha-512`?)",
        _ => "",
    };
    ApiError::new(
        Code::UNKNOWN_ALGORITHM,
        format!("`{shown}` isn't known{hint}; use `sha-256` or `sha-512`"),
    )
    .at(format!("{at}/alg"))
}

fn hex_digest(alg: &str, value: &str, length: usize) -> Result<(), String> {
    if value.len() != length {
        return Err(format!(
            "a {alg} digest has {length} hex characters, this one has {}",
            value.len()
        ));
    }
    if let Some(at) = value
        .bytes()
        .position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        let fix = if value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            "write it in lower case"
        } else {
            "only 0-9 and a-f may stand there"
        };
        return Err(format!("character {} isn't lowercase hex; {fix}", at + 1));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    fn good() -> Value {
        json!({"digests": [{"alg": "sha-256", "value": "ab".repeat(32)}], "mode": "plain"})
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut item = good();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match item.pointer_mut(parent).unwrap() {
            Value::Object(map) => drop(map.insert(name.to_owned(), value)),
            Value::Array(list) => list.push(value),
            _ => unreachable!(),
        }
        item
    }

    #[test]
    fn each_fault_has_its_code_and_place() {
        let sha512 = json!({"alg": "sha-512", "value": "cd".repeat(64)});
        assert!(input(good()).is_ok());
        assert!(input(with("/digests/-", sha512.clone())).is_ok());
        let table = [
            (
                with("/digests/0/value", json!("AB".repeat(32))),
                "malformed_digest",
                "/digests/0/value",
            ),
            (
                with("/digests/0/value", json!("ab".repeat(31))),
                "malformed_digest",
                "/digests/0/value",
            ),
            (
                with("/digests/0/value", json!("zz".repeat(32))),
                "malformed_digest",
                "/digests/0/value",
            ),
            (with("/digests/0/value", json!(7)), "invalid_field", "/digests/0/value"),
            (
                with("/digests/0/alg", json!("md5")),
                "unknown_algorithm",
                "/digests/0/alg",
            ),
            (
                with("/digests/0/algo", json!("md5")),
                "unknown_field",
                "/digests/0/algo",
            ),
            (with("/digests", json!([])), "invalid_field", "/digests"),
            (with("/digests", json!([sha512])), "missing_field", "/digests"),
            (
                with("/digests/-", good()["digests"][0].clone()),
                "invalid_field",
                "/digests/1",
            ),
            (with("/mode", json!("secret")), "invalid_field", "/mode"),
            (with("/size", json!(-1)), "invalid_field", "/size"),
            (with("/size", json!(1.5)), "invalid_field", "/size"),
            (with("/size", json!(1u64 << 53)), "invalid_field", "/size"),
            (with("/mediaType", json!("pdf")), "invalid_field", "/mediaType"),
            (with("/subject", json!("x".repeat(257))), "invalid_field", "/subject"),
            (with("/subject", json!("a\u{0}b")), "invalid_field", "/subject"),
            (with("/file", json!("aGVsbG8=")), "looks_like_document", "/file"),
            (json!([]), "invalid_field", ""),
            (json!({"mode": "plain"}), "missing_field", "/digests"),
        ];
        for (item, code, pointer) in table {
            let error = input(item.clone()).unwrap_err();
            assert_eq!((error.code(), error.pointer()), (code, Some(pointer)), "{item}");
        }
    }
}
