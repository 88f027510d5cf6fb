//! Status, health and metrics.

use actix_web::{HttpResponse, web};

use super::json;
use crate::node::problem::Failure;
use crate::node::shared::Shared;
use crate::node::{health, metrics};
use crate::wire::NodeStatus;

/// Alive: the process answers.
pub async fn health() -> &'static str {
    "ok\n"
}

pub async fn ready(shared: web::Data<Shared>) -> HttpResponse {
    let readiness = health::readiness(&shared);
    let mut answer = if readiness.ready {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    answer.json(readiness)
}

pub async fn metrics(shared: web::Data<Shared>) -> Result<HttpResponse, Failure> {
    let text = metrics::text(&shared).map_err(|error| Failure::internal(&error.to_string()))?;
    Ok(HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(text))
}

pub async fn status(shared: web::Data<Shared>) -> Result<HttpResponse, Failure> {
    let tip = shared.replica.tip();
    let (validators, quorum) = shared.replica.quorum();
    json(&NodeStatus {
        network: hex::encode(shared.replica.network()),
        name: shared.config.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        height: tip.height,
        state_root: hex::encode(tip.state_root),
        log_size: tip.log_size,
        time: tip.time,
        peers: shared.peers.iter().map(|peer| peer.status()).collect(),
        validators,
        quorum,
        mempool: shared.replica.mempool().0,
        voting: shared.replica.voting(),
        ready: health::quorum_here(&shared),
    })
}
