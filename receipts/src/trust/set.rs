//! One validator set: its keys unpacked, its policy, and the judgement over a cosigned checkpoint.

use crate::checkpoint::Checkpoint;
use crate::cosignature::{Cosigner, key_name};
use crate::genesis::{GenesisError, ValidatorKeys, validators_hash};
use crate::key::Ed25519Key;
use crate::merkle::Hash;
use crate::note::{Note, Signature};
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
    /// Names on lines of this set's keys that don't: wrong signature, repeated or out of order.
    pub refused: Vec<String>,
    /// Names on lines of keys that are not this set's. They count for nothing: a signed note may carry the signatures
    /// of others (a witness, a log, a validator's key of a later kind), and a verifier must not mind them.
    pub ignored: Vec<String>,
    /// Signatures needed.
    pub quorum: usize,
    /// Validators of the set.
    pub validators: usize,
}

impl Judgement {
    /// A quorum has signed, and every line of a validator's key holds.
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
        self.note_over(&checkpoint.text(), cosignatures)
    }

    /// A note that carries more than is needed, cut down to what [`Self::note`] makes of it: the first quorum of the
    /// lines that hold, and nothing else. Receipts are made of such notes, so that no bit of them is spare. `None`
    /// without a quorum.
    pub fn exact(&self, note: &Note<'_>) -> Option<String> {
        self.note_over(note.text, &self.sort(note).held)
    }

    fn note_over(&self, text: &str, cosignatures: &[Cosignature]) -> Option<String> {
        let mut chosen: Vec<&Cosignature> = cosignatures.iter().collect();
        chosen.sort_by_key(|cosignature| cosignature.validator);
        chosen.dedup_by_key(|cosignature| cosignature.validator);
        if chosen.len() < self.quorum() {
            return None;
        }
        let mut note = format!("{text}\n");
        for cosignature in &chosen[..self.quorum()] {
            let cosigner = self.cosigner(usize::from(cosignature.validator))?;
            note.push_str(&cosigner.line(cosignature.time, &cosignature.signature));
        }
        Some(note)
    }

    /// Checks every signature line of a checkpoint that names a key of this set, name and key id: it must hold, and
    /// stand in set order. Lines of other keys are ignored, as C2SP `signed-note` demands.
    pub fn judge(&self, note: &Note<'_>) -> Judgement {
        let Sorted { held, refused, ignored } = self.sort(note);
        let signed = held.into_iter().map(|cosignature| Signed {
            name: self.validators[usize::from(cosignature.validator)].name.clone(),
            time: cosignature.time,
        });
        Judgement {
            signed: signed.collect(),
            refused,
            ignored,
            quorum: self.quorum(),
            validators: self.validators.len(),
        }
    }

    fn sort(&self, note: &Note<'_>) -> Sorted {
        let mut sorted = Sorted::default();
        let mut next = 0;
        for signature in &note.signatures {
            let Some(index) = self.cosigners.iter().position(|cosigner| cosigner.owns(signature)) else {
                sorted.ignored.push(signature.name.to_owned());
                continue;
            };
            let held = (index >= next)
                .then(|| self.held(index, note.text, signature))
                .flatten();
            match held {
                Some(cosignature) => {
                    next = index + 1;
                    sorted.held.push(cosignature);
                }
                None => sorted.refused.push(signature.name.to_owned()),
            }
        }
        sorted
    }

    fn held(&self, index: usize, text: &str, signature: &Signature<'_>) -> Option<Cosignature> {
        Some(Cosignature {
            validator: index.try_into().ok()?,
            time: self.cosigners[index].verify_line(text, signature).ok()?,
            signature: *signature.bytes.last_chunk()?,
        })
    }
}

/// Signature lines by what they are worth.
#[derive(Default)]
struct Sorted {
    /// In set order.
    held: Vec<Cosignature>,
    refused: Vec<String>,
    ignored: Vec<String>,
}
