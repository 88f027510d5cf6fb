//! Operations: what became of work that was accepted.

use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use muniment_ledger::wire::TransactionStatus;
use serde::Deserialize;
use std::time::Duration;

use super::notarizations::answer;
use super::respond::{self, Refused, Shape};
use crate::ctx::Ctx;
use crate::networks::Network;
use crate::networks::answer::refused;
use crate::networks::lookup::unavailable;
use crate::operation_id::OperationId;
use crate::problem::ApiError;
use crate::types::{ItemOutcome, Operation, Problem};

/// For so long after acceptance a validator may not know yet what another one said is final.
const SETTLING_MS: i64 = 15_000;
/// Signing again after an expiry makes a chain; it is never long.
const LONGEST_CHAIN: usize = 100;

/// How an operation stands.
pub enum Standing {
    /// Accepted, not decided.
    Pending,
    /// Decided.
    Done(Vec<ItemOutcome>),
}

#[derive(Deserialize)]
struct Failed {
    code: String,
    message: String,
}

/// An operation. Works also after a restart of everything: most of it is read from the ledger itself.
#[utoipa::path(get, path = "/v1/operations/{operation}", tag = "operations", operation_id = "getOperation",
    security(("apiKey" = [])), params(("operation" = String, Path)),
    responses((status = 200, description = "how it stands", body = Operation),
        (status = 404, description = "no such operation", body = Problem)))]
pub async fn get(ctx: Ctx, path: Path<String>) -> Result<HttpResponse, ApiError> {
    let id: OperationId = path.parse().map_err(|()| ApiError::not_found())?;
    for network in ctx.networks().await {
        match standing(&network, id).await? {
            Some(Standing::Pending) => return Ok(HttpResponse::Ok().json(respond::pending(id))),
            Some(Standing::Done(items)) => return Ok(HttpResponse::Ok().json(respond::finished(id, items))),
            None => {}
        }
    }
    Err(ApiError::not_found())
}

/// How an operation stands in a network; `None` if it isn't one of this network's.
///
/// # Errors
/// 503 when the ledger has to be asked and can't be.
pub async fn standing(network: &Network, id: OperationId) -> Result<Option<Standing>, ApiError> {
    let mut transaction = id.transaction;
    let mut before_signing = Refused::default();
    for _ in 0..LONGEST_CHAIN {
        if network.is_pending(&transaction) {
            return Ok(Some(Standing::Pending));
        }
        let Some(row) = network.exception(&transaction).await.map_err(ApiError::internal)? else {
            break;
        };
        if let Some(rejected) = row.rejected {
            before_signing = serde_json::from_str(&rejected).map_err(ApiError::internal)?;
            if before_signing.items.len() == before_signing.total {
                return Ok(Some(Standing::Done(before_signing.merge(Vec::new()))));
            }
        }
        if let Some(failed) = row.failed {
            let failed: Failed = serde_json::from_str(&failed).map_err(ApiError::internal)?;
            let actions = before_signing.total.saturating_sub(before_signing.items.len()).max(1);
            let items = vec![refused(&failed.code, &failed.message); actions];
            return Ok(Some(Standing::Done(before_signing.merge(items))));
        }
        match row.replaced_by.and_then(|id| id.try_into().ok()) {
            Some(next) => transaction = muniment_ledger::transaction::TransactionId(next),
            None => break,
        }
    }
    let young = crate::time::now_ms() - id.created_at < SETTLING_MS;
    let wait = if young { Duration::from_secs(1) } else { Duration::ZERO };
    match network
        .client
        .transaction(&transaction, wait)
        .await
        .map_err(unavailable)?
    {
        TransactionStatus::Unknown => Ok(None),
        TransactionStatus::Pending => Ok(Some(Standing::Pending)),
        TransactionStatus::Final { height } => {
            let items = network.look_up(&transaction, height).await?;
            Ok(Some(Standing::Done(before_signing.merge(items))))
        }
    }
}

/// The answer to a request whose idempotency key made an operation before.
pub(super) async fn replay(
    network: &Network,
    operation: OperationId,
    shape: Shape,
    request: &HttpRequest,
) -> Result<HttpResponse, ApiError> {
    if let Some(decided) = network.wait_for(&operation.transaction) {
        let wait = respond::prefer_wait(request);
        // Whatever comes, the standing below tells it whole.
        drop(tokio::time::timeout(wait, decided).await);
    }
    match standing(network, operation).await? {
        Some(Standing::Done(items)) => answer(network, operation, shape, items),
        Some(Standing::Pending) => Ok(respond::accepted(operation)),
        None => Err(ApiError::internal(
            "an operation of an idempotency key is unknown to the ledger",
        )),
    }
}
