//! The next place of an issuer's series, held while it is being taken.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use tokio::sync::OwnedMutexGuard;

use super::CATCH_UP;
use crate::networks::Network;
use crate::problem::ApiError;

/// A series that is held.
pub struct Place<'a> {
    /// The next place, if it is known.
    held: OwnedMutexGuard<Option<u64>>,
    network: &'a Network,
    signer: String,
    series: String,
}

impl<'a> Place<'a> {
    /// A series, by who holds its slot.
    pub fn new(held: OwnedMutexGuard<Option<u64>>, network: &'a Network, signer: String, series: &str) -> Self {
        Self {
            held,
            network,
            signer,
            series: series.to_owned(),
        }
    }

    /// The next place of the series. The ledger judges it: whoever else takes it, only one gets it.
    ///
    /// # Errors
    /// 500 when the store fails.
    pub async fn next(&mut self) -> Result<u64, ApiError> {
        if let Some(next) = *self.held {
            return Ok(next);
        }
        self.network.caught_up(CATCH_UP).await;
        let taken = self
            .network
            .places(&self.signer, &self.series)
            .await
            .map_err(ApiError::internal)?;
        *self.held = Some(taken + 1);
        Ok(taken + 1)
    }

    /// Notes what became of a place: taken, or still free; unknown when nobody can say yet.
    pub fn settle(&mut self, place: u64, sent: &Result<HttpResponse, ApiError>) {
        *self.held = match sent {
            Ok(answer) if answer.status() == StatusCode::CREATED => Some(place + 1),
            _ => None,
        };
    }

    /// After several at once nobody knows which were taken: they are counted again.
    pub fn forget(&mut self) {
        *self.held = None;
    }
}
