//! One attached network: its client, its pending set and its tasks.

use muniment_ledger::client::NetworkClient;
use muniment_ledger::transaction::Transaction;
use muniment_receipts::merkle::{Frontier, FrontierError, Hash};
use muniment_receipts::statement::{BatchHeader, Statement};
use muniment_receipts::trust::{TrustError, TrustRoot};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio::sync::{Notify, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, mpsc, watch};
use tokio::task::JoinHandle;

use super::block::ResolvedBlock;
use super::pending::{Entry, Pending};
use super::reach::Reach;
use super::room::Share;
use super::status::Cached;
use super::templates::Revisions;
use super::{Shared, expiry, follower, projector, submitter};
use crate::directory::NetworkEntry;
use crate::problem::Code;
use crate::store::entity::{followed, outbox};
use crate::store::{StoreError, Write};

/// A network can't be attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Its trust root.
    #[error("the trust root can't be read")]
    Trust(#[from] TrustError),
    /// The trust root is of another network.
    #[error("the trust root is of network {0}, not of this one")]
    OtherNetwork(String),
    /// The trust root of a running network tells another story.
    #[error("the trust root names other validators than those that the network's own changes led to")]
    OtherValidators,
    /// Another network had its name, and isn't closed.
    #[error("what waits in the network that had this name before can't be stored yet")]
    Former,
    /// The store.
    #[error("the store can't be read")]
    Store(#[from] StoreError),
    /// What the store holds.
    #[error("the stored frontier is broken")]
    Frontier(#[from] FrontierError),
    /// An outbox row.
    #[error("an accepted transaction in the outbox can't be read: {0}")]
    Row(String),
}

impl AttachError {
    /// What users are told.
    pub fn code(&self) -> Code {
        match self {
            Self::Trust(_) | Self::OtherNetwork(_) | Self::OtherValidators => Code::BAD_TRUST_ROOT,
            Self::Store(_) | Self::Frontier(_) | Self::Row(_) | Self::Former => Code::STORE_DAMAGED,
        }
    }
}

/// One attached network.
pub struct Network {
    /// As the operator described it when it was attached.
    pub entry: NetworkEntry,
    /// See [`Network::client`].
    pub(super) reach: RwLock<Reach>,
    /// Tells who follows that its validators answer elsewhere.
    pub(super) moved: watch::Sender<()>,
    /// See [`Network::trust`].
    pub(super) trust: RwLock<Arc<TrustRoot>>,
    /// Number of the network in the projections.
    pub number: i64,
    pub(super) shared: Arc<Shared>,
    pub(super) pending: Pending,
    /// Its room for what is pending.
    pub(super) room: Share,
    /// Held by whoever accepts, and for good by who has closed the network.
    gate: Arc<tokio::sync::RwLock<()>>,
    shut: tokio::sync::Mutex<Option<OwnedRwLockWriteGuard<()>>>,
    /// Height and block time up to which outcomes are resolved.
    pub(super) height: AtomicU64,
    pub(super) time: AtomicI64,
    /// Its tenant is suspended.
    pub(super) suspended: AtomicBool,
    /// Its validators sleep.
    pub(super) asleep: AtomicBool,
    /// Height up to which SQL is true.
    pub(super) projected: watch::Sender<u64>,
    pub(super) queue: mpsc::UnboundedSender<Arc<Entry>>,
    pub(super) status: tokio::sync::Mutex<Cached>,
    /// Blocks lately asked for by operations.
    pub(super) recent: Mutex<VecDeque<Arc<ResolvedBlock>>>,
    /// Wakes who deals with what has expired.
    pub(super) expiry: Arc<Notify>,
    pub(super) revisions: Revisions,
    me: Weak<Network>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Network {
    /// Reads what was accepted before, and starts the tasks.
    ///
    /// # Errors
    /// When trust root or stored rows can't be read.
    pub async fn start(shared: Arc<Shared>, entry: NetworkEntry) -> Result<Arc<Self>, AttachError> {
        let trust = TrustRoot::parse(&entry.trust_root)?;
        if trust.network() != &entry.id {
            return Err(AttachError::OtherNetwork(hex::encode(trust.network())));
        }
        let followed = followed(&shared, &entry.id).await?;
        let frontier = frontier(&followed)?;
        let height = u64::try_from(followed.height).unwrap_or_default();
        let rows = accepted(&shared, &entry.id).await?;
        let (queue, submissions) = mpsc::unbounded_channel();
        let (projections, blocks) = mpsc::channel(64);
        let network = Arc::new_cyclic(|me| Self {
            trust: RwLock::new(Arc::new(trust)),
            reach: RwLock::new(Reach::new(&entry)),
            moved: watch::Sender::default(),
            number: followed.id,
            room: Share::new(shared.room.clone(), &entry.tenant),
            shared,
            pending: Pending::default(),
            gate: Arc::default(),
            shut: tokio::sync::Mutex::default(),
            height: AtomicU64::new(height),
            time: AtomicI64::new(0),
            projected: watch::Sender::new(height),
            suspended: AtomicBool::new(entry.suspended),
            asleep: AtomicBool::new(entry.asleep),
            queue,
            status: tokio::sync::Mutex::default(),
            recent: Mutex::default(),
            expiry: Arc::default(),
            revisions: Revisions::default(),
            me: me.clone(),
            tasks: Mutex::default(),
            entry,
        });
        for row in rows {
            network.recover(row)?;
        }
        let tasks = [
            tokio::spawn(expiry::run(Arc::downgrade(&network), network.expiry.clone())),
            tokio::spawn(submitter::run(Arc::downgrade(&network), submissions)),
            tokio::spawn(projector::run(Arc::downgrade(&network), network.number, blocks)),
            tokio::spawn(follower::run(Arc::downgrade(&network), frontier, projections)),
        ];
        network
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(tasks);
        Ok(network)
    }

    fn recover(&self, row: outbox::Model) -> Result<(), AttachError> {
        let transaction: Transaction =
            borsh::from_slice(&row.body).map_err(|error| AttachError::Row(error.to_string()))?;
        let valid_until = valid_until(&transaction).ok_or_else(|| AttachError::Row("its statement".to_owned()))?;
        let actions = transaction.actions();
        let entry = Arc::new(Entry {
            id: transaction.id(),
            transaction,
            seq: row.seq,
            ours: row.ours,
            fresh: false,
            valid_until,
            created_at: row.created_at,
            sent_at: AtomicI64::new(0),
            crowded: AtomicBool::new(false),
        });
        if self.pending.add(entry.clone(), true, Vec::new()) {
            self.room.take(actions);
            self.send(entry);
        }
        Ok(())
    }

    pub(super) fn send(&self, entry: Arc<Entry>) {
        // Fails only when the submitter has ended, at the very end; the row stays for the next start.
        drop(self.queue.send(entry));
    }

    pub(super) fn me(&self) -> Option<Arc<Self>> {
        self.me.upgrade()
    }

    /// Lets a write in; `None` once the network is closed, or about to be.
    pub(super) fn pass(&self) -> Option<OwnedRwLockReadGuard<()>> {
        self.gate.clone().try_read_owned().ok()
    }

    /// Takes no write any more, and returns when everything that was accepted is in the outbox and nothing of this network
    /// writes there: whoever starts it again finds all of it. Who still waits is told to ask for the operation.
    ///
    /// # Errors
    /// When that can't be written. It stays closed, and may be closed again.
    pub async fn close(&self) -> Result<(), StoreError> {
        let mut shut = self.shut.lock().await;
        if shut.is_none() {
            *shut = Some(self.gate.clone().write_owned().await);
        }
        let tasks: Vec<_> = {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.drain(..).collect()
        };
        for task in tasks {
            task.abort();
            // How it ended says nothing.
            drop(task.await);
        }
        self.store_all().await?;
        let left = self.pending.drain();
        let actions = left.iter().map(|one| one.entry.transaction.actions()).sum();
        self.room.release(actions);
        Ok(())
    }

    /// Gives each pending transaction its outbox row. All writes of before are on disk then as well: they go one after
    /// the other.
    async fn store_all(&self) -> Result<(), StoreError> {
        let entries = self.pending.without_row();
        let rows: Result<Vec<Write>, _> = entries.iter().map(|entry| self.row(entry).map(Write::Accept)).collect();
        let rows = rows.map_err(|error| StoreError::Write(error.to_string()))?;
        self.shared.store.writer.write(rows).await
    }

    /// Height up to which outcomes are resolved.
    pub fn height(&self) -> u64 {
        self.height.load(Ordering::Acquire)
    }

    /// Client for reads that know all that was followed here.
    pub fn reader(&self) -> NetworkClient {
        self.client().at_least(self.height())
    }

    /// Waits until the projections have what was final when this was called, at most `limit`: who was just given a
    /// receipt finds the record. Answers the height up to which they are true.
    pub async fn caught_up(&self, limit: Duration) -> u64 {
        self.projected_to(self.height(), limit).await
    }

    /// As [`Self::caught_up`], with what was final at the validators: a server that has just started hasn't followed it
    /// yet. Asking them takes at most one and a half seconds.
    pub async fn caught_up_with_validators(&self, limit: Duration) -> u64 {
        let said = self.client().status().await;
        let mut heights: Vec<u64> = said
            .into_iter()
            .filter_map(|(_, said)| Some(said.ok()?.height))
            .collect();
        heights.sort_unstable_by(|one, two| two.cmp(one));
        // One of so many is honest: nobody alone makes anyone wait.
        let last = heights.get(self.enough() - 1).copied().unwrap_or_default();
        self.projected_to(last.max(self.height()), limit).await
    }

    async fn projected_to(&self, wanted: u64, limit: Duration) -> u64 {
        let mut projected = self.projected.subscribe();
        // Late or not, what is said is how far they are.
        drop(tokio::time::timeout(limit, projected.wait_for(|height| *height >= wanted)).await);
        self.projected()
    }

    /// Height up to which the projections in SQL are true.
    pub fn projected(&self) -> u64 {
        *self.projected.borrow()
    }

    /// Transactions accepted and not final.
    pub fn waiting(&self) -> usize {
        self.pending.len()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

/// What was accepted and isn't final. A row of a transaction in whose place another stands was written too late: it is
/// dropped.
async fn accepted(shared: &Shared, network: &[u8; 32]) -> Result<Vec<outbox::Model>, AttachError> {
    let replaced = shared.store.replaced(network).await?;
    let rows = shared.store.outbox(network).await?;
    let (late, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| replaced.contains(&row.tx));
    if !late.is_empty() {
        let done = late.iter().map(|row| (row.seq, row.seq)).collect();
        shared.store.writer.write(vec![Write::Done(done)]).await?;
    }
    Ok(rows)
}

/// Block time up to which a transaction may be executed.
fn valid_until(transaction: &Transaction) -> Option<i64> {
    let until = match transaction {
        Transaction::Single { statement, .. } | Transaction::Attached { statement, .. } => {
            Statement::parse(statement).ok()?.valid_until
        }
        Transaction::Batch { header, .. } => BatchHeader::parse(header).ok()?.valid_until,
    };
    i64::try_from(until).ok()
}

async fn followed(shared: &Shared, network: &[u8; 32]) -> Result<followed::Model, AttachError> {
    if let Some(row) = shared.store.followed(network).await? {
        return Ok(row);
    }
    let new = followed::Model {
        id: 0,
        network: network.to_vec(),
        height: 0,
        size: 0,
        frontier: Vec::new(),
        time: 0,
    };
    shared.store.writer.write(vec![Write::Advance(new)]).await?;
    let row = shared.store.followed(network).await?;
    row.ok_or_else(|| AttachError::Store(StoreError::Write("a new row is missing".to_owned())))
}

fn frontier(row: &followed::Model) -> Result<Frontier, FrontierError> {
    let peaks: Vec<Hash> = row.frontier.as_chunks::<32>().0.to_vec();
    Frontier::from_parts(u64::try_from(row.size).unwrap_or_default(), peaks)
}
