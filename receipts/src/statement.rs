//! What a party signs: a statement for one action, or a header for a batch of items.
//!
//! Owns the two documents, the items and their strict reading. Whether an action is allowed is the executor's matter.
//! The signature is over exactly the canonical bytes, so reading accepts those bytes and no other spelling.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::encoding::{base64url_bytes, from_base64url_exact, hex_bytes, hex_option};
pub use crate::fields::FieldError;
use crate::fields::Fields;
use crate::jcs::{self, JcsError};
use crate::key::SignerKey;

/// `type` of a statement.
pub const STATEMENT_TYPE: &str = "muniment.dev/statement/v1";
/// `type` of a batch header.
pub const BATCH_TYPE: &str = "muniment.dev/batch/v1";
/// Largest statement, header or item, in bytes.
pub const MAX_STATEMENT: usize = 4 * 1024;
/// Most items in one batch.
pub const MAX_ITEMS: u32 = 1_000;
/// How far `validUntil` may lie after the block time: it bounds how long a transaction can be replayed.
pub const MAX_VALIDITY_MS: u64 = 600_000;

/// A statement, header or item can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Longer than [`MAX_STATEMENT`].
    #[error("{0} bytes; at most {MAX_STATEMENT} are allowed (send digests, not documents)")]
    TooLong(usize),
    /// Not canonical JSON.
    #[error("the signed text is not RFC 8785 canonical JSON")]
    Json(#[source] JcsError),
    /// A field is wrong.
    #[error("the signed text has a wrong field")]
    Field(#[source] FieldError),
}

impl From<FieldError> for StatementError {
    fn from(source: FieldError) -> Self {
        Self::Field(source)
    }
}

/// One action on a record. Fields stand in canonical order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// Action of the template.
    pub action: String,
    /// Its input, as the template's schema wants it. A relation to another record is part of it.
    pub input: Map<String, Value>,
    /// Network id.
    #[serde(with = "hex_bytes")]
    pub network: [u8; 32],
    /// 16 random bytes: make equal actions different statements.
    #[serde(with = "base64url_bytes")]
    pub nonce: [u8; 16],
    /// The record acted on; absent when the action creates it.
    #[serde(with = "hex_option", skip_serializing_if = "Option::is_none")]
    pub record: Option<[u8; 32]>,
    /// Revision of the template.
    pub revision: u32,
    /// Who signs.
    pub signer: SignerKey,
    /// Template name.
    pub template: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Milliseconds of block time up to which this may be executed.
    pub valid_until: u64,
}

/// What many actions of one signer have in common. Fields stand in canonical order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchHeader {
    /// Action of the template, the same for all items.
    pub action: String,
    /// Number of items, 1 to [`MAX_ITEMS`].
    pub items: u32,
    /// RFC 6962 root over the items' bytes.
    #[serde(with = "hex_bytes")]
    pub items_root: [u8; 32],
    /// Network id.
    #[serde(with = "hex_bytes")]
    pub network: [u8; 32],
    /// 16 random bytes.
    #[serde(with = "base64url_bytes")]
    pub nonce: [u8; 16],
    /// Revision of the template.
    pub revision: u32,
    /// Who signs.
    pub signer: SignerKey,
    /// Template name.
    pub template: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Milliseconds of block time up to which this may be executed.
    pub valid_until: u64,
}

/// One action of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Input of the action.
    pub input: Map<String, Value>,
    /// The record acted on; absent when the action creates it.
    #[serde(with = "hex_option", skip_serializing_if = "Option::is_none")]
    pub record: Option<[u8; 32]>,
}

/// What statement and header share, to make one from plain values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// Action of the template.
    pub action: String,
    /// Network id.
    pub network: [u8; 32],
    /// 16 random bytes.
    pub nonce: [u8; 16],
    /// Revision of the template.
    pub revision: u32,
    /// Who signs.
    pub signer: SignerKey,
    /// Template name.
    pub template: String,
    /// Milliseconds of block time up to which this may be executed.
    pub valid_until: u64,
}

impl Statement {
    /// A statement of one action.
    pub fn new(common: Common, input: Map<String, Value>, record: Option<[u8; 32]>) -> Self {
        let Common {
            action,
            network,
            nonce,
            revision,
            signer,
            template,
            valid_until,
        } = common;
        let kind = STATEMENT_TYPE;
        Self {
            action,
            input,
            network,
            nonce,
            record,
            revision,
            signer,
            template,
            kind,
            valid_until,
        }
    }

    /// The bytes to sign.
    ///
    /// # Errors
    /// When the input breaks a limit of [`jcs`] or the whole is too long.
    pub fn canonical(&self) -> Result<Vec<u8>, StatementError> {
        canonical(self)
    }

    /// Reads exactly canonical bytes.
    ///
    /// # Errors
    /// When they are too long, not canonical, or a field is missing, unknown or wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let mut fields = open(bytes)?;
        fields.constant("type", STATEMENT_TYPE)?;
        let input = fields.object("input")?;
        let record = record(&mut fields)?;
        let common = Common::take(&mut fields)?;
        fields.finish()?;
        Ok(Self::new(common, input, record))
    }
}

impl BatchHeader {
    /// A header over items with the given root ([`items_root`]).
    pub fn new(common: Common, items: u32, items_root: [u8; 32]) -> Self {
        let Common {
            action,
            network,
            nonce,
            revision,
            signer,
            template,
            valid_until,
        } = common;
        let kind = BATCH_TYPE;
        Self {
            action,
            items,
            items_root,
            network,
            nonce,
            revision,
            signer,
            template,
            kind,
            valid_until,
        }
    }

    /// The bytes to sign.
    ///
    /// # Errors
    /// When the whole is too long.
    pub fn canonical(&self) -> Result<Vec<u8>, StatementError> {
        canonical(self)
    }

    /// Reads exactly canonical bytes.
    ///
    /// # Errors
    /// When they are too long, not canonical, or a field is missing, unknown or wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let mut fields = open(bytes)?;
        fields.constant("type", BATCH_TYPE)?;
        let items = fields.small("items")?;
        if items == 0 || items > MAX_ITEMS {
            return Err(FieldError::Shape("items", "1 to 1000").into());
        }
        let items_root = fields.hash("itemsRoot")?;
        let common = Common::take(&mut fields)?;
        fields.finish()?;
        Ok(Self::new(common, items, items_root))
    }
}

impl Item {
    /// Canonical bytes; the header's `itemsRoot` commits to them.
    ///
    /// # Errors
    /// When the input breaks a limit of [`jcs`] or the whole is too long.
    pub fn canonical(&self) -> Result<Vec<u8>, StatementError> {
        canonical(self)
    }

    /// Reads exactly canonical bytes.
    ///
    /// # Errors
    /// When they are too long, not canonical, or a field is missing, unknown or wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let mut fields = open(bytes)?;
        let input = fields.object("input")?;
        let record = record(&mut fields)?;
        fields.finish()?;
        Ok(Self { input, record })
    }
}

impl Common {
    fn take(fields: &mut Fields) -> Result<Self, FieldError> {
        Ok(Self {
            action: fields.text("action")?,
            network: fields.hash("network")?,
            nonce: fields.read("nonce", "16 bytes of base64url without padding", from_base64url_exact)?,
            revision: fields.small("revision")?,
            signer: fields.read("signer", "a signer key, `ed25519:…` or `p256:…`", |text| {
                text.parse().ok()
            })?,
            template: fields.text("template")?,
            valid_until: fields.integer("validUntil")?,
        })
    }
}

/// RFC 6962 root over the bytes of the items of a batch.
pub fn items_root<T: AsRef<[u8]>>(items: &[T]) -> [u8; 32] {
    crate::merkle::root(&item_hashes(items))
}

/// RFC 6962 leaf hashes of the items of a batch, of which [`items_root`] is the root.
pub fn item_hashes<T: AsRef<[u8]>>(items: &[T]) -> Vec<[u8; 32]> {
    let hash = |item: &T| crate::merkle::leaf_hash(item.as_ref());
    items.iter().map(hash).collect()
}

fn open(bytes: &[u8]) -> Result<Fields, StatementError> {
    if bytes.len() > MAX_STATEMENT {
        return Err(StatementError::TooLong(bytes.len()));
    }
    Ok(Fields::new(jcs::parse(bytes).map_err(StatementError::Json)?)?)
}

fn record(fields: &mut Fields) -> Result<Option<[u8; 32]>, FieldError> {
    if fields.has("record") {
        fields.hash("record").map(Some)
    } else {
        Ok(None)
    }
}

fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, StatementError> {
    let bytes = jcs::to_vec(value).map_err(StatementError::Json)?;
    if bytes.len() > MAX_STATEMENT {
        Err(StatementError::TooLong(bytes.len()))
    } else {
        Ok(bytes)
    }
}
