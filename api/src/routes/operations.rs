//! Operations: what became of work that was accepted.

use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::Deserialize;
use std::time::Duration;

use super::respond::{self, Refused, Shape};
use super::submit::answer;
use crate::ctx::Ctx;
use crate::networks::Network;
use crate::networks::answer::refused;
use crate::networks::whereabouts::Whereabouts;
use crate::operation_id::OperationId;
use crate::problem::ApiError;
use crate::types::{ItemOutcome, Operation, Problem};

/// For so long after acceptance a validator may not know yet what another one said is final.
const SETTLING_MS: i64 = 15_000;
/// How long after acceptance an operation that is decided can be asked for; its records and receipts can be for ever.
pub const KEPT_MS: i64 = 7 * 24 * 3_600 * 1_000;
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
    /// Actions of the transaction: each has this outcome.
    #[serde(default = "one")]
    actions: usize,
}

fn one() -> usize {
    1
}

/// An operation. Works also after a restart of everything: most of it is read from the ledger itself. Seven days after
/// it was accepted a decided operation is forgotten; its records and receipts aren't.
#[utoipa::path(get, path = "/v1/operations/{operation}", tag = "operations", operation_id = "getOperation",
    security(("apiKey" = [])), params(("operation" = String, Path)),
    responses((status = 200, description = "how it stands", body = Operation),
        (status = 404, description = "no such operation", body = Problem)))]
pub async fn get(ctx: Ctx, path: Path<String>) -> Result<HttpResponse, ApiError> {
    let id: OperationId = path.parse().map_err(|()| ApiError::not_found())?;
    let networks = ctx.networks().await;
    let mut standings: FuturesUnordered<_> = networks.iter().map(|network| standing(network, id)).collect();
    let (mut pending, mut failure) = (false, None);
    // Only a decision is an answer before all were asked: one network must not hide what became of it in another.
    while let Some(stands) = standings.next().await {
        match stands {
            Ok(Some(Standing::Done(_))) if id.created_at < crate::time::now_ms() - KEPT_MS => {}
            Ok(Some(Standing::Done(items))) => return Ok(HttpResponse::Ok().json(respond::finished(id, items))),
            Ok(Some(Standing::Pending)) => pending = true,
            Ok(None) => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    if pending {
        return Ok(HttpResponse::Ok().json(respond::pending(id)));
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    // It may belong to a network that is there and can't be attached.
    let trouble = ctx.state().networks.trouble(ctx.tenant(), None);
    Err(trouble.unwrap_or_else(ApiError::not_found))
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
                return Ok(Some(Standing::Done(before_signing.merge([]).collect())));
            }
        }
        if let Some(failed) = row.failed {
            let failed: Failed = serde_json::from_str(&failed).map_err(ApiError::internal)?;
            let items = vec![refused(&failed.code, &failed.message); failed.actions];
            return Ok(Some(Standing::Done(before_signing.merge(items).collect())));
        }
        match row.replaced_by.and_then(|id| id.try_into().ok()) {
            Some(next) => transaction = muniment_ledger::transaction::TransactionId(next),
            None => break,
        }
    }
    let young = crate::time::now_ms() - id.created_at < SETTLING_MS;
    let wait = if young { Duration::from_secs(1) } else { Duration::ZERO };
    Ok(match network.whereabouts(&transaction, wait).await? {
        Whereabouts::Unknown => None,
        Whereabouts::Pending => Some(Standing::Pending),
        Whereabouts::Final(items) => Some(Standing::Done(before_signing.merge(items).collect())),
    })
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
