//! Custody of signing keys.
//!
//! Owns the [`KeyProvider`] seam. A provider keeps private keys to itself: what leaves is a public key or a signature.
//! A provider that is missing is an error, never a silent fallback to another.

pub mod memory;
pub mod sealed;

use muniment_receipts::key::SignerKey;

/// What a key is for; one key never serves two purposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Signing the tenant's statements.
    Statement,
}

impl Purpose {
    /// Stored name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Statement => "statement",
        }
    }
}

/// A provider could not do what it was asked. Never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The master key's file.
    #[error("the master key {path} can't be used: {why}")]
    Master {
        /// File.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A sealed key doesn't open: another master key, or the row was changed.
    #[error(
        "the {purpose} key of tenant {tenant} doesn't open: the master key isn't the one it was sealed with, or its \
         row was changed; restore both from the same backup"
    )]
    Sealed {
        /// Tenant.
        tenant: String,
        /// Purpose.
        purpose: &'static str,
    },
    /// The tenant has no such key.
    #[error("tenant {tenant} has no {purpose} key")]
    Missing {
        /// Tenant.
        tenant: String,
        /// Purpose.
        purpose: &'static str,
    },
    /// Where sealed keys are kept failed.
    #[error("sealed keys can't be read or written")]
    Store(#[from] crate::store::StoreError),
    /// The operating system gives no randomness.
    #[error("no random bytes: {0}")]
    Random(String),
}

/// Keeps signing keys and signs with them. All calls are cheap after the first for a key.
#[async_trait::async_trait]
pub trait KeyProvider: Send + Sync + 'static {
    /// The tenant's public key for a purpose; makes the key when there is none. Idempotent, also under concurrency.
    async fn ensure(&self, tenant: &str, purpose: Purpose) -> Result<SignerKey, KeyError>;
    /// Signs the bytes with the tenant's key (Ed25519).
    ///
    /// # Errors
    /// [`KeyError::Missing`] when [`Self::ensure`] was never called for it.
    async fn sign(&self, tenant: &str, purpose: Purpose, message: &[u8]) -> Result<[u8; 64], KeyError>;
}

/// Fills an array with random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| KeyError::Random(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod contract {
    //! What every provider must hold; run against each of them.
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use std::sync::Arc;

    /// The contract. `again` opens the same custody a second time, as after a restart.
    async fn holds(provider: Arc<dyn KeyProvider>, again: Option<Arc<dyn KeyProvider>>) {
        let missing = provider.sign("acme", Purpose::Statement, b"x").await;
        assert!(matches!(missing, Err(KeyError::Missing { .. })), "signs without a key");

        let (one, two) = tokio::join!(
            provider.ensure("acme", Purpose::Statement),
            provider.ensure("acme", Purpose::Statement)
        );
        let key = one.unwrap();
        assert_eq!(key.to_string(), two.unwrap().to_string(), "two keys were made at once");
        assert_eq!(
            key.to_string(),
            provider.ensure("acme", Purpose::Statement).await.unwrap().to_string()
        );
        let other = provider.ensure("globex", Purpose::Statement).await.unwrap();
        assert_ne!(key.to_string(), other.to_string(), "two tenants share a key");

        let signature = provider.sign("acme", Purpose::Statement, b"message").await.unwrap();
        key.verify(b"message", &signature).unwrap();
        assert!(key.verify(b"messagf", &signature).is_err());
        assert!(other.verify(b"message", &signature).is_err());

        if let Some(again) = again {
            assert_eq!(
                key.to_string(),
                again.ensure("acme", Purpose::Statement).await.unwrap().to_string()
            );
            let signature = again.sign("acme", Purpose::Statement, b"later").await.unwrap();
            key.verify(b"later", &signature).unwrap();
        }
    }

    #[tokio::test]
    async fn memory() {
        holds(Arc::new(memory::MemoryKeys::default()), None).await;
    }

    #[tokio::test]
    async fn sealed() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("k.db").display());
        let store = crate::store::Store::open(&url).await.unwrap();
        let keys = folder.path().join("keys");
        let first = sealed::SealedKeys::open(&keys, store.clone()).unwrap();
        let second = sealed::SealedKeys::open(&keys, store).unwrap();
        holds(Arc::new(first), Some(Arc::new(second))).await;
    }
}
