//! Whether a proposer says the same about a round in its proposal and in the block that goes with it.
//!
//! The engine pairs the two by the block's hash only. A proposal for an earlier round's block needs that round's
//! prevotes, which the engine demands by the proposal; the block's part alone could claim to be such a block, and so be
//! as old as it likes. Owns what each validator has signed of the running heights; decides nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::context::Address;

/// Most rounds remembered of one validator.
const ROUNDS: usize = 1_024;

/// Height and round to the earlier round named in it.
type Rounds = BTreeMap<(u64, u32), Option<u32>>;

/// What proposers signed, shared by the verifier (proposals) and the driver (parts).
#[derive(Clone, Debug, Default)]
pub struct Proposals(Arc<Mutex<BTreeMap<Address, Rounds>>>);

impl Proposals {
    /// Remembers what `proposer` signed first for a round, and says whether this is the same. Only for messages whose
    /// signature holds: others may not speak for a validator.
    pub fn agree(&self, proposer: Address, height: u64, round: u32, valid_round: Option<u32>) -> bool {
        let mut all = self.lock();
        let rounds = all.entry(proposer).or_default();
        let first = *rounds.entry((height, round)).or_insert(valid_round);
        if rounds.len() > ROUNDS {
            rounds.pop_last();
        }
        first == valid_round
    }

    /// Forgets the heights below.
    pub fn forget_below(&self, height: u64) {
        let mut all = self.lock();
        for rounds in all.values_mut() {
            *rounds = rounds.split_off(&(height, 0));
        }
        all.retain(|_, rounds| !rounds.is_empty());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, Rounds>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIAR: Address = Address([1; 20]);
    const OTHER: Address = Address([2; 20]);

    #[test]
    fn a_block_that_claims_an_earlier_round_needs_a_proposal_that_does() {
        // In either order of arrival.
        let proposals = Proposals::default();
        assert!(proposals.agree(LIAR, 7, 1, Some(0)), "the part comes first");
        assert!(
            !proposals.agree(LIAR, 7, 1, None),
            "then the proposal without an earlier round"
        );
        let proposals = Proposals::default();
        assert!(proposals.agree(LIAR, 7, 1, None));
        assert!(!proposals.agree(LIAR, 7, 1, Some(0)));
        // Honest ones agree with themselves, whatever others sign.
        assert!(proposals.agree(OTHER, 7, 1, Some(0)));
        assert!(proposals.agree(OTHER, 7, 1, Some(0)));
        assert!(proposals.agree(LIAR, 7, 2, None));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_running_round_is_kept() {
        let proposals = Proposals::default();
        assert!(proposals.agree(LIAR, 7, 1, Some(0)));
        for round in 2..5_000 {
            proposals.agree(LIAR, 8, round, None);
        }
        assert!(!proposals.agree(LIAR, 7, 1, None));
        assert!(proposals.lock().values().all(|rounds| rounds.len() <= ROUNDS));
        proposals.forget_below(9);
        assert!(proposals.lock().is_empty());
    }
}
