//! The `Idempotency-Key` header: a request that is sent again makes nothing new.
//!
//! The key is stored in the same database transaction as what it made, so a crash can't part them.

use actix_web::HttpRequest;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::ctx::Ctx;
use crate::networks::Network;
use crate::operation_id::OperationId;
use crate::problem::{ApiError, Code};
use crate::store::Write;
use crate::store::entity::idempotency;

type Key = (String, [u8; 32], String);

/// Keys of requests that are under way.
#[derive(Default)]
pub struct InFlight {
    keys: Mutex<HashSet<Key>>,
}

/// The key of this request, held while it is under way.
pub struct Held<'a> {
    of: &'a InFlight,
    key: Key,
    body: [u8; 32],
}

/// What a request's key says.
pub enum Use<'a> {
    /// It has none.
    None,
    /// It is used for the first time.
    First(Held<'a>),
    /// It made this operation before.
    Again(OperationId),
}

/// Looks at the request's key.
///
/// # Errors
/// 400 for a malformed key, 409 while the same key is in use, 422 when it was used with another body.
pub async fn look<'a>(
    ctx: &'a Ctx,
    request: &HttpRequest,
    network: &Network,
    body: &[u8],
) -> Result<Use<'a>, ApiError> {
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(Use::None);
    };
    let key = value
        .to_str()
        .ok()
        .filter(|key| !key.is_empty() && key.len() <= 255)
        .ok_or_else(|| {
            ApiError::new(
                Code::BAD_REQUEST,
                "Idempotency-Key must be 1 to 255 printable ASCII characters",
            )
        })?;
    let digest = Sha256::new()
        .chain_update(request.path())
        .chain_update([0])
        .chain_update(request.query_string())
        .chain_update([0])
        .chain_update(body)
        .finalize()
        .into();
    let key = (ctx.tenant().to_owned(), network.entry.id, key.to_owned());
    let flight = &ctx.state().idempotency;
    if !flight
        .keys
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(key.clone())
    {
        let detail = "a request with this Idempotency-Key is under way; wait for its answer, or use another key";
        return Err(ApiError::new(Code::IDEMPOTENCY_IN_FLIGHT, detail));
    }
    let held = Held {
        of: flight,
        key,
        body: digest,
    };
    let earlier = ctx
        .store()
        .idempotency(&held.key.1, &held.key.2)
        .await
        .map_err(ApiError::internal)?;
    match earlier {
        None => Ok(Use::First(held)),
        Some(earlier) if earlier.body != held.body => {
            let detail = "this Idempotency-Key was used for another request; use a new key for new content";
            Err(ApiError::new(Code::IDEMPOTENCY_MISMATCH, detail))
        }
        Some(earlier) => {
            let operation = earlier
                .operation
                .parse()
                .map_err(|()| ApiError::internal("a stored operation id"))?;
            Ok(Use::Again(operation))
        }
    }
}

impl Held<'_> {
    /// The row that remembers what the key made.
    pub fn row(&self, operation: OperationId) -> Write {
        Write::Idempotency(idempotency::Model {
            tenant: self.key.0.clone(),
            network: self.key.1.to_vec(),
            key: self.key.2.clone(),
            body: self.body.to_vec(),
            operation: operation.to_string(),
            created_at: operation.created_at,
        })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.of
            .keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}
