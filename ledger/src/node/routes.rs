//! The table of paths; see [`crate::wire`] for what each takes and answers.

mod blocks;
mod exchange;
mod ops;
mod read;
mod submit;
mod tiles;

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, middleware};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use super::auth;
use super::problem::Failure;
use crate::block::Hash;
use crate::wire::MAX_BODY;

pub fn configure(service: &mut ServiceConfig) {
    service
        .app_data(web::QueryConfig::default().error_handler(|error, _| Failure::query(error.to_string()).into()))
        .app_data(web::PathConfig::default().error_handler(|error, _| Failure::query(error.to_string()).into()))
        .route("/healthz", web::get().to(ops::health))
        .route("/readyz", web::get().to(ops::ready))
        .route("/metrics", web::get().to(ops::metrics))
        .service(web::scope("").wrap(middleware::from_fn(auth::guard)).configure(guarded));
}

fn guarded(service: &mut ServiceConfig) {
    service
        .service(path("/v1/transactions").route(web::post().to(submit::submit)))
        .service(path("/v1/transactions/{id}").route(web::get().to(read::transaction)))
        .service(path("/v1/blocks").route(web::get().to(blocks::follow)))
        .service(path("/v1/records").route(web::get().to(read::records)))
        .service(path("/v1/records/{id}").route(web::get().to(read::record)))
        .service(path("/v1/records/{id}/history").route(web::get().to(read::history)))
        .service(path("/v1/records/{id}/proof").route(web::get().to(read::state_proof)))
        .service(path("/v1/governance").route(web::get().to(read::governance)))
        .service(path("/v1/leaves/{index}").route(web::get().to(read::leaf_proof)))
        .service(path("/v1/templates/{name}").route(web::get().to(read::template)))
        .service(path("/v1/trust-root").route(web::get().to(read::trust_root)))
        .service(path("/v1/genesis").route(web::get().to(read::genesis)))
        .service(path("/v1/status").route(web::get().to(ops::status)))
        .service(
            path("/v1/cosignatures")
                .route(web::post().to(exchange::take))
                .route(web::get().to(exchange::give)),
        )
        .service(path("/checkpoint").route(web::get().to(tiles::checkpoint)))
        .service(path("/tile/entries/{index:.+}").route(web::get().to(tiles::entries)))
        .service(path("/tile/{level}/{index:.+}").route(web::get().to(tiles::hashes)))
        .default_service(web::to(nowhere));
}

fn path(path: &str) -> actix_web::Resource {
    web::resource(path).default_service(web::to(other_method))
}

async fn nowhere() -> Result<HttpResponse, Failure> {
    Err(Failure::not_found("path"))
}

async fn other_method() -> Result<HttpResponse, Failure> {
    Err(Failure::method())
}

/// Reads a request body of at most [`MAX_BODY`] bytes.
async fn body(request: &HttpRequest, mut payload: web::Payload) -> Result<Bytes, Failure> {
    let too_large = || Failure::too_large(format!("a body has at most {MAX_BODY} bytes; send it in parts"));
    let length = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_BODY) {
        return Err(too_large());
    }
    // Room for all of it at once: a batch would be moved ten times while its room grows.
    let mut body = BytesMut::with_capacity(length.unwrap_or_default());
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|error| Failure::body(format!("the body can't be read: {error}")))?;
        if body.len() + piece.len() > MAX_BODY {
            return Err(too_large());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// Reads 64 lower-case hex digits.
fn hash(text: &str) -> Result<Hash, Failure> {
    let mut hash = [0; 32];
    let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    match hex::decode_to_slice(text, &mut hash) {
        Ok(()) if !upper => Ok(hash),
        _ => Err(Failure::query("an id has 64 lower-case hex digits")),
    }
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<HttpResponse, Failure> {
    let body = serde_json::to_vec(value).map_err(|error| Failure::internal(&error.to_string()))?;
    Ok(HttpResponse::Ok().content_type("application/json").body(body))
}
