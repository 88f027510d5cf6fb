//! Waiting until a network can take writes.

use std::time::Duration;

use muniment_operator::Controller;
use tokio::time::timeout;

use super::sentence;
use crate::error::{Failure, Result};

/// How long a start may take before it is called failed: a slow machine with a long log to check needs some.
const LIMIT: Duration = Duration::from_secs(120);

/// A network that can take writes.
pub struct Up {
    /// Validators in the set.
    pub validators: u32,
    /// Signatures needed.
    pub quorum: u32,
    /// Height.
    pub height: u64,
}

/// Waits until a quorum of validators say that they are ready.
///
/// # Errors
/// When the network can't be made, or isn't ready in time.
pub async fn quorum(controller: &Controller, key: &str) -> Result<Up> {
    let mut outcomes = controller.outcomes();
    let wait = async {
        loop {
            match outcomes.borrow_and_update().get(key) {
                Some(Ok(status)) if status.validators.ready >= status.validators.quorum.max(1) => {
                    let validators = &status.validators;
                    return Ok(Up {
                        validators: validators.desired,
                        quorum: validators.quorum,
                        height: status.height,
                    });
                }
                Some(Err(error)) if !error.retry() => return Err(sentence("network", error.as_ref())),
                _ => {}
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
