//! Writes: sent until there is an answer, told of when they take long, waited for until they are final.

use std::future::Future;
use std::time::{Duration, Instant};

use muniment_api::types::{ItemOutcome, Operation, Problem, Recorded, RecordedBatch};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;

use super::answer::{parse, refusal, refused, rejected};
use super::{Client, JSON, NOT_FINAL, WAIT};
use crate::error::{Failure, Result};

/// A key of a write that is none's again.
pub fn new_key() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Answer to a write.
pub enum Written<T> {
    /// Final.
    Done(T),
    /// Accepted, final later.
    Pending(Operation),
    /// Refused, nothing changed.
    Refused(Problem),
}

impl Client {
    /// One deposit. `key` makes repetitions safe.
    ///
    /// # Errors
    /// When no answer is had within two minutes, or the request as a whole is refused.
    pub async fn notarize(&self, body: Vec<u8>, key: &str) -> Result<Written<Recorded>> {
        self.post("/notarizations", JSON, body, key).await
    }

    /// Up to 1,000 deposits. `key` makes repetitions safe.
    ///
    /// # Errors
    /// As [`Self::notarize`].
    pub async fn notarize_batch(&self, body: Vec<u8>, key: &str) -> Result<Written<RecordedBatch>> {
        self.post("/notarizations:batch", JSON, body, key).await
    }

    /// Any write below the network. `key` makes repetitions safe.
    ///
    /// # Errors
    /// As [`Self::notarize`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        below: &str,
        media_type: &str,
        body: Vec<u8>,
        key: &str,
    ) -> Result<Written<T>> {
        self.send(Method::POST, below, media_type, body, key).await
    }

    /// The same with any method.
    ///
    /// # Errors
    /// As [`Self::notarize`].
    pub async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        below: &str,
        media_type: &str,
        body: Vec<u8>,
        key: &str,
    ) -> Result<Written<T>> {
        let url = self.url(below);
        let body = bytes::Bytes::from(body);
        let request = || {
            self.http
                .request(method.clone(), &url)
                .header("content-type", media_type)
                .header("prefer", format!("wait={WAIT}"))
                .header("idempotency-key", key)
                .body(body.clone())
        };
        let (status, bytes) = self.told_when_long(self.patiently(request)).await?;
        match status {
            StatusCode::ACCEPTED => Ok(Written::Pending(parse(&bytes)?)),
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::FORBIDDEN => {
                match serde_json::from_slice(&bytes) {
                    Ok(problem) => Ok(Written::Refused(problem)),
                    Err(_) => Err(refusal(status, &bytes)),
                }
            }
            status if status.is_success() => Ok(Written::Done(parse(&bytes)?)),
            status => Err(refusal(status, &bytes)),
        }
    }

    /// One action, until it is final.
    ///
    /// # Errors
    /// As [`Self::notarize`], and when the network refuses it.
    pub async fn step(&self, below: &str, media_type: &str, body: Vec<u8>) -> Result<Recorded> {
        let show = if below.starts_with("/invoices") {
            "invoice show"
        } else {
            "records get"
        };
        match self.outcome(below, media_type, body, &new_key()).await? {
            ItemOutcome::Accepted(recorded) => Ok(recorded),
            ItemOutcome::Rejected {
                code,
                detail,
                record,
                findings,
                ..
            } => Err(Failure {
                findings,
                ..refused(&code, &detail, record.as_deref(), show)
            }),
        }
    }

    /// One action, until the network has decided. `key` makes repetitions safe.
    ///
    /// # Errors
    /// As [`Self::notarize`].
    pub async fn outcome(&self, below: &str, media_type: &str, body: Vec<u8>, key: &str) -> Result<ItemOutcome> {
        match self.post(below, media_type, body, key).await? {
            Written::Done(recorded) => Ok(ItemOutcome::Accepted(recorded)),
            Written::Refused(problem) => Ok(rejected(problem)),
            Written::Pending(operation) => self
                .decided(operation)
                .await?
                .items
                .pop()
                .ok_or_else(|| Failure::new("protocol", "the server decided nothing", "run the same command again")),
        }
    }

    /// Says once, if this takes long, what may be the reason.
    async fn told_when_long<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        if let Ok(done) = tokio::time::timeout(self.long, &mut work).await {
            return done;
        }
        (self.talk)(
            "still waiting for the network: too few validators may be up (`muniment network status` tells); nothing \
             that was accepted is lost",
        );
        work.await
    }

    /// Waits until an operation is decided.
    ///
    /// # Errors
    /// [`NOT_FINAL`] when it isn't within two minutes; when the server stays away as long or forgot the operation.
    pub async fn decided(&self, mut operation: Operation) -> Result<Operation> {
        let url = format!("{}/v1/operations/{}", self.context.server, operation.id);
        let start = Instant::now();
        let mut pause = Duration::from_millis(100);
        while operation.phase == "pending" {
            if start.elapsed() > self.patience {
                let seconds = self.patience.as_secs();
                return Err(Failure::new(
                    NOT_FINAL,
                    format!("the server has accepted it, and it isn't final after {seconds} s more"),
                    format!("see `muniment network status`; it becomes final when the quorum holds, GET {url} tells"),
                ));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
            operation = self.get(&url).await?;
        }
        Ok(operation)
    }
}
