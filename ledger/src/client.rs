//! Typed client of a network: any validator will do, and one that fails is replaced by another.
//!
//! Owns the choice of the validator, repetition and time limits. Trusts a validator with little: the shape of what
//! it says is checked here, but signatures and proofs are the caller's to verify (`receipts`).

mod endpoint;
mod error;
mod follow;
mod read;
mod submit;

pub use endpoint::Endpoint;
pub use error::ClientError;
pub use follow::Following;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use endpoint::{Clients, Trouble, Validator};

/// How long a call goes on trying, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a validator that failed is asked after the others.
const REST: Duration = Duration::from_secs(3);
/// The same for one that told something wrong: an error passes, a lie most likely stays.
const DISTRUST: Duration = Duration::from_secs(60);

/// Client of one network. Cheap to clone; clones share connections and what is known of the validators.
#[derive(Clone)]
pub struct NetworkClient {
    inner: Arc<Inner>,
    /// Reads want an answer as of this height or later.
    minimum: u64,
}

struct Inner {
    validators: Vec<Validator>,
    /// Index of the validator that answered last.
    preferred: AtomicUsize,
    /// How long a call goes on trying.
    patience: Duration,
}

impl NetworkClient {
    /// Makes a client; connects when the first call needs it. With no endpoints every call is
    /// [`ClientError::Unavailable`].
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        Self::with_patience(endpoints, PATIENCE)
    }

    /// As [`Self::new`], with the time that [`Self::submit`] goes on trying before it gives up.
    pub fn with_patience(endpoints: Vec<Endpoint>, patience: Duration) -> Self {
        Self::build(endpoints, patience, Clients::default())
    }

    /// As [`Self::new`], for hosts that DNS doesn't know where we are: name and address, such as those of forwarded ports.
    pub fn at(endpoints: Vec<Endpoint>, hosts: &[(String, IpAddr)]) -> Self {
        Self::build(endpoints, PATIENCE, Clients::at(hosts))
    }

    fn build(endpoints: Vec<Endpoint>, patience: Duration, mut clients: Clients) -> Self {
        let validators = endpoints
            .into_iter()
            .map(|one| Validator::new(one, &mut clients))
            .collect();
        Self {
            inner: Arc::new(Inner {
                validators,
                preferred: AtomicUsize::new(0),
                patience,
            }),
            minimum: 0,
        }
    }

    /// The same client for reads as of this height or later: a validator that is behind is passed over, and what it
    /// doesn't have is never taken for absent. Its word on its own height is believed.
    #[must_use]
    pub fn at_least(&self, height: u64) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            minimum: height,
        }
    }

    /// Names of the endpoints in the order given.
    pub fn names(&self) -> Vec<&str> {
        self.inner.validators.iter().map(Validator::name).collect()
    }
}

impl Inner {
    /// Validators to try, in this order: the one that answered last, the others round from it, and those that just
    /// failed at the end, the worst last.
    fn order(&self) -> Vec<usize> {
        self.order_from(0)
    }

    /// As [`Self::order`], beginning so many places further round.
    fn order_from(&self, turn: usize) -> Vec<usize> {
        let count = self.validators.len();
        let start = self.preferred.load(Ordering::Relaxed).wrapping_add(turn);
        let mut order: Vec<_> = (0..count).map(|step| start.wrapping_add(step) % count).collect();
        order.sort_by_key(|index| self.validators[*index].resting());
        order
    }

    fn answered(&self, index: usize) {
        self.preferred.store(index, Ordering::Relaxed);
        self.validators[index].rest(None);
    }

    fn failed(&self, index: usize) {
        self.validators[index].rest(Some(REST));
    }

    fn distrust(&self, index: usize) {
        self.validators[index].rest(Some(DISTRUST));
    }
}

/// Why validator after validator was of no use. One that answers nonsense is passed over like a dead one: it must not
/// stop what the others would do.
#[derive(Default)]
struct Failures {
    reasons: Vec<(String, String)>,
    busy: Option<Duration>,
    fatal: Option<ClientError>,
}

impl Failures {
    fn add(&mut self, inner: &Inner, index: usize, trouble: Trouble) {
        let mut reason = |text: String| {
            let name = inner.validators[index].name().to_owned();
            self.reasons.push((name, text));
        };
        match trouble {
            Trouble::Busy(time) => self.busy = Some(time),
            Trouble::Behind(text) => reason(text),
            Trouble::NotFound => reason("it doesn't have it".to_owned()),
            Trouble::Gone(text) => {
                inner.failed(index);
                reason(text);
            }
            Trouble::Fatal(error) => {
                inner.failed(index);
                self.fatal.get_or_insert(error);
            }
        }
    }

    /// What is worth another try comes first.
    fn error(self) -> ClientError {
        match (self.busy, self.fatal) {
            (Some(retry_after), _) => ClientError::Overloaded { retry_after },
            (None, Some(error)) if self.reasons.is_empty() => error,
            (None, _) => ClientError::Unavailable { reasons: self.reasons },
        }
    }
}
