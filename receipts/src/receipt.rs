//! The receipt file: a leaf, its `tlog-proof` with the cosigned checkpoint, and the block marker of the same
//! checkpoint.
//!
//! Owns the container. It has one spelling only: canonical JSON and one final newline, every text in it strict, so that
//! no bit of the file can change unseen. Judging a receipt is [`crate::verify`]'s.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::encoding::{base64, from_base64, from_base64_exact, from_hex_exact, hex, hex_bytes};
use crate::fields::{FieldError, Fields};
use crate::jcs::{self, JcsError};
use crate::merkle::Hash;
use crate::tlog_proof::{MAX_PATH, TlogProof, TlogProofError};
use crate::trust::TrustRoot;

/// `type` of a receipt.
pub const RECEIPT_TYPE: &str = "muniment.dev/receipt/v1";
/// Largest receipt file in bytes.
pub const MAX_RECEIPT: usize = 128 * 1024;

/// A receipt file can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// Larger than [`MAX_RECEIPT`].
    #[error("{0} bytes are too many for a receipt")]
    TooLong(usize),
    /// The newline at the end is missing.
    #[error("the file does not end with a newline after the JSON")]
    Newline,
    /// Not canonical JSON.
    #[error("the receipt is not canonical JSON")]
    Json(#[source] JcsError),
    /// A field is missing, unknown or of another shape.
    #[error("the receipt has a wrong field")]
    Field(#[source] FieldError),
    /// The proof is not well formed.
    #[error("the receipt's proof is not well formed")]
    Proof(#[source] TlogProofError),
    /// The proof carries unauthenticated data.
    #[error("the receipt's proof has an `extra` line, which nothing authenticates")]
    Extra,
}

impl From<FieldError> for ReceiptError {
    fn from(source: FieldError) -> Self {
        Self::Field(source)
    }
}

/// How the statement's digest follows from the document. Added by the holder; a salt never leaves the holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "mode", rename_all = "lowercase")]
pub enum Disclosure {
    /// The statement holds SHA-256 of the document.
    Plain,
    /// The statement holds SHA-256(salt || SHA-256 of the document).
    Salted {
        /// 32 random bytes.
        #[serde(with = "hex_bytes")]
        salt: [u8; 32],
    },
}

impl Disclosure {
    /// Value that the statement must hold for a document with this SHA-256.
    pub fn commitment(&self, document: &[u8; 32]) -> [u8; 32] {
        match self {
            Self::Plain => *document,
            Self::Salted { salt } => Sha256::new()
                .chain_update(salt)
                .chain_update(document)
                .finalize()
                .into(),
        }
    }

    /// `mode` in a notarization's input.
    pub fn mode(&self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Salted { .. } => "salted",
        }
    }
}

/// All that a receipt is made of.
#[derive(Clone, Copy, Debug)]
pub struct ReceiptParts<'a> {
    /// Network id.
    pub network: &'a [u8; 32],
    /// Height of the block whose checkpoint this is.
    pub height: u64,
    /// Record id; the leaf names the same.
    pub record: &'a [u8; 32],
    /// Leaf bytes.
    pub leaf: &'a [u8],
    /// Index of the leaf in the log.
    pub index: u64,
    /// Audit path of the leaf.
    pub path: &'a [Hash],
    /// The checkpoint, cosigned by a quorum ([`crate::trust::ValidatorSet::note`]).
    pub note: &'a str,
    /// Leaf bytes of the block marker, the last leaf of the checkpoint.
    pub marker: &'a [u8],
    /// Audit path of the marker.
    pub marker_path: &'a [Hash],
}

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Network id.
    pub network: [u8; 32],
    /// Height of the block whose checkpoint this is.
    pub height: u64,
    /// Record id.
    pub record: [u8; 32],
    /// Leaf bytes.
    pub leaf: Vec<u8>,
    /// Index, path and cosigned checkpoint.
    pub proof: TlogProof,
    /// Leaf bytes of the block marker.
    pub marker: Vec<u8>,
    /// Audit path of the marker.
    pub marker_path: Vec<Hash>,
    /// How to get from the document to the statement, if the holder has added it.
    pub disclosure: Option<Disclosure>,
}

/// Files for a verifier that knows C2SP formats and nothing of us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// `tlog-proof` text.
    pub proof: String,
    /// The bytes whose RFC 6962 leaf hash the proof is about.
    pub leaf: Vec<u8>,
    /// `tlog-policy` text of the validators at the receipt's height.
    pub policy: String,
    /// Origin that the checkpoint must have. (The log has no key of its own, so there is no vkey for it.)
    pub origin: String,
}

/// Fields in canonical order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    disclosure: &'a Option<Disclosure>,
    height: u64,
    leaf: String,
    marker: String,
    marker_proof: Vec<String>,
    network: String,
    proof: String,
    record: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl Receipt {
    /// Puts a receipt together. Nothing is checked: the maker knows its parts.
    pub fn build(parts: ReceiptParts<'_>) -> Self {
        let proof = TlogProof {
            extra: None,
            index: parts.index,
            path: parts.path.to_vec(),
            checkpoint: parts.note.to_owned(),
        };
        Self {
            network: *parts.network,
            height: parts.height,
            record: *parts.record,
            leaf: parts.leaf.to_vec(),
            proof,
            marker: parts.marker.to_vec(),
            marker_path: parts.marker_path.to_vec(),
            disclosure: None,
        }
    }

    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let file = File {
            disclosure: &self.disclosure,
            height: self.height,
            leaf: base64(&self.leaf),
            marker: base64(&self.marker),
            marker_proof: self.marker_path.iter().map(base64).collect(),
            network: hex(&self.network),
            proof: self.proof.text(),
            record: hex(&self.record),
            kind: RECEIPT_TYPE,
        };
        let long = file.leaf.len() + file.marker.len() + file.proof.len() + 64 * self.marker_path.len();
        let mut bytes = Vec::with_capacity(long + 1_024);
        // Strings and one integer always serialise, and in this order of fields the text is canonical.
        let _ = serde_json::to_writer(&mut bytes, &file);
        bytes.push(b'\n');
        bytes
    }

    /// Reads a file; only what [`Self::encode`] writes is accepted.
    ///
    /// # Errors
    /// When anything is spelled differently, missing or unknown.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() > MAX_RECEIPT {
            return Err(ReceiptError::TooLong(bytes.len()));
        }
        let json = bytes.strip_suffix(b"\n").ok_or(ReceiptError::Newline)?;
        let mut fields = Fields::new(jcs::parse(json).map_err(ReceiptError::Json)?)?;
        fields.constant("type", RECEIPT_TYPE)?;
        let receipt = Self {
            network: fields.hash("network")?,
            height: fields.integer("height")?,
            record: fields.hash("record")?,
            leaf: fields.read("leaf", "standard base64", |text| from_base64(text))?,
            proof: TlogProof::parse(&fields.text("proof")?).map_err(ReceiptError::Proof)?,
            marker: fields.read("marker", "standard base64", |text| from_base64(text))?,
            marker_path: path(fields.array("markerProof")?)?,
            disclosure: if fields.has("disclosure") {
                Some(disclosure(fields.value("disclosure")?)?)
            } else {
                None
            },
        };
        fields.finish()?;
        if receipt.proof.extra.is_some() {
            Err(ReceiptError::Extra)
        } else {
            Ok(receipt)
        }
    }

    /// What a foreign C2SP verifier needs.
    pub fn export(&self, trust: &TrustRoot) -> Export {
        Export {
            proof: self.proof.text(),
            leaf: self.leaf.clone(),
            policy: trust.validators_at(self.height).policy().to_owned(),
            origin: trust.origin().to_owned(),
        }
    }
}

fn path(values: Vec<Value>) -> Result<Vec<Hash>, ReceiptError> {
    let wrong = FieldError::Shape("markerProof", "at most 64 hashes in standard base64");
    let hashes: Option<Vec<Hash>> = values.iter().map(|value| from_base64_exact(value.as_str()?)).collect();
    Ok(hashes.filter(|hashes| hashes.len() <= MAX_PATH).ok_or(wrong)?)
}

fn disclosure(value: Value) -> Result<Disclosure, ReceiptError> {
    let mut fields = Fields::new(value)?;
    let disclosure = match fields.text("mode")?.as_str() {
        "plain" => Disclosure::Plain,
        "salted" => Disclosure::Salted {
            salt: fields.read("salt", "32 bytes of lowercase hex", from_hex_exact)?,
        },
        _ => return Err(FieldError::Shape("mode", "plain or salted").into()),
    };
    fields.finish()?;
    Ok(disclosure)
}
