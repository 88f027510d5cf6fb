//! The next place and number of an issuer's series, held while they are being taken.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use tokio::sync::OwnedMutexGuard;

use super::super::asked;
use super::CATCH_UP;
use crate::networks::Network;
use crate::numbering::{Held, Next, Slot};
use crate::problem::ApiError;

/// Numbers that are looked up together where the first ones are taken.
const LOOK: usize = 500;

/// A series that is held.
pub struct Place<'a> {
    held: OwnedMutexGuard<Held>,
    slot: Arc<Slot>,
    /// [`Slot::moved`] when the place was found.
    moved: u64,
    network: &'a Network,
    signer: String,
    series: String,
}

impl<'a> Place<'a> {
    /// A series; waits for whoever holds it.
    pub async fn hold(slot: Arc<Slot>, network: &'a Network, signer: String, series: &str) -> Self {
        Self {
            held: slot.held.clone().lock_owned().await,
            moved: slot.moved(),
            slot,
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
        self.moved = self.slot.moved();
        // Until somebody can say what became of it.
        let place = match self.held.place.take() {
            Some((place, moved)) if moved == self.moved => place,
            _ => {
                self.network.caught_up_with_validators(CATCH_UP).await;
                let taken = self.network.places(&self.signer, &self.series).await;
                taken.map_err(ApiError::internal)? + 1
            }
        };
        let number = self.held.taken + 1;
        let free = self.free(Next { place, number }, 1).await?;
        let next = free
            .first()
            .copied()
            .ok_or_else(|| ApiError::internal("a series has no next number"))?;
        self.held.taken = next.number - 1;
        Ok(next)
    }

    /// The first so many places from here on, with numbers that this issuer has not used. Others' numbers are none of its
    /// series. One look-up, as long as none is taken.
    ///
    /// # Errors
    /// 500 when the store fails.
    pub async fn free(&self, first: Next, count: usize) -> Result<Vec<Next>, ApiError> {
        let (mut free, mut next, mut look) = (Vec::with_capacity(count), first, count);
        while free.len() < count {
            let numbers: Vec<(u64, String)> = (next.number..)
                .take(look)
                .map(|number| (number, asked::number(&self.series, number)))
                .collect();
            let asked: Vec<&str> = numbers.iter().map(|(_, text)| text.as_str()).collect();
            let taken = self.network.taken(&self.signer, &asked).await;
            let taken = taken.map_err(ApiError::internal)?;
            for (number, _) in numbers.iter().filter(|(_, text)| !taken.contains(text)) {
                next.number = *number;
                free.push(next);
                next.place += 1;
            }
            next.number = numbers.last().map_or(next.number, |(number, _)| number + 1);
            look = LOOK;
        }
        free.truncate(count);
        Ok(free)
    }

    /// Notes what became of it: taken, or still free; unknown when nobody can say yet.
    pub fn settle(&mut self, next: Next, sent: &Result<HttpResponse, ApiError>) {
        if sent.as_ref().is_ok_and(|answer| answer.status() == StatusCode::CREATED) {
            *self.held = Held {
                taken: next.number,
                place: Some((next.place + 1, self.moved)),
            };
        }
    }
}
