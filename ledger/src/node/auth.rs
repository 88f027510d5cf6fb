//! Who may ask: whoever has the bearer token, and where the node has certificates only over TLS, which lets nobody in
//! without one.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::web;
use subtle::ConstantTimeEq;

use super::problem::Failure;
use super::shared::Shared;

/// Lets a request with the node's token through; compared in constant time.
pub async fn guard(
    shared: web::Data<Shared>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let plain = shared.config.tls.as_ref().is_none_or(|tls| tls.plain);
    if !plain && !request.app_config().secure() {
        return Err(Failure::plain().into());
    }
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let right = given.is_some_and(|given| given.ct_eq(shared.config.token.as_bytes()).into());
    if right && !shared.config.token.is_empty() {
        next.call(request).await
    } else {
        Err(Failure::unauthorized().into())
    }
}
