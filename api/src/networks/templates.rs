//! Which revision of a template new records live by.

use muniment_receipts::genesis::Genesis;

use super::lookup::unavailable;
use super::runtime::Network;
use crate::problem::ApiError;

impl Network {
    /// The revision of a template that new records live by; 1 for a template that isn't known here, which the ledger then
    /// refuses by its name.
    ///
    /// # Errors
    /// 503 when no validator tells the network's genesis.
    pub async fn revision(&self, template: &str) -> Result<u32, ApiError> {
        let genesis = self.genesis.get_or_try_init(|| self.read_genesis()).await?;
        let of = genesis.templates.iter().filter(|known| known.name == template);
        Ok(of.map(|known| known.revision).max().unwrap_or(1))
    }

    /// The genesis, whoever tells it: its hash is the network's id.
    async fn read_genesis(&self) -> Result<Genesis, ApiError> {
        let bytes = self.client.genesis().await.map_err(unavailable)?;
        let genesis = Genesis::parse(&bytes).map_err(ApiError::unavailable)?;
        if genesis.network_id().map_err(ApiError::internal)? != self.entry.id {
            return Err(ApiError::unavailable("a validator tells another network's genesis"));
        }
        Ok(genesis)
    }
}
