//! One invoice: its record, its documents, its pages, its history.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, HeaderName, HeaderValue};
use actix_web::web::Path;
use muniment_invoices::{Invoice as Model, Limits};
use muniment_ledger::wire::RecordView;
use serde::Deserialize;
use serde_json::Map;

use super::super::query::Query;
use super::super::records::{StepPage, Steps, record_id};
use super::desk::unseal;
use crate::ctx::{Ctx, With};
use crate::invoice::kept::{Kept, variant};
use crate::invoice::{TEMPLATE, access};
use crate::keys::Purpose;
use crate::networks::Network;
use crate::networks::lookup::unavailable;
use crate::problem::{ApiError, Code};
use crate::store::entity::document as stored;
use crate::types::{InvoiceRecord, InvoiceStep, Problem};

/// What opens the commitment to the buyer's id on the ledger, hex.
const BUYER_SALT: HeaderName = HeaderName::from_static("muniment-buyer-salt");

/// The record of an invoice.
///
/// # Errors
/// 404 when there is none.
pub async fn record(network: &Network, id: &[u8; 32]) -> Result<RecordView, ApiError> {
    let view = network.reader().record(id).await.map_err(unavailable)?;
    let view = view.filter(|view| view.record["template"] == TEMPLATE);
    view.ok_or_else(ApiError::not_found)
}

/// One invoice as it is on the ledger, and whether its document is kept here.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/invoices/{record}", tag = "invoices",
    operation_id = "getInvoice", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("record" = String, Path)),
    responses((status = 200, description = "the invoice", body = InvoiceRecord),
        (status = 404, description = "no such invoice", body = Problem)))]
pub async fn get(ctx: Ctx, path: Path<(String, String, String)>) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let view = record(&network, &record_id(&path.2)?).await?;
    let document = match row(&network, &view).await? {
        None => "elsewhere",
        Some(row) if row.erased_at.is_some() => "erased",
        Some(_) => "kept",
    };
    Ok(HttpResponse::Ok().json(InvoiceRecord {
        height: view.height,
        leaf: view.leaf,
        document: document.to_owned(),
        record: view.record,
    }))
}

/// Steps of an invoice, oldest first, each with the path of its receipt.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/invoices/{record}/history", tag = "invoices",
    operation_id = "getInvoiceHistory", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("record" = String, Path),
        ("after" = Option<u32>, Query, description = "last `version` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 200, default 200")),
    responses((status = 200, description = "the steps; when there are more, `Link` with `rel=\"next\"` has the query of \
        the next page", body = [InvoiceStep]),
        (status = 404, description = "no such invoice", body = Problem)))]
pub async fn history(
    With(ctx, query): With<Query<Steps>>,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let id = record_id(&path.2)?;
    record(&network, &id).await?;
    let page = StepPage::of(&network, &id, &query).await?;
    let base = super::super::respond::record_path(&network, &path.2);
    let step = |step: muniment_ledger::wire::HistoryEntry| InvoiceStep {
        version: step.version,
        action: step.action,
        signer: step.signer,
        height: step.height,
        time: crate::time::rfc3339(i64::try_from(step.time).unwrap_or(i64::MAX)),
        leaf: step.leaf,
        receipt: format!("{base}/receipt?version={}", step.version),
    };
    Ok(page.answer(step))
}

/// Query of a document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Format {
    format: Option<String>,
}

/// The document, for the parties that the invoice names: the bytes as they were submitted, or the same invoice as UBL,
/// CII or in the JSON form. Where the ledger has only a commitment to the buyer's id, `Muniment-Buyer-Salt` opens it.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/invoices/{record}/document", tag = "invoices",
    operation_id = "getInvoiceDocument", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("record" = String, Path),
        ("format" = Option<String>, Query, description = "`original` (default), `ubl`, `cii` or `json`")),
    responses((status = 200, description = "the document", content_type = "application/xml", body = String),
        (status = 403, description = "the invoice doesn't name the caller's party", body = Problem),
        (status = 404, description = "no such invoice, or its document isn't kept here", body = Problem),
        (status = 410, description = "the document was erased", body = Problem)))]
pub async fn document(
    With(ctx, query): With<Query<Format>>,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse, ApiError> {
    let opened = open(&ctx, &path).await?;
    let kept = &opened.kept;
    let (media_type, body) = match query.format.as_deref() {
        None | Some("original") => (kept.form.media_type(), kept.original.clone()),
        Some("ubl") => ("application/xml", opened.model()?.to_ubl().into_bytes()),
        Some("cii") => ("application/xml", opened.model()?.to_cii().into_bytes()),
        Some("json") => {
            let text = muniment_invoices::to_json(&opened.model()?).map_err(ApiError::internal)?;
            ("application/json", text.into_bytes())
        }
        Some(_) => {
            let detail = "`format` must be `original`, `ubl`, `cii` or `json`";
            return Err(ApiError::new(Code::BAD_REQUEST, detail));
        }
    };
    let mut answer = attachment(media_type, body);
    if let Some(salt) = kept.salt {
        let salt = HeaderValue::from_str(&hex::encode(salt)).map_err(ApiError::internal)?;
        answer.headers_mut().insert(BUYER_SALT, salt);
    }
    Ok(answer)
}

/// The invoice as a page, for the parties that it names.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/invoices/{record}/html", tag = "invoices",
    operation_id = "getInvoiceHtml", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("record" = String, Path)),
    responses((status = 200, description = "the page", content_type = "text/html", body = String),
        (status = 403, description = "the invoice doesn't name the caller's party", body = Problem),
        (status = 410, description = "the document was erased", body = Problem)))]
pub async fn html(ctx: Ctx, path: Path<(String, String, String)>) -> Result<HttpResponse, ApiError> {
    let opened = open(&ctx, &path).await?;
    let page = muniment_invoices::html(&opened.model()?, Some(&opened.pointer));
    Ok(attachment("text/html; charset=utf-8", page.into_bytes()))
}

/// The invoice as PDF/A-3 with its XML in it and a QR code of its record, for the parties that it names.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/invoices/{record}/pdf", tag = "invoices",
    operation_id = "getInvoicePdf", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("record" = String, Path)),
    responses((status = 200, description = "the PDF", content_type = "application/pdf", body = String),
        (status = 403, description = "the invoice doesn't name the caller's party", body = Problem),
        (status = 410, description = "the document was erased", body = Problem),
        (status = 422, description = "its texts can't be shown in a PDF/A", body = Problem)))]
pub async fn pdf(ctx: Ctx, path: Path<(String, String, String)>) -> Result<HttpResponse, ApiError> {
    let opened = open(&ctx, &path).await?;
    let job = move || {
        let model = opened.model()?;
        let pdf = muniment_invoices::pdf(&model, Some(opened.kept.xml()), Some(&opened.pointer));
        pdf.map_err(|error| ApiError::new(Code::UNFIT_INVOICE, format!("{error}; {}", error.fix())))
    };
    let pdf = tokio::task::spawn_blocking(job).await.map_err(ApiError::internal)??;
    Ok(attachment("application/pdf", pdf.bytes))
}

/// The report of the validation, whose digest is on the ledger, for the parties that the invoice names.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/invoices/{record}/report", tag = "invoices",
    operation_id = "getInvoiceReport", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("record" = String, Path)),
    responses((status = 200, description = "the report, byte for byte", content_type = "application/json", body = Object),
        (status = 403, description = "the invoice doesn't name the caller's party", body = Problem),
        (status = 410, description = "the document was erased", body = Problem)))]
pub async fn report(ctx: Ctx, path: Path<(String, String, String)>) -> Result<HttpResponse, ApiError> {
    let opened = open(&ctx, &path).await?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(opened.kept.report))
}

/// Erases the document for good: what is on the ledger stays, and so do all receipts. The tenant may at any time; the issuer,
/// once nothing is owed, pledged, to be refunded, reimbursed or reported any more, because others rely on the document.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/networks/{network}/invoices/{record}/document", tag = "invoices",
    operation_id = "eraseInvoiceDocument", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("record" = String, Path)),
    responses((status = 204, description = "erased"),
        (status = 403, description = "neither the issuer nor the tenant", body = Problem),
        (status = 404, description = "no such invoice, or its document isn't kept here", body = Problem),
        (status = 409, description = "others may still need it", body = Problem),
        (status = 410, description = "it was erased before", body = Problem)))]
pub async fn erase(ctx: Ctx, path: Path<(String, String, String)>) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let view = record(&network, &record_id(&path.2)?).await?;
    if ctx.owner().party.is_some() {
        may_erase(&view, &own_key(&ctx).await?)?;
    }
    let content = content(&view)?;
    if !network
        .erase(issuer(&view), &content)
        .await
        .map_err(ApiError::internal)?
    {
        return Err(if row(&network, &view).await?.is_some() {
            erased()
        } else {
            elsewhere()
        });
    }
    tracing::info!(
        request = ctx.request_id,
        tenant = ctx.tenant(),
        by = ctx.principal.key,
        record = path.2,
        "invoice document erased"
    );
    Ok(HttpResponse::NoContent().finish())
}

/// Whether a party may erase the document.
fn may_erase(view: &RecordView, key: &str) -> Result<(), ApiError> {
    if !access::is_issuer(&view.record, key) {
        let detail = "only the issuer and the tenant itself may erase an invoice's document";
        return Err(ApiError::new(Code::FORBIDDEN, detail));
    }
    match access::needed_for(&view.record) {
        None => Ok(()),
        Some(reason) => {
            let detail = format!(
                "others may still need the document: {reason}; erase it when that is done, or have the tenant itself do it"
            );
            Err(ApiError::new(Code::STILL_NEEDED, detail))
        }
    }
}

/// A document that the caller may see.
struct Opened {
    kept: Kept,
    /// What the QR code says: which record of which network.
    pointer: String,
}

impl Opened {
    fn model(&self) -> Result<Model, ApiError> {
        let parsed = muniment_invoices::parse(self.kept.xml(), &Limits::DEFAULT);
        parsed.map(|(model, _)| model).map_err(ApiError::internal)
    }
}

async fn open(ctx: &Ctx, path: &(String, String, String)) -> Result<Opened, ApiError> {
    let network = ctx.network(&path.1).await?;
    let view = record(&network, &record_id(&path.2)?).await?;
    if !access::is_named(&view.record, &own_key(ctx).await?) {
        let detail = "the invoice names other parties than the one your API key acts for; its record and receipts are \
                      open to you, its document isn't";
        return Err(ApiError::new(Code::FORBIDDEN, detail));
    }
    let content = content(&view)?;
    let row = row(&network, &view).await?.ok_or_else(elsewhere)?;
    if row.erased_at.is_some() {
        return Err(erased());
    }
    Ok(Opened {
        kept: unseal(ctx, &network, issuer(&view), &content, row).await?,
        pointer: format!(
            "muniment.dev/network/{}/record/{}",
            hex::encode(network.entry.id),
            path.2
        ),
    })
}

async fn own_key(ctx: &Ctx) -> Result<String, ApiError> {
    let keys = &ctx.state().networks.shared().keys;
    let key = keys.ensure(ctx.owner(), Purpose::Statement).await;
    key.map(|key| key.to_string()).map_err(ApiError::internal)
}

/// What is kept of an invoice, as its record names it.
async fn row(network: &Network, view: &RecordView) -> Result<Option<stored::Model>, ApiError> {
    let none = Map::new();
    let variant = variant(view.record["fields"].as_object().unwrap_or(&none));
    let row = network.document(issuer(view), &content(view)?, &variant).await;
    row.map_err(ApiError::internal)
}

fn content(view: &RecordView) -> Result<[u8; 32], ApiError> {
    let text = view.record["fields"]["content"].as_str();
    let bytes = text
        .and_then(|text| hex::decode(text).ok())
        .and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| ApiError::undecided("a validator tells of an invoice without content; try again"))
}

/// Only who issued the invoice has put its document here.
fn issuer(view: &RecordView) -> &str {
    view.record["creator"].as_str().unwrap_or_default()
}

fn erased() -> ApiError {
    let detail = "the document was erased; the invoice's record, history and receipts stay";
    ApiError::new(Code::ERASED, detail)
}

fn elsewhere() -> ApiError {
    let detail = "the invoice is on the ledger, but its document isn't kept here: it was submitted to another server, or \
                  signed by a party itself; ask its issuer for it";
    ApiError::new(Code::NOT_FOUND, detail)
}

/// A document of somebody else's making: a browser shall store it and not show it as ours.
fn attachment(media_type: &str, body: Vec<u8>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(media_type)
        .insert_header((CONTENT_DISPOSITION, "attachment"))
        .body(body)
}
