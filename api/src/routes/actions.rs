//! Records of all templates, written: any action of any template of the network.
//!
//! Owns the form of the requests. What an action may do is the template's to say, and the ledger's to judge.

use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use muniment_receipts::statement::Item;
use serde_json::{Map, Value};

use super::records::record_id;
use super::respond::Shape;
use super::submit::{self, Begun, Submission};
use crate::body;
use crate::ctx::With;
use crate::networks::Network;
use crate::networks::lookup::unavailable;
use crate::problem::{ApiError, Code};
use crate::sign::Kind;
use crate::types::{ActionRequest, Operation, Problem, RecordBatchRequest, RecordRequest, Recorded, RecordedBatch};

/// Longest name of a template or action.
const MAX_NAME: usize = 64;

/// Makes a record with an action that creates one. The caller's key signs; with `Prefer: wait=SECONDS` the answer is the
/// receipt, else (or when the wait runs out) an operation that is durably accepted.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks/{network}/records", tag = "records",
    operation_id = "createRecord", request_body = RecordRequest, security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path),
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60"),
        ("idempotency-key" = Option<String>, Header, description = "the same key makes nothing new")),
    responses((status = 201, description = "final, with its receipt", body = Recorded),
        (status = 202, description = "durably accepted", body = Operation),
        (status = 409, description = "it is there already; `record` names it", body = Problem),
        (status = 422, description = "refused, by the code of the template's rule or of the ledger", body = Problem),
        (status = 503, description = "overloaded", body = Problem)))]
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
    let value = body::json(&bytes)?;
    let map = body::object(&value, "", &["template", "action", "revision", "input"])?;
    let kind = kind(&network, map).await?;
    let input = body::map(map, "input", "")?.clone();
    submission.single(&kind, Item { input, record: None }, Vec::new()).await
}

/// Up to 1,000 actions of one kind under one signature; those that change a record name it. Each item is judged by
/// itself: a bad one gets its own outcome, the others go through.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks/{network}/records:batch", tag = "records",
    operation_id = "actOnRecords", request_body = RecordBatchRequest, security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path),
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60"),
        ("idempotency-key" = Option<String>, Header, description = "the same key makes nothing new")),
    responses((status = 200, description = "all items decided", body = RecordedBatch),
        (status = 202, description = "durably accepted", body = Operation),
        (status = 413, description = "over 1,000 items or 8 MiB", body = Problem),
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
    let map = body::object(&value, "", &["template", "action", "revision", "items"])?;
    let items = body::array(map, "items", "")?;
    submit::check_size(items.len())?;
    let kind = kind(&network, map).await?;
    let items = items.iter().map(item).collect();
    submission.batch(&kind, items, Vec::new()).await
}

/// An action on a record that is there, of the record's own template and revision.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks/{network}/records/{record}/actions/{action}",
    tag = "records", operation_id = "actOnRecord", request_body = ActionRequest, security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("record" = String, Path), ("action" = String, Path),
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60"),
        ("idempotency-key" = Option<String>, Header, description = "the same key makes nothing new")),
    responses((status = 201, description = "final, with the step's receipt", body = Recorded),
        (status = 202, description = "durably accepted", body = Operation),
        (status = 404, description = "no such record", body = Problem),
        (status = 409, description = "the record is in another state", body = Problem),
        (status = 422, description = "refused, by the code of the template's rule or of the ledger", body = Problem),
        (status = 503, description = "overloaded", body = Problem)))]
pub async fn act(
    With(ctx, bytes): With<Bytes>,
    path: Path<(String, String, String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let id = record_id(&path.2)?;
    let submission = match Submission::begin(&ctx, &network, &request, &bytes, Shape::Single).await? {
        Begun::Again(answer) => return Ok(answer),
        Begun::New(submission) => submission,
    };
    let value = body::json(&bytes)?;
    let map = body::object(&value, "", &["input"])?;
    let input = body::map(map, "input", "")?.clone();
    let kind = kind_of(&network, &id, name(&path.3, "action")?).await?;
    let item = Item {
        input,
        record: Some(id),
    };
    submission.single(&kind, item, Vec::new()).await
}

/// The action on a record, by the template and revision that the record lives by. What a validator says of these is
/// believed: a wrong word only gets the action refused.
///
/// # Errors
/// 404 when there is no such record.
pub async fn kind_of(network: &Network, record: &[u8; 32], action: &str) -> Result<Kind, ApiError> {
    let view = network.reader().record(record).await.map_err(unavailable)?;
    let record = view.ok_or_else(ApiError::not_found)?.record;
    let broken = || ApiError::undecided("a validator tells of a record without template and revision; try again");
    Ok(Kind {
        template: record["template"].as_str().ok_or_else(broken)?.to_owned().into(),
        action: action.to_owned().into(),
        revision: revision(&record["revision"]).ok_or_else(broken)?,
    })
}

async fn kind(network: &Network, map: &Map<String, Value>) -> Result<Kind, ApiError> {
    let template = name(body::text(map, "template", "")?, "template")?;
    let action = name(body::text(map, "action", "")?, "action")?;
    let revision = match map.get("revision").filter(|value| !value.is_null()) {
        None => network.revision(template).await?,
        Some(value) => revision(value).ok_or_else(|| body::wrong("revision", "a number from 1", value, ""))?,
    };
    Ok(Kind {
        template: template.to_owned().into(),
        action: action.to_owned().into(),
        revision,
    })
}

fn revision(value: &Value) -> Option<u32> {
    value
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| *number > 0)
}

/// A name that a template or action may have.
fn name<'a>(text: &'a str, field: &str) -> Result<&'a str, ApiError> {
    let fine = (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fine {
        return Ok(text);
    }
    let detail = format!("`{field}` must have 1 to {MAX_NAME} characters without blanks");
    Err(ApiError::new(Code::INVALID_FIELD, detail).at(format!("/{field}")))
}

fn item(value: &Value) -> Result<Item, ApiError> {
    let map = body::object(value, "", &["input", "record"])?;
    let record = body::optional_text(map, "record", "")?.map(|text| {
        record_id(text).map_err(|_| {
            let detail = "`record` must be a record's id, 64 lowercase hex characters";
            ApiError::new(Code::INVALID_FIELD, detail).at("/record")
        })
    });
    Ok(Item {
        input: body::map(map, "input", "")?.clone(),
        record: record.transpose()?,
    })
}
