//! The replica as the consensus engine sees it: makes, judges, keeps and executes blocks.
//!
//! Owns the order of what becomes durable when. Runs on the engine's thread; readers see only what was committed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use muniment_receipts::merkle::Frontier;

use super::fold::{self, Folded};
use super::local::LocalReplica;
use super::notary::Notary;
use super::sets;
use super::{Replica, Tip};
use crate::block::{
    BLOCK_OVERHEAD, Block, Certificate, HEADER_VERSION, Hash, Header, MAX_ACTIONS, MAX_BLOCK, MAX_TIME,
    transactions_root,
};
use crate::engine::{Application, Fatal, Validator, Verdict};
use crate::execute::{self, Prepared};
use crate::state::{member_key, tree};
use crate::store::{Commit, Located, OwnCheckpoint, StoreError, View, decode_block};
use crate::transaction::{Transaction, TransactionId};

/// How far a proposal's time may lie ahead of our clock, in milliseconds.
const MAX_AHEAD: u64 = 2_000;
/// How far a first proposal's time may lie behind our clock, in milliseconds.
const MAX_BEHIND: u64 = 30_000;

/// How a block came here, which decides what our clock has to say about its time. A decided one is history: a clock
/// that is wrong today must not keep this replica from following.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// Proposed for the first time: made just now.
    Proposed,
    /// Proposed again: may be old, but is never from the future.
    Reproposed,
    /// Under a certificate that the engine has checked.
    Decided,
}

/// A block whose transactions are taken apart and checked.
struct Checked {
    header: Header,
    transactions: Vec<Arc<Prepared>>,
    /// Our clock has agreed to it as a first proposal. One that came as a later proposal may be old, and doesn't become
    /// a good first one by that.
    timely: bool,
}

/// The engine's application.
pub struct ReplicaApplication {
    pub(super) replica: Arc<LocalReplica>,
    pub(super) notary: Notary,
    pub(super) frontier: Frontier,
    pub(super) parent: Hash,
    /// Actions in the last block.
    last_actions: u32,
    /// Upper levels of the state tree.
    tree: tree::Cache,
    /// Blocks of the next height that were checked here, by hash.
    checked: HashMap<Hash, Checked>,
}

/// Pause per action of the last block, and its bound: a quiet network answers at once, a busy one (2,000 actions a
/// second and more) makes six blocks a second. A block costs every validator some milliseconds whatever it holds.
const PACE_PER_ACTION: Duration = Duration::from_micros(500);
const MAX_PACE: Duration = Duration::from_millis(160);

fn fatal<E: Into<Box<dyn std::error::Error + Send + Sync>>>(what: &'static str) -> impl FnOnce(E) -> Fatal {
    move |source| Fatal {
        what,
        source: source.into(),
    }
}

/// Is its time too far behind our clock for a first proposal?
fn is_old(header: &Header) -> bool {
    header.time.saturating_add(MAX_BEHIND) < now()
}

/// This machine's clock in milliseconds since the Unix epoch. Consensus on it is the block's time.
pub(super) fn now() -> u64 {
    // A clock before 1970 proposes time 0 and is overruled by the parent's time.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// Who may sign, in the state of one moment. Each signer is looked up once.
struct Members {
    view: View,
    known: HashMap<String, bool>,
}

impl Members {
    fn new(view: View) -> Self {
        let known = HashMap::new();
        Self { view, known }
    }

    fn contain(&mut self, signer: &str) -> Result<bool, Fatal> {
        if let Some(known) = self.known.get(signer) {
            return Ok(*known);
        }
        let found = self
            .view
            .state(&member_key(signer))
            .map_err(fatal("members can't be read"))?;
        self.known.insert(signer.to_owned(), found.is_some());
        Ok(found.is_some())
    }
}

impl ReplicaApplication {
    pub(super) fn new(replica: Arc<LocalReplica>, notary: Notary, frontier: Frontier, parent: Hash) -> Self {
        Self {
            replica,
            notary,
            frontier,
            parent,
            last_actions: 0,
            tree: tree::Cache::default(),
            checked: HashMap::new(),
        }
    }

    /// The header that a block of the next height must have, but for time and transactions.
    fn expected(&self, tip: &Tip) -> Header {
        let (height, sets) = (tip.height + 1, self.replica.sets());
        Header {
            version: HEADER_VERSION,
            network: self.replica.facts.network,
            height,
            parent: self.parent,
            time: 0,
            transactions_root: [0; 32],
            transactions: 0,
            parent_log_size: tip.log_size,
            parent_log_root: tip.log_root,
            parent_state_root: tip.state_root,
            validators: sets.at(height).hash,
            next_validators: sets.at(height + 1).hash,
        }
    }

    fn build(&self) -> Result<(Block, Vec<Arc<Prepared>>), Fatal> {
        let tip = self.replica.tip();
        let limits = &self.replica.limits;
        let time = now().max(tip.time + 1);
        let mut chosen = {
            let mut pool = self.replica.pool();
            pool.expire(time);
            let bytes = limits.block_bytes.min(MAX_BLOCK - BLOCK_OVERHEAD);
            pool.select(bytes, limits.block_actions.min(MAX_ACTIONS))
        };
        let mut members = Members::new(self.replica.store.view());
        let mut strangers = Vec::new();
        for waiting in &chosen {
            if !members.contain(waiting.signer())? {
                strangers.push(waiting.id());
            }
        }
        if !strangers.is_empty() {
            chosen.retain(|waiting| !strangers.contains(&waiting.id()));
            self.replica.pool().remove(&strangers);
        }
        let transactions: Vec<Transaction> = chosen.iter().map(|p| p.transaction().clone()).collect();
        let mut header = self.expected(&tip);
        header.time = time;
        header.transactions = transactions.len() as u32;
        header.transactions_root = transactions_root(&transactions).map_err(fatal("transactions can't be encoded"))?;
        Ok((Block { header, transactions }, chosen))
    }

    /// Judges a block of the next height and, when it is good, keeps it on disk.
    fn judge(&mut self, bytes: &[u8], came: Came) -> Result<Option<(Hash, Verdict)>, Fatal> {
        if bytes.len() > MAX_BLOCK {
            return Ok(None);
        }
        let Ok(block) = borsh::from_slice::<Block>(bytes) else {
            return Ok(None);
        };
        let hash = block.header.hash();
        if let Some(checked) = self.checked.get_mut(&hash) {
            if came == Came::Proposed && !checked.timely {
                if is_old(&checked.header) {
                    tracing::warn!(
                        height = checked.header.height,
                        "refusing an old block as a first proposal"
                    );
                    return Ok(Some((hash, Verdict::Invalid)));
                }
                checked.timely = true;
            }
            return Ok(Some((hash, Verdict::Valid)));
        }
        let header = block.header.clone();
        if let Err(reason) = self.check_header(&block, came) {
            tracing::warn!(height = header.height, reason, "refusing a proposed block");
            return Ok(Some((hash, Verdict::Invalid)));
        }
        let Some(transactions) = self.prepare(block.transactions)? else {
            tracing::warn!(
                height = header.height,
                "refusing a proposed block with a bad transaction"
            );
            return Ok(Some((hash, Verdict::Invalid)));
        };
        self.replica
            .store
            .put_block(&header, bytes, None)
            .map_err(fatal("block can't be stored"))?;
        let checked = Checked {
            header,
            transactions,
            timely: came == Came::Proposed,
        };
        self.checked.insert(hash, checked);
        Ok(Some((hash, Verdict::Valid)))
    }

    fn check_header(&self, block: &Block, came: Came) -> Result<(), &'static str> {
        let tip = self.replica.tip();
        let header = &block.header;
        let mut wanted = self.expected(&tip);
        wanted.time = header.time;
        wanted.transactions = block.transactions.len() as u32;
        wanted.transactions_root =
            transactions_root(&block.transactions).map_err(|_| "transactions can't be encoded")?;
        if *header != wanted {
            return Err("its header does not follow from our tip");
        }
        if header.time <= tip.time {
            return Err("its time is not after the parent's");
        }
        if header.time > MAX_TIME {
            return Err("its time is beyond what can be written down");
        }
        let now = now();
        if came != Came::Decided && header.time > now.saturating_add(MAX_AHEAD) {
            return Err("its time lies ahead of our clock");
        }
        if came == Came::Proposed && is_old(header) {
            return Err("its time lies too far behind our clock");
        }
        let actions: usize = block.transactions.iter().map(Transaction::actions).sum();
        if actions > MAX_ACTIONS {
            return Err("it holds too many actions");
        }
        Ok(())
    }

    /// Takes the transactions apart, reusing what the mempool already checked. `None` when one is malformed, badly
    /// signed, of a stranger, twice in the block, or decided before: nobody but members can make the log grow.
    fn prepare(&self, transactions: Vec<Transaction>) -> Result<Option<Vec<Arc<Prepared>>>, Fatal> {
        let view = self.replica.store.view();
        let mut members = Members::new(self.replica.store.view());
        let mut ids = std::collections::HashSet::with_capacity(transactions.len());
        let mut prepared: Vec<Arc<Prepared>> = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            let id = transaction.id();
            let decided = view
                .transaction(&id.0)
                .map_err(fatal("decided transactions can't be read"))?;
            if !ids.insert(id) || decided.is_some() {
                return Ok(None);
            }
            let known = self
                .replica
                .pool()
                .get(&id)
                .filter(|p| *p.transaction() == transaction)
                .cloned();
            match known.map_or_else(
                || execute::admission(transaction, &self.replica.facts.params).map(Arc::new),
                Ok,
            ) {
                Ok(one) if members.contain(one.signer())? => prepared.push(one),
                Ok(_) | Err(_) => return Ok(None),
            }
        }
        Ok(Some(prepared))
    }

    /// The decided block with its transactions, from memory or from disk.
    fn decided_checked(&mut self, hash: &Hash) -> Result<Option<Checked>, Fatal> {
        if let Some(checked) = self.checked.remove(hash) {
            return Ok(Some(checked));
        }
        let stored = self
            .replica
            .store
            .open_block(hash)
            .map_err(fatal("decided block can't be read"))?;
        let Some(bytes) = stored else { return Ok(None) };
        let block = decode_block(&bytes).map_err(fatal("decided block can't be read"))?;
        let header = block.header.clone();
        match self.prepare(block.transactions)? {
            Some(transactions) => Ok(Some(Checked {
                header,
                transactions,
                timely: false,
            })),
            None => Err(Fatal {
                what: "a decided block holds a transaction that is not valid here",
                source: format!("height {}, block {}", header.height, hex::encode(hash)).into(),
            }),
        }
    }

    /// Executes a decided block, cosigns its checkpoint, and makes all of it durable in the right order. `decided`
    /// says where the certificate lies if it is on disk already, and `own` what we signed then.
    pub(super) fn finalize(
        &mut self,
        certificate: &Certificate,
        decided: Option<(crate::store::Position, Option<OwnCheckpoint>)>,
    ) -> Result<bool, Fatal> {
        let hash = certificate.block;
        let Some(Checked {
            header, transactions, ..
        }) = self.decided_checked(&hash)?
        else {
            return Ok(false);
        };
        let replica = Arc::clone(&self.replica);
        let view = replica.store.view();
        let folded = fold::fold(
            &replica.facts,
            &view,
            &self.tree,
            &self.frontier,
            &header,
            &transactions,
        )
        .map_err(fatal("decided block can't be executed"))?;
        let block = replica.store.locate(&hash).ok_or_else(|| Fatal {
            what: "decided block is not in the block log",
            source: hex::encode(hash).into(),
        })?;
        let place = replica.sets().at(header.height).place(&replica.own_keys);
        let (position, own) = self.make_durable(certificate, place, &folded, decided)?;
        let located = Located {
            block: (block.offset, block.length),
            certificate: (position.offset, position.length),
            hash,
        };
        let ids: Vec<TransactionId> = transactions.iter().map(|p| p.id()).collect();
        self.publish(&header, located, folded, &ids, own)
            .map_err(fatal("executed block can't be stored"))?;
        Ok(true)
    }

    /// Certificate and own cosignature reach the disk together, before the cosignature can leave. `place` is ours in
    /// the set of this height; who isn't in it cosigns nothing.
    fn make_durable(
        &mut self,
        certificate: &Certificate,
        place: Option<u16>,
        folded: &Folded,
        decided: Option<(crate::store::Position, Option<OwnCheckpoint>)>,
    ) -> Result<(crate::store::Position, Option<OwnCheckpoint>), Fatal> {
        let store = &self.replica.store;
        let (size, root) = (folded.result.log_size, folded.result.log_root);
        if let Some((position, Some(own))) = decided {
            self.notary
                .accept(&own, size, root)
                .map_err(fatal("our own cosignature contradicts the log"))?;
            return Ok((position, Some(own)));
        }
        let own = place.map(|place| self.notary.sign(place, certificate.height, size, root));
        let own = own.transpose().map_err(fatal("checkpoint can't be cosigned"))?;
        let position = match decided {
            Some((position, _)) => {
                let stored = own.as_ref().map_or(Ok(()), |own| store.put_cosigned(own));
                stored.map_err(fatal("cosignature can't be stored"))?;
                position
            }
            None => store
                .put_decision(certificate, own.as_ref())
                .map_err(fatal("decision can't be stored"))?,
        };
        Ok((position, own))
    }

    fn publish(
        &mut self,
        header: &Header,
        located: Located,
        mut folded: Folded,
        ids: &[TransactionId],
        own: Option<OwnCheckpoint>,
    ) -> Result<(), StoreError> {
        let hash = located.hash;
        self.tree.adopt(&mut folded.nodes);
        let sets = sets::in_changes(&folded.state)?;
        let commit = Commit {
            height: header.height,
            located: Some(located),
            result: Some(&folded.result),
            state: folded.state,
            nodes: folded.nodes.new,
            stale: folded.nodes.stale,
            history: folded.history,
            created: folded.created,
            transactions: ids.iter().map(|id| id.0).collect(),
        };
        let replica = &self.replica;
        replica.store.commit(&commit, &folded.leaf_hashes)?;
        // Known before the tip says that the height is executed: whoever asks who decides the next one must not get
        // the set before.
        replica.adopt(sets);
        self.frontier = folded.frontier;
        self.parent = hash;
        self.checked.clear();
        self.last_actions = folded.result.outcomes.iter().map(|actions| actions.len() as u32).sum();
        replica.pool().remove(ids);
        replica.got_block();
        let result = &folded.result;
        replica.set_tip(Tip {
            height: header.height,
            time: header.time,
            state_root: result.state_root,
            log_size: result.log_size,
            log_root: result.log_root,
        });
        let (size, root) = (result.log_size, result.log_root);
        let known: Vec<_> = own.iter().map(|own| own.cosigned.clone()).collect();
        replica.cosign(|cosigners| cosigners.executed(header.height, size, root, known))?;
        if let Some(own) = own {
            // Nobody may be listening yet; peers can ask for it later.
            let _ = replica.own.send(own.cosigned);
        }
        Ok(())
    }
}

impl Application for ReplicaApplication {
    fn tip(&self) -> u64 {
        self.replica.tip().height
    }

    fn lowest(&self) -> u64 {
        1
    }

    fn validators(&self, height: u64) -> Vec<Validator> {
        self.replica.sets().at(height).engine.clone()
    }

    fn propose(&mut self, height: u64, round: u32) -> Result<(Hash, Vec<u8>), Fatal> {
        if let Some(hash) = self.replica.store.proposed(height, round)
            && let Some(bytes) = self
                .replica
                .store
                .open_block(&hash)
                .map_err(fatal("proposed block can't be read"))?
        {
            return Ok((hash, bytes));
        }
        let (block, chosen) = self.build()?;
        let bytes = borsh::to_vec(&block).map_err(fatal("block can't be encoded"))?;
        let header = block.header;
        let hash = self
            .replica
            .store
            .put_block(&header, &bytes, Some(round))
            .map_err(fatal("block can't be stored"))?;
        self.checked.insert(
            hash,
            Checked {
                header,
                transactions: chosen,
                timely: true,
            },
        );
        Ok((hash, bytes))
    }

    fn check(
        &mut self,
        height: u64,
        _round: u32,
        reproposed: bool,
        block: &[u8],
    ) -> Result<Option<(Hash, Verdict)>, Fatal> {
        if height != self.tip() + 1 {
            return Ok(None);
        }
        self.judge(block, if reproposed { Came::Reproposed } else { Came::Proposed })
    }

    fn import(&mut self, height: u64, block: &[u8]) -> Result<Option<(Hash, Verdict)>, Fatal> {
        if height != self.tip() + 1 {
            return Ok(None);
        }
        self.judge(block, Came::Decided)
    }

    fn block(&self, hash: &Hash) -> Result<Option<Vec<u8>>, Fatal> {
        self.replica
            .store
            .open_block(hash)
            .map_err(fatal("block can't be read"))
    }

    fn decide(&mut self, certificate: Certificate) -> Result<bool, Fatal> {
        if certificate.height <= self.tip() {
            return Ok(true);
        }
        self.finalize(&certificate, None)
    }

    fn decided(&self, from: u64, to: u64, max_bytes: usize) -> Result<Vec<(Vec<u8>, Certificate)>, Fatal> {
        let view = self.replica.store.view();
        let mut bytes = 0;
        let mut decided: Vec<(Vec<u8>, Certificate)> = Vec::new();
        for height in from..=to.min(self.tip()) {
            let Some(one) = self
                .replica
                .store
                .decided_block(&view, height)
                .map_err(fatal("decided block can't be read"))?
            else {
                break;
            };
            bytes += one.0.len();
            if !decided.is_empty() && bytes > max_bytes {
                break;
            }
            decided.push(one);
        }
        Ok(decided)
    }

    fn has_work(&self) -> bool {
        !self.replica.pool().is_empty() || self.replica.wants_block()
    }

    fn pace(&self) -> Duration {
        MAX_PACE.min(PACE_PER_ACTION * self.last_actions)
    }
}
