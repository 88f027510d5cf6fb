//! Public keys of signers and validators, and the one rule by which a signature is accepted.
//!
//! Ed25519 is checked by the rule of `verify_strict` (single, cofactorless, no small-order points); P-256 is ECDSA with SHA-256
//! over `r || s` with low `s`, so that nobody can make a second valid signature out of a first.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use curve25519_dalek::constants::EIGHT_TORSION;
use p256::ecdsa::signature::Verifier;
use serde::{Deserialize, Serialize};

use crate::encoding::{base64url, from_base64url_exact};

const ED25519: &str = "ed25519:";
const P256: &str = "p256:";

/// A key or signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not one of the two text forms.
    #[error(
        "not a signer key: expected `ed25519:` + base64url of 32 bytes, or `p256:` + base64url of a compressed point (33 bytes), without padding"
    )]
    Text,
    /// The bytes are not a point of the curve.
    #[error("the key is not a point of its curve")]
    Point,
    /// A point of small order, with a small-order component, or not in its one canonical form.
    #[error("the key is a weak point: small order, mixed order or not canonically encoded")]
    Weak,
    /// The signature does not hold under the strict rules.
    #[error("the signature does not match key and message")]
    Signature,
}

/// Identity of a party that signs transactions, as it stands in statements.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum SignerKey {
    /// 32-byte Ed25519 key (RFC 8032).
    Ed25519([u8; 32]),
    /// 33-byte compressed P-256 point (SEC 1).
    P256([u8; 33]),
}

impl SignerKey {
    /// A signer's Ed25519 key. Whether the bytes are a point shows on use.
    pub fn ed25519(key: &[u8; 32]) -> Self {
        Self::Ed25519(*key)
    }

    /// Unpacks the key for checking; keep the result where one key checks many signatures.
    ///
    /// # Errors
    /// [`KeyError::Point`].
    pub fn prepare(&self) -> Result<PreparedKey, KeyError> {
        match self {
            Self::Ed25519(key) => Ed25519Key::from_bytes(key).map(PreparedKey::Ed25519),
            // SEC 1 has a third 33-byte form, without the sign of y; it would be a second name for the same key.
            Self::P256(key) if !matches!(key[0], 2 | 3) => Err(KeyError::Point),
            Self::P256(key) => p256::ecdsa::VerifyingKey::from_sec1_bytes(key)
                .map(PreparedKey::P256)
                .map_err(|_| KeyError::Point),
        }
    }

    /// Unpacks a key that is to be trusted from now on: a member's. As [`Ed25519Key::registered`].
    ///
    /// # Errors
    /// [`KeyError::Point`] or [`KeyError::Weak`].
    pub fn registered(&self) -> Result<PreparedKey, KeyError> {
        match self {
            Self::Ed25519(key) => Ed25519Key::registered(key).map(PreparedKey::Ed25519),
            Self::P256(_) => self.prepare(),
        }
    }

    /// Checks a signature over exactly `message`.
    ///
    /// # Errors
    /// [`KeyError::Point`] or [`KeyError::Signature`].
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), KeyError> {
        self.prepare()?.verify(message, signature)
    }
}

/// A signer key, unpacked.
#[derive(Clone, Debug)]
pub enum PreparedKey {
    /// Ed25519.
    Ed25519(Ed25519Key),
    /// P-256.
    P256(p256::ecdsa::VerifyingKey),
}

impl PreparedKey {
    /// Checks a signature over exactly `message`.
    ///
    /// # Errors
    /// [`KeyError::Signature`].
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), KeyError> {
        match self {
            Self::Ed25519(key) => key.verify(message, signature),
            Self::P256(key) => {
                let signature = p256::ecdsa::Signature::from_slice(signature).map_err(|_| KeyError::Signature)?;
                // Normalising changes only a high `s`.
                if signature.normalize_s() != signature {
                    return Err(KeyError::Signature);
                }
                key.verify(message, &signature).map_err(|_| KeyError::Signature)
            }
        }
    }
}

/// An unpacked Ed25519 key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ed25519Key {
    key: ed25519_dalek::VerifyingKey,
    /// Of small order: it never verifies anything.
    weak: bool,
}

/// Whether these are the bytes of a point of small order: a signature's `R` that is one binds nobody to a message.
fn is_small_order(bytes: &[u8]) -> bool {
    static POINTS: LazyLock<[[u8; 32]; 8]> = LazyLock::new(|| EIGHT_TORSION.map(|point| point.compress().to_bytes()));
    POINTS.iter().any(|point| point == bytes)
}

impl Ed25519Key {
    /// Unpacks a key. Weak keys unpack too, but never verify anything.
    ///
    /// # Errors
    /// [`KeyError::Point`].
    pub fn from_bytes(key: &[u8; 32]) -> Result<Self, KeyError> {
        ed25519_dalek::VerifyingKey::from_bytes(key)
            .map(Self::from)
            .map_err(|_| KeyError::Point)
    }

    /// Unpacks a key that is to be trusted from now on (validators, members): also refuses what `verify_strict`
    /// would still let pass, points with a small-order component and second encodings of a point.
    ///
    /// # Errors
    /// [`KeyError::Point`] or [`KeyError::Weak`].
    pub fn registered(key: &[u8; 32]) -> Result<Self, KeyError> {
        let unpacked = Self::from_bytes(key)?;
        let point = unpacked.key.to_edwards();
        if unpacked.weak || !point.is_torsion_free() || point.compress().as_bytes() != key {
            return Err(KeyError::Weak);
        }
        Ok(unpacked)
    }

    /// Checks a signature: accepts exactly what `verify_strict` accepts.
    ///
    /// `verify_strict` unpacks `R` to see whether its order is small, which is a fifth of its time. The check proper
    /// compares `R`'s bytes with the canonical bytes of a point, so an `R` that passes is one of the eight points of
    /// small order exactly if its bytes are the canonical ones of one of them.
    ///
    /// # Errors
    /// [`KeyError::Signature`].
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), KeyError> {
        if self.weak || is_small_order(&signature[..32]) {
            return Err(KeyError::Signature);
        }
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.key.verify(message, &signature).map_err(|_| KeyError::Signature)
    }
}

impl From<ed25519_dalek::VerifyingKey> for Ed25519Key {
    fn from(key: ed25519_dalek::VerifyingKey) -> Self {
        let weak = key.is_weak();
        Self { key, weak }
    }
}

impl fmt::Display for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ed25519(key) => write!(f, "{ED25519}{}", base64url(key)),
            Self::P256(key) => write!(f, "{P256}{}", base64url(key)),
        }
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SignerKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let key = if let Some(key) = text.strip_prefix(ED25519) {
            from_base64url_exact(key).map(Self::Ed25519)
        } else {
            text.strip_prefix(P256).and_then(from_base64url_exact).map(Self::P256)
        };
        key.ok_or(KeyError::Text)
    }
}

impl From<SignerKey> for String {
    fn from(key: SignerKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for SignerKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}
