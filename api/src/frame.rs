//! What surrounds every request: its id, its problem document, its headers, its metrics.
//!
//! Owns the last look at a response. Anything at or above 400 leaves here as `application/problem+json`.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, web};
use std::time::Instant;

use crate::app::State;
use crate::problem::{ApiError, Code};

/// Id of a request, `req_…`; in the request's extensions.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

impl RequestId {
    fn new() -> Self {
        Self(format!("req_{}", uuid::Uuid::now_v7().simple()))
    }
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The documentation page loads only what this server ships. Its styles are partly inline.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' \
                           data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                           frame-ancestors 'none'";
const NOSNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

/// The middleware.
///
/// # Errors
/// None of its own.
pub async fn frame(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let id = RequestId::new();
    request.extensions_mut().insert(id.clone());
    let response = next.call(request).await?.map_into_boxed_body();
    let mut response = if response.status().as_u16() >= 400 {
        as_problem(response, &id)
    } else {
        response
    };
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    let docs = response.request().path().starts_with("/docs");
    let headers = response.headers_mut();
    headers.insert(NOSNIFF, HeaderValue::from_static("nosniff"));
    if docs {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOCS_POLICY));
    } else {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Some(state) = response.request().app_data::<web::Data<State>>() {
        let pattern = response
            .request()
            .match_pattern()
            .unwrap_or_else(|| "unmatched".to_owned());
        let method = response.request().method().as_str();
        state
            .metrics
            .request(method, pattern, response.status().as_u16(), started.elapsed());
    }
    Ok(response)
}

fn as_problem(response: ServiceResponse<BoxBody>, id: &RequestId) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let problem = match response.response().error() {
        Some(error) => match error.as_error::<ApiError>() {
            Some(known) => {
                log(known, id);
                known.response(&id.0)
            }
            None => foreign(error, status).response(&id.0),
        },
        None => by_status(status).response(&id.0),
    };
    response.into_response(problem).map_into_boxed_body()
}

fn log(error: &ApiError, id: &RequestId) {
    if let Some(source) = std::error::Error::source(error) {
        tracing::error!(request = %id.0, code = error.code(), error = source, "request failed");
    }
}

/// Errors of the framework's extractors.
fn foreign(error: &Error, status: StatusCode) -> ApiError {
    let overflow = error
        .as_error::<PayloadError>()
        .is_some_and(|error| matches!(error, PayloadError::Overflow));
    if overflow || status == StatusCode::PAYLOAD_TOO_LARGE {
        return ApiError::new(
            Code::BODY_TOO_LARGE,
            "the body is over this path's limit (16 MiB for an invoice, 32 MiB for invoices:batch, 8 MiB for records:batch, 2 MiB for notarizations:batch, transactions \
             and verify, else 256 KiB): send digests instead of documents, or split the batch",
        );
    }
    if status.is_server_error() {
        return ApiError::internal(error.to_string());
    }
    ApiError::new(Code::BAD_REQUEST, error.to_string())
}

fn by_status(status: StatusCode) -> ApiError {
    match status {
        StatusCode::NOT_FOUND => ApiError::not_found(),
        status if status.is_server_error() => ApiError::internal("a handler answered without a reason"),
        _ => ApiError::new(Code::BAD_REQUEST, "the request can't be read; see /docs for this path"),
    }
}

/// Any path that isn't a route.
///
/// # Errors
/// Always.
pub async fn unmatched() -> Result<HttpResponse, ApiError> {
    Err(ApiError::new(
        Code::NOT_FOUND,
        "there is no such path; /docs lists the paths of this server",
    ))
}
