//! A party that signs with its own key and talks to validators directly.

use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::{Signer, SigningKey};
use muniment_ledger::transaction::Transaction;
use muniment_receipts::key::SignerKey;
use muniment_receipts::statement::{BatchHeader, Common, Item, Statement, items_root};
use serde_json::{Map, Value};

use crate::api;

/// A party of one network.
#[derive(Clone)]
pub struct Party {
    key: SigningKey,
    network: [u8; 32],
}

impl Party {
    /// A party with a key from a seed.
    pub fn new(seed: [u8; 32], network: [u8; 32]) -> Self {
        Self {
            key: SigningKey::from_bytes(&seed),
            network,
        }
    }

    /// Public key as in a genesis.
    pub fn signer(&self) -> SignerKey {
        SignerKey::ed25519(self.key.verifying_key().as_bytes())
    }

    /// Any signed action.
    ///
    /// # Panics
    /// When the input doesn't fit a statement.
    pub fn act(&self, template: &str, action: &str, input: Value, record: Option<[u8; 32]>) -> Transaction {
        let common = Common {
            template: template.to_owned(),
            action: action.to_owned(),
            ..self.common(8 * 60 * 1000)
        };
        let Value::Object(input) = input else {
            panic!("an input is an object");
        };
        let statement = Statement::new(common, input, record).canonical().unwrap();
        let signature = self.key.sign(&statement).to_bytes();
        Transaction::Single { statement, signature }
    }

    fn common(&self, lifetime: i64) -> Common {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        Common {
            action: "deposit".to_owned(),
            network: self.network,
            nonce,
            revision: 1,
            signer: self.signer(),
            template: "notarization".to_owned(),
            valid_until: u64::try_from(now).unwrap().saturating_add_signed(lifetime),
        }
    }

    /// A signed deposit. Each call makes a transaction of its own, also for the same digest.
    pub fn deposit(&self, digest: &str) -> Transaction {
        self.deposit_for(digest, 8 * 60 * 1000)
    }

    /// As [`Self::deposit`], valid for so many milliseconds from now, which may be negative.
    ///
    /// # Panics
    /// Never: the statement is well formed.
    pub fn deposit_for(&self, digest: &str, lifetime: i64) -> Transaction {
        let statement = Statement::new(self.common(lifetime), input(digest), None)
            .canonical()
            .unwrap();
        let signature = self.key.sign(&statement).to_bytes();
        Transaction::Single { statement, signature }
    }

    /// A signed batch of deposits.
    ///
    /// # Panics
    /// When there are no digests.
    pub fn batch(&self, digests: &[String]) -> Transaction {
        let item = |digest: &String| {
            Item {
                input: input(digest),
                record: None,
            }
            .canonical()
            .unwrap()
        };
        let items: Vec<Vec<u8>> = digests.iter().map(item).collect();
        let count = u32::try_from(items.len()).unwrap();
        let header = BatchHeader::new(self.common(8 * 60 * 1000), count, items_root(&items))
            .canonical()
            .unwrap();
        let signature = self.key.sign(&header).to_bytes();
        Transaction::Batch {
            header,
            signature,
            items,
        }
    }
}

fn input(digest: &str) -> Map<String, Value> {
    match api::deposit(digest) {
        Value::Object(input) => input,
        _ => Map::new(),
    }
}
