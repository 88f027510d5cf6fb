//! One validator set: its keys unpacked, its policy, and the judgement over a cosigned checkpoint.

use crate::checkpoint::Checkpoint;
use crate::cosignature::{Cosigner, key_name};
use crate::genesis::{GenesisError, ValidatorKeys, validators_hash};
use crate::key::Ed25519Key;
use crate::merkle::Hash;
use crate::note::Note;
use crate::policy;

/// Validators that decide from a height on.
#[derive(Clone, Debug)]
pub struct ValidatorSet {
    from_height: u64,
    validators: Vec<ValidatorKeys>,
    hash: Hash,
    policy: String,
    cosigners: Vec<Cosigner>,
    cose: Vec<Ed25519Key>,
}

/// A cosignature as validators exchange it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// Index in the set.
    pub validator: u16,
    /// Seconds since the Unix epoch.
    pub time: u64,
    /// `cosignature/v1` signature.
    pub signature: [u8; 64],
}

/// A cosignature that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Name of the validator.
    pub name: String,
    /// Seconds since the Unix epoch.
    pub time: u64,
}

/// What the signature lines of a checkpoint are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Cosignatures that hold, in set order.
    pub signed: Vec<Signed>,
    /// Names on lines that don't: unknown key, wrong signature, repeated or out of order.
    pub refused: Vec<String>,
    /// Signatures needed.
    pub quorum: usize,
    /// Validators of the set.
    pub validators: usize,
}

impl Judgement {
    /// A quorum has signed and there is no line beside.
    pub fn holds(&self) -> bool {
        self.signed.len() >= self.quorum && self.refused.is_empty()
    }
}

impl ValidatorSet {
    pub(super) fn new(from_height: u64, validators: Vec<ValidatorKeys>, origin: &str) -> Result<Self, GenesisError> {
        let hash = validators_hash(&validators).map_err(GenesisError::Json)?;
        let (mut cosigners, mut cose) = (Vec::new(), Vec::new());
        for (index, validator) in validators.iter().enumerate() {
            let field = |name: &str| format!("/validators/{index}/{name}");
            let shape = |name| GenesisError::Field {
                field: field(name),
                reason: "expected 64 lowercase hex characters",
            };
            let notary = validator.notary_key().ok_or_else(|| shape("notary"))?;
            let cosigner = Cosigner::new(key_name(origin, &validator.name), &notary);
            cosigners.push(cosigner.map_err(|source| GenesisError::Key {
                field: field("notary"),
                source,
            })?);
            let key = Ed25519Key::registered(&validator.cose_key().ok_or_else(|| shape("cose"))?);
            cose.push(key.map_err(|source| GenesisError::Key {
                field: field("cose"),
                source,
            })?);
        }
        let named = validators.iter().zip(&cosigners);
        let policy = policy::derive(named.map(|(validator, cosigner)| (validator.name.as_str(), cosigner.vkey())));
        Ok(Self {
            from_height,
            validators,
            hash,
            policy,
            cosigners,
            cose,
        })
    }

    /// First height it decides.
    pub fn from_height(&self) -> u64 {
        self.from_height
    }

    /// The validators, in order.
    pub fn validators(&self) -> &[ValidatorKeys] {
        &self.validators
    }

    /// SHA-256 of the canonical JSON of the validators.
    pub fn hash(&self) -> &Hash {
        &self.hash
    }

    /// Signatures needed.
    pub fn quorum(&self) -> usize {
        policy::quorum(self.validators.len())
    }

    /// `tlog-policy` text.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// A validator's cosigner.
    pub fn cosigner(&self, validator: usize) -> Option<&Cosigner> {
        self.cosigners.get(validator)
    }

    /// A validator's COSE key.
    pub fn cose_key(&self, validator: usize) -> Option<&Ed25519Key> {
        self.cose.get(validator)
    }

    /// The checkpoint as a signed note with the first quorum of the cosignatures by validator index, so that everyone
    /// who has the same ones makes the same note. The signatures are not checked here. `None` without a quorum.
    pub fn note(&self, checkpoint: &Checkpoint, cosignatures: &[Cosignature]) -> Option<String> {
        let mut chosen: Vec<&Cosignature> = cosignatures.iter().collect();
        chosen.sort_by_key(|cosignature| cosignature.validator);
        chosen.dedup_by_key(|cosignature| cosignature.validator);
        if chosen.len() < self.quorum() {
            return None;
        }
        let mut note = checkpoint.text();
        note.push('\n');
        for cosignature in &chosen[..self.quorum()] {
            let cosigner = self.cosigner(usize::from(cosignature.validator))?;
            note.push_str(&cosigner.line(cosignature.time, &cosignature.signature));
        }
        Some(note)
    }

    /// Checks every signature line of a checkpoint: each must belong to a validator of this set, hold, and stand in
    /// set order.
    pub fn judge(&self, note: &Note<'_>) -> Judgement {
        let (mut signed, mut refused) = (Vec::new(), Vec::new());
        let mut next = 0;
        for signature in &note.signatures {
            let owner = self.cosigners.iter().position(|cosigner| cosigner.owns(signature));
            let checked = owner.filter(|index| *index >= next).and_then(|index| {
                let time = self.cosigners[index].verify_line(note.text, signature).ok()?;
                Some((index, time))
            });
            match checked {
                Some((index, time)) => {
                    next = index + 1;
                    signed.push(Signed {
                        name: self.validators[index].name.clone(),
                        time,
                    });
                }
                None => refused.push(signature.name.to_owned()),
            }
        }
        Judgement {
            signed,
            refused,
            quorum: self.quorum(),
            validators: self.validators.len(),
        }
    }
}
