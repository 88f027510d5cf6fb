//! Reads: transactions, records, proofs, genesis.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use tokio::time::Instant;

use super::{hash, json};
use crate::node::problem::Failure;
use crate::node::shared::Shared;
use crate::transaction::TransactionId;
use crate::wire::{MAX_PAGE, MAX_WAIT, TransactionStatus};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// Milliseconds.
    #[serde(default)]
    wait: u64,
}

pub async fn transaction(
    shared: web::Data<Shared>,
    id: web::Path<String>,
    query: web::Query<Wait>,
) -> Result<HttpResponse, Failure> {
    let id = TransactionId(hash(&id)?);
    let deadline = Instant::now() + Duration::from_millis(query.wait.min(MAX_WAIT));
    let mut last = shared.replica.watch_final();
    loop {
        let height = *last.borrow_and_update();
        let status = match shared.read(move |replica| replica.transaction(&id)).await? {
            // Executed but not yet cosigned by a quorum.
            TransactionStatus::Final { height: at } if at > height => TransactionStatus::Pending,
            status => status,
        };
        if matches!(status, TransactionStatus::Final { .. }) {
            return json(&status);
        }
        let more = tokio::select! {
            changed = last.changed() => changed.is_ok(),
            () = tokio::time::sleep_until(deadline) => false,
            () = shared.stopping() => false,
        };
        if !more {
            return json(&status);
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    template: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

pub async fn records(shared: web::Data<Shared>, query: web::Query<Page>) -> Result<HttpResponse, Failure> {
    let Page { template, after, limit } = query.into_inner();
    let after = after.as_deref().map(hash).transpose()?;
    let limit = page(limit, 100)?;
    json(
        &shared
            .read(move |replica| replica.records(template.as_deref(), after.as_ref(), limit))
            .await?,
    )
}

pub async fn record(shared: web::Data<Shared>, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    let id = hash(&id)?;
    let record = shared.read(move |replica| replica.record(&id)).await?;
    json(&record.ok_or_else(|| Failure::not_found("record"))?)
}

/// How many rows are asked for.
fn page(limit: Option<usize>, usual: usize) -> Result<usize, Failure> {
    let limit = limit.unwrap_or(usual);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(Failure::query(format!("`limit` is 1 to {MAX_PAGE}")));
    }
    Ok(limit)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// Version; its step and those before are left out.
    #[serde(default)]
    after: u32,
    limit: Option<usize>,
}

pub async fn history(
    shared: web::Data<Shared>,
    id: web::Path<String>,
    query: web::Query<Steps>,
) -> Result<HttpResponse, Failure> {
    let id = hash(&id)?;
    let (after, limit) = (query.after, page(query.limit, MAX_PAGE)?);
    json(&shared.read(move |replica| replica.history(&id, after, limit)).await?)
}

pub async fn state_proof(shared: web::Data<Shared>, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    let id = hash(&id)?;
    json(&shared.read(move |replica| replica.state_proof(&id)).await?)
}

pub async fn governance(shared: web::Data<Shared>) -> Result<HttpResponse, Failure> {
    json(&shared.read(|replica| replica.governance()).await?)
}

pub async fn leaf_proof(shared: web::Data<Shared>, index: web::Path<u64>) -> Result<HttpResponse, Failure> {
    let proof = shared.read(move |replica| replica.leaf_proof(*index)).await?;
    json(&proof.ok_or_else(|| Failure::not_found("leaf under a final checkpoint"))?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    revision: Option<u32>,
}

pub async fn template(
    shared: web::Data<Shared>,
    name: web::Path<String>,
    query: web::Query<Revision>,
) -> Result<HttpResponse, Failure> {
    let (name, revision) = (name.into_inner(), query.revision);
    let found = shared.read(move |replica| replica.template(&name, revision)).await?;
    json(&found.ok_or_else(|| Failure::not_found("template"))?)
}

pub async fn trust_root(shared: web::Data<Shared>) -> Result<HttpResponse, Failure> {
    let body = shared.read(|replica| replica.trust_root()).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(body))
}

pub async fn genesis(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(shared.replica.genesis().to_vec())
}
