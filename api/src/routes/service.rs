//! The service about itself.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::Data;
use std::time::{Duration, Instant};

use crate::app::State;
use crate::ctx::Ctx;
use crate::keys::Purpose;
use crate::openapi;
use crate::problem::{ApiError, Code};
use crate::store::Write;
use crate::types::{Problem, Version, Whoami};

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "service", operation_id = "healthz",
    responses((status = 200, description = "alive", body = String)))]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ok\n")
}

/// How long an answer of `/readyz` is good for: anybody may ask, and each asks the disk.
const FRESH: Duration = Duration::from_secs(1);

/// The last answer of `/readyz`: when, and why not.
#[derive(Default)]
pub struct Readiness(tokio::sync::Mutex<Option<(Instant, Option<String>)>>);

/// The database takes a row, and every network is attached; that a network is down doesn't count.
#[utoipa::path(get, path = "/readyz", tag = "service", operation_id = "readyz",
    responses((status = 200, description = "ready", body = String),
        (status = 503, description = "the database can't be written, or a network can't be attached", body = Problem)))]
pub async fn readyz(state: Data<State>) -> Result<HttpResponse, ApiError> {
    if let Some(error) = unwritable(&state).await {
        return Err(ApiError::new(Code::UNAVAILABLE, error));
    }
    if state.networks.any_trouble().is_some() {
        // It may be mended by now.
        state.networks.refresh().await;
        if let Some(trouble) = state.networks.any_trouble() {
            return Err(trouble);
        }
    }
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ready\n"))
}

async fn unwritable(state: &State) -> Option<String> {
    let mut last = state.readiness.0.lock().await;
    if let Some((at, why)) = last.as_ref()
        && at.elapsed() < FRESH
    {
        return why.clone();
    }
    let writer = &state.networks.shared().store.writer;
    let written = writer.write(vec![Write::Beat(crate::time::now_ms())]).await;
    let why = written.err().map(|error| error.to_string());
    *last = Some((Instant::now(), why.clone()));
    why
}

/// Metrics in the OpenMetrics text format. They need no key, so they name no tenant and no network.
#[utoipa::path(get, path = "/metrics", tag = "service", operation_id = "metrics",
    responses((status = 200, description = "metrics", body = String, content_type = "application/openmetrics-text")))]
pub async fn metrics(state: Data<State>) -> Result<HttpResponse, ApiError> {
    let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    let networks = state.networks.all();
    let metrics = &state.metrics;
    let in_flight = state.networks.shared().room.held();
    metrics.in_flight.set(gauge(in_flight));
    metrics.networks.set(gauge(networks.len()));
    metrics.broken.set(gauge(state.networks.broken()));
    let pending = networks.iter().map(|network| network.waiting()).sum();
    metrics.pending.set(gauge(pending));
    let text = metrics.text().map_err(ApiError::internal)?;
    Ok(HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(text))
}

/// What runs here.
#[utoipa::path(get, path = "/version", tag = "service", operation_id = "version",
    responses((status = 200, description = "name and version", body = Version)))]
pub async fn version() -> HttpResponse {
    HttpResponse::Ok().json(Version {
        name: "muniment".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "service", operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub async fn openapi() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(openapi::text())
}

/// The documentation page has a slash at its end.
pub async fn docs() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, "/docs/"))
        .finish()
}

/// Who the API key is.
#[utoipa::path(get, path = "/v1/whoami", tag = "service", operation_id = "whoami", security(("apiKey" = [])),
    responses((status = 200, description = "tenant and key", body = Whoami),
        (status = 401, description = "no valid key", body = Problem)))]
pub async fn whoami(ctx: Ctx) -> Result<HttpResponse, ApiError> {
    let keys = &ctx.state().networks.shared().keys;
    let signer = keys
        .ensure(ctx.owner(), Purpose::Statement)
        .await
        .map_err(ApiError::internal)?;
    Ok(HttpResponse::Ok().json(Whoami {
        tenant: ctx.tenant().to_owned(),
        party: ctx.owner().party.clone(),
        key: ctx.principal.key.clone(),
        name: ctx.principal.name.clone(),
        signer: signer.to_string(),
    }))
}
