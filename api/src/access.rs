//! How a tenant gets what it needs first: the key that signs its statements, and an API key.

use std::sync::Arc;
use zeroize::Zeroizing;

use crate::app::ServeError;
use crate::auth::{self, Authenticator};
use crate::keys::{KeyProvider, Owner, Purpose};
use crate::store::entity::tenant_identity;
use crate::store::{Store, Write};
use muniment_receipts::key::SignerKey;

/// Makes and knows keys of tenants; clones share the store.
#[derive(Clone)]
pub struct Access {
    pub(crate) keys: Arc<dyn KeyProvider>,
    pub(crate) store: Store,
    pub(crate) auth: Arc<Authenticator>,
}

/// First access of a tenant.
pub struct Bootstrap {
    /// Public key that signs the tenant's statements; a member of its networks' genesis.
    pub signer: SignerKey,
    /// A new API key, shown once; `None` if the tenant already has one.
    pub api_key: Option<Zeroizing<String>>,
}

/// What became of an API key that somebody else keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopted {
    /// It was known as the tenant's, perhaps as a revoked one.
    Known,
    /// It is the tenant's from now on.
    Added,
    /// It was a key of whoever had the tenant's name before, and is revoked.
    Former,
    /// It isn't the form of a key, or another tenant's: nothing was done.
    Refused,
}

impl Access {
    /// Closes the database, after everything that serves: nothing can be read or written any more.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// The public key that signs the tenant's statements; made when there is none.
    ///
    /// # Errors
    /// When it can't be made or stored.
    pub async fn signer(&self, tenant: &str) -> Result<SignerKey, ServeError> {
        Ok(self.keys.ensure(&Owner::tenant(tenant), Purpose::Statement).await?)
    }

    /// The public key that signs the tenant's statements, if there is one.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn known_signer(&self, tenant: &str) -> Result<Option<SignerKey>, ServeError> {
        Ok(self.keys.find(&Owner::tenant(tenant), Purpose::Statement).await?)
    }

    /// Whom a tenant's name stands for now. When that is another one than before, API keys of the former one and its parties
    /// are revoked and its parties forgotten; true then. What was there before anybody was known belongs to the first.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub async fn recognise(&self, tenant: &str, identity: &str) -> Result<bool, ServeError> {
        match self.store.identity(tenant).await? {
            Some(known) if known.identity == identity => Ok(false),
            Some(_) => self.hand_over(tenant, identity).await.map(|()| true),
            None => {
                let row = stands_for(tenant, identity, 0);
                self.store.writer.write(vec![Write::Identity(row)]).await?;
                Ok(false)
            }
        }
    }

    /// A tenant is gone: nobody has its name, if it was this one that had it.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub async fn gone(&self, tenant: &str, identity: &str) -> Result<(), ServeError> {
        let known = self.store.identity(tenant).await?;
        match known.filter(|known| known.identity == identity) {
            Some(_) => self.hand_over(tenant, "").await,
            None => Ok(()),
        }
    }

    async fn hand_over(&self, tenant: &str, identity: &str) -> Result<(), ServeError> {
        let at = crate::time::now_ms();
        let mut writes: Vec<Write> = end(tenant, at).into();
        writes.push(Write::Identity(stands_for(tenant, identity, at)));
        self.store.writer.write(writes).await?;
        self.auth.forget_tenant(tenant);
        Ok(())
    }

    /// Makes what a tenant needs first: its signing key, and an API key if it has none. Idempotent.
    ///
    /// # Errors
    /// When keys can't be made or stored.
    pub async fn bootstrap(&self, tenant: &str) -> Result<Bootstrap, ServeError> {
        let signer = self.signer(tenant).await?;
        let has_key = !self.store.api_keys(tenant, None, 1).await?.is_empty();
        let api_key = if has_key {
            None
        } else {
            Some(self.new_api_key(tenant, "first").await?)
        };
        Ok(Bootstrap { signer, api_key })
    }

    /// Makes an API key for a tenant: for whoever has lost the first one and sits at the server.
    ///
    /// # Errors
    /// When it can't be stored.
    pub async fn new_api_key(&self, tenant: &str, name: &str) -> Result<Zeroizing<String>, ServeError> {
        let key = auth::generate(&Owner::tenant(tenant), name, None)?;
        self.store.writer.write(vec![Write::ApiKey(key.row)]).await?;
        Ok(key.secret)
    }

    /// A key that is stored nowhere yet: whoever keeps it stores it first, then calls [`Self::adopt`]. So no key is ever
    /// known here that nobody has.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn draw(&self) -> Result<Zeroizing<String>, ServeError> {
        Ok(auth::generate(&Owner::tenant(""), "", None)?.secret)
    }

    /// Takes a key that somebody keeps as the tenant's. A revoked one stays revoked.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub async fn adopt(&self, tenant: &str, name: &str, secret: &str) -> Result<Adopted, ServeError> {
        if !auth::well_formed(secret) {
            return Ok(Adopted::Refused);
        }
        let row = auth::row(&Owner::tenant(tenant), name, None, secret);
        let hash: [u8; 32] = auth::hash(secret);
        match self.store.api_key_by_hash(&hash).await? {
            Some(known) if known.tenant == tenant => {
                let identity = self.store.identity(tenant).await?;
                let since = identity.map_or(0, |identity| identity.since);
                let former = known.revoked_at.is_some() && known.created_at <= since;
                Ok(if former { Adopted::Former } else { Adopted::Known })
            }
            Some(_) => Ok(Adopted::Refused),
            None => {
                self.store.writer.write(vec![Write::ApiKey(row)]).await?;
                Ok(Adopted::Added)
            }
        }
    }
}

/// What ends with a tenant: its API keys and its parties, theirs as well. Keys that sign are kept.
pub(crate) fn end(tenant: &str, at: i64) -> [Write; 2] {
    let tenant = tenant.to_owned();
    [
        Write::RevokeAll {
            tenant: tenant.clone(),
            at,
        },
        Write::ForgetParties { tenant },
    ]
}

fn stands_for(tenant: &str, identity: &str, since: i64) -> tenant_identity::Model {
    tenant_identity::Model {
        tenant: tenant.to_owned(),
        identity: identity.to_owned(),
        since,
    }
}
