//! The executor: folds a block into the state. The same state and block give the same result on every validator.
//!
//! Owns what a transaction may do and in which order that is judged. Reads state through a view, writes nothing, reads
//! no clock: time is the block's. Each action is accepted or rejected by itself, with a stable code; a rejected action
//! changes nothing. A transaction whose form or signature is bad never gets here ([`admission`]): a block that holds
//! one is invalid.
//!
//! | code | meaning |
//! |---|---|
//! | `REPLAYED` | the transaction was decided before |
//! | `WRONG_NETWORK` | signed for another network |
//! | `EXPIRED`, `VALIDITY_TOO_LONG` | `validUntil` lies before the block time, or more than ten minutes after it |
//! | `NOT_A_MEMBER` | the signer isn't a member |
//! | `UNKNOWN_TEMPLATE`, `WRONG_REVISION`, `UNKNOWN_ACTION` | as it says |
//! | `MALFORMED` | an item isn't canonical JSON, or names a record where it must not (or none where it must) |
//! | `UNKNOWN_FIELD`, `INVALID_INPUT` | the input breaks the action's schema at `pointer` |
//! | `NO_SUCH_RECORD` | the record, or one referred to, isn't there, or belongs to another template |
//! | `SAME_RECORD` | a record that would be changed is named twice |
//! | `NOT_ALLOWED` | the signer has none of the roles in `by` |
//! | `WRONG_STATE` | a region of a record is in another state than `from` wants |
//! | `NOT_DUE` | the block time isn't above a deadline |
//! | `RULE_UNDEFINED` | an expression has no value for this input |
//! | `OVERFLOW` | an expression's value would leave 64 bits, or the bounds of a value |
//! | `RESULT_INVALID` | a computed value doesn't fit its field |
//! | `DUPLICATE` | the record or a unique key is there already; `record` names the earlier one |
//! | of `governance` | governance actions, see there |
//! | any other | the code of a template's rule or unique key, or of a native check, that doesn't hold |

mod action;
pub mod governance;
mod held;
mod overlay;
mod prepare;
mod reject;

use std::collections::HashSet;
use std::sync::Arc;

use muniment_receipts::leaf;
use muniment_receipts::statement::Common;
use serde_json::{Value, json};

pub use prepare::{MAX_TRANSACTION, Params, Prepared, Refusal, admissible, admission};

use self::action::{Act, Done};
use self::governance::Govern;
use self::overlay::{InForce, Overlay};
use self::prepare::Part;
use self::reject::Reject;
use crate::block::{Hash, Header};
use crate::state::{Changes, StateError, StateRead};
use crate::transaction::{Transaction, TransactionId};
use crate::wire::Outcome;

/// The block can't be executed: not a judgement on the block, the node must not go on.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The store failed, or holds what this version can't read.
    #[error("the state can't be read or written while executing a block")]
    State(#[from] StateError),
    /// A template in force doesn't compile: it did when it was published.
    #[error("template `{name}` revision {revision} in the state can't be used")]
    Template {
        /// Name.
        name: String,
        /// Revision.
        revision: u32,
        /// Why.
        #[source]
        source: crate::template::TemplateError,
    },
}

/// What a block does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Execution {
    /// For each transaction, an outcome per action.
    pub outcomes: Vec<Vec<Outcome>>,
    /// Leaves of the accepted actions in order; the block's marker leaf follows them.
    pub leaves: Vec<Vec<u8>>,
    /// State writes.
    pub changes: Changes,
    /// A step per record that an accepted action changed, in leaf order.
    pub history: Vec<HistoryStep>,
    /// Template and id of each new record.
    pub created: Vec<(String, Hash)>,
    /// Ids that count as decided from now on.
    pub transactions: Vec<TransactionId>,
}

/// One step in a record's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryStep {
    /// Record id.
    pub record: Hash,
    /// Record version after the step.
    pub version: u32,
    /// Action name.
    pub action: String,
    /// Signer key.
    pub signer: String,
    /// Log index of the leaf.
    pub leaf: u64,
}

/// Executes the transactions of a block on the state of its parent.
///
/// # Errors
/// Only when the state can't be read: every judgement on transactions is an [`Outcome`].
pub fn execute(
    view: &dyn StateRead,
    header: &Header,
    transactions: &[Arc<Prepared>],
    params: &Params,
) -> Result<Execution, ExecuteError> {
    let block = json!({ "height": header.height, "time": header.time });
    let mut run = Run {
        overlay: Overlay::new(view),
        header,
        params,
        block: &block,
        decided: HashSet::with_capacity(transactions.len()),
        accepted: 0,
        execution: Execution::default(),
    };
    for transaction in transactions {
        run.transaction(transaction)?;
    }
    run.execution.changes = run.overlay.into_changes();
    Ok(run.execution)
}

/// Rebuilds the action leaves of an executed block from its transactions and outcomes.
pub fn leaves(transactions: &[Transaction], outcomes: &[Vec<Outcome>]) -> Vec<Vec<u8>> {
    transactions
        .iter()
        .zip(outcomes)
        .flat_map(|(transaction, outcomes)| leaves_of(transaction, None, outcomes))
        .collect()
}

/// `hashes` are those of a batch's items, if they are known.
fn leaves_of(transaction: &Transaction, hashes: Option<&[Hash]>, outcomes: &[Outcome]) -> Vec<Vec<u8>> {
    let accepted: Vec<_> = (0u32..)
        .zip(outcomes)
        .filter_map(|(index, outcome)| match outcome {
            Outcome::Accepted {
                record, version, also, ..
            } => Some((
                index,
                leaf::Outcome {
                    record: *record,
                    version: *version,
                    also: also.clone(),
                },
            )),
            Outcome::Rejected { .. } => None,
        })
        .collect();
    if accepted.is_empty() {
        return Vec::new();
    }
    match transaction {
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
        } => match hashes {
            Some(hashes) => leaf::hashed_items(header, signature, items, hashes, &accepted),
            None => leaf::batch_items(header, signature, items, &accepted),
        },
    }
}

fn all(prepared: &Prepared, reject: &Reject) -> Vec<Outcome> {
    prepared.parts.iter().map(|_| reject.clone().into()).collect()
}

struct Run<'a> {
    overlay: Overlay<'a>,
    header: &'a Header,
    params: &'a Params,
    block: &'a Value,
    decided: HashSet<TransactionId>,
    /// Actions accepted so far, a leaf each.
    accepted: u64,
    execution: Execution,
}

impl Run<'_> {
    fn transaction(&mut self, prepared: &Prepared) -> Result<(), ExecuteError> {
        let outcomes = match self.valid(prepared)? {
            Ok(()) if prepared.common.template == governance::TEMPLATE => self.govern(prepared)?,
            Ok(()) => match self.overlay.in_force(&prepared.common, &prepared.signer)? {
                Ok(in_force) => self.actions(prepared, &in_force)?,
                Err(reject) => all(prepared, &reject),
            },
            Err(reject) => all(prepared, &reject),
        };
        self.execution
            .leaves
            .extend(leaves_of(&prepared.transaction, Some(&prepared.item_hashes), &outcomes));
        self.execution.outcomes.push(outcomes);
        Ok(())
    }

    /// What must hold for the transaction as a whole, whatever it is about.
    fn valid(&mut self, prepared: &Prepared) -> Result<Result<(), Reject>, ExecuteError> {
        if !self.decided.insert(prepared.id) || self.overlay.seen(&prepared.id)? {
            return Ok(Err(Reject::replayed()));
        }
        self.execution.transactions.push(prepared.id);
        if prepared.common.network != self.params.network {
            return Ok(Err(Reject::wrong_network()));
        }
        Ok(reject::validity(prepared.common.valid_until, self.header.time))
    }

    /// Governance actions: what one decides is in force for the next.
    fn govern(&mut self, prepared: &Prepared) -> Result<Vec<Outcome>, ExecuteError> {
        let (common, signer) = (&prepared.common, prepared.signer.as_str());
        if let Err(reject) = governance::judge(&mut self.overlay, common, signer)? {
            return Ok(all(prepared, &reject));
        }
        let mut outcomes = Vec::with_capacity(prepared.parts.len());
        for (index, part) in (0u32..).zip(&prepared.parts) {
            let action = Govern {
                common,
                signer,
                header: self.header,
                index,
                leaf: self.next_leaf(),
                attachment: prepared.transaction.attachment(),
            };
            let done = match part {
                Part::Read { input, record } => action.run(&mut self.overlay, input, record.as_ref())?,
                Part::Unreadable(message) => Err(Reject::malformed(message.clone(), "")),
            };
            outcomes.push(match done {
                Ok(done) => {
                    let outcome = self.accept(done, common, signer);
                    self.overlay.forget();
                    outcome
                }
                Err(reject) => reject.into(),
            });
        }
        Ok(outcomes)
    }

    fn next_leaf(&self) -> u64 {
        self.header.parent_log_size + self.accepted
    }

    fn actions(&mut self, prepared: &Prepared, in_force: &InForce) -> Result<Vec<Outcome>, ExecuteError> {
        let common = &prepared.common;
        let act = Act {
            in_force,
            signer: &prepared.signer,
            header: self.header,
            block: self.block,
            tx: json!({
                "nonce": muniment_receipts::encoding::base64url(common.nonce),
                "signer": prepared.signer,
                "validUntil": common.valid_until,
            }),
        };
        let mut outcomes = Vec::with_capacity(prepared.parts.len());
        for part in &prepared.parts {
            let done = match part {
                Part::Read { input, record } => act.run(&mut self.overlay, input, record.as_ref())?,
                Part::Unreadable(message) => Err(Reject::malformed(message.clone(), "")),
            };
            outcomes.push(match done {
                Ok(done) => self.accept(done, common, &prepared.signer),
                Err(reject) => reject.into(),
            });
        }
        Ok(outcomes)
    }

    fn accept(&mut self, done: Done, common: &Common, signer: &str) -> Outcome {
        let Done {
            record,
            version,
            also,
            writes,
        } = done;
        self.overlay.write(writes);
        let leaf = self.next_leaf();
        self.accepted += 1;
        if version == 1 {
            self.execution.created.push((common.template.clone(), record));
        }
        let changed = std::iter::once((record, version)).chain(also.iter().copied());
        self.execution
            .history
            .extend(changed.map(|(record, version)| HistoryStep {
                record,
                version,
                action: common.action.clone(),
                signer: signer.to_owned(),
                leaf,
            }));
        Outcome::Accepted {
            record,
            version,
            leaf,
            also,
        }
    }
}
