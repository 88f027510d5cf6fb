//! Who the validators of a network are, by the network's own proof. Pure.

use muniment_receipts::genesis::{Genesis, ValidatorKeys};
use muniment_receipts::trust::TrustRoot;

/// The validator set in force, and who has left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// First height that the set decides.
    pub from: u64,
    /// The set, in the ledger's order.
    pub now: Vec<ValidatorKeys>,
    /// Those of earlier sets that aren't in it any more. None of them ever comes back.
    pub left: Vec<ValidatorKeys>,
}

impl Membership {
    /// That of a network whose validators never changed.
    pub fn genesis(genesis: &Genesis) -> Self {
        Self {
            from: 1,
            now: genesis.validators.clone(),
            left: Vec::new(),
        }
    }

    /// From a node's trust root file: nothing in it is believed that isn't proven from the genesis on. `None` when it
    /// doesn't hold, or is another network's.
    pub fn proven(file: &[u8], network: &str) -> Option<Self> {
        let root = TrustRoot::parse(file).ok()?;
        if hex::encode(root.network()) != network {
            return None;
        }
        let now = root.newest().validators().to_vec();
        let earlier = root.changes().iter().map(|change| change.validators.as_slice());
        let mut left: Vec<ValidatorKeys> = Vec::new();
        for one in std::iter::once(root.genesis().validators.as_slice())
            .chain(earlier)
            .flatten()
        {
            if !now.contains(one) && !left.contains(one) {
                left.push(one.clone());
            }
        }
        Some(Self {
            from: root.newest().from_height(),
            now,
            left,
        })
    }

    /// Whether this very validator, by name and keys, is in the set.
    pub fn has(&self, validator: &ValidatorKeys) -> bool {
        self.now.contains(validator)
    }
}
