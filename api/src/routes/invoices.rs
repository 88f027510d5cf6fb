//! Invoices: the friendly surface over records of the template `electronic-invoice`.
//!
//! A document is judged before anything is signed; what goes to the ledger is made from it, and the document itself is
//! kept encrypted in the database, in the same transaction that accepts the statement.

pub mod act;
pub mod asked;
mod desk;
pub mod read;
pub mod search;

use std::collections::BTreeSet;

use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use muniment_receipts::statement::Item;

use super::query::Query;
use super::respond::Shape;
use super::submit::{self, Begun, Submission};
use crate::ctx::With;
use crate::problem::{ApiError, Code};
use crate::types::{InvoiceBatchRequest, Operation, Problem, Recorded, RecordedBatch};
use asked::{Asked, Batch};
use desk::{Desk, Ready};

/// Registers one invoice, credit note or replacement: UBL or CII as `application/xml`, the JSON form as
/// `application/json`. It is judged by the official rules of the profile and by exact arithmetic; what fails isn't
/// recorded, and the answer says which rule, where and how to fix it. `number=auto` with the JSON form numbers it: the
/// next of the series, and a refusal takes none.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks/{network}/invoices", tag = "invoices",
    operation_id = "submitInvoice", security(("apiKey" = [])),
    request_body(content(
        (String = "application/xml", example = "<Invoice xmlns=\"urn:oasis:names:specification:ubl:schema:xsd:Invoice-2\">…</Invoice>"),
        (Object = "application/json", example = json!({
            "number": "2026-1", "issueDate": "2026-11-24", "typeCode": "380", "currency": "EUR", "dueDate": "2026-12-24",
            "specification": "urn:cen.eu:en16931:2017",
            "seller": { "name": "Seller", "vatId": "DE123456789", "address": { "city": "Berlin", "country": "DE" } },
            "buyer": { "name": "Buyer", "address": { "city": "Paris", "country": "FR" } },
            "lines": [{ "quantity": "3", "unit": "C62", "price": { "net": "12.50" }, "category": "S", "rate": "19",
                "item": { "name": "Chair" } }]
        })))),
    params(("tenant" = String, Path), ("network" = String, Path), Asked,
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60"),
        ("idempotency-key" = Option<String>, Header, description = "the same key makes nothing new")),
    responses((status = 201, description = "final, with its receipt", body = Recorded),
        (status = 202, description = "durably accepted", body = Operation),
        (status = 409, description = "the number is used already; `record` names the invoice", body = Problem),
        (status = 413, description = "over 16 MiB", body = Problem),
        (status = 422, description = "not readable, not valid (`findings`), not exact, or refused by the ledger", body = Problem),
        (status = 503, description = "overloaded", body = Problem)))]
pub async fn create(
    With(ctx, (query, bytes)): With<(Query<Asked>, Bytes)>,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let submission = match Submission::begin(&ctx, &network, &request, &bytes, Shape::Single).await? {
        Begun::Again(answer) => return Ok(answer),
        Begun::New(submission) => submission,
    };
    let desk = Desk::new(&ctx, &network);
    let asked = query.0;
    let source = asked::source(&request, bytes)?;
    let terms = desk.terms(&asked).await?;
    if !asked.auto()? {
        let ready = desk.judge(source, &asked, terms).await?;
        let kind = desk.kind(&ready.entry).await?;
        let sent = submission
            .single(&kind, item(&ready), desk.documents([&ready]).await?)
            .await;
        desk.moved(BTreeSet::from([ready.series().to_owned()])).await;
        return sent;
    }
    let mut place = desk.place(&terms.series).await?;
    let next = place.next().await?;
    let number = asked::number(&terms.series, next.number);
    let (source, terms) = (asked::with_number(source, &number)?, terms.at(next.place));
    let ready = desk.judge(source, &asked, terms).await?;
    let kind = desk.kind(&ready.entry).await?;
    let sent = submission
        .waiting()
        .single(&kind, item(&ready), desk.documents([&ready]).await?)
        .await;
    place.settle(next, &sent);
    sent
}

/// Registers up to 1,000 invoices under one signature, each judged by itself: a bad one gets its own outcome with its
/// findings, the others go through. All are invoices, or all are credit notes, or all are replacements.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks/{network}/invoices:batch", tag = "invoices",
    operation_id = "submitInvoices", request_body = InvoiceBatchRequest, security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path),
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60"),
        ("idempotency-key" = Option<String>, Header, description = "the same key makes nothing new")),
    responses((status = 200, description = "all items decided", body = RecordedBatch),
        (status = 202, description = "durably accepted", body = Operation),
        (status = 413, description = "over 1,000 items or 32 MiB", body = Problem),
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
    let desk = Desk::new(&ctx, &network);
    let batch = Batch::read(&bytes)?;
    drop(bytes);
    submit::check_size(batch.items.len())?;
    let auto = batch.auto()?;
    let mut results = desk.judge_all(batch.items).await;
    let Some(entry) = results.iter().flatten().map(|ready| ready.entry.clone()).next() else {
        return submission.nothing(submit::refusals(results)).await;
    };
    for result in &mut results {
        if result
            .as_ref()
            .is_ok_and(|ready| ready.entry.action() != entry.action())
        {
            *result = Err(mixed(entry.action()));
        }
    }
    let kind = desk.kind(&entry).await?;
    if !auto {
        let series = results
            .iter()
            .flatten()
            .map(|ready| ready.series().to_owned())
            .collect();
        let sent = send(&desk, submission, &kind, results).await;
        desk.moved(series).await;
        return sent;
    }
    let mut place = desk.place(&batch.series).await?;
    let first = place.next().await?;
    let results = desk.number_all(results, &place, first).await?;
    // Nobody knows which of them are taken: they are counted again.
    send(&desk, submission.waiting(), &kind, results).await
}

async fn send(
    desk: &Desk<'_>,
    submission: Submission<'_>,
    kind: &crate::sign::Kind,
    results: Vec<Result<Ready, ApiError>>,
) -> Result<HttpResponse, ApiError> {
    let documents = desk.documents(results.iter().flatten()).await?;
    let items = results
        .into_iter()
        .map(|result| {
            result.map(|ready| Item {
                input: ready.input,
                record: None,
            })
        })
        .collect();
    submission.batch(kind, items, documents).await
}

fn item(ready: &Ready) -> Item {
    Item {
        input: ready.input.clone(),
        record: None,
    }
}

fn mixed(action: &str) -> ApiError {
    let detail =
        format!("the batch's first good item is for `{action}`, this one isn't; send it in a batch of its kind");
    ApiError::new(Code::INVALID_FIELD, detail).at("")
}
