//! What is done to an invoice that is there.

use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use muniment_receipts::statement::Item;
use serde_json::{Value, json};

use super::super::records::record_id;
use super::super::respond::Shape;
use super::super::submit::{Begun, Submission};
use super::desk::Desk;
use super::read;
use crate::body;
use crate::ctx::With;
use crate::invoice::action;
use crate::problem::ApiError;
use crate::sign::Kind;
use crate::types::{Operation, Problem, Recorded};

/// Does something to an invoice: `approve`, `dispute`, `reject`, `respond`, `settle`, `confirm-payment`, `refund`,
/// `confirm-refund`, `appoint-agent`, `pledge`, `accept-pledge`, `decline-pledge`, `release`, `enforce-pledge`, `acknowledge-pledge`, `consent`, `assign`,
/// `accept-assignment`, `decline-assignment`, `appoint`, `claim`, `reimburse`, `release-claim`, `settle-clawback`, `cancel`, `request-void`,
/// `withdraw-void`, `answer-void`, `submit-to-authority`, `answer-authority`, `send-cancellation`, and for what has run
/// out `expire-offer`, `expire-assignment`, `expire-lock`, `lapse-void`, `report-overdue`. Amounts are decimal texts, times RFC 3339, parties
/// names or keys (docs/invoices.md has the fields of each). Credit notes and replacements are documents: submit them.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks/{network}/invoices/{record}/actions/{action}",
    tag = "invoices", operation_id = "actOnInvoice", security(("apiKey" = [])),
    request_body(content = Object, example = json!({ "payment": "SEPA-2026-118", "amount": "19.99" })),
    params(("tenant" = String, Path), ("network" = String, Path), ("record" = String, Path), ("action" = String, Path),
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60"),
        ("idempotency-key" = Option<String>, Header, description = "the same key makes nothing new")),
    responses((status = 201, description = "final, with the step's receipt", body = Recorded),
        (status = 202, description = "durably accepted", body = Operation),
        (status = 403, description = "not this party's to do", body = Problem),
        (status = 404, description = "no such invoice, or no such action", body = Problem),
        (status = 409, description = "the invoice is in another state", body = Problem),
        (status = 422, description = "refused, by the code of the template's rule", body = Problem),
        (status = 503, description = "overloaded", body = Problem)))]
pub async fn act(
    With(ctx, bytes): With<Bytes>,
    path: Path<(String, String, String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let id = record_id(&path.2)?;
    let word = action::find(&path.3)?;
    let submission = match Submission::begin(&ctx, &network, &request, &bytes, Shape::Single).await? {
        Begun::Again(answer) => return Ok(answer),
        Begun::New(submission) => submission,
    };
    // Several actions need no input at all.
    let value = if bytes.is_empty() {
        json!({})
    } else {
        body::json(&bytes)?
    };
    let given = body::object(&value, "", &word.known())?;
    let record = read::record(&network, &id).await?.record;
    let parties = Desk::new(&ctx, &network).keys(&word.names(given)).await?;
    let input = word.input(given, &parties, &record, crate::time::now_ms())?;
    let revision = record["revision"]
        .as_u64()
        .and_then(|revision| u32::try_from(revision).ok());
    let kind = Kind {
        template: crate::invoice::TEMPLATE.into(),
        action: word.action.into(),
        revision: revision
            .ok_or_else(|| ApiError::undecided("a validator tells of a record without revision; try again"))?,
    };
    let item = Item {
        input,
        record: Some(id),
    };
    let sent = submission.single(&kind, item, Vec::new()).await;
    sent.map_err(|error| in_callers_words(error, given))
}

/// A refusal about a field that the caller didn't give is about the whole.
fn in_callers_words(error: ApiError, given: &serde_json::Map<String, Value>) -> ApiError {
    let field = error
        .pointer()
        .and_then(|pointer| pointer.strip_prefix('/'))
        .map(str::to_owned);
    match field {
        Some(field) if !given.contains_key(field.split('/').next().unwrap_or_default()) => error.at(""),
        _ => error,
    }
}
