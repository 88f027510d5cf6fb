//! Custody of signing keys.
//!
//! Owns the [`KeyProvider`] seam. A provider keeps private keys to itself: what leaves is a public key or a signature.
//! A provider that is missing is an error, never a silent fallback to another.

pub mod envelope;
pub mod memory;
pub mod sealed;

use muniment_receipts::key::SignerKey;
use zeroize::Zeroizing;

pub use envelope::Sealed;

/// What a key is for; one key never serves two purposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Signing statements.
    Statement,
    /// Wrapping the keys of documents.
    Documents,
}

impl Purpose {
    /// Stored name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Statement => "statement",
            Self::Documents => "documents",
        }
    }
}

/// Whose key: a tenant's own, or that of one of its parties.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Tenant.
    pub tenant: String,
    /// Name of the party; none for the tenant itself.
    pub party: Option<String>,
}

impl Owner {
    /// The tenant itself.
    pub fn tenant(name: &str) -> Self {
        Self {
            tenant: name.to_owned(),
            party: None,
        }
    }

    /// One of its parties.
    pub fn party(tenant: &str, name: &str) -> Self {
        Self {
            tenant: tenant.to_owned(),
            party: Some(name.to_owned()),
        }
    }

    /// Name under which a key is kept beside the tenant's: `statement`, or `statement/<party>`. A party's name is a DNS
    /// label, so no two owners share one.
    pub(crate) fn slot(&self, purpose: Purpose) -> String {
        match &self.party {
            None => purpose.name().to_owned(),
            Some(party) => format!("{}/{party}", purpose.name()),
        }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.party {
            None => write!(f, "tenant {}", self.tenant),
            Some(party) => write!(f, "party {party} of tenant {}", self.tenant),
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
    /// There are sealed keys, and no master key.
    #[error("{path} is missing, and the keys in the database are sealed with it; put it back from a backup")]
    Lost {
        /// File.
        path: String,
    },
    /// A sealed key doesn't open: another master key, or the row was changed.
    #[error(
        "the {purpose} key of {owner} doesn't open: the master key isn't the one it was sealed with, or its row was \
         changed; restore both from the same backup"
    )]
    Sealed {
        /// Whose.
        owner: Owner,
        /// Purpose.
        purpose: &'static str,
    },
    /// There is no such key.
    #[error("{owner} has no {purpose} key")]
    Missing {
        /// Whose.
        owner: Owner,
        /// Purpose.
        purpose: &'static str,
    },
    /// A document doesn't open.
    #[error(
        "a document doesn't open: its data key or its row isn't the one it was sealed with; restore both from one backup"
    )]
    Document,
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
    /// The owner's public key for a purpose; makes the key when there is none. Idempotent, also under concurrency.
    async fn ensure(&self, owner: &Owner, purpose: Purpose) -> Result<SignerKey, KeyError>;
    /// The owner's public key for a purpose, if there is one; never makes it.
    async fn find(&self, owner: &Owner, purpose: Purpose) -> Result<Option<SignerKey>, KeyError>;
    /// Signs the bytes with the owner's key (Ed25519).
    ///
    /// # Errors
    /// [`KeyError::Missing`] when [`Self::ensure`] was never called for it.
    async fn sign(&self, owner: &Owner, purpose: Purpose, message: &[u8]) -> Result<[u8; 64], KeyError>;
    /// Encrypts a document of a tenant with a key of its own, wrapped by the tenant's data key. `context` names the
    /// document: it opens under the same one only.
    async fn seal(&self, tenant: &str, context: &[u8], plain: &[u8]) -> Result<Sealed, KeyError>;
    /// Decrypts a document.
    ///
    /// # Errors
    /// [`KeyError::Document`] when it isn't this tenant's, not under this context, or changed.
    async fn open(&self, tenant: &str, context: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, KeyError>;
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
        let (acme, globex) = (&Owner::tenant("acme"), &Owner::tenant("globex"));
        let missing = provider.sign(acme, Purpose::Statement, b"x").await;
        assert!(matches!(missing, Err(KeyError::Missing { .. })), "signs without a key");
        let none = provider.find(acme, Purpose::Statement).await.unwrap();
        assert!(none.is_none(), "a look makes a key");

        let (one, two) = tokio::join!(
            provider.ensure(acme, Purpose::Statement),
            provider.ensure(acme, Purpose::Statement)
        );
        let key = one.unwrap();
        assert_eq!(key.to_string(), two.unwrap().to_string(), "two keys were made at once");
        assert_eq!(
            key.to_string(),
            provider.ensure(acme, Purpose::Statement).await.unwrap().to_string()
        );
        let found = provider.find(acme, Purpose::Statement).await.unwrap();
        assert_eq!(found.map(|found| found.to_string()), Some(key.to_string()));
        let other = provider.ensure(globex, Purpose::Statement).await.unwrap();
        assert_ne!(key.to_string(), other.to_string(), "two tenants share a key");
        for namesake in [
            Owner::party("acme", "bank"),
            Owner::party("globex", "bank"),
            Owner::party("acme", "acme"),
        ] {
            let party = provider.ensure(&namesake, Purpose::Statement).await.unwrap();
            assert_ne!(key.to_string(), party.to_string(), "a party shares the tenant's key");
            let signature = provider.sign(&namesake, Purpose::Statement, b"message").await.unwrap();
            party.verify(b"message", &signature).unwrap();
        }

        let signature = provider.sign(acme, Purpose::Statement, b"message").await.unwrap();
        key.verify(b"message", &signature).unwrap();
        assert!(key.verify(b"messagf", &signature).is_err());
        assert!(other.verify(b"message", &signature).is_err());

        let sealed = provider.seal("acme", b"one", b"a document").await.unwrap();
        assert_eq!(
            provider.open("acme", b"one", &sealed).await.unwrap().as_slice(),
            b"a document"
        );
        for (tenant, context) in [("globex", b"one"), ("acme", b"two")] {
            let refused = provider.open(tenant, context, &sealed).await;
            assert!(matches!(refused, Err(KeyError::Document)), "{tenant} opens it");
        }
        let second = provider.seal("acme", b"one", b"a document").await.unwrap();
        assert_ne!(sealed, second, "equal documents look equal");
        let mixed = Sealed {
            key: second.key,
            body: sealed.body.clone(),
        };
        assert!(
            provider.open("acme", b"one", &mixed).await.is_err(),
            "another document's key opens it"
        );

        if let Some(again) = again {
            assert_eq!(
                again.open("acme", b"one", &sealed).await.unwrap().as_slice(),
                b"a document"
            );
            assert_eq!(
                key.to_string(),
                again.ensure(acme, Purpose::Statement).await.unwrap().to_string()
            );
            let signature = again.sign(acme, Purpose::Statement, b"later").await.unwrap();
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
        let first = sealed::SealedKeys::open(&keys, store.clone()).await.unwrap();
        let second = sealed::SealedKeys::open(&keys, store).await.unwrap();
        holds(Arc::new(first), Some(Arc::new(second))).await;
    }
}
