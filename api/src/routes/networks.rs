//! Networks as their tenant sees them.

use actix_web::HttpResponse;
use actix_web::web::Path;

use crate::ctx::Ctx;
use crate::networks::Network as Running;
use crate::problem::ApiError;
use crate::types::{Network, Problem};

async fn view(ctx: &Ctx, network: &Running) -> Network {
    let entry = ctx
        .state()
        .networks
        .entry(&network.entry.tenant, &network.entry.name)
        .await;
    network
        .status(&entry.map(|entry| entry.restarts).unwrap_or_default())
        .await
}

/// The tenant's networks.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks", tag = "networks", operation_id = "listNetworks",
    security(("apiKey" = [])), params(("tenant" = String, Path)),
    responses((status = 200, description = "the networks", body = [Network]),
        (status = 404, description = "no such tenant", body = Problem)))]
pub async fn list(ctx: Ctx) -> Result<HttpResponse, ApiError> {
    let networks = ctx.networks().await;
    let views = futures::future::join_all(networks.iter().map(|network| view(&ctx, network))).await;
    Ok(HttpResponse::Ok().json(views))
}

/// One network with what each of its validators says of itself.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}", tag = "networks", operation_id = "getNetwork",
    security(("apiKey" = [])), params(("tenant" = String, Path), ("network" = String, Path)),
    responses((status = 200, description = "the network", body = Network),
        (status = 404, description = "no such network", body = Problem)))]
pub async fn get(ctx: Ctx, path: Path<(String, String)>) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    Ok(HttpResponse::Ok().json(view(&ctx, &network).await))
}

/// The trust root file: what a verifier needs beside a receipt. Get it once, keep it, compare it by another way.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/trust-root", tag = "networks",
    operation_id = "getTrustRoot", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path)),
    responses((status = 200, description = "the trust root file", content_type = "application/json", body = Object),
        (status = 404, description = "no such network", body = Problem)))]
pub async fn trust_root(ctx: Ctx, path: Path<(String, String)>) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(network.trust_file()))
}
