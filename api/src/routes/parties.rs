//! Parties of a tenant: on whose behalf it signs, each with a key of its own.

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use serde::Deserialize;

use super::query::Query;
use super::respond;
use crate::body;
use crate::ctx::With;
use crate::keys::{Owner, Purpose};
use crate::problem::{ApiError, Code};
use crate::store::entity::party::Model;
use crate::types::{Party, PartyPage, PartyRequest, Problem};

/// Longest name: it must fit a namespace's, as a tenant's does.
const MAX_NAME: usize = 40;

fn view(row: Model) -> Party {
    Party {
        name: row.name,
        signer: row.signer,
        created_at: crate::time::rfc3339(row.created_at),
    }
}

/// Query of the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    after: Option<String>,
    limit: Option<usize>,
}

/// The tenant's parties.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/parties", tag = "parties", operation_id = "listParties",
    security(("apiKey" = [])), params(("tenant" = String, Path),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 200, default 50")),
    responses((status = 200, description = "a page", body = PartyPage),
        (status = 400, description = "malformed query", body = Problem),
        (status = 404, description = "no such tenant", body = Problem)))]
pub async fn list(With(ctx, query): With<Query<List>>) -> Result<HttpResponse, ApiError> {
    let limit = respond::page(query.limit)?;
    // One more than is shown tells whether there is a next page.
    let rows = ctx.store().parties(query.after.as_deref(), limit as u64 + 1).await;
    let rows = rows.map_err(ApiError::internal)?;
    let more = rows.len() > limit;
    let parties: Vec<Party> = rows.into_iter().take(limit).map(view).collect();
    let next = parties.last().filter(|_| more).map(|party| party.name.clone());
    Ok(HttpResponse::Ok().json(PartyPage { parties, next }))
}

/// Makes a party and its signing key. A party that is there already is answered as it is. Its key becomes a member of a
/// network by that network's governance.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/parties", tag = "parties", operation_id = "createParty",
    request_body = PartyRequest, security(("apiKey" = [])), params(("tenant" = String, Path)),
    responses((status = 201, description = "the party", body = Party),
        (status = 403, description = "the API key acts for a party itself", body = Problem),
        (status = 422, description = "wrong name", body = Problem)))]
pub async fn create(With(ctx, bytes): With<Bytes>) -> Result<HttpResponse, ApiError> {
    ctx.tenant_itself()?;
    let value = body::json(&bytes)?;
    let name = body::text(body::object(&value, "", &["name"])?, "name", "")?;
    if !is_name(name) {
        let detail = format!(
            "`name` must have 1 to {MAX_NAME} lower case letters, digits and hyphens, and begin and end with a letter or \
             digit"
        );
        return Err(ApiError::new(Code::INVALID_FIELD, detail).at("/name"));
    }
    let keys = &ctx.state().networks.shared().keys;
    let signer = keys.ensure(&Owner::party(ctx.tenant(), name), Purpose::Statement).await;
    let row = Model {
        tenant: ctx.tenant().to_owned(),
        name: name.to_owned(),
        signer: signer.map_err(ApiError::internal)?.to_string(),
        created_at: crate::time::now_ms(),
    };
    ctx.store().add_party(row).await.map_err(ApiError::internal)?;
    let row = ctx.store().party(name).await.map_err(ApiError::internal)?;
    let row = row.ok_or_else(|| ApiError::internal("a new party is missing"))?;
    tracing::info!(
        request = ctx.request_id,
        tenant = ctx.tenant(),
        by = ctx.principal.key,
        party = name,
        "party created"
    );
    Ok(HttpResponse::Created().json(view(row)))
}

fn is_name(name: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    bytes.len() <= MAX_NAME
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}
