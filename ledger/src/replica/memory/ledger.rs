//! Blocks and records of the twin, under one lock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;

use muniment_receipts::key::SignerKey;
use muniment_receipts::leaf::{self, Marker};
use muniment_receipts::merkle::{self, ProofError};
use muniment_receipts::statement::{BatchHeader, Item, Statement};
use muniment_receipts::trust::TrustRoot;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::keys::now;
use super::log::Log;
use crate::block::{Certificate, HEADER_VERSION, Hash, Header};
use crate::replica::Tip;
use crate::state::record_key;
use crate::transaction::{Transaction, TransactionId};
use crate::wire::{Admission, Cosigned, FinalBlock, HistoryEntry, Outcome, RecordPage, RecordView, StateProof};

pub struct Ledger {
    network: Hash,
    validators: Hash,
    /// Block time counts from here; from the clock if absent.
    start: Option<u64>,
    blocks: Vec<FinalBlock>,
    pub log: Log,
    pub pending: Vec<Transaction>,
    waiting: HashSet<TransactionId>,
    transactions: HashMap<TransactionId, u64>,
    records: BTreeMap<Hash, Record>,
    /// Cosignatures that came before their block.
    pub early: Vec<Cosigned>,
    pub held: bool,
    pub voting: bool,
    pub capacity: usize,
}

struct Record {
    value: Value,
    signer: SignerKey,
    history: Vec<HistoryEntry>,
}

/// One action with all that its statement, or its batch's header, says.
struct Action {
    name: String,
    template: String,
    revision: u32,
    signer: SignerKey,
    valid_until: u64,
    input: Map<String, Value>,
    record: Option<Hash>,
}

impl Ledger {
    pub fn new(network: Hash, validators: Hash, start: Option<u64>) -> Self {
        Self {
            network,
            validators,
            start,
            blocks: Vec::new(),
            log: Log::default(),
            pending: Vec::new(),
            waiting: HashSet::new(),
            transactions: HashMap::new(),
            records: BTreeMap::new(),
            early: Vec::new(),
            held: false,
            voting: true,
            capacity: 100_000,
        }
    }

    pub fn at(&self, height: u64) -> Option<&FinalBlock> {
        self.blocks.get(usize::try_from(height.checked_sub(1)?).ok()?)
    }

    pub fn tip(&self) -> Tip {
        self.blocks.last().map_or_else(Tip::default, |block| Tip {
            height: block.header.height,
            time: block.header.time,
            state_root: block.state_root,
            log_size: block.log_size,
            log_root: block.log_root,
        })
    }

    pub fn known(&self, id: &TransactionId) -> Option<Admission> {
        let height = self.transactions.get(id).copied();
        (height.is_some() || self.waiting.contains(id)).then(|| Admission::Known {
            id: id.to_string(),
            height,
        })
    }

    /// Puts an admitted transaction among those that wait.
    pub fn push(&mut self, transaction: Transaction) {
        self.waiting.insert(transaction.id());
        self.pending.push(transaction);
    }

    /// Keeps a cosignature that holds.
    pub fn add(&mut self, one: Cosigned) {
        let place = one.height.checked_sub(1).and_then(|place| usize::try_from(place).ok());
        let Some(block) = place.and_then(|place| self.blocks.get_mut(place)) else {
            return;
        };
        match block
            .cosignatures
            .binary_search_by_key(&one.validator, |known| known.validator)
        {
            Ok(_) => {}
            Err(place) => block.cosignatures.insert(place, one),
        }
    }

    /// Makes a block of what waits; returns its height.
    pub fn block(&mut self, trust: &TrustRoot) -> u64 {
        let transactions = std::mem::take(&mut self.pending);
        self.waiting.clear();
        let header = self.header(&transactions);
        let (height, time) = (header.height, header.time);
        let first_leaf = self.log.size();
        let outcomes = transactions
            .iter()
            .map(|transaction| self.execute(transaction, height, time))
            .collect();
        self.transactions
            .extend(transactions.iter().map(|transaction| (transaction.id(), height)));
        let state_root = self.state_root();
        let block = header.hash();
        let marker = leaf::marker(&Marker {
            block,
            height,
            network: *trust.network(),
            next_validators: self.validators,
            state_root,
            time,
            validators: self.validators,
        });
        self.log.append(marker.clone());
        self.blocks.push(FinalBlock {
            header,
            transactions,
            outcomes,
            certificate: Certificate {
                height,
                round: 0,
                block,
                signatures: Vec::new(),
            },
            first_leaf,
            marker,
            log_size: self.log.size(),
            log_root: self.log.root(),
            state_root,
            cosignatures: Vec::new(),
        });
        height
    }

    fn header(&self, transactions: &[Transaction]) -> Header {
        let tip = self.tip();
        let height = tip.height + 1;
        let hashes: Vec<_> = transactions
            .iter()
            .map(|one| merkle::leaf_hash(&borsh::to_vec(one).unwrap_or_default()))
            .collect();
        Header {
            version: HEADER_VERSION,
            network: self.network,
            height,
            parent: self.blocks.last().map_or(self.network, |block| block.header.hash()),
            time: self
                .start
                .map_or_else(|| now().max(tip.time + 1), |start| start + height),
            transactions_root: merkle::root(&hashes),
            transactions: u32::try_from(transactions.len()).unwrap_or(u32::MAX),
            parent_log_size: tip.log_size,
            parent_log_root: tip.log_root,
            parent_state_root: tip.state_root,
            validators: self.validators,
            next_validators: self.validators,
        }
    }

    /// Executes the actions of a transaction and appends the leaves of the accepted ones.
    fn execute(&mut self, transaction: &Transaction, height: u64, time: u64) -> Vec<Outcome> {
        let mut accepted = Vec::new();
        let mut outcomes = Vec::new();
        let first = self.log.size();
        for (index, action) in actions(transaction).into_iter().enumerate() {
            let leaf = first + accepted.len() as u64;
            let outcome = match action {
                Some(action) => self.act(action, height, time, leaf),
                None => reject("MALFORMED", "the item can't be read", None),
            };
            if let Outcome::Accepted { record, version, .. } = outcome {
                accepted.push((
                    u32::try_from(index).unwrap_or(u32::MAX),
                    leaf::Outcome {
                        record,
                        version,
                        also: Vec::new(),
                    },
                ));
            }
            outcomes.push(outcome);
        }
        let leaves = match transaction {
            Transaction::Single { statement, signature }
            | Transaction::Attached {
                statement, signature, ..
            } => accepted
                .iter()
                .map(|(_, outcome)| leaf::single(statement, signature, outcome))
                .collect(),
            Transaction::Batch {
                header,
                signature,
                items,
            } => leaf::batch_items(header, signature, items, &accepted),
        };
        leaves.into_iter().for_each(|leaf| self.log.append(leaf));
        outcomes
    }

    fn act(&mut self, action: Action, height: u64, time: u64, leaf: u64) -> Outcome {
        if action.valid_until < time {
            return reject("EXPIRED", "the time up to which it was valid is over", None);
        }
        let id = action.record.unwrap_or_else(|| action.identity());
        let known = self.records.get_mut(&id);
        let record = match (action.record, known) {
            (None, Some(_)) => return reject("DUPLICATE", "there is such a record already", Some(id)),
            (Some(_), None) => return reject("UNKNOWN_RECORD", "there is no such record", Some(id)),
            (Some(_), Some(record)) if record.signer != action.signer => {
                return reject("NOT_ALLOWED", "only the creator may do this", Some(id));
            }
            (Some(_), Some(record)) => record,
            (None, None) => self
                .records
                .entry(id)
                .or_insert_with(|| action.create(&id, height, time)),
        };
        let version = u32::try_from(record.history.len() + 1).unwrap_or(u32::MAX);
        record.value["version"] = version.into();
        record.value["updatedHeight"] = height.into();
        record.value["updatedTime"] = time.into();
        if let Some(fields) = record.value["fields"].as_object_mut() {
            fields.extend(action.input);
        }
        record.history.push(HistoryEntry {
            version,
            action: action.name,
            signer: action.signer.to_string(),
            height,
            time,
            leaf,
        });
        Outcome::Accepted {
            record: id,
            version,
            leaf,
            also: Vec::new(),
        }
    }

    fn state_leaves(&self) -> Vec<Hash> {
        let hash = |(id, record): (&Hash, &Record)| merkle::leaf_hash(&[&id[..], &value_hash(record)].concat());
        self.records.iter().map(hash).collect()
    }

    fn state_root(&self) -> Hash {
        merkle::root(&self.state_leaves())
    }

    pub fn record(&self, id: &Hash) -> Option<RecordView> {
        let record = self.records.get(id)?;
        let leaf = record.history.last().map_or(0, |entry| entry.leaf);
        Some(RecordView {
            height: self.tip().height,
            record: record.value.clone(),
            leaf,
        })
    }

    pub fn page(&self, template: Option<&str>, after: Option<&Hash>, limit: usize) -> RecordPage {
        let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(*after));
        let mut found = self
            .records
            .range((start, Bound::Unbounded))
            .filter(|(_, record)| template.is_none_or(|template| record.value["template"] == template));
        let page: Vec<_> = found.by_ref().take(limit).collect();
        let last = page.last().map(|(id, _)| hex::encode(id));
        RecordPage {
            height: self.tip().height,
            records: page.into_iter().map(|(_, record)| record.value.clone()).collect(),
            next: found.next().and(last),
        }
    }

    pub fn history(&self, id: &Hash) -> Vec<HistoryEntry> {
        self.records
            .get(id)
            .map(|record| record.history.clone())
            .unwrap_or_default()
    }

    /// The twin's own proof: the audit path of the record in the tree of all records, empty for an absent one.
    pub fn state_proof(&self, id: &Hash) -> Result<StateProof, ProofError> {
        let tip = self.tip();
        let leaves = self.state_leaves();
        let place = self.records.keys().position(|known| known == id);
        let proof = match place {
            Some(place) => merkle::Frontier::new().extension(&leaves).path(place as u64).concat(),
            None => Vec::new(),
        };
        Ok(StateProof {
            height: tip.height,
            state_root: hex::encode(tip.state_root),
            key: hex::encode(record_key(id)),
            value: self.records.get(id).map(|record| hex::encode(value_hash(record))),
            proof: hex::encode(proof),
        })
    }

    pub fn block_of_leaf(&self, index: u64) -> Option<&FinalBlock> {
        self.blocks
            .get(self.blocks.partition_point(|block| block.log_size <= index))
    }
}

impl Action {
    fn identity(&self) -> Hash {
        let identity = json!({"identity": [self.signer.to_string(), self.input], "template": self.template});
        let text = muniment_receipts::jcs::to_vec(&identity).unwrap_or_default();
        Sha256::new()
            .chain_update(b"muniment.dev/record/v1\n")
            .chain_update(text)
            .finalize()
            .into()
    }

    fn create(&self, id: &Hash, height: u64, time: u64) -> Record {
        let value = json!({
            "id": hex::encode(id), "template": self.template, "revision": self.revision, "version": 0,
            "creator": self.signer.to_string(), "regions": {}, "fields": {}, "createdHeight": height,
            "createdTime": time, "updatedHeight": height, "updatedTime": time,
        });
        Record {
            value,
            signer: self.signer,
            history: Vec::new(),
        }
    }
}

/// The actions of an admitted transaction; `None` for an item that can't be read.
fn actions(transaction: &Transaction) -> Vec<Option<Action>> {
    match transaction {
        Transaction::Single { statement, .. } | Transaction::Attached { statement, .. } => {
            vec![Statement::parse(statement).ok().map(|one| Action {
                name: one.action,
                template: one.template,
                revision: one.revision,
                signer: one.signer,
                valid_until: one.valid_until,
                input: one.input,
                record: one.record,
            })]
        }
        Transaction::Batch { header, items, .. } => {
            let Ok(header) = BatchHeader::parse(header) else {
                return items.iter().map(|_| None).collect();
            };
            let action = |item: &Vec<u8>| {
                let item = Item::parse(item).ok()?;
                Some(Action {
                    name: header.action.clone(),
                    template: header.template.clone(),
                    revision: header.revision,
                    signer: header.signer,
                    valid_until: header.valid_until,
                    input: item.input,
                    record: item.record,
                })
            };
            items.iter().map(action).collect()
        }
    }
}

fn value_hash(record: &Record) -> Hash {
    Sha256::digest(muniment_receipts::jcs::to_vec(&record.value).unwrap_or_default()).into()
}

fn reject(code: &str, message: &str, record: Option<Hash>) -> Outcome {
    Outcome::Rejected {
        code: code.to_owned(),
        message: message.to_owned(),
        pointer: String::new(),
        record,
    }
}
