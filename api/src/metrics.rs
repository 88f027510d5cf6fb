//! What `/metrics` tells, in the OpenMetrics text format.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Labels of a request. The path is the route's pattern, so the number of series is bounded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: String,
    path: String,
    status: u16,
}

/// Labels of a network.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct NetworkLabel {
    /// Tenant.
    pub tenant: String,
    /// Name.
    pub network: String,
}

/// The counters.
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    duration: Histogram,
    finality: Histogram,
    /// Actions accepted and not final.
    pub in_flight: Gauge,
    /// Requests refused for too much in flight.
    pub overloaded: Counter,
    /// Submissions that no validator took.
    pub submit_failures: Counter,
    /// Height up to which outcomes are known.
    pub height: Family<NetworkLabel, Gauge>,
    /// Transactions accepted and not final.
    pub pending: Family<NetworkLabel, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("muniment_api");
        let requests = Family::default();
        let duration = Histogram::new(exponential_buckets(0.001, 2.0, 16));
        let finality = Histogram::new(exponential_buckets(0.005, 2.0, 14));
        let (in_flight, overloaded, submit_failures) = (Gauge::default(), Counter::default(), Counter::default());
        let (height, pending) = (Family::default(), Family::default());
        registry.register("requests", "Requests by route and status", requests.clone());
        registry.register("request_seconds", "Time to answer", duration.clone());
        registry.register(
            "finality_seconds",
            "From acceptance to a final outcome",
            finality.clone(),
        );
        registry.register("in_flight_actions", "Actions accepted and not final", in_flight.clone());
        registry.register(
            "overloaded",
            "Requests refused for too much in flight",
            overloaded.clone(),
        );
        registry.register(
            "submit_failures",
            "Submissions that no validator took",
            submit_failures.clone(),
        );
        registry.register(
            "network_height",
            "Height up to which outcomes are known",
            height.clone(),
        );
        registry.register(
            "network_pending",
            "Transactions accepted and not final",
            pending.clone(),
        );
        Self {
            registry,
            requests,
            duration,
            finality,
            in_flight,
            overloaded,
            submit_failures,
            height,
            pending,
        }
    }
}

impl Metrics {
    /// Counts a request.
    pub fn request(&self, method: &str, path: String, status: u16, took: Duration) {
        self.requests
            .get_or_create(&Request {
                method: method.to_owned(),
                path,
                status,
            })
            .inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// Notes how long an accepted transaction took to be decided.
    pub fn finality(&self, milliseconds: i64) {
        self.finality
            .observe(Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0)).as_secs_f64());
    }

    /// The text.
    ///
    /// # Errors
    /// When it can't be formatted.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
