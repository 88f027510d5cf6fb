//! Submission: idempotent by transaction id, so it may be repeated anywhere.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;

use super::endpoint::Trouble;
use super::{ClientError, Inner, NetworkClient};
use crate::transaction::Transaction;
use crate::wire::{Admission, Submitted, codec};

/// One request's share of a large submission: enough to be worth it, small enough not to hold up others.
const CHUNK_BYTES: usize = 2 * 1024 * 1024;
const CHUNK: usize = 1_000;
/// A validator may take 2 s to find f+1 holders, after it checked the signatures.
const TIMEOUT: Duration = Duration::from_secs(6);

impl NetworkClient {
    /// Submits transactions; the answer has one entry for each, in order, and those not refused are held by f+1
    /// validators. May be repeated at any time with the same transactions: they go into a block once.
    ///
    /// # Errors
    /// [`ClientError::Unavailable`] or [`ClientError::Overloaded`] after the client's patience: some or all may be
    /// held by some validators and become final all the same. [`ClientError::Refused`] when the request as a whole
    /// is at fault, such as its token.
    pub async fn submit(&self, transactions: &[Transaction]) -> Result<Vec<Admission>, ClientError> {
        let mut results = Vec::with_capacity(transactions.len());
        for chunk in chunks(transactions) {
            let body = codec::encode(chunk);
            let retry = ExponentialBuilder::new()
                .with_min_delay(Duration::from_millis(50))
                .with_max_delay(Duration::from_secs(1))
                .with_jitter()
                .without_max_times()
                .with_total_delay(Some(self.inner.patience));
            let attempt = || self.inner.submit_once(body.clone(), chunk.len());
            let admitted = attempt.retry(retry).when(ClientError::is_temporary).await?;
            results.extend(admitted);
        }
        Ok(results)
    }
}

impl Inner {
    /// Tries each validator once.
    async fn submit_once(&self, body: Bytes, count: usize) -> Result<Vec<Admission>, ClientError> {
        let mut reasons = Vec::new();
        let mut busy = None;
        for index in self.order() {
            let validator = &self.validators[index];
            let answer = validator.post("/v1/transactions", body.clone(), TIMEOUT).await;
            match answer.and_then(|body| validator.json::<Submitted>(&body)) {
                Ok(Submitted { results }) if results.len() == count => {
                    self.answered(index);
                    return Ok(results);
                }
                Ok(_) => return Err(validator.protocol("it answers for another number of transactions")),
                Err(Trouble::Busy(time)) => busy = Some(time),
                Err(Trouble::NotFound) => return Err(validator.protocol("it takes no transactions")),
                Err(Trouble::Fatal(error)) => return Err(error),
                Err(Trouble::Gone(reason)) => {
                    self.failed(index);
                    reasons.push((validator.name().to_owned(), reason));
                }
            }
        }
        match busy {
            Some(retry_after) => Err(ClientError::Overloaded { retry_after }),
            None => Err(ClientError::Unavailable { reasons }),
        }
    }
}

/// Splits into runs that each fit well into a request.
fn chunks(mut rest: &[Transaction]) -> Vec<&[Transaction]> {
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fit = rest
            .iter()
            .take(CHUNK)
            .take_while(|transaction| {
                bytes += transaction.size() + 16;
                bytes <= CHUNK_BYTES
            })
            .count();
        let (chunk, more) = rest.split_at(fit.max(1));
        chunks.push(chunk);
        rest = more;
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_keep_order_and_limits() {
        let small = Transaction::Single {
            statement: vec![1; 10],
            signature: [0; 64],
        };
        let huge = Transaction::Single {
            statement: vec![2; CHUNK_BYTES],
            signature: [0; 64],
        };
        let mut list = vec![small; CHUNK + 1];
        list.push(huge.clone());
        list.push(huge);
        let sizes: Vec<_> = chunks(&list).iter().map(|chunk| chunk.len()).collect();
        assert_eq!(sizes, [CHUNK, 1, 1, 1]);
        assert!(chunks(&[]).is_empty());
    }
}
