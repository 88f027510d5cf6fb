//! The places of a network's validators, by number, and what the ledger has made of each. Pure.
//!
//! Owns which validators run: one range of numbers that only moves up. The network grows at its top and shrinks at its
//! bottom, because a name that has left never comes back, and because the pods of a StatefulSet are one range.

use std::collections::BTreeMap;
use std::ops::Range;

use muniment_receipts::genesis::{Genesis, ValidatorKeys};
use serde::{Deserialize, Serialize};

use crate::membership::Membership;

/// What the ledger has made of a validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// It has keys and was never in the set.
    New,
    /// It is in the set.
    Member,
    /// It has left the set, and is to stop.
    Left,
}

/// Every validator that ever got keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Roster(BTreeMap<u32, Standing>);

/// Name of the validator with a number.
pub fn name(number: u32) -> String {
    format!("validator-{number}")
}

/// Number of a validator that we named.
pub fn number(validator: &str) -> Option<u32> {
    let number = validator.strip_prefix("validator-")?.parse().ok()?;
    (name(number) == validator).then_some(number)
}

impl Roster {
    /// That of a new network with so many validators.
    pub fn first(count: u32) -> Self {
        Self((0..count).map(|number| (number, Standing::Member)).collect())
    }

    /// That of a network as it was sealed, with what was recorded since.
    pub fn since(genesis: &Genesis, record: Self) -> Self {
        let first = genesis.validators.iter().filter_map(|one| number(&one.name));
        let mut all: BTreeMap<u32, Standing> = first.map(|number| (number, Standing::Member)).collect();
        all.extend(record.0);
        Self(all)
    }

    /// What is known of a number; `None` when it never got keys.
    pub fn standing(&self, number: u32) -> Option<Standing> {
        self.0.get(&number).copied()
    }

    /// Every number that ever got keys.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.keys().copied()
    }

    /// Records what became of a number.
    pub fn note(&mut self, number: u32, standing: Standing) {
        self.0.insert(number, standing);
    }

    /// What this records otherwise than an older one.
    pub fn news(&self, old: &Self) -> Self {
        let news = self
            .0
            .iter()
            .filter(|(number, standing)| old.0.get(number) != Some(standing));
        Self(news.map(|(number, standing)| (*number, *standing)).collect())
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds another one's records to this.
    pub fn take_over(&mut self, news: Self) {
        self.0.extend(news.0);
    }

    /// Names of those in the set.
    pub fn members(&self) -> impl Iterator<Item = String> + '_ {
        let members = self.0.iter().filter(|(_, standing)| **standing == Standing::Member);
        members.map(|(number, _)| name(*number))
    }

    /// The numbers that are to run so that the network can come to have `wanted` validators: those in the set, those
    /// between them, and so many new ones that there are enough.
    pub fn range(&self, wanted: u32) -> Range<u32> {
        let members = || self.0.iter().filter(|(_, standing)| **standing == Standing::Member);
        let (Some((first, _)), Some((last, _))) = (members().next(), members().next_back()) else {
            return 0..wanted;
        };
        let in_set = u32::try_from(members().count()).unwrap_or(u32::MAX);
        let mut missing = wanted.saturating_sub(in_set);
        let mut end = last.saturating_add(1);
        while missing > 0 {
            missing -= u32::from(self.standing(end) != Some(Standing::Left));
            end += 1;
        }
        *first..end
    }

    /// What this comes to with what the ledger proves about validators of ours. Who left stays on record as a member,
    /// and so runs on without voting, until no more are to leave: each change of who runs restarts all others.
    pub fn with<'a>(
        &self,
        membership: &Membership,
        ours: impl IntoIterator<Item = &'a ValidatorKeys>,
        wanted: u32,
    ) -> Self {
        let mut next = self.clone();
        let done = membership.now.len() <= wanted as usize;
        for validator in ours {
            let Some(number) = number(&validator.name) else {
                continue;
            };
            // Who left never comes back; a node that catches up may show an older proof.
            if self.standing(number) == Some(Standing::Left) {
                continue;
            }
            if membership.has(validator) {
                next.note(number, Standing::Member);
            } else if done && membership.left.contains(validator) {
                next.note(number, Standing::Left);
            }
        }
        next
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(number: u32) -> ValidatorKeys {
        let key = |duty: &str| format!("{duty}{number}");
        ValidatorKeys {
            name: name(number),
            consensus: key("c"),
            notary: key("n"),
            cose: key("s"),
        }
    }

    /// A ledger that does as it is asked.
    struct Ledger(Membership);

    impl Ledger {
        fn add(&mut self, number: u32) {
            let Membership { now, left, .. } = &mut self.0;
            assert!(
                !now.contains(&keys(number)) && !left.contains(&keys(number)),
                "{number} comes back"
            );
            now.push(keys(number));
        }

        /// What [`crate::scale`] would ask for: the lowest new one joins, or the lowest one leaves.
        fn step(&mut self, roster: &Roster, mut range: Range<u32>, wanted: usize) {
            let set = self.0.now.len();
            if set < wanted {
                let is_new = |n: &u32| roster.standing(*n) == Some(Standing::New) && !self.0.has(&keys(*n));
                // With none at hand, keys are made first: at the next look.
                if let Some(joiner) = range.find(is_new) {
                    self.add(joiner);
                }
            } else if set > wanted {
                let leaver = range.find(|n| self.0.has(&keys(*n)));
                self.remove(leaver.unwrap());
            }
        }

        fn remove(&mut self, number: u32) {
            let at = self.0.now.iter().position(|one| *one == keys(number)).unwrap();
            let gone = self.0.now.remove(at);
            self.0.left.push(gone);
        }
    }

    fn ran(roster: &Roster, range: Range<u32>) -> Vec<ValidatorKeys> {
        range
            .filter(|number| roster.standing(*number).is_some())
            .map(keys)
            .collect()
    }

    #[test]
    fn only_names_of_ours_have_numbers() {
        assert_eq!(number("validator-12"), Some(12));
        for other in ["validator-", "validator-01", "validator-+1", "bank", "validator-x"] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn grows_at_the_top_shrinks_at_the_bottom_and_never_goes_back() {
        let mut roster = Roster::first(4);
        let mut ledger = Ledger(Membership {
            from: 1,
            now: (0..4).map(keys).collect(),
            left: Vec::new(),
        });
        assert_eq!(roster.range(4), 0..4);
        assert_eq!(roster.range(7), 0..7);
        for number in 4..7 {
            roster.note(number, Standing::New);
            ledger.add(number);
        }
        roster = roster.with(&ledger.0, &ran(&roster, 0..7), 7);
        assert_eq!(roster.range(7), 0..7);
        // One has left, two more are to: all run on.
        ledger.remove(0);
        roster = roster.with(&ledger.0, &ran(&roster, 0..7), 4);
        assert_eq!(roster.range(4), 0..7);
        ledger.remove(1);
        ledger.remove(2);
        roster = roster.with(&ledger.0, &ran(&roster, 0..7), 4);
        assert_eq!(roster.range(4), 3..7);
        assert_eq!(roster.range(5), 3..8);
    }

    #[test]
    fn new_ones_that_arent_wanted_any_more_stop_and_are_taken_again_later() {
        let mut roster = Roster::first(4);
        (4..7).for_each(|number| roster.note(number, Standing::New));
        assert_eq!(roster.range(5), 0..5);
        assert_eq!(roster.range(4), 0..4);
        assert_eq!(roster.range(6), 0..6);
    }

    #[test]
    fn one_that_members_removed_in_the_middle_runs_on_and_at_the_top_is_passed_over() {
        let mut roster = Roster::first(5);
        roster.note(2, Standing::Left);
        assert_eq!(roster.range(4), 0..5);
        assert_eq!(roster.range(5), 0..6);
        let mut top = Roster::first(5);
        top.note(4, Standing::Left);
        assert_eq!(top.range(4), 0..4);
        assert_eq!(top.range(5), 0..6);
    }

    #[test]
    fn a_validator_of_somebody_else_with_a_name_of_ours_is_none_of_ours() {
        let mut foreign = keys(4);
        foreign.notary = "other".into();
        let mut roster = Roster::first(4);
        roster.note(4, Standing::New);
        let membership = Membership {
            from: 9,
            now: vec![keys(0), keys(1), keys(2), keys(3), foreign],
            left: Vec::new(),
        };
        assert_eq!(roster.with(&membership, &ran(&roster, 0..5), 5), roster);
    }

    proptest! {
        /// Whatever is wanted when, with the ledger following at any pace: who is in the set runs, nobody who left is
        /// asked for again, what runs is one range whose bottom never goes back, and in the end there are as many as wanted.
        #[test]
        fn holds_for_every_history(steps in proptest::collection::vec((4_u32..12, 0_u8..3), 1..60), last in 4_u32..12) {
            let mut roster = Roster::first(4);
            let mut ledger = Ledger(Membership { from: 1, now: (0..4).map(keys).collect(), left: Vec::new() });
            let mut first = 0;
            for (wanted, changes) in steps.into_iter().chain(std::iter::repeat_n((last, 1), 20)) {
                let range = roster.range(wanted);
                prop_assert!(range.start >= first, "the bottom went back");
                first = range.start;
                for number in range.clone() {
                    if roster.standing(number).is_none() {
                        roster.note(number, Standing::New);
                    }
                }
                for _ in 0..changes {
                    ledger.step(&roster, range.clone(), wanted as usize);
                }
                roster = roster.with(&ledger.0, &ran(&roster, range), wanted);
                let range = roster.range(wanted);
                for one in &ledger.0.now {
                    prop_assert!(range.contains(&number(&one.name).unwrap()), "a validator of the set doesn't run");
                }
            }
            prop_assert_eq!(ledger.0.now.len(), last as usize);
        }
    }
}
