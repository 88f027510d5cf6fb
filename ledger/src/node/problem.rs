//! Errors of the HTTP API, as RFC 9457 problems.
//!
//! The answer names what the caller can mend. The node's own faults go to its log, not to the caller.

use std::error::Error;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, ResponseError};

use crate::replica::ReadError;
use crate::wire::{Problem, code};

/// An error answer.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// Seconds after which the same request may succeed.
    retry_after: Option<u32>,
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            retry_after: None,
        }
    }

    fn temporary(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            retry_after: Some(1),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
        }
    }

    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            code::UNAUTHORIZED,
            "send the node's token as `Authorization: Bearer <token>`",
        )
    }

    pub fn plain() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            code::CERTIFICATE_REQUIRED,
            "this address answers /healthz, /readyz and /metrics only; everything else needs TLS and a certificate of this network",
        )
    }

    pub fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            code::NOT_FOUND,
            format!("there is no such {what}"),
        )
    }

    pub fn method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            code::METHOD,
            "this path takes another method",
        )
    }

    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code::TOO_LARGE, detail)
    }

    pub fn body(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::BAD_BODY, detail)
    }

    pub fn query(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::BAD_QUERY, detail)
    }

    pub fn mempool_full() -> Self {
        Self::temporary(
            code::MEMPOOL_FULL,
            "too many transactions wait; repeat the request later, it is idempotent",
        )
    }

    pub fn no_quorum(needed: usize) -> Self {
        Self::temporary(
            code::NO_QUORUM,
            format!("fewer than {needed} validators hold the transactions so far; they are kept, repeat the request"),
        )
    }

    pub fn not_running() -> Self {
        Self::temporary(
            code::NOT_RUNNING,
            "the replica in this seat is starting or failed; ask another validator, or later",
        )
    }

    /// Logs why, and tells the caller only that it isn't their fault.
    pub fn internal(why: &str) -> Self {
        tracing::error!(why, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            code::INTERNAL,
            "the node failed; its log says why",
        )
    }

    pub fn read(error: &ReadError) -> Self {
        Self::internal(
            &error
                .source()
                .map_or_else(|| error.to_string(), |source| format!("{error}: {source}")),
        )
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let problem = Problem {
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            detail: self.detail.clone(),
        };
        let mut answer = HttpResponse::build(self.status);
        answer.content_type("application/problem+json");
        if let Some(seconds) = self.retry_after {
            answer.insert_header((RETRY_AFTER, seconds));
        }
        answer.body(serde_json::to_vec(&problem).unwrap_or_default())
    }
}
