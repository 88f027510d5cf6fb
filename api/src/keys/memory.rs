//! Keys in memory only: the twin for tests.

use ed25519_dalek::{Signer, SigningKey};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{KeyError, KeyProvider, Purpose, SignerKey, random};

/// Keeps nothing across a restart.
#[derive(Default)]
pub struct MemoryKeys {
    keys: Mutex<HashMap<(String, Purpose), SigningKey>>,
}

#[async_trait::async_trait]
impl KeyProvider for MemoryKeys {
    async fn ensure(&self, tenant: &str, purpose: Purpose) -> Result<SignerKey, KeyError> {
        let fresh = SigningKey::from_bytes(&random::<32>()?);
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let key = keys.entry((tenant.to_owned(), purpose)).or_insert(fresh);
        Ok(SignerKey::ed25519(key.verifying_key().as_bytes()))
    }

    async fn sign(&self, tenant: &str, purpose: Purpose, message: &[u8]) -> Result<[u8; 64], KeyError> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let key = keys
            .get(&(tenant.to_owned(), purpose))
            .ok_or_else(|| KeyError::Missing {
                tenant: tenant.to_owned(),
                purpose: purpose.name(),
            })?;
        Ok(key.sign(message).to_bytes())
    }
}
