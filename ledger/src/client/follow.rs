//! Following the chain of final blocks, over any validators, without a gap or a double.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures::future::join_all;
use futures::{Stream, stream};
use reqwest::Response;
use tokio::time::Instant;

use super::endpoint::Trouble;
use super::{ClientError, Inner, NetworkClient, read};
use crate::block::Hash;
use crate::wire::codec::{Frame, Frames};
use crate::wire::{FinalBlock, KEEP_ALIVE};

/// A stream that is alive gives a whole frame in this time, however its bytes come.
const STALL: Duration = KEEP_ALIVE.saturating_mul(3);
const OPEN: Duration = Duration::from_secs(3);
/// After so much waiting for a stream the other validators are asked how far they are, and after as much again the
/// stream must have got there.
const COMPARE: Duration = Duration::from_secs(3);

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
            asked: None,
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
    /// Who is or was waited for.
    asked: Option<usize>,
    open: Option<Open>,
    /// Pauses between failures that follow on each other.
    patience: ExponentialBackoff,
}

/// A stream from one validator.
struct Open {
    index: usize,
    answer: Response,
    frames: Frames,
    /// How long it has been waited for since the others were asked, and up to when that is counted. The time that the
    /// caller takes for a block isn't: who follows slowly must not blame the source for it.
    waited: Duration,
    since: Instant,
    /// Height that enough others said to have when they were asked.
    elsewhere: Arc<AtomicU64>,
    /// It didn't give in time what enough others had.
    behind: bool,
}

impl Following {
    /// The next block; see [`NetworkClient::follow`]. Dropping the future loses nothing but an open connection.
    ///
    /// # Errors
    /// News, not the end.
    pub async fn next_block(&mut self) -> Result<FinalBlock, ClientError> {
        if let Some(open) = &mut self.open {
            open.since = Instant::now();
        }
        loop {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.connect().await?,
            };
            self.asked = Some(open.index);
            match self.frame(&mut open).await {
                Ok(Frame::Block(block)) => {
                    let before = self.before;
                    if let Err(what) = self.check(&block) {
                        return Err(self.disbelieve(open.index, what).await);
                    }
                    self.given = Some((open.index, before));
                    self.keep(open);
                    self.patience = patience();
                    return Ok(*block);
                }
                Ok(Frame::Alive) => {
                    self.keep(open);
                    self.patience = patience();
                }
                Err(Broken::Gone) => {
                    self.inner.failed(open.index);
                    self.pause().await;
                }
                // What took so long once would take as long again.
                Err(Broken::Late) => self.inner.distrust(open.index),
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

    /// Leaves the validator that [`Self::next_block`] waited for when the caller's own patience ended and dropped it.
    pub fn give_up(&mut self) {
        self.open = None;
        if let Some(index) = self.asked.take() {
            self.inner.distrust(index);
        }
    }

    /// Goes on with a stream, unless it lags: then another one does, from the next height on.
    fn keep(&mut self, open: Open) {
        if open.behind {
            self.inner.failed(open.index);
        } else {
            self.open = Some(open);
        }
    }

    /// Opens a stream at the first validator that gives one.
    async fn connect(&mut self) -> Result<Open, ClientError> {
        let mut reasons = Vec::new();
        let query = [("from", self.next.to_string())];
        for index in self.inner.order() {
            self.asked = Some(index);
            let validator = &self.inner.validators[index];
            let reason = match validator.open("/v1/blocks", &query, OPEN).await {
                Ok(answer) => {
                    return Ok(Open {
                        index,
                        answer,
                        frames: Frames::default(),
                        waited: Duration::ZERO,
                        since: Instant::now(),
                        elsewhere: Arc::default(),
                        behind: false,
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

    /// The next frame of a stream. A validator can be alive and cut off, or give block after block and more slowly than
    /// they are made: while it is waited for, the others are asked how far they are.
    async fn frame(&self, open: &mut Open) -> Result<Frame, Broken> {
        let end = Instant::now() + STALL;
        loop {
            let now = Instant::now();
            open.waited += now.duration_since(open.since);
            open.since = now;
            if open.waited >= COMPARE && !open.behind {
                open.waited = Duration::ZERO;
                open.behind = open.elsewhere.load(Ordering::Relaxed) >= self.next;
                if !open.behind {
                    self.ask_others(open);
                }
            }
            let frame = open.frames.next_frame();
            if let Some(frame) = frame.map_err(|error| Broken::Wrong(error.to_string()))? {
                return Ok(frame);
            }
            if now >= end {
                return Err(Broken::Late);
            }
            let compare = if open.behind {
                end
            } else {
                now + COMPARE.saturating_sub(open.waited)
            };
            match tokio::time::timeout_at(end.min(compare), open.answer.chunk()).await {
                Ok(Ok(Some(chunk))) => open.frames.push(&chunk),
                Ok(Ok(None) | Err(_)) => return Err(Broken::Gone),
                // It goes on waiting, or ends above.
                Err(_) => {}
            }
        }
    }

    /// Finds out, beside the stream so that no block waits for it, which height so many others have that one of them
    /// is honest.
    fn ask_others(&self, open: &Open) {
        let count = self.inner.validators.len();
        let ask = |index: usize| {
            let inner = Arc::clone(&self.inner);
            async move { read::status(&inner.validators[index]).await }
        };
        let asked: Vec<_> = (0..count).filter(|index| *index != open.index).map(ask).collect();
        let elsewhere = Arc::clone(&open.elsewhere);
        tokio::spawn(async move {
            let answers = join_all(asked).await;
            let mut heights: Vec<u64> = answers.into_iter().flatten().map(|status| status.height).collect();
            heights.sort_unstable_by_key(|height| std::cmp::Reverse(*height));
            let liars = count.saturating_sub(1) / 3;
            if let Some(height) = heights.get(liars) {
                elsewhere.store(*height, Ordering::Relaxed);
            }
        });
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
    Late,
    Wrong(String),
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
