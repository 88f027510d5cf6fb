//! The state of a network as a map of bytes, and how it is read.
//!
//! Owns the key space, the stored forms and the read seam. Written only by committing an execution.
//!
//! | key | value | authenticated |
//! |---|---|---|
//! | `r` record id | [`Record`], canonical JSON | yes |
//! | `m` signer key | [`MemberEntry`], canonical JSON | yes |
//! | `t` name | [`TemplateEntry`], canonical JSON | yes |
//! | `s` name 0x00 revision (u32 big-endian) | template source | yes |
//! | `p` record id | what came beside the statement of an open proposal | yes |
//! | `v` | [`Validators`], canonical JSON | yes |
//! | `v` first height (u64 big-endian) | a later validator set, canonical JSON | yes |
//! | `w` key or name | the validator that once had it | yes |
//! | `g` | [`Governance`], canonical JSON | yes |
//! | `c` SHA-256 of template, counter and what the row belongs to | `{count, link}`, canonical JSON | yes |
//! | `u` SHA-256 of template, unique key and values | record id, or key of the creator | no: follows from the records |

mod genesis;
mod record;
pub mod tree;
mod validators;

pub use genesis::{GenesisError, Governance, MemberEntry, TemplateEntry, canonical, genesis_state};
pub use record::{Draft, Fields, Record, record_id};
pub use validators::{VALIDATORS_KEY, Validators, set_height, set_key, used_key};

use crate::transaction::TransactionId;

/// Changes to the state: new value, or none for a removed key.
pub type Changes = std::collections::BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Reads committed state. Errors are the store's.
pub trait StateRead {
    /// Value under `key`, if any.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Was this transaction decided in an earlier block? A view over blocks whose transactions are known to be new
    /// may leave this as it is.
    fn seen(&self, _: &TransactionId) -> Result<bool, StateError> {
        Ok(false)
    }
}

/// The store below failed, or holds what this version can't read.
#[derive(Debug, thiserror::Error)]
#[error("state can't be read")]
pub struct StateError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// State in memory: the twin of the store, for tests and tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryState(pub std::collections::BTreeMap<Vec<u8>, Vec<u8>>);

impl MemoryState {
    /// Applies changes.
    pub fn apply(&mut self, changes: &Changes) {
        for (key, value) in changes {
            match value {
                Some(value) => self.0.insert(key.clone(), value.clone()),
                None => self.0.remove(key),
            };
        }
    }
}

impl StateRead for MemoryState {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(key).cloned())
    }
}

/// Key of the governance policy.
pub const GOVERNANCE_KEY: &[u8] = b"g";

/// Beginning of the keys of members.
pub const MEMBERS: &[u8] = b"m";
/// Beginning of the keys of templates in force.
pub const TEMPLATES: &[u8] = b"t";

/// Key of a record.
pub fn record_key(id: &[u8; 32]) -> Vec<u8> {
    [b"r".as_slice(), id].concat()
}

/// Key of a member by signer key text.
pub fn member_key(signer: &str) -> Vec<u8> {
    [MEMBERS, signer.as_bytes()].concat()
}

/// Key of what is in force of a template.
pub fn template_key(name: &str) -> Vec<u8> {
    [TEMPLATES, name.as_bytes()].concat()
}

/// Key of a template's source.
pub fn source_key(name: &str, revision: u32) -> Vec<u8> {
    [b"s", name.as_bytes(), &[0], &revision.to_be_bytes()].concat()
}

/// Key of what came beside the statement of an open proposal.
pub fn attachment_key(id: &[u8; 32]) -> Vec<u8> {
    [b"p".as_slice(), id].concat()
}

/// Key of a claimed unique key.
pub fn unique_key(digest: &[u8; 32]) -> Vec<u8> {
    [b"u".as_slice(), digest].concat()
}

/// Key of a row of a counter.
pub fn counter_key(digest: &[u8; 32]) -> Vec<u8> {
    [b"c".as_slice(), digest].concat()
}

/// Does the state root cover this key? Unique keys follow from the records, so they are left out.
pub fn is_authenticated(key: &[u8]) -> bool {
    key.first() != Some(&b'u')
}
