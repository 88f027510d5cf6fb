//! How decided and undecided work is answered.

mod pieces;

use actix_web::http::header::{LOCATION, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use self::pieces::Pieces;
use crate::networks::Network;
use crate::operation_id::OperationId;
use crate::problem::{ApiError, Code};
use crate::types::{ItemOutcome, LARGEST_PAGE, Operation, Recorded, RecordedBatch};

/// Longest time an answer is held back.
const LONGEST_WAIT: u64 = 60;
const DEFAULT_PAGE: usize = 50;
/// How the answer to a batch ends: its list, and the answer.
const END: &[u8] = b"]}";
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
    pub fn merge<I>(self, decided: I) -> impl Iterator<Item = ItemOutcome> + use<I>
    where
        I: IntoIterator<Item = ItemOutcome>,
    {
        let (mut refused, mut decided) = (self.items.into_iter().peekable(), decided.into_iter());
        let mut places = 0..;
        std::iter::from_fn(move || {
            let place = places.next()?;
            let refused = refused.next_if(|(index, _)| *index == place);
            refused.map(|(_, outcome)| outcome).or_else(|| decided.next())
        })
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

/// Outcomes of a batch as an answer. They may be made while they are asked for: receipts are large, and are written one
/// after the other instead of being kept.
///
/// # Errors
/// 500 when something can't be serialised.
pub fn batch(operation: OperationId, outcomes: impl Iterator<Item = ItemOutcome>) -> Result<HttpResponse, ApiError> {
    let mut answer = RecordedBatch {
        operation: operation.to_string(),
        accepted: 0,
        rejected: 0,
        items: Vec::new(),
    };
    let mut items = Pieces::default();
    for outcome in outcomes {
        match outcome {
            ItemOutcome::Accepted(_) => answer.accepted += 1,
            ItemOutcome::Rejected { .. } => answer.rejected += 1,
        }
        if !items.is_empty() {
            items.last.push(b',');
        }
        serde_json::to_writer(&mut items.last, &outcome).map_err(ApiError::internal)?;
        items.cut();
    }
    // The list stands last.
    let mut head = serde_json::to_vec(&answer).map_err(ApiError::internal)?;
    items.last.extend(head.split_off(head.len() - END.len()));
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(items.after(head)))
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::networks::answer::refused;
    use actix_web::body::MessageBody as _;
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
            let merged: Vec<_> = refused.merge([theirs("a"), theirs("b")]).collect();
            assert_eq!(merged.len(), 4);
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
    async fn the_answer_to_a_batch_is_its_parts_one_after_the_other() {
        let operation = OperationId {
            created_at: 1,
            transaction: muniment_ledger::transaction::TransactionId([7; 32]),
        };
        let accepted = |leaf: u64| {
            ItemOutcome::Accepted(Recorded {
                id: "ab".repeat(32),
                version: 1,
                transaction: "cd".repeat(32),
                height: 3,
                time: "2026-11-29T00:00:00Z".to_owned(),
                leaf,
                signed_by: Vec::new(),
                receipt: "\"receipt\"\n".repeat(600),
            })
        };
        for count in [0, 1, 2, 40] {
            let items: Vec<_> = (0..count)
                .map(|at| {
                    if at % 3 == 1 {
                        refused("TAKEN", "no")
                    } else {
                        accepted(at)
                    }
                })
                .collect();
            let rejected = items
                .iter()
                .filter(|item| !matches!(item, ItemOutcome::Accepted(_)))
                .count();
            let whole = RecordedBatch {
                operation: operation.to_string(),
                accepted: items.len() - rejected,
                rejected,
                items: items.clone(),
            };
            let answer = batch(operation, items.into_iter()).unwrap();
            let length = answer.body().size();
            let sent = actix_web::body::to_bytes(answer.into_body()).await.unwrap();
            assert_eq!(length, actix_web::body::BodySize::Sized(sent.len() as u64), "{count}");
            assert!(sent == serde_json::to_vec(&whole).unwrap(), "{count} items");
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
