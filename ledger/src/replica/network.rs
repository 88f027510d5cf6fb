//! What a replica knows of its network from the genesis, taken apart once.
//!
//! Owns derived names, keys and the quorum. Pure.

use ed25519_dalek::VerifyingKey;
use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::cosignature;
use muniment_receipts::genesis::{Genesis, ValidatorKeys};
use muniment_receipts::trust::TrustRoot;

use super::cosigners::{CosignerKeys, CosignerSet};
use crate::block::Hash;
use crate::engine::Validator;
use crate::execute::Params;
use crate::wire::Cosigned;

/// The genesis can't be used.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// Not a genesis document, or not canonical.
    #[error("the genesis is not valid: {0}")]
    Invalid(String),
    /// A key in it can't be used.
    #[error("key `{which}` of validator `{validator}` in the genesis is not a usable Ed25519 key")]
    Key {
        /// Validator name.
        validator: String,
        /// `consensus`, `notary` or `cose`.
        which: &'static str,
    },
}

/// Constant facts of one network.
#[derive(Debug)]
pub struct NetworkFacts {
    /// Network id.
    pub network: Hash,
    /// Canonical genesis.
    pub genesis_bytes: Vec<u8>,
    /// The genesis.
    pub genesis: Genesis,
    /// Log origin.
    pub origin: String,
    /// Validators in proposer order.
    pub validators: Vec<ValidatorKeys>,
    /// The same for the engine.
    pub engine: Vec<Validator>,
    /// The same for cosignatures.
    pub cosigners: CosignerSet,
    /// Hash of the validator set.
    pub validators_hash: Hash,
    /// Signatures needed.
    pub quorum: usize,
    /// What the executor checks transactions against.
    pub params: Params,
}

impl NetworkFacts {
    /// Takes a genesis apart.
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn new(genesis_bytes: Vec<u8>) -> Result<Self, GenesisError> {
        let invalid = |error: &dyn std::fmt::Display| GenesisError::Invalid(error.to_string());
        let genesis: Genesis = serde_json::from_slice(&genesis_bytes).map_err(|e| invalid(&e))?;
        if genesis.canonical().map_err(|e| invalid(&e))? != genesis_bytes {
            return Err(GenesisError::Invalid("it is not canonical JSON".into()));
        }
        let network = genesis.network_id().map_err(|e| invalid(&e))?;
        let trust = TrustRoot::new(genesis.clone()).map_err(|e| invalid(&e))?;
        let validators = genesis.validators.clone();
        let keys = validators
            .iter()
            .map(|v| {
                Ok(CosignerKeys {
                    notary: key(v, "notary", &v.notary)?,
                    cose: key(v, "cose", &v.cose)?,
                })
            })
            .collect::<Result<Vec<_>, GenesisError>>()?;
        let engine = validators
            .iter()
            .map(|v| Ok(engine_validator(&key(v, "consensus", &v.consensus)?)))
            .collect::<Result<Vec<_>, GenesisError>>()?;
        let quorum = trust.quorum();
        let validators_hash = muniment_receipts::genesis::validators_hash(&validators).map_err(|e| invalid(&e))?;
        Ok(Self {
            network,
            origin: trust.origin().to_owned(),
            cosigners: CosignerSet { keys, quorum },
            params: Params { network },
            genesis_bytes,
            genesis,
            validators,
            engine,
            validators_hash,
            quorum,
        })
    }

    /// The checkpoint as a signed note with the given cosignatures.
    pub fn note(&self, checkpoint: &Checkpoint, cosigned: &[Cosigned]) -> String {
        let mut note = checkpoint.text();
        note.push('\n');
        for one in cosigned {
            let index = usize::from(one.validator);
            if let (Some(validator), Some(keys)) = (self.validators.get(index), self.cosigners.keys.get(index)) {
                let name = cosignature::key_name(&self.origin, &validator.name);
                note.push_str(&cosignature::line(
                    &name,
                    &keys.notary.to_bytes(),
                    one.time,
                    &one.signature,
                ));
            }
        }
        note
    }
}

fn key(validator: &ValidatorKeys, which: &'static str, text: &str) -> Result<VerifyingKey, GenesisError> {
    let error = || GenesisError::Key {
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

fn engine_validator(key: &VerifyingKey) -> Validator {
    use sha2::Digest;
    let digest: [u8; 32] = sha2::Sha256::digest(key.as_bytes()).into();
    let mut address = [0; 20];
    address.copy_from_slice(&digest[..20]);
    Validator {
        address,
        key: key.to_bytes(),
        power: 1,
    }
}
