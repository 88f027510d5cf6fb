//! Collects the validators' cosignatures until each height has a quorum.
//!
//! Owns the counting; pure but for signature checks. A height is final when it and every height below it have a
//! quorum. More than a quorum is not kept: a receipt carries exactly that many.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ed25519_dalek::VerifyingKey;
use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::genesis::MAX_VALIDATORS;
use muniment_receipts::key::Ed25519Key;
use muniment_receipts::{cose, cosignature};

use super::sets::Sets;
use crate::block::Hash;
use crate::wire::Cosigned;

/// Heights ahead of the tip for which cosignatures are kept until we have executed them.
const AHEAD: u64 = 1_000;

/// The keys a validator cosigns with.
#[derive(Clone, Debug)]
pub struct CosignerKeys {
    /// `cosignature/v1` key.
    pub notary: VerifyingKey,
    /// COSE receipt key.
    pub cose: VerifyingKey,
}

/// The validators that may cosign, and how many must.
#[derive(Clone, Debug)]
pub struct CosignerSet {
    /// In validator order.
    pub keys: Vec<CosignerKeys>,
    /// Signatures needed.
    pub quorum: usize,
}

#[derive(Debug, Default)]
struct Height {
    /// Log after this height, once we executed it.
    checkpoint: Option<(u64, Hash)>,
    /// Checked signatures.
    good: BTreeMap<u16, Cosigned>,
    /// Signatures that came before we executed the height: of each validator the first and the newest, because whoever
    /// forges one in its name must neither keep the good one out nor displace it.
    early: BTreeMap<u16, (Cosigned, Option<Cosigned>)>,
}

/// State of the collection.
#[derive(Debug)]
pub struct Cosigners {
    origin: String,
    sets: Arc<Sets>,
    heights: BTreeMap<u64, Height>,
    final_height: u64,
    tip: u64,
}

/// What a step changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Newly accepted signatures, to be stored.
    pub accepted: Vec<Cosigned>,
    /// The new final height, if it rose.
    pub final_height: Option<u64>,
}

impl Cosigners {
    /// Starts above `final_height`.
    pub fn new(origin: String, sets: Arc<Sets>, final_height: u64) -> Self {
        Self {
            origin,
            sets,
            heights: BTreeMap::new(),
            final_height,
            tip: final_height,
        }
    }

    /// More sets are known. Before the first height of a new one is executed.
    pub fn adopt(&mut self, sets: Arc<Sets>) {
        self.sets = sets;
    }

    fn quorum(&self, height: u64) -> usize {
        self.sets.at(height).quorum()
    }

    /// Highest final height.
    #[cfg(test)]
    fn final_height(&self) -> u64 {
        self.final_height
    }

    /// We executed a height; `own` (trusted) and stored ones are handed in with it.
    pub fn executed(&mut self, height: u64, size: u64, root: Hash, known: Vec<Cosigned>) -> Progress {
        self.tip = self.tip.max(height);
        if height <= self.final_height {
            return Progress::default();
        }
        let quorum = self.quorum(height);
        let entry = self.heights.entry(height).or_default();
        entry.checkpoint = Some((size, root));
        let early = std::mem::take(&mut entry.early);
        let mut accepted = Vec::new();
        for cosigned in known {
            if entry.good.len() < quorum && entry.good.insert(cosigned.validator, cosigned.clone()).is_none() {
                accepted.push(cosigned);
            }
        }
        let (first, newest): (Vec<_>, Vec<_>) = early.into_values().unzip();
        let mut final_height = None;
        for candidates in [first, newest.into_iter().flatten().collect()] {
            let questions = self.ask(candidates);
            let mut progress = self.answer(questions.into_iter().filter(Question::holds).collect());
            accepted.append(&mut progress.accepted);
            final_height = progress.final_height.or(final_height);
        }
        let final_height = self.advance().or(final_height);
        Progress { accepted, final_height }
    }

    /// What has to be checked of a peer's signatures: each validator's once per height, and none that is known or not
    /// needed. Those of heights that we haven't executed wait. The checks cost much more than everything here, so the
    /// caller makes them without holding what the engine waits for.
    pub fn ask(&mut self, offered: Vec<Cosigned>) -> Vec<Question> {
        let mut questions = Vec::new();
        let mut asked = BTreeSet::new();
        for cosigned in offered {
            if cosigned.height <= self.final_height || cosigned.height > self.tip.saturating_add(AHEAD) {
                continue;
            }
            if usize::from(cosigned.validator) >= MAX_VALIDATORS {
                continue;
            }
            let entry = self.heights.entry(cosigned.height).or_default();
            let Some((size, root)) = entry.checkpoint else {
                match entry.early.entry(cosigned.validator) {
                    Entry::Vacant(free) => drop(free.insert((cosigned, None))),
                    Entry::Occupied(mut kept) if kept.get().0 != cosigned => kept.get_mut().1 = Some(cosigned),
                    Entry::Occupied(_) => {}
                }
                continue;
            };
            // Who decides a height is known for sure only once the one before is executed.
            let set = &self.sets.at(cosigned.height).cosigners;
            let Some(keys) = set.keys.get(usize::from(cosigned.validator)) else {
                continue;
            };
            let wanted = entry.good.len() < set.quorum && !entry.good.contains_key(&cosigned.validator);
            if wanted && asked.insert((cosigned.height, cosigned.validator)) {
                questions.push(Question {
                    checkpoint: Checkpoint {
                        origin: self.origin.clone(),
                        size,
                        root,
                    },
                    keys: keys.clone(),
                    cosigned,
                });
            }
        }
        questions
    }

    /// Takes signatures that hold.
    pub fn answer(&mut self, good: Vec<Question>) -> Progress {
        let mut accepted = Vec::new();
        for Question { cosigned, .. } in good {
            let quorum = self.quorum(cosigned.height);
            let Some(entry) = self.heights.get_mut(&cosigned.height) else {
                continue;
            };
            if entry.good.len() < quorum && !entry.good.contains_key(&cosigned.validator) {
                entry.good.insert(cosigned.validator, cosigned.clone());
                accepted.push(cosigned);
            }
        }
        let final_height = self.advance();
        Progress { accepted, final_height }
    }

    fn advance(&mut self) -> Option<u64> {
        let before = self.final_height;
        while let Some((height, entry)) = self.heights.first_key_value() {
            if *height != self.final_height + 1 || entry.good.len() < self.quorum(*height) {
                break;
            }
            self.heights.pop_first();
            self.final_height += 1;
        }
        (self.final_height > before).then_some(self.final_height)
    }
}

/// Do these signatures hold over this checkpoint?
#[derive(Clone, Debug)]
pub struct Question {
    checkpoint: Checkpoint,
    keys: CosignerKeys,
    cosigned: Cosigned,
}

impl Question {
    /// Checks both signatures, strictly, and says so in the log when they don't hold.
    pub fn holds(&self) -> bool {
        let (Checkpoint { size, root, .. }, cosigned) = (&self.checkpoint, &self.cosigned);
        let message = cosignature::message(cosigned.time, &self.checkpoint);
        let (notary, cose_key) = (Ed25519Key::from(self.keys.notary), Ed25519Key::from(self.keys.cose));
        let good = notary.verify(&message, &cosigned.signature).is_ok()
            && cose_key.verify(&cose::tbs(*size, root), &cosigned.cose).is_ok();
        if !good {
            let (height, validator) = (cosigned.height, cosigned.validator);
            tracing::warn!(height, validator, "dropping a cosignature that does not hold");
        }
        good
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::sets::ValidatorSet;
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};
    use muniment_receipts::genesis::ValidatorKeys;
    use proptest::prelude::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    /// `count` validators up to a height, one more from there on.
    fn sets(count: u8, change: u64) -> Arc<Sets> {
        let hex = |seed: u8| hex::encode(key(seed).verifying_key().as_bytes());
        let keys = |i: u8| ValidatorKeys {
            name: format!("validator-{i}"),
            consensus: hex(200 + i),
            notary: hex(i),
            cose: hex(100 + i),
        };
        let set = |from, count| ValidatorSet::new(from, (0..count).map(keys).collect()).unwrap();
        let mut sets = Sets::new(set(1, count));
        sets.add(set(change, count + 1));
        Arc::new(sets)
    }

    fn root(height: u64) -> Hash {
        [height as u8; 32]
    }

    fn sign(height: u64, validator: u8, wrong: bool) -> Cosigned {
        let size = height * 2;
        let signed = if wrong { [255; 32] } else { root(height) };
        let checkpoint = Checkpoint {
            origin: "o".into(),
            size,
            root: signed,
        };
        Cosigned {
            height,
            validator: u16::from(validator),
            time: 7,
            signature: key(validator).sign(&cosignature::message(7, &checkpoint)).to_bytes(),
            cose: key(100 + validator).sign(&cose::tbs(size, &signed)).to_bytes(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn final_is_exactly_the_unbroken_run_of_heights_with_a_quorum_of_good_signatures(
            offers in prop::collection::vec((1u64..5, 0u8..6, any::<bool>()), 0..60), executed in 0u64..5,
            late in any::<bool>(), change in 2u64..6,
        ) {
            let mut cosigners = Cosigners::new("o".into(), sets(4, change), 0);
            let execute = |c: &mut Cosigners| for height in 1..=executed { c.executed(height, height * 2, root(height), vec![]); };
            if !late { execute(&mut cosigners); }
            for (height, validator, wrong) in &offers {
                let questions = cosigners.ask(vec![sign(*height, *validator, *wrong)]);
                cosigners.answer(questions.into_iter().filter(Question::holds).collect());
            }
            if late { execute(&mut cosigners); }
            let size = |height: u64| if height < change { 4u8 } else { 5 };
            let good = |height: u64| (0..size(height)).filter(|v| {
                // Also when it came early, before or after a wrong one.
                offers.iter().any(|(h, w, wrong)| *h == height && w == v && !wrong)
            }).count();
            let wanted = (1..=executed).take_while(|h| good(*h) > usize::from(size(*h)) * 2 / 3).last().unwrap_or(0);
            prop_assert_eq!(cosigners.final_height(), wanted);
        }
    }
}
