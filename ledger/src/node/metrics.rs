//! Metrics in the OpenMetrics text format.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::health;
use super::shared::Shared;
use crate::block::Hash;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PeerLabel {
    peer: String,
}

type Number = Gauge<u64, AtomicU64>;
type ByPeer = Family<PeerLabel, Counter>;

/// Counters as they happen; gauges are set when somebody looks.
pub struct Metrics {
    registry: Registry,
    height: Number,
    final_height: Number,
    cosignature_lag: Number,
    log_size: Number,
    mempool_transactions: Number,
    mempool_bytes: Number,
    peers: Number,
    ready: Number,
    submitted: Counter,
    relayed: ByPeer,
    relay_failures: ByPeer,
    relay_dropped: ByPeer,
    cosignature_failures: ByPeer,
}

impl Metrics {
    pub fn new(network: &Hash, name: &str) -> Self {
        let labels = [
            ("network".into(), hex::encode(&network[..8]).into()),
            ("validator".into(), name.to_owned().into()),
        ];
        let mut this = Self {
            registry: Registry::with_prefix_and_labels("muniment_node", labels.into_iter()),
            height: Number::default(),
            final_height: Number::default(),
            cosignature_lag: Number::default(),
            log_size: Number::default(),
            mempool_transactions: Number::default(),
            mempool_bytes: Number::default(),
            peers: Number::default(),
            ready: Number::default(),
            submitted: Counter::default(),
            relayed: ByPeer::default(),
            relay_failures: ByPeer::default(),
            relay_dropped: ByPeer::default(),
            cosignature_failures: ByPeer::default(),
        };
        this.register();
        this
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let mut gauge = |name, help, metric: &Number| registry.register(name, help, metric.clone());
        gauge("height", "Last executed height", &self.height);
        gauge(
            "final_height",
            "Highest height with a quorum of cosignatures",
            &self.final_height,
        );
        gauge(
            "cosignature_lag",
            "Executed heights that lack a quorum of cosignatures",
            &self.cosignature_lag,
        );
        gauge("log_size", "Leaves in the log", &self.log_size);
        gauge(
            "mempool_transactions",
            "Transactions waiting",
            &self.mempool_transactions,
        );
        gauge(
            "mempool_bytes",
            "Bytes of memory that the transactions waiting take",
            &self.mempool_bytes,
        );
        gauge("peers_connected", "Peers that answer", &self.peers);
        gauge("ready", "1 when the replica does its part", &self.ready);
        registry.register(
            "transactions_submitted",
            "Transactions received from clients",
            self.submitted.clone(),
        );
        let mut by_peer = |name, help, metric: &ByPeer| registry.register(name, help, metric.clone());
        by_peer("transactions_relayed", "Transactions that the peer took", &self.relayed);
        by_peer("relay_failures", "Relay requests that failed", &self.relay_failures);
        by_peer(
            "relay_dropped",
            "Transactions not relayed because too many waited",
            &self.relay_dropped,
        );
        by_peer(
            "cosignature_failures",
            "Cosignature requests that failed",
            &self.cosignature_failures,
        );
    }

    pub fn submitted(&self, count: usize) {
        self.submitted.inc_by(count as u64);
    }

    pub fn relayed(&self, peer: &str, count: usize) {
        add(&self.relayed, peer, count);
    }

    pub fn relay_failed(&self, peer: &str) {
        add(&self.relay_failures, peer, 1);
    }

    pub fn relay_dropped(&self, peer: &str, count: usize) {
        if count > 0 {
            add(&self.relay_dropped, peer, count);
        }
    }

    pub fn cosignatures_failed(&self, peer: &str) {
        add(&self.cosignature_failures, peer, 1);
    }

    fn look(&self, shared: &Shared) {
        let tip = shared.replica.tip();
        let last = *shared.replica.watch_final().borrow();
        let (transactions, bytes) = shared.replica.mempool();
        self.height.set(tip.height);
        self.final_height.set(last);
        self.cosignature_lag.set(tip.height.saturating_sub(last));
        self.log_size.set(tip.log_size);
        self.mempool_transactions.set(transactions as u64);
        self.mempool_bytes.set(bytes as u64);
        self.peers
            .set(shared.peers.iter().filter(|peer| peer.status().connected).count() as u64);
        self.ready.set(health::readiness(shared).ready.into());
    }
}

fn add(family: &ByPeer, peer: &str, count: usize) {
    family
        .get_or_create(&PeerLabel { peer: peer.to_owned() })
        .inc_by(count as u64);
}

/// The text for `/metrics`; whatever else the process measures comes after our own, before the one end mark.
pub fn text(shared: &Shared) -> Result<String, std::fmt::Error> {
    const END: &str = "# EOF\n";
    shared.metrics.look(shared);
    let mut text = String::new();
    encode_registry(&mut text, &shared.metrics.registry)?;
    let more = (shared.more_metrics)();
    text.push_str(more.trim_end_matches(END));
    text.push_str(END);
    Ok(text)
}
