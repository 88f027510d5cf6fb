//! The JSON form as text: read with errors that name the place, written, and its schema.

use crate::make::MakeError;
use crate::model::Invoice;
use crate::xml::allowed;

/// What the JSON library says where a decimal is expected, and what a person understands.
const DECIMAL: (&str, &str) = (
    "a Decimal type representing a fixed-point number",
    "a number as text, such as \"12.50\"",
);

/// An invoice as its JSON form has it; nothing is computed.
///
/// # Errors
/// The text is not the JSON form, or has a character that no XML can hold.
pub fn read_form(json: &[u8]) -> Result<Invoice, MakeError> {
    let invoice = serde_json::from_slice(json).map_err(|error| unread(json, &error))?;
    if may_hold_others(json) {
        let value = serde_json::from_slice(json).map_err(|error| unread(json, &error))?;
        characters(&value, "")?;
    }
    Ok(invoice)
}

/// The JSON form of an invoice.
///
/// # Errors
/// Never for a model; the type is that of the JSON library.
pub fn to_json(invoice: &Invoice) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(invoice)
}

/// The JSON schema of the JSON form (draft 2020-12).
#[must_use]
pub fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Invoice).to_value();
    texts_for_decimals(&mut schema);
    schema
}

/// Decimals are texts in the JSON form, never JSON numbers, which would be binary.
fn texts_for_decimals(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Object(members) => {
            if let Some(kinds) = members.get_mut("type").and_then(serde_json::Value::as_array_mut) {
                let text = kinds.iter().any(|kind| kind == "string");
                kinds.retain(|kind| !(text && kind == "number"));
            }
            members.values_mut().for_each(texts_for_decimals);
        }
        serde_json::Value::Array(members) => members.iter_mut().for_each(texts_for_decimals),
        _ => {}
    }
}

/// What is wrong, and in which member. Only what can't be read is read again to find that out.
fn unread(json: &[u8], error: &serde_json::Error) -> MakeError {
    let reason = error.to_string().replace(DECIMAL.0, DECIMAL.1);
    let mut reader = serde_json::Deserializer::from_slice(json);
    let again: Result<Invoice, _> = serde_path_to_error::deserialize(&mut reader);
    let path = again.err().map(|error| error.path().to_string());
    MakeError::Json(match path.filter(|path| path != ".") {
        Some(path) => format!("{path}: {reason}"),
        None => reason,
    })
}

/// Whether a text may have a character that XML can't hold. Nearly none has, and then nothing is read twice: JSON writes
/// all but two of them as escapes.
fn may_hold_others(json: &[u8]) -> bool {
    let escaped = |pair: &[u8]| matches!(pair, [b'\\', b'u' | b'b' | b'f']);
    let noncharacter = |triple: &[u8]| matches!(triple, [0xEF, 0xBF, 0xBE | 0xBF]);
    json.windows(2).any(escaped) || json.windows(3).any(noncharacter)
}

/// Refuses a character that XML can't hold: nobody wants a replacement mark in what was signed.
fn characters(value: &serde_json::Value, field: &str) -> Result<(), MakeError> {
    match value {
        serde_json::Value::String(text) => match text.chars().find(|one| !allowed(*one)) {
            None => Ok(()),
            Some(character) => Err(MakeError::Character {
                field: field.to_owned(),
                character,
            }),
        },
        serde_json::Value::Array(items) => {
            let mut numbered = items.iter().enumerate();
            numbered.try_for_each(|(place, item)| characters(item, &format!("{field}[{place}]")))
        }
        serde_json::Value::Object(members) => members.iter().try_for_each(|(name, member)| {
            let dot = if field.is_empty() { "" } else { "." };
            characters(member, &format!("{field}{dot}{name}"))
        }),
        _ => Ok(()),
    }
}
