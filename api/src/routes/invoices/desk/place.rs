//! The next place and number of an issuer's series, held while they are being taken.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use tokio::sync::OwnedMutexGuard;

use super::super::asked;
use super::CATCH_UP;
use crate::networks::Network;
use crate::numbering::Next;
use crate::problem::ApiError;

/// A series that is held.
pub struct Place<'a> {
    /// The next, if it is known.
    held: OwnedMutexGuard<Option<Next>>,
    network: &'a Network,
    signer: String,
    series: String,
}

impl<'a> Place<'a> {
    /// A series, by who holds its slot.
    pub fn new(held: OwnedMutexGuard<Option<Next>>, network: &'a Network, signer: String, series: &str) -> Self {
        Self {
            held,
            network,
            signer,
            series: series.to_owned(),
        }
    }

    /// The series.
    pub fn series(&self) -> &str {
        &self.series
    }

    /// The next of the series. The ledger judges it: whoever else takes it, only one gets it.
    ///
    /// # Errors
    /// 500 when the store fails.
    pub async fn next(&mut self) -> Result<Next, ApiError> {
        let next = match *self.held {
            Some(next) => next,
            None => {
                self.network.caught_up(CATCH_UP).await;
                let taken = self.network.places(&self.signer, &self.series).await;
                let place = taken.map_err(ApiError::internal)? + 1;
                Next { place, number: place }
            }
        };
        let free = self.free(next, 1).await?;
        free.first()
            .copied()
            .ok_or_else(|| ApiError::internal("a series has no next number"))
    }

    /// The first so many places from here on, with numbers that this issuer has not given by hand. Others' numbers are
    /// none of its series. One look-up, as long as none is taken.
    ///
    /// # Errors
    /// 500 when the store fails.
    pub async fn free(&self, first: Next, count: usize) -> Result<Vec<Next>, ApiError> {
        let (mut free, mut next) = (Vec::with_capacity(count), first);
        while free.len() < count {
            let numbers: Vec<(u64, String)> = (next.number..)
                .take(count - free.len())
                .map(|number| (number, asked::number(&self.series, number)))
                .collect();
            let asked: Vec<&str> = numbers.iter().map(|(_, text)| text.as_str()).collect();
            let taken = self.network.taken(&self.signer, &asked).await;
            let taken = taken.map_err(ApiError::internal)?;
            for (number, text) in numbers {
                next.number = number;
                if !taken.contains(&text) {
                    free.push(next);
                    next.place += 1;
                }
            }
            next.number += 1;
        }
        Ok(free)
    }

    /// Notes what became of it: taken, or still free; unknown when nobody can say yet.
    pub fn settle(&mut self, next: Next, sent: &Result<HttpResponse, ApiError>) {
        *self.held = match sent {
            Ok(answer) if answer.status() == StatusCode::CREATED => Some(next.after()),
            _ => None,
        };
    }

    /// After several at once nobody knows which were taken: they are counted again.
    pub fn forget(&mut self) {
        *self.held = None;
    }
}
