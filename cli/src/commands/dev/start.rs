//! Waiting until a network can take writes.

use std::time::{Duration, Instant};

use muniment_crds::LedgerNetworkStatus;
use muniment_crds::condition::kind;
use muniment_operator::{BackendError, Controller, PlanError, ReconcileError};
use tokio::time::timeout;

use super::sentence;
use crate::error::{Failure, Result};

/// How long a start may take before it is called failed: a slow machine with a long log to check needs some.
const LIMIT: Duration = Duration::from_secs(120);
/// How long a failure that may pass is waited out: a port or a file of a process that is just ending.
const PATIENCE: Duration = Duration::from_secs(2);

/// A network that can take writes.
pub struct Up {
    /// Validators in the set.
    pub validators: u32,
    /// Signatures needed.
    pub quorum: u32,
    /// Height.
    pub height: u64,
    /// What the description says and the sealed genesis doesn't, one phrase each.
    pub deferred: Vec<String>,
}

/// Waits until a quorum of validators say that they are ready.
///
/// # Errors
/// When the network can't be made, or isn't ready in time.
pub async fn quorum(controller: &Controller, key: &str) -> Result<Up> {
    let mut outcomes = controller.outcomes();
    let wait = async {
        let mut failing = None;
        loop {
            match outcomes.borrow_and_update().get(key) {
                Some(Ok(status)) if status.validators.ready >= status.validators.quorum.max(1) => {
                    let validators = &status.validators;
                    return Ok(Up {
                        validators: validators.desired,
                        quorum: validators.quorum,
                        height: status.height,
                        deferred: deferred(status),
                    });
                }
                Some(Err(error)) => {
                    let since = failing.get_or_insert_with(Instant::now);
                    if !error.retry() || since.elapsed() > PATIENCE {
                        return Err(sentence(code(error), error.as_ref()));
                    }
                }
                _ => failing = None,
            }
            if outcomes.changed().await.is_err() {
                return Err(Failure::new(
                    "network",
                    "the supervisor ended",
                    "see the logs in the data folder",
                ));
            }
        }
    };
    timeout(LIMIT, wait).await.unwrap_or_else(|_| {
        Err(Failure::new(
            "not_ready",
            format!("network {key} has no quorum of validators after {} s", LIMIT.as_secs()),
            "see why in the data folder's logs, one file per validator",
        ))
    })
}

fn code(error: &ReconcileError) -> &'static str {
    match error {
        ReconcileError::Plan(PlanError::NotAMember { .. }) => "signing_key_lost",
        ReconcileError::Backend(BackendError::PortTaken { .. }) => "address_taken",
        _ => "network",
    }
}

fn deferred(status: &LedgerNetworkStatus) -> Vec<String> {
    let applied = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind::SPEC_APPLIED);
    let message = applied
        .filter(|condition| condition.status == "False")
        .map(|condition| &condition.message);
    message.map_or_else(Vec::new, |text| text.split(" · ").map(str::to_owned).collect())
}
