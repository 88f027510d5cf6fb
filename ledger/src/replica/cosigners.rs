//! Collects the validators' cosignatures until each height has a quorum.
//!
//! Owns the counting; pure but for signature checks. A height is final when it and every height below it have a
//! quorum. More than a quorum is not kept: a receipt carries exactly that many.

use std::collections::BTreeMap;

use ed25519_dalek::{Signature, VerifyingKey};
use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::{cose, cosignature};

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
    /// Signatures that came before we executed the height, one per validator.
    early: BTreeMap<u16, Cosigned>,
}

/// State of the collection.
#[derive(Debug)]
pub struct Cosigners {
    origin: String,
    set: CosignerSet,
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
    pub fn new(origin: String, set: CosignerSet, final_height: u64) -> Self {
        Self {
            origin,
            set,
            heights: BTreeMap::new(),
            final_height,
            tip: final_height,
        }
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
        let entry = self.heights.entry(height).or_default();
        entry.checkpoint = Some((size, root));
        let early = std::mem::take(&mut entry.early);
        let mut accepted = Vec::new();
        for cosigned in known {
            if entry.good.len() < self.set.quorum && entry.good.insert(cosigned.validator, cosigned.clone()).is_none() {
                accepted.push(cosigned);
            }
        }
        let mut progress = self.offer(early.into_values().collect());
        accepted.append(&mut progress.accepted);
        let final_height = self.advance().or(progress.final_height);
        Progress { accepted, final_height }
    }

    /// Signatures from a peer. Bad ones are dropped and counted.
    pub fn offer(&mut self, offered: Vec<Cosigned>) -> Progress {
        let mut accepted = Vec::new();
        for cosigned in offered {
            if cosigned.height <= self.final_height || cosigned.height > self.tip + AHEAD {
                continue;
            }
            let Some(keys) = self.set.keys.get(usize::from(cosigned.validator)) else {
                continue;
            };
            let entry = self.heights.entry(cosigned.height).or_default();
            let Some((size, root)) = entry.checkpoint else {
                entry.early.insert(cosigned.validator, cosigned);
                continue;
            };
            if entry.good.len() >= self.set.quorum || entry.good.contains_key(&cosigned.validator) {
                continue;
            }
            if holds(&self.origin, size, root, keys, &cosigned) {
                entry.good.insert(cosigned.validator, cosigned.clone());
                accepted.push(cosigned);
            } else {
                tracing::warn!(
                    cosigned.height,
                    cosigned.validator,
                    "dropping a cosignature that does not hold"
                );
            }
        }
        let final_height = self.advance();
        Progress { accepted, final_height }
    }

    fn advance(&mut self) -> Option<u64> {
        let before = self.final_height;
        while let Some(entry) = self.heights.first_entry() {
            if *entry.key() != self.final_height + 1 || entry.get().good.len() < self.set.quorum {
                break;
            }
            entry.remove();
            self.final_height += 1;
        }
        (self.final_height > before).then_some(self.final_height)
    }
}

/// Checks both signatures of one validator over a checkpoint, strictly.
pub fn holds(origin: &str, size: u64, root: Hash, keys: &CosignerKeys, cosigned: &Cosigned) -> bool {
    let checkpoint = Checkpoint {
        origin: origin.to_owned(),
        size,
        root,
    };
    let message = cosignature::message(cosigned.time, &checkpoint);
    keys.notary
        .verify_strict(&message, &Signature::from_bytes(&cosigned.signature))
        .is_ok()
        && keys
            .cose
            .verify_strict(&cose::tbs(size, &root), &Signature::from_bytes(&cosigned.cose))
            .is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};
    use proptest::prelude::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn set(count: u8) -> CosignerSet {
        let keys = (0..count)
            .map(|i| CosignerKeys {
                notary: key(i).verifying_key(),
                cose: key(100 + i).verifying_key(),
            })
            .collect();
        CosignerSet {
            keys,
            quorum: usize::from(count) * 2 / 3 + 1,
        }
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
            offers in prop::collection::vec((1u64..5, 0u8..5, any::<bool>()), 0..40), executed in 0u64..5, late in any::<bool>(),
        ) {
            let mut cosigners = Cosigners::new("o".into(), set(4), 0);
            let execute = |c: &mut Cosigners| for height in 1..=executed { c.executed(height, height * 2, root(height), vec![]); };
            if !late { execute(&mut cosigners); }
            for (height, validator, wrong) in &offers {
                cosigners.offer(vec![sign(*height, *validator, *wrong)]);
            }
            if late { execute(&mut cosigners); }
            let good = |height: u64| (0..4u8).filter(|v| {
                let mut of = offers.iter().filter(|(h, w, _)| *h == height && w == v);
                // only one early signature per validator is kept, so a later wrong one may displace a good one
                if late { of.next_back().is_some_and(|o| !o.2) } else { of.any(|o| !o.2) }
            }).count();
            let wanted = (1..=executed).take_while(|h| good(*h) >= 3).last().unwrap_or(0);
            prop_assert_eq!(cosigners.final_height(), wanted);
        }
    }
}
