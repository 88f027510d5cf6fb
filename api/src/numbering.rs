//! Series that are being numbered: one caller at a time takes the next place of a series, so that nobody here is refused
//! for a place that another one got. What holds without gaps and twice for nobody is the ledger's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most series that are remembered.
const REMEMBERED: usize = 10_000;

/// What comes next in a series. The number runs ahead of the place where somebody has given one by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Place in the issuer's chain.
    pub place: u64,
    /// Number, without the series before it.
    pub number: u64,
}

impl Next {
    /// The one after it.
    pub fn after(self) -> Self {
        Self {
            place: self.place + 1,
            number: self.number + 1,
        }
    }
}

/// The next of a series, if it is known, under the lock of who takes it.
pub type Slot = Arc<tokio::sync::Mutex<Option<Next>>>;

type Key = ([u8; 32], String, String);

/// All series.
#[derive(Default)]
pub struct Numbering {
    slots: Mutex<HashMap<Key, Slot>>,
}

impl Numbering {
    /// The slot of an issuer's series.
    pub fn slot(&self, network: [u8; 32], issuer: &str, series: &str) -> Slot {
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
}
