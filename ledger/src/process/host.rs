//! A process that hosts a changing set of replicas: many networks in one fault domain.
//!
//! Owns which replicas run: it notices when what is mounted changes, starts new ones, stops removed ones, and starts a
//! failed one again, alone, with back-off. What happens to one replica never ends another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures::future::BoxFuture;
use muniment_receipts::chain;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Front, ProcessError, file, run_replica, termination};
use crate::mounted::seats::{self, Mounted, Seat};
use crate::node::host::{Addresses, Seats, serve};
use crate::pid::PidFile;

/// Between looks at the mounted files: one link is read.
const LOOK: Duration = Duration::from_millis(200);
/// A replica that ran so long starts a new series of failures.
const STABLE: Duration = Duration::from_secs(60);
/// Most time that all replicas together may take to stop.
const STOP: Duration = Duration::from_secs(20);

/// Hosts the replicas whose seats are mounted at `from`, in `folder`, until a termination signal.
///
/// # Errors
/// [`ProcessError`] when the host itself can't go on; never because of one replica.
pub fn run_host<'a>(from: &'a Path, folder: &'a Path, addresses: Addresses) -> BoxFuture<'a, Result<(), ProcessError>> {
    Box::pin(async move { host(from, folder, addresses, Box::pin(termination())).await })
}

/// As [`run_host`], until `stopped` is ready.
///
/// # Errors
/// As [`run_host`].
pub async fn host(
    from: &Path,
    folder: &Path,
    addresses: Addresses,
    stopped: BoxFuture<'_, ()>,
) -> Result<(), ProcessError> {
    std::fs::create_dir_all(folder).map_err(|source| file("create", folder, source))?;
    let _claim = PidFile::claim(folder)?;
    let failed = |source| ProcessError::Serve {
        name: "host".to_owned(),
        source,
    };
    let seats = Seats::new().map_err(failed)?;
    let mut keeper = Keeper {
        seats: seats.clone(),
        from: from.to_owned(),
        folder: folder.to_owned(),
        running: BTreeMap::new(),
    };
    let (down, mut is_down) = watch::channel(false);
    let shutdown = Box::pin(async move { drop(is_down.wait_for(|down| *down).await) });
    let mut serving = Box::pin(serve(addresses, seats, shutdown));
    let ended = tokio::select! {
        served = &mut serving => Some(served),
        () = keeper.keep() => None,
        () = stopped => None,
    };
    keeper.stop_all().await;
    down.send_replace(true);
    match ended {
        Some(served) => served.map_err(failed),
        None => serving.await.map_err(failed),
    }
}

/// A seat in which a replica is kept running.
struct Kept {
    /// What is to run there; `None`: nothing any more.
    orders: watch::Sender<Option<Seat>>,
    /// Folder of its data.
    folder: String,
    task: JoinHandle<()>,
}

struct Keeper {
    seats: Seats,
    from: PathBuf,
    folder: PathBuf,
    running: BTreeMap<String, Kept>,
}

impl Keeper {
    /// Follows what is mounted, for ever.
    async fn keep(&mut self) {
        let (mut seen, mut pending) = (None, false);
        loop {
            match seats::version(&self.from) {
                Ok(now) if !pending && seen.as_ref() == Some(&now) => {}
                Ok(now) => match seats::read(&self.from) {
                    Ok(mounted) => {
                        seen = Some(now);
                        pending = !self.follow(mounted).await;
                    }
                    Err(error) => said(&error),
                },
                Err(error) if seen.is_none() => said(&error),
                // The replicas that run go on.
                Err(_) => {}
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Brings what runs up to what is mounted. `false` when something of it has to be tried again.
    async fn follow(&mut self, mounted: Mounted) -> bool {
        self.running.retain(|_, kept| !kept.task.is_finished());
        for (name, kept) in &self.running {
            if !mounted.seats.contains_key(name) {
                kept.orders.send_replace(None);
            }
        }
        let mut whole = true;
        for (name, seat) in mounted.seats {
            match self.running.get_mut(&name) {
                // One that is on its way out comes back when it is gone.
                Some(kept) if kept.orders.borrow().is_none() => whole = false,
                Some(kept) => {
                    kept.folder.clone_from(&seat.folder);
                    kept.orders.send_if_modified(|ordered| {
                        let differs = ordered.as_ref() != Some(&seat);
                        *ordered = Some(seat);
                        differs
                    });
                }
                None => {
                    let kept = self.start(seat);
                    self.running.insert(name, kept);
                }
            }
        }
        self.seats.are_known();
        self.erase(&mounted.erase).await && whole
    }

    fn start(&self, seat: Seat) -> Kept {
        tracing::info!(seat = seat.name, "seat taken");
        let (name, folder) = (seat.name.clone(), seat.folder.clone());
        let (orders, ordered) = watch::channel(Some(seat));
        let task = tokio::spawn(supervise(self.seats.clone(), self.folder.clone(), name, ordered));
        Kept { orders, folder, task }
    }

    /// Removes the data of networks that are gone for good. `false` when some of it is still there.
    async fn erase(&self, folders: &BTreeSet<String>) -> bool {
        let mut gone = BTreeSet::new();
        for name in folders {
            if self.running.values().any(|kept| kept.folder == *name) {
                continue;
            }
            let path = self.folder.join(name);
            let removed = spawn_blocking(move || match std::fs::remove_dir_all(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            });
            match removed.await {
                Ok(Ok(())) => drop(gone.insert(name.clone())),
                Ok(Err(error)) => tracing::error!(folder = name, %error, "data can't be erased"),
                Err(_) => {}
            }
        }
        let whole = gone.len() == folders.len();
        self.seats.are_erased(gone);
        whole
    }

    async fn stop_all(&mut self) {
        for kept in self.running.values() {
            kept.orders.send_replace(None);
        }
        let tasks = std::mem::take(&mut self.running).into_values().map(|kept| kept.task);
        if tokio::time::timeout(STOP, futures::future::join_all(tasks))
            .await
            .is_err()
        {
            tracing::warn!("some replicas didn't stop in time");
        }
    }
}

fn said(error: &(dyn std::error::Error + 'static)) {
    tracing::error!(error, "what is mounted can't be read");
}

/// Keeps one seat's replica running until it is ordered away.
async fn supervise(seats: Seats, host: PathBuf, name: String, mut ordered: watch::Receiver<Option<Seat>>) {
    let mut pauses = pauses();
    loop {
        let Some(seat) = ordered.borrow_and_update().clone() else {
            break;
        };
        seats.starting(&name, &seat.replica, &seat.settings);
        let begin = Instant::now();
        let (stop, stopped) = watch::channel(false);
        // A task of its own: a panic in it is one more way to fail.
        let mut run = tokio::spawn(run_seat(seats.clone(), host.clone(), seat, stopped));
        let ended = tokio::select! {
            ended = &mut run => Some(ended),
            // An error means that nobody orders any more, which is an order to go.
            changed = ordered.changed() => {
                stop.send_replace(true);
                let _ = run.await;
                if changed.is_err() {
                    break;
                }
                None
            }
        };
        let Some(ended) = ended else {
            pauses = self::pauses();
            continue;
        };
        let why = match ended {
            Ok(Ok(())) => "it ended without being asked to".to_owned(),
            Ok(Err(error)) => chain(&error),
            Err(panic) => format!("it panicked: {panic}"),
        };
        tracing::error!(seat = name, why, "replica ended; it is started again");
        seats.failed(&name, why);
        if begin.elapsed() > STABLE {
            pauses = self::pauses();
        }
        tokio::select! {
            () = tokio::time::sleep(pauses.next().unwrap_or(STABLE)) => {}
            changed = ordered.changed() => match changed {
                Ok(()) => pauses = self::pauses(),
                Err(_) => break,
            },
        }
    }
    seats.removed(&name);
    tracing::info!(seat = name, "seat given up");
}

async fn run_seat(seats: Seats, host: PathBuf, seat: Seat, stopped: watch::Receiver<bool>) -> Result<(), ProcessError> {
    let (name, replica) = (seat.name.clone(), seat.replica.clone());
    let adopted = spawn_blocking(move || seat.adopt(&host)).await;
    let folder = match adopted {
        Ok(folder) => folder.map_err(|source| ProcessError::Mounted {
            name: name.clone(),
            source,
        })?,
        // Only a process that ends loses such work.
        Err(_) => return Ok(()),
    };
    run_replica(folder, replica, Front::Seat { seats, name }, stopped).await
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(30))
        .with_jitter()
        .without_max_times()
        .build()
}
