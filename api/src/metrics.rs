//! What `/metrics` tells, in the OpenMetrics text format.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Methods that are counted by name. Clients may send any word as a method.
const METHODS: &[&str] = &[
    "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE",
];

/// Labels of a request: a known method, and the route's pattern, so that the number of series is bounded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    path: String,
    status: u16,
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
    /// Networks attached.
    pub networks: Gauge,
    /// Networks that can't be attached.
    pub broken: Gauge,
    /// Transactions accepted and not final.
    pub pending: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("muniment_api");
        let requests = Family::default();
        let duration = Histogram::new(exponential_buckets(0.001, 2.0, 16));
        let finality = Histogram::new(exponential_buckets(0.005, 2.0, 14));
        let (in_flight, overloaded, submit_failures) = (Gauge::default(), Counter::default(), Counter::default());
        let (networks, broken, pending) = (Gauge::default(), Gauge::default(), Gauge::default());
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
        registry.register("networks", "Networks attached", networks.clone());
        registry.register("networks_broken", "Networks that can't be attached", broken.clone());
        registry.register(
            "pending_transactions",
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
            networks,
            broken,
            pending,
        }
    }
}

impl Metrics {
    /// Counts a request.
    pub fn request(&self, method: &str, path: String, status: u16, took: Duration) {
        self.requests
            .get_or_create(&Request {
                method: METHODS.iter().find(|known| **known == method).unwrap_or(&"OTHER"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_methods_are_one_series() {
        let metrics = Metrics::default();
        for number in 0..1_000 {
            metrics.request(&format!("M{number}"), "unmatched".to_owned(), 404, Duration::ZERO);
        }
        metrics.request("GET", "/healthz".to_owned(), 200, Duration::ZERO);
        let text = metrics.text().unwrap_or_default();
        let series = text
            .lines()
            .filter(|line| line.starts_with("muniment_api_requests_total"));
        assert_eq!(series.count(), 2);
        assert!(text.contains(r#"method="OTHER""#), "{text}");
    }
}
