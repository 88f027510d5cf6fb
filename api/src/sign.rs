//! Makes signed transactions: with a key that is kept here, or from what a party signed itself.
//!
//! Owns the check of a ready-signed transaction before it is accepted. The private key stays in the provider.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use muniment_ledger::transaction::{MAX_BATCH, MAX_STATEMENT, Transaction};
use muniment_receipts::chain;
use muniment_receipts::key::SignerKey;
use muniment_receipts::statement::{BatchHeader, Common, Item, MAX_VALIDITY_MS, Statement, StatementError, items_root};
use serde_json::Value;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::time::Duration;

use crate::body;
use crate::keys::{KeyProvider, Owner, Purpose, random};
use crate::problem::{ApiError, Code};

/// How long a statement of ours may be executed: well inside the ledger's bound, so that clocks may differ.
pub const VALIDITY: Duration = Duration::from_secs(300);

/// A transaction with what the checks learned about it.
pub struct Signed {
    /// As it goes to the ledger.
    pub transaction: Transaction,
    /// Block time up to which it may be executed, milliseconds.
    pub valid_until: i64,
}

/// Which action of which template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Template.
    pub template: Cow<'static, str>,
    /// Action of it.
    pub action: Cow<'static, str>,
    /// Revision of the template.
    pub revision: u32,
}

/// Signs with an owner's key for a network.
pub struct StatementSigner<'a> {
    /// Custody.
    pub keys: &'a dyn KeyProvider,
    /// Whose key.
    pub owner: &'a Owner,
    /// Network id.
    pub network: [u8; 32],
    /// How long the statements may be executed.
    pub validity: Duration,
}

impl StatementSigner<'_> {
    /// A single action.
    ///
    /// # Errors
    /// When it doesn't fit a statement, or the key can't be used.
    pub async fn single(&self, kind: &Kind, item: Item) -> Result<Signed, ApiError> {
        let (common, valid_until) = self.common(&kind.template, &kind.action, kind.revision).await?;
        let statement = Statement::new(common, item.input, item.record).canonical();
        let statement = statement.map_err(|error| unfit(&error))?;
        let signature = self.sign(&statement).await?;
        Ok(Signed {
            transaction: Transaction::Single { statement, signature },
            valid_until,
        })
    }

    /// A single action with something beside its statement, which names its SHA-256.
    ///
    /// # Errors
    /// As [`Self::single`].
    pub async fn attached(&self, kind: &Kind, item: Item, attachment: Vec<u8>) -> Result<Signed, ApiError> {
        let signed = self.single(kind, item).await?;
        let (statement, signature) = (
            signed.transaction.signed_bytes().to_vec(),
            *signed.transaction.signature(),
        );
        Ok(Signed {
            transaction: Transaction::Attached {
                statement,
                signature,
                attachment,
            },
            ..signed
        })
    }

    /// A batch of actions, as item bytes.
    ///
    /// # Errors
    /// When the key can't be used.
    pub async fn batch(&self, kind: &Kind, items: Vec<Vec<u8>>) -> Result<Signed, ApiError> {
        let (common, valid_until) = self.common(&kind.template, &kind.action, kind.revision).await?;
        let count = u32::try_from(items.len()).map_err(ApiError::internal)?;
        let header = BatchHeader::new(common, count, items_root(&items)).canonical();
        let header = header.map_err(|error| unfit(&error))?;
        let signature = self.sign(&header).await?;
        Ok(Signed {
            transaction: Transaction::Batch {
                header,
                signature,
                items,
            },
            valid_until,
        })
    }

    /// The same actions as an expired transaction of ours, under a new nonce and time.
    ///
    /// # Errors
    /// When the key can't be used.
    pub async fn again(&self, old: &Transaction) -> Result<Signed, ApiError> {
        match old {
            Transaction::Single { statement, .. } => {
                let old = Statement::parse(statement).map_err(ApiError::internal)?;
                let (common, valid_until) = self.common(&old.template, &old.action, old.revision).await?;
                let statement = Statement::new(common, old.input, old.record).canonical();
                let statement = statement.map_err(|error| unfit(&error))?;
                let signature = self.sign(&statement).await?;
                Ok(Signed {
                    transaction: Transaction::Single { statement, signature },
                    valid_until,
                })
            }
            Transaction::Attached {
                statement, attachment, ..
            } => {
                let old = Statement::parse(statement).map_err(ApiError::internal)?;
                let (common, valid_until) = self.common(&old.template, &old.action, old.revision).await?;
                let statement = Statement::new(common, old.input, old.record).canonical();
                let statement = statement.map_err(|error| unfit(&error))?;
                let signature = self.sign(&statement).await?;
                let attachment = attachment.clone();
                Ok(Signed {
                    transaction: Transaction::Attached {
                        statement,
                        signature,
                        attachment,
                    },
                    valid_until,
                })
            }
            Transaction::Batch { header, items, .. } => {
                let old = BatchHeader::parse(header).map_err(ApiError::internal)?;
                let (common, valid_until) = self.common(&old.template, &old.action, old.revision).await?;
                let header = BatchHeader::new(common, old.items, old.items_root).canonical();
                let header = header.map_err(|error| unfit(&error))?;
                let signature = self.sign(&header).await?;
                let items = items.clone();
                Ok(Signed {
                    transaction: Transaction::Batch {
                        header,
                        signature,
                        items,
                    },
                    valid_until,
                })
            }
        }
    }

    async fn common(&self, template: &str, action: &str, revision: u32) -> Result<(Common, i64), ApiError> {
        let signer = self
            .keys
            .ensure(self.owner, Purpose::Statement)
            .await
            .map_err(ApiError::internal)?;
        let until = crate::time::now_ms() + i64::try_from(self.validity.as_millis()).unwrap_or(0);
        let common = Common {
            action: action.to_owned(),
            network: self.network,
            nonce: random().map_err(ApiError::internal)?,
            revision,
            signer,
            template: template.to_owned(),
            valid_until: u64::try_from(until).map_err(ApiError::internal)?,
        };
        Ok((common, until))
    }

    async fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], ApiError> {
        self.keys
            .sign(self.owner, Purpose::Statement, bytes)
            .await
            .map_err(ApiError::internal)
    }
}

/// Bytes of one action as an item of a batch.
///
/// # Errors
/// When it doesn't fit.
pub fn item(item: &Item) -> Result<Vec<u8>, ApiError> {
    item.canonical().map_err(|error| unfit(&error))
}

/// Who signed a transaction; none when it can't be read.
pub fn signer_of(transaction: &Transaction) -> Option<SignerKey> {
    match transaction {
        Transaction::Single { statement, .. } | Transaction::Attached { statement, .. } => {
            Some(Statement::parse(statement).ok()?.signer)
        }
        Transaction::Batch { header, .. } => Some(BatchHeader::parse(header).ok()?.signer),
    }
}

fn unfit(error: &StatementError) -> ApiError {
    ApiError::new(Code::INVALID_FIELD, reason("it doesn't fit a statement", error)).at("")
}

/// Reads and checks a ready-signed transaction: form, network, items and signature. Not whether it has expired: an
/// expired one that is on the ledger already has its first answer.
///
/// # Errors
/// 422 with a pointer.
pub fn ready(value: &Value, network: &[u8; 32]) -> Result<Signed, ApiError> {
    let map = body::object(value, "", &["statement", "signature", "items"])?;
    let text = body::text(map, "statement", "")?;
    if text.len() > MAX_STATEMENT {
        let detail = format!(
            "the statement has {} bytes; at most {MAX_STATEMENT} are allowed",
            text.len()
        );
        return Err(ApiError::new(Code::MALFORMED_STATEMENT, detail).at("/statement"));
    }
    let signature = signature(body::text(map, "signature", "")?)?;
    let (signer, of, valid_until, transaction) = match map.get("items").filter(|items| !items.is_null()) {
        None => {
            let statement = Statement::parse(text.as_bytes()).map_err(|error| malformed(&error, "/statement"))?;
            let bytes = text.as_bytes().to_vec();
            let transaction = Transaction::Single {
                statement: bytes,
                signature,
            };
            (statement.signer, statement.network, statement.valid_until, transaction)
        }
        Some(_) => {
            let header = BatchHeader::parse(text.as_bytes()).map_err(|error| malformed(&error, "/statement"))?;
            let items = items(body::array(map, "items", "")?, &header)?;
            let bytes = text.as_bytes().to_vec();
            let transaction = Transaction::Batch {
                header: bytes,
                signature,
                items,
            };
            (header.signer, header.network, header.valid_until, transaction)
        }
    };
    if &of != network {
        let detail = format!(
            "the statement names network {}, this is {}",
            hex::encode(of),
            hex::encode(network)
        );
        return Err(ApiError::new(Code::WRONG_NETWORK, detail).at("/statement"));
    }
    check_signature(&signer, &transaction)?;
    Ok(Signed {
        transaction,
        valid_until: i64::try_from(valid_until).unwrap_or(i64::MAX),
    })
}

/// Whether a statement may still be executed, by our clock; the ledger's block time decides in the end.
///
/// # Errors
/// 422 `expired`, or `malformed_statement` when it lies too far ahead.
pub fn check_time(valid_until: i64) -> Result<(), ApiError> {
    let now = crate::time::now_ms();
    if valid_until <= now {
        let detail = format!(
            "the statement was valid until {}; sign it again with a later validUntil (at most 10 min ahead) and a new nonce",
            crate::time::rfc3339(valid_until)
        );
        return Err(ApiError::new(Code::EXPIRED, detail).at("/statement"));
    }
    let most = i64::try_from(MAX_VALIDITY_MS).unwrap_or(i64::MAX);
    if valid_until > now.saturating_add(most) {
        let detail = "validUntil lies more than 10 minutes ahead, which the ledger doesn't take; choose an earlier one";
        return Err(ApiError::new(Code::MALFORMED_STATEMENT, detail).at("/statement"));
    }
    Ok(())
}

fn signature(text: &str) -> Result<[u8; 64], ApiError> {
    let bytes = STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    bytes.ok_or_else(|| {
        ApiError::new(
            Code::BAD_SIGNATURE,
            "`signature` must be standard base64 of exactly 64 bytes",
        )
        .at("/signature")
    })
}

fn items(values: &[Value], header: &BatchHeader) -> Result<Vec<Vec<u8>>, ApiError> {
    if values.is_empty() {
        return Err(ApiError::new(Code::EMPTY_BATCH, "a batch holds 1 to 1000 items").at("/items"));
    }
    if values.len() > MAX_BATCH {
        return Err(batch_too_large(values.len()));
    }
    let mut items = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let at = format!("/items/{index}");
        let Value::String(text) = value else {
            return Err(ApiError::new(Code::INVALID_FIELD, "an item must be its exact JSON text as a string").at(at));
        };
        Item::parse(text.as_bytes()).map_err(|error| malformed(&error, &at))?;
        items.push(text.as_bytes().to_vec());
    }
    if header.items as usize != items.len() || header.items_root != items_root(&items) {
        let detail = "`items` and `itemsRoot` of the signed header don't match these items; compute the RFC 6962 root \
                      over their exact bytes, in this order";
        return Err(ApiError::new(Code::MALFORMED_STATEMENT, detail).at("/items"));
    }
    Ok(items)
}

/// The refusal of a batch over the limit.
pub fn batch_too_large(items: usize) -> ApiError {
    let detail = format!("the batch has {items} items; send at most {MAX_BATCH} in one request");
    ApiError::new(Code::BATCH_TOO_LARGE, detail).at("/items")
}

fn check_signature(signer: &SignerKey, transaction: &Transaction) -> Result<(), ApiError> {
    signer.verify(transaction.signed_bytes(), transaction.signature()).map_err(|_| {
        let detail = format!(
            "the signature doesn't hold for these exact bytes and {signer}; sign the UTF-8 bytes of `statement` as sent \
             (Ed25519, or P-256 with low s)"
        );
        ApiError::new(Code::BAD_SIGNATURE, detail).at("/signature")
    })
}

fn malformed(error: &StatementError, at: &str) -> ApiError {
    ApiError::new(Code::MALFORMED_STATEMENT, reason("", error)).at(at)
}

/// An error with its causes in one line.
fn reason(what: &str, error: &dyn StdError) -> String {
    if what.is_empty() {
        chain(error)
    } else {
        format!("{what}: {}", chain(error))
    }
}
