//! The node process: composes store, engine and HTTP server of each replica.
//!
//! Owns start order, the process lock and shutdown. A dedicated process ends when its replica does, and a supervisor
//! starts it again; one that hosts the replicas of many networks supervises each of them itself: see [`host`].

pub mod host;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use muniment_receipts::chain;
use muniment_receipts::trust::TrustRoot;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::block::MAX_BLOCK;
use crate::client::{Endpoint, NetworkClient};
use crate::config::{JOINED, LAYOUT_VERSION, NodeConfig, PeerConfig, ReplicaConfig};
use crate::engine::signing::verify_certificate;
use crate::engine::{self, EngineConfig, EngineExit, FileGuard, GuardError, Role, SignGuard, Validator};
use crate::mounted::MountError;
use crate::node::host::Seats;
use crate::node::{NodeError, Server};
use crate::pid::{PidFile, PidFileError};
use crate::replica::{self, LocalReplica, OpenError, Replica};
use crate::store::StoreError;
use crate::tls::Identity;

/// How long a peer may take to show a block.
const PROOF: Duration = Duration::from_secs(3);
/// How far beyond the peers' tip a validator that lost its data may have signed: it may have voted for the height
/// after one that the answering peers have not decided yet.
const UNSEEN: u64 = 2;
/// Pause between questions to peers that did not answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// The process can't run, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A file can't be used.
    #[error("can't {what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `node.json` is malformed.
    #[error("{path} is not a valid node configuration")]
    Config {
        /// File.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The layout is newer than this version.
    #[error("{path} has layout version {found}, this version knows up to {LAYOUT_VERSION}; start the newer version")]
    Newer {
        /// File.
        path: PathBuf,
        /// Version found.
        found: u32,
    },
    /// Another process runs this folder, or it can't be claimed.
    #[error(transparent)]
    Claim(#[from] PidFileError),
    /// A seat's folder can't be made from what is mounted.
    #[error("seat `{name}` can't be set up")]
    Mounted {
        /// Seat.
        name: String,
        /// Why.
        #[source]
        source: MountError,
    },
    /// A replica can't be opened.
    #[error("replica `{name}` can't be opened")]
    Open {
        /// Replica.
        name: String,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// A part of the store that the start did not read is damaged.
    #[error("replica `{name}` can't go on")]
    Damaged {
        /// Replica.
        name: String,
        /// What is damaged.
        #[source]
        source: StoreError,
    },
    /// The signing guard can't be used.
    #[error("the signing guard of `{name}` can't be used")]
    Guard {
        /// Replica.
        name: String,
        /// Why.
        #[source]
        source: GuardError,
    },
    /// The HTTP side failed.
    #[error("the node API of `{name}` failed")]
    Serve {
        /// Replica.
        name: String,
        /// Why.
        #[source]
        source: NodeError,
    },
    /// The engine can't start or ended.
    #[error("consensus of `{name}` ended: {reason}")]
    Engine {
        /// Replica.
        name: String,
        /// What it said last.
        reason: String,
    },
}

/// Runs every replica of a node folder until a termination signal or a failure.
///
/// # Errors
/// [`ProcessError`]; the process must end.
///
/// Boxed: the code of a future is compiled again in every crate that awaits it, and this one is large.
pub fn run(folder: &Path) -> BoxFuture<'_, Result<(), ProcessError>> {
    Box::pin(run_folder(folder))
}

async fn run_folder(folder: &Path) -> Result<(), ProcessError> {
    let path = folder.join("node.json");
    let bytes = std::fs::read(&path).map_err(|source| file("read", &path, source))?;
    let config = parse(&path, &bytes)?;
    let _claim = PidFile::claim(folder)?;
    let (stop, stopped) = watch::channel(false);
    let mut replicas = JoinSet::new();
    for replica in config.replicas {
        let own = folder.join(&replica.name);
        replicas.spawn(run_replica(own, replica, Front::Own, stopped.clone()));
    }
    let ended = tokio::select! {
        () = termination() => Ok(()),
        Some(ended) = replicas.join_next() => ended.unwrap_or_else(|panic| Err(ProcessError::Engine { name: "?".into(), reason: panic.to_string() })),
    };
    stop.send_replace(true);
    while replicas.join_next().await.is_some() {}
    ended
}

/// The version is read first: a newer file may hold fields that this version doesn't know.
fn parse(path: &Path, bytes: &[u8]) -> Result<NodeConfig, ProcessError> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let malformed = |source| ProcessError::Config {
        path: path.to_path_buf(),
        source,
    };
    let Versioned { version: found } = serde_json::from_slice(bytes).map_err(malformed)?;
    if found > LAYOUT_VERSION {
        let path = path.to_path_buf();
        return Err(ProcessError::Newer { path, found });
    }
    serde_json::from_slice(bytes).map_err(malformed)
}

fn file(what: &'static str, path: &Path, source: std::io::Error) -> ProcessError {
    ProcessError::File {
        what,
        path: path.to_path_buf(),
        source,
    }
}

async fn termination() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Where a replica's HTTP API is served.
enum Front {
    /// At an address of its own.
    Own,
    /// In a seat of a host.
    Seat { seats: Seats, name: String },
}

impl Front {
    fn serve<'a>(
        &'a self,
        replica: &Arc<LocalReplica>,
        config: &ReplicaConfig,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<BoxFuture<'a, Result<(), NodeError>>, NodeError> {
        let replica = Arc::clone(replica) as Arc<dyn Replica>;
        let shutdown = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        Ok(match self {
            Self::Own => Server::bind(replica, config)?
                .with_metrics(engine_metrics)
                .run(shutdown),
            Self::Seat { seats, name } => Box::pin(seats.serve(name, replica, config.clone(), shutdown)),
        })
    }
}

async fn run_replica(
    folder: PathBuf,
    config: ReplicaConfig,
    front: Front,
    stopped: watch::Receiver<bool>,
) -> Result<(), ProcessError> {
    let name = config.name.clone();
    let opened = {
        let (folder, config) = (folder.clone(), config.clone());
        tokio::task::spawn_blocking(move || replica::open(&folder, &config))
            .await
            .map_err(|panic| ProcessError::Engine {
                name: name.clone(),
                reason: panic.to_string(),
            })?
            .map_err(|source| ProcessError::Open {
                name: name.clone(),
                source,
            })?
    };
    let replica = Arc::clone(&opened.replica);
    let serving = front
        .serve(&replica, &config, stopped.clone())
        .map_err(|source| ProcessError::Serve {
            name: name.clone(),
            source,
        })?;
    let ordering = async {
        let guard = guard(&folder, &config, &replica, opened.fresh).await?;
        order(opened, guard, &folder, &config, &stopped).await
    };
    let auditing = replica::audit(Arc::clone(&replica));
    tokio::pin!(serving, ordering);
    tokio::select! {
        source = auditing => Err(ProcessError::Damaged { name, source }),
        served = &mut serving => served.map_err(|source| ProcessError::Serve { name, source }),
        ordered = &mut ordering => ordered,
    }
}

/// The engine's own metrics in the Prometheus text format.
fn engine_metrics() -> String {
    let mut text = String::new();
    arc_malachitebft_app_channel::app::metrics::export(&mut text);
    text
}

/// Opens the signing guard. A validator that may have voted before, but has no guard any more, gets a floor beyond
/// everything it can have voted for; until the network is past it the replica follows without voting.
async fn guard(
    folder: &Path,
    config: &ReplicaConfig,
    replica: &Arc<LocalReplica>,
    fresh: bool,
) -> Result<Arc<FileGuard>, ProcessError> {
    let failed = |source| ProcessError::Guard {
        name: config.name.clone(),
        source,
    };
    let joined = folder.join(JOINED);
    let path = folder.join("data").join("guard");
    let guard = if path.exists() {
        FileGuard::open(&path, replica.network(), replica.tip().height)
    } else if fresh && !joined.exists() {
        FileGuard::create(&path, replica.network(), 0)
    } else {
        let tls = config.tls.as_ref().map(Identity::open).transpose();
        let tls = tls.map_err(|error| ProcessError::Serve {
            name: config.name.clone(),
            source: error.into(),
        })?;
        let floor = highest_peer(config, replica, tls.as_ref())
            .await
            .max(replica.tip().height)
            .saturating_add(UNSEEN);
        tracing::warn!(
            floor,
            "this validator's data is gone: following without voting until the network is past the floor"
        );
        FileGuard::create(&path, replica.network(), floor)
    };
    let guard = Arc::new(guard.map_err(failed)?);
    if !joined.exists() {
        let create = File::create(&joined).and_then(|file| file.sync_all());
        let sync = create.and_then(|()| File::open(folder)?.sync_all());
        sync.map_err(|source| file("write", &joined, source))?;
    }
    Ok(guard)
}

/// Highest height among the peers, once so many answered that one of them is honest and took part in the last decision
/// that this validator saw. Too low and this validator signs twice, too high and it never votes again: against the
/// first stands the number of answers, against the second the proof of each.
///
/// A decision takes a quorum q of n. Without this validator and f liars, at least q - 1 - f honest ones took part; of
/// the n - 1 others at most n - q + f did not or may lie. With four validators all three others have to answer.
///
/// Who the validators are now, a replica without its data has to hear from the peers as well: their trust roots prove it.
async fn highest_peer(config: &ReplicaConfig, replica: &Arc<LocalReplica>, tls: Option<&Identity>) -> u64 {
    loop {
        // It may be waited for long, and certificates change meanwhile.
        if let (Some(tls), Some(files)) = (tls, &config.tls)
            && let Err(error) = tls.refresh(files)
        {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "new certificates can't be used; the old ones are");
        }
        let ask = |peer| proven_height(peer, config, replica, tls);
        let claims = futures::future::join_all(config.peers.iter().map(ask));
        let claims: Vec<Proven> = claims.await.into_iter().flatten().collect();
        let (proven, needed) = answers(&claims, replica.quorum());
        if proven >= needed {
            return claims.into_iter().map(|claim| claim.height).max().unwrap_or(0);
        }
        tracing::info!(
            proven,
            needed,
            "waiting for peers that prove their height before rejoining"
        );
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// How many of the answers count, and how many are needed. Those of peers outside the newest set that is proven don't:
/// who only follows took part in nothing.
fn answers(claims: &[Proven], known: (usize, usize)) -> (usize, usize) {
    let Some(newest) = claims.iter().max_by_key(|claim| claim.from) else {
        return (0, answers_needed(known.0, known.1));
    };
    let count = claims.iter().filter(|claim| newest.set.contains(&claim.peer)).count();
    (count, answers_needed(newest.set.len(), newest.quorum))
}

/// See [`highest_peer`].
fn answers_needed(validators: usize, quorum: usize) -> usize {
    let faulty = validators.saturating_sub(1) / 3;
    (validators - quorum + faulty + 1).min(validators.saturating_sub(1))
}

/// What a peer has proven.
struct Proven {
    /// Its name.
    peer: String,
    height: u64,
    /// First height of the newest validator set that it knows.
    from: u64,
    /// Names in that set, and signatures needed.
    set: Vec<String>,
    quorum: usize,
}

/// A peer's height, if it shows a certificate for it or for the height below: the last block may not be final yet.
async fn proven_height(
    peer: &PeerConfig,
    config: &ReplicaConfig,
    replica: &LocalReplica,
    tls: Option<&Identity>,
) -> Option<Proven> {
    let client = NetworkClient::new(vec![Endpoint {
        name: peer.name.clone(),
        url: peer.api.clone(),
        token: config.token.clone(),
        tls: tls.cloned(),
    }]);
    let height = client.status().await.pop()?.1.ok()?.height;
    let root = TrustRoot::parse(&client.trust_root().await.ok()?).ok()?;
    let root = Some(root).filter(|root| *root.network() == replica.network())?;
    let claim = Proven {
        peer: peer.name.clone(),
        height,
        from: root.newest().from_height(),
        set: root.newest().validators().iter().map(|one| one.name.clone()).collect(),
        quorum: root.quorum(),
    };
    if height <= 1 {
        return Some(claim);
    }
    let mut blocks = client.follow(height - 1);
    let block = tokio::time::timeout(PROOF, blocks.next()).await.ok()??.ok()?;
    let shown = block.header.height == height - 1 && block.certificate.block == block.header.hash();
    let keys = root.validators_at(height - 1).validators().iter();
    let validators: Option<Vec<_>> = keys
        .map(|keys| Some(Validator::new(keys.consensus_key()?, 1)))
        .collect();
    let proven = shown && verify_certificate(&block.certificate, &validators?, &replica.network()).is_ok();
    if !proven {
        tracing::warn!(peer = peer.name, height, "a peer can't prove its height");
    }
    proven.then_some(claim)
}

async fn order(
    opened: replica::Opened,
    guard: Arc<FileGuard>,
    folder: &Path,
    config: &ReplicaConfig,
    stopped: &watch::Receiver<bool>,
) -> Result<(), ProcessError> {
    let failed = |reason: String| ProcessError::Engine {
        name: config.name.clone(),
        reason,
    };
    let replica = Arc::clone(&opened.replica);
    let engine_config = EngineConfig {
        network: replica.network(),
        moniker: format!("{}-{}", config.name, &hex::encode(replica.network())[..8]),
        keys: opened.keys,
        role: Role::Validator,
        listen: config.consensus,
        peers: config.peers.iter().map(|peer| peer.consensus.clone()).collect(),
        wal: folder.join("data").join("wal"),
        propose_timeout: Duration::from_millis(config.limits.propose_timeout),
        vote_timeout: Duration::from_millis(config.limits.vote_timeout),
        heartbeat: Duration::from_millis(config.limits.heartbeat),
        max_block_bytes: MAX_BLOCK,
    };
    let mut handle = engine::start(engine_config, Box::new(opened.application), guard as Arc<dyn SignGuard>)
        .await
        .map_err(|error| failed(chain(&error)))?;
    replica.set_voting(handle.role() == Role::Validator);
    let waker = handle.waker();
    replica.on_transaction(Box::new(move || waker.wake()));
    let exit = {
        let mut asked = stopped.clone();
        let asked = async move { drop(asked.wait_for(|stop| *stop).await) };
        tokio::select! {
            exit = handle.done() => Some(exit),
            () = asked => None,
        }
    };
    let exit = match exit {
        Some(exit) => exit,
        None => {
            handle.stop();
            handle.done().await
        }
    };
    match exit {
        EngineExit::Stopped => Ok(()),
        EngineExit::BecomeValidator => Err(failed(
            "caught up after losing its data; starts again as a voting validator".into(),
        )),
        EngineExit::Refused(slot) => Err(failed(format!(
            "the signing guard refused {slot:?}; starts again as a follower"
        ))),
        EngineExit::Failed(fatal) => Err(failed(chain(&fatal))),
        EngineExit::Halted => Err(failed(
            "its write-ahead log can't be written or read; look at the disk".into(),
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::{LAYOUT_VERSION, ProcessError, Proven, answers, answers_needed, parse};

    fn claim(peer: usize, members: usize) -> Proven {
        let name = |number| format!("validator-{number}");
        Proven {
            peer: name(peer),
            height: 9,
            from: 5,
            set: (0..members).map(name).collect(),
            quorum: members - (members - 1) / 3,
        }
    }

    #[test]
    fn who_only_follows_is_no_witness() {
        let behind = [3, 4, 5, 6].map(|peer| claim(peer, 4));
        assert_eq!(answers(&behind, (4, 3)), (1, 3));
        let others = [1, 2, 3, 4].map(|peer| claim(peer, 4));
        assert_eq!(answers(&others, (4, 3)), (3, 3));
        assert_eq!(answers(&[], (4, 3)), (0, 3));
    }

    #[test]
    fn settings_of_a_newer_layout_are_named_whatever_else_they_hold() {
        let newer = LAYOUT_VERSION + 1;
        let text = format!(r#"{{"version":{newer},"replicas":{{"what":"we don't know"}}}}"#);
        let error = parse(Path::new("/n/node.json"), text.as_bytes()).err().unwrap();
        assert!(
            matches!(error, ProcessError::Newer { found, .. } if found == newer),
            "{error}"
        );
        assert!(error.to_string().contains("/n/node.json") && error.to_string().contains("newer version"));
    }

    #[test]
    fn one_answer_is_of_an_honest_validator_that_took_part() {
        for validators in 4_usize..=31 {
            let faulty = (validators - 1) / 3;
            let quorum = validators - faulty;
            let needed = answers_needed(validators, quorum);
            // Who decided without this validator: honest ones among the others, at the least.
            let took_part = quorum - 1 - faulty;
            let useless = validators - 1 - took_part;
            assert!(needed > useless && needed < validators, "{needed} of {validators}");
        }
        assert_eq!((answers_needed(4, 3), answers_needed(7, 5)), (3, 5));
    }
}
