//! Which revision of a template new records live by.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::lookup::unavailable;
use super::runtime::Network;
use crate::problem::ApiError;

/// How long an answer is good. A newer revision is named by the ledger's refusal.
const GOOD: Duration = Duration::from_secs(1);

/// Newest revisions, as a validator told lately.
#[derive(Default)]
pub struct Revisions(Mutex<HashMap<String, (u32, Instant)>>);

impl Network {
    /// The revision of a template that new records live by; 1 for a template that isn't known here, which the ledger then
    /// refuses by its name. A validator's word: a wrong one is refused by the ledger.
    ///
    /// # Errors
    /// 503 when no validator tells.
    pub async fn revision(&self, template: &str) -> Result<u32, ApiError> {
        let known = self
            .revisions
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(template)
            .copied();
        if let Some((revision, at)) = known
            && at.elapsed() < GOOD
        {
            return Ok(revision);
        }
        let found = self.reader().template(template, None).await.map_err(unavailable)?;
        let Some(found) = found else { return Ok(1) };
        let entry = (found.newest, Instant::now());
        let mut known = self.revisions.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(found.name, entry);
        Ok(entry.0)
    }
}
