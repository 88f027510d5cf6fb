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

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use endpoint::Validator;

/// Client of one network. Cheap to clone; clones share connections and what is known of the validators.
#[derive(Clone)]
pub struct NetworkClient {
    inner: Arc<Inner>,
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
        Self::with_patience(endpoints, Duration::from_secs(10))
    }

    /// As [`Self::new`], with the time that [`Self::submit`] goes on trying before it gives up.
    pub fn with_patience(endpoints: Vec<Endpoint>, patience: Duration) -> Self {
        let http = endpoint::http();
        let validators = endpoints
            .into_iter()
            .map(|one| Validator::new(one, http.clone()))
            .collect();
        Self {
            inner: Arc::new(Inner {
                validators,
                preferred: AtomicUsize::new(0),
                patience,
            }),
        }
    }

    /// Names of the endpoints in the order given.
    pub fn names(&self) -> Vec<&str> {
        self.inner.validators.iter().map(Validator::name).collect()
    }
}

impl Inner {
    /// Validators to try, in this order: the one that answered last, the others round from it, and those that just
    /// failed at the end.
    fn order(&self) -> Vec<usize> {
        let count = self.validators.len();
        let start = self.preferred.load(Ordering::Relaxed);
        let mut order: Vec<_> = (0..count).map(|step| (start + step) % count).collect();
        order.sort_by_key(|index| self.validators[*index].is_resting());
        order
    }

    fn answered(&self, index: usize) {
        self.preferred.store(index, Ordering::Relaxed);
        self.validators[index].rest(None);
    }

    fn failed(&self, index: usize) {
        self.validators[index].rest(Some(Duration::from_secs(3)));
    }
}
