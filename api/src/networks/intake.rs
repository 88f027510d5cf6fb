//! Taking a signed transaction: on disk before anybody is told that it is accepted, pending, sent.

use muniment_ledger::execute::governance::TEMPLATE;
use muniment_ledger::transaction::{Transaction, TransactionId};
use muniment_receipts::statement::Statement;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

use super::answer::Decided;
use super::pending::Entry;
use super::runtime::Network;
use crate::idempotency::Held;
use crate::operation_id::OperationId;
use crate::problem::ApiError;
use crate::sign::Signed;
use crate::store::entity::outbox;
use crate::store::{StoreError, Write};

/// A transaction on its way.
pub struct Ticket {
    /// Operation to ask for later.
    pub operation: OperationId,
    /// Comes when it is final.
    pub decided: oneshot::Receiver<Arc<Decided>>,
}

impl Ticket {
    /// Waits for finality, at most so long.
    pub async fn wait(self, limit: Duration) -> Option<Arc<Decided>> {
        tokio::time::timeout(limit, self.decided).await.ok()?.ok()
    }
}

impl Network {
    /// Takes a transaction. When this returns after `durable`, it is on disk and will be sent until it is final or
    /// can't be any more. Without, it is only sent: the caller answers after finality, when it is on the ledger's disks,
    /// or calls [`Self::store`] before it answers anything else. `more` is written in the same database transaction, and
    /// `held` is held until then.
    ///
    /// # Errors
    /// 403 when the tenant is suspended, 409 when the idempotency key was faster with another operation, 503 when the
    /// network sleeps or is being attached anew or too much is in flight, 500 when it can't be written; then it isn't
    /// accepted.
    pub async fn accept(
        &self,
        signed: Signed,
        ours: bool,
        durable: bool,
        held: Option<Held>,
        more: impl FnOnce(OperationId) -> Vec<Write>,
    ) -> Result<Ticket, ApiError> {
        if self.suspended.load(Ordering::Relaxed) {
            return Err(ApiError::suspended());
        }
        if self.asleep.load(Ordering::Relaxed) {
            return Err(ApiError::asleep(&self.entry.tenant, &self.entry.name));
        }
        let pass = self.pass().ok_or_else(ApiError::closed)?;
        let actions = signed.transaction.actions();
        let entry = Arc::new(self.entry_of(signed, ours));
        let operation = OperationId {
            created_at: entry.created_at,
            transaction: entry.id,
        };
        let mut writes = more(operation);
        writes.extend(held.iter().map(|held| held.row(operation)));
        // Documents remember no operation: as long as its caller waits, the ledger alone needs to know of it.
        let has_row = durable || writes.iter().any(|write| !matches!(write, Write::Documents(_)));
        if has_row {
            writes.push(Write::Accept(self.row(&entry)?));
        }
        if !self.room.reserve(actions) {
            self.shared.metrics.overloaded.inc();
            return Err(ApiError::overloaded(1));
        }
        let (waiter, decided) = oneshot::channel();
        if !writes.is_empty() {
            let stored = self
                .store_and_send(entry, has_row, writes, vec![waiter], (held, pass))
                .await;
            stored.map_err(ApiError::unwritten)?;
        } else {
            self.enter(entry, false, vec![waiter]);
        }
        Ok(Ticket { operation, decided })
    }

    /// Makes a pending transaction durable, before the caller is told that it is accepted. Nothing to do when it is
    /// decided by now: the ledger has it, or its refusal is stored.
    ///
    /// # Errors
    /// 500 when it can't be written.
    pub async fn store(&self, id: &TransactionId) -> Result<(), ApiError> {
        let Some(entry) = self.pending.get(id) else {
            return Ok(());
        };
        let writer = &self.shared.store.writer;
        let row = Write::Accept(self.row(&entry)?);
        writer.write(vec![row]).await.map_err(ApiError::internal)?;
        if !self.pending.stored(id, entry.seq) {
            let done = Write::Done(vec![(entry.seq, entry.seq)]);
            writer.write(vec![done]).await.map_err(ApiError::internal)?;
        }
        Ok(())
    }

    fn enter(&self, entry: Arc<Entry>, stored: bool, waiters: Vec<oneshot::Sender<Arc<Decided>>>) {
        let actions = entry.transaction.actions();
        if self.pending.add(entry.clone(), stored, waiters) {
            self.send(entry);
        } else {
            self.room.release(actions);
        }
    }

    /// Writes, then makes pending; `has_row` when its outbox row is among what is written. Runs to its end even if the caller
    /// goes away, so that no durable row is left without anyone who sends it, and no idempotency key is free before it is
    /// stored. `until` is held until then.
    pub(super) async fn store_and_send(
        &self,
        entry: Arc<Entry>,
        has_row: bool,
        writes: Vec<Write>,
        waiters: Vec<oneshot::Sender<Arc<Decided>>>,
        until: impl Send + 'static,
    ) -> Result<(), StoreError> {
        let Some(network) = self.me() else {
            return Err(StoreError::Write("the network is being detached".to_owned()));
        };
        let job = async move {
            let actions = entry.transaction.actions();
            let written = network.shared.store.writer.write(writes).await;
            if let Err(error) = written {
                network.room.release(actions);
                return Err(error);
            }
            network.enter(entry, has_row, waiters);
            drop(until);
            Ok(())
        };
        tokio::spawn(job)
            .await
            .unwrap_or_else(|error| Err(StoreError::Write(error.to_string())))
    }

    pub(super) fn entry_of(&self, signed: Signed, ours: bool) -> Entry {
        Entry {
            id: signed.transaction.id(),
            transaction: signed.transaction,
            seq: self.shared.seq.fetch_add(1, Ordering::Relaxed) + 1,
            ours,
            fresh: ours,
            valid_until: signed.valid_until,
            created_at: crate::time::now_ms(),
            sent_at: AtomicI64::new(0),
            crowded: AtomicBool::new(false),
        }
    }

    pub(super) fn row(&self, entry: &Entry) -> Result<outbox::Model, ApiError> {
        Ok(outbox::Model {
            seq: entry.seq,
            network: self.entry.id.to_vec(),
            tx: entry.id.0.to_vec(),
            body: borsh::to_vec(&entry.transaction).map_err(ApiError::internal)?,
            ours: entry.ours,
            created_at: entry.created_at,
        })
    }

    /// Whether a governance statement is accepted and not final.
    pub fn governs(&self) -> bool {
        let governs = |transaction: &Transaction| match transaction {
            Transaction::Single { statement, .. } => {
                Statement::parse(statement).is_ok_and(|statement| statement.template == TEMPLATE)
            }
            Transaction::Attached { .. } | Transaction::Batch { .. } => false,
        };
        self.pending.any(governs)
    }

    /// Whether a transaction is accepted and not final.
    pub fn is_pending(&self, id: &TransactionId) -> bool {
        self.pending.get(id).is_some()
    }
}
