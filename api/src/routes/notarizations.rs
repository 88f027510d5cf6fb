//! Notarizations: the friendly surface over deposits.

use actix_web::web::{Bytes, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

use super::operations;
use super::records;
use super::respond::{self, Refused, Shape};
use crate::body;
use crate::ctx::{Ctx, With};
use crate::deposit;
use crate::idempotency::{self, Use};
use crate::keys::random;
use crate::networks::Network;
use crate::networks::intake::Ticket;
use crate::networks::lookup::unavailable;
use crate::operation_id::OperationId;
use crate::problem::{ApiError, Code};
use crate::sign::{self, Signed, TenantSigner};
use crate::store::Write;
use crate::types::{ItemOutcome, Notarization, NotarizationBatch, NotarizationBatchRequest, NotarizationRequest};
use crate::types::{Operation, Problem, RecordPage};
use muniment_ledger::transaction::TransactionId;

/// How long a search waits for blocks that are final already.
const CATCH_UP: std::time::Duration = std::time::Duration::from_secs(5);

/// Notarizes one document's digests. The tenant's key signs; with `Prefer: wait=SECONDS` the answer is the receipt,
/// else (or when the wait runs out) an operation that is durably accepted.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks/{network}/notarizations", tag = "notarizations",
    operation_id = "notarize", request_body = NotarizationRequest, security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path),
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60"),
        ("idempotency-key" = Option<String>, Header, description = "the same key makes nothing new")),
    responses((status = 201, description = "final, with its receipt", body = Notarization),
        (status = 202, description = "durably accepted", body = Operation),
        (status = 409, description = "the same depositor deposited it before; `record` names the record", body = Problem),
        (status = 422, description = "refused", body = Problem), (status = 503, description = "overloaded", body = Problem)))]
pub async fn create(
    With(ctx, bytes): With<Bytes>,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let held = match idempotency::look(&ctx, &request, &network, &bytes).await? {
        Use::Again(operation) => return operations::replay(&network, operation, Shape::Single, &request).await,
        Use::First(held) => Some(held),
        Use::None => None,
    };
    let input = deposit::input(body::json(&bytes)?)?;
    let signed = signer(&ctx, &network).single(input).await?;
    let wait = respond::prefer_wait(&request);
    let more = |id: OperationId| -> Vec<Write> { held.iter().map(|held| held.row(id)).collect() };
    let ticket = network.accept(signed, true, wait.is_zero(), more).await?;
    conclude(&network, ticket, Shape::Single, wait, Refused::default()).await
}

/// Notarizes up to 1,000 documents' digests under one signature. Each item is judged by itself: a bad one gets its own
/// outcome, the others go through.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks/{network}/notarizations:batch", tag = "notarizations",
    operation_id = "notarizeBatch", request_body = NotarizationBatchRequest, security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path),
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60"),
        ("idempotency-key" = Option<String>, Header, description = "the same key makes nothing new")),
    responses((status = 200, description = "all items decided", body = NotarizationBatch),
        (status = 202, description = "durably accepted", body = Operation),
        (status = 413, description = "over 1,000 items or 2 MiB", body = Problem),
        (status = 422, description = "the batch itself is wrong", body = Problem),
        (status = 503, description = "overloaded", body = Problem)))]
pub async fn batch(
    With(ctx, bytes): With<Bytes>,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let held = match idempotency::look(&ctx, &request, &network, &bytes).await? {
        Use::Again(operation) => return operations::replay(&network, operation, Shape::Batch, &request).await,
        Use::First(held) => Some(held),
        Use::None => None,
    };
    let (good, refused) = items(body::json(&bytes)?)?;
    drop(bytes);
    let stored = if refused.items.is_empty() {
        None
    } else {
        Some(serde_json::to_string(&refused))
    };
    let stored = stored.transpose().map_err(ApiError::internal)?;
    let more = |id: OperationId| {
        let idempotency = held.iter().map(|held| held.row(id));
        idempotency
            .chain(stored.map(|text| network.refused_row(id, text)))
            .collect::<Vec<Write>>()
    };
    if good.is_empty() {
        let transaction = TransactionId(random().map_err(ApiError::internal)?);
        let operation = OperationId {
            created_at: crate::time::now_ms(),
            transaction,
        };
        network.store_rows(more(operation)).await.map_err(ApiError::internal)?;
        return Ok(respond::batch(operation, refused.merge(Vec::new())));
    }
    let signed: Signed = signer(&ctx, &network).batch(good).await?;
    let wait = respond::prefer_wait(&request);
    let ticket = network.accept(signed, true, wait.is_zero(), more).await?;
    conclude(&network, ticket, Shape::Batch, wait, refused).await
}

fn signer<'a>(ctx: &'a Ctx, network: &Network) -> TenantSigner<'a> {
    TenantSigner {
        keys: &*ctx.state().networks.shared().keys,
        tenant: ctx.tenant(),
        network: network.entry.id,
        validity: ctx.state().networks.shared().validity,
    }
}

/// Item bytes of the good ones, outcomes of the bad ones.
fn items(value: Value) -> Result<(Vec<Vec<u8>>, Refused), ApiError> {
    body::object(&value, "", &["items"])?;
    let count = body::array(body::object(&value, "", &["items"])?, "items", "")?.len();
    if count == 0 {
        return Err(ApiError::new(Code::EMPTY_BATCH, "a batch holds 1 to 1000 items").at("/items"));
    }
    if count > deposit::MAX_ITEMS {
        return Err(sign::batch_too_large(count));
    }
    let mut good = Vec::with_capacity(count);
    let mut refused = Refused {
        total: count,
        items: Vec::new(),
    };
    let Value::Object(mut map) = value else {
        return Err(ApiError::internal("an object is no longer one"));
    };
    let Some(Value::Array(items)) = map.remove("items") else {
        return Err(ApiError::internal("items are gone"));
    };
    for (index, item) in items.into_iter().enumerate() {
        match deposit::input(item).and_then(sign::item) {
            Ok(bytes) => good.push(bytes),
            Err(error) => refused.items.push((
                index,
                ItemOutcome::Rejected {
                    code: error.code().to_owned(),
                    detail: error.detail().to_owned(),
                    pointer: error.pointer().unwrap_or_default().to_owned(),
                    record: None,
                },
            )),
        }
    }
    Ok((good, refused))
}

/// Waits as long as wanted and answers.
pub(super) async fn conclude(
    network: &Network,
    ticket: Ticket,
    shape: Shape,
    wait: Duration,
    refused: Refused,
) -> Result<HttpResponse, ApiError> {
    let operation = ticket.operation;
    if wait.is_zero() {
        return Ok(respond::accepted(operation));
    }
    let Some(decided) = ticket.wait(wait).await else {
        network.store(&operation.transaction).await?;
        return Ok(respond::accepted(operation));
    };
    let items = network.outcomes(&operation.transaction, &decided);
    drop(decided);
    answer(network, operation, shape, refused.merge(items))
}

/// The answer to decided work.
pub(super) fn answer(
    network: &Network,
    operation: OperationId,
    shape: Shape,
    mut items: Vec<ItemOutcome>,
) -> Result<HttpResponse, ApiError> {
    match shape {
        Shape::Batch => Ok(respond::batch(operation, items)),
        Shape::Single => {
            let outcome = items
                .pop()
                .ok_or_else(|| ApiError::internal("a decided transaction has no outcome"))?;
            respond::single(outcome, |record| respond::record_path(network, record))
        }
    }
}

/// Query of a search.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Find {
    digest: String,
    after: Option<String>,
    limit: Option<usize>,
}

/// Records that hold a digest, true up to `height`.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/notarizations", tag = "notarizations",
    operation_id = "findNotarizations", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path),
        ("digest" = String, Query, description = "lowercase hex of a sha-256 or sha-512 digest, as it was sent"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 200, default 50")),
    responses((status = 200, description = "a page", body = RecordPage),
        (status = 400, description = "malformed query", body = Problem),
        (status = 422, description = "malformed digest", body = Problem)))]
pub async fn find(With(ctx, query): With<Query<Find>>, path: Path<(String, String)>) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let digest = hex::decode(&query.digest)
        .ok()
        .filter(|bytes| matches!(bytes.len(), 32 | 64) && hex::encode(bytes) == query.digest)
        .ok_or_else(|| {
            let detail = "`digest` must be 64 (sha-256) or 128 (sha-512) lowercase hex characters";
            ApiError::new(Code::MALFORMED_DIGEST, detail)
        })?;
    let (limit, after) = (respond::page(query.limit)?, records::after(query.after.as_deref())?);
    let height = network.caught_up(CATCH_UP).await;
    // One more than is shown tells whether there is a next page.
    let ids = network.records_with(&digest, after.as_ref(), limit as u64 + 1).await;
    let ids = ids.map_err(ApiError::internal)?;
    let (reader, more) = (network.reader(), ids.len() > limit);
    let shown = &ids[..ids.len().min(limit)];
    let mut records = Vec::with_capacity(shown.len());
    for id in shown {
        if let Some(view) = reader.record(id).await.map_err(unavailable)? {
            records.push(view.record);
        }
    }
    Ok(HttpResponse::Ok().json(RecordPage {
        height,
        records,
        next: shown.last().filter(|_| more).map(hex::encode),
    }))
}
