//! A replica without consensus and disk: the twin for tests of whatever stands on [`Replica`].
//!
//! Admitted transactions are in a block at once. Log, checkpoints, cosignatures and signature checks are real;
//! templates and governance are not: an action without a record creates one, unless the same signer gave the same input before,
//! and an action on a record of the same signer merges its input. The state root is an RFC 6962 root over the
//! records, and certificates carry no votes.

mod keys;
mod ledger;
mod log;

pub use keys::{TestKeys, test_network};

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::cose;
use muniment_receipts::genesis::Genesis;
use muniment_receipts::trust::{Cosignature, TrustError, TrustRoot};
use tokio::sync::{broadcast, watch};

use super::{ReadError, Replica, Tip};
use crate::block::Hash;
use crate::state::{MemberEntry, TemplateEntry};
use crate::transaction::{Transaction, TransactionId};
use crate::wire::{
    Admission, Cosigned, FinalBlock, GovernanceView, HistoryEntry, LeafProof, MEMPOOL_FULL, RecordPage, RecordView,
    StateProof, TemplateView, TransactionStatus,
};
use keys::Signer;
use ledger::Ledger;

/// See the module.
pub struct MemoryReplica {
    genesis: Vec<u8>,
    trust: TrustRoot,
    /// Validators that this replica signs for.
    signers: Vec<Signer>,
    ledger: Mutex<Ledger>,
    last: watch::Sender<u64>,
    own: broadcast::Sender<Cosigned>,
}

impl MemoryReplica {
    /// A replica that signs for all validators, so that each block is final at once; block time is the clock's.
    ///
    /// # Errors
    /// When the genesis isn't valid.
    pub fn new(genesis: &Genesis, keys: &[TestKeys]) -> Result<Self, TrustError> {
        Self::build(genesis, keys.iter().enumerate().map(Signer::new).collect(), None)
    }

    /// A replica that signs for one validator and is final with the cosignatures of others. Block time counts from
    /// the genesis, so that replicas given the same transactions one by one make the same blocks.
    ///
    /// # Errors
    /// When the genesis isn't valid.
    pub fn one(genesis: &Genesis, keys: &[TestKeys], index: usize) -> Result<Self, TrustError> {
        let signers = keys.iter().enumerate().skip(index).take(1).map(Signer::new).collect();
        Self::build(genesis, signers, Some(genesis.created_at))
    }

    fn build(genesis: &Genesis, signers: Vec<Signer>, start: Option<u64>) -> Result<Self, TrustError> {
        let trust = TrustRoot::new(genesis.clone())?;
        let ledger = Mutex::new(Ledger::new(*trust.network(), *trust.newest().hash(), start));
        let genesis = genesis.canonical().unwrap_or_default();
        Ok(Self {
            genesis,
            trust,
            signers,
            ledger,
            last: watch::Sender::new(0),
            own: broadcast::Sender::new(1024),
        })
    }

    /// The trust root that receipts of this replica verify against.
    pub fn trust_root(&self) -> &TrustRoot {
        &self.trust
    }

    /// Lets transactions wait (true) instead of putting them into a block at once; false makes a block of those that
    /// wait.
    pub fn hold(&self, hold: bool) {
        self.ledger().held = hold;
        if !hold {
            self.advance();
        }
    }

    /// Most transactions that may wait.
    pub fn set_capacity(&self, transactions: usize) {
        self.ledger().capacity = transactions;
    }

    /// What [`Replica::voting`] says.
    pub fn set_voting(&self, voting: bool) {
        self.ledger().voting = voting;
    }

    /// Makes a block without transactions.
    pub fn heartbeat(&self) {
        let height = self.ledger().block(&self.trust);
        self.sign(height);
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self) {
        let height = {
            let mut ledger = self.ledger();
            if ledger.held || ledger.pending.is_empty() {
                return;
            }
            ledger.block(&self.trust)
        };
        self.sign(height);
    }

    fn sign(&self, height: u64) {
        let checkpoint = self.ledger().at(height).map(|stored| self.checkpoint_of(stored));
        let Some(checkpoint) = checkpoint else { return };
        for signer in &self.signers {
            let cosigned = signer.sign(height, &checkpoint);
            self.keep(vec![cosigned.clone()]);
            // Nobody needs to listen.
            let _ = self.own.send(cosigned);
        }
    }

    fn checkpoint_of(&self, block: &FinalBlock) -> Checkpoint {
        Checkpoint::new(self.trust.network(), block.log_size, block.log_root)
    }

    /// Keeps what holds and moves the final height.
    fn keep(&self, cosigned: Vec<Cosigned>) {
        let mut ledger = self.ledger();
        for one in cosigned {
            let Some(stored) = ledger.at(one.height) else {
                ledger.early.push(one);
                continue;
            };
            if self.holds(stored, &one) {
                ledger.add(one);
            }
        }
        let quorum = self.trust.newest().quorum();
        let mut last = *self.last.borrow();
        while ledger
            .at(last + 1)
            .is_some_and(|block| block.cosignatures.len() >= quorum)
        {
            last += 1;
        }
        self.last
            .send_if_modified(|value| std::mem::replace(value, last) != last);
        // Those that came before their block are judged when another one comes after it.
        let tip = ledger.tip().height;
        let ready: Vec<_> = {
            let (ready, early) = std::mem::take(&mut ledger.early)
                .into_iter()
                .partition(|one| one.height <= tip);
            ledger.early = early;
            ready
        };
        drop(ledger);
        if !ready.is_empty() {
            self.keep(ready);
        }
    }

    fn holds(&self, block: &FinalBlock, one: &Cosigned) -> bool {
        let set = self.trust.newest();
        let index = usize::from(one.validator);
        let checkpoint = self.checkpoint_of(block);
        let text = set
            .cosigner(index)
            .map(|key| key.verify(one.time, &checkpoint, &one.signature));
        let tbs = cose::tbs(block.log_size, &block.log_root);
        let cose = set.cose_key(index).map(|key| key.verify(&tbs, &one.cose));
        matches!((text, cose), (Some(Ok(())), Some(Ok(()))))
    }

    fn note(&self, block: &FinalBlock) -> Option<String> {
        let cosignatures: Vec<_> = block
            .cosignatures
            .iter()
            .map(|one| Cosignature {
                validator: one.validator,
                time: one.time,
                signature: one.signature,
            })
            .collect();
        self.trust.newest().note(&self.checkpoint_of(block), &cosignatures)
    }
}

impl Replica for MemoryReplica {
    fn network(&self) -> Hash {
        *self.trust.network()
    }

    fn genesis(&self) -> &[u8] {
        &self.genesis
    }

    fn admit(&self, transactions: Vec<Transaction>) -> Vec<Admission> {
        let judge = |transaction: Transaction| {
            let id = transaction.id();
            let mut ledger = self.ledger();
            if let Some(known) = ledger.known(&id) {
                return known;
            }
            let id = id.to_string();
            if let Err((code, message)) = keys::judge(&transaction, &self.trust, ledger.tip().time) {
                return Admission::Refused {
                    id,
                    code: code.to_owned(),
                    message,
                };
            }
            if ledger.pending.len() >= ledger.capacity {
                return Admission::Refused {
                    id,
                    code: MEMPOOL_FULL.to_owned(),
                    message: "try again".to_owned(),
                };
            }
            ledger.push(transaction);
            Admission::Accepted { id }
        };
        let results = transactions.into_iter().map(judge).collect();
        self.advance();
        results
    }

    fn tip(&self) -> Tip {
        self.ledger().tip()
    }

    fn watch_final(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    fn final_block(&self, height: u64) -> Result<Option<FinalBlock>, ReadError> {
        let last = *self.last.borrow();
        Ok(self.ledger().at(height).filter(|_| height <= last).cloned())
    }

    fn transaction(&self, id: &TransactionId) -> Result<TransactionStatus, ReadError> {
        Ok(match self.ledger().known(id) {
            Some(Admission::Known {
                height: Some(height), ..
            }) => TransactionStatus::Final { height },
            Some(_) => TransactionStatus::Pending,
            None => TransactionStatus::Unknown,
        })
    }

    fn record(&self, id: &Hash) -> Result<Option<RecordView>, ReadError> {
        Ok(self.ledger().record(id))
    }

    fn records(&self, template: Option<&str>, after: Option<&Hash>, limit: usize) -> Result<RecordPage, ReadError> {
        Ok(self.ledger().page(template, after, limit))
    }

    fn history(&self, id: &Hash, after: u32, limit: usize) -> Result<Vec<HistoryEntry>, ReadError> {
        let steps = self.ledger().history(id);
        let later = steps.into_iter().filter(|step| step.version > after);
        Ok(later.take(limit).collect())
    }

    fn state_proof(&self, id: &Hash) -> Result<StateProof, ReadError> {
        self.ledger().state_proof(id).map_err(|error| ReadError(error.into()))
    }

    fn governance(&self) -> Result<GovernanceView, ReadError> {
        let genesis = self.trust.genesis();
        let members = genesis.members.iter().map(|member| MemberEntry {
            key: member.key.clone(),
            name: member.name.clone(),
            since: 0,
        });
        let templates = genesis.templates.iter().map(|template| TemplateEntry {
            name: template.name.clone(),
            revision: template.revision,
        });
        Ok(GovernanceView {
            height: self.ledger().tip().height,
            threshold: genesis.governance_threshold,
            members: members.collect(),
            templates: templates.collect(),
        })
    }

    fn template(&self, name: &str, revision: Option<u32>) -> Result<Option<TemplateView>, ReadError> {
        let named = || {
            self.trust
                .genesis()
                .templates
                .iter()
                .filter(|template| template.name == name)
        };
        let newest = named().map(|template| template.revision).max();
        let found = named().find(|template| Some(template.revision) == revision.or(newest));
        Ok(found.map(|template| TemplateView {
            height: self.ledger().tip().height,
            name: template.name.clone(),
            revision: template.revision,
            newest: newest.unwrap_or_default(),
            source: template.source.clone(),
        }))
    }

    fn trust_root(&self) -> Result<Vec<u8>, ReadError> {
        self.trust.canonical().map_err(|error| ReadError(error.into()))
    }

    fn leaf_proof(&self, index: u64) -> Result<Option<LeafProof>, ReadError> {
        let last = *self.last.borrow();
        let ledger = self.ledger();
        let Some(block) = ledger.block_of_leaf(index).filter(|block| block.header.height <= last) else {
            return Ok(None);
        };
        let Some(checkpoint) = self.note(block) else {
            return Ok(None);
        };
        let size = block.log_size;
        let path = |index| ledger.log.path(index, size).map_err(|error| ReadError(error.into()));
        let texts = |path: Vec<Hash>| path.iter().map(hex::encode).collect();
        Ok(Some(LeafProof {
            height: block.header.height,
            index,
            leaf: STANDARD.encode(ledger.log.leaf(index).unwrap_or_default()),
            path: texts(path(index)?),
            marker: STANDARD.encode(&block.marker),
            marker_path: texts(path(size - 1)?),
            checkpoint,
            cose: block
                .cosignatures
                .iter()
                .map(|one| (one.validator, hex::encode(one.cose)))
                .collect(),
        }))
    }

    fn checkpoint(&self) -> Result<Option<String>, ReadError> {
        let last = *self.last.borrow();
        Ok(self.ledger().at(last).and_then(|block| self.note(block)))
    }

    fn subtree(&self, level: u8, index: u64) -> Result<Option<Hash>, ReadError> {
        Ok(self.ledger().log.subtree(level, index))
    }

    fn leaves(&self, from: u64, count: usize) -> Result<Vec<Vec<u8>>, ReadError> {
        Ok(self.ledger().log.leaves(from, count))
    }

    fn add_cosignatures(&self, cosigned: Vec<Cosigned>) {
        self.keep(cosigned);
    }

    fn cosignatures(&self, from: u64, to: u64) -> Result<Vec<Cosigned>, ReadError> {
        let ledger = self.ledger();
        let blocks = (from..=to).map_while(|height| ledger.at(height));
        Ok(blocks.flat_map(|block| block.cosignatures.clone()).collect())
    }

    fn own_cosignatures(&self) -> broadcast::Receiver<Cosigned> {
        self.own.subscribe()
    }

    fn want_block(&self) {
        // Blocks come from transactions only.
    }

    fn mempool(&self) -> (usize, usize) {
        let ledger = self.ledger();
        (ledger.pending.len(), ledger.pending.iter().map(Transaction::size).sum())
    }

    fn voting(&self) -> bool {
        self.ledger().voting
    }

    fn quorum(&self) -> (usize, usize) {
        let set = self.trust.newest();
        (set.validators().len(), set.quorum())
    }
}
