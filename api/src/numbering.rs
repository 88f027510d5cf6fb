//! Series that are being numbered: one caller at a time takes the next place of a series, so that nobody here is refused
//! for a place that another one got. What holds without gaps and twice for nobody is the ledger's.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Most series that are remembered.
const REMEMBERED: usize = 10_000;

/// What comes next in a series. Place and number are two: what is numbered by hand has a place, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Place in the issuer's chain.
    pub place: u64,
    /// Number, without the series before it.
    pub number: u64,
}

/// What is remembered of a series, under the lock of who takes its next place.
#[derive(Debug, Default)]
pub struct Held {
    /// All numbers up to this one are taken.
    pub taken: u64,
    /// The next place if it is known, and [`Slot::moved`] when it was found.
    pub place: Option<(u64, u64)>,
}

/// An issuer's series.
#[derive(Debug, Default)]
pub struct Slot {
    /// What is remembered.
    pub held: Arc<tokio::sync::Mutex<Held>>,
    moved: AtomicU64,
}

impl Slot {
    /// How often something came into the series that has its number from elsewhere.
    pub fn moved(&self) -> u64 {
        self.moved.load(Ordering::SeqCst)
    }
}

type Key = ([u8; 32], String, String);

/// All series.
#[derive(Default)]
pub struct Numbering {
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
}

impl Numbering {
    /// The slot of an issuer's series.
    pub fn slot(&self, network: [u8; 32], issuer: &str, series: &str) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= REMEMBERED {
            // Those that nobody holds are found again in the projection.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        slots
            .entry((network, issuer.to_owned(), series.to_owned()))
            .or_default()
            .clone()
    }

    /// Notes that something came into a series, perhaps, that has its number from elsewhere.
    pub fn moved(&self, network: [u8; 32], issuer: &str, series: &str) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&(network, issuer.to_owned(), series.to_owned())) {
            slot.moved.fetch_add(1, Ordering::SeqCst);
        }
    }
}
