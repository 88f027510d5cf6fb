//! Transactions as they travel and are stored: exact signed bytes, and how to take them apart.
//!
//! Owns the encoding, its limits and the identity of a transaction. Does not judge whether an action is allowed:
//! that is the executor's.

use borsh::{BorshDeserialize, BorshSerialize};
use sha2::{Digest, Sha256};

/// Largest statement, batch header or item in bytes (design/receipts.md).
pub const MAX_STATEMENT: usize = 4 * 1024;
/// Most actions in one batch transaction.
pub const MAX_BATCH: usize = 1_000;

/// SHA-256 of the signed bytes (statement or batch header). Two transactions with the same signed bytes are the
/// same transaction, whatever their signature bytes are: replay protection counts these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct TransactionId(pub [u8; 32]);

/// One transaction. The variant order is the stored format: append only.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Transaction {
    /// One action: JCS bytes of a `muniment.dev/statement/v1` and the signature over exactly these bytes.
    Single {
        /// JCS statement.
        statement: Vec<u8>,
        /// 64 bytes: Ed25519, or P-256 `r || s` with low `s`.
        signature: [u8; 64],
    },
    /// Up to [`MAX_BATCH`] actions of one signer under one signature. The header commits to the items by their
    /// RFC 6962 root (`itemsRoot`), so that each item is provable alone.
    Batch {
        /// JCS header `muniment.dev/batch/v1`.
        header: Vec<u8>,
        /// Signature over exactly the header bytes.
        signature: [u8; 64],
        /// JCS bytes of each item, in order.
        items: Vec<Vec<u8>>,
    },
    /// One action, and bytes that are too many for its statement, which names their SHA-256: a template's source.
    Attached {
        /// JCS statement.
        statement: Vec<u8>,
        /// Signature over exactly the statement.
        signature: [u8; 64],
        /// The bytes.
        attachment: Vec<u8>,
    },
}

impl Transaction {
    /// The bytes that were signed.
    pub fn signed_bytes(&self) -> &[u8] {
        match self {
            Self::Single { statement, .. } | Self::Attached { statement, .. } => statement,
            Self::Batch { header, .. } => header,
        }
    }

    /// The signature as it came.
    pub fn signature(&self) -> &[u8; 64] {
        match self {
            Self::Single { signature, .. } | Self::Batch { signature, .. } | Self::Attached { signature, .. } => {
                signature
            }
        }
    }

    /// What came beside the statement.
    pub fn attachment(&self) -> Option<&[u8]> {
        match self {
            Self::Attached { attachment, .. } => Some(attachment),
            Self::Single { .. } | Self::Batch { .. } => None,
        }
    }

    /// Identity for de-duplication and replay protection.
    pub fn id(&self) -> TransactionId {
        TransactionId(Sha256::digest(self.signed_bytes()).into())
    }

    /// Number of actions: one, or the number of items.
    pub fn actions(&self) -> usize {
        match self {
            Self::Single { .. } | Self::Attached { .. } => 1,
            Self::Batch { items, .. } => items.len(),
        }
    }

    /// Bytes this transaction takes in a block, without decoding overhead.
    pub fn size(&self) -> usize {
        match self {
            Self::Single { statement, .. } => statement.len() + 69,
            Self::Batch { header, items, .. } => {
                header.len() + 73 + items.iter().map(|item| item.len() + 4).sum::<usize>()
            }
            Self::Attached {
                statement, attachment, ..
            } => statement.len() + attachment.len() + 73,
        }
    }
}

impl std::fmt::Display for TransactionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(&self.0[..6]))
    }
}

impl std::str::FromStr for TransactionId {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut id = [0; 32];
        hex::decode_to_slice(text, &mut id)?;
        Ok(Self(id))
    }
}
