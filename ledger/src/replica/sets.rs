//! Which validators decide which height, with their keys unpacked.
//!
//! Owns the order of the sets of one network, from the genesis on. Grows with the state and follows from it.

use std::sync::Arc;

use ed25519_dalek::VerifyingKey;
use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::cosignature;
use muniment_receipts::genesis::{ValidatorKeys, validators_hash};
use muniment_receipts::policy;

use super::cosigners::{CosignerKeys, CosignerSet};
use crate::block::Hash;
use crate::engine::Validator;
use crate::state::set_height;
use crate::store::StoreError;
use crate::wire::Cosigned;

/// A validator set can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// A key in it can't be used.
    #[error("key `{which}` of validator `{validator}` is not a usable Ed25519 key")]
    Key {
        /// Validator name.
        validator: String,
        /// `consensus`, `notary` or `cose`.
        which: &'static str,
    },
    /// It can't be written as canonical JSON.
    #[error("the validator set can't be hashed")]
    Hash(#[source] serde_json::Error),
}

/// One validator set.
#[derive(Debug)]
pub struct ValidatorSet {
    /// First height that it decides.
    pub from: u64,
    /// Validators in proposer order.
    pub validators: Vec<ValidatorKeys>,
    /// The same for the engine.
    pub engine: Vec<Validator>,
    /// The same for cosignatures.
    pub cosigners: CosignerSet,
    /// How markers and headers name it.
    pub hash: Hash,
}

impl ValidatorSet {
    /// Unpacks a set.
    ///
    /// # Errors
    /// [`SetError`].
    pub fn new(from: u64, validators: Vec<ValidatorKeys>) -> Result<Self, SetError> {
        let cosigner = |v: &ValidatorKeys| {
            Ok(CosignerKeys {
                notary: key(v, "notary", &v.notary)?,
                cose: key(v, "cose", &v.cose)?,
            })
        };
        let keys = validators.iter().map(cosigner).collect::<Result<Vec<_>, SetError>>()?;
        let engine = validators
            .iter()
            .map(|v| Ok(Validator::new(key(v, "consensus", &v.consensus)?.to_bytes(), 1)))
            .collect::<Result<Vec<_>, SetError>>()?;
        Ok(Self {
            from,
            cosigners: CosignerSet {
                quorum: policy::quorum(validators.len()),
                keys,
            },
            engine,
            hash: validators_hash(&validators).map_err(SetError::Hash)?,
            validators,
        })
    }

    /// Signatures needed.
    pub fn quorum(&self) -> usize {
        self.cosigners.quorum
    }

    /// Place of a validator with these keys.
    pub fn place(&self, own: &ValidatorKeys) -> Option<u16> {
        let place = self.validators.iter().position(|validator| validator == own)?;
        u16::try_from(place).ok()
    }

    /// The checkpoint as a signed note with the given cosignatures.
    pub fn note(&self, checkpoint: &Checkpoint, cosigned: &[Cosigned]) -> String {
        let mut note = checkpoint.text();
        note.push('\n');
        for one in cosigned {
            let index = usize::from(one.validator);
            if let (Some(validator), Some(keys)) = (self.validators.get(index), self.cosigners.keys.get(index)) {
                let name = cosignature::key_name(&checkpoint.origin, &validator.name);
                let key = keys.notary.to_bytes();
                note.push_str(&cosignature::line(&name, &key, one.time, &one.signature));
            }
        }
        note
    }
}

/// The sets that a block's state writes decide on.
pub fn in_changes(changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<Vec<ValidatorSet>, StoreError> {
    let sets = changes
        .iter()
        .filter_map(|(key, value)| Some((set_height(key)?, value.as_deref()?)));
    sets.map(|(from, value)| stored(from, value)).collect()
}

/// A set as the state keeps it.
pub fn stored(from: u64, value: &[u8]) -> Result<ValidatorSet, StoreError> {
    let broken = |error: &dyn std::fmt::Display| {
        StoreError::Inconsistent(format!("the validator set of height {from} can't be read: {error}"))
    };
    let validators = serde_json::from_slice(value).map_err(|error| broken(&error))?;
    ValidatorSet::new(from, validators).map_err(|error| broken(&error))
}

fn key(validator: &ValidatorKeys, which: &'static str, text: &str) -> Result<VerifyingKey, SetError> {
    let error = || SetError::Key {
        validator: validator.name.clone(),
        which,
    };
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| error())?;
    VerifyingKey::from_bytes(&bytes)
        .ok()
        .filter(|key| !key.is_weak())
        .ok_or_else(error)
}

/// All sets of a network so far, and the one that is decided to come.
#[derive(Clone, Debug)]
pub struct Sets {
    first: Arc<ValidatorSet>,
    /// Ascending by their first height.
    later: Vec<Arc<ValidatorSet>>,
}

impl Sets {
    /// The genesis set.
    pub fn new(first: ValidatorSet) -> Self {
        let (first, later) = (Arc::new(first), Vec::new());
        Self { first, later }
    }

    /// Adds a set that decides from a later height on. One that is there already changes nothing.
    pub fn add(&mut self, set: ValidatorSet) {
        if self.newest().from < set.from {
            self.later.push(Arc::new(set));
        }
    }

    /// The set that decides a height.
    pub fn at(&self, height: u64) -> &Arc<ValidatorSet> {
        let later = self.later.iter().rev();
        later.into_iter().find(|set| set.from <= height).unwrap_or(&self.first)
    }

    /// The last set that is decided.
    pub fn newest(&self) -> &Arc<ValidatorSet> {
        self.later.last().unwrap_or(&self.first)
    }

    /// The sets after that of the genesis.
    pub fn later(&self) -> &[Arc<ValidatorSet>] {
        &self.later
    }

    /// The keys that a validator of this name has or had.
    pub fn named(&self, name: &str) -> Option<&ValidatorKeys> {
        let all = self.later.iter().chain([&self.first]);
        let mut validators = all.flat_map(|set| &set.validators);
        validators.find(|validator| validator.name == name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn set(from: u64, seeds: &[u8]) -> ValidatorSet {
        let hex = |seed: u8, duty: u8| {
            let mut bytes = [duty; 32];
            bytes[0] = seed;
            hex::encode(ed25519_dalek::SigningKey::from_bytes(&bytes).verifying_key().as_bytes())
        };
        let keys = |seed: &u8| ValidatorKeys {
            name: format!("validator-{seed}"),
            consensus: hex(*seed, 1),
            notary: hex(*seed, 2),
            cose: hex(*seed, 3),
        };
        ValidatorSet::new(from, seeds.iter().map(keys).collect()).unwrap()
    }

    #[test]
    fn each_height_has_the_set_that_decides_it() {
        let mut sets = Sets::new(set(1, &[0, 1, 2, 3]));
        sets.add(set(7, &[0, 1, 2, 3, 4]));
        sets.add(set(8, &[1, 2, 3, 4]));
        sets.add(set(7, &[0, 1, 2, 3]));
        let sizes: Vec<_> = (1..=9).map(|height| sets.at(height).validators.len()).collect();
        assert_eq!(sizes, [4, 4, 4, 4, 4, 4, 5, 4, 4]);
        assert_eq!((sets.at(6).quorum(), sets.at(7).quorum()), (3, 4));
        let fourth = sets.newest().validators[3].clone();
        assert_eq!(
            (
                sets.at(8).place(&fourth),
                sets.at(7).place(&fourth),
                sets.at(6).place(&fourth)
            ),
            (Some(3), Some(4), None)
        );
        assert_eq!(sets.named("validator-0").unwrap().name, "validator-0");
        assert_ne!(sets.at(6).hash, sets.at(7).hash);
    }
}
