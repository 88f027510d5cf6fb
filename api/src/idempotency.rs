//! The `Idempotency-Key` header: a request that is sent again makes nothing new.
//!
//! A key belongs to whom its sender acts for, the tenant or one of its parties, in one network. It is stored in the same
//! database transaction as what it made, so a crash can't part them.

use actix_web::HttpRequest;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::ctx::Ctx;
use crate::networks::Network;
use crate::operation_id::OperationId;
use crate::problem::{ApiError, Code};
use crate::store::Write;
use crate::store::entity::idempotency;

/// Where a key is unique.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Tenant.
    pub tenant: String,
    /// Party of the tenant, or empty for the tenant itself.
    pub party: String,
    /// Network id.
    pub network: [u8; 32],
    /// What the header says.
    pub key: String,
}

/// Keys that are in use and not stored yet.
#[derive(Clone, Default)]
pub struct InFlight {
    keys: Arc<Mutex<HashSet<Key>>>,
}

/// The key of this request. Held until it is stored, also when the request is given up by its caller before.
pub struct Held {
    of: InFlight,
    key: Key,
    body: [u8; 32],
}

/// What a request's key says.
pub enum Use {
    /// It has none.
    None,
    /// It is used for the first time.
    First(Held),
    /// It made this operation before.
    Again(OperationId),
}

/// Looks at the request's key.
///
/// # Errors
/// 400 for a malformed key, 409 while the same key is in use, 422 when it was used with another body.
pub async fn look(ctx: &Ctx, request: &HttpRequest, network: &Network, body: &[u8]) -> Result<Use, ApiError> {
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
    let key = Key {
        tenant: ctx.tenant().to_owned(),
        party: ctx.owner().party.clone().unwrap_or_default(),
        network: network.entry.id,
        key: key.to_owned(),
    };
    let flight = &ctx.state().idempotency;
    if !flight
        .keys
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(key.clone())
    {
        return Err(ApiError::in_flight());
    }
    let held = Held {
        of: flight.clone(),
        key,
        body: digest,
    };
    let earlier = ctx.store().idempotency(&held.key).await.map_err(ApiError::internal)?;
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

impl Held {
    /// The row that remembers what the key made.
    pub fn row(&self, operation: OperationId) -> Write {
        Write::Idempotency(idempotency::Model {
            tenant: self.key.tenant.clone(),
            party: self.key.party.clone(),
            network: self.key.network.to_vec(),
            key: self.key.key.clone(),
            body: self.body.to_vec(),
            operation: operation.to_string(),
            created_at: operation.created_at,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of
            .keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}
