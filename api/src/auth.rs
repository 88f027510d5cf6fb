//! API keys: their form, and who calls.
//!
//! A key is `mnk_<43 base64url characters of 32 random bytes>_<8 hex check digits>`. The check digits let a typo or a
//! cut-off key be refused without a look into the database, and secret scanners tell a real key from a lookalike.
//! Only SHA-256 of the key is stored; a look-up by a hash of 256 random bits gives no timing to learn from.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

use crate::keys::{KeyError, Owner, random};
use crate::problem::ApiError;
use crate::store::Store;
use crate::store::entity::api_key;

/// How long a look-up is believed: the bound for a revocation made by another process. In this one it is immediate.
const BELIEVED: Duration = Duration::from_secs(3);
/// Most remembered keys.
const REMEMBERED: usize = 10_000;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// API key id, `key_…`.
    pub key: String,
    /// Its display name.
    pub name: String,
    /// Who it acts for.
    pub owner: Owner,
    expires_at: Option<i64>,
}

/// A key that was just made.
pub struct NewKey {
    /// The row to store.
    pub row: api_key::Model,
    /// The secret, shown once.
    pub secret: Zeroizing<String>,
}

/// Makes a key.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn generate(owner: &Owner, name: &str, expires_at: Option<i64>) -> Result<NewKey, KeyError> {
    let bytes = Zeroizing::new(random::<32>()?);
    let body = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
    let secret = Zeroizing::new(format!("mnk_{}_{}", body.as_str(), check_digits(&body)));
    let row = row(owner, name, expires_at, &secret);
    Ok(NewKey { row, secret })
}

/// The row of a key.
pub fn row(owner: &Owner, name: &str, expires_at: Option<i64>, secret: &str) -> api_key::Model {
    api_key::Model {
        id: format!("key_{}", uuid::Uuid::now_v7().simple()),
        tenant: owner.tenant.clone(),
        party: owner.party.clone(),
        name: name.to_owned(),
        prefix: secret.chars().take(10).collect(),
        hash: hash(secret).to_vec(),
        created_at: crate::time::now_ms(),
        expires_at,
        revoked_at: None,
    }
}

fn check_digits(body: &str) -> String {
    let digest = Sha256::digest([b"muniment.dev/api-key/v1\n", body.as_bytes()].concat());
    hex::encode(&digest[..4])
}

/// What is stored of a key.
pub fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Whether the text has the form of a key and its check digits hold.
pub fn well_formed(secret: &str) -> bool {
    let Some(rest) = secret.strip_prefix("mnk_") else {
        return false;
    };
    // The body may itself hold an underscore, so the lengths decide.
    let (Some(body), Some(separator), Some(digits)) = (rest.get(..43), rest.get(43..44), rest.get(44..)) else {
        return false;
    };
    separator == "_" && digits == check_digits(body)
}

/// Principals by the SHA-256 of their key, and when each was looked up.
type Seen = HashMap<[u8; 32], (Arc<Principal>, Instant)>;

/// Finds out who calls; remembers it for a few seconds, so that the hot path doesn't ask the database.
pub struct Authenticator {
    store: Store,
    seen: RwLock<Seen>,
    /// Counts revocations: what was read before one isn't remembered after it.
    revocations: AtomicU64,
}

impl Authenticator {
    /// On a store.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            seen: RwLock::default(),
            revocations: AtomicU64::new(0),
        }
    }

    /// The principal of a secret.
    ///
    /// # Errors
    /// 401 for a key that is malformed, unknown, revoked or expired.
    pub async fn principal(&self, secret: &str) -> Result<Arc<Principal>, ApiError> {
        if !well_formed(secret) {
            return Err(ApiError::unauthorized(
                "this isn't a Muniment API key (mnk_…), or a part of it is missing; copy it again",
            ));
        }
        let hash = hash(secret);
        let known = self
            .seen
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&hash)
            .cloned();
        let principal = match known {
            Some((principal, at)) if at.elapsed() < BELIEVED => principal,
            _ => self.look_up(hash).await?,
        };
        if principal.expires_at.is_some_and(|at| at <= crate::time::now_ms()) {
            return Err(refused());
        }
        Ok(principal)
    }

    async fn look_up(&self, hash: [u8; 32]) -> Result<Arc<Principal>, ApiError> {
        let revocations = self.revocations.load(Ordering::Acquire);
        let row = self.store.api_key_by_hash(&hash).await.map_err(ApiError::internal)?;
        let Some(row) = row.filter(|row| row.revoked_at.is_none()) else {
            self.seen.write().unwrap_or_else(PoisonError::into_inner).remove(&hash);
            return Err(refused());
        };
        let principal = Arc::new(Principal {
            key: row.id,
            name: row.name,
            owner: Owner {
                tenant: row.tenant,
                party: row.party,
            },
            expires_at: row.expires_at,
        });
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REMEMBERED {
            seen.retain(|_, (_, at)| at.elapsed() < BELIEVED);
        }
        if seen.len() < REMEMBERED && self.revocations.load(Ordering::Acquire) == revocations {
            seen.insert(hash, (principal.clone(), Instant::now()));
        }
        Ok(principal)
    }

    /// Forgets a key at once, after its revocation.
    pub fn forget(&self, key: &str) {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        self.revocations.fetch_add(1, Ordering::AcqRel);
        seen.retain(|_, (principal, _)| principal.key != key);
    }

    /// Forgets all keys of a tenant and its parties at once, after their revocation.
    pub fn forget_tenant(&self, tenant: &str) {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        self.revocations.fetch_add(1, Ordering::AcqRel);
        seen.retain(|_, (principal, _)| principal.owner.tenant != tenant);
    }
}

/// One answer for unknown, revoked and expired: a finder of an old key learns nothing.
fn refused() -> ApiError {
    ApiError::unauthorized("this API key isn't known here, was revoked, or has expired; ask for a new one")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn any_changed_character_is_noticed() {
        let key = generate(&Owner::tenant("acme"), "test", None).unwrap();
        assert!(well_formed(&key.secret));
        for at in 0..key.secret.len() {
            let mut bytes = key.secret.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            assert!(!well_formed(std::str::from_utf8(&bytes).unwrap()), "position {at}");
        }
        for text in ["", "mnk_", "mnk_é", "Bearer x", &key.secret[..50]] {
            assert!(!well_formed(text), "{text}");
        }
    }
}
