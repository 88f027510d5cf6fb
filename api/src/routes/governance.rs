//! How a network decides about itself: members, proposals, templates.
//!
//! Reads are the ledger's own answers. Writes are governance statements like any other action: the caller's key signs
//! a proposal, which is enacted at once where one member decides, and else when enough members have approved it.

use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use muniment_ledger::execute::governance::{REGION, REVISION, TEMPLATE};
use muniment_ledger::state::Record as Stored;
use muniment_receipts::statement::Item;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

use super::query::Query;
use super::records;
use super::respond::{self, Shape};
use super::submit::{Begun, Submission};
use crate::body;
use crate::ctx::{Ctx, With};
use crate::networks::Network;
use crate::networks::lookup::unavailable;
use crate::problem::{ApiError, Code};
use crate::sign::Kind;
use crate::types::{
    Approval, Member, MemberRequest, Members, Operation, Problem, Proposal, ProposalPage, ProposalRequest, Recorded,
};

/// Most proposals looked at for one page that is filtered by state.
const LOOKED_AT: usize = 10_000;

pub(super) fn kind(action: &str) -> Kind {
    Kind {
        template: Cow::Borrowed(TEMPLATE),
        action: Cow::Owned(action.to_owned()),
        revision: REVISION,
    }
}

/// Signs and submits one governance action.
pub(super) async fn act(
    ctx: &Ctx,
    network: &Network,
    request: &HttpRequest,
    bytes: &[u8],
    make: impl FnOnce() -> Result<(String, Item), ApiError>,
) -> Result<HttpResponse, ApiError> {
    match Submission::begin(ctx, network, request, bytes, Shape::Single).await? {
        Begun::Again(answer) => Ok(answer),
        Begun::New(submission) => {
            let (action, item) = make()?;
            submission.single(&kind(&action), item, Vec::new()).await
        }
    }
}

fn new(input: Map<String, Value>) -> Item {
    Item { input, record: None }
}

/// Who may sign in the network, and how many must agree to change that.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/members", tag = "governance",
    operation_id = "listMembers", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path)),
    responses((status = 200, description = "the members", body = Members),
        (status = 404, description = "no such network", body = Problem)))]
pub async fn members(ctx: Ctx, path: Path<(String, String)>) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let view = network.reader().governance().await.map_err(unavailable)?;
    let member = |entry: muniment_ledger::state::MemberEntry| Member {
        key: entry.key,
        name: entry.name,
    };
    Ok(HttpResponse::Ok().json(Members {
        height: view.height,
        threshold: view.threshold,
        members: view.members.into_iter().map(member).collect(),
    }))
}

/// Proposes a new member. Where one member decides, the key may sign from the next block on; else the answer's `id`
/// names the proposal that others have to approve.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks/{network}/members", tag = "governance",
    operation_id = "addMember", request_body = MemberRequest, security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path),
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60"),
        ("idempotency-key" = Option<String>, Header, description = "the same key makes nothing new")),
    responses((status = 201, description = "final; `id` is the proposal", body = Recorded),
        (status = 202, description = "durably accepted", body = Operation),
        (status = 422, description = "refused, for example `already_a_member`", body = Problem)))]
pub async fn add_member(
    With(ctx, bytes): With<Bytes>,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let make = || {
        let value = body::json(&bytes)?;
        let map = body::object(&value, "", &["key", "name", "expires"])?;
        body::text(map, "key", "")?;
        body::text(map, "name", "")?;
        Ok(("addMember".to_owned(), new(map.clone())))
    };
    act(&ctx, &network, &request, &bytes, make).await
}

/// Proposes that a member goes.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/networks/{network}/members/{key}", tag = "governance",
    operation_id = "removeMember", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("key" = String, Path, description = "signer key"),
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60"),
        ("idempotency-key" = Option<String>, Header, description = "the same key makes nothing new")),
    responses((status = 201, description = "final; `id` is the proposal", body = Recorded),
        (status = 202, description = "durably accepted", body = Operation),
        (status = 422, description = "refused, for example `no_such_member` or `last_member`", body = Problem)))]
pub async fn remove_member(
    ctx: Ctx,
    path: Path<(String, String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let input = Map::from_iter([("key".to_owned(), json!(path.2))]);
    let make = || Ok(("removeMember".to_owned(), new(input)));
    act(&ctx, &network, &request, b"", make).await
}

/// Query of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    state: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// What was proposed, by id.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/proposals", tag = "governance",
    operation_id = "listProposals", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path),
        ("state" = Option<String>, Query, description = "only those that are `open`, `enacted`, `withdrawn` or `expired`"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 200, default 50")),
    responses((status = 200, description = "a page", body = ProposalPage),
        (status = 400, description = "malformed query", body = Problem)))]
pub async fn proposals(
    With(ctx, query): With<Query<List>>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let limit = respond::page(query.limit)?;
    let known = ["open", "enacted", "withdrawn", "expired"];
    let state = query.state.as_deref();
    if state.is_some_and(|state| !known.contains(&state)) {
        let detail = "`state` must be `open`, `enacted`, `withdrawn` or `expired`";
        return Err(ApiError::new(Code::BAD_REQUEST, detail));
    }
    let (reader, mut after) = (network.reader(), records::after(query.after.as_deref())?);
    let (mut found, mut looked_at) = (Vec::new(), 0);
    let (height, next) = loop {
        let page = reader
            .records(Some(TEMPLATE), after.as_ref(), limit)
            .await
            .map_err(unavailable)?;
        looked_at += page.records.len();
        for record in &page.records {
            let one = proposal(record)?;
            if state.is_none_or(|state| one.state == state) {
                found.push(one);
            }
        }
        // Without a filter the first page is the answer; with one, pages are looked at until there is something to show.
        match page.next {
            Some(next) if found.is_empty() && looked_at < LOOKED_AT => after = Some(records::record_id(&next)?),
            next => break (page.height, next),
        }
    };
    Ok(HttpResponse::Ok().json(ProposalPage {
        height,
        proposals: found,
        next,
    }))
}

/// One proposal.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/proposals/{proposal}", tag = "governance",
    operation_id = "getProposal", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("proposal" = String, Path)),
    responses((status = 200, description = "the proposal", body = Proposal),
        (status = 404, description = "no such proposal", body = Problem)))]
pub async fn get_proposal(ctx: Ctx, path: Path<(String, String, String)>) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let id = records::record_id(&path.2)?;
    let view = network.reader().record(&id).await.map_err(unavailable)?;
    let view = view.filter(|view| view.record["template"] == TEMPLATE);
    let view = view.ok_or_else(ApiError::not_found)?;
    Ok(HttpResponse::Ok().json(proposal(&view.record)?))
}

/// Proposes any change: `addMember`, `removeMember`, `replaceKey`, `setThreshold`, `addValidator` or `removeValidator`
/// with its input. Templates are published at `…/templates`.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks/{network}/proposals", tag = "governance",
    operation_id = "propose", request_body = ProposalRequest, security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path),
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60"),
        ("idempotency-key" = Option<String>, Header, description = "the same key makes nothing new")),
    responses((status = 201, description = "final; `id` is the proposal", body = Recorded),
        (status = 202, description = "durably accepted", body = Operation),
        (status = 422, description = "refused", body = Problem)))]
pub async fn propose(
    With(ctx, bytes): With<Bytes>,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let make = || {
        let value = body::json(&bytes)?;
        let map = body::object(&value, "", &["action", "input"])?;
        let action = body::text(map, "action", "")?.to_owned();
        match map.get("input") {
            Some(Value::Object(input)) => Ok((action, new(input.clone()))),
            other => Err(body::wrong("input", "an object", other.unwrap_or(&Value::Null), "")),
        }
    };
    act(&ctx, &network, &request, &bytes, make).await
}

/// Approves a proposal as the caller's member. With enough approvals it takes effect.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks/{network}/proposals/{proposal}/approve", tag = "governance",
    operation_id = "approveProposal", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("proposal" = String, Path),
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60"),
        ("idempotency-key" = Option<String>, Header, description = "the same key makes nothing new")),
    responses((status = 201, description = "final", body = Recorded),
        (status = 202, description = "durably accepted", body = Operation),
        (status = 422, description = "refused, for example `already_approved` or `proposal_expired`", body = Problem)))]
pub async fn approve(
    ctx: Ctx,
    path: Path<(String, String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    on_proposal(&ctx, &path, &request, "approve").await
}

/// Takes the caller's own proposal back, or clears one away whose time is over.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks/{network}/proposals/{proposal}/withdraw", tag = "governance",
    operation_id = "withdrawProposal", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("proposal" = String, Path),
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60"),
        ("idempotency-key" = Option<String>, Header, description = "the same key makes nothing new")),
    responses((status = 201, description = "final", body = Recorded),
        (status = 202, description = "durably accepted", body = Operation),
        (status = 422, description = "refused, for example `not_allowed` or `wrong_state`", body = Problem)))]
pub async fn withdraw(
    ctx: Ctx,
    path: Path<(String, String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    on_proposal(&ctx, &path, &request, "withdraw").await
}

async fn on_proposal(
    ctx: &Ctx,
    path: &(String, String, String),
    request: &HttpRequest,
    action: &str,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let record = Some(records::record_id(&path.2)?);
    let make = || {
        let input = Map::new();
        Ok((action.to_owned(), Item { input, record }))
    };
    act(ctx, &network, request, b"", make).await
}

/// A proposal as callers see it. Whether an open one is over is told by this server's clock; the block time decides.
fn proposal(record: &Value) -> Result<Proposal, ApiError> {
    #[derive(Deserialize)]
    struct Given {
        key: String,
    }
    let record: Stored = serde_json::from_value(record.clone()).map_err(ApiError::internal)?;
    let field = |name: &str| record.fields.get(name).cloned().unwrap_or(Value::Null);
    let approvals: Vec<Given> = serde_json::from_value(field("approvals")).map_err(ApiError::internal)?;
    let expires = field("expires").as_i64().unwrap_or(i64::MAX);
    let state = record.regions.get(REGION).map_or("", String::as_str);
    let over = state == "open" && crate::time::now_ms() > expires;
    Ok(Proposal {
        id: record.id.clone(),
        action: field("action").as_str().unwrap_or_default().to_owned(),
        input: field("input"),
        state: if over { "expired" } else { state }.to_owned(),
        proposer: record.creator.clone(),
        approvals: approvals.into_iter().map(|one| Approval { key: one.key }).collect(),
        created_at: crate::time::rfc3339(i64::try_from(record.created_time).unwrap_or(i64::MAX)),
        expires_at: crate::time::rfc3339(expires),
        height: record.updated_height,
    })
}
