//! What a replica knows of its network from the genesis, taken apart once.
//!
//! Owns derived names. What governance may change later isn't here: validators are in [`super::sets`], members and
//! templates in the state. Pure.

use muniment_receipts::genesis::Genesis;
use muniment_receipts::trust::TrustRoot;

use super::sets::{SetError, Sets, ValidatorSet};
use crate::block::Hash;
use crate::execute::Params;

/// The genesis can't be used.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// Not a genesis document, or not canonical.
    #[error("the genesis is not valid: {0}")]
    Invalid(String),
    /// Its validators can't be used.
    #[error("the validators of the genesis can't be used")]
    Validators(#[from] SetError),
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
        Ok(Self {
            network,
            origin: trust.origin().to_owned(),
            params: Params { network },
            genesis_bytes,
            genesis,
        })
    }

    /// The validator sets as far as the genesis tells.
    ///
    /// # Errors
    /// When a key in it can't be used.
    pub fn sets(&self) -> Result<Sets, GenesisError> {
        let first = ValidatorSet::new(1, self.genesis.validators.clone())?;
        Ok(Sets::new(first))
    }
}
