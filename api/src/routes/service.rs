//! The service about itself.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::Data;
use std::sync::atomic::Ordering;

use crate::app::State;
use crate::ctx::Ctx;
use crate::keys::Purpose;
use crate::metrics::NetworkLabel;
use crate::openapi;
use crate::problem::{ApiError, Code};
use crate::types::{Problem, Version, Whoami};

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "service", operation_id = "healthz",
    responses((status = 200, description = "alive", body = String)))]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ok\n")
}

/// The database can be written; that a network is down doesn't count.
#[utoipa::path(get, path = "/readyz", tag = "service", operation_id = "readyz",
    responses((status = 200, description = "ready", body = String),
        (status = 503, description = "the database can't be written", body = Problem)))]
pub async fn readyz(state: Data<State>) -> Result<HttpResponse, ApiError> {
    let written = state.networks.shared().store.writer.write(Vec::new()).await;
    written.map_err(|error| ApiError::new(Code::UNAVAILABLE, error.to_string()))?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ready\n"))
}

/// Metrics in the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", tag = "service", operation_id = "metrics",
    responses((status = 200, description = "metrics", body = String, content_type = "application/openmetrics-text")))]
pub async fn metrics(state: Data<State>) -> Result<HttpResponse, ApiError> {
    let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    state
        .metrics
        .in_flight
        .set(gauge(state.networks.shared().in_flight.load(Ordering::Relaxed)));
    for network in state.networks.all() {
        let label = NetworkLabel {
            tenant: network.entry.tenant.clone(),
            network: network.entry.name.clone(),
        };
        state
            .metrics
            .height
            .get_or_create(&label)
            .set(i64::try_from(network.height()).unwrap_or(i64::MAX));
        state
            .metrics
            .pending
            .get_or_create(&label)
            .set(gauge(network.waiting()));
    }
    let text = state.metrics.text().map_err(ApiError::internal)?;
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
        .ensure(ctx.tenant(), Purpose::Statement)
        .await
        .map_err(ApiError::internal)?;
    Ok(HttpResponse::Ok().json(Whoami {
        tenant: ctx.tenant().to_owned(),
        key: ctx.principal.key.clone(),
        name: ctx.principal.name.clone(),
        signer: signer.to_string(),
    }))
}
