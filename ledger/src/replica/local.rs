//! The replica of this process: store, mempool and cosigners behind the [`Replica`] seam.
//!
//! Owns what readers, the relay and the engine's application share. Blocks are executed by
//! [`super::application`]; this module only answers and admits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::genesis::ValidatorKeys;
use muniment_receipts::statement::MAX_VALIDITY_MS;
use muniment_receipts::{encoding, merkle};
use tokio::sync::{broadcast, watch};

use super::cosigners::{Cosigners, Progress, Question};
use super::network::NetworkFacts;
use super::sets::{Sets, ValidatorSet};
use super::{ReadError, Replica, StateView, Tip, TreeView, rehash, roots, views};
use crate::block::Hash;
use crate::config::Limits;
use crate::execute::{self, Prepared};
use crate::mempool::{Mempool, Offer, Waiting};
use crate::state::{record_key, tree};
use crate::store::{BlockResult, Store, StoreError, View, decode_block};
use crate::transaction::{Transaction, TransactionId};
use crate::wire::{
    Admission, Cosigned, FinalBlock, GovernanceView, HistoryEntry, LeafProof, MEMPOOL_FULL, RecordPage, RecordView,
    SHARE_FULL, StateProof, TemplateView, TransactionStatus, UNREADABLE, id_hex,
};

/// How far the next block's time may lie ahead of our clock, in milliseconds.
const CLOCK_SLACK: u64 = 2_000;
/// Most heights answered by [`Replica::cosignatures`].
const COSIGNATURE_RANGE: u64 = 1_000;

impl Waiting for Arc<Prepared> {
    fn id(&self) -> TransactionId {
        Prepared::id(self)
    }

    fn size(&self) -> usize {
        self.transaction().size()
    }

    fn held(&self) -> usize {
        Prepared::held(self)
    }

    fn signer(&self) -> &str {
        Prepared::signer(self)
    }

    fn actions(&self) -> usize {
        self.transaction().actions()
    }

    fn valid_until(&self) -> u64 {
        Prepared::valid_until(self)
    }
}

/// Releases a consensus engine that holds the next height.
pub type Wake = Box<dyn Fn() + Send + Sync>;

/// Shared state of one replica.
pub struct LocalReplica {
    pub(super) facts: NetworkFacts,
    /// Public halves of our own keys. They are in the sets of the heights at which this replica votes.
    pub(super) own_keys: ValidatorKeys,
    pub(super) sets: RwLock<Arc<Sets>>,
    pub(super) limits: Limits,
    pub(super) store: Store,
    pub(super) mempool: Mutex<Mempool<Arc<Prepared>>>,
    pub(super) cosigners: Mutex<Cosigners>,
    pub(super) tip: RwLock<Tip>,
    pub(super) finals: watch::Sender<u64>,
    pub(super) own: broadcast::Sender<Cosigned>,
    pub(super) voting: AtomicBool,
    /// A peer that lost its data waits for the next block.
    pub(super) wanted: AtomicBool,
    pub(super) wake: OnceLock<Wake>,
}

impl LocalReplica {
    /// Tells the replica how to wake its engine. Later calls change nothing.
    pub fn on_transaction(&self, wake: Wake) {
        let _ = self.wake.set(wake);
    }

    /// Says whether the validator takes part in votes.
    pub fn set_voting(&self, voting: bool) {
        self.voting.store(voting, Ordering::Relaxed);
    }

    /// Who decides which height, as far as this replica knows.
    pub(super) fn sets(&self) -> Arc<Sets> {
        Arc::clone(&self.sets.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over sets that a block decided on.
    pub(super) fn adopt(&self, new: Vec<ValidatorSet>) {
        if new.is_empty() {
            return;
        }
        let mut sets = Sets::clone(&self.sets());
        for set in new {
            let (from, validators, member) = (set.from, set.validators.len(), set.place(&self.own_keys).is_some());
            tracing::info!(from, validators, member, "the validators change");
            sets.add(set);
        }
        let sets = Arc::new(sets);
        let mut cosigners = self.cosigners.lock().unwrap_or_else(PoisonError::into_inner);
        cosigners.adopt(Arc::clone(&sets));
        *self.sets.write().unwrap_or_else(PoisonError::into_inner) = sets;
    }

    /// Is this replica a validator of the next height?
    pub fn is_validator(&self) -> bool {
        self.sets().at(self.tip().height + 1).place(&self.own_keys).is_some()
    }

    /// Our place, name and keys.
    pub fn own_keys(&self) -> &ValidatorKeys {
        &self.own_keys
    }

    /// Whether a block is wanted although nothing waits: somebody asked for one, or a change of validators is decided
    /// that only the next block brings about.
    pub(super) fn wants_block(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) || self.sets().newest().from > self.tip().height + 1
    }

    pub(super) fn got_block(&self) {
        self.wanted.store(false, Ordering::Relaxed);
    }

    fn wake(&self) {
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }

    pub(super) fn pool(&self) -> MutexGuard<'_, Mempool<Arc<Prepared>>> {
        self.mempool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a step of the cosigners, stores what they accepted and tells followers of a new final height. The lock
    /// is held throughout, so that the stored final height never goes back.
    pub(super) fn cosign(&self, step: impl FnOnce(&mut Cosigners) -> Progress) -> Result<(), StoreError> {
        let mut cosigners = self.cosigners.lock().unwrap_or_else(PoisonError::into_inner);
        let progress = step(&mut cosigners);
        if progress.accepted.is_empty() && progress.final_height.is_none() {
            return Ok(());
        }
        self.store.put_cosignatures(&progress.accepted, progress.final_height)?;
        if let Some(height) = progress.final_height {
            self.finals.send_replace(height);
        }
        Ok(())
    }

    pub(super) fn set_tip(&self, tip: Tip) {
        *self.tip.write().unwrap_or_else(PoisonError::into_inner) = tip;
    }

    fn admit_one(&self, transaction: Transaction, view: &View) -> Result<Admission, StoreError> {
        let transaction_id = transaction.id();
        let id = id_hex(&transaction_id);
        if self.pool().get(&transaction_id).is_some() {
            return Ok(Admission::Known { id, height: None });
        }
        if let Some(height) = view.transaction(&transaction_id.0)? {
            return Ok(Admission::Known {
                id,
                height: Some(height),
            });
        }
        let refused = |refusal: execute::Refusal| Admission::Refused {
            id: id.clone(),
            code: refusal.code.to_owned(),
            message: refusal.message,
        };
        let prepared = match execute::admission(transaction, &self.facts.params) {
            Ok(prepared) => Arc::new(prepared),
            Err(refusal) => return Ok(refused(refusal)),
        };
        let now = super::application::now();
        if prepared.valid_until() > now + MAX_VALIDITY_MS + CLOCK_SLACK {
            let refusal = execute::Refusal {
                code: "VALIDITY_TOO_LONG",
                message: "`validUntil` is more than ten minutes ahead; choose an earlier time".to_owned(),
            };
            return Ok(refused(refusal));
        }
        if let Err(refusal) = execute::admissible(&prepared, &StateView(view), now.max(self.tip().time + 1)) {
            return Ok(refused(refusal));
        }
        // Under the pool's lock and against the newest commit: what was decided since `view` was taken has left the
        // pool already and must not come back, for nobody would take it out again. What is decided from here on is
        // taken out after us.
        let mut pool = self.pool();
        if let Some(height) = self.store.view().transaction(&transaction_id.0)? {
            let height = Some(height);
            return Ok(Admission::Known { id, height });
        }
        Ok(match pool.offer(prepared) {
            Offer::Added => Admission::Accepted { id },
            Offer::Known => Admission::Known { id, height: None },
            Offer::Full => full(id),
            Offer::Share => share(id),
            Offer::TooLarge => too_large(id),
        })
    }

    pub(super) fn checkpoint_at(&self, view: &View, height: u64) -> Result<Option<String>, StoreError> {
        let Some(result) = view.result(height)? else {
            return Ok(None);
        };
        let cosigned = view.cosignatures(height, height)?;
        let checkpoint = Checkpoint {
            origin: self.facts.origin.clone(),
            size: result.log_size,
            root: result.log_root,
        };
        Ok(Some(self.sets().at(height).note(&checkpoint, &cosigned)))
    }

    /// Audit path of a leaf in its block's checkpoint, checked before it leaves: the file of hashes has no checksums
    /// of its own, the root it must lead to is its checksum.
    pub(super) fn audit_path(&self, leaf: &[u8], index: u64, result: &BlockResult) -> Result<Vec<Hash>, ReadError> {
        let size = result.log_size;
        let mut hash = |level, at| self.store.hashes().subtree(level, at).ok();
        let path = merkle::inclusion_path(index, size, &mut hash).map_err(|error| ReadError(error.into()))?;
        merkle::verify_inclusion(&merkle::leaf_hash(leaf), index, size, &path, &result.log_root)
            .map_err(|_| self.store.hashes().corrupt(index))?;
        Ok(path)
    }

    fn path(&self, leaf: &[u8], index: u64, result: &BlockResult) -> Result<Vec<String>, ReadError> {
        Ok(self.audit_path(leaf, index, result)?.iter().map(hex::encode).collect())
    }

    fn leaf_bytes(&self, view: &View, height: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let Some(result) = view.result(height)? else {
            return Ok(Vec::new());
        };
        Ok(rehash::leaves(&self.store, view, height, &result)?.unwrap_or_default())
    }
}

fn full(id: String) -> Admission {
    refused(id, MEMPOOL_FULL, "the mempool is full; try again in a moment")
}

fn unreadable(id: String) -> Admission {
    let message = "this validator can't read its store; send it to another one";
    refused(id, UNREADABLE, message)
}

fn share(id: String) -> Admission {
    let message = "this signer's waiting transactions take up a quarter of the mempool; try again in a moment";
    refused(id, SHARE_FULL, message)
}

fn too_large(id: String) -> Admission {
    let message = "taken apart, this transaction takes more than a quarter of the mempool; send smaller batches";
    refused(id, "TOO_LARGE", message)
}

fn refused(id: String, code: &str, message: &str) -> Admission {
    Admission::Refused {
        id,
        code: code.to_owned(),
        message: message.to_owned(),
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}

impl Replica for LocalReplica {
    fn network(&self) -> Hash {
        self.facts.network
    }

    fn genesis(&self) -> &[u8] {
        &self.facts.genesis_bytes
    }

    fn admit(&self, transactions: Vec<Transaction>) -> Vec<Admission> {
        let view = self.store.view();
        let judge = |transaction: Transaction| {
            let id = transaction.id();
            self.admit_one(transaction, &view).unwrap_or_else(|error| {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a transaction can't be judged"
                );
                unreadable(id_hex(&id))
            })
        };
        let admissions: Vec<Admission> = transactions.into_iter().map(judge).collect();
        if admissions.iter().any(|one| matches!(one, Admission::Accepted { .. })) {
            self.wake();
        }
        admissions
    }

    fn tip(&self) -> Tip {
        self.tip.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn watch_final(&self) -> watch::Receiver<u64> {
        self.finals.subscribe()
    }

    fn final_block(&self, height: u64) -> Result<Option<FinalBlock>, ReadError> {
        if height == 0 || height > *self.finals.borrow() {
            return Ok(None);
        }
        let view = self.store.view();
        let (Some((bytes, certificate)), Some(result)) =
            (self.store.decided_block(&view, height)?, view.result(height)?)
        else {
            return Ok(None);
        };
        let block = decode_block(&bytes)?;
        Ok(Some(FinalBlock {
            header: block.header,
            transactions: block.transactions,
            outcomes: result.outcomes,
            certificate,
            first_leaf: result.first_leaf,
            marker: result.marker,
            log_size: result.log_size,
            log_root: result.log_root,
            state_root: result.state_root,
            cosignatures: view.cosignatures(height, height)?,
        }))
    }

    fn transaction(&self, id: &TransactionId) -> Result<TransactionStatus, ReadError> {
        if let Some(height) = self.store.view().transaction(&id.0)? {
            return Ok(TransactionStatus::Final { height });
        }
        let waits = self.pool().get(id).is_some();
        Ok(if waits {
            TransactionStatus::Pending
        } else {
            TransactionStatus::Unknown
        })
    }

    fn record(&self, id: &Hash) -> Result<Option<RecordView>, ReadError> {
        let view = self.store.view();
        let Some(bytes) = view.state(&record_key(id))? else {
            return Ok(None);
        };
        let record = serde_json::from_slice(&bytes).map_err(|error| ReadError(error.into()))?;
        let leaf = view.last_step(id)?.map_or(0, |(_, row)| row.leaf);
        Ok(Some(RecordView {
            height: view.height()?.unwrap_or(0),
            record,
            leaf,
        }))
    }

    fn records(&self, template: Option<&str>, after: Option<&Hash>, limit: usize) -> Result<RecordPage, ReadError> {
        let view = self.store.view();
        let mut ids = view.records(template, after, limit.saturating_add(1))?;
        let more = ids.len() > limit;
        ids.truncate(limit);
        let next = ids.last().filter(|_| more).map(hex::encode);
        let mut records = Vec::with_capacity(ids.len());
        for id in &ids {
            let bytes = view.state(&record_key(id))?.ok_or_else(|| {
                StoreError::Inconsistent(format!("record {} is listed but not there", hex::encode(id)))
            })?;
            records.push(serde_json::from_slice(&bytes).map_err(|error| ReadError(error.into()))?);
        }
        Ok(RecordPage {
            height: view.height()?.unwrap_or(0),
            records,
            next,
        })
    }

    fn history(&self, id: &Hash, after: u32, limit: usize) -> Result<Vec<HistoryEntry>, ReadError> {
        let entry = |(version, row): (u32, crate::store::HistoryRow)| HistoryEntry {
            version,
            action: row.action,
            signer: row.signer,
            height: row.height,
            time: row.time,
            leaf: row.leaf,
        };
        let steps = self.store.view().history(id, after, limit)?;
        Ok(steps.into_iter().map(entry).collect())
    }

    fn state_proof(&self, id: &Hash) -> Result<StateProof, ReadError> {
        let view = self.store.view();
        let height = view.height()?.unwrap_or(0);
        let key = record_key(id);
        let proven = tree::prove(
            &TreeView {
                view: &view,
                cache: None,
            },
            height,
            &key,
        )
        .map_err(|error| ReadError(error.into()))?;
        Ok(StateProof {
            height,
            state_root: hex::encode(proven.root),
            key: hex::encode(key),
            value: proven.value.map(hex::encode),
            proof: hex::encode(proven.proof),
        })
    }

    fn governance(&self) -> Result<GovernanceView, ReadError> {
        views::governance(&self.store.view())
    }

    fn template(&self, name: &str, revision: Option<u32>) -> Result<Option<TemplateView>, ReadError> {
        views::template(&self.store.view(), name, revision)
    }

    fn trust_root(&self) -> Result<Vec<u8>, ReadError> {
        roots::trust_root(self)
    }

    fn leaf_proof(&self, index: u64) -> Result<Option<LeafProof>, ReadError> {
        let view = self.store.view();
        let Some(height) = view.height_of_leaf(index)? else {
            return Ok(None);
        };
        let Some(result) = view.result(height)? else {
            return Ok(None);
        };
        if height > *self.finals.borrow() || index >= result.log_size {
            return Ok(None);
        }
        let leaves = self.leaf_bytes(&view, height)?;
        let at = (index - result.first_leaf) as usize;
        let (Some(leaf), Some(checkpoint)) = (leaves.get(at), self.checkpoint_at(&view, height)?) else {
            return Ok(None);
        };
        let cosigned = view.cosignatures(height, height)?;
        Ok(Some(LeafProof {
            height,
            index,
            leaf: encoding::base64(leaf),
            path: self.path(leaf, index, &result)?,
            marker: encoding::base64(&result.marker),
            marker_path: self.path(&result.marker, result.log_size - 1, &result)?,
            checkpoint,
            cose: cosigned
                .iter()
                .map(|one| (one.validator, hex::encode(one.cose)))
                .collect(),
        }))
    }

    fn checkpoint(&self) -> Result<Option<String>, ReadError> {
        let height = *self.finals.borrow();
        Ok(self.checkpoint_at(&self.store.view(), height)?)
    }

    fn subtree(&self, level: u8, index: u64) -> Result<Option<Hash>, ReadError> {
        let size = self.tip().log_size;
        let complete = index
            .checked_add(1)
            .and_then(|end| end.checked_shl(u32::from(level)))
            .is_some_and(|end| end <= size);
        if !complete {
            return Ok(None);
        }
        Ok(Some(self.store.hashes().subtree(level, index)?))
    }

    fn leaves(&self, from: u64, count: usize) -> Result<Vec<Vec<u8>>, ReadError> {
        let view = self.store.view();
        let mut leaves = Vec::new();
        let mut next = from;
        while leaves.len() < count {
            let Some(height) = view.height_of_leaf(next)? else {
                break;
            };
            let Some(result) = view.result(height)? else { break };
            if next >= result.log_size {
                break;
            }
            let skip = (next - result.first_leaf) as usize;
            let room = count - leaves.len();
            leaves.extend(self.leaf_bytes(&view, height)?.into_iter().skip(skip).take(room));
            next = result.log_size;
        }
        Ok(leaves)
    }

    fn add_cosignatures(&self, cosigned: Vec<Cosigned>) {
        let questions = self
            .cosigners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .ask(cosigned);
        let good = questions.into_iter().filter(Question::holds).collect();
        if let Err(error) = self.cosign(|cosigners| cosigners.answer(good)) {
            tracing::error!(error = &error as &dyn std::error::Error, "cosignatures can't be stored");
        }
    }

    fn cosignatures(&self, from: u64, to: u64) -> Result<Vec<Cosigned>, ReadError> {
        let to = to.min(from.saturating_add(COSIGNATURE_RANGE - 1));
        Ok(self.store.view().cosignatures(from, to)?)
    }

    fn own_cosignatures(&self) -> broadcast::Receiver<Cosigned> {
        self.own.subscribe()
    }

    fn mempool(&self) -> (usize, usize) {
        let pool = self.pool();
        (pool.len(), pool.bytes())
    }

    fn want_block(&self) {
        self.wanted.store(true, Ordering::Relaxed);
        self.wake();
    }

    fn voting(&self) -> bool {
        self.voting.load(Ordering::Relaxed) && self.is_validator()
    }

    fn quorum(&self) -> (usize, usize) {
        let sets = self.sets();
        let set = sets.at(self.tip().height + 1);
        (set.validators.len(), set.quorum())
    }
}
