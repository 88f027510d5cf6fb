//! Templates of a network: what is in force, and publishing the next revision.

use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use muniment_ledger::template::{MAX_SOURCE, Template};
use muniment_receipts::statement::Item;
use serde::Deserialize;
use serde_json::{Map, json};
use sha2::{Digest as _, Sha256};

use super::governance::kind;
use super::query::Query;
use super::respond::Shape;
use super::submit::{Begun, Submission};
use crate::body;
use crate::ctx::{Ctx, With};
use crate::networks::lookup::unavailable;
use crate::problem::{ApiError, Code};
use crate::types::{Operation, Problem, Recorded, TemplateInForce, TemplateRequest, TemplateSource, TemplatesInForce};

/// The templates that new records can be made by.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/templates", tag = "templates",
    operation_id = "listTemplates", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path)),
    responses((status = 200, description = "the templates", body = TemplatesInForce),
        (status = 404, description = "no such network", body = Problem)))]
pub async fn list(ctx: Ctx, path: Path<(String, String)>) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let view = network.reader().governance().await.map_err(unavailable)?;
    let templates = view.templates.into_iter().map(|entry| TemplateInForce {
        name: entry.name,
        revision: entry.revision,
    });
    Ok(HttpResponse::Ok().json(TemplatesInForce {
        height: view.height,
        templates: templates.collect(),
    }))
}

/// Query of a source.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    revision: Option<u32>,
}

/// A template's source, the newest revision or a named one.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/templates/{template}", tag = "templates",
    operation_id = "getTemplate", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), ("template" = String, Path),
        ("revision" = Option<u32>, Query, description = "without it the newest")),
    responses((status = 200, description = "the source", body = TemplateSource),
        (status = 404, description = "no such template or revision", body = Problem)))]
pub async fn get(
    With(ctx, query): With<Query<Which>>,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let found = network
        .reader()
        .template(&path.2, query.revision)
        .await
        .map_err(unavailable)?;
    let found = found.ok_or_else(ApiError::not_found)?;
    Ok(HttpResponse::Ok().json(TemplateSource {
        height: found.height,
        newest: found.revision == found.newest,
        name: found.name,
        revision: found.revision,
        sha256: hex::encode(Sha256::digest(&found.source)),
        source: found.source,
    }))
}

/// Proposes the next revision of a template, or a new template. It is compiled here first, by the code that the
/// validators run: a mistake is answered with its place. Where one member decides, records can be made at once.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks/{network}/templates", tag = "templates",
    operation_id = "publishTemplate", request_body = TemplateRequest, security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path),
        ("prefer" = Option<String>, Header, description = "`wait=SECONDS`, at most 60"),
        ("idempotency-key" = Option<String>, Header, description = "the same key makes nothing new")),
    responses((status = 201, description = "final; `id` is the proposal", body = Recorded),
        (status = 202, description = "durably accepted", body = Operation),
        (status = 422, description = "refused: `invalid_template` or `wrong_revision`", body = Problem)))]
pub async fn publish(
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
    let map = body::object(&value, "", &["source", "expires"])?;
    let source = body::text(map, "source", "")?;
    if source.len() > MAX_SOURCE {
        let detail = format!(
            "the source has {} bytes; at most {MAX_SOURCE} are allowed",
            source.len()
        );
        return Err(ApiError::new(Code::INVALID_FIELD, detail).at("/source"));
    }
    let template = Template::check(source).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        ApiError::ledger("INVALID_TEMPLATE", errors.join("\n")).at("/source")
    })?;
    let mut input = Map::from_iter([
        ("name".to_owned(), json!(template.name)),
        ("revision".to_owned(), json!(template.revision)),
        ("sha256".to_owned(), json!(hex::encode(Sha256::digest(source)))),
    ]);
    input.extend(
        map.get("expires")
            .map(|expires| ("expires".to_owned(), expires.clone())),
    );
    let item = Item { input, record: None };
    submission
        .attached(&kind("publishTemplate"), item, source.as_bytes().to_vec())
        .await
}
