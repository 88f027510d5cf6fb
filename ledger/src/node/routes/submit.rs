//! Submission of transactions, by clients and by peers.

use std::collections::HashSet;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};

use super::{body, json};
use crate::node::problem::Failure;
use crate::node::relay::{self, Group};
use crate::node::shared::Shared;
use crate::transaction::TransactionId;
use crate::wire::codec::{self, CodecError};
use crate::wire::{Admission, MEMPOOL_FULL, RELAY_HEADER, SHARE_FULL, Submitted};

/// How long f+1 validators may take to hold a submission.
const SPREAD: Duration = Duration::from_secs(2);

pub async fn submit(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let from_peer = request.headers().contains_key(RELAY_HEADER);
    let body = body(&request, payload).await?;
    let parsed = codec::transactions(&body).map_err(|error| match error {
        CodecError::Limit { .. } => Failure::too_large(error.to_string()),
        _ => Failure::body(error.to_string()),
    })?;
    let ranges = parsed.ranges;
    let mut results = shared.ask(move |replica| replica.admit(parsed.transactions)).await?;
    let full = results.iter().any(is_full);

    if from_peer {
        if full {
            return Err(Failure::mempool_full());
        }
        results.retain(|result| result.refused().is_some());
        return json(&Submitted { results });
    }
    shared.metrics.submitted(results.len());
    let (validators, _) = shared.replica.quorum();
    let needed = validators.saturating_sub(1) / 3;
    let group = waiting(&results, &ranges, &body, needed, shared.peers.len())?;
    if let Some(group) = &group {
        let fresh = results
            .iter()
            .any(|result| matches!(result, Admission::Accepted { .. }));
        relay::spread(&shared, group, fresh);
    }
    if full {
        return Err(Failure::mempool_full());
    }
    if let Some(group) = group {
        tokio::time::timeout(SPREAD, group.spread())
            .await
            .map_err(|_| Failure::no_quorum(needed + 1))?;
        withdraw(&mut results, &group.lacking());
    }
    json(&Submitted { results })
}

/// What is admitted here but refused by too many peers isn't accepted. It stays in the mempool: a repetition of the
/// request finds it, and it may be decided nevertheless.
fn withdraw(results: &mut [Admission], lacking: &HashSet<TransactionId>) {
    for result in results.iter_mut().filter(|result| result.waits()) {
        if result.id().parse().is_ok_and(|id| lacking.contains(&id)) {
            *result = Admission::Refused {
                id: result.id().to_owned(),
                code: SHARE_FULL.to_owned(),
                message: "too few validators have room for this signer's transaction; try again in a moment".to_owned(),
            };
        }
    }
}

fn is_full(result: &Admission) -> bool {
    matches!(result, Admission::Refused { code, .. } if code == MEMPOOL_FULL)
}

/// The transactions that wait for a block, be they new or known from an earlier try: a client that repeats itself
/// wants to hear that f+1 validators hold them just as one that asks first.
fn waiting(
    results: &[Admission],
    ranges: &[std::ops::Range<usize>],
    body: &Bytes,
    needed: usize,
    peers: usize,
) -> Result<Option<std::sync::Arc<Group>>, Failure> {
    let chosen: Vec<_> = results
        .iter()
        .zip(ranges)
        .filter(|(result, _)| result.waits())
        .collect();
    if chosen.is_empty() {
        return Ok(None);
    }
    let ids: Result<Vec<TransactionId>, _> = chosen.iter().map(|(result, _)| result.id().parse()).collect();
    let ids = ids.map_err(|_| Failure::internal("the replica gave an id that isn't one"))?;
    let payload = if chosen.len() == results.len() {
        body.slice(4..)
    } else {
        let mut part = BytesMut::new();
        chosen
            .iter()
            .for_each(|(_, range)| part.extend_from_slice(&body[(*range).clone()]));
        part.freeze()
    };
    Ok(Some(Group::new(ids, payload, needed, peers)))
}
