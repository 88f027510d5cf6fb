//! Reads. Any validator answers, as of its own height.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use futures::stream::{self, FuturesUnordered};
use futures::{Stream, StreamExt};
use muniment_receipts::genesis::is_label;

use super::endpoint::{Trouble, Validator};
use super::{ClientError, Failures, NetworkClient};
use crate::block::Hash;
use crate::transaction::TransactionId;
use crate::wire::{
    GovernanceView, HistoryEntry, LeafProof, MAX_WAIT, NodeStatus, RecordPage, RecordView, StateProof, TemplateView,
    TransactionStatus,
};

const TIMEOUT: Duration = Duration::from_secs(4);
/// For what is small and asked of the next validator when it doesn't come.
const PROOF_TIMEOUT: Duration = Duration::from_secs(2);
const STATUS_TIMEOUT: Duration = Duration::from_millis(1_500);

/// As of which height an answer is.
enum AsOf {
    /// It says so.
    Height(u64),
    /// Of the validator's present height.
    Now,
    /// The same at all times.
    Ever,
}

impl NetworkClient {
    /// A record, `None` if the validator that answers knows none.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn record(&self, id: &Hash) -> Result<Option<RecordView>, ClientError> {
        let as_of = |view: &RecordView| AsOf::Height(view.height);
        self.json(&format!("/v1/records/{}", hex::encode(id)), &[], as_of).await
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
        let as_of = |page: &RecordPage| AsOf::Height(page.height);
        self.must("/v1/records", &query, as_of).await
    }

    /// As [`Self::record`], the validators' own answers by name, each asked when the one before didn't do: for whoever
    /// can tell a wrong one.
    pub fn record_at_each(
        &self,
        id: &Hash,
    ) -> impl Stream<Item = (String, Result<Option<RecordView>, ClientError>)> + Send + Unpin + use<> {
        let path = format!("/v1/records/{}", hex::encode(id));
        self.at_each(path, Vec::new(), |view: &RecordView| AsOf::Height(view.height))
    }

    /// The same of the step that made a version of a record: one step, or none.
    pub fn step_at_each(
        &self,
        id: &Hash,
        version: u32,
    ) -> impl Stream<Item = (String, Result<Option<Vec<HistoryEntry>>, ClientError>)> + Send + Unpin + use<> {
        let after = version.saturating_sub(1);
        let path = format!("/v1/records/{}/history", hex::encode(id));
        let query = vec![("after", after.to_string()), ("limit", "1".to_owned())];
        self.at_each(path, query, |_: &Vec<HistoryEntry>| AsOf::Now)
    }

    /// Has a validator asked after the others for a while: the caller found that it told something wrong.
    pub fn distrust(&self, name: &str) {
        let found = self.inner.validators.iter().position(|one| one.name() == name);
        if let Some(index) = found {
            self.inner.distrust(index);
        }
    }

    /// Steps of a record, oldest first: those after version `after`, at most `limit`; none when it is unknown.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn history(&self, id: &Hash, after: u32, limit: usize) -> Result<Vec<HistoryEntry>, ClientError> {
        let path = format!("/v1/records/{}/history", hex::encode(id));
        let query = [("after", after.to_string()), ("limit", limit.to_string())];
        self.must(&path, &query, |_| AsOf::Now).await
    }

    /// Proof that a record is in a state, or that there is none.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn state_proof(&self, id: &Hash) -> Result<StateProof, ClientError> {
        let as_of = |proof: &StateProof| AsOf::Height(proof.height);
        let path = format!("/v1/records/{}/proof", hex::encode(id));
        self.must(&path, &[], as_of).await
    }

    /// Members, threshold and templates in force.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn governance(&self) -> Result<GovernanceView, ClientError> {
        let as_of = |view: &GovernanceView| AsOf::Height(view.height);
        self.must("/v1/governance", &[], as_of).await
    }

    /// A leaf with its path to the checkpoint of its block; `None` until that is final.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn leaf_proof(&self, index: u64) -> Result<Option<LeafProof>, ClientError> {
        self.json(&format!("/v1/leaves/{index}"), &[], |_| AsOf::Ever).await
    }

    /// What the first proof of a leaf is that the caller accepts: a validator whose proof doesn't hold, or that has no
    /// such leaf yet, is passed over. A proof that holds and is of something else than was looked for is accepted all
    /// the same, and said to be so: whoever named the leaf was wrong, not who proves it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn proven_leaf<T, E: std::fmt::Display>(
        &self,
        index: u64,
        check: impl Fn(&LeafProof) -> Result<T, E>,
    ) -> Result<T, ClientError> {
        let mut failures = Failures::default();
        let path = format!("/v1/leaves/{index}");
        for at in self.inner.order() {
            let validator = &self.inner.validators[at];
            let judge = |body: Bytes| {
                let proof = validator.json::<LeafProof>(&body)?;
                check(&proof).map_err(|error| Trouble::Fatal(validator.protocol(error.to_string())))
            };
            match validator.get(&path, &[], PROOF_TIMEOUT).await.and_then(judge) {
                Ok(proven) => {
                    self.inner.answered(at);
                    return Ok(proven);
                }
                Err(trouble) => failures.add(&self.inner, at, trouble),
            }
        }
        Err(failures.error())
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
            .any(&path, &query, wait + TIMEOUT, |validator, body| {
                Ok((validator.json(&body)?, AsOf::Ever))
            })
            .await?;
        Ok(status.unwrap_or(TransactionStatus::Unknown))
    }

    /// As [`Self::transaction`], each validator's own answer, the quickest first. From one that is behind, only a final
    /// status is news; its other answers are errors.
    pub fn transaction_at_each(
        &self,
        id: &TransactionId,
        wait: Duration,
    ) -> impl Stream<Item = Result<TransactionStatus, ClientError>> + Send + Unpin + use<> {
        let wait = wait.min(Duration::from_millis(MAX_WAIT));
        let path = format!("/v1/transactions/{id}");
        let ask = |index: usize| {
            let (client, path) = (self.clone(), path.clone());
            async move {
                let validator = &client.inner.validators[index];
                let tell = async |wait: Duration| {
                    let query = [("wait", wait.as_millis().to_string())];
                    let body = validator.get(&path, &query, wait + TIMEOUT).await?;
                    validator.json(&body)
                };
                let status = match tell(wait).await {
                    Ok(status) if matches!(status, TransactionStatus::Final { .. }) || client.minimum == 0 => {
                        Ok(status)
                    }
                    // Only what it says after it is known to keep up counts.
                    Ok(_) => match client.keeps_up(validator).await {
                        Ok(()) => tell(Duration::ZERO).await,
                        Err(trouble) => Err(trouble),
                    },
                    Err(trouble) => Err(trouble),
                };
                status.map_err(|trouble| validator.error(trouble))
            }
        };
        (0..self.inner.validators.len())
            .map(ask)
            .collect::<FuturesUnordered<_>>()
    }

    /// Canonical genesis bytes; compare their hash with the network id you trust.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn genesis(&self) -> Result<Vec<u8>, ClientError> {
        self.raw("/v1/genesis").await
    }

    /// A template's source; the newest revision when none is named.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn template(&self, name: &str, revision: Option<u32>) -> Result<Option<TemplateView>, ClientError> {
        if !is_label(name) {
            return Ok(None);
        }
        let query: Vec<_> = revision
            .map(|revision| ("revision", revision.to_string()))
            .into_iter()
            .collect();
        let as_of = |view: &TemplateView| AsOf::Height(view.height);
        self.json(&format!("/v1/templates/{name}"), &query, as_of).await
    }

    /// The trust root file as a validator has it. Not believed: whoever reads it checks it against the network's id and
    /// what is known of it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn trust_root(&self) -> Result<Vec<u8>, ClientError> {
        self.raw("/v1/trust-root").await
    }

    /// The same, each validator's own file by name.
    pub fn trust_root_at_each(
        &self,
    ) -> impl Stream<Item = (String, Result<Option<Vec<u8>>, ClientError>)> + Send + Unpin + use<> {
        self.each("/v1/trust-root".to_owned(), Vec::new(), |_, body| {
            Ok((body.to_vec(), AsOf::Ever))
        })
    }

    /// Signed note of a recent checkpoint; `None` before the first block.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn checkpoint(&self) -> Result<Option<String>, ClientError> {
        let text = |validator: &Validator, body: Bytes| {
            let text = String::from_utf8(body.into());
            let text = text.map_err(|_| Trouble::Fatal(validator.protocol("it isn't text")))?;
            Ok((text, AsOf::Ever))
        };
        self.any("/checkpoint", &[], TIMEOUT, text).await
    }

    /// A tile of the log by its C2SP path, e.g. `tile/0/000.p/3`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn tile(&self, path: &str) -> Result<Option<Vec<u8>>, ClientError> {
        self.any(&format!("/{path}"), &[], TIMEOUT, |_, body| {
            Ok((body.into(), AsOf::Ever))
        })
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
        as_of: impl Fn(&T) -> AsOf,
    ) -> Result<Option<T>, ClientError> {
        let read = |validator: &Validator, body: Bytes| {
            let value = validator.json(&body)?;
            let as_of = as_of(&value);
            Ok((value, as_of))
        };
        self.any(path, query, TIMEOUT, read).await
    }

    /// For paths that always have an answer.
    async fn must<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        as_of: impl Fn(&T) -> AsOf,
    ) -> Result<T, ClientError> {
        self.json(path, query, as_of).await?.ok_or_else(|| missing(path))
    }

    async fn raw(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        self.any(path, &[], TIMEOUT, |_, body| Ok((body.into(), AsOf::Ever)))
            .await?
            .ok_or_else(|| missing(path))
    }

    /// Asks one validator after the other until one answers that isn't behind; `None` is its 404.
    async fn any<T>(
        &self,
        path: &str,
        query: &[(&str, String)],
        limit: Duration,
        read: impl Fn(&Validator, Bytes) -> Result<(T, AsOf), Trouble>,
    ) -> Result<Option<T>, ClientError> {
        let mut failures = Failures::default();
        for index in self.inner.order() {
            let validator = &self.inner.validators[index];
            match self.one(validator, path, query, limit, &read).await {
                Ok(value) => {
                    self.inner.answered(index);
                    return Ok(value);
                }
                Err(trouble) => failures.add(&self.inner, index, trouble),
            }
        }
        Err(failures.error())
    }

    /// One validator's answer, if it isn't behind; `None` is its 404.
    async fn one<T>(
        &self,
        validator: &Validator,
        path: &str,
        query: &[(&str, String)],
        limit: Duration,
        read: &impl Fn(&Validator, Bytes) -> Result<(T, AsOf), Trouble>,
    ) -> Result<Option<T>, Trouble> {
        let tell = async || match validator.get(path, query, limit).await {
            Ok(body) => read(validator, body).map(|(value, as_of)| (Some(value), as_of)),
            Err(Trouble::NotFound) => Ok((None, AsOf::Now)),
            Err(trouble) => Err(trouble),
        };
        match tell().await? {
            (value, AsOf::Ever) => Ok(value),
            (value, AsOf::Height(height)) => self.reaches(height).map(|()| value),
            (value, AsOf::Now) if self.minimum == 0 => Ok(value),
            // Only what it says after it is known to keep up counts.
            (_, AsOf::Now) => {
                self.keeps_up(validator).await?;
                tell().await.map(|(value, _)| value)
            }
        }
    }

    /// The validators' own answers by name, in the usual order, each asked when it is wanted.
    fn at_each<T: serde::de::DeserializeOwned + Send + 'static>(
        &self,
        path: String,
        query: Vec<(&'static str, String)>,
        as_of: fn(&T) -> AsOf,
    ) -> impl Stream<Item = (String, Result<Option<T>, ClientError>)> + Send + Unpin + use<T> {
        self.each(path, query, move |validator: &Validator, body: Bytes| {
            let value = validator.json(&body)?;
            let as_of = as_of(&value);
            Ok((value, as_of))
        })
    }

    /// As [`Self::at_each`], for answers of any form.
    fn each<T: Send + 'static, R>(
        &self,
        path: String,
        query: Vec<(&'static str, String)>,
        read: R,
    ) -> impl Stream<Item = (String, Result<Option<T>, ClientError>)> + Send + Unpin + use<T, R>
    where
        R: Fn(&Validator, Bytes) -> Result<(T, AsOf), Trouble> + Clone + Send + Sync + 'static,
    {
        let client = self.clone();
        let ask = move |index: usize| {
            let (client, path, query, read) = (client.clone(), path.clone(), query.clone(), read.clone());
            async move {
                let validator = &client.inner.validators[index];
                let answer = client.one(validator, &path, &query, TIMEOUT, &read).await;
                let answer = answer.map_err(|trouble| {
                    if matches!(trouble, Trouble::Gone(_) | Trouble::Fatal(_)) {
                        client.inner.failed(index);
                    }
                    validator.error(trouble)
                });
                (validator.name().to_owned(), answer)
            }
        };
        Box::pin(stream::iter(self.inner.order()).then(ask))
    }

    /// Whether a validator has the height that is wanted, by its own word.
    async fn keeps_up(&self, validator: &Validator) -> Result<(), Trouble> {
        match status(validator).await {
            Ok(status) => self.reaches(status.height),
            Err(error) => Err(Trouble::Gone(error.to_string())),
        }
    }

    fn reaches(&self, height: u64) -> Result<(), Trouble> {
        if height >= self.minimum {
            return Ok(());
        }
        let reason = format!("it is at height {height}, {} is wanted", self.minimum);
        Err(Trouble::Behind(reason))
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
            Trouble::NotFound => validator.protocol("it has no status"),
            trouble => validator.error(trouble),
        })
}
