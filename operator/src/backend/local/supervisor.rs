//! One task per node: its process runs while it is to run, and comes back when it dies.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use muniment_ledger::config::JOINED;
use muniment_receipts::chain;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::child::{Child, Launch};
use super::files::{self, Access};
use super::log::{Events, LogFile};
use super::orphan;
use crate::backend::BackendError;
use crate::event::{Event, What};
use crate::network::NetworkRef;

/// The first restart comes after 100 to 200 ms: a killed node must be back at the tip within 10 s.
const FIRST_RESTART: Duration = Duration::from_millis(100);
/// The longest pause between restarts, before jitter as long again: also one that was killed often is back in time.
const LAST_RESTART: Duration = Duration::from_secs(2);
/// A process that was ready and lived this long ran well: the next restart is a first one again.
const WELL: Duration = Duration::from_secs(3);

/// What a node's folder must hold, and for which plan.
#[derive(Debug)]
pub(super) struct NodeFiles {
    /// Revision of the plan.
    pub(super) revision: String,
    /// `node.json`.
    pub(super) config: Vec<u8>,
    /// `genesis.json`.
    pub(super) genesis: Vec<u8>,
    /// Where the private keys are kept.
    pub(super) keys: PathBuf,
}

/// What is wanted of a node.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    /// Whether it is to run.
    pub(super) run: bool,
    /// What it is to run with from its next start on.
    pub(super) files: Arc<NodeFiles>,
    /// Raised to ask for a restart if it runs with something else.
    pub(super) refresh: u64,
}

/// What its process does.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    /// Now.
    pub(super) phase: Phase,
    /// Counts the processes.
    pub(super) incarnation: u64,
    /// What it runs with.
    pub(super) revision: Option<String>,
    /// Its process.
    pub(super) pid: Option<u32>,
    /// When the process was started.
    pub(super) since: Option<Instant>,
    /// Restarts that weren't ours.
    pub(super) restarts: u32,
    /// How it last ended, and what it last said.
    pub(super) last_exit: Option<String>,
}

/// What a process does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Doesn't run and isn't to.
    #[default]
    Stopped,
    /// Is to run, or runs.
    Alive,
    /// Died and is started again soon.
    BackingOff,
}

/// How a life ended.
enum End {
    Asked,
    ByItself { well: bool, how: String },
}

/// Keeps one node.
pub(super) struct Supervisor {
    pub(super) network: NetworkRef,
    pub(super) name: String,
    pub(super) launch: Launch,
    pub(super) log: Arc<Mutex<LogFile>>,
    pub(super) events: Events,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) life: watch::Sender<Life>,
    /// Incarnation that was last seen ready.
    pub(super) was_ready: Arc<AtomicU64>,
    /// Told of every change of `life`.
    pub(super) changed: Arc<Notify>,
}

impl Supervisor {
    /// Runs until the orders' sender is gone.
    pub(super) async fn run(mut self) {
        let mut pauses = pauses();
        while self.orders.wait_for(|o| o.run).await.is_ok() {
            match self.live().await {
                End::Asked => {
                    pauses = self::pauses();
                    let run = self.orders.borrow().run;
                    self.lived(None, if run { Phase::Alive } else { Phase::Stopped });
                }
                End::ByItself { well, how } => {
                    if well {
                        pauses = self::pauses();
                    }
                    let after = pauses.next().unwrap_or(LAST_RESTART);
                    self.lived(Some(how), Phase::BackingOff);
                    self.tell(What::Restarting { after });
                    let stopped = timeout(after, self.orders.wait_for(|o| !o.run)).await.is_ok();
                    if stopped {
                        self.lived(None, Phase::Stopped);
                    }
                }
            }
        }
    }

    /// One process from its start to its end.
    async fn live(&mut self) -> End {
        let orders = self.orders.borrow_and_update().clone();
        let mut stop = self.orders.clone();
        let started = tokio::select! {
            started = self.start(&orders.files) => started,
            _ = stop.wait_for(|o| !o.run) => return End::Asked,
        };
        let mut child = match started {
            Ok(child) => child,
            Err(why) => {
                self.tell(What::NotStarted { why: why.clone() });
                return End::ByItself {
                    well: false,
                    how: format!("can't be started: {why}"),
                };
            }
        };
        let since = Instant::now();
        self.born(&child, &orders.files.revision, since);
        loop {
            tokio::select! {
                (how, said) = child.ended() => {
                    let text = said.as_ref().map_or_else(|| how.clone(), |said| format!("{how}: {said}"));
                    self.tell(What::Exited { how, said });
                    let ready = self.was_ready.load(Ordering::Relaxed) == self.life.borrow().incarnation;
                    return End::ByItself { well: ready && since.elapsed() >= WELL, how: text };
                }
                changed = self.orders.changed() => {
                    let now = self.orders.borrow_and_update().clone();
                    let stop = changed.is_err() || !now.run;
                    let roll = now.refresh != orders.refresh && now.files.revision != orders.files.revision;
                    if stop || roll {
                        self.tell(if stop { What::Stopped } else { What::Rolling });
                        child.stop().await;
                        return End::Asked;
                    }
                }
            }
        }
    }

    /// Frees the folder, writes what belongs into it, starts the process.
    async fn start(&self, files: &Arc<NodeFiles>) -> Result<Child, String> {
        let folder = self.launch.folder.clone();
        if let Some(pid) = orphan::clear(&folder).await.map_err(|e| chain(&e))? {
            self.tell(What::OrphanStopped { pid });
        }
        let (name, files) = (self.name.clone(), Arc::clone(files));
        let written = tokio::task::spawn_blocking(move || write(&folder, &name, &files)).await;
        written.map_err(|e| chain(&e))?.map_err(|e| chain(&e))?;
        let program = self.launch.program.display();
        Child::start(&self.launch, &self.log).map_err(|e| format!("{program} can't be run: {e}"))
    }

    fn born(&self, child: &Child, revision: &str, since: Instant) {
        self.life.send_modify(|life| {
            life.phase = Phase::Alive;
            life.incarnation += 1;
            life.revision = Some(revision.to_owned());
            life.pid = Some(child.pid);
            life.since = Some(since);
        });
        self.changed.notify_one();
        self.tell(What::Started { pid: child.pid });
    }

    fn lived(&self, exit: Option<String>, phase: Phase) {
        self.life.send_modify(|life| {
            life.phase = phase;
            life.revision = None;
            life.pid = None;
            life.since = None;
            if exit.is_some() {
                life.restarts = life.restarts.saturating_add(1);
                life.last_exit = exit;
            }
        });
        self.changed.notify_one();
    }

    fn tell(&self, what: What) {
        self.events.tell(Event {
            network: self.network.clone(),
            validator: Some(self.name.clone()),
            what,
        });
    }
}

/// A node's folder as it must be; a folder that was wiped is made anew with the same keys.
///
/// Keys without a memory of what they signed could sign twice for a height. So that these keys were handed to a process
/// is recorded beside the durable keys, before the first process starts; when they come back into a folder that has lost
/// them, the marker goes in before them. A node that merely died early keeps its folder and gets no marker: were all of
/// a new network marked, none would ever vote.
fn write(folder: &Path, name: &str, wanted: &NodeFiles) -> Result<(), BackendError> {
    let replica = folder.join(name);
    let handed_out = wanted.keys.with_extension("used");
    files::folder(&replica, Access::Private)?;
    let keys = files::read(&wanted.keys)?.ok_or_else(|| BackendError::File {
        what: "read",
        path: wanted.keys.clone(),
        source: std::io::ErrorKind::NotFound.into(),
    })?;
    let own_keys = replica.join("keys.json");
    if files::read(&handed_out)?.is_some() && files::read(&own_keys)?.is_none() {
        files::write(&replica.join(JOINED), b"", Access::Shared)?;
    }
    files::write(&own_keys, &keys, Access::Private)?;
    files::write(&replica.join("genesis.json"), &wanted.genesis, Access::Shared)?;
    files::write(&folder.join("node.json"), &wanted.config, Access::Private)?;
    files::write(&handed_out, b"", Access::Private)
}

fn pauses() -> impl Iterator<Item = Duration> {
    let seed = getrandom::u64().unwrap_or_default();
    ExponentialBuilder::new()
        .with_min_delay(FIRST_RESTART)
        .with_max_delay(LAST_RESTART)
        .with_jitter()
        .with_jitter_seed(seed)
        .without_max_times()
        .build()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    #[test]
    fn the_first_restart_is_fast_and_later_ones_are_bounded() {
        for _ in 0..100 {
            let all: Vec<_> = super::pauses().take(40).collect();
            assert!(all[0].as_millis() >= 100 && all[0].as_millis() <= 200, "{:?}", all[0]);
            // With the start of a process this stays within 10 s.
            assert!(all.iter().all(|p| p.as_secs() <= 4), "{all:?}");
            assert!(all[39].as_secs() >= 2);
        }
    }
}
