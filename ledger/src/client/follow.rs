//! Following the chain of final blocks, over any validators, without a gap or a double.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures::{Stream, stream};
use reqwest::Response;

use super::endpoint::{Trouble, Validator};
use super::{ClientError, Inner, NetworkClient, read};
use crate::block::Hash;
use crate::wire::codec::{Frame, Frames};
use crate::wire::{FinalBlock, KEEP_ALIVE};

/// Silence of a stream that is alive never lasts this long.
const STALL: Duration = KEEP_ALIVE.saturating_mul(3);
const OPEN: Duration = Duration::from_secs(3);
/// After so many frames without news, the other validators are asked whether they have some.
const QUIET: usize = 2;

impl NetworkClient {
    /// All final blocks from a height (at least 1) on, one after the other, without end. When a validator fails, the
    /// next one goes on where it ended.
    ///
    /// An error item is news, not the end: [`ClientError::Unavailable`] when no validator answers, and
    /// [`ClientError::Protocol`] when one gives a block that doesn't follow; the stream goes on trying, more slowly.
    /// Checked are network, heights, parent hashes and that the certificate names the block; signatures aren't.
    pub fn follow(&self, from: u64) -> impl Stream<Item = Result<FinalBlock, ClientError>> + Send + Unpin + use<> {
        Box::pin(stream::unfold(self.following(from), |mut following| async move {
            let item = following.next_block().await;
            Some((item, following))
        }))
    }

    /// As [`Self::follow`], for who checks signatures and turns down a block whose source isn't to be believed.
    pub fn following(&self, from: u64) -> Following {
        Following {
            inner: Arc::clone(&self.inner),
            next: from.max(1),
            before: None,
            given: None,
            open: None,
            patience: patience(),
        }
    }
}

/// See [`NetworkClient::following`].
pub struct Following {
    inner: Arc<Inner>,
    /// Height wanted next.
    next: u64,
    /// Network, and hash of the block before `next`, once known.
    before: Option<(Hash, Hash)>,
    /// Who gave the last block, and what `before` was until then.
    given: Option<(usize, Option<(Hash, Hash)>)>,
    open: Option<Open>,
    /// Pauses between failures that follow on each other.
    patience: ExponentialBackoff,
}

/// A stream from one validator.
struct Open {
    index: usize,
    answer: Response,
    frames: Frames,
    /// Frames since the last block.
    quiet: usize,
}

impl Following {
    /// The next block; see [`NetworkClient::follow`]. Dropping the future loses nothing but an open connection.
    ///
    /// # Errors
    /// News, not the end.
    pub async fn next_block(&mut self) -> Result<FinalBlock, ClientError> {
        loop {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.connect().await?,
            };
            match open.frame().await {
                Ok(Frame::Block(block)) => {
                    let before = self.before;
                    if let Err(what) = self.check(&block) {
                        return Err(self.disbelieve(open.index, what).await);
                    }
                    self.given = Some((open.index, before));
                    open.quiet = 0;
                    self.open = Some(open);
                    self.patience = patience();
                    return Ok(*block);
                }
                Ok(Frame::Alive) => {
                    open.quiet += 1;
                    self.patience = patience();
                    if open.quiet < QUIET || !self.others_have_news(&open).await {
                        self.open = Some(open);
                    } else {
                        self.inner.failed(open.index);
                    }
                }
                Err(Broken::Gone) => {
                    self.inner.failed(open.index);
                    self.pause().await;
                }
                Err(Broken::Wrong(what)) => return Err(self.disbelieve(open.index, what).await),
            }
        }
    }

    /// Name of the validator that gave the last block.
    pub fn source(&self) -> Option<&str> {
        let (index, _) = self.given?;
        Some(self.inner.validators[index].name())
    }

    /// Turns down the last block: its height is asked for again, of another validator as long as there is one.
    pub fn reject(&mut self) {
        if let Some((index, before)) = self.given.take() {
            self.inner.distrust(index);
            self.open = None;
            self.before = before;
            self.next -= 1;
        }
    }

    /// Opens a stream at the first validator that gives one.
    async fn connect(&mut self) -> Result<Open, ClientError> {
        let mut reasons = Vec::new();
        let query = [("from", self.next.to_string())];
        for index in self.inner.order() {
            let validator = &self.inner.validators[index];
            let reason = match validator.open("/v1/blocks", &query, OPEN).await {
                Ok(answer) => {
                    return Ok(Open {
                        index,
                        answer,
                        frames: Frames::default(),
                        quiet: 0,
                    });
                }
                Err(Trouble::Gone(reason) | Trouble::Behind(reason)) => reason,
                Err(Trouble::Busy(_)) => "it has too much to do".to_owned(),
                Err(Trouble::NotFound) => "it has no stream of blocks".to_owned(),
                Err(Trouble::Fatal(error)) => error.to_string(),
            };
            self.inner.failed(index);
            reasons.push((validator.name().to_owned(), reason));
        }
        self.pause().await;
        Err(ClientError::Unavailable { reasons })
    }

    /// Takes the block as the next one, or says why it isn't.
    fn check(&mut self, block: &FinalBlock) -> Result<(), String> {
        let header = &block.header;
        let hash = header.hash();
        if header.height != self.next {
            return Err(format!("height {} came where {} is next", header.height, self.next));
        }
        if block.certificate.block != hash || block.certificate.height != header.height {
            return Err(format!(
                "the certificate at height {} is of another block",
                header.height
            ));
        }
        let counted = usize::try_from(header.transactions).ok();
        if counted != Some(block.transactions.len()) || block.outcomes.len() != block.transactions.len() {
            return Err(format!(
                "transactions or outcomes are missing at height {}",
                header.height
            ));
        }
        let parent = match self.before {
            Some((network, _)) if network != header.network => return Err("the block is of another network".into()),
            Some((_, parent)) => Some(parent),
            // Only the first block's parent is known beforehand.
            None => (header.height == 1).then_some(header.network),
        };
        if parent.is_some_and(|parent| parent != header.parent) {
            return Err(format!(
                "the block at height {} doesn't follow the one before",
                header.height
            ));
        }
        self.before = Some((header.network, hash));
        self.next += 1;
        Ok(())
    }

    /// A validator can be alive and cut off; then others are at heights that it doesn't send.
    async fn others_have_news(&self, open: &Open) -> bool {
        let others: Vec<&Validator> = self
            .inner
            .validators
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != open.index)
            .map(|(_, one)| one)
            .collect();
        if others.is_empty() {
            return false;
        }
        let other = others[open.quiet % others.len()];
        read::status(other).await.is_ok_and(|status| status.height >= self.next)
    }

    async fn disbelieve(&mut self, index: usize, what: String) -> ClientError {
        self.inner.failed(index);
        self.pause().await;
        self.inner.validators[index].protocol(what)
    }

    async fn pause(&mut self) {
        tokio::time::sleep(self.patience.next().unwrap_or_default()).await;
    }
}

/// Why a stream can't go on.
enum Broken {
    Gone,
    Wrong(String),
}

impl Open {
    async fn frame(&mut self) -> Result<Frame, Broken> {
        loop {
            if let Some(frame) = self
                .frames
                .next_frame()
                .map_err(|error| Broken::Wrong(error.to_string()))?
            {
                return Ok(frame);
            }
            match tokio::time::timeout(STALL, self.answer.chunk()).await {
                Ok(Ok(Some(chunk))) => self.frames.push(&chunk),
                Ok(Ok(None) | Err(_)) | Err(_) => return Err(Broken::Gone),
            }
        }
    }
}

/// The first pause is short: another validator most likely answers at once.
fn patience() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(5))
        .with_max_delay(Duration::from_secs(2))
        .with_factor(4.0)
        .with_jitter()
        .without_max_times()
        .build()
}
