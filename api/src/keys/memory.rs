//! Keys in memory only: the twin for tests.

use ed25519_dalek::{Signer, SigningKey};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

use super::{KeyError, KeyProvider, Owner, Purpose, Sealed, SignerKey, envelope, random};

/// Keeps nothing across a restart.
#[derive(Default)]
pub struct MemoryKeys {
    keys: Mutex<HashMap<(Owner, Purpose), SigningKey>>,
    data: Mutex<HashMap<String, [u8; 32]>>,
}

impl MemoryKeys {
    fn data_key(&self, tenant: &str) -> Result<[u8; 32], KeyError> {
        let fresh = random::<32>()?;
        let mut data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(*data.entry(tenant.to_owned()).or_insert(fresh))
    }
}

#[async_trait::async_trait]
impl KeyProvider for MemoryKeys {
    async fn ensure(&self, owner: &Owner, purpose: Purpose) -> Result<SignerKey, KeyError> {
        let fresh = SigningKey::from_bytes(&random::<32>()?);
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let key = keys.entry((owner.clone(), purpose)).or_insert(fresh);
        Ok(SignerKey::ed25519(key.verifying_key().as_bytes()))
    }

    async fn find(&self, owner: &Owner, purpose: Purpose) -> Result<Option<SignerKey>, KeyError> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let key = keys.get(&(owner.clone(), purpose));
        Ok(key.map(|key| SignerKey::ed25519(key.verifying_key().as_bytes())))
    }

    async fn sign(&self, owner: &Owner, purpose: Purpose, message: &[u8]) -> Result<[u8; 64], KeyError> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let key = keys.get(&(owner.clone(), purpose)).ok_or_else(|| KeyError::Missing {
            owner: owner.clone(),
            purpose: purpose.name(),
        })?;
        Ok(key.sign(message).to_bytes())
    }

    async fn seal(&self, tenant: &str, context: &[u8], plain: &[u8]) -> Result<Sealed, KeyError> {
        envelope::seal(&self.data_key(tenant)?, context, plain)
    }

    async fn open(&self, tenant: &str, context: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        envelope::open(&self.data_key(tenant)?, context, sealed)
    }
}
