//! How soon an object is looked at again.
//!
//! Passes that find nothing to do come less and less often. Whoever is taken from the queue when all places are held isn't
//! who waits longest, so the places must not be held by those about whom there is no news.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher;

/// While something is under way.
pub const BUSY: Duration = Duration::from_secs(1);
/// Something has to come first; its watch wakes us as well.
pub const WAITING: Duration = Duration::from_secs(15);
/// All is well. In case an event was lost.
const CALM: Duration = Duration::from_secs(60);
/// Longest pause of an object.
const LONGEST: Duration = Duration::from_secs(60);
/// Looks at an object that doesn't move before its pauses begin to grow.
const PATIENCE: usize = 5;

type Pauses = std::iter::Chain<std::iter::RepeatN<Duration>, ExponentialBackoff>;

/// Pauses that get longer, by object: after failures, or while nothing moves.
#[derive(Default)]
pub struct Pace {
    patience: usize,
    objects: Mutex<HashMap<String, (String, Pauses)>>,
}

impl Pace {
    /// Of objects that are expected to move by themselves soon.
    pub fn patient() -> Self {
        Self {
            patience: PATIENCE,
            ..Self::default()
        }
    }

    /// The next pause: twice as long each time, with jitter.
    pub fn longer(&self, key: &str) -> Duration {
        self.longer_while(key, String::new())
    }

    /// As [`Self::longer`], and anew when the object doesn't look as it did.
    pub fn longer_while(&self, key: &str, look: String) -> Duration {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let anew = || std::iter::repeat_n(BUSY, self.patience).chain(doubling());
        let (before, pauses) = objects.entry(key.to_owned()).or_insert_with(|| (look.clone(), anew()));
        if *before != look {
            (*before, *pauses) = (look, anew());
        }
        jitter(pauses.next().unwrap_or(LONGEST))
    }

    /// Begins anew: it went well.
    pub fn reset(&self, key: &str) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

fn doubling() -> ExponentialBackoff {
    let builder = ExponentialBuilder::new().with_min_delay(BUSY).with_max_delay(LONGEST);
    builder.without_max_times().build()
}

/// Pauses between attempts of watches that fail. All watches of a controller share them, and none is tried while another
/// one's pause lasts: after the API server was away each fails once or twice more, so they don't grow. With pauses of up to
/// 5 s the operator was back 40 s after the API server was.
pub fn attempts() -> impl Backoff {
    let builder = ExponentialBuilder::new().with_min_delay(BUSY).with_max_delay(BUSY);
    watcher::ExponentialBackoff::from(builder.without_max_times())
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
    fn failures_in_a_row_are_answered_slower_and_slower() {
        let pace = Pace::default();
        let pauses: Vec<Duration> = (0..10).map(|_| pace.longer("a")).collect();
        assert!(
            pauses[0] <= Duration::from_millis(1250) && pauses[9] >= LONGEST,
            "{pauses:?}"
        );
        assert!(pauses[9] <= LONGEST.mul_f64(1.25));
        assert!(
            pace.longer("b") < Duration::from_secs(2),
            "each object has a count of its own"
        );
        pace.reset("a");
        assert!(pace.longer("a") < Duration::from_secs(2));
    }

    /// 200 networks of simulated pods, say: they take few of the places there are.
    #[test]
    fn an_object_that_stays_as_it_is_costs_little_and_is_seen_soon_when_it_starts() {
        let pace = Pace::patient();
        let look = |how: &str| pace.longer_while("a", how.to_owned());
        let pauses: Vec<Duration> = (0..20).map(|_| look("silent")).collect();
        assert!(pauses[..PATIENCE].iter().all(|pause| *pause < BUSY * 2), "{pauses:?}");
        let mut gone = Duration::ZERO;
        for pause in &pauses[PATIENCE..] {
            gone += *pause;
            assert!(*pause <= gone, "never longer than it has been waited for");
        }
        let quarter = Duration::from_secs(900);
        let mut looks = pauses.iter().scan(Duration::ZERO, |at, pause| {
            *at += *pause;
            Some(*at)
        });
        let count = looks.position(|at| at > quarter);
        assert!(
            count.is_none_or(|count| count < 30),
            "{count:?} looks in a quarter of an hour"
        );
        assert!(look("one answers") < BUSY * 2);
    }
}
