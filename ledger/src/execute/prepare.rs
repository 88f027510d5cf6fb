//! Taking a transaction apart, once: everything about it that needs no state.
//!
//! Owns size limits, strict parsing, the batch root and the signature. A [`Prepared`] exists only for transactions that
//! passed; it belongs to the whole transaction, signature bytes included.

use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

use muniment_receipts::chain;
use muniment_receipts::key::{KeyError, PreparedKey, SignerKey};
use muniment_receipts::merkle;
use muniment_receipts::statement::{BatchHeader, Common, Item, MAX_STATEMENT, Statement, StatementError, item_hashes};
use serde_json::Value;

use super::overlay::Overlay;
use super::{ExecuteError, governance, reject};
use crate::block::Hash;
use crate::state::StateRead;
use crate::transaction::{MAX_BATCH, Transaction, TransactionId};
use crate::wire::UNREADABLE;

/// Bytes of the largest possible transaction.
pub const MAX_TRANSACTION: usize = MAX_BATCH * (MAX_STATEMENT + 4) + MAX_STATEMENT + 73;
/// Most unpacked signer keys kept at hand.
const MAX_KEYS: usize = 4_096;

/// What transactions are checked against, constant for a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Network id.
    pub network: Hash,
}

/// A transaction that will not be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Stable code.
    pub code: &'static str,
    /// What is wrong and how to mend it.
    pub message: String,
}

/// A transaction that was taken apart, and whose signature holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Prepared {
    pub(super) transaction: Transaction,
    pub(super) id: TransactionId,
    pub(super) common: Common,
    pub(super) signer: String,
    pub(super) parts: Vec<Part>,
    /// Of the items of a batch; empty when it is none.
    pub(super) item_hashes: Vec<Hash>,
}

/// One action of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Canonical.
    Read { input: Value, record: Option<Hash> },
    /// Not canonical: this item is rejected, the others of its batch aren't.
    Unreadable(String),
}

impl Prepared {
    /// The transaction as it came.
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// Its identity.
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// Key text of its signer.
    pub fn signer(&self) -> &str {
        &self.signer
    }

    /// Block time in milliseconds after which it can't be executed.
    pub fn valid_until(&self) -> u64 {
        self.common.valid_until
    }
}

/// Judges a transaction by itself: form, limits, network, batch root and signature.
///
/// # Errors
/// `MALFORMED`, `TOO_LARGE`, `BAD_BATCH`, `BAD_ATTACHMENT`, `WRONG_NETWORK` or `BAD_SIGNATURE`.
pub fn admission(transaction: Transaction, params: &Params) -> Result<Prepared, Refusal> {
    let (common, parts, item_hashes) = match &transaction {
        Transaction::Single { statement, .. } | Transaction::Attached { statement, .. } => {
            let statement = Statement::parse(statement).map_err(malformed)?;
            let (common, input, record) = split(statement);
            governance::admit(&common, &input, transaction.attachment())?;
            (
                common,
                vec![Part::Read {
                    input: Value::Object(input),
                    record,
                }],
                Vec::new(),
            )
        }
        Transaction::Batch { header, items, .. } => batch(header, items)?,
    };
    if common.network != params.network {
        let message = format!(
            "signed for network {}, this is {}",
            hex::encode(common.network),
            hex::encode(params.network)
        );
        return Err(Refusal {
            code: "WRONG_NETWORK",
            message,
        });
    }
    verify(&common.signer, transaction.signed_bytes(), transaction.signature()).map_err(|error| Refusal {
        code: "BAD_SIGNATURE",
        message: format!("the signature does not hold: {error}; sign exactly the canonical bytes"),
    })?;
    let (id, signer) = (transaction.id(), common.signer.to_string());
    Ok(Prepared {
        transaction,
        id,
        common,
        signer,
        parts,
        item_hashes,
    })
}

fn split(s: Statement) -> (Common, serde_json::Map<String, Value>, Option<Hash>) {
    let common = Common {
        action: s.action,
        network: s.network,
        nonce: s.nonce,
        revision: s.revision,
        signer: s.signer,
        template: s.template,
        valid_until: s.valid_until,
    };
    (common, s.input, s.record)
}

fn batch(header: &[u8], items: &[Vec<u8>]) -> Result<(Common, Vec<Part>, Vec<Hash>), Refusal> {
    let header = BatchHeader::parse(header).map_err(malformed)?;
    if items.is_empty() || items.len() > MAX_BATCH || items.len() != header.items as usize {
        let message = format!(
            "{} items came, the header says {}; a batch has 1 to {MAX_BATCH}",
            items.len(),
            header.items
        );
        return Err(Refusal {
            code: "BAD_BATCH",
            message,
        });
    }
    if let Some(item) = items.iter().find(|item| item.len() > MAX_STATEMENT) {
        return Err(malformed(StatementError::TooLong(item.len())));
    }
    let hashes = item_hashes(items);
    if merkle::root(&hashes) != header.items_root {
        let message = "the items are not those whose itemsRoot was signed".to_owned();
        return Err(Refusal {
            code: "BAD_BATCH",
            message,
        });
    }
    let h = header;
    let common = Common {
        action: h.action,
        network: h.network,
        nonce: h.nonce,
        revision: h.revision,
        signer: h.signer,
        template: h.template,
        valid_until: h.valid_until,
    };
    governance::admit(&common, &serde_json::Map::new(), None)?;
    let parts = items.iter().map(|item| match Item::parse(item) {
        Ok(item) => Part::Read {
            input: Value::Object(item.input),
            record: item.record,
        },
        Err(error) => Part::Unreadable(chain(&error)),
    });
    Ok((common, parts.collect(), hashes))
}

fn malformed(error: StatementError) -> Refusal {
    let code = if matches!(error, StatementError::TooLong(_)) {
        "TOO_LARGE"
    } else {
        "MALFORMED"
    };
    Refusal {
        code,
        message: chain(&error),
    }
}

/// Unpacking a key costs a tenth of a check, and few parties sign much.
fn verify(signer: &SignerKey, message: &[u8], signature: &[u8; 64]) -> Result<(), KeyError> {
    static KEYS: LazyLock<RwLock<HashMap<SignerKey, PreparedKey>>> = LazyLock::new(RwLock::default);
    if let Some(key) = KEYS.read().unwrap_or_else(PoisonError::into_inner).get(signer) {
        return key.verify(message, signature);
    }
    let key = signer.prepare()?;
    key.verify(message, signature)?;
    // Only keys that made a good signature are kept, so that nobody can fill this with garbage.
    let mut keys = KEYS.write().unwrap_or_else(PoisonError::into_inner);
    if keys.len() >= MAX_KEYS {
        keys.clear();
    }
    keys.insert(*signer, key);
    Ok(())
}

/// Judges a prepared transaction by the present state, so that what can't succeed isn't ordered: membership, template,
/// revision, action, expiry. `time` is a lower bound of the next block's time, milliseconds. The executor judges again.
///
/// # Errors
/// The refusal, or [`UNREADABLE`] when the state can't be read.
pub fn admissible(prepared: &Prepared, view: &dyn StateRead, time: u64) -> Result<(), Refusal> {
    let until = prepared.common.valid_until;
    // How far it may lie ahead is left to the executor: an idle network's last block time may be long ago.
    if time > until {
        reject::validity(until, time).map_err(Refusal::from)?;
    }
    let (overlay, common, signer) = (&mut Overlay::new(view), &prepared.common, &prepared.signer);
    let judged = if common.template == governance::TEMPLATE {
        governance::judge(overlay, common, signer)
    } else {
        overlay.in_force(common, signer).map(|judged| judged.map(drop))
    };
    match judged {
        Ok(judged) => judged.map_err(Refusal::from),
        Err(error) => Err(unreadable(&error)),
    }
}

fn unreadable(error: &ExecuteError) -> Refusal {
    Refusal {
        code: UNREADABLE,
        message: chain(error),
    }
}

impl From<reject::Reject> for Refusal {
    fn from(reject: reject::Reject) -> Self {
        let code = match reject.code {
            std::borrow::Cow::Borrowed(code) => code,
            std::borrow::Cow::Owned(_) => "REFUSED",
        };
        Self {
            code,
            message: reject.message,
        }
    }
}
