//! Keys sealed by a master key: seeds lie in SQL under XChaCha20-Poly1305, the master key lies in a file of its own.
//!
//! The associated data names provider, owner, key, version and purpose, so a row that is moved to another place
//! doesn't open. Whoever has both the database and the master key has the keys; one of them alone is worth nothing.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ed25519_dalek::{Signer, SigningKey};
use std::collections::HashMap;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

use super::{KeyError, KeyProvider, Owner, Purpose, Sealed, SignerKey, envelope, random};
use crate::store::entity::signing_key;
use crate::store::{Store, Write};

/// Name of this provider in rows and associated data.
const PROVIDER: &str = "sealed";
/// File of the master key inside the keys folder.
const MASTER: &str = "master.key";

type DataKey = Zeroizing<[u8; 32]>;

/// The default provider.
pub struct SealedKeys {
    master: Zeroizing<[u8; 32]>,
    store: Store,
    // `SigningKey` wipes itself when dropped.
    cache: RwLock<HashMap<(Owner, Purpose), Arc<SigningKey>>>,
    data: RwLock<HashMap<String, Arc<DataKey>>>,
    making: tokio::sync::Mutex<()>,
}

impl SealedKeys {
    /// Reads the master key, or makes it at the first start (folder 0700, file 0600).
    ///
    /// # Errors
    /// When the file can't be made or read, has another length, is open to other users, or is missing although keys were
    /// sealed with it: a new one would only hide that.
    pub async fn open(folder: &Path, store: Store) -> Result<Self, KeyError> {
        let file = folder.join(MASTER);
        if !file.exists() && store.has_signing_keys().await? {
            let path = file.display().to_string();
            return Err(KeyError::Lost { path });
        }
        let master = master(folder)?;
        Ok(Self {
            master,
            store,
            cache: RwLock::default(),
            data: RwLock::default(),
            making: tokio::sync::Mutex::new(()),
        })
    }

    fn cached(&self, owner: &Owner, purpose: Purpose) -> Option<Arc<SigningKey>> {
        // The owned key of the map costs allocations per signature; names are short and this is far below the
        // cost of the signature itself.
        let opened = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        opened.get(&(owner.clone(), purpose)).cloned()
    }

    async fn opened(&self, owner: &Owner, purpose: Purpose) -> Result<Option<Arc<SigningKey>>, KeyError> {
        if let Some(key) = self.cached(owner, purpose) {
            return Ok(Some(key));
        }
        let Some(row) = self.store.signing_key(&owner.tenant, &owner.slot(purpose)).await? else {
            return Ok(None);
        };
        let seed = self.unseal(&row, owner, purpose)?;
        let key = SigningKey::from_bytes(&seed);
        if public(&key).to_string() != row.public {
            return Err(KeyError::Sealed {
                owner: owner.clone(),
                purpose: purpose.name(),
            });
        }
        let key = Arc::new(key);
        let mut opened = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(opened.entry((owner.clone(), purpose)).or_insert(key).clone()))
    }

    /// The secret of a row.
    fn unseal(&self, row: &signing_key::Model, owner: &Owner, purpose: Purpose) -> Result<DataKey, KeyError> {
        let broken = || KeyError::Sealed {
            owner: owner.clone(),
            purpose: purpose.name(),
        };
        let nonce: [u8; 24] = row.nonce.as_slice().try_into().map_err(|_| broken())?;
        let aad = associated(owner, &row.public, row.version, purpose);
        let payload = Payload {
            msg: &row.sealed,
            aad: &aad,
        };
        let cipher = XChaCha20Poly1305::new((&*self.master).into());
        let seed = Zeroizing::new(cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| broken())?);
        Ok(Zeroizing::new(seed.as_slice().try_into().map_err(|_| broken())?))
    }

    /// The row of a secret that is known by a public text.
    fn seal_secret(
        &self,
        seed: &DataKey,
        public: String,
        owner: &Owner,
        purpose: Purpose,
    ) -> Result<signing_key::Model, KeyError> {
        let nonce = random::<24>()?;
        let aad = associated(owner, &public, 1, purpose);
        let payload = Payload {
            msg: seed.as_slice(),
            aad: &aad,
        };
        let cipher = XChaCha20Poly1305::new((&*self.master).into());
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| KeyError::Sealed {
                owner: owner.clone(),
                purpose: purpose.name(),
            })?;
        Ok(signing_key::Model {
            tenant: owner.tenant.clone(),
            purpose: owner.slot(purpose),
            version: 1,
            provider: PROVIDER.to_owned(),
            public,
            nonce: nonce.to_vec(),
            sealed,
            created_at: crate::time::now_ms(),
        })
    }

    /// The tenant's data key; made when there is none.
    async fn data_key(&self, tenant: &str) -> Result<Arc<DataKey>, KeyError> {
        let known = |of: &Self| {
            let data = of.data.read().unwrap_or_else(PoisonError::into_inner);
            data.get(tenant).cloned()
        };
        if let Some(key) = known(self) {
            return Ok(key);
        }
        let _one_at_a_time = self.making.lock().await;
        if let Some(key) = known(self) {
            return Ok(key);
        }
        let (owner, purpose) = (Owner::tenant(tenant), Purpose::Documents);
        let key = match self.store.signing_key(tenant, &owner.slot(purpose)).await? {
            Some(row) => self.unseal(&row, &owner, purpose)?,
            None => {
                let fresh = Zeroizing::new(random::<32>()?);
                // It has no public half; its name keeps rows apart.
                let name = format!("data:{}", hex::encode(random::<16>()?));
                let row = self.seal_secret(&fresh, name, &owner, purpose)?;
                self.store.writer.write(vec![Write::SigningKey(row)]).await?;
                fresh
            }
        };
        let key = Arc::new(key);
        let mut data = self.data.write().unwrap_or_else(PoisonError::into_inner);
        data.insert(tenant.to_owned(), key.clone());
        Ok(key)
    }
}

#[async_trait::async_trait]
impl KeyProvider for SealedKeys {
    async fn ensure(&self, owner: &Owner, purpose: Purpose) -> Result<SignerKey, KeyError> {
        let _one_at_a_time = self.making.lock().await;
        if let Some(key) = self.opened(owner, purpose).await? {
            return Ok(public(&key));
        }
        let seed = Zeroizing::new(random::<32>()?);
        let key = SigningKey::from_bytes(&seed);
        let row = self.seal_secret(&seed, public(&key).to_string(), owner, purpose)?;
        self.store.writer.write(vec![Write::SigningKey(row)]).await?;
        Ok(public(&key))
    }

    async fn find(&self, owner: &Owner, purpose: Purpose) -> Result<Option<SignerKey>, KeyError> {
        Ok(self.opened(owner, purpose).await?.map(|key| public(&key)))
    }

    async fn sign(&self, owner: &Owner, purpose: Purpose, message: &[u8]) -> Result<[u8; 64], KeyError> {
        let key = self.opened(owner, purpose).await?.ok_or_else(|| KeyError::Missing {
            owner: owner.clone(),
            purpose: purpose.name(),
        })?;
        Ok(key.sign(message).to_bytes())
    }

    async fn seal(&self, tenant: &str, context: &[u8], plain: &[u8]) -> Result<Sealed, KeyError> {
        envelope::seal(&*self.data_key(tenant).await?, context, plain)
    }

    async fn open(&self, tenant: &str, context: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        envelope::open(&*self.data_key(tenant).await?, context, sealed)
    }
}

fn public(key: &SigningKey) -> SignerKey {
    SignerKey::ed25519(key.verifying_key().as_bytes())
}

/// Fields are separated by a byte that none of them can hold.
fn associated(owner: &Owner, key: &str, version: i64, purpose: Purpose) -> Vec<u8> {
    [PROVIDER, &owner.tenant, key, &version.to_string(), &owner.slot(purpose)]
        .join("\0")
        .into_bytes()
}

fn master(folder: &Path) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let path = folder.join(MASTER);
    let fail = |why: String| KeyError::Master {
        path: path.display().to_string(),
        why,
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| fail(error.to_string()))?;
    match std::fs::read(&path) {
        Ok(bytes) => {
            let bytes = Zeroizing::new(bytes);
            let found = std::fs::metadata(&path).map_err(|error| fail(error.to_string()))?;
            let mode = found.permissions().mode();
            // A mounted Secret is root's, and its group is the only way to read it.
            let allowed = if is_mine(&found) { 0o700 } else { 0o740 };
            if mode & 0o777 & !allowed != 0 {
                return Err(fail(format!(
                    "other users may read it (mode {:o}); chmod 600 it",
                    mode & 0o777
                )));
            }
            let master = bytes
                .as_slice()
                .try_into()
                .map_err(|_| fail("it isn't 32 bytes long".to_owned()))?;
            Ok(Zeroizing::new(master))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let fresh = Zeroizing::new(random::<32>()?);
            write_new(folder, &path, fresh.as_slice()).map_err(|error| fail(error.to_string()))?;
            Ok(fresh)
        }
        Err(error) => Err(fail(error.to_string())),
    }
}

fn is_mine(file: &std::fs::Metadata) -> bool {
    // Nobody but the process itself owns its entry.
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == file.uid())
}

/// Whole or not at all: written beside, synced, then linked to its name, which fails if the name exists.
fn write_new(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = folder.join(format!("{MASTER}.{}.new", std::process::id()));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&beside, path);
    std::fs::remove_file(&beside)?;
    linked?;
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    async fn custody(folder: &Path) -> (SealedKeys, Store) {
        let store = Store::open(&format!("sqlite://{}?mode=rwc", folder.join("k.db").display()))
            .await
            .unwrap();
        let keys = SealedKeys::open(&folder.join("keys"), store.clone()).await.unwrap();
        (keys, store)
    }

    #[tokio::test]
    async fn a_row_moved_to_another_tenant_does_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, store) = custody(folder.path()).await;
        keys.ensure(&Owner::tenant("acme"), Purpose::Statement).await.unwrap();
        let mut row = store.signing_key("acme", "statement").await.unwrap().unwrap();
        row.tenant = "mallory".to_owned();
        store.writer.write(vec![Write::SigningKey(row)]).await.unwrap();
        let refused = keys.sign(&Owner::tenant("mallory"), Purpose::Statement, b"x").await;
        assert!(matches!(refused, Err(KeyError::Sealed { .. })));
    }

    #[tokio::test]
    async fn another_master_key_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, store) = custody(folder.path()).await;
        keys.ensure(&Owner::tenant("acme"), Purpose::Statement).await.unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        drop(custody(&elsewhere).await);
        let other = SealedKeys::open(&elsewhere.join("keys"), store.clone()).await.unwrap();
        let none = folder.path().join("none");
        let lost = SealedKeys::open(&none, store).await.err();
        assert!(matches!(lost, Some(KeyError::Lost { .. })) && !none.exists());
        assert!(matches!(
            other.ensure(&Owner::tenant("acme"), Purpose::Statement).await,
            Err(KeyError::Sealed { .. })
        ));
    }

    #[tokio::test]
    async fn the_seed_is_nowhere_in_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, _store) = custody(folder.path()).await;
        keys.ensure(&Owner::tenant("acme"), Purpose::Statement).await.unwrap();
        keys.sign(&Owner::tenant("acme"), Purpose::Statement, b"x")
            .await
            .unwrap();
        let seed = keys
            .cached(&Owner::tenant("acme"), Purpose::Statement)
            .unwrap()
            .to_bytes();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                assert!(
                    !bytes.windows(32).any(|window| window == seed),
                    "seed in {}",
                    path.display()
                );
            }
        }
    }

    #[test]
    fn the_master_key_must_be_private() {
        let folder = tempfile::tempdir().unwrap();
        let made = master(folder.path()).unwrap();
        assert_eq!(*made, *master(folder.path()).unwrap());
        let path = folder.path().join(MASTER);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(master(folder.path()), Err(KeyError::Master { .. })));
    }
}
