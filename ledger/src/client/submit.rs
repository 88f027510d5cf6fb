//! Submission: idempotent by transaction id, so it may be repeated anywhere.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;

use futures::future::join_all;

use super::endpoint::{Trouble, Validator};
use super::{ClientError, Failures, Inner, NetworkClient};
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
        self.submit_from(0, transactions).await
    }

    /// As [`Self::submit`], beginning with the validator so many places further round. An admission is one validator's
    /// word: whoever sends again what didn't become final does it elsewhere.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn submit_from(&self, turn: usize, transactions: &[Transaction]) -> Result<Vec<Admission>, ClientError> {
        let mut results = Vec::with_capacity(transactions.len());
        for chunk in chunks(transactions) {
            let body = codec::encode(chunk);
            let retry = ExponentialBuilder::new()
                .with_min_delay(Duration::from_millis(50))
                .with_max_delay(Duration::from_secs(1))
                .with_jitter()
                .without_max_times()
                .with_total_delay(Some(self.inner.patience));
            let attempt = || self.inner.submit_once(turn, body.clone(), chunk.len());
            let admitted = attempt.retry(retry).when(ClientError::is_temporary).await?;
            results.extend(admitted);
        }
        Ok(results)
    }

    /// Submits to every validator once, and gives each one's own answer by name: for whoever doesn't believe one.
    pub async fn submit_each(
        &self,
        transactions: &[Transaction],
    ) -> Vec<(String, Result<Vec<Admission>, ClientError>)> {
        let bodies: Vec<(Bytes, usize)> = chunks(transactions)
            .into_iter()
            .map(|chunk| (codec::encode(chunk), chunk.len()))
            .collect();
        let bodies = &bodies;
        let ask = |validator| async move {
            let mut results = Vec::new();
            for (body, count) in bodies {
                match post(validator, body.clone(), *count).await {
                    Ok(admissions) => results.extend(admissions),
                    Err(trouble) => return (Validator::name(validator).to_owned(), Err(validator.error(trouble))),
                }
            }
            (validator.name().to_owned(), Ok(results))
        };
        join_all(self.inner.validators.iter().map(ask)).await
    }
}

impl Inner {
    /// Tries each validator once.
    async fn submit_once(&self, turn: usize, body: Bytes, count: usize) -> Result<Vec<Admission>, ClientError> {
        let mut failures = Failures::default();
        for index in self.order_from(turn) {
            match post(&self.validators[index], body.clone(), count).await {
                Ok(results) => {
                    self.answered(index);
                    return Ok(results);
                }
                Err(trouble) => failures.add(self, index, trouble),
            }
        }
        Err(failures.error())
    }
}

async fn post(validator: &Validator, body: Bytes, count: usize) -> Result<Vec<Admission>, Trouble> {
    let answer = match validator.post("/v1/transactions", body, TIMEOUT).await {
        Err(Trouble::NotFound) => return Err(Trouble::Fatal(validator.protocol("it takes no transactions"))),
        answer => answer?,
    };
    let Submitted { results } = validator.json(&answer)?;
    if results.len() == count {
        Ok(results)
    } else {
        let what = "it answers for another number of transactions";
        Err(Trouble::Fatal(validator.protocol(what)))
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
