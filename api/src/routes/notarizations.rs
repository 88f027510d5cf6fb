//! Notarizations: the friendly surface over deposits.

use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use muniment_receipts::statement::Item;
use serde::Deserialize;
use serde_json::Value;

use super::query::Query;
use super::records;
use super::respond::{self, Shape};
use super::submit::{self, Begun, Submission};
use crate::body;
use crate::ctx::With;
use crate::deposit;
use crate::networks::lookup::unavailable;
use crate::problem::{ApiError, Code};
use crate::types::RecordedBatch;
use crate::types::{NotarizationBatchRequest, NotarizationRequest, Operation, Problem, RecordPage, Recorded};

/// How long a search waits for blocks that are final already.
const CATCH_UP: std::time::Duration = std::time::Duration::from_secs(5);

/// Notarizes one document's digests. The tenant's key signs; with `Prefer: wait=SECONDS` the answer is the receipt,
/// else (or when the wait runs out) an operation that is durably accepted.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks/{network}/notarizations", tag = "notarizations",
    operation_id = "notarize", request_body = NotarizationRequest, security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path),
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60"),
        ("idempotency-key" = Option<String>, Header, description = "the same key makes nothing new")),
    responses((status = 201, description = "final, with its receipt", body = Recorded),
        (status = 202, description = "durably accepted", body = Operation),
        (status = 409, description = "the same depositor deposited it before; `record` names the record", body = Problem),
        (status = 422, description = "refused", body = Problem), (status = 503, description = "overloaded", body = Problem)))]
pub async fn create(
    With(ctx, bytes): With<Bytes>,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let submission = match Submission::begin(&ctx, &network, &request, &bytes, Shape::Single).await? {
        Begun::Again(answer) => return Ok(answer),
        Begun::New(submission) => submission,
    };
    let item = item(body::json(&bytes)?)?;
    submission.single(&deposit::KIND, item, Vec::new()).await
}

/// Notarizes up to 1,000 documents' digests under one signature. Each item is judged by itself: a bad one gets its own
/// outcome, the others go through.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks/{network}/notarizations:batch", tag = "notarizations",
    operation_id = "notarizeBatch", request_body = NotarizationBatchRequest, security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path),
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60"),
        ("idempotency-key" = Option<String>, Header, description = "the same key makes nothing new")),
    responses((status = 200, description = "all items decided", body = RecordedBatch),
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
    let submission = match Submission::begin(&ctx, &network, &request, &bytes, Shape::Batch).await? {
        Begun::Again(answer) => return Ok(answer),
        Begun::New(submission) => submission,
    };
    let value = body::json(&bytes)?;
    drop(bytes);
    body::array(body::object(&value, "", &["items"])?, "items", "")?;
    let Value::Object(mut map) = value else {
        return Err(ApiError::internal("an object is no longer one"));
    };
    let Some(Value::Array(items)) = map.remove("items") else {
        return Err(ApiError::internal("items are gone"));
    };
    submit::check_size(items.len())?;
    let items = items.into_iter().map(item).collect();
    submission.batch(&deposit::KIND, items, Vec::new()).await
}

fn item(value: Value) -> Result<Item, ApiError> {
    Ok(Item {
        input: deposit::input(value)?,
        record: None,
    })
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
