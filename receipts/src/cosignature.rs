//! C2SP `cosignature/v1`: how a validator says that a checkpoint is the log it has executed and kept.
//!
//! Fixed additional statement of a validator's notary key (tlog-cosignature, "Additional statements"): the checkpoint
//! is final at the height that its last leaf, the block marker, names.

use crate::checkpoint::Checkpoint;
use crate::encoding::base64;
use crate::key::{Ed25519Key, KeyError};
use crate::note::{COSIGNATURE, Signature, VerifierKey};

/// A cosignature line is not well formed or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CosignatureError {
    /// Not 8 bytes of time and 64 of signature, or a time beyond 2^63-1.
    #[error("the cosignature of `{0}` is not a time and an Ed25519 signature")]
    Form(String),
    /// The signature is wrong.
    #[error("the cosignature of `{name}` does not hold")]
    Signature {
        /// Key name.
        name: String,
        /// Why.
        #[source]
        source: KeyError,
    },
}

/// The bytes a cosigner signs. `time` is in seconds since the Unix epoch.
pub fn message(time: u64, checkpoint: &Checkpoint) -> Vec<u8> {
    message_over(time, &checkpoint.text())
}

fn message_over(time: u64, checkpoint: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{checkpoint}").into_bytes()
}

/// Key name of a validator: the origin, a slash, its name in the genesis.
pub fn key_name(origin: &str, validator: &str) -> String {
    format!("{origin}/{validator}")
}

/// Signature line with its newline. `name` is the key name ([`key_name`]), `key` the notary key.
pub fn line(name: &str, key: &[u8; 32], time: u64, signature: &[u8; 64]) -> String {
    Cosigner::line_of(name, crate::note::key_id(name, COSIGNATURE, key), time, signature)
}

/// A cosigner, ready to check many cosignatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigner {
    name: String,
    id: [u8; 4],
    key: Ed25519Key,
    bytes: [u8; 32],
}

impl Cosigner {
    /// A cosigner by key name and notary key. Weak keys are refused.
    ///
    /// # Errors
    /// As [`Ed25519Key::registered`].
    pub fn new(name: String, key: &[u8; 32]) -> Result<Self, KeyError> {
        let id = crate::note::key_id(&name, COSIGNATURE, key);
        Ok(Self {
            id,
            key: Ed25519Key::registered(key)?,
            bytes: *key,
            name,
        })
    }

    /// Key name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Verifier key, for policies.
    pub fn vkey(&self) -> VerifierKey {
        VerifierKey {
            name: self.name.clone(),
            kind: COSIGNATURE,
            key: self.bytes,
        }
    }

    /// Signature line with its newline.
    pub fn line(&self, time: u64, signature: &[u8; 64]) -> String {
        Self::line_of(&self.name, self.id, time, signature)
    }

    fn line_of(name: &str, id: [u8; 4], time: u64, signature: &[u8; 64]) -> String {
        let mut bytes = Vec::with_capacity(76);
        bytes.extend_from_slice(&id);
        bytes.extend_from_slice(&time.to_be_bytes());
        bytes.extend_from_slice(signature);
        format!("— {name} {}\n", base64(bytes))
    }

    /// Whether a signature line claims to be this cosigner's.
    pub fn owns(&self, signature: &Signature<'_>) -> bool {
        self.id == signature.id && self.name == signature.name
    }

    /// Checks a cosignature over a checkpoint.
    ///
    /// # Errors
    /// [`KeyError::Signature`].
    pub fn verify(&self, time: u64, checkpoint: &Checkpoint, signature: &[u8; 64]) -> Result<(), KeyError> {
        self.key.verify(&message(time, checkpoint), signature)
    }

    /// Checks a line of a note and gives its time, seconds since the Unix epoch. `text` is the note's text.
    ///
    /// # Errors
    /// When the line is malformed or the signature does not hold.
    pub fn verify_line(&self, text: &str, signature: &Signature<'_>) -> Result<u64, CosignatureError> {
        let form = || CosignatureError::Form(self.name.clone());
        let (time, bytes) = signature.bytes.split_first_chunk::<8>().ok_or_else(form)?;
        let time = u64::from_be_bytes(*time);
        let bytes = bytes.try_into().map_err(|_| form())?;
        if time > i64::MAX as u64 {
            return Err(form());
        }
        let checked = self.key.verify(&message_over(time, text), bytes);
        checked.map_err(|source| CosignatureError::Signature {
            name: self.name.clone(),
            source,
        })?;
        Ok(time)
    }
}
