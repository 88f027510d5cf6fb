//! What the operator counts. No label has a name of an object in it, so their number is bounded.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
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
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("muniment_operator");
        let passes = Family::<Pass, Counter>::default();
        let seconds =
            Family::<Kind, Histogram>::new_with_constructor(|| Histogram::new(exponential_buckets(0.005, 2.0, 12)));
        registry.register("passes", "Passes over resources, by kind and outcome", passes.clone());
        registry.register("pass_seconds", "Duration of passes, by kind", seconds.clone());
        Self {
            registry: Arc::new(registry),
            passes,
            seconds,
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
}
