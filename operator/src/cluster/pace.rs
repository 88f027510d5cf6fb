//! How soon an object is looked at again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::runtime::utils::Backoff;

/// While something is under way.
pub const BUSY: Duration = Duration::from_secs(1);
/// Something has to come first; its watch wakes us as well.
pub const WAITING: Duration = Duration::from_secs(15);
/// All is well. In case an event was lost.
const CALM: Duration = Duration::from_secs(60);
/// Longest pause after failures.
const LONGEST: Duration = Duration::from_secs(60);

/// Failures in a row, by object.
#[derive(Default)]
pub struct Pace(Mutex<HashMap<String, u32>>);

impl Pace {
    /// A pause after one more failure: twice as long each time, with jitter.
    pub fn after_failure(&self, key: &str) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key.to_owned()).or_default();
        let pause = BUSY.saturating_mul(1 << (*count).min(6)).min(LONGEST);
        *count = count.saturating_add(1);
        jitter(pause)
    }

    /// Forgets failures.
    pub fn succeeded(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Pauses between attempts of watches that fail. All watches of a controller share them, so they don't grow: after the
/// API server was away each watch fails once or twice more, and none is tried while another one's pause lasts.
#[derive(Debug)]
pub struct Attempts;

impl Iterator for Attempts {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(jitter(BUSY))
    }
}

impl Backoff for Attempts {
    fn reset(&mut self) {}
}

/// A pause while all is well.
pub fn calm() -> Duration {
    jitter(CALM)
}

/// Up to a quarter more, so that a thousand objects don't come at once.
fn jitter(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or_default();
    pause + pause.mul_f64(f64::from(random) / f64::from(u32::MAX) / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dozen_watches_that_fail_in_turn_are_back_within_seconds() {
        let pauses: Duration = Attempts.take(12).sum();
        assert!(pauses <= Duration::from_secs(15), "{pauses:?}");
    }

    #[test]
    fn failures_in_a_row_are_answered_slower_and_slower() {
        let pace = Pace::default();
        let pauses: Vec<Duration> = (0..10).map(|_| pace.after_failure("a")).collect();
        assert!(
            pauses[0] <= Duration::from_millis(1250) && pauses[9] >= LONGEST,
            "{pauses:?}"
        );
        assert!(pauses[9] <= LONGEST.mul_f64(1.25));
        assert!(
            pace.after_failure("b") < Duration::from_secs(2),
            "each object has a count of its own"
        );
        pace.succeeded("a");
        assert!(pace.after_failure("a") < Duration::from_secs(2));
    }
}
