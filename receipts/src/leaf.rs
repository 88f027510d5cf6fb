//! Leaves of the log: what an accepted action, and what a block, leaves behind for good.
//!
//! A leaf is text, each line closed by a newline; canonical JSON has no raw newline, so lines can't run into each
//! other.
//!
//! | leaf | lines |
//! |---|---|
//! | single action | `muniment.dev/leaf/v1`, outcome, statement, signature |
//! | item of a batch | `muniment.dev/leaf/v1`, outcome, item, header, index, path, signature |
//! | block marker | `muniment.dev/block/v1`, marker |
//!
//! *Outcome* is the record id in hex, a space, and the version that the action made (decimal, from 1): the validators
//! say by the leaf which record it became, which the statement alone can't. Where the action changed more records, each
//! follows in the same form after a space, in the order in which the template names them. *Signature* is standard base64 of 64
//! bytes; *path* is the item's audit path in the batch, base64 hashes joined by spaces, empty for a batch of one.

use serde::{Deserialize, Serialize};

use crate::encoding::{base64_into, from_base64_exact, from_decimal, from_hex_exact, hex_bytes};
use crate::jcs::{self, JcsError};
use crate::merkle::{self, Frontier, Hash};
use crate::statement::{self, BatchHeader, Common, Item, Statement, StatementError};

/// First line of the leaf of an action.
pub const LEAF_TYPE: &str = "muniment.dev/leaf/v1";
/// First line of a block marker.
pub const BLOCK_TYPE: &str = "muniment.dev/block/v1";

/// A leaf can't be read, or does not hold.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// Not one of the three forms.
    #[error("not a leaf: {0}")]
    Form(&'static str),
    /// The statement, header or item is not valid.
    #[error("the leaf's statement is not valid")]
    Statement(#[source] StatementError),
    /// The marker is not canonical or has wrong fields.
    #[error("the block marker is not valid")]
    Marker(#[source] JcsError),
    /// The item is not among those the header commits to.
    #[error("the item is not part of the signed batch")]
    Item(#[source] merkle::ProofError),
}

/// What an action led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Record id.
    pub record: Hash,
    /// Version of the record after the action, from 1.
    pub version: u32,
    /// Records beside the first that it changed, each once, with their versions after it.
    pub also: Vec<(Hash, u32)>,
}

impl Outcome {
    /// Version that the action gave a record; none when it didn't change it.
    pub fn version_of(&self, record: &Hash) -> Option<u32> {
        let mut all = std::iter::once((&self.record, self.version)).chain(self.also.iter().map(|(id, v)| (id, *v)));
        all.find(|(id, _)| *id == record).map(|(_, version)| version)
    }
}

/// The last leaf of each block. Fields stand in canonical order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Marker {
    /// Hash of the block header.
    #[serde(with = "hex_bytes")]
    pub block: Hash,
    /// Height, from 1.
    pub height: u64,
    /// Network id.
    #[serde(with = "hex_bytes")]
    pub network: Hash,
    /// Hash of the validator set that decides the next block.
    #[serde(with = "hex_bytes")]
    pub next_validators: Hash,
    /// State root after the block.
    #[serde(with = "hex_bytes")]
    pub state_root: Hash,
    /// Block time in milliseconds since the Unix epoch.
    pub time: u64,
    /// Hash of the validator set that decided this block, and cosigns its checkpoint.
    #[serde(with = "hex_bytes")]
    pub validators: Hash,
}

/// Leaf bytes of a single action.
pub fn single(statement: &[u8], signature: &[u8; 64], outcome: &Outcome) -> Vec<u8> {
    let mut out = Vec::with_capacity(statement.len() + 192);
    head(outcome, &mut out);
    line(statement, &mut out);
    close(signature, &mut out);
    out
}

/// Leaf bytes of the accepted items of a batch, given as (position in the batch, outcome). `items` are all items.
pub fn batch_items<T: AsRef<[u8]>>(
    header: &[u8],
    signature: &[u8; 64],
    items: &[T],
    accepted: &[(u32, Outcome)],
) -> Vec<Vec<u8>> {
    hashed_items(header, signature, items, &statement::item_hashes(items), accepted)
}

/// As [`batch_items`], with what [`statement::item_hashes`] gives of the items; paths of other hashes prove nothing.
pub fn hashed_items<T: AsRef<[u8]>>(
    header: &[u8],
    signature: &[u8; 64],
    items: &[T],
    hashes: &[Hash],
    accepted: &[(u32, Outcome)],
) -> Vec<Vec<u8>> {
    let tree = Frontier::new().extension(hashes);
    let leaf = |(index, outcome): &(u32, Outcome)| {
        let item = items.get(*index as usize)?.as_ref();
        let path = tree.path(u64::from(*index));
        let mut out = Vec::with_capacity(item.len() + header.len() + path.len() * 45 + 224);
        head(outcome, &mut out);
        line(item, &mut out);
        line(header, &mut out);
        line(index.to_string().as_bytes(), &mut out);
        for (position, hash) in path.iter().enumerate() {
            if position > 0 {
                out.push(b' ');
            }
            base64_into(hash, &mut out);
        }
        out.push(b'\n');
        close(signature, &mut out);
        Some(out)
    };
    accepted.iter().filter_map(leaf).collect()
}

/// Leaf bytes of a block marker.
pub fn marker(marker: &Marker) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    line(BLOCK_TYPE.as_bytes(), &mut out);
    // Hashes and integers always serialise; a height or time beyond 2^53 is 285,000 years away.
    line(&serde_json::to_vec(marker).unwrap_or_default(), &mut out);
    out
}

fn line(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(bytes);
    out.push(b'\n');
}

fn head(outcome: &Outcome, out: &mut Vec<u8>) {
    line(LEAF_TYPE.as_bytes(), out);
    step(&outcome.record, outcome.version, out);
    for (record, version) in &outcome.also {
        out.push(b' ');
        step(record, *version, out);
    }
    out.push(b'\n');
}

fn step(record: &Hash, version: u32, out: &mut Vec<u8>) {
    let mut text = [0; 64];
    // 64 characters always fit.
    let _ = hex::encode_to_slice(record, &mut text);
    out.extend_from_slice(&text);
    out.push(b' ');
    out.extend_from_slice(version.to_string().as_bytes());
}

fn close(signature: &[u8; 64], out: &mut Vec<u8>) {
    base64_into(signature, out);
    out.push(b'\n');
}

/// A leaf, taken apart. Statement, header and item are still to be read ([`Leaf::action`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaf<'a> {
    /// A single action.
    Single {
        /// What it led to.
        outcome: Outcome,
        /// Canonical statement.
        statement: &'a [u8],
        /// Over the statement.
        signature: [u8; 64],
    },
    /// An item of a batch.
    Item {
        /// What it led to.
        outcome: Outcome,
        /// Canonical item.
        item: &'a [u8],
        /// Canonical header.
        header: &'a [u8],
        /// Position in the batch.
        index: u32,
        /// Audit path to the header's `itemsRoot`.
        path: Vec<Hash>,
        /// Over the header.
        signature: [u8; 64],
    },
    /// A block marker.
    Marker(Marker),
}

/// An action as it was signed, be it alone or in a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Signer, template, network and the like.
    pub common: Common,
    /// Input of the action.
    pub input: serde_json::Map<String, serde_json::Value>,
    /// The record named by the signer; absent when the action creates it.
    pub record: Option<Hash>,
}

impl<'a> Leaf<'a> {
    /// Takes a leaf apart; every byte must be as [`single`], [`batch_items`] or [`marker`] write it.
    ///
    /// # Errors
    /// When it is not.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, LeafError> {
        let body = bytes
            .strip_suffix(b"\n")
            .ok_or(LeafError::Form("the last line is not closed"))?;
        let lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').collect();
        match lines.as_slice() {
            [kind, marker] if *kind == BLOCK_TYPE.as_bytes() => parse_marker(marker).map(Self::Marker),
            [kind, outcome, statement, signature] if *kind == LEAF_TYPE.as_bytes() => Ok(Self::Single {
                outcome: parse_outcome(outcome)?,
                statement,
                signature: parse_signature(signature)?,
            }),
            [kind, outcome, item, header, index, path, signature] if *kind == LEAF_TYPE.as_bytes() => Ok(Self::Item {
                outcome: parse_outcome(outcome)?,
                item,
                header,
                index: parse_decimal(index).ok_or(LeafError::Form("the index is not a number"))?,
                path: parse_path(path)?,
                signature: parse_signature(signature)?,
            }),
            _ => Err(LeafError::Form("unknown first line or wrong number of lines")),
        }
    }

    /// What the action led to; none for a marker.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Single { outcome, .. } | Self::Item { outcome, .. } => Some(outcome),
            Self::Marker(_) => None,
        }
    }

    /// Signed bytes and signature; none for a marker.
    pub fn signed(&self) -> Option<(&'a [u8], &[u8; 64])> {
        match self {
            Self::Single {
                statement, signature, ..
            } => Some((statement, signature)),
            Self::Item { header, signature, .. } => Some((header, signature)),
            Self::Marker(_) => None,
        }
    }

    /// Reads the action and checks that the item belongs to the batch; the signature ([`Self::signed`]) is left to the caller.
    ///
    /// # Errors
    /// When the statement is not valid, or this is a marker.
    pub fn action(&self) -> Result<Action, LeafError> {
        match self {
            Self::Single { statement, .. } => {
                let Statement {
                    action,
                    input,
                    network,
                    nonce,
                    record,
                    revision,
                    signer,
                    template,
                    valid_until,
                    ..
                } = Statement::parse(statement).map_err(LeafError::Statement)?;
                let common = Common {
                    action,
                    network,
                    nonce,
                    revision,
                    signer,
                    template,
                    valid_until,
                };
                Ok(Action { common, input, record })
            }
            Self::Item {
                item,
                header,
                index,
                path,
                ..
            } => {
                let header = BatchHeader::parse(header).map_err(LeafError::Statement)?;
                let hash = merkle::leaf_hash(item);
                let size = u64::from(header.items);
                merkle::verify_inclusion(&hash, u64::from(*index), size, path, &header.items_root)
                    .map_err(LeafError::Item)?;
                let Item { input, record } = Item::parse(item).map_err(LeafError::Statement)?;
                let BatchHeader {
                    action,
                    network,
                    nonce,
                    revision,
                    signer,
                    template,
                    valid_until,
                    ..
                } = header;
                let common = Common {
                    action,
                    network,
                    nonce,
                    revision,
                    signer,
                    template,
                    valid_until,
                };
                Ok(Action { common, input, record })
            }
            Self::Marker(_) => Err(LeafError::Form("a block marker holds no action")),
        }
    }
}

fn parse_marker(bytes: &[u8]) -> Result<Marker, LeafError> {
    let value = jcs::parse(bytes).map_err(LeafError::Marker)?;
    serde_json::from_value(value).map_err(|source| LeafError::Marker(JcsError::Json(source)))
}

fn parse_outcome(bytes: &[u8]) -> Result<Outcome, LeafError> {
    let wrong = || LeafError::Form("the outcome is not record ids and versions");
    let words: Vec<&[u8]> = bytes.split(|byte| *byte == b' ').collect();
    let (pairs, []) = words.as_chunks::<2>() else {
        return Err(wrong());
    };
    let mut steps = Vec::with_capacity(pairs.len());
    for [record, version] in pairs {
        let record = std::str::from_utf8(record).ok().and_then(from_hex_exact);
        let version = parse_decimal(version).filter(|version| *version > 0);
        let (Some(record), Some(version)) = (record, version) else {
            return Err(wrong());
        };
        if steps.iter().any(|(known, _)| *known == record) {
            return Err(LeafError::Form("the outcome names a record twice"));
        }
        steps.push((record, version));
    }
    let mut steps = steps.into_iter();
    let (record, version) = steps.next().ok_or_else(wrong)?;
    Ok(Outcome {
        record,
        version,
        also: steps.collect(),
    })
}

fn parse_decimal(bytes: &[u8]) -> Option<u32> {
    from_decimal(std::str::from_utf8(bytes).ok()?)?.try_into().ok()
}

fn parse_signature(bytes: &[u8]) -> Result<[u8; 64], LeafError> {
    from_base64_exact(bytes).ok_or(LeafError::Form("the signature is not base64 of 64 bytes"))
}

fn parse_path(bytes: &[u8]) -> Result<Vec<Hash>, LeafError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let hashes = bytes.split(|byte| *byte == b' ').map(from_base64_exact);
    hashes
        .collect::<Option<_>>()
        .ok_or(LeafError::Form("the batch path is not base64 hashes"))
}
