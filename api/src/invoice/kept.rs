//! What is kept of an invoice beside the ledger, before it is encrypted.

use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// First byte of the stored form. What was stored before there were versions has none: it begins with its form, 0 to 2.
const VERSION: u8 = 0x81;
/// All first bytes that stand for a version have this bit.
const VERSIONED: u8 = 0x80;

/// Why stored bytes are no documents.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// They are of a version that this program doesn't know.
    #[error("the documents are stored in form {}, this program knows form {}; start the newer one", .0 & !VERSIONED, VERSION & !VERSIONED)]
    Newer(u8),
    /// They are damaged.
    #[error("the stored documents can't be read")]
    Damaged(#[source] io::Error),
}

/// In which form an invoice came. The order is the stored format: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Form {
    /// UBL 2.1.
    Ubl,
    /// UN/CEFACT CII.
    Cii,
    /// The JSON form.
    Json,
}

impl Form {
    /// As the ledger has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ubl => "ubl",
            Self::Cii => "cii",
            Self::Json => "json",
        }
    }

    /// Media type of the original.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Ubl | Self::Cii => "application/xml",
            Self::Json => "application/json",
        }
    }
}

/// An invoice's documents.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Kept {
    /// Form of the original.
    pub form: Form,
    /// The bytes as they came; the ledger has their digest.
    pub original: Vec<u8>,
    /// The UBL that was made out of the JSON form and judged; the ledger has its digest, too.
    pub made: Option<Vec<u8>>,
    /// The validation report, JSON; the ledger has its digest.
    pub report: Vec<u8>,
    /// What opens the commitment to the buyer's id, if the ledger has only that.
    pub salt: Option<[u8; 32]>,
}

impl Kept {
    /// The stored form, version 1.
    ///
    /// # Errors
    /// When a part is longer than 4 GiB.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![VERSION];
        self.serialize(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads the stored form, and the one of before there were versions.
    ///
    /// # Errors
    /// See [`KeptError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, KeptError> {
        let plain = match bytes.split_first() {
            Some((&VERSION, rest)) => rest,
            Some((&version, _)) if version & VERSIONED != 0 => return Err(KeptError::Newer(version)),
            _ => bytes,
        };
        borsh::from_slice(plain).map_err(KeptError::Damaged)
    }

    /// The XML that was judged.
    pub fn xml(&self) -> &[u8] {
        self.made.as_deref().unwrap_or(&self.original)
    }
}

/// A commitment to a party's id. Only who has the salt can tell of whom it is, and no two of one party are alike.
pub fn committed(salt: &[u8; 32], id: &str) -> String {
    let hash = Sha256::new()
        .chain_update(b"muniment.dev/party/v2\n")
        .chain_update(salt)
        .chain_update(id);
    format!("SHA256:{}", hex::encode_upper(hash.finalize()))
}

/// What tells the documents of one original apart, out of an input or the fields of its record: the digest of the report
/// and of what was judged, and the commitment that the salt opens. The same bytes may be sent twice, under two profiles or
/// salts, and the ledger takes one of them.
pub fn variant(fields: &Map<String, Value>) -> [u8; 32] {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let report = fields.get("verdict").and_then(|verdict| verdict.get("digest"));
    let parts = [report, fields.get("canonical"), fields.get("buyer")].map(text);
    // None of them has a line break.
    digest(format!("muniment.dev/document-variant/v1\n{}", parts.join("\n")).as_bytes())
}

/// SHA-256.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn kept(form: Form) -> Kept {
        Kept {
            form,
            original: b"<Invoice/>".to_vec(),
            made: Some(b"<made/>".to_vec()),
            report: b"{}".to_vec(),
            salt: Some([7; 32]),
        }
    }

    #[test]
    fn documents_are_read_as_they_are_stored_and_as_they_were_before() {
        for form in [Form::Ubl, Form::Cii, Form::Json] {
            let kept = kept(form);
            let stored = kept.encode().unwrap();
            assert_eq!(stored[0], 0x81);
            assert_eq!(Kept::decode(&stored).unwrap(), kept);
            assert_eq!(Kept::decode(&borsh::to_vec(&kept).unwrap()).unwrap(), kept);
        }
    }

    #[test]
    fn what_is_newer_or_damaged_is_told_apart() {
        let stored = kept(Form::Cii).encode().unwrap();
        let newer = [&[0x82], &stored[1..]].concat();
        let error = Kept::decode(&newer).unwrap_err();
        assert!(error.to_string().contains("form 2"), "{error}");
        for damaged in [&stored[..9], &[], &[3, 0], &[0x81]] {
            assert!(
                matches!(Kept::decode(damaged), Err(KeptError::Damaged(_))),
                "{damaged:?}"
            );
        }
    }
}
