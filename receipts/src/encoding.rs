//! Strict text forms of bytes: one accepted spelling per value, so that no bit of a file can change unseen.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Lowercase hex, without a look at each character.
pub fn hex<const N: usize>(bytes: &[u8; N]) -> String {
    let mut text = vec![0; 2 * N];
    // The buffer has exactly the room that hex takes, so neither can fail.
    let _ = hex::encode_to_slice(bytes, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// Standard base64 with padding (RFC 4648 section 4).
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Appends standard base64 to a byte buffer.
pub fn base64_into(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    // The buffer has exactly the room that padded base64 takes, so this can't fail.
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

/// Reads standard base64; padding is required and unused bits must be zero.
pub fn from_base64(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Reads exactly `N` bytes of standard base64.
pub fn from_base64_exact<const N: usize>(text: impl AsRef<[u8]>) -> Option<[u8; N]> {
    from_base64(text)?.try_into().ok()
}

/// base64url without padding (RFC 4648 section 5).
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads exactly `N` bytes of base64url without padding; unused bits must be zero.
pub fn from_base64url_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    // The decoder wants room for whole groups, so decode into a little more than any key or nonce takes.
    let mut buffer = [0_u8; 96];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut buffer).ok()?;
    buffer.get(..length)?.try_into().ok()
}

/// Reads exactly `N` bytes of lowercase hex.
pub fn from_hex_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

/// Reads an ASCII decimal without sign or leading zeroes.
pub fn from_decimal(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok()
}

/// `serde(with)` for bytes that JSON carries as lowercase hex.
pub mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes lowercase hex.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::hex(bytes))
    }

    /// Reads lowercase hex of exactly `N` bytes.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
        let text = String::deserialize(deserializer)?;
        super::from_hex_exact(&text).ok_or_else(|| D::Error::custom(format!("expected {N} bytes of lowercase hex")))
    }
}

/// `serde(with)` for optional bytes that JSON carries as lowercase hex.
pub mod hex_option {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes lowercase hex; pair it with `skip_serializing_if = "Option::is_none"`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer, const N: usize>(bytes: &Option<[u8; N]>, serializer: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => serializer.serialize_str(&super::hex(bytes)),
            None => serializer.serialize_none(),
        }
    }

    /// Reads lowercase hex of exactly `N` bytes; pair it with `default`.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<Option<[u8; N]>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = super::from_hex_exact(&text);
        bytes
            .map(Some)
            .ok_or_else(|| D::Error::custom(format!("expected {N} bytes of lowercase hex")))
    }
}

/// `serde(with)` for bytes that JSON carries as base64url without padding.
pub mod base64url_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes base64url.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::base64url(bytes))
    }

    /// Reads base64url of exactly `N` bytes.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
        let text = String::deserialize(deserializer)?;
        super::from_base64url_exact(&text)
            .ok_or_else(|| D::Error::custom(format!("expected {N} bytes of base64url without padding")))
    }
}
