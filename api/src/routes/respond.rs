//! How decided and undecided work is answered.

use actix_web::body::{MessageBody, SizedStream};
use actix_web::http::header::{LOCATION, RETRY_AFTER};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::networks::Network;
use crate::operation_id::OperationId;
use crate::problem::{ApiError, Code};
use crate::types::{ItemOutcome, LARGEST_PAGE, Operation, Recorded, RecordedBatch};

/// Longest time an answer is held back.
const LONGEST_WAIT: u64 = 60;
const DEFAULT_PAGE: usize = 50;
/// Bytes of a piece of a large answer.
const PIECE: usize = 32 * 1024;
/// Most findings of one item of a batch.
const MAX_FINDINGS: usize = 10;

/// Items of a batch that were refused before signing, kept with the operation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Refused {
    /// Items of the request.
    pub total: usize,
    /// Position and outcome, ascending.
    pub items: Vec<(usize, ItemOutcome)>,
}

impl Refused {
    /// Puts the ledger's outcomes into the places between.
    pub fn merge(self, decided: Vec<ItemOutcome>) -> Vec<ItemOutcome> {
        let mut all = Vec::with_capacity(self.total.max(decided.len()));
        let mut refused = self.items.into_iter().peekable();
        let mut decided = decided.into_iter();
        loop {
            if let Some((_, outcome)) = refused.next_if(|(index, _)| *index == all.len()) {
                all.push(outcome);
            } else if let Some(outcome) = decided.next() {
                all.push(outcome);
            } else {
                return all;
            }
        }
    }
}

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One action.
    Single,
    /// A list.
    Batch,
}

/// How long the caller wants to wait: `Prefer: wait=SECONDS` (RFC 7240).
pub fn prefer_wait(request: &HttpRequest) -> Duration {
    let values = request
        .headers()
        .get_all("prefer")
        .filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split([',', ';']));
    let wait = preferences.find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("wait")
            .then(|| value.trim().trim_matches('"').parse::<u64>().ok())?
    });
    Duration::from_secs(wait.unwrap_or(0).min(LONGEST_WAIT))
}

/// An outcome of a single action as an answer.
///
/// # Errors
/// The refusal.
pub fn single(outcome: ItemOutcome, location: impl Fn(&str) -> String) -> Result<HttpResponse, ApiError> {
    match outcome {
        ItemOutcome::Accepted(recorded) => Ok(created(&recorded, location(&recorded.id))),
        ItemOutcome::Rejected {
            code,
            detail,
            pointer,
            record,
            findings,
        } => Err(ApiError::ledger(&code, detail)
            .at(pointer)
            .about(record)
            .found(findings)),
    }
}

/// A refusal before signing as the outcome of an item.
pub fn refusal(error: &ApiError) -> ItemOutcome {
    ItemOutcome::Rejected {
        code: error.code().to_owned(),
        detail: error.detail().to_owned(),
        pointer: error.pointer().unwrap_or_default().to_owned(),
        record: None,
        findings: error.findings().iter().take(MAX_FINDINGS).cloned().collect(),
    }
}

fn created(recorded: &Recorded, location: String) -> HttpResponse {
    HttpResponse::Created()
        .insert_header((LOCATION, location))
        .json(recorded)
}

/// Outcomes of a batch as an answer.
pub fn batch(operation: OperationId, items: Vec<ItemOutcome>) -> HttpResponse {
    let accepted = items
        .iter()
        .filter(|item| matches!(item, ItemOutcome::Accepted(_)))
        .count();
    let batch = RecordedBatch {
        operation: operation.to_string(),
        accepted,
        rejected: items.len() - accepted,
        items,
    };
    // Receipts are most of it; one allocation of about the right size.
    let mut body = Vec::with_capacity(accepted * 6_000 + 1_000);
    match serde_json::to_writer(&mut body, &batch) {
        Ok(()) => HttpResponse::Ok()
            .content_type("application/json")
            .body(in_pieces(body.into())),
        Err(error) => actix_web::ResponseError::error_response(&ApiError::internal(error)),
    }
}

/// A large body in pieces: the server copies what it sends into a buffer, which in one piece would be as large again.
fn in_pieces(body: Bytes) -> impl MessageBody {
    let length = body.len();
    let pieces = (0..length)
        .step_by(PIECE)
        .map(move |at| Ok::<_, std::convert::Infallible>(body.slice(at..length.min(at + PIECE))));
    SizedStream::new(length as u64, futures::stream::iter(pieces))
}

/// Durably accepted, not decided yet.
pub fn accepted(operation: OperationId) -> HttpResponse {
    HttpResponse::Accepted()
        .insert_header((LOCATION, format!("/v1/operations/{operation}")))
        .insert_header((RETRY_AFTER, "1"))
        .json(pending(operation))
}

/// The operation while it is pending.
pub fn pending(operation: OperationId) -> Operation {
    Operation {
        id: operation.to_string(),
        phase: "pending".to_owned(),
        created_at: crate::time::rfc3339(operation.created_at),
        items: Vec::new(),
    }
}

/// The operation with its outcomes. It failed when nothing of it was accepted.
pub fn finished(operation: OperationId, items: Vec<ItemOutcome>) -> Operation {
    let any = items.iter().any(|item| matches!(item, ItemOutcome::Accepted(_)));
    Operation {
        phase: if any { "succeeded" } else { "failed" }.to_owned(),
        items,
        ..pending(operation)
    }
}

/// Entries of a page that a caller wants.
///
/// # Errors
/// 400 outside the bounds.
pub fn page(limit: Option<usize>) -> Result<usize, ApiError> {
    let limit = limit.unwrap_or(DEFAULT_PAGE);
    if (1..=usize::from(LARGEST_PAGE)).contains(&limit) {
        Ok(limit)
    } else {
        let detail = format!("`limit` must be 1 to {LARGEST_PAGE}");
        Err(ApiError::new(Code::BAD_REQUEST, detail))
    }
}

/// Path of a record.
pub fn record_path(network: &Network, record: &str) -> String {
    format!(
        "/v1/tenants/{}/networks/{}/records/{record}",
        network.entry.tenant, network.entry.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::answer::refused;
    use actix_web::test::TestRequest;

    #[test]
    fn refused_items_keep_their_places() {
        let code = |item: &ItemOutcome| match item {
            ItemOutcome::Rejected { code, .. } => code.clone(),
            ItemOutcome::Accepted(_) => String::new(),
        };
        let mine = |index: usize| (index, refused(&format!("m{index}"), ""));
        let theirs = |name: &str| refused(name, "");
        for places in [vec![0, 3], vec![1, 2], vec![2, 3], vec![0, 1]] {
            let refused = Refused {
                total: 4,
                items: places.iter().map(|index| mine(*index)).collect(),
            };
            let merged = refused.merge(vec![theirs("a"), theirs("b")]);
            let mut decided = ["a", "b"].into_iter();
            for (index, item) in merged.iter().enumerate() {
                let want = if places.contains(&index) {
                    format!("m{index}")
                } else {
                    decided.next().unwrap_or("").to_owned()
                };
                assert_eq!(code(item), want);
            }
        }
    }

    #[tokio::test]
    async fn pieces_are_the_whole() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7] {
            let whole: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let body = in_pieces(whole.clone().into());
            assert_eq!(body.size(), actix_web::body::BodySize::Sized(length as u64));
            let sent = actix_web::body::to_bytes(body).await.unwrap_or_default();
            assert!(sent == whole, "{length} bytes");
        }
    }

    #[test]
    fn wait_is_read_from_prefer() {
        let wait = |value: &str| prefer_wait(&TestRequest::get().insert_header(("prefer", value)).to_http_request());
        assert_eq!(wait("wait=30"), Duration::from_secs(30));
        assert_eq!(wait("respond-async, wait = 5"), Duration::from_secs(5));
        assert_eq!(wait("wait=9999"), Duration::from_secs(60));
        assert_eq!(wait("wait=soon"), Duration::ZERO);
        assert_eq!(wait("return=minimal"), Duration::ZERO);
    }
}
