//! Whether this replica does its part, judged by progress and not by "the process is up".

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde::Serialize;
use tokio::task::JoinSet;

use super::shared::Shared;

/// How often the peers are asked for their height.
const PROBE: Duration = Duration::from_secs(5);
/// Transactions wait and no block comes for this long: stalled.
const STALL: Duration = Duration::from_secs(15);
/// A probe is seconds old, so being this far below an old height of a peer is being behind.
const BEHIND: u64 = 2;

/// Remembers when the replica last moved or had no reason to.
pub struct Health(Mutex<Moved>);

struct Moved {
    height: u64,
    at: Instant,
}

impl Default for Health {
    fn default() -> Self {
        Self(Mutex::new(Moved {
            height: 0,
            at: Instant::now(),
        }))
    }
}

/// Answer of `/readyz`.
#[derive(Debug, Serialize)]
pub struct Readiness {
    pub ready: bool,
    pub height: u64,
    /// Why it isn't ready; empty when it is.
    pub reasons: Vec<&'static str>,
}

impl Health {
    fn stalled(&self, height: u64, waiting: usize) -> bool {
        let mut moved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if height != moved.height || waiting == 0 {
            *moved = Moved {
                height,
                at: Instant::now(),
            };
        }
        moved.at.elapsed() > STALL
    }
}

/// Ready: may vote, isn't behind the peers, and blocks come when transactions wait.
pub fn readiness(shared: &Shared) -> Readiness {
    let height = shared.replica.tip().height;
    let mut reasons = Vec::new();
    if !shared.replica.voting() {
        reasons.push("not voting yet");
    }
    let best = shared
        .peers
        .iter()
        .map(|peer| peer.status())
        .filter(|peer| peer.connected)
        .map(|peer| peer.height);
    if best.max().is_some_and(|best| best > height + BEHIND) {
        reasons.push("behind its peers");
    }
    if shared.health.stalled(height, shared.replica.mempool().0) {
        reasons.push("transactions wait and no block comes");
    }
    Readiness {
        ready: reasons.is_empty(),
        height,
        reasons,
    }
}

/// Peers that answer and this replica make a quorum.
pub fn quorum_here(shared: &Shared) -> bool {
    let here = shared.peers.iter().filter(|peer| peer.status().connected).count() + 1;
    shared.replica.voting() && here >= shared.replica.quorum().1
}

/// Asks the peers every few seconds; this is also how a peer's return is noticed on an idle network.
pub fn spawn(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    let shared = Arc::clone(shared);
    tasks.spawn(async move {
        loop {
            let probes = join_all(shared.peers.iter().map(|peer| peer.probe()));
            tokio::select! {
                _ = probes => {}
                () = shared.stopping() => return,
            }
            let _ = readiness(&shared);
            if !shared.pause(PROBE).await {
                return;
            }
        }
    });
}
