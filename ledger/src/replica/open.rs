//! Opens a replica from its folder: keys, genesis, store, and whatever was decided but not executed yet.
//!
//! Owns the checks that keep a wrong or damaged folder from ever reaching the network.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use ed25519_dalek::SigningKey;
use muniment_receipts::genesis::ValidatorKeys;
use muniment_receipts::merkle::Frontier;
use tokio::sync::{broadcast, watch};

use super::application::ReplicaApplication;
use super::cosigners::Cosigners;
use super::local::LocalReplica;
use super::network::{GenesisError, NetworkFacts};
use super::notary::Notary;
use super::sets::{self, Sets};
use super::{Tip, TreeView, rehash};
use crate::block::Hash;
use crate::config::{ReplicaConfig, ReplicaKeys};
use crate::engine::{EngineKeys, Fatal};
use crate::mempool::Mempool;
use crate::state::{VALIDATORS_KEY, genesis_state, set_height, tree};
use crate::store::{Commit, Recovered, Store, StoreError};

/// Own cosignatures waiting to be sent. Peers fetch what they missed; the room is taken at once, by every replica.
const OUTGOING: usize = 512;

/// A replica can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file is missing or unreadable.
    #[error("can't read {path}")]
    Read {
        /// File.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `keys.json` is not what it should be. Says nothing of its content.
    #[error("{0} is not a valid keys file")]
    Keys(PathBuf),
    /// The keys aren't those of this validator.
    #[error("the keys in keys.json are not those that the network knows of `{0}`; put the right keys back")]
    WrongKeys(String),
    /// The genesis can't be used.
    #[error("the genesis can't be used")]
    Genesis(#[from] GenesisError),
    /// The first state can't be made.
    #[error("the genesis state can't be made")]
    GenesisState(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store can't be used.
    #[error("the store can't be used")]
    Store(#[from] StoreError),
    /// A decided block can't be executed again.
    #[error("decided blocks can't be executed again")]
    Replay(#[source] Fatal),
}

/// An opened replica.
pub struct Opened {
    /// For readers, relay and metrics.
    pub replica: Arc<LocalReplica>,
    /// For the engine.
    pub application: ReplicaApplication,
    /// Seeds of the consensus and transport keys.
    pub keys: EngineKeys,
    /// The store was empty.
    pub fresh: bool,
}

/// Opens the replica in `<folder>`, which holds `genesis.json`, `keys.json` and `data/`.
///
/// # Errors
/// [`OpenError`] by name. Nothing is repaired but a torn tail of the block log, and log hashes, which follow from it.
pub fn open(folder: &Path, config: &ReplicaConfig) -> Result<Opened, OpenError> {
    let facts = NetworkFacts::new(read(&folder.join("genesis.json"))?)?;
    let keys_path = folder.join("keys.json");
    let keys: ReplicaKeys =
        serde_json::from_slice(&read(&keys_path)?).map_err(|_| OpenError::Keys(keys_path.clone()))?;
    let consensus = signing_key(&keys_path, &keys.consensus)?;
    let notary_key = signing_key(&keys_path, &keys.notary)?;
    let cose_key = signing_key(&keys_path, &keys.cose)?;
    let transport = seed(&keys_path, &keys.transport)?;
    let public = |key: &SigningKey| hex::encode(key.verifying_key().as_bytes());
    let own = ValidatorKeys {
        name: config.name.clone(),
        consensus: public(&consensus),
        notary: public(&notary_key),
        cose: public(&cose_key),
    };
    let (store, recovered) = Store::open(&folder.join("data"))?;
    let fresh = store.view().height()?.is_none();
    if fresh {
        commit_genesis(&store, &facts)?;
    }
    let sets = sets(&store, &facts)?;
    check_keys(&sets, &own)?;
    let (tip, frontier, parent) = restore(&store, &facts)?;
    let last = recovered.last_cosigned.as_ref().map(|own| (own.size, own.root));
    let notary = Notary::new(facts.origin.clone(), notary_key, cose_key, last);
    let replica = Arc::new(share(store, facts, (own, sets), config, tip)?);
    restore_cosignatures(&replica, &recovered)?;
    let mut application = ReplicaApplication::new(Arc::clone(&replica), notary, frontier, parent);
    replay(&mut application, recovered)?;
    let keys = EngineKeys {
        consensus: consensus.to_bytes(),
        transport,
    };
    Ok(Opened {
        replica,
        application,
        keys,
        fresh,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, OpenError> {
    std::fs::read(path).map_err(|source| OpenError::Read {
        path: path.to_path_buf(),
        source,
    })
}

fn seed(path: &Path, text: &str) -> Result<[u8; 32], OpenError> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| OpenError::Keys(path.to_path_buf()))?;
    Ok(bytes)
}

fn signing_key(path: &Path, text: &str) -> Result<SigningKey, OpenError> {
    Ok(SigningKey::from_bytes(&seed(path, text)?))
}

/// The sets of the genesis and of the state.
fn sets(store: &Store, facts: &NetworkFacts) -> Result<Arc<Sets>, OpenError> {
    let mut sets = facts.sets()?;
    for (key, value) in store.view().states(VALIDATORS_KEY)? {
        if let Some(from) = set_height(&key) {
            sets.add(sets::stored(from, &value)?);
        }
    }
    Ok(Arc::new(sets))
}

/// A name that the network knows must come with its keys. One that it doesn't know is that of a validator to be: it
/// follows without voting.
fn check_keys(sets: &Sets, own: &ValidatorKeys) -> Result<(), OpenError> {
    match sets.named(&own.name) {
        Some(known) if known != own => Err(OpenError::WrongKeys(own.name.clone())),
        Some(_) => Ok(()),
        None => {
            tracing::info!(name = own.name, "not a validator yet: following");
            Ok(())
        }
    }
}

fn commit_genesis(store: &Store, facts: &NetworkFacts) -> Result<(), OpenError> {
    let changes = genesis_state(&facts.genesis).map_err(|error| OpenError::GenesisState(error.into()))?;
    let view = store.view();
    let (_, nodes) = tree::commit(
        &TreeView {
            view: &view,
            cache: None,
        },
        0,
        &changes,
    )
    .map_err(|error| OpenError::GenesisState(error.into()))?;
    let commit = Commit {
        height: 0,
        located: None,
        result: None,
        state: changes.into_iter().collect(),
        nodes: nodes.new,
        stale: nodes.stale,
        history: Vec::new(),
        created: Vec::new(),
        transactions: Vec::new(),
    };
    Ok(store.commit(&commit, &[])?)
}

/// Tip, log and parent hash as the index has them, checked against each other.
fn restore(store: &Store, facts: &NetworkFacts) -> Result<(Tip, Frontier, Hash), OpenError> {
    let view = store.view();
    let height = view.height()?.unwrap_or(0);
    let inconsistent = |what: &str| StoreError::Inconsistent(format!("{what} at height {height}"));
    let root = tree::root(
        &TreeView {
            view: &view,
            cache: None,
        },
        height,
    )
    .map_err(|_| inconsistent("the state tree can't be read"))?;
    if height == 0 {
        let frontier = Frontier::new();
        let tip = Tip {
            state_root: root,
            log_root: frontier.root(),
            ..Tip::default()
        };
        return Ok((tip, frontier, facts.network));
    }
    let result = view.result(height)?.ok_or_else(|| inconsistent("there is no result"))?;
    let located = view.located(height)?.ok_or_else(|| inconsistent("there is no block"))?;
    let frontier = rehash::restore(store, &view, height, &result)?;
    if root != result.state_root {
        return Err(inconsistent("the stored state doesn't give the state root").into());
    }
    let tip = Tip {
        height,
        time: result.time,
        state_root: root,
        log_size: result.log_size,
        log_root: result.log_root,
    };
    Ok((tip, frontier, located.hash))
}

fn share(
    store: Store,
    facts: NetworkFacts,
    (own_keys, sets): (ValidatorKeys, Arc<Sets>),
    config: &ReplicaConfig,
    tip: Tip,
) -> Result<LocalReplica, OpenError> {
    let final_height = store.view().final_height()?;
    let cosigners = Cosigners::new(facts.origin.clone(), Arc::clone(&sets), final_height);
    Ok(LocalReplica {
        own_keys,
        sets: RwLock::new(sets),
        limits: config.limits.clone(),
        store,
        mempool: Mutex::new(Mempool::new(config.limits.mempool_bytes)),
        cosigners: Mutex::new(cosigners),
        tip: RwLock::new(tip),
        finals: watch::Sender::new(final_height),
        own: broadcast::Sender::new(OUTGOING),
        voting: AtomicBool::new(false),
        wanted: AtomicBool::new(false),
        wake: OnceLock::new(),
        facts,
    })
}

/// Heights that were executed but had no quorum of cosignatures yet.
fn restore_cosignatures(replica: &LocalReplica, recovered: &Recovered) -> Result<(), OpenError> {
    let view = replica.store.view();
    let height = view.height()?.unwrap_or(0);
    for height in view.final_height()? + 1..=height {
        let Some(result) = view.result(height)? else { break };
        let mut known: Vec<_> = recovered
            .cosigned
            .get(&height)
            .map(|own| own.cosigned.clone())
            .into_iter()
            .collect();
        known.extend(view.cosignatures(height, height)?);
        replica.cosign(|cosigners| cosigners.executed(height, result.log_size, result.log_root, known))?;
    }
    Ok(())
}

fn replay(application: &mut ReplicaApplication, mut recovered: Recovered) -> Result<(), OpenError> {
    for (height, (certificate, position)) in recovered.decided {
        let own = recovered.cosigned.remove(&height);
        let known = application
            .finalize(&certificate, Some((position, own)))
            .map_err(OpenError::Replay)?;
        if !known {
            let missing = format!("the block log lacks the decided block of height {height}");
            return Err(StoreError::Inconsistent(missing).into());
        }
    }
    Ok(())
}
