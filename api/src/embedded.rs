//! Descriptions as rows of the embedded store: for `muniment dev` what custom resources are on Kubernetes.
//!
//! Owns generations, merges and the rows. What a description may say and what is seen of it is the [`Judge`]'s; who brings
//! it about follows [`Resources::changes`].

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use crate::access::{self, Access};
use crate::app::State;
use crate::auth::Authenticator;
use crate::cluster::fields::merge;
use crate::proposer::Wish;
use crate::resources::{Change, Refused, Resource, Resources, Target};
use crate::store::entity::description;
use crate::store::{Store, StoreError, Write};
use crate::time::now_ms;

/// A tenant or a network as it is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// Which.
    pub target: Target,
    /// Counts changes of `spec`.
    pub generation: i64,
    /// Its deletion has begun.
    pub deleting: bool,
    /// What is wanted.
    pub spec: Value,
}

/// Whose word counts on what may be described, and on what is seen. `all` is everything that is described.
pub trait Judge: Send + Sync + 'static {
    /// Whether this may be wanted from now on. `old` is what is wanted now.
    ///
    /// # Errors
    /// Why not.
    fn change(&self, target: &Target, old: Option<&Value>, new: &Value, all: &[Described]) -> Result<(), Refused>;
    /// Whether this may be deleted.
    ///
    /// # Errors
    /// Why not.
    fn deletion(&self, one: &Described, all: &[Described]) -> Result<(), Refused>;
    /// What is seen of it; null while nothing was seen.
    fn status(&self, one: &Described, all: &[Described]) -> Value;
}

type Rows = BTreeMap<(String, String), Described>;

/// Keeps descriptions in the store.
pub struct Embedded {
    store: Store,
    auth: Arc<Authenticator>,
    server: Weak<State>,
    judge: Arc<dyn Judge>,
    rows: Arc<RwLock<Rows>>,
    /// One change at a time: a quota is counted and used in one step.
    changing: Arc<Mutex<()>>,
    versions: watch::Sender<u64>,
}

fn key(target: &Target) -> (String, String) {
    match target {
        Target::Tenant(name) => (name.clone(), String::new()),
        Target::Network(tenant, name) => (tenant.clone(), name.clone()),
    }
}

fn described(row: description::Model) -> Result<Described, StoreError> {
    let spec = serde_json::from_str(&row.spec).map_err(|error| StoreError::Damaged {
        url: "of descriptions".to_owned(),
        what: format!("{}/{}: {error}", row.tenant, row.network),
    })?;
    let target = if row.network.is_empty() {
        Target::Tenant(row.tenant)
    } else {
        Target::Network(row.tenant, row.network)
    };
    Ok(Described {
        target,
        generation: row.generation,
        deleting: row.deleted_at > 0,
        spec,
    })
}

fn unavailable(error: StoreError) -> Refused {
    Refused::Unavailable(Box::new(error))
}

impl Embedded {
    pub(crate) async fn open(access: Access, server: Weak<State>, judge: Arc<dyn Judge>) -> Result<Self, StoreError> {
        let store = access.store;
        let mut rows = Rows::new();
        for row in store.descriptions().await? {
            let one = described(row)?;
            rows.insert(key(&one.target), one);
        }
        Ok(Self {
            rows: Arc::new(RwLock::new(rows)),
            store,
            auth: access.auth,
            server,
            judge,
            changing: Arc::default(),
            versions: watch::Sender::new(0),
        })
    }

    /// Everything that is described, tenants before their networks.
    pub fn all(&self) -> Vec<Described> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        rows.values().cloned().collect()
    }

    /// Describes something as it is, whatever the judge would say. A deletion that had begun is off.
    ///
    /// # Errors
    /// When it can't be stored.
    pub async fn settle(&self, target: &Target, spec: &Value) -> Result<(), StoreError> {
        let turn = self.turn().await;
        let next = next(self.find(target).as_ref(), target, spec.clone());
        self.put(
            turn,
            Described {
                deleting: false,
                ..next
            },
        )
        .await
    }

    /// Forgets a network that is gone, and what waits for it. Nothing reaches it any more: what is sent from now on is for
    /// the next one of its name.
    ///
    /// # Errors
    /// When it can't be stored.
    pub async fn forget_network(&self, target: &Target, id: Option<[u8; 32]>) -> Result<(), StoreError> {
        if let Some(server) = self.server.upgrade() {
            server.networks.look_again().await;
        }
        self.forget(target, id.map(Write::Abandon)).await
    }

    /// Forgets a tenant that is gone, and its parties. Their API keys are nobody's from now on.
    ///
    /// # Errors
    /// When it can't be stored.
    pub async fn forget_tenant(&self, tenant: &str) -> Result<(), StoreError> {
        let end = access::end(tenant, now_ms());
        self.forget(&Target::Tenant(tenant.to_owned()), end).await?;
        self.auth.forget_tenant(tenant);
        Ok(())
    }

    async fn forget(&self, target: &Target, more: impl IntoIterator<Item = Write>) -> Result<(), StoreError> {
        let turn = self.turn().await;
        let (tenant, network) = key(target);
        let gone = Write::Undescribe { tenant, network };
        let target = target.clone();
        let change = move |rows: &mut Rows| drop(rows.remove(&key(&target)));
        self.write(turn, more.into_iter().chain([gone]).collect(), change).await
    }

    /// Says that something else is seen.
    pub fn touch(&self) {
        self.versions.send_modify(|version| *version = version.wrapping_add(1));
    }

    fn find(&self, target: &Target) -> Option<Described> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        rows.get(&key(target)).cloned()
    }

    async fn turn(&self) -> OwnedMutexGuard<()> {
        self.changing.clone().lock_owned().await
    }

    async fn put(&self, turn: OwnedMutexGuard<()>, one: Described) -> Result<(), StoreError> {
        let (tenant, network) = key(&one.target);
        let row = description::Model {
            tenant,
            network,
            generation: one.generation,
            deleted_at: if one.deleting { now_ms() } else { 0 },
            spec: one.spec.to_string(),
        };
        let change = move |rows: &mut Rows| drop(rows.insert(key(&one.target), one));
        self.write(turn, vec![Write::Describe(row)], change).await
    }

    /// Goes on to its end whether or not anybody waits for it: what is on disk and what is known stay the same.
    async fn write(
        &self,
        turn: OwnedMutexGuard<()>,
        writes: Vec<Write>,
        change: impl FnOnce(&mut Rows) + Send + 'static,
    ) -> Result<(), StoreError> {
        let (writer, rows, versions) = (self.store.writer.clone(), self.rows.clone(), self.versions.clone());
        let job = tokio::spawn(async move {
            writer.write(writes).await?;
            change(&mut rows.write().unwrap_or_else(PoisonError::into_inner));
            versions.send_modify(|version| *version = version.wrapping_add(1));
            drop(turn);
            Ok(())
        });
        job.await
            .unwrap_or_else(|error| Err(StoreError::Write(error.to_string())))
    }

    fn view(&self, one: &Described) -> Resource {
        let (name, tenant) = match &one.target {
            Target::Tenant(name) => (name.clone(), None),
            Target::Network(tenant, name) => (name.clone(), Some(tenant.clone())),
        };
        Resource {
            name,
            tenant,
            generation: one.generation,
            deleting: one.deleting,
            spec: one.spec.clone(),
            status: self.judge.status(one, &self.all()),
        }
    }
}

/// A description with another `spec`, counted when it differs.
fn next(old: Option<&Described>, target: &Target, spec: Value) -> Described {
    match old {
        None => Described {
            target: target.clone(),
            generation: 1,
            deleting: false,
            spec,
        },
        Some(old) => Described {
            generation: old.generation + i64::from(old.spec != spec),
            spec,
            ..old.clone()
        },
    }
}

#[async_trait]
impl Resources for Embedded {
    async fn list(&self, tenant: Option<&str>) -> Vec<Resource> {
        let wanted = |one: &&Described| match (&one.target, tenant) {
            (Target::Tenant(_), None) => true,
            (Target::Network(of, _), Some(tenant)) => of == tenant,
            _ => false,
        };
        self.all().iter().filter(wanted).map(|one| self.view(one)).collect()
    }

    async fn get(&self, target: &Target) -> Option<Resource> {
        self.find(target).map(|one| self.view(&one))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.versions.subscribe()
    }

    async fn apply(&self, target: &Target, spec: &Value, change: Change, dry: bool) -> Result<Resource, Refused> {
        let turn = self.turn().await;
        let old = self.find(target);
        let base = match (&old, change) {
            (Some(_), Change::Create) => return Err(Refused::Exists),
            (None, Change::Merge) => return Err(Refused::Missing),
            (Some(old), Change::Merge) if old.deleting => {
                return Err(Refused::Forbidden("it is being deleted".to_owned()));
            }
            (None, Change::Create) => json!({}),
            (Some(old), Change::Merge) => old.spec.clone(),
        };
        let wanted = merge(base, spec);
        let before = old.as_ref().map(|old| &old.spec);
        self.judge.change(target, before, &wanted, &self.all())?;
        let next = next(old.as_ref(), target, wanted);
        if !dry {
            self.put(turn, next.clone()).await.map_err(unavailable)?;
        }
        Ok(self.view(&next))
    }

    async fn delete(&self, target: &Target) -> Result<bool, Refused> {
        let turn = self.turn().await;
        let Some(one) = self.find(target) else {
            return Ok(false);
        };
        if !one.deleting {
            self.judge.deletion(&one, &self.all())?;
            let gone = Described { deleting: true, ..one };
            self.put(turn, gone).await.map_err(unavailable)?;
        }
        Ok(true)
    }

    async fn validator_changes(&self) -> Vec<Wish> {
        Vec::new()
    }
}
