//! Leader election by Lease: one replica writes. A lease is advisory, so every write is idempotent all the same.

use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{OperatorConfig, OperatorError};

/// A lease that isn't renewed for this long, in seconds, is free.
const DURATION: u64 = 15;
/// Seconds before that at which it is renewed.
const GRACE: u64 = 5;

/// A lease that is held.
pub struct Lease {
    held: Option<watch::Receiver<bool>>,
    task: JoinHandle<Result<LeaseManager, LeaseManagerError>>,
}

impl Lease {
    /// Waits until the lease is ours.
    pub async fn acquire(client: &Client, config: &OperatorConfig) -> Result<Self, OperatorError> {
        let manager = LeaseManagerBuilder::new(client.clone(), config.lease.clone())
            .with_namespace(config.settings.namespace.clone())
            .with_identity(config.identity.clone())
            .with_duration(DURATION)
            .with_grace(GRACE)
            .build()
            .await
            .map_err(OperatorError::Lease)?;
        let (mut held, task) = manager.watch().await;
        tracing::info!(
            lease = config.lease,
            identity = config.identity,
            "waiting for the lease"
        );
        if held.wait_for(|held| *held).await.is_err() {
            return match task.await {
                Ok(Err(error)) => Err(OperatorError::Lease(error)),
                _ => Err(OperatorError::LostLease),
            };
        }
        tracing::info!(lease = config.lease, "holds the lease");
        Ok(Self { held: Some(held), task })
    }

    /// Ends when the lease isn't ours any more.
    pub async fn lost(&mut self) {
        if let Some(held) = &mut self.held {
            // An error means that nobody renews it any more.
            let _ = held.wait_for(|held| !*held).await;
        }
    }

    /// Gives the lease up, so that another replica goes on at once.
    pub async fn release(mut self) {
        self.held = None;
        if let Ok(Err(error)) = self.task.await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the lease wasn't released");
        }
    }
}
