//! What never will be in a block: signed again where the key is ours, refused otherwise.
//!
//! Time is the time of blocks that were followed, never a clock: a proposed block may be decided long after its time, so
//! until a later block is final nobody can say that a statement won't land. An idle network tells the time by its
//! heartbeat block. What came in after a block that may hold it was followed is looked for first: it may be final, and
//! its removal got lost. Rows are written before anything leaves the pending set, many in one database transaction.

use futures::future::join_all;
use muniment_ledger::transaction::{Transaction, TransactionId};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;

use super::answer::Decided;
use super::follower;
use super::pending::Entry;
use super::runtime::Network;
use crate::keys::Owner;
use crate::problem::ApiError;
use crate::sign::{self, StatementSigner};
use crate::store::entity::operation;
use crate::store::{StoreError, Write};

/// Most transactions of one database transaction.
const GROUP: usize = 500;
/// Transactions looked for at once.
const LOOKS: usize = 16;
/// Pause before what failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// A transaction that won't be in a block, and why.
pub struct Refused {
    /// Which.
    pub id: TransactionId,
    /// Code of the ledger.
    pub code: String,
    /// Plain sentence.
    pub message: String,
}

/// Something expired is still there.
#[derive(Debug, thiserror::Error)]
enum Delay {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it isn't known of each whether it is in a block")]
    Unknown(#[source] ApiError),
}

/// Runs until the network is dropped; `wake` comes with each block.
pub async fn run(network: Weak<Network>, wake: Arc<Notify>) {
    loop {
        wake.notified().await;
        loop {
            let Some(network) = network.upgrade() else { return };
            match network.expire().await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(
                        network = network.entry.name,
                        error = &error as &dyn std::error::Error,
                        "expired transactions wait"
                    );
                    drop(network);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

impl Network {
    /// Deals with a group of what can't land any more: every block up to a block time has been seen and it was in none.
    /// Answers how many they were.
    async fn expire(&self) -> Result<usize, Delay> {
        let expired = self.pending.expired(self.time.load(Ordering::Acquire), GROUP);
        let (missed, unknown) = self.missed(&expired).await;
        let (mut again, mut refused) = (Vec::new(), Vec::new());
        for entry in &missed {
            match self.again(entry).await {
                Ok(Some(new)) => again.push((entry.clone(), Arc::new(new))),
                Ok(None) => refused.push(gone(
                    entry,
                    "the statement's time ended before it was in a block; sign it again with a later validUntil",
                )),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "an expired transaction can't be signed again");
                    refused.push(gone(entry, "the statement's time ended and it can't be signed again"));
                }
            }
        }
        self.replace(again).await?;
        self.refuse(refused).await?;
        match unknown {
            Some(error) => Err(Delay::Unknown(error)),
            None => Ok(expired.len()),
        }
    }

    /// Those of a group that are in no block. What is found in one is settled; what can't be looked for stays, and why.
    async fn missed(&self, expired: &[Arc<Entry>]) -> (Vec<Arc<Entry>>, Option<ApiError>) {
        let (mut missed, mut unknown) = (Vec::new(), None);
        for group in expired.chunks(LOOKS) {
            let looks: Vec<_> = group.iter().map(|entry| self.is_in_none(entry.clone())).collect();
            let answers = join_all(looks).await;
            for (entry, answer) in group.iter().zip(answers) {
                match answer {
                    Ok(true) => missed.push(entry.clone()),
                    Ok(false) => {}
                    Err(error) => unknown = Some(error),
                }
            }
        }
        (missed, unknown)
    }

    async fn is_in_none(&self, entry: Arc<Entry>) -> Result<bool, ApiError> {
        if entry.fresh {
            return Ok(true);
        }
        match self.landed(&entry.id).await? {
            Some((block, transaction)) if follower::settles(&entry, &block, transaction) => {
                self.found(&entry, block, transaction).await;
                Ok(false)
            }
            // Somebody else may have settled it meanwhile.
            _ => Ok(self.is_pending(&entry.id)),
        }
    }

    /// The same actions under a new nonce and time, when the key is ours.
    async fn again(&self, old: &Entry) -> Result<Option<Entry>, ApiError> {
        if !old.ours {
            return Ok(None);
        }
        let owner = self.owner_of(&old.transaction).await?;
        let signer = StatementSigner {
            keys: &*self.shared.keys,
            owner: &owner,
            network: self.entry.id,
            validity: self.shared.validity,
        };
        let mut entry = self.entry_of(signer.again(&old.transaction).await?, true);
        entry.created_at = old.created_at;
        Ok(Some(entry))
    }

    /// Whose key signed a transaction of ours: a party's, or else the tenant's.
    async fn owner_of(&self, transaction: &Transaction) -> Result<Owner, ApiError> {
        let signer =
            sign::signer_of(transaction).ok_or_else(|| ApiError::internal("a transaction of ours is broken"))?;
        let tenant = &self.entry.tenant;
        let party = self.shared.store.party_of(tenant, &signer.to_string()).await;
        Ok(Owner {
            tenant: tenant.clone(),
            party: party.map_err(ApiError::internal)?.map(|party| party.name),
        })
    }

    /// Puts new transactions into the places of old ones; who waited goes on waiting.
    async fn replace(&self, pairs: Vec<(Arc<Entry>, Arc<Entry>)>) -> Result<(), StoreError> {
        let mut writes = Vec::new();
        for (old, new) in &pairs {
            let row = self.row(new).map_err(|error| StoreError::Write(error.to_string()))?;
            writes.push(Write::Accept(row));
            let replaced_by = Some(new.id.0.to_vec());
            writes.push(self.exception_row(&old.id, None, replaced_by));
        }
        self.write_and_forget(writes, pairs.iter().map(|(old, _)| old.id))
            .await?;
        let mut late = Vec::new();
        for (old, new) in pairs {
            // Its room in flight goes over to the new one.
            let room = new.transaction.actions();
            self.room.take(room);
            if let Some(rows) = self.pending.replace(&old.id, new.clone()) {
                self.room.release(old.transaction.actions());
                late.extend(rows);
            }
            self.send(new);
        }
        self.forget(late).await
    }

    /// Settles what the ledger never will take. Until it is written nothing changes.
    pub(super) async fn refuse(&self, refused: Vec<Refused>) -> Result<(), StoreError> {
        let mut writes = Vec::new();
        for one in &refused {
            let actions = self.pending.get(&one.id).map_or(1, |entry| entry.transaction.actions());
            let failed = serde_json::json!({ "code": one.code, "message": one.message, "actions": actions });
            writes.push(self.exception_row(&one.id, Some(failed.to_string()), None));
        }
        self.write_and_forget(writes, refused.iter().map(|one| one.id)).await?;
        let (mut late, mut landed) = (Vec::new(), Vec::new());
        for Refused { id, code, message } in refused {
            let Some(removed) = self.pending.remove(&id) else {
                // It was in a block all the same; the ledger tells of it.
                landed.push(Write::Landed {
                    network: self.entry.id,
                    tx: id.0,
                });
                continue;
            };
            late.extend(&removed.seqs);
            let actions = removed.entry.transaction.actions();
            self.settle(removed, Decided::Refused { code, message, actions });
        }
        if !landed.is_empty() {
            self.shared.store.writer.write(landed).await?;
        }
        self.forget(late).await
    }

    fn exception_row(&self, id: &TransactionId, failed: Option<String>, replaced_by: Option<Vec<u8>>) -> Write {
        Write::Operation(operation::Model {
            network: self.entry.id.to_vec(),
            tx: id.0.to_vec(),
            rejected: None,
            failed,
            replaced_by,
            created_at: crate::time::now_ms(),
        })
    }

    /// Writes, and drops the outbox rows of these in the same transaction.
    async fn write_and_forget(
        &self,
        mut writes: Vec<Write>,
        ids: impl Iterator<Item = TransactionId>,
    ) -> Result<(), StoreError> {
        let rows: Vec<i64> = ids.flat_map(|id| self.pending.rows(&id)).collect();
        if writes.is_empty() {
            return Ok(());
        }
        writes.push(done(rows));
        self.shared.store.writer.write(writes).await
    }

    /// Drops outbox rows that came in while the group was being written.
    async fn forget(&self, rows: Vec<i64>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.shared.store.writer.write(vec![done(rows)]).await
    }
}

fn gone(entry: &Entry, message: &str) -> Refused {
    Refused {
        id: entry.id,
        code: "EXPIRED".to_owned(),
        message: message.to_owned(),
    }
}

fn done(rows: Vec<i64>) -> Write {
    Write::Done(rows.into_iter().map(|row| (row, row)).collect())
}
