//! Reads. Any validator answers, as of its own height.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;

use super::endpoint::{Trouble, Validator};
use super::{ClientError, NetworkClient};
use crate::block::Hash;
use crate::transaction::TransactionId;
use crate::wire::{
    HistoryEntry, LeafProof, MAX_WAIT, NodeStatus, RecordPage, RecordView, StateProof, TransactionStatus,
};

const TIMEOUT: Duration = Duration::from_secs(4);
const STATUS_TIMEOUT: Duration = Duration::from_millis(1_500);

impl NetworkClient {
    /// A record, `None` if the validator that answers knows none.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn record(&self, id: &Hash) -> Result<Option<RecordView>, ClientError> {
        self.json(&format!("/v1/records/{}", hex::encode(id)), &[]).await
    }

    /// Records of a template, or all, by id; at most `limit` (up to 1,000) after `after`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn records(
        &self,
        template: Option<&str>,
        after: Option<&Hash>,
        limit: usize,
    ) -> Result<RecordPage, ClientError> {
        let mut query = vec![("limit", limit.to_string())];
        query.extend(template.map(|template| ("template", template.to_owned())));
        query.extend(after.map(|after| ("after", hex::encode(after))));
        self.must("/v1/records", &query).await
    }

    /// Steps of a record, oldest first; empty when unknown.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn history(&self, id: &Hash) -> Result<Vec<HistoryEntry>, ClientError> {
        self.must(&format!("/v1/records/{}/history", hex::encode(id)), &[])
            .await
    }

    /// Proof that a record is in a state, or that there is none.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn state_proof(&self, id: &Hash) -> Result<StateProof, ClientError> {
        self.must(&format!("/v1/records/{}/proof", hex::encode(id)), &[]).await
    }

    /// A leaf with its path to the checkpoint of its block; `None` until that is final.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn leaf_proof(&self, index: u64) -> Result<Option<LeafProof>, ClientError> {
        self.json(&format!("/v1/leaves/{index}"), &[]).await
    }

    /// Where a transaction stands; waits up to `wait` (at most a minute) for it to be final.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn transaction(&self, id: &TransactionId, wait: Duration) -> Result<TransactionStatus, ClientError> {
        let wait = wait.min(Duration::from_millis(MAX_WAIT));
        let query = [("wait", wait.as_millis().to_string())];
        let path = format!("/v1/transactions/{id}");
        let status = self
            .any(&path, &query, wait + TIMEOUT, |validator, body| validator.json(&body))
            .await?;
        Ok(status.unwrap_or(TransactionStatus::Unknown))
    }

    /// Canonical genesis bytes; compare their hash with the network id you trust.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn genesis(&self) -> Result<Vec<u8>, ClientError> {
        self.raw("/v1/genesis").await
    }

    /// Signed note of a recent checkpoint; `None` before the first block.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn checkpoint(&self) -> Result<Option<String>, ClientError> {
        let text = |validator: &Validator, body: Bytes| {
            String::from_utf8(body.into()).map_err(|_| Trouble::Fatal(validator.protocol("it isn't text")))
        };
        self.any("/checkpoint", &[], TIMEOUT, text).await
    }

    /// A tile of the log by its C2SP path, e.g. `tile/0/000.p/3`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn tile(&self, path: &str) -> Result<Option<Vec<u8>>, ClientError> {
        self.any(&format!("/{path}"), &[], TIMEOUT, |_, body| Ok(body.into()))
            .await
    }

    /// What each validator says of itself, in the order of the endpoints; a dead one is an error entry. Takes at
    /// most one and a half seconds.
    pub async fn status(&self) -> Vec<(String, Result<NodeStatus, ClientError>)> {
        let ask = |validator| async move { (Validator::name(validator).to_owned(), status(validator).await) };
        join_all(self.inner.validators.iter().map(ask)).await
    }

    async fn json<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Option<T>, ClientError> {
        self.any(path, query, TIMEOUT, |validator, body| validator.json(&body))
            .await
    }

    /// For paths that always have an answer.
    async fn must<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, ClientError> {
        self.json(path, query).await?.ok_or_else(|| missing(path))
    }

    async fn raw(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        self.any(path, &[], TIMEOUT, |_, body| Ok(body.into()))
            .await?
            .ok_or_else(|| missing(path))
    }

    /// Asks one validator after the other until one answers; `None` is its 404.
    async fn any<T>(
        &self,
        path: &str,
        query: &[(&str, String)],
        limit: Duration,
        read: impl Fn(&Validator, Bytes) -> Result<T, Trouble>,
    ) -> Result<Option<T>, ClientError> {
        let mut reasons = Vec::new();
        let mut busy = None;
        for index in self.inner.order() {
            let validator = &self.inner.validators[index];
            let answer = validator
                .get(path, query, limit)
                .await
                .and_then(|body| read(validator, body));
            match answer {
                Ok(value) => {
                    self.inner.answered(index);
                    return Ok(Some(value));
                }
                Err(Trouble::NotFound) => return Ok(None),
                Err(Trouble::Fatal(error)) => return Err(error),
                Err(Trouble::Busy(time)) => busy = Some(time),
                Err(Trouble::Gone(reason)) => {
                    self.inner.failed(index);
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

fn missing(path: &str) -> ClientError {
    ClientError::Protocol {
        validator: "a validator".to_owned(),
        what: format!("it has no {path}"),
    }
}

/// One validator's own word; also used by the follower.
pub async fn status(validator: &Validator) -> Result<NodeStatus, ClientError> {
    let answer = validator.get("/v1/status", &[], STATUS_TIMEOUT).await;
    answer
        .and_then(|body| validator.json(&body))
        .map_err(|trouble| match trouble {
            Trouble::Fatal(error) => error,
            Trouble::Busy(retry_after) => ClientError::Overloaded { retry_after },
            Trouble::NotFound => validator.protocol("it has no status"),
            Trouble::Gone(reason) => ClientError::Unavailable {
                reasons: vec![(validator.name().to_owned(), reason)],
            },
        })
}
