//! What is kept of an invoice beside the ledger, before it is encrypted.

use borsh::{BorshDeserialize, BorshSerialize};
use sha2::{Digest as _, Sha256};

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
    /// The XML that was judged.
    pub fn xml(&self) -> &[u8] {
        self.made.as_deref().unwrap_or(&self.original)
    }

    /// SHA-256 of the original.
    pub fn content(&self) -> [u8; 32] {
        digest(&self.original)
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

/// SHA-256.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
