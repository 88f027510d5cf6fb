//! What the operator counts. No label has a name of an object in it, so their number is bounded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pass {
    kind: String,
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: String,
}

/// Counters of the process.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    passes: Family<Pass, Counter>,
    seconds: Family<Kind, Histogram>,
    expiry: Gauge,
    /// When the first certificate of each network expires, seconds since the Unix epoch.
    expiries: Arc<Mutex<BTreeMap<String, i64>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("muniment_operator");
        let passes = Family::<Pass, Counter>::default();
        let seconds =
            Family::<Kind, Histogram>::new_with_constructor(|| Histogram::new(exponential_buckets(0.005, 2.0, 12)));
        registry.register("passes", "Passes over resources, by kind and outcome", passes.clone());
        registry.register("pass_seconds", "Duration of passes, by kind", seconds.clone());
        let expiry = Gauge::default();
        let help = "When the first certificate of all networks expires, seconds since the Unix epoch; 0 without any";
        registry.register("certificate_expiry_timestamp_seconds", help, expiry.clone());
        Self {
            registry: Arc::new(registry),
            passes,
            seconds,
            expiry,
            expiries: Arc::default(),
        }
    }
}

impl Metrics {
    /// Counts a pass.
    pub fn pass(&self, kind: &str, well: bool, took: Duration) {
        let outcome = if well { "done" } else { "failed" };
        let labels = Pass {
            kind: kind.to_owned(),
            outcome: outcome.to_owned(),
        };
        self.passes.get_or_create(&labels).inc();
        self.seconds
            .get_or_create(&Kind { kind: kind.to_owned() })
            .observe(took.as_secs_f64());
    }

    /// Says when the first certificate of a network expires; `None` for one that has none or is gone.
    pub fn expires(&self, network: &str, at: Option<i64>) {
        let mut expiries = self.expiries.lock().unwrap_or_else(PoisonError::into_inner);
        match at {
            Some(at) => expiries.insert(network.to_owned(), at),
            None => expiries.remove(network),
        };
        self.expiry.set(expiries.values().min().copied().unwrap_or_default());
    }

    /// Everything, in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_counted() {
        let metrics = Metrics::default();
        metrics.pass("Tenant", true, Duration::from_millis(10));
        metrics.pass("Tenant", false, Duration::from_millis(10));
        let text = metrics.text();
        assert!(
            text.contains("muniment_operator_passes_total{kind=\"Tenant\",outcome=\"failed\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("muniment_operator_pass_seconds_count{kind=\"Tenant\"} 2"),
            "{text}"
        );
    }

    #[test]
    fn the_first_certificate_that_expires_is_shown() {
        let metrics = Metrics::default();
        let shown = || {
            let text = metrics.text();
            let line = text
                .lines()
                .find(|line| line.starts_with("muniment_operator_certificate_expiry"));
            line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
        };
        metrics.expires("acme/a", Some(200));
        metrics.expires("acme/b", Some(100));
        assert_eq!(shown().as_deref(), Some("100"));
        metrics.expires("acme/b", Some(300));
        assert_eq!(shown().as_deref(), Some("200"));
        metrics.expires("acme/a", None);
        assert_eq!(shown().as_deref(), Some("300"));
    }
}
