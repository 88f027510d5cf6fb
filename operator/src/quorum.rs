//! Quorum arithmetic of a Byzantine fault tolerant network.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many validators a network has; at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ValidatorCount(u32);

impl ValidatorCount {
    /// Takes a count, `None` for 0.
    pub fn new(count: u32) -> Option<Self> {
        (count > 0).then_some(Self(count))
    }

    /// The size of a set that isn't empty; an empty one counts as 1, so that it never has a quorum.
    pub fn of(size: usize) -> Self {
        Self(u32::try_from(size).unwrap_or(u32::MAX).max(1))
    }

    /// The count.
    pub fn get(self) -> u32 {
        self.0
    }

    /// Signatures needed: `floor(2n/3) + 1`.
    pub fn quorum(self) -> u32 {
        // In 64 bits, so that no count overflows.
        u32::try_from(u64::from(self.0) * 2 / 3 + 1).unwrap_or(self.0)
    }

    /// How many validators may be lost or lie: `floor((n-1)/3)`.
    pub fn faults(self) -> u32 {
        (self.0 - 1) / 3
    }
}

impl fmt::Display for ValidatorCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_sizes() {
        let table = [
            (1, 1, 0),
            (3, 3, 0),
            (4, 3, 1),
            (5, 4, 1),
            (6, 5, 1),
            (7, 5, 2),
            (10, 7, 3),
            (31, 21, 10),
        ];
        for (n, quorum, faults) in table {
            let count = ValidatorCount::new(n).unwrap();
            assert_eq!((count.quorum(), count.faults()), (quorum, faults), "{n}");
        }
        assert_eq!(ValidatorCount::new(0), None);
    }

    proptest! {
        #[test]
        fn two_quorums_share_an_honest_validator(n in 1_u32..=u32::MAX) {
            let count = ValidatorCount::new(n).unwrap();
            let (n, q, f) = (u64::from(n), u64::from(count.quorum()), u64::from(count.faults()));
            prop_assert!(2 * q > n + f, "two quorums may meet in liars only");
            prop_assert!(q <= n - f, "the honest alone can't go on");
        }
    }
}
