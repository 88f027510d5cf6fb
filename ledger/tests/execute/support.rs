//! A network in memory for tests and the bench: one signer's keys, signing, blocks, and the whole fold.

use std::sync::Arc;

use ed25519_dalek::{Signer, SigningKey};
use muniment_ledger::block::{HEADER_VERSION, Hash, Header};
use muniment_ledger::execute::{self, Execution, Params, Prepared, Refusal};
use muniment_ledger::state::tree::MemoryTree;
use muniment_ledger::state::{Changes, StateError, StateRead, genesis_state};
use muniment_ledger::templates::NOTARIZATION;
use muniment_ledger::transaction::{Transaction, TransactionId};
use muniment_receipts::genesis::{GENESIS_TYPE, Genesis, GenesisTemplate, Member, ValidatorKeys};
use muniment_receipts::key::SignerKey;
use muniment_receipts::statement::{BatchHeader, Common, Item, Statement, items_root};
use serde_json::{Value, json};

/// Time of the first block.
pub const START: u64 = 1_800_000_000_000;

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn signer(key: &SigningKey) -> SignerKey {
    SignerKey::ed25519(&key.verifying_key().to_bytes())
}

pub fn genesis(templates: &[(&str, u32, &str)]) -> Genesis {
    genesis_of(templates, 3)
}

/// A genesis with so many members, whose keys are `key(1)` and on.
pub fn genesis_of(templates: &[(&str, u32, &str)], members: u8) -> Genesis {
    let validator = |n: u8| {
        let hex = |m: u8| hex::encode(key(100 + 4 * n + m).verifying_key().to_bytes());
        ValidatorKeys {
            name: format!("validator-{n}"),
            consensus: hex(0),
            notary: hex(1),
            cose: hex(2),
        }
    };
    let member = |n: u8| Member {
        name: format!("member-{n}"),
        key: signer(&key(n)).to_string(),
    };
    Genesis {
        kind: GENESIS_TYPE.to_owned(),
        name: "demo/test".to_owned(),
        created_at: START,
        validators: (0..4).map(validator).collect(),
        members: (1..=members).map(member).collect(),
        templates: templates
            .iter()
            .map(|(name, revision, source)| GenesisTemplate {
                name: (*name).to_owned(),
                revision: *revision,
                source: (*source).to_owned(),
            })
            .collect(),
        governance_threshold: 1,
    }
}

/// State, tree and clock of one replica.
pub struct Ledger {
    pub params: Params,
    pub tree: MemoryTree,
    pub height: u64,
    pub time: u64,
    pub log_size: u64,
    pub root: Hash,
    pub decided: std::collections::HashSet<TransactionId>,
    nonce: u64,
}

struct View<'a>(&'a Ledger);

impl StateRead for View<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.0.tree.state.get(key)
    }

    fn seen(&self, id: &TransactionId) -> Result<bool, StateError> {
        Ok(self.0.decided.contains(id))
    }
}

impl Ledger {
    pub fn new(genesis: &Genesis) -> Self {
        let changes = genesis_state(genesis).unwrap();
        let mut tree = MemoryTree::default();
        let root = tree.commit(0, &changes).unwrap();
        let params = Params {
            network: genesis.network_id().unwrap(),
        };
        Self {
            params,
            tree,
            height: 0,
            time: START,
            log_size: 0,
            root,
            decided: Default::default(),
            nonce: 0,
        }
    }

    pub fn notary() -> Self {
        Self::new(&genesis(&[("notarization", 1, NOTARIZATION)]))
    }

    pub fn header(&self) -> Header {
        Header {
            version: HEADER_VERSION,
            network: self.params.network,
            height: self.height + 1,
            parent: [0; 32],
            time: self.time,
            transactions_root: [0; 32],
            transactions: 0,
            parent_log_size: self.log_size,
            parent_log_root: [0; 32],
            parent_state_root: self.root,
            validators: [0; 32],
            next_validators: [0; 32],
        }
    }

    pub fn common(&mut self, key: &SigningKey, action: &str) -> Common {
        self.common_of("notarization", key, action)
    }

    /// As `common`, for any template.
    pub fn common_of(&mut self, template: &str, key: &SigningKey, action: &str) -> Common {
        self.nonce += 1;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.nonce.to_be_bytes());
        Common {
            action: action.to_owned(),
            network: self.params.network,
            nonce,
            revision: 1,
            signer: signer(key),
            template: template.to_owned(),
            valid_until: self.time + 60_000,
        }
    }

    pub fn admit(&self, transaction: Transaction) -> Result<Arc<Prepared>, Refusal> {
        execute::admission(transaction, &self.params).map(Arc::new)
    }

    pub fn admissible(&self, prepared: &Prepared) -> Result<(), Refusal> {
        execute::admissible(prepared, &View(self), self.time)
    }

    /// Executes without committing.
    pub fn dry(&self, transactions: &[Arc<Prepared>]) -> Execution {
        execute::execute(&View(self), &self.header(), transactions, &self.params).unwrap()
    }

    /// Executes and commits one block.
    pub fn block(&mut self, transactions: &[Arc<Prepared>]) -> Execution {
        let execution = self.dry(transactions);
        self.commit(&execution);
        execution
    }

    pub fn commit(&mut self, execution: &Execution) {
        self.height += 1;
        self.root = self.tree.commit(self.height, &execution.changes).unwrap();
        self.log_size += execution.leaves.len() as u64 + 1;
        self.time += 1_000;
        self.decided.extend(&execution.transactions);
    }

    pub fn records(&self) -> Changes {
        self.tree
            .state
            .0
            .iter()
            .filter(|(key, _)| key[0] == b'r')
            .map(|(k, v)| (k.clone(), Some(v.clone())))
            .collect()
    }
}

pub fn single(common: Common, key: &SigningKey, input: Value, record: Option<Hash>) -> Transaction {
    let Value::Object(input) = input else {
        panic!("inputs are objects")
    };
    let statement = Statement::new(common, input, record).canonical().unwrap();
    let signature = key.sign(&statement).to_bytes();
    Transaction::Single { statement, signature }
}

pub fn batch(common: Common, key: &SigningKey, actions: Vec<(Value, Option<Hash>)>) -> Transaction {
    let items = actions.into_iter().map(|(input, record)| {
        let Value::Object(input) = input else {
            panic!("inputs are objects")
        };
        Item { input, record }.canonical().unwrap()
    });
    batch_of(common, key, items.collect())
}

pub fn batch_of(common: Common, key: &SigningKey, items: Vec<Vec<u8>>) -> Transaction {
    let header = BatchHeader::new(common, items.len() as u32, items_root(&items))
        .canonical()
        .unwrap();
    let signature = key.sign(&header).to_bytes();
    Transaction::Batch {
        header,
        signature,
        items,
    }
}

/// Input of a deposit of document `n`.
pub fn deposit(n: u64) -> Value {
    json!({ "digests": [{ "alg": "sha-256", "value": format!("{n:064x}") }], "mode": "plain" })
}
