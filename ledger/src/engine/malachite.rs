//! The real driver: one Malachite engine for one network.
//!
//! Owns start and end of an engine and its settings. `driver` answers the engine's questions with the
//! [`Application`], `parts` keeps blocks that arrive early, `signer` signs and verifies. Malachite is the only thing
//! here that talks to the network.
//!
//! **Refusals.** Malachite ends when its signer fails, and hangs for good if that happens while it replays its log.
//! So a refusal must be rare and must lead somewhere: the floor of the guard rises to the refused height, the engine
//! ends with [`EngineExit::Refused`], and the next [`start`] runs as a non-voting node until the tip has passed the
//! floor; then it ends with [`EngineExit::BecomeValidator`]. The same happens, without a refusal first, when the
//! write-ahead log is missing or older than what the guard remembers, or when the store is behind it.

mod driver;
mod parts;
mod proposals;
mod settings;
mod signer;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_malachitebft_app_channel::app::types::Keypair;
use arc_malachitebft_app_channel::app::types::codec::Codec;
use arc_malachitebft_app_channel::app::wal;
use arc_malachitebft_app_channel::{
    ConsensusContext, EngineBuilder, EngineHandle as Actors, NetworkContext, NetworkIdentity, RequestContext, Signer,
    SyncContext, WalContext,
};
use futures::future::BoxFuture;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use self::driver::{Driver, Signals};
use self::proposals::Proposals;
use self::settings::Settings;
use self::signer::{KeySigner, StrictVerifier};
use super::codec::{Network, WireCodec};
use super::context::{Address, Ctx};
use super::{Application, Fatal, GuardError, SignGuard, SignSlot};
use crate::block::Hash;

/// Name of the write-ahead log in its folder.
const WAL_FILE: &str = "consensus.wal";
/// Time that stopping may take before the rest is abandoned.
const STOP_LIMIT: Duration = Duration::from_secs(3);
/// Time that an address or a log may stay taken by an engine that just ended.
const TAKEN_LIMIT: Duration = Duration::from_secs(3);

/// Takes part in voting, or only follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Votes and proposes, if the guard allows and the key is in the validator set.
    Validator,
    /// Obtains decided blocks and never signs.
    Observer,
}

/// Secret keys of an engine.
#[derive(Clone)]
pub struct EngineKeys {
    /// Ed25519 seed of the consensus key.
    pub consensus: [u8; 32],
    /// Ed25519 seed of the libp2p identity, a different key.
    pub transport: [u8; 32],
}

impl std::fmt::Debug for EngineKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EngineKeys(secret)")
    }
}

/// What an engine needs to know.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Network id; part of every signature and protocol name.
    pub network: Hash,
    /// Name in logs and metrics, different for every engine in a process.
    pub moniker: String,
    /// Validator or observer.
    pub role: Role,
    /// Secret keys.
    pub keys: EngineKeys,
    /// Address of the consensus transport.
    pub listen: SocketAddr,
    /// `host:port` of the consensus transports of the others.
    pub peers: Vec<String>,
    /// Folder of the write-ahead log. Belongs to this validator and survives with its store.
    pub wal: PathBuf,
    /// Wait for a proposer in round 0. Later rounds wait a little longer, at most five times as long.
    pub propose_timeout: Duration,
    /// Wait for votes in round 0.
    pub vote_timeout: Duration,
    /// Time between blocks of an idle network.
    pub heartbeat: Duration,
    /// Most bytes of an encoded block.
    pub max_block_bytes: usize,
}

/// An engine can't start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A setting is unusable.
    #[error("setting {setting} of the consensus engine is unusable: {value}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// Its value.
        value: String,
    },
    /// The listening address can't be taken.
    #[error("can't listen for consensus on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The write-ahead log can't be used.
    #[error("can't use the write-ahead log {}; if it is damaged, remove it: the signing guard keeps that safe", path.display())]
    Wal {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The sign guard can't be used.
    #[error("can't use the signing guard")]
    Guard(#[from] GuardError),
    /// Malachite says no.
    #[error("the consensus engine doesn't start")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How an engine ended. Starting again is safe in all cases.
#[derive(Debug)]
pub enum EngineExit {
    /// [`EngineHandle::stop`] was called.
    Stopped,
    /// The tip has passed the guard's floor: start again, to vote.
    BecomeValidator,
    /// The guard refused this signature and its floor was raised: start again, as a follower at first.
    Refused(SignSlot),
    /// The application, the guard or the engine failed.
    Failed(Fatal),
    /// The engine stopped itself because going on could be unsafe: its log can't be written or read. The guard keeps a
    /// restart safe, but it will end the same way until the disk is well again.
    Halted,
}

impl From<Fatal> for EngineExit {
    fn from(fatal: Fatal) -> Self {
        Self::Failed(fatal)
    }
}

/// Tells the engine that a transaction waits. Cheap, never blocks, may be called at any time.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// Ends the idle wait, if [`Application::has_work`] agrees.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// A running engine. Dropping it stops the engine.
#[derive(Debug)]
pub struct EngineHandle {
    waker: Waker,
    stop: watch::Sender<bool>,
    task: JoinHandle<EngineExit>,
    role: Role,
}

impl EngineHandle {
    /// See [`Waker::wake`].
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// A waker to keep elsewhere.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Asks the engine to end; [`EngineHandle::done`] tells when it has.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for the end. By then the application is dropped, and the address and the log are free or about to be.
    pub async fn done(&mut self) -> EngineExit {
        match (&mut self.task).await {
            Ok(exit) => exit,
            Err(error) => Fatal {
                what: "the consensus driver died",
                source: Box::new(error),
            }
            .into(),
        }
    }

    /// The role this run has: a validator below its guard's floor runs as observer.
    pub fn role(&self) -> Role {
        self.role
    }
}

/// Starts an engine on the current tokio runtime and lets it drive `app`.
///
/// Boxed: the code of a future is compiled again in every crate that awaits it, and this one is large.
pub fn start(
    config: EngineConfig,
    app: Box<dyn Application>,
    guard: Arc<dyn SignGuard>,
) -> BoxFuture<'static, Result<EngineHandle, EngineError>> {
    Box::pin(start_engine(config, app, guard))
}

async fn start_engine(
    config: EngineConfig,
    app: Box<dyn Application>,
    guard: Arc<dyn SignGuard>,
) -> Result<EngineHandle, EngineError> {
    let settings = Settings::new(&config)?;
    let wal_path = config.wal.join(WAL_FILE);
    let wal_height = wal_height(&wal_path).await?;
    let role = settle_role(config.role, wal_height, app.tip(), guard.as_ref())?;
    // Malachite doesn't report a taken address, so it is tried first.
    let address = config.listen;
    patiently(|| TcpListener::bind(address))
        .await
        .map_err(|source| EngineError::Listen { address, source })?;

    let (refusals, refused) = mpsc::unbounded_channel();
    let peers = Arc::new(Notify::new());
    let peer_tip = Arc::new(AtomicU64::new(0));
    let signer = KeySigner::new(&config.keys.consensus, config.network, guard.clone(), refusals.clone());
    let own = signer.address();
    let codec = WireCodec::new(config.max_block_bytes, settings.max_response());
    let on_network = codec.on(Network {
        network: config.network,
        address: own,
        guard: guard.clone(),
        refused: Box::new(move |error| drop(refusals.send(error))),
        peer_tip: Box::new({
            let (peers, peer_tip) = (peers.clone(), peer_tip.clone());
            move |tip| {
                peer_tip.store(tip, Ordering::Relaxed);
                peers.notify_one();
            }
        }),
    });
    let identity = identity(&config, role, own, &signer, &codec).await?;
    let proposals = Proposals::default();
    let verifier = Box::new(StrictVerifier {
        network: config.network,
        proposals: proposals.clone(),
    });
    let key = signer.key();
    let consensus = match role {
        Role::Validator => ConsensusContext::new_validator(own, verifier, Box::new(signer)),
        Role::Observer => ConsensusContext::new_full_node(own, verifier),
    };
    let (channels, actors) = EngineBuilder::new(Ctx, settings.clone().engine(role))
        .with_default_wal(WalContext::new(wal_path, codec.clone()))
        .with_default_network(NetworkContext::new(identity, on_network))
        .with_default_consensus(consensus)
        .with_default_sync(SyncContext::new(codec))
        .with_default_request(RequestContext::new(16))
        .build()
        .await
        .map_err(|report| EngineError::Engine(report.into()))?;

    let waker = Waker(Arc::new(Notify::new()));
    let (stop, stopped) = watch::channel(false);
    let signals = Signals {
        wake: waker.0.clone(),
        peers,
        refused,
        stopped,
        peer_tip,
    };
    let vote_after = (role != config.role).then(|| guard.floor());
    let driver = Driver::new(
        app,
        settings,
        key,
        guard,
        proposals,
        channels.network.clone(),
        vote_after,
    );
    let task = tokio::spawn(async move {
        let exit = driver.run(channels, signals).await;
        end(actors, exit).await
    });
    Ok(EngineHandle {
        waker,
        stop,
        task,
        role,
    })
}

/// The role that is safe now. Raises the guard's floor when the data needed for voting is incomplete.
fn settle_role(wanted: Role, wal_height: u64, tip: u64, guard: &dyn SignGuard) -> Result<Role, EngineError> {
    if wanted == Role::Observer {
        return Ok(Role::Observer);
    }
    let last = guard.last_height();
    // Voting at `last` again needs the log of that height: without it the engine has forgotten its lock. Below `last`
    // nothing may be signed at all.
    if last > tip && (wal_height < last || tip + 1 < last) {
        tracing::warn!(
            tip,
            last,
            wal_height,
            "data behind the last signature: following until the network is past it"
        );
        guard.raise_floor(last)?;
    }
    Ok(if tip < guard.floor() {
        Role::Observer
    } else {
        Role::Validator
    })
}

/// Height whose messages the write-ahead log holds; 0 if it is new.
async fn wal_height(path: &Path) -> Result<u64, EngineError> {
    let failed = |source| EngineError::Wal {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    patiently(|| wal::Log::open(path))
        .await
        .map(|log| log.sequence())
        .map_err(failed)
}

/// Tries for a while what fails while an earlier engine lets go.
async fn patiently<T>(attempt: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let deadline = tokio::time::Instant::now() + TAKEN_LIMIT;
    loop {
        match attempt() {
            // The log reports that it is locked as `Other`.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::Other)
                    && tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            result => return result,
        }
    }
}

async fn identity(
    config: &EngineConfig,
    role: Role,
    address: Address,
    signer: &KeySigner,
    codec: &WireCodec,
) -> Result<NetworkIdentity, EngineError> {
    let transport = Keypair::ed25519_from_bytes(config.keys.transport).map_err(|error| EngineError::Setting {
        setting: "transport key",
        value: error.to_string(),
    })?;
    if role == Role::Observer {
        return Ok(NetworkIdentity::new(config.moniker.clone(), transport, None));
    }
    let peer = transport.public().to_peer_id().to_bytes();
    let proof = signer
        .sign_validator_proof(signer.public_key().to_vec(), peer)
        .await
        .map_err(|error| EngineError::Engine(error.to_string().into()))?;
    let proof = codec
        .encode(&proof)
        .map_err(|error| EngineError::Engine(Box::new(error)))?;
    Ok(NetworkIdentity::new_validator(
        config.moniker.clone(),
        transport,
        address.to_string(),
        proof,
    ))
}

/// Stops what still runs, in an order that frees the listening address.
async fn end(mut actors: Actors, exit: Option<EngineExit>) -> EngineExit {
    let exit = match exit {
        Some(exit) => exit,
        // The engine closed its channel. If its supervisor is still there, it did so for safety.
        None => match tokio::time::timeout(STOP_LIMIT, &mut actors.handle).await {
            Err(_) => EngineExit::Halted,
            Ok(_) => Fatal {
                what: "the consensus engine ended",
                source: "its log says why".into(),
            }
            .into(),
        },
    };
    let supervisor = actors.actor.get_cell();
    for child in supervisor.get_children() {
        // Unlinked first: a supervisor kills the rest when the first one stops.
        child.unlink(supervisor.clone());
        // One that is gone already is fine.
        child.stop_and_wait(None, Some(STOP_LIMIT)).await.ok();
    }
    actors.actor.stop(None);
    exit
}

/// Runs something that may block on disk without holding up other tasks of the runtime.
pub(super) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
