//! What blocks say of invoices: new ones, mostly known from their input alone, and those that changed, which are looked
//! at in the ledger.

use futures::StreamExt;
use muniment_ledger::transaction::Transaction;
use muniment_ledger::wire::{FinalBlock, Outcome};
use muniment_receipts::statement::{BatchHeader, Item, Statement};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

use super::super::runtime::Network;
use crate::invoice::{TEMPLATE, kept, row};
use crate::store::documents::DocumentKey;
use crate::store::entity::invoice::Model;

/// How a statement of the template spells its name.
const NEEDLE: &[u8] = b"\"template\":\"electronic-invoice\"";
/// Records looked at at the same time.
const LOOKS: usize = 8;

/// Invoices of several blocks.
#[derive(Default)]
pub struct Seen {
    new: BTreeMap<[u8; 32], Model>,
    /// With the leaf of the step that made it, if that is in these blocks; otherwise the row has it already.
    changed: BTreeMap<[u8; 32], i64>,
    /// Documents of new ones.
    pub documents: Vec<DocumentKey>,
}

impl Seen {
    /// Adds what a block says.
    pub fn take(&mut self, network: i64, block: &FinalBlock) {
        for (transaction, outcomes) in block.transactions.iter().zip(&block.outcomes) {
            if !names_template(transaction) {
                continue;
            }
            let Some((action, signer, inputs)) = parts(transaction) else {
                continue;
            };
            for (outcome, input) in outcomes.iter().zip(inputs) {
                if let Outcome::Accepted { record, also, leaf, .. } = outcome {
                    let leaf = i64::try_from(*leaf).unwrap_or(i64::MAX);
                    self.step(network, (*record, leaf), &action, &signer, input);
                    // A credit note changes its invoice, for example.
                    also.iter().for_each(|(record, _)| self.changes(*record));
                }
            }
        }
    }

    fn changes(&mut self, record: [u8; 32]) {
        let leaf = self.new.get(&record).map_or(0, |row| row.leaf);
        self.changed.entry(record).or_insert(leaf);
    }

    fn step(
        &mut self,
        network: i64,
        (record, leaf): ([u8; 32], i64),
        action: &str,
        signer: &str,
        input: Option<Map<String, Value>>,
    ) {
        let input = input.unwrap_or_default();
        match action {
            "issue" | "credit" | "replace" => {
                let content = input.get("content").and_then(Value::as_str);
                let content = content.and_then(|text| hex::decode(text).ok());
                self.documents.extend(content.map(|content| DocumentKey {
                    issuer: signer.to_owned(),
                    content,
                    variant: kept::variant(&input).to_vec(),
                }));
                match row::of_issue(network, &record, signer, &input).filter(|_| action == "issue") {
                    Some(row) => drop(self.new.insert(record, Model { leaf, ..row })),
                    None => drop(self.changed.insert(record, leaf)),
                }
            }
            _ => self.changes(record),
        }
    }

    /// The rows in the order of the ledger, those of changed records as it has them at this height or later. Asks until it
    /// has them.
    pub async fn rows(mut self, network: &Network, height: u64) -> Vec<Model> {
        let reader = network.client().at_least(height);
        let look = |(id, leaf): ([u8; 32], i64)| {
            let reader = &reader;
            async move {
                loop {
                    match reader.record(&id).await {
                        Ok(view) => {
                            let row = view.and_then(|view| row::of_record(network.number, &view.record))?;
                            return Some(Model { leaf, ..row });
                        }
                        Err(error) => {
                            tracing::warn!(network = network.entry.name, %error, "an invoice can't be looked at, trying again");
                            tokio::time::sleep(Duration::from_secs(1)).await;
                        }
                    }
                }
            }
        };
        for id in self.changed.keys() {
            self.new.remove(id);
        }
        let changed: Vec<_> = futures::stream::iter(self.changed)
            .map(look)
            .buffer_unordered(LOOKS)
            .collect()
            .await;
        let mut rows: Vec<Model> = self.new.into_values().chain(changed.into_iter().flatten()).collect();
        rows.sort_unstable_by_key(|row| row.leaf);
        rows
    }

    /// How many rows there will be, about.
    pub fn len(&self) -> usize {
        self.new.len() + self.changed.len()
    }
}

/// A quick look: most transactions are of other templates, and reading each whole would cost the follower.
fn names_template(transaction: &Transaction) -> bool {
    transaction
        .signed_bytes()
        .windows(NEEDLE.len())
        .any(|window| window == NEEDLE)
}

type Parts = (String, String, Vec<Option<Map<String, Value>>>);

/// Action, signer and inputs.
fn parts(transaction: &Transaction) -> Option<Parts> {
    match transaction {
        Transaction::Single { statement, .. } | Transaction::Attached { statement, .. } => {
            let statement = Statement::parse(statement).ok().filter(|it| it.template == TEMPLATE)?;
            Some((
                statement.action,
                statement.signer.to_string(),
                vec![Some(statement.input)],
            ))
        }
        Transaction::Batch { header, items, .. } => {
            let header = BatchHeader::parse(header).ok().filter(|it| it.template == TEMPLATE)?;
            let inputs = items.iter().map(|item| Item::parse(item).ok().map(|item| item.input));
            Some((header.action, header.signer.to_string(), inputs.collect()))
        }
    }
}
