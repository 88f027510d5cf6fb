//! C2SP signed notes and verifier keys (`vkey`), as far as logs and cosigners use them.
//!
//! Owns the syntax. Signatures of type 0x01 (Ed25519 over the text) are checked by [`Note::verify`], which is here for
//! third parties who read the notes of other logs: a network's log has no key of its own. Type 0x04 belongs to
//! [`crate::cosignature`].

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::encoding::{base64, from_base64};
use crate::key::{Ed25519Key, KeyError};

/// Signature type of a plain Ed25519 note signature.
pub const ED25519: u8 = 0x01;
/// Signature type of `cosignature/v1`.
pub const COSIGNATURE: u8 = 0x04;
/// Most signature lines that are read; the format asks for 16 at least.
pub const MAX_SIGNATURES: usize = 64;
/// Largest note, in bytes.
pub const MAX_NOTE: usize = 64 * 1024;

/// A note or verifier key is not well formed, or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not `name+id+key`.
    #[error("not a verifier key: {0}")]
    Vkey(&'static str),
    /// Not a signed note.
    #[error("not a signed note: {0}")]
    Form(&'static str),
    /// Two verifier keys have the same name and id.
    #[error("two verifier keys are called `{0}` with the same key id")]
    Ambiguous(String),
    /// A known key's signature is wrong.
    #[error("the signature of `{name}` does not hold")]
    Signature {
        /// Key name.
        name: String,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// No known key has signed.
    #[error("no known key has signed the note")]
    Unsigned,
}

/// SHA-256(name || "\n" || type || key), first four bytes.
pub fn key_id(name: &str, kind: u8, key: &[u8]) -> [u8; 4] {
    let digest = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', kind])
        .chain_update(key)
        .finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

/// Whether a text may be a key name: not empty, no Unicode space, no plus, no control character.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// A named Ed25519 public key, written `name+hex(id)+base64(type || key)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    /// Key name.
    pub name: String,
    /// [`ED25519`] or [`COSIGNATURE`].
    pub kind: u8,
    /// 32-byte key.
    pub key: [u8; 32],
}

impl VerifierKey {
    /// Key id of name, type and key.
    pub fn id(&self) -> [u8; 4] {
        key_id(&self.name, self.kind, &self.key)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.kind];
        key.extend_from_slice(&self.key);
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id()), base64(key))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Vkey("expected `name+id+key`"));
        };
        if !is_key_name(name) {
            return Err(NoteError::Vkey("the name is empty or has spaces"));
        }
        let key = from_base64(key).ok_or(NoteError::Vkey("the key is not base64"))?;
        let Some((kind @ (&ED25519 | &COSIGNATURE), key)) = key.split_first() else {
            return Err(NoteError::Vkey("unknown signature type"));
        };
        let key = key
            .try_into()
            .map_err(|_| NoteError::Vkey("an Ed25519 key has 32 bytes"))?;
        let vkey = Self {
            name: name.to_owned(),
            kind: *kind,
            key,
        };
        if hex::encode(vkey.id()) != id {
            return Err(NoteError::Vkey("the key id does not belong to name and key"));
        }
        Ok(vkey)
    }
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    /// Key name.
    pub name: &'a str,
    /// Key id.
    pub id: [u8; 4],
    /// Signature bytes, by the key's type.
    pub bytes: Vec<u8>,
}

/// A signed note, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// Signed text with its final newline.
    pub text: &'a str,
    /// Signature lines in order.
    pub signatures: Vec<Signature<'a>>,
}

impl<'a> Note<'a> {
    /// Takes a note apart.
    ///
    /// # Errors
    /// When it is not well formed, too large, or carries too many signatures.
    pub fn parse(note: &'a str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE {
            return Err(NoteError::Form("too large"));
        }
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(NoteError::Form("control characters"));
        }
        let split = note
            .rfind("\n\n")
            .ok_or(NoteError::Form("no blank line before the signatures"))?;
        let (text, lines) = (&note[..=split], &note[split + 2..]);
        let lines = lines
            .strip_suffix('\n')
            .ok_or(NoteError::Form("the last line is not closed"))?;
        let mut signatures = Vec::with_capacity(8);
        for line in lines.split('\n') {
            if signatures.len() == MAX_SIGNATURES {
                return Err(NoteError::Form("too many signatures"));
            }
            signatures.push(signature_line(line)?);
        }
        Ok(Self { text, signatures })
    }

    /// Checks every signature of type 0x01 made by one of `keys`; repeated lines count once.
    /// Gives the number of known and unknown signers.
    ///
    /// # Errors
    /// When a known key's signature is wrong, no known key has signed, or two keys can't be told apart.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<(usize, usize), NoteError> {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for signature in &self.signatures {
            let mut fitting = keys
                .iter()
                .filter(|key| key.name == signature.name && key.id() == signature.id);
            let identity = (signature.name, signature.id);
            let Some(key) = fitting.next() else {
                if !unknown.contains(&identity) {
                    unknown.push(identity);
                }
                continue;
            };
            if fitting.next().is_some() {
                return Err(NoteError::Ambiguous(key.name.clone()));
            }
            if known.contains(&identity) {
                continue;
            }
            let bad = |source| NoteError::Signature {
                name: key.name.clone(),
                source,
            };
            let bytes = signature
                .bytes
                .as_slice()
                .try_into()
                .map_err(|_| bad(KeyError::Signature))?;
            let checked = Ed25519Key::from_bytes(&key.key).and_then(|key| key.verify(self.text.as_bytes(), bytes));
            checked.map_err(bad)?;
            known.push(identity);
        }
        if known.is_empty() {
            Err(NoteError::Unsigned)
        } else {
            Ok((known.len(), unknown.len()))
        }
    }
}

fn signature_line(line: &str) -> Result<Signature<'_>, NoteError> {
    let wrong = NoteError::Form("a signature line is not `— name base64`");
    let Some((name, signature)) = line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')) else {
        return Err(wrong);
    };
    let Some(bytes) = from_base64(signature).filter(|bytes| bytes.len() > 4 && is_key_name(name)) else {
        return Err(wrong);
    };
    let (id, bytes) = bytes.split_at(4);
    Ok(Signature {
        name,
        id: [id[0], id[1], id[2], id[3]],
        bytes: bytes.to_vec(),
    })
}
