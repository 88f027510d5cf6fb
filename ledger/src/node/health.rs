//! Whether this replica does its part, judged by progress and not by "the process is up".

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde::Serialize;
use tokio::task::JoinSet;

use super::shared::Shared;

/// How often the peers are asked for their height.
const PROBE: Duration = Duration::from_secs(5);
/// At the start it asks sooner, each time after twice as long: the network is ready when its validators have found each
/// other. (Not more often than that: hundreds of replicas may start at once.)
const FIRST_PROBE: Duration = Duration::from_millis(300);
/// Transactions wait and no block comes for this long: stalled.
const STALL: Duration = Duration::from_secs(15);
/// Behind and not moving for this long: the process ends, to be started again.
const STUCK: Duration = Duration::from_secs(60);
/// A probe is seconds old, so being this far below an old height of a peer is being behind.
const BEHIND: u64 = 2;

/// Remembers when the replica last moved or had no reason to.
pub struct Health(Mutex<Moved>);

struct Moved {
    height: u64,
    at: Instant,
    /// Since when it is behind at this height.
    behind: Option<Instant>,
}

impl Default for Health {
    fn default() -> Self {
        Self(Mutex::new(Moved {
            height: 0,
            at: Instant::now(),
            behind: None,
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
            let behind = moved.behind.filter(|_| height == moved.height);
            *moved = Moved {
                height,
                at: Instant::now(),
                behind,
            };
        }
        moved.at.elapsed() > STALL
    }

    /// Is it behind for so long, without moving, that this process will not catch up any more?
    fn stuck(&self, height: u64, behind: bool) -> bool {
        let mut moved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !behind || height != moved.height {
            moved.behind = None;
            return false;
        }
        moved.behind.get_or_insert_with(Instant::now).elapsed() > STUCK
    }
}

/// Ready: may vote, isn't behind the peers, and blocks come when transactions wait.
pub fn readiness(shared: &Shared) -> Readiness {
    let height = shared.replica.tip().height;
    let mut reasons = Vec::new();
    if !shared.replica.voting() {
        reasons.push("not voting yet");
    }
    if is_behind(shared, height) {
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

/// May vote and isn't behind its peers, whether or not the network as a whole gets on.
pub fn takes_part(shared: &Shared) -> bool {
    shared.replica.voting() && !is_behind(shared, shared.replica.tip().height)
}

/// Are more peers ahead than may lie? Heights are claims, so the highest ones alone say nothing.
fn is_behind(shared: &Shared, height: u64) -> bool {
    let (validators, _) = shared.replica.quorum();
    let ahead = shared.peers.iter().map(|peer| peer.status());
    let ahead = ahead.filter(|peer| peer.connected && peer.height > height.saturating_add(BEHIND));
    ahead.count() > validators.saturating_sub(1) / 3
}

/// Do more peers than may lie have transactions at this height, and this replica none? Then nobody relays to it, as to a
/// validator that joined before the others knew its address: they may be waiting for its vote.
fn is_left_out(shared: &Shared, height: u64) -> bool {
    let (validators, _) = shared.replica.quorum();
    let waiting = shared.peers.iter().filter(|peer| peer.waits_at(height)).count();
    shared.replica.mempool().0 == 0 && waiting > validators.saturating_sub(1) / 3
}

/// Peers that answer and this replica make a quorum.
pub fn quorum_here(shared: &Shared) -> bool {
    let here = shared.peers.iter().filter(|peer| peer.status().connected).count() + 1;
    shared.replica.voting() && here >= shared.replica.quorum().1
}

/// What is known of a replica that stands still while its peers go on, for whoever looks for the reason.
fn dump(shared: &Shared, height: u64) {
    let replica = &shared.replica;
    let (waiting, bytes) = replica.mempool();
    let (final_height, voting) = (*replica.watch_final().borrow(), replica.voting());
    tracing::error!(
        height,
        final_height,
        voting,
        waiting,
        bytes,
        "stuck behind its peers; ending, to be started again"
    );
    for peer in shared.peers.iter().map(|peer| peer.status()) {
        tracing::error!(
            peer = peer.name,
            connected = peer.connected,
            height = peer.height,
            "peer of a stuck replica"
        );
    }
}

/// Blocks that an idle network makes for a peer that says it lost its data. It says so without proof, so there is a
/// budget for each: a liar costs a few blocks an hour, and who tells the truth needs no more to pass its floor.
struct Favours(Vec<(Option<Instant>, u32)>);

impl Favours {
    const EACH: u32 = 8;
    const PERIOD: Duration = Duration::from_secs(3_600);

    fn new(peers: usize) -> Self {
        Self(vec![(None, 0); peers])
    }

    /// Whether a block is to be made for one of those who follow.
    fn grant(&mut self, follows: impl Iterator<Item = bool>, now: Instant) -> bool {
        let mut granted = false;
        for ((since, used), _) in self.0.iter_mut().zip(follows).filter(|(_, follows)| *follows) {
            if since.is_none_or(|since| now.duration_since(since) >= Self::PERIOD) {
                (*since, *used) = (Some(now), 0);
            }
            if *used < Self::EACH {
                *used += 1;
                granted = true;
            }
        }
        granted
    }
}

/// Asks the peers every few seconds; this is also how a peer's return is noticed on an idle network.
pub fn spawn(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    let shared = Arc::clone(shared);
    tasks.spawn(async move {
        let (mut favours, mut soon) = (Favours::new(shared.peers.len()), FIRST_PROBE);
        loop {
            let probes = join_all(shared.peers.iter().map(|peer| peer.probe()));
            tokio::select! {
                _ = probes => {}
                () = shared.stopping() => return,
            }
            let _ = readiness(&shared);
            let height = shared.replica.tip().height;
            if shared.replica.voting() {
                let follows = shared.peers.iter().map(|peer| peer.follows_at(height));
                if favours.grant(follows, Instant::now()) {
                    shared.replica.want_block();
                }
                if is_left_out(&shared, height) {
                    shared.replica.want_block();
                }
            }
            if shared.health.stuck(height, is_behind(&shared, height)) {
                dump(&shared, height);
                shared.stuck.notify_one();
                return;
            }
            let all_here = shared.peers.iter().all(|peer| peer.status().connected);
            let pause = if all_here { PROBE } else { soon.min(PROBE) };
            soon = soon.saturating_mul(2);
            if !shared.pause(pause).await {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_always_follows_gets_few_blocks_an_hour() {
        let (mut favours, start) = (Favours::new(2), Instant::now());
        let mut granted =
            |follows: [bool; 2], seconds: u64| favours.grant(follows.into_iter(), start + Duration::from_secs(seconds));
        let made = (0..700).filter(|probe| granted([true, false], probe * 5)).count();
        assert_eq!(made, Favours::EACH as usize);
        assert!(granted([true, true], 3_500), "another peer has a budget of its own");
        assert!(granted([true, false], 3_600), "and there is a new one every hour");
        assert!(!granted([false, false], 3_601));
    }
}
