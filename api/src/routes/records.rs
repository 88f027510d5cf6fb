//! Records of all templates, read from the ledger.

use actix_web::HttpResponse;
use actix_web::http::header::LINK;
use actix_web::web::Path;
use serde::Deserialize;
use serde_json::Value;

use super::query::Query;
use super::respond;
use crate::ctx::{Ctx, With};
use crate::networks::Network;
use crate::networks::lookup::unavailable;
use crate::networks::proof::Step;
use crate::problem::{ApiError, Code};
use crate::types::{CoseReceipts, HistoryEntry, LARGEST_PAGE, Problem, Record, RecordPage, StateProof};

/// A record's id as it stands in paths.
///
/// # Errors
/// 404 for anything else.
pub(super) fn record_id(text: &str) -> Result<[u8; 32], ApiError> {
    let id = hex::decode(text)
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    id.filter(|id| hex::encode(id) == text).ok_or_else(ApiError::not_found)
}

/// Query of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    template: Option<String>,
    identity: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// Records by id. With `identity` the one record of a template that was made of these values, such as the code that is
/// printed on goods.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/records", tag = "records",
    operation_id = "listRecords", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("template" = Option<String>, Query),
        ("identity" = Option<String>, Query, description = "the value that the template's `identity` names, or a JSON array of \
            several; needs `template`"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 200, default 50")),
    responses((status = 200, description = "a page", body = RecordPage),
        (status = 400, description = "malformed query", body = Problem)))]
pub async fn list(With(ctx, query): With<Query<List>>, path: Path<(String, String)>) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let limit = respond::page(query.limit)?;
    let after = after(query.after.as_deref())?;
    if let Some(identity) = &query.identity {
        return of_identity(&network, query.template.as_deref(), identity).await;
    }
    let page = network
        .reader()
        .records(query.template.as_deref(), after.as_ref(), limit)
        .await
        .map_err(unavailable)?;
    Ok(HttpResponse::Ok().json(RecordPage {
        height: page.height,
        records: page.records,
        next: page.next,
    }))
}

/// A page with the record of an identity, or with none.
async fn of_identity(network: &Network, template: Option<&str>, identity: &str) -> Result<HttpResponse, ApiError> {
    let template = template.ok_or_else(|| {
        let detail = "`identity` needs `template`: which template's values these are";
        ApiError::new(Code::BAD_REQUEST, detail)
    })?;
    // Texts that are no array are one value.
    let values: Vec<Value> = serde_json::from_str(identity).unwrap_or_else(|_| vec![identity.into()]);
    let id = muniment_ledger::state::record_id(template, None, &values.iter().collect::<Vec<_>>());
    let id = id.map_err(ApiError::internal)?;
    let page = network
        .reader()
        .records(Some(template), preceding(id).as_ref(), 1)
        .await;
    let page = page.map_err(unavailable)?;
    let wanted = hex::encode(id);
    Ok(HttpResponse::Ok().json(RecordPage {
        height: page.height,
        records: page
            .records
            .into_iter()
            .filter(|record| record["id"] == wanted)
            .collect(),
        next: None,
    }))
}

/// The id before one in their order.
fn preceding(mut id: [u8; 32]) -> Option<[u8; 32]> {
    for byte in id.iter_mut().rev() {
        let (less, borrowed) = byte.overflowing_sub(1);
        *byte = less;
        if !borrowed {
            return Some(id);
        }
    }
    None
}

/// Where a page of records begins.
///
/// # Errors
/// 400 when it isn't a record's id.
pub(super) fn after(text: Option<&str>) -> Result<Option<[u8; 32]>, ApiError> {
    text.map(record_id).transpose().map_err(|_| {
        ApiError::new(
            Code::BAD_REQUEST,
            "`after` must be the `next` of the page before, 64 lowercase hex characters",
        )
    })
}

/// One record.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/records/{record}", tag = "records",
    operation_id = "getRecord", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("record" = String, Path)),
    responses((status = 200, description = "the record", body = Record),
        (status = 404, description = "no such record", body = Problem)))]
pub async fn get(ctx: Ctx, path: Path<(String, String, String)>) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let id = record_id(&path.2)?;
    let view = network
        .reader()
        .record(&id)
        .await
        .map_err(unavailable)?
        .ok_or_else(ApiError::not_found)?;
    Ok(HttpResponse::Ok().json(Record {
        height: view.height,
        record: view.record,
        leaf: view.leaf,
    }))
}

/// Query of a history.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    #[serde(default)]
    after: u32,
    limit: Option<usize>,
}

/// A page of a record's steps, and the `Link` to the next one (RFC 8288).
pub(super) struct StepPage {
    pub(super) steps: Vec<muniment_ledger::wire::HistoryEntry>,
    next: Option<String>,
}

impl StepPage {
    /// Asks a validator.
    ///
    /// # Errors
    /// 400 for a limit out of bounds, 404 when there is no such record.
    pub(super) async fn of(network: &Network, id: &[u8; 32], query: &Steps) -> Result<Self, ApiError> {
        let limit = respond::page(query.limit.or(Some(LARGEST_PAGE.into())))?;
        let history = network.reader().history(id, query.after, limit + 1).await;
        let mut steps = history.map_err(unavailable)?;
        if steps.is_empty() && query.after == 0 {
            return Err(ApiError::not_found());
        }
        let more = steps.len() > limit;
        steps.truncate(limit);
        let last = steps.last().filter(|_| more);
        let next = last.map(|last| format!("<?after={}&limit={limit}>; rel=\"next\"", last.version));
        Ok(Self { steps, next })
    }

    /// The answer with these entries.
    pub(super) fn answer<T: serde::Serialize>(
        self,
        entry: impl Fn(muniment_ledger::wire::HistoryEntry) -> T,
    ) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        if let Some(next) = self.next {
            response.insert_header((LINK, next));
        }
        response.json(self.steps.into_iter().map(entry).collect::<Vec<_>>())
    }
}

/// Steps of a record, oldest first.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/records/{record}/history", tag = "records",
    operation_id = "getHistory", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("record" = String, Path),
        ("after" = Option<u32>, Query, description = "last `version` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 200, default 200")),
    responses((status = 200, description = "the steps; when there are more, `Link` with `rel=\"next\"` has the query of \
        the next page", body = [HistoryEntry]),
        (status = 404, description = "no such record", body = Problem)))]
pub async fn history(
    With(ctx, query): With<Query<Steps>>,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let page = StepPage::of(&network, &record_id(&path.2)?, &query).await?;
    let entry = |step: muniment_ledger::wire::HistoryEntry| HistoryEntry {
        version: step.version,
        action: step.action,
        signer: step.signer,
        height: step.height,
        time: crate::time::rfc3339(i64::try_from(step.time).unwrap_or(i64::MAX)),
        leaf: step.leaf,
    };
    Ok(page.answer(entry))
}

/// Proof of a record's state, or that there is no such record, against the state root of a height.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/records/{record}/proof", tag = "records",
    operation_id = "getStateProof", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("record" = String, Path)),
    responses((status = 200, description = "presence or absence", body = StateProof),
        (status = 404, description = "no such network", body = Problem)))]
pub async fn proof(ctx: Ctx, path: Path<(String, String, String)>) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let id = record_id(&path.2)?;
    let proof = network.reader().state_proof(&id).await.map_err(unavailable)?;
    Ok(HttpResponse::Ok().json(StateProof {
        height: proof.height,
        state_root: proof.state_root,
        key: proof.key,
        value: proof.value,
        proof: proof.proof,
    }))
}

/// Query of a receipt.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    version: Option<u32>,
}

/// The receipt of a record's last step, or of the step that made a version: the file, byte for byte.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/records/{record}/receipt", tag = "records",
    operation_id = "getReceipt", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("record" = String, Path),
        ("version" = Option<u32>, Query, description = "record version; without it the present one")),
    responses((status = 200, description = "the receipt file", content_type = "application/json", body = Object),
        (status = 404, description = "no such record or version", body = Problem)))]
pub async fn receipt(
    With(ctx, query): With<Query<Which>>,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let recorded = network.recorded(&step(&path.2, &query)?).await?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(recorded.receipt))
}

/// The same in the second encoding, RFC 9942: a COSE receipt of each validator, for tools that read COSE.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/records/{record}/receipt/cose", tag = "records",
    operation_id = "getCoseReceipts", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("record" = String, Path),
        ("version" = Option<u32>, Query, description = "record version; without it the present one")),
    responses((status = 200, description = "at least a quorum of receipts", body = CoseReceipts),
        (status = 404, description = "no such record or version", body = Problem)))]
pub async fn cose_receipts(
    With(ctx, query): With<Query<Which>>,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let receipts = network.cose_receipts(&step(&path.2, &query)?).await?;
    Ok(HttpResponse::Ok().json(receipts))
}

fn step(record: &str, query: &Which) -> Result<Step, ApiError> {
    Ok(Step {
        record: record_id(record)?,
        version: query.version,
    })
}
