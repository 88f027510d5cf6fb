//! Bytes to text: UTF-8, UTF-16 with a byte order mark or a declaration, ISO-8859-1. Anything else is refused by name.

use std::borrow::Cow;

use super::Unreadable;

/// The document as text without byte order mark. UTF-8 is borrowed.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [b'<', 0, ..] => utf16(bytes, u16::from_le_bytes),
        [0, b'<', ..] => utf16(bytes, u16::from_be_bytes),
        _ => match declared(bytes).as_deref() {
            None | Some("utf-8" | "utf8" | "us-ascii" | "ascii") => utf8(bytes),
            Some("iso-8859-1" | "latin1" | "latin-1") => {
                Ok(Cow::Owned(bytes.iter().copied().map(char::from).collect()))
            }
            Some(other) => Err(Unreadable::Encoding(format!(
                "the encoding {other} is not read here; save the document as UTF-8"
            ))),
        },
    }
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
        let line = 1 + memchr::memchr_iter(b'\n', &bytes[..error.valid_up_to()]).count();
        Unreadable::Encoding(format!(
            "line {line}: the bytes are not UTF-8, though the document declares UTF-8 or nothing"
        ))
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Cow<'_, str>, Unreadable> {
    let broken = || Unreadable::Encoding("the bytes are not valid UTF-16".to_owned());
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(broken());
    }
    let units = pairs.iter().map(|pair| unit(*pair));
    char::decode_utf16(units)
        .collect::<Result<String, _>>()
        .map(Cow::Owned)
        .map_err(|_| broken())
}

/// The encoding that an ASCII-compatible XML declaration names, in lower case.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(256)];
    let end = memchr::memmem::find(head, b"?>")?;
    let declaration = head[..end].strip_prefix(b"<?xml")?;
    let at = memchr::memmem::find(declaration, b"encoding")?;
    let value = &declaration[at..];
    let open = value.iter().position(|byte| matches!(byte, b'"' | b'\''))?;
    let close = value[open + 1..].iter().position(|byte| *byte == value[open])?;
    Some(String::from_utf8_lossy(&value[open + 1..open + 1 + close]).to_ascii_lowercase())
}

/// Whether XML 1.0 can hold a character.
pub(crate) fn allowed(character: char) -> bool {
    !matches!(character, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}')
}

/// Where the first character stands that XML 1.0 can't hold.
pub(super) fn forbidden(text: &str) -> Option<usize> {
    // Without leaving early, so that many bytes are looked at at once.
    let (mut control, mut high) = (false, 0);
    for byte in text.bytes() {
        control |= byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
        high |= byte;
    }
    let suspicious = control || high >= 0x80 && memchr::memmem::find(text.as_bytes(), b"\xEF\xBF").is_some();
    if !suspicious {
        return None;
    }
    text.char_indices()
        .find(|(_, character)| !allowed(*character))
        .map(|(at, _)| at)
}
