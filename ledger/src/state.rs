//! The state of a network as a map of bytes, and how it is read.
//!
//! Owns the key space and the read seam. Written only by committing an execution.

/// Reads committed state. Errors are the store's.
pub trait StateRead {
    /// Value under `key`, if any.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;
}

/// The store below failed.
#[derive(Debug, thiserror::Error)]
#[error("state can't be read")]
pub struct StateError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Key of a record.
pub fn record_key(id: &[u8; 32]) -> Vec<u8> {
    [b"r".as_slice(), id].concat()
}
