//! API keys of a tenant.

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Path};
use serde::Deserialize;

use super::query::Query;
use super::respond;
use crate::auth;
use crate::body;
use crate::ctx::{Ctx, With};
use crate::keys::Owner;
use crate::problem::{ApiError, Code};
use crate::store::entity::api_key::Model;
use crate::types::{ApiKey, ApiKeyPage, ApiKeyRequest, Problem};

fn view(row: Model, secret: Option<String>) -> ApiKey {
    ApiKey {
        id: row.id,
        party: row.party,
        name: row.name,
        prefix: row.prefix,
        created_at: crate::time::rfc3339(row.created_at),
        expires_at: row.expires_at.map(crate::time::rfc3339),
        secret,
    }
}

/// Query of the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    after: Option<String>,
    limit: Option<usize>,
}

/// Keys that aren't revoked; never their secrets.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/api-keys", tag = "api-keys", operation_id = "listApiKeys",
    security(("apiKey" = [])), params(("tenant" = String, Path),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 200, default 50")),
    responses((status = 200, description = "a page", body = ApiKeyPage),
        (status = 400, description = "malformed query", body = Problem),
        (status = 404, description = "no such tenant", body = Problem)))]
pub async fn list(With(ctx, query): With<Query<List>>) -> Result<HttpResponse, ApiError> {
    ctx.tenant_itself()?;
    let limit = respond::page(query.limit)?;
    // One more than is shown tells whether there is a next page.
    let rows = ctx.store().api_keys(query.after.as_deref(), limit as u64 + 1).await;
    let rows = rows.map_err(ApiError::internal)?;
    let more = rows.len() > limit;
    let keys: Vec<ApiKey> = rows.into_iter().take(limit).map(|row| view(row, None)).collect();
    let next = keys.last().filter(|_| more).map(|key| key.id.clone());
    Ok(HttpResponse::Ok().json(ApiKeyPage { keys, next }))
}

/// Makes a key. The secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/api-keys", tag = "api-keys", operation_id = "createApiKey",
    request_body = ApiKeyRequest, security(("apiKey" = [])), params(("tenant" = String, Path)),
    responses((status = 201, description = "the key with its secret", body = ApiKey),
        (status = 403, description = "the API key acts for a party", body = Problem),
        (status = 422, description = "wrong name or time", body = Problem)))]
pub async fn create(With(ctx, bytes): With<Bytes>) -> Result<HttpResponse, ApiError> {
    ctx.tenant_itself()?;
    let value = body::json(&bytes)?;
    let map = body::object(&value, "", &["name", "party", "expiresAt"])?;
    let name = body::text(map, "name", "")?;
    if !(1..=64).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        let detail = "`name` must have 1 to 64 characters and no control characters";
        return Err(ApiError::new(Code::INVALID_FIELD, detail).at("/name"));
    }
    let expires_at = match body::optional_text(map, "expiresAt", "")? {
        None => None,
        Some(text) => {
            let at = crate::time::parse(text)
                .filter(|at| *at > crate::time::now_ms())
                .ok_or_else(|| {
                    let detail = "`expiresAt` must be a time to come, RFC 3339 in UTC: 2027-01-31T00:00:00Z";
                    ApiError::new(Code::INVALID_FIELD, detail).at("/expiresAt")
                })?;
            Some(at)
        }
    };
    let owner = match body::optional_text(map, "party", "")? {
        None => Owner::tenant(ctx.tenant()),
        Some(party) => {
            let known = ctx.store().party(party).await.map_err(ApiError::internal)?;
            if known.is_none() {
                let detail = "the tenant has no such party; make it with POST …/parties, or see GET …/parties";
                return Err(ApiError::new(Code::INVALID_FIELD, detail).at("/party"));
            }
            Owner::party(ctx.tenant(), party)
        }
    };
    let key = auth::generate(&owner, name, expires_at).map_err(ApiError::internal)?;
    ctx.store()
        .add_api_key(key.row.clone())
        .await
        .map_err(ApiError::internal)?;
    tracing::info!(
        request = ctx.request_id,
        tenant = ctx.tenant(),
        by = ctx.principal.key,
        key = key.row.id,
        "API key created"
    );
    Ok(HttpResponse::Created().json(view(key.row, Some(key.secret.to_string()))))
}

/// Revokes a key, at once on this server.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/api-keys/{key}", tag = "api-keys", operation_id = "revokeApiKey",
    security(("apiKey" = [])), params(("tenant" = String, Path), ("key" = String, Path)),
    responses((status = 204, description = "revoked"), (status = 404, description = "no such key", body = Problem)))]
pub async fn revoke(ctx: Ctx, path: Path<(String, String)>) -> Result<HttpResponse, ApiError> {
    ctx.tenant_itself()?;
    if !ctx.store().revoke(&path.1).await.map_err(ApiError::internal)? {
        return Err(ApiError::not_found());
    }
    ctx.state().auth.forget(&path.1);
    tracing::info!(
        request = ctx.request_id,
        tenant = ctx.tenant(),
        by = ctx.principal.key,
        key = path.1,
        "API key revoked"
    );
    Ok(HttpResponse::NoContent().finish())
}
