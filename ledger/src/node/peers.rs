//! The other replicas, as HTTP servers.
//!
//! Owns the calls to a peer and what is known of it: whether it answers, and its last height.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use tokio::sync::Notify;

use crate::config::PeerConfig;
use crate::wire::{Cosigned, MAX_BODY, NodeStatus, PeerStatus, RELAY_HEADER, Submitted, codec};

/// A relayed group may need its signatures checked before the peer answers.
const RELAY_TIMEOUT: Duration = Duration::from_secs(8);
const SHORT_TIMEOUT: Duration = Duration::from_secs(3);
/// Later than this after its last answer, a peer counts as gone.
const FRESH: Duration = Duration::from_secs(15);

/// A call to a peer failed.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// No answer.
    #[error("the peer doesn't answer")]
    Gone(#[source] reqwest::Error),
    /// It answers that it can't now.
    #[error("the peer answers {0}")]
    Busy(StatusCode),
    /// It will never take this.
    #[error("the peer refuses with {0}")]
    Refuses(StatusCode),
    /// An answer that can't be read.
    #[error("the peer's answer can't be read: {0}")]
    Answer(String),
}

/// One peer.
pub struct Peer {
    pub name: String,
    base: String,
    token: String,
    http: Client,
    seen: Mutex<Seen>,
    /// Wakes whoever waits for the peer to come back.
    pub returned: Notify,
}

#[derive(Default)]
struct Seen {
    answered: Option<Instant>,
    failed: bool,
    height: u64,
    voting: bool,
    /// Transactions that wait there.
    waiting: usize,
}

impl Peer {
    pub fn new(config: &PeerConfig, token: &str, http: Client) -> Self {
        Self {
            name: config.name.clone(),
            base: config.api.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
            http,
            seen: Mutex::default(),
            returned: Notify::new(),
        }
    }

    /// Sends transactions (a borsh `Vec<Transaction>`). Returns the ids that the peer refuses.
    pub async fn relay(&self, body: Bytes) -> Result<Vec<String>, PeerError> {
        let request = self
            .post("/v1/transactions", body)
            .header(RELAY_HEADER, "1")
            .timeout(RELAY_TIMEOUT);
        let answer = self.read(self.send(request).await?).await?;
        let answer: Submitted =
            serde_json::from_slice(&answer).map_err(|error| PeerError::Answer(error.to_string()))?;
        Ok(answer
            .results
            .into_iter()
            .filter_map(|one| one.refused().map(str::to_owned))
            .collect())
    }

    pub async fn send_cosignatures(&self, body: Bytes) -> Result<(), PeerError> {
        self.send(self.post("/v1/cosignatures", body).timeout(SHORT_TIMEOUT))
            .await
            .map(drop)
    }

    pub async fn cosignatures(&self, from: u64, to: u64) -> Result<Vec<Cosigned>, PeerError> {
        let request = self.get(&format!("/v1/cosignatures?from={from}&to={to}"));
        let body = self.read(self.send(request).await?).await?;
        codec::cosigned(&body).map_err(|error| PeerError::Answer(error.to_string()))
    }

    /// Asks how the peer is and remembers its height.
    pub async fn probe(&self) -> Result<(), PeerError> {
        let body = self.read(self.send(self.get("/v1/status")).await?).await?;
        let status: NodeStatus = serde_json::from_slice(&body).map_err(|error| PeerError::Answer(error.to_string()))?;
        let mut seen = self.seen();
        seen.height = status.height;
        seen.voting = status.voting;
        seen.waiting = status.mempool;
        Ok(())
    }

    /// Is it at `height` or beyond, and doesn't vote? Then it lost its data and needs blocks to pass its floor.
    pub fn follows_at(&self, height: u64) -> bool {
        let seen = self.seen();
        !seen.failed && seen.answered.is_some() && !seen.voting && seen.height >= height
    }

    /// Did it stand at this height with transactions that wait, when it was asked last?
    pub fn waits_at(&self, height: u64) -> bool {
        let seen = self.seen();
        !seen.failed && seen.answered.is_some() && seen.waiting > 0 && seen.height == height
    }

    pub fn status(&self) -> PeerStatus {
        let seen = self.seen();
        let connected = !seen.failed && seen.answered.is_some_and(|at| at.elapsed() < FRESH);
        PeerStatus {
            name: self.name.clone(),
            connected,
            height: seen.height,
        }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.base)).timeout(SHORT_TIMEOUT)
    }

    fn post(&self, path: &str, body: Bytes) -> RequestBuilder {
        self.http
            .post(format!("{}{path}", self.base))
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(body)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, PeerError> {
        match request.bearer_auth(&self.token).send().await {
            Ok(answer) => {
                self.answers(true);
                let status = answer.status();
                match status {
                    _ if status.is_success() => Ok(answer),
                    StatusCode::TOO_MANY_REQUESTS => Err(PeerError::Busy(status)),
                    _ if status.is_server_error() => Err(PeerError::Busy(status)),
                    _ => Err(PeerError::Refuses(status)),
                }
            }
            Err(error) => {
                self.answers(false);
                Err(PeerError::Gone(error))
            }
        }
    }

    /// A peer is trusted with little: its answers are bounded like a request.
    async fn read(&self, mut answer: Response) -> Result<Vec<u8>, PeerError> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(PeerError::Gone)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(PeerError::Answer(format!("it is longer than {MAX_BODY} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn answers(&self, answers: bool) {
        let changed = {
            let mut seen = self.seen();
            let changed = seen.failed == answers || seen.answered.is_none();
            seen.failed = !answers;
            if answers {
                seen.answered = Some(Instant::now());
            }
            changed
        };
        if changed && answers {
            tracing::debug!(peer = self.name, "peer answers");
            self.returned.notify_waiters();
        } else if changed {
            tracing::debug!(peer = self.name, "peer is gone");
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
