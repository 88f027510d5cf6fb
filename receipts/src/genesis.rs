//! The genesis of a network: the document its id is the hash of.
//!
//! Owns the canonical form and its checks. Everything a later reader needs to judge the first receipt is in it.

use serde::{Deserialize, Serialize};

/// `type` of a genesis document.
pub const GENESIS_TYPE: &str = "muniment.dev/genesis/v1";

/// Genesis document. Its RFC 8785 bytes hashed with SHA-256 are the network id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Genesis {
    /// [`GENESIS_TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Human name, `tenant/network`; not unique by itself.
    pub name: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: u64,
    /// First validator set, in proposer order.
    pub validators: Vec<ValidatorKeys>,
    /// Parties that may sign transactions from the start.
    pub members: Vec<Member>,
    /// Templates in force from the start, as YAML source.
    pub templates: Vec<GenesisTemplate>,
    /// How many members must agree to a governance change.
    pub governance_threshold: u32,
}

/// Public keys of one validator, hex (32 bytes each). Separate keys for separate duties.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidatorKeys {
    /// Name within the network, e.g. `validator-0`; a DNS label.
    pub name: String,
    /// Ed25519 key that signs consensus votes.
    pub consensus: String,
    /// Ed25519 key that makes C2SP `cosignature/v1` and nothing else.
    pub notary: String,
    /// Ed25519 key that signs RFC 9942 COSE receipts and nothing else.
    pub cose: String,
}

/// A party that may sign transactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Member {
    /// Display name.
    pub name: String,
    /// Signer key, `ed25519:<base64url>` or `p256:<base64url compressed point>`.
    pub key: String,
}

/// A template in force from height 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GenesisTemplate {
    /// Template name.
    pub name: String,
    /// Revision, from 1.
    pub revision: u32,
    /// YAML source of the `RecordTemplate`, byte for byte.
    pub source: String,
}

impl Genesis {
    /// RFC 8785 bytes of this document.
    ///
    /// # Errors
    /// When the document can't be written as canonical JSON.
    pub fn canonical(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json_canonicalizer::to_vec(self)
    }

    /// The network id: SHA-256 of [`Self::canonical`].
    ///
    /// # Errors
    /// As [`Self::canonical`].
    pub fn network_id(&self) -> Result<[u8; 32], serde_json::Error> {
        use sha2::Digest;
        Ok(sha2::Sha256::digest(self.canonical()?).into())
    }
}
