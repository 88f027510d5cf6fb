//! What serves one replica, whoever listens: its shared state and its tasks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::shared::Shared;
use super::{NodeError, cosign, health, relay};
use crate::config::ReplicaConfig;
use crate::replica::Replica;
use crate::tls::{self, Identity, TlsError};

/// The HTTP client for peers. Replicas of one process share it.
pub fn http(identity: Option<&Identity>) -> Result<reqwest::Client, NodeError> {
    let client = tls::http(identity)?
        .no_proxy()
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(1))
        .pool_idle_timeout(Duration::from_secs(90))
        .redirect(reqwest::redirect::Policy::none())
        .build();
    Ok(client.map_err(TlsError::Client)?)
}

/// Dropping it ends the tasks; [`Desk::close`] waits until they have ended.
pub struct Desk {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Desk {
    pub fn open(
        replica: Arc<dyn Replica>,
        config: ReplicaConfig,
        http: reqwest::Client,
        more_metrics: fn() -> String,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared::new(replica, config, &http, more_metrics, stopped));
        let mut tasks = JoinSet::new();
        relay::spawn(&shared, &mut tasks);
        cosign::spawn(&shared, &mut tasks);
        health::spawn(&shared, &mut tasks);
        Self { shared, stop, tasks }
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Ready when the replica will not move any more in this run.
    pub async fn stuck(&self) {
        self.shared.stuck.notified().await;
    }

    /// Asks tasks and requests to end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub async fn close(mut self) {
        self.stop();
        self.tasks.shutdown().await;
    }
}
