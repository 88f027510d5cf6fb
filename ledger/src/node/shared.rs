//! What all parts of a node hold together.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use tokio::sync::{Notify, watch};

use super::health::Health;
use super::metrics::Metrics;
use super::peers::Peer;
use super::problem::Failure;
use super::relay::Queue;
use crate::config::ReplicaConfig;
use crate::replica::{ReadError, Replica};

/// One per replica, behind an [`Arc`].
pub struct Shared {
    pub replica: Arc<dyn Replica>,
    pub config: ReplicaConfig,
    pub peers: Vec<Arc<Peer>>,
    /// What waits to be relayed, by peer.
    pub queues: Vec<Arc<Queue>>,
    pub health: Health,
    /// Told when the replica will not move any more in this process.
    pub stuck: Notify,
    pub metrics: Metrics,
    pub more_metrics: fn() -> String,
    /// True once the node shuts down.
    pub stopped: watch::Receiver<bool>,
}

impl Shared {
    pub fn new(
        replica: Arc<dyn Replica>,
        config: ReplicaConfig,
        http: &reqwest::Client,
        more_metrics: fn() -> String,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let peers: Vec<_> = config
            .peers
            .iter()
            .map(|peer| Arc::new(Peer::new(peer, &config.token, http.clone())))
            .collect();
        let queues = peers.iter().map(|_| Arc::new(Queue::default())).collect();
        let metrics = Metrics::new(&replica.network(), &config.name);
        Self {
            replica,
            config,
            peers,
            queues,
            health: Health::default(),
            stuck: Notify::new(),
            metrics,
            more_metrics,
            stopped,
        }
    }

    /// Asks the replica on a thread that may block on the disk.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Replica) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let replica = Arc::clone(&self.replica);
        web::block(move || question(&*replica))
            .await
            .map_err(|_| Failure::internal("a worker thread was cancelled"))
    }

    /// As [`Self::ask`], for reads that may fail.
    pub async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Replica) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Failure> {
        self.ask(question).await?.map_err(|error| Failure::read(&error))
    }

    /// Ready when the node shuts down.
    pub async fn stopping(&self) {
        // An error means that the sender is gone, which is the end as well.
        let _ = self.stopped.clone().wait_for(|stopped| *stopped).await;
    }

    /// Sleeps; false when the node shuts down meanwhile.
    pub async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            () = self.stopping() => false,
        }
    }
}
