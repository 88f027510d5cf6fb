//! Ready-signed transactions: the party's key never comes near the server.

use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use muniment_ledger::transaction::Transaction;
use std::time::Duration;

use super::respond::{self, Refused, Shape};
use super::submit::{answer, conclude};
use crate::body;
use crate::ctx::With;
use crate::networks::Network;
use crate::networks::intake::Ticket;
use crate::networks::whereabouts::Whereabouts;
use crate::operation_id::OperationId;
use crate::problem::ApiError;
use crate::sign::{self, Signed};
use crate::types::{Operation, Problem, Recorded, RecordedBatch, SignedTransactionRequest};

/// Takes a transaction that a member signed itself. Its identity is its signed text: sending it again makes nothing
/// new and gets the first answer.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks/{network}/transactions", tag = "transactions",
    operation_id = "submitTransaction", request_body = SignedTransactionRequest, security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path),
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60")),
    responses((status = 200, description = "a batch, all items decided", body = RecordedBatch),
        (status = 201, description = "a single action, final", body = Recorded),
        (status = 202, description = "durably accepted", body = Operation),
        (status = 409, description = "refused as a duplicate", body = Problem),
        (status = 422, description = "refused", body = Problem), (status = 503, description = "overloaded", body = Problem)))]
pub async fn submit(
    With(ctx, bytes): With<Bytes>,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let signed = sign::ready(&body::json(&bytes)?, &network.entry.id)?;
    drop(bytes);
    let shape = match signed.transaction {
        Transaction::Single { .. } | Transaction::Attached { .. } => Shape::Single,
        Transaction::Batch { .. } => Shape::Batch,
    };
    let wait = respond::prefer_wait(&request);
    if let Err(expired) = sign::check_time(signed.valid_until) {
        return first_answer(&network, &signed, shape, wait, expired).await;
    }
    let ticket = network
        .accept(signed, false, wait.is_zero(), None, |_| Vec::new())
        .await?;
    conclude(&network, ticket, shape, wait, Refused::default()).await
}

/// An expired transaction can't be accepted any more, but it may have been: then its first answer stands.
async fn first_answer(
    network: &Network,
    signed: &Signed,
    shape: Shape,
    wait: Duration,
    expired: ApiError,
) -> Result<HttpResponse, ApiError> {
    let id = signed.transaction.id();
    let operation = OperationId {
        created_at: crate::time::now_ms(),
        transaction: id,
    };
    if let Some(decided) = network.wait_for(&id) {
        let ticket = Ticket { operation, decided };
        return conclude(network, ticket, shape, wait, Refused::default()).await;
    }
    match network.whereabouts(&id, Duration::ZERO).await? {
        Whereabouts::Final(items) => answer(network, operation, shape, items),
        // It came to the ledger by another way, or its block is about to be followed. It isn't in our outbox, so it can't
        // be promised; the next attempt finds its block, or that there is none.
        Whereabouts::Pending => Err(ApiError::undecided(
            "the statement's time has ended, and the network can't tell yet whether it was in a block; send it again",
        )),
        Whereabouts::Unknown => Err(expired),
    }
}
