//! Figures out of samples.

use std::collections::BTreeMap;

use super::Mode;
use super::load::{Plan, Samples, Shape};
use crate::output::table;

/// The figures of one run.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    mode: Mode,
    batch_size: usize,
    /// Requests per second offered; absent in closed loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
    /// Requests on their way; absent in open loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<usize>,
    seconds: f64,
    warmup: u64,
    /// Requests that were due in the measured time.
    pub requests: u64,
    /// Deposits that were accepted, with receipt.
    accepted: u64,
    /// Accepted actions answered in the measured time, per second.
    throughput: f64,
    latency: Latency,
    /// Requests that failed, by code.
    pub errors: BTreeMap<String, u64>,
}

/// Milliseconds from the moment a request was due to its answer.
#[derive(serde::Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

impl Report {
    /// Figures of a run.
    pub fn new(plan: &Plan, mut samples: Samples) -> Self {
        samples.latencies.sort_unstable();
        let at = |share: f64| quantile(&samples.latencies, share);
        let (rate, concurrency) = match plan.shape {
            Shape::Open { rate } => (Some(rate), None),
            Shape::Closed { concurrency } => (None, Some(concurrency)),
        };
        Self {
            mode: plan.mode,
            batch_size: plan.items,
            rate,
            concurrency,
            seconds: samples.measured.as_secs_f64(),
            warmup: plan.warmup.as_secs(),
            requests: samples.requests,
            accepted: samples.accepted,
            throughput: (samples.in_time as f64 / samples.measured.as_secs_f64().max(0.001) * 10.0).round() / 10.0,
            latency: Latency {
                p50: at(0.5),
                p90: at(0.9),
                p99: at(0.99),
                max: at(1.0),
            },
            errors: samples.errors,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let load = match (self.rate, self.concurrency) {
            (Some(rate), _) => format!("{rate} requests/s offered"),
            (_, Some(concurrency)) => format!("{concurrency} requests on their way"),
            _ => String::new(),
        };
        let mode = match self.mode {
            Mode::Single => "single".to_owned(),
            Mode::Batch => format!("batches of {}", self.batch_size),
        };
        let Latency { p50, p90, p99, max } = &self.latency;
        let errors: u64 = self.errors.values().sum();
        let mut rows: Vec<Vec<String>> = [
            ("load", format!("{mode}, {load}, {:.0} s", self.seconds)),
            ("requests", self.requests.to_string()),
            ("accepted", format!("{} actions, each with its receipt", self.accepted)),
            ("throughput", format!("{:.1} actions/s", self.throughput)),
            (
                "latency",
                format!("p50 {p50:.1} ms   p90 {p90:.1} ms   p99 {p99:.1} ms   max {max:.1} ms"),
            ),
            ("errors", errors.to_string()),
        ]
        .map(|(name, value)| vec![name.to_owned(), value])
        .into();
        rows.extend(
            self.errors
                .iter()
                .map(|(code, count)| vec![String::new(), format!("{count} × {code}")]),
        );
        table(&rows)
    }
}

/// Nearest-rank quantile in milliseconds, 0 without samples.
fn quantile(sorted: &[u32], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    let micros = sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0);
    f64::from(micros) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_rank() {
        let sorted: Vec<u32> = (1..=100).map(|value| value * 1000).collect();
        assert_eq!(
            [0.5, 0.9, 0.99, 1.0].map(|share| quantile(&sorted, share)),
            [50.0, 90.0, 99.0, 100.0]
        );
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
