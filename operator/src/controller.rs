//! Keeps networks as they are wanted: a level-triggered loop over [`Reconciler::reconcile`].
//!
//! Woken by the backend, by a change of what is wanted, and by a slow period in case a wake-up was lost. Every pass
//! starts from what is seen, never from what was done before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use muniment_crds::{LedgerNetwork, LedgerNetworkStatus};
use muniment_receipts::genesis::Member;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backend::Backend;
use crate::reconcile::{ReconcileError, Reconciler};

/// In case a wake-up was lost.
const PERIOD: Duration = Duration::from_secs(60);
/// Wake-ups within this time are answered by one pass.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// A network that is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The resource.
    pub resource: LedgerNetwork,
    /// Members that join those of the resource in a new genesis.
    pub members: Vec<Member>,
}

impl Desired {
    fn key(&self) -> String {
        let metadata = &self.resource.metadata;
        let part = |p: &Option<String>| p.clone().unwrap_or_default();
        format!("{}/{}", part(&metadata.namespace), part(&metadata.name))
    }
}

/// Result of the last pass over a network.
pub type Outcome = Result<LedgerNetworkStatus, Arc<ReconcileError>>;

/// A running loop; ends when it is dropped.
pub struct Controller {
    desired: watch::Sender<Vec<Desired>>,
    outcomes: watch::Receiver<BTreeMap<String, Outcome>>,
    _task: JoinSet<()>,
}

impl Controller {
    /// Starts the loop.
    pub fn start<B: Backend>(reconciler: Arc<Reconciler<B>>, desired: Vec<Desired>) -> Self {
        let (desired, wanted) = watch::channel(desired);
        let (report, outcomes) = watch::channel(BTreeMap::new());
        let mut task = JoinSet::new();
        task.spawn(run(reconciler, wanted, report));
        Self {
            desired,
            outcomes,
            _task: task,
        }
    }

    /// Replaces what is wanted. Networks that are no longer wanted are left as they are until they are removed.
    pub fn want(&self, desired: Vec<Desired>) {
        self.desired.send_replace(desired);
    }

    /// Outcomes by `tenant/network`, changed at every pass that differs.
    pub fn outcomes(&self) -> watch::Receiver<BTreeMap<String, Outcome>> {
        self.outcomes.clone()
    }
}

async fn run<B: Backend>(
    reconciler: Arc<Reconciler<B>>,
    mut wanted: watch::Receiver<Vec<Desired>>,
    report: watch::Sender<BTreeMap<String, Outcome>>,
) {
    let mut wakeups = reconciler.backend().wakeups();
    let mut delays = delays();
    loop {
        // Marked as seen before the pass: what changes during it leads to another.
        let desired = wanted.borrow_and_update().clone();
        wakeups.borrow_and_update();
        let mut outcomes = BTreeMap::new();
        for one in &desired {
            let outcome = reconciler
                .reconcile(&one.resource, &one.members)
                .await
                .map_err(Arc::new);
            if let Err(error) = &outcome {
                tracing::warn!(
                    network = one.key(),
                    error = error.as_ref() as &dyn std::error::Error,
                    "network can't be kept"
                );
            }
            outcomes.insert(one.key(), outcome);
        }
        let retry = outcomes.values().any(|o| o.as_ref().is_err_and(|e| e.retry()));
        report.send_replace(outcomes);
        let pause = if retry {
            delays.next().unwrap_or(PERIOD)
        } else {
            delays = self::delays();
            PERIOD
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            changed = wanted.changed() => if changed.is_err() { return },
            changed = wakeups.changed() => {
                if changed.is_err() { return }
                tokio::time::sleep(DEBOUNCE).await;
            }
        }
    }
}

/// Pauses after a failure that trying again may cure.
fn delays() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(30))
        .with_jitter()
        .without_max_times()
        .build()
}
