//! From decided transactions to what callers are told.

use muniment_ledger::transaction::TransactionId;
use muniment_ledger::wire::Outcome;
use muniment_receipts::encoding::hex;
use muniment_receipts::receipt::{Receipt, ReceiptParts};
use std::sync::Arc;

use super::block::ResolvedBlock;
use super::runtime::Network;
use crate::types::{ItemOutcome, Recorded};

/// What became of a transaction.
pub enum Decided {
    /// In a block that is proven to hold it.
    Final {
        /// The block.
        block: Arc<ResolvedBlock>,
        /// Position of the transaction in it.
        transaction: usize,
    },
    /// Never will be in a block.
    Refused {
        /// Code of the ledger.
        code: String,
        /// Plain sentence.
        message: String,
        /// How many actions it had: each has the same outcome.
        actions: usize,
    },
}

impl Network {
    /// Outcomes per action of a decided transaction.
    pub fn outcomes<'a>(
        &'a self,
        id: &TransactionId,
        decided: &'a Decided,
    ) -> Box<dyn Iterator<Item = ItemOutcome> + Send + 'a> {
        match decided {
            Decided::Final { block, transaction } => Box::new(self.in_block(id, block, *transaction)),
            Decided::Refused { code, message, actions } => {
                Box::new(std::iter::repeat_n(refused(code, message), *actions))
            }
        }
    }

    /// The same of a transaction in a block that was resolved with its leaves. Each is made when it is asked for.
    pub(super) fn in_block<'a>(
        &'a self,
        id: &TransactionId,
        block: &'a ResolvedBlock,
        transaction: usize,
    ) -> impl Iterator<Item = ItemOutcome> + Send + 'a {
        let transaction_id = id.to_string();
        let time = crate::time::rfc3339(i64::try_from(block.time).unwrap_or(i64::MAX));
        let marker_path = block.growth.path(block.growth.size() - 1);
        let outcomes = block.outcomes.get(transaction).map_or(&[][..], Vec::as_slice);
        let tell = move |outcome: &Outcome| match outcome {
            Outcome::Accepted {
                record, version, leaf, ..
            } => {
                let at = usize::try_from(leaf - block.first_leaf).unwrap_or(usize::MAX);
                let path = block.growth.path(*leaf);
                let receipt = Receipt::build(ReceiptParts {
                    network: &self.entry.id,
                    height: block.height,
                    record,
                    leaf: block.leaves.get(at).map_or(&[][..], Vec::as_slice),
                    index: *leaf,
                    path: &path,
                    note: &block.note,
                    marker: &block.marker,
                    marker_path: &marker_path,
                });
                ItemOutcome::Accepted(Recorded {
                    id: hex(record),
                    version: *version,
                    transaction: transaction_id.clone(),
                    height: block.height,
                    time: time.clone(),
                    leaf: *leaf,
                    signed_by: block.signed_by.clone(),
                    receipt: text(&receipt),
                })
            }
            Outcome::Rejected { .. } => rejected(outcome),
        };
        outcomes.iter().map(tell)
    }
}

/// A receipt file as text.
pub fn text(receipt: &Receipt) -> String {
    // The encoding is JSON of ASCII fields.
    String::from_utf8(receipt.encode()).unwrap_or_default()
}

/// A refusal by the ledger as an outcome. The ledger points into the statement; callers sent its input.
pub fn rejected(outcome: &Outcome) -> ItemOutcome {
    match outcome {
        Outcome::Rejected {
            code,
            message,
            pointer,
            record,
        } => ItemOutcome::Rejected {
            code: code.to_ascii_lowercase(),
            detail: message.clone(),
            pointer: pointer.strip_prefix("/input").unwrap_or(pointer).to_owned(),
            record: record.map(hex::encode),
            findings: Vec::new(),
        },
        Outcome::Accepted { .. } => refused("INTERNAL", "an accepted action was taken for a rejected one"),
    }
}

/// A refusal of a whole transaction as an outcome.
pub fn refused(code: &str, message: &str) -> ItemOutcome {
    ItemOutcome::Rejected {
        code: code.to_ascii_lowercase(),
        detail: message.to_owned(),
        pointer: String::new(),
        record: None,
        findings: Vec::new(),
    }
}
