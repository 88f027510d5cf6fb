//! The authenticated map behind the state root: a Jellyfish Merkle tree over SHA-256, as crate `jmt` defines its root and
//! its proofs.
//!
//! Owns which state is covered, how the tree is stored and changed, and the proofs. A leaf of the tree is SHA-256(state
//! key) → SHA-256(SHA-256(value)). Version 0 is the genesis, version h the state after block h; every height has a
//! version, also when nothing changed, and only the newest is kept. Does no I/O: it reads pages through [`TreeStore`]
//! and hands back what to write.
//!
//! Why not the crate's own tree: it keeps a row for each node and version, so that one record costs six rows instead of
//! two. Its proofs are what others check, so every proof is checked with it before it leaves, and tests hold every root
//! against its.

mod cache;
mod page;
mod prove;
mod update;

use std::collections::HashMap;

use jmt::proof::SparseMerkleProof;
use jmt::{KeyHash, RootHash};
use sha2::{Digest, Sha256};

pub use self::cache::Cache;
use self::page::{NIBBLES, Page};
use self::update::{Update, Write};
use super::{Changes, MemoryState, StateError, StateRead, is_authenticated};
use crate::block::Hash;

/// Reads what the tree is made of.
pub trait TreeStore {
    /// The page stored under `row`, if any.
    fn node(&self, row: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// State value under a state key, as of the same moment. Asked only to prove it.
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Upper levels in memory, if the store keeps them.
    fn cache(&self) -> Option<&Cache> {
        None
    }
}

/// The store's in-memory twin.
#[derive(Debug, Default)]
pub struct MemoryTree {
    /// Pages of the newest version.
    pub nodes: HashMap<Vec<u8>, Vec<u8>>,
    /// State of the newest version.
    pub state: MemoryState,
    cache: Cache,
}

impl TreeStore for MemoryTree {
    fn node(&self, row: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.nodes.get(row).cloned())
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.state.get(key)
    }

    fn cache(&self) -> Option<&Cache> {
        Some(&self.cache)
    }
}

impl MemoryTree {
    /// Commits a version: state, changed pages in, stale ones out. Returns the root.
    ///
    /// # Errors
    /// When the version doesn't follow the newest.
    pub fn commit(&mut self, version: u64, changes: &Changes) -> Result<Hash, StateError> {
        let (root, mut batch) = commit(self, version, changes)?;
        self.cache.adopt(&mut batch);
        self.nodes.extend(batch.new);
        for row in &batch.stale {
            self.nodes.remove(row);
        }
        self.state.apply(changes);
        Ok(root)
    }
}

/// SHA-256 as the tree wants it.
#[derive(Clone, Debug, Default)]
pub struct TreeHasher(Sha256);

impl jmt::SimpleHasher for TreeHasher {
    fn new() -> Self {
        Self::default()
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// What one version changes: write `new`, drop `stale`.
#[derive(Debug, Default)]
pub struct NodeBatch {
    /// Rows of changed pages.
    pub new: Vec<(Vec<u8>, Vec<u8>)>,
    /// Rows of pages that are no more.
    pub stale: Vec<Vec<u8>>,
    version: u64,
    upper: Vec<(u16, Box<Page>)>,
}

/// A state key's value, or its absence, with the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// State root.
    pub root: Hash,
    /// SHA-256 of the value, or none when there is none.
    pub value: Option<Hash>,
    /// Proof bytes for [`verify_proof`].
    pub proof: Vec<u8>,
}

/// Computes version `version` from version `version - 1` and `changes`; version 0 from nothing. Changes nothing: tell
/// the cache with [`Cache::adopt`] when the batch is to be stored.
///
/// # Errors
/// When the store fails, has another version, or lacks a page.
pub fn commit(store: &dyn TreeStore, version: u64, changes: &Changes) -> Result<(Hash, NodeBatch), StateError> {
    let mut root = match version.checked_sub(1) {
        Some(before) => stored_root(store, before)?,
        None => Page::default(),
    };
    let covered = changes.iter().filter(|(key, _)| is_authenticated(key));
    let mut writes: Vec<Write> = covered
        .map(|(key, value)| Write {
            key: Sha256::digest(key).into(),
            value: value.as_deref().map(leaf_value),
        })
        .collect();
    writes.sort_unstable_by_key(|write| write.key);
    let batch = NodeBatch {
        version,
        ..NodeBatch::default()
    };
    let mut update = Update { store, batch };
    update.page(&mut root, &writes, 0)?;
    let mut batch = update.batch;
    batch.new.push(root_row(version, &root));
    Ok((root.hash(), batch))
}

/// Root of the stored version.
///
/// # Errors
/// When the store fails or has another version.
pub fn root(store: &dyn TreeStore, version: u64) -> Result<Hash, StateError> {
    Ok(stored_root(store, version)?.hash())
}

/// Proves what the stored version has under a state key.
///
/// # Errors
/// When the store fails, has another version, or its state and tree disagree.
pub fn prove(store: &dyn TreeStore, version: u64, key: &[u8]) -> Result<Proven, StateError> {
    let value: Option<Hash> = store.value(key)?.map(|value| Sha256::digest(value).into());
    let page = stored_root(store, version)?;
    let root = page.hash();
    let proof = prove::prove(store, page, &Sha256::digest(key).into())?;
    let proof = borsh::to_vec(&proof).map_err(|error| StateError(error.into()))?;
    verify_proof(&root, key, value.as_ref(), &proof).map_err(|error| StateError(error.into()))?;
    Ok(Proven { root, value, proof })
}

/// A proof that doesn't show what it is said to show.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The bytes aren't a proof.
    #[error("these bytes are not a state proof")]
    Form(#[source] std::io::Error),
    /// It proves something else.
    #[error("the proof does not lead from this key and value to this state root")]
    Wrong(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Checks that under `root` the state key `key` has the value with this SHA-256, or (with `None`) no value.
///
/// # Errors
/// When the proof can't be read or shows something else.
pub fn verify_proof(root: &Hash, key: &[u8], value: Option<&Hash>, proof: &[u8]) -> Result<(), ProofError> {
    let proof: SparseMerkleProof<TreeHasher> = borsh::from_slice(proof).map_err(ProofError::Form)?;
    proof
        .verify(RootHash(*root), key_hash(key), value)
        .map_err(|error| ProofError::Wrong(error.into()))
}

fn key_hash(key: &[u8]) -> KeyHash {
    KeyHash(Sha256::digest(key).into())
}

/// The crate hashes what it is given as a value, which is the value's hash.
fn leaf_value(value: &[u8]) -> Hash {
    Sha256::digest(Sha256::digest(value)).into()
}

/// The root's page has a row in every version: the version (u64 big-endian), then the page.
fn root_row(version: u64, page: &Page) -> (Vec<u8>, Vec<u8>) {
    let mut bytes = Vec::with_capacity(8 + page.size());
    bytes.extend_from_slice(&version.to_be_bytes());
    page.encode(&mut bytes);
    (page::row(&[0; 32], 0), bytes)
}

fn stored_root(store: &dyn TreeStore, version: u64) -> Result<Page, StateError> {
    let bytes = store.node(&page::row(&[0; 32], 0))?.unwrap_or_default();
    let Some((stored, bytes)) = bytes.split_first_chunk::<8>() else {
        return Err(damaged("the state tree has no root"));
    };
    if u64::from_be_bytes(*stored) != version {
        return Err(damaged("the state tree is of another height"));
    }
    Page::decode(bytes).ok_or_else(|| damaged("the root of the state tree can't be read"))
}

/// The page of the first `depth` nibbles of a key, from the store.
fn stored_page(store: &dyn TreeStore, key: &Hash, depth: usize) -> Result<Page, StateError> {
    let bytes = if depth < NIBBLES {
        store.node(&page::row(key, depth))?
    } else {
        None
    };
    let bytes = bytes.ok_or_else(|| damaged("a page of the state tree is missing"))?;
    Page::decode(&bytes).ok_or_else(|| damaged("a page of the state tree can't be read"))
}

fn damaged(what: &'static str) -> StateError {
    StateError(what.into())
}
