//! The genesis of a network: the document its id is the hash of.
//!
//! Owns the canonical form and its checks. Everything a later reader needs to judge the first receipt is in it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::encoding::from_hex_exact;
use crate::key::{Ed25519Key, KeyError, SignerKey};
use crate::policy;

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

/// Most validators of a network: what every `tlog-policy` reader is asked to take.
pub const MAX_VALIDATORS: usize = 32;

/// Most members in a genesis; more may join later. Each costs an unpacked key to whoever reads the genesis.
pub const MAX_MEMBERS: usize = 10_000;
/// Most templates in a genesis.
pub const MAX_TEMPLATES: usize = 1_000;
/// Longest source of a template in bytes.
pub const MAX_TEMPLATE_SOURCE: usize = 64 * 1024;
/// Largest genesis in bytes, in the canonical form and in whatever other spelling it is read.
pub const MAX_GENESIS: usize = 8 * 1024 * 1024;

/// A genesis or validator set is not valid.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// Larger than [`MAX_GENESIS`].
    #[error("{0} bytes are too many for a genesis")]
    TooLong(usize),
    /// Not a genesis document.
    #[error("not a genesis document")]
    Json(#[source] serde_json::Error),
    /// A field has a value that can't stand.
    #[error("{field}: {reason}")]
    Field {
        /// JSON pointer.
        field: String,
        /// What is wrong and what would be right.
        reason: &'static str,
    },
    /// A key can't be used.
    #[error("{field}: the key can't be used")]
    Key {
        /// JSON pointer.
        field: String,
        /// Why.
        #[source]
        source: KeyError,
    },
}

/// SHA-256 of the canonical JSON array of the validators' keys: how markers and headers name a set.
///
/// # Errors
/// When the set can't be written as canonical JSON.
pub fn validators_hash(validators: &[ValidatorKeys]) -> Result<[u8; 32], serde_json::Error> {
    use sha2::Digest;
    Ok(sha2::Sha256::digest(serde_json_canonicalizer::to_vec(&validators)?).into())
}

/// Whether a text is a DNS label (RFC 1123): 1 to 63 of `a-z0-9-`, no hyphen at either end.
pub fn is_label(text: &str) -> bool {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    plain && (1..=63).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-')
}

/// Judges a validator set by itself. Keys are collected in `keys`, and refused when they are in it already.
///
/// # Errors
/// When the set is empty or too large, a name is no DNS label or not unique, or a key is malformed, weak or used twice.
pub fn check_validators(validators: &[ValidatorKeys], keys: &mut BTreeSet<[u8; 32]>) -> Result<(), GenesisError> {
    if validators.is_empty() || validators.len() > MAX_VALIDATORS {
        return Err(wrong("/validators", "there must be 1 to 32 validators"));
    }
    let mut names = BTreeSet::new();
    for (index, validator) in validators.iter().enumerate() {
        let field = |name: &str| format!("/validators/{index}/{name}");
        if !is_label(&validator.name) || policy::RESERVED.contains(&validator.name.as_str()) {
            return Err(wrong(
                field("name"),
                "the name must be a DNS label, and not none, any, all or validators",
            ));
        }
        if !names.insert(&validator.name) {
            return Err(wrong(field("name"), "two validators have this name"));
        }
        let duties = [
            ("consensus", &validator.consensus),
            ("notary", &validator.notary),
            ("cose", &validator.cose),
        ];
        for (name, text) in duties {
            let key = from_hex_exact(text).ok_or_else(|| wrong(field(name), "expected 64 lowercase hex characters"))?;
            Ed25519Key::registered(&key).map_err(|source| GenesisError::Key {
                field: field(name),
                source,
            })?;
            if !keys.insert(key) {
                return Err(wrong(
                    field(name),
                    "the key is used twice; every duty of every validator has its own",
                ));
            }
        }
    }
    Ok(())
}

fn wrong(field: impl Into<String>, reason: &'static str) -> GenesisError {
    GenesisError::Field {
        field: field.into(),
        reason,
    }
}

impl ValidatorKeys {
    /// The notary key's bytes; `None` when the text is not lowercase hex of 32 bytes.
    pub fn notary_key(&self) -> Option<[u8; 32]> {
        from_hex_exact(&self.notary)
    }

    /// The COSE key's bytes.
    pub fn cose_key(&self) -> Option<[u8; 32]> {
        from_hex_exact(&self.cose)
    }

    /// The keys of all three duties.
    pub fn duties(&self) -> [&str; 3] {
        [&self.consensus, &self.notary, &self.cose]
    }

    /// The consensus key's bytes.
    pub fn consensus_key(&self) -> Option<[u8; 32]> {
        from_hex_exact(&self.consensus)
    }
}

impl Genesis {
    /// Reads a genesis in any JSON spelling and judges it. Its id is that of the canonical form all the same.
    ///
    /// # Errors
    /// When it is not JSON, has unknown fields, or breaks a rule of [`Self::validate`].
    pub fn parse(bytes: &[u8]) -> Result<Self, GenesisError> {
        if bytes.len() > MAX_GENESIS {
            return Err(GenesisError::TooLong(bytes.len()));
        }
        let genesis: Self = serde_json::from_slice(bytes).map_err(GenesisError::Json)?;
        genesis.validate()?;
        Ok(genesis)
    }

    /// Judges the document: type, names, keys, threshold, size.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), GenesisError> {
        if self.kind != GENESIS_TYPE {
            return Err(wrong("/type", "expected muniment.dev/genesis/v1"));
        }
        if self.name.len() > 127 || !self.name.split('/').all(is_label) {
            return Err(wrong(
                "/name",
                "the name must be DNS labels joined by a slash, at most 127 characters",
            ));
        }
        if self.created_at > crate::jcs::MAX_INTEGER {
            return Err(wrong("/createdAt", "the time must be milliseconds below 2^53"));
        }
        let mut keys = BTreeSet::new();
        check_validators(&self.validators, &mut keys)?;
        self.check_members(&keys)?;
        self.check_templates()?;
        let threshold = self.governance_threshold as usize;
        if threshold == 0 || threshold > self.members.len().max(1) {
            return Err(wrong(
                "/governanceThreshold",
                "the threshold must lie between 1 and the number of members",
            ));
        }
        // The canonical form is the shortest: what passes here can be read again.
        match self.canonical().map_err(GenesisError::Json)?.len() {
            size if size > MAX_GENESIS => Err(GenesisError::TooLong(size)),
            _ => Ok(()),
        }
    }

    fn check_members(&self, validators: &BTreeSet<[u8; 32]>) -> Result<(), GenesisError> {
        if self.members.len() > MAX_MEMBERS {
            return Err(wrong("/members", "there must be at most 10000 members"));
        }
        let mut keys = BTreeSet::new();
        for (index, member) in self.members.iter().enumerate() {
            let field = format!("/members/{index}/key");
            let signer: SignerKey = member.key.parse().map_err(|source| GenesisError::Key {
                field: field.clone(),
                source,
            })?;
            if matches!(&signer, SignerKey::Ed25519(key) if validators.contains(key)) {
                return Err(wrong(field, "the key is a validator's; a member needs its own"));
            }
            signer.registered().map_err(|source| GenesisError::Key {
                field: field.clone(),
                source,
            })?;
            if !keys.insert(signer) {
                return Err(wrong(field, "two members have this key"));
            }
        }
        Ok(())
    }

    fn check_templates(&self) -> Result<(), GenesisError> {
        if self.templates.len() > MAX_TEMPLATES {
            return Err(wrong("/templates", "there must be at most 1000 templates"));
        }
        let mut revisions = BTreeSet::new();
        for (index, template) in self.templates.iter().enumerate() {
            if template.source.len() > MAX_TEMPLATE_SOURCE {
                return Err(wrong(
                    format!("/templates/{index}/source"),
                    "the source must have at most 65536 bytes",
                ));
            }
            if !is_label(&template.name) {
                return Err(wrong(
                    format!("/templates/{index}/name"),
                    "the name must be a DNS label",
                ));
            }
            if template.revision == 0 {
                return Err(wrong(format!("/templates/{index}/revision"), "revisions count from 1"));
            }
            if !revisions.insert((&template.name, template.revision)) {
                return Err(wrong(format!("/templates/{index}"), "this revision is there twice"));
            }
        }
        Ok(())
    }

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
