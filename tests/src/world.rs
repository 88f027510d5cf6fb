//! What a scenario may do to a running system. Two harnesses: [local processes](crate::local), and [a real
//! Kubernetes](crate::cluster).

use async_trait::async_trait;
use muniment_ledger::client::NetworkClient;
use muniment_ledger::wire::NodeStatus;
use muniment_receipts::trust::TrustRoot;

use crate::api::Api;
use crate::binary::Finished;
use crate::party::Party;

/// A running system with one network.
#[async_trait]
pub trait World: Send + Sync {
    /// The management API.
    fn api(&self) -> Api;
    /// Runs the command line as a user of the network would.
    fn run(&self, words: &[&str]) -> Finished;
    /// Names of the validators.
    fn validators(&self) -> Vec<String>;
    /// A client of one validator's own API, and of no other.
    fn node(&self, validator: &str) -> NetworkClient;
    /// A client of all validators.
    fn network(&self) -> NetworkClient;
    /// The network's trust root.
    fn trust(&self) -> TrustRoot;
    /// A party of the network that signs for itself.
    fn party(&self) -> Party;
    /// kill -9 of one validator. Its supervisor may start it again at once.
    async fn kill(&mut self, validator: &str);
    /// Stops a validator from doing anything until [`World::resume`].
    async fn pause(&mut self, validator: &str);
    /// Lets a paused validator go on.
    async fn resume(&mut self, validator: &str);
    /// Kills a validator and keeps it from living until [`World::put_back`].
    async fn take_away(&mut self, validator: &str);
    /// Lets a validator that was taken away live again.
    async fn put_back(&mut self, validator: &str);
    /// kill -9 of the process of the API alone. Whoever supervises it may start it again.
    async fn kill_api(&mut self);
    /// kill -9 of the API and all validators at once. Whoever supervises them from outside may start them again.
    async fn kill_all(&mut self);
    /// Starts what is not running, and waits until it says it is ready.
    async fn start(&mut self);
    /// Removes all that a validator has stored, keys excepted, and lets it start again.
    async fn wipe(&mut self, validator: &str);
}

/// Each validator's status; those that don't answer are left out.
pub async fn statuses(world: &dyn World) -> Vec<NodeStatus> {
    world
        .network()
        .status()
        .await
        .into_iter()
        .filter_map(|(_, status)| status.ok())
        .collect()
}

/// Waits until all validators are at one height, with one state root and one log size, and answers these.
pub async fn agreement(world: &dyn World) -> NodeStatus {
    let validators = world.validators().len();
    crate::poll::until(
        "all validators are at the same height with the same state root",
        || async {
            let all = statuses(world).await;
            let key = |status: &NodeStatus| (status.height, status.state_root.clone(), status.log_size);
            let first = all.first()?;
            (all.len() == validators && all.iter().all(|status| key(status) == key(first))).then(|| first.clone())
        },
    )
    .await
}
