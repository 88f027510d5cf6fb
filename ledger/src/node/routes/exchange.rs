//! Cosignatures, given to and taken from peers.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::body;
use crate::node::problem::Failure;
use crate::node::shared::Shared;
use crate::wire::{MAX_HEIGHTS, codec};

pub async fn take(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let body = body(&request, payload).await?;
    let cosigned = codec::cosigned(&body).map_err(|error| Failure::body(error.to_string()))?;
    shared.ask(move |replica| replica.add_cosignatures(cosigned)).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heights {
    from: u64,
    to: u64,
}

pub async fn give(shared: web::Data<Shared>, query: web::Query<Heights>) -> Result<HttpResponse, Failure> {
    let Heights { from, to } = *query;
    if from == 0 || to < from || to - from >= MAX_HEIGHTS {
        return Err(Failure::query(format!(
            "1 <= from <= to, and at most {MAX_HEIGHTS} heights at once"
        )));
    }
    let cosigned = shared.read(move |replica| replica.cosignatures(from, to)).await?;
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .body(codec::encode(&cosigned)))
}
