//! The application loop: answers the engine's questions, one at a time.
//!
//! Owns the order of "on disk first, then reply", the idle hold and the parts protocol. Must not vote, sign votes or
//! keep blocks.
//!
//! **Idle.** The reply to `Finalized` is the only one that is held. While it is held no vote is cast, and no timer runs
//! but the one that sends the last votes again every few seconds. It is released when a transaction waits, when a block
//! for the next height arrives, when the heartbeat is due, or when a peer claims a higher tip. It isn't held after a
//! height that came by sync: more may follow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_malachitebft_app_channel::app::engine::host::{HeightParams, Next, SyncedValueOutcome};
use arc_malachitebft_app_channel::app::streaming::StreamContent;
use arc_malachitebft_app_channel::app::types::core::{
    CommitCertificate, LinearTimeouts, Round, Validator as _, Validity,
};
use arc_malachitebft_app_channel::app::types::streaming::{StreamId, StreamMessage};
use arc_malachitebft_app_channel::app::types::sync::RawDecidedValue;
use arc_malachitebft_app_channel::app::types::{LocallyProposedValue, ProposedValue};
use arc_malachitebft_app_channel::{AppMsg, Channels, NetworkMsg, Reply};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Duration, Instant, sleep_until};

use super::parts::{Judged, Parts};
use super::proposals::Proposals;
use super::settings::Settings;
use super::signer::Key;
use super::{EngineExit, blocking};
use crate::engine::codec::{certificate_from_engine, decided_to_engine};
use crate::engine::context::{Address, Ctx, Height, Members, Part, PartHeader, Signature, Value};
use crate::engine::signing;
use crate::engine::{Application, Fatal, GuardError, SignGuard, Verdict};

/// Most blocks in one answer to a peer that catches up.
const MAX_DECIDED: u64 = 100;
/// A peer that claims a higher tip ends the hold at most this often, so that a liar can't keep the network awake.
const CLAIM_INTERVAL: Duration = Duration::from_secs(5);
/// A wait that never ends by itself, in a form that clocks can add.
const NEVER: Duration = Duration::from_secs(86_400 * 365);

/// What reaches the loop besides the engine's questions.
pub struct Signals {
    /// A transaction waits.
    pub wake: Arc<Notify>,
    /// A peer told its tip.
    pub peers: Arc<Notify>,
    pub peer_tip: Arc<AtomicU64>,
    /// The guard refused a signature.
    pub refused: mpsc::UnboundedReceiver<GuardError>,
    pub stopped: watch::Receiver<bool>,
}

struct Held {
    reply: Reply<Next<Ctx>>,
    until: Instant,
}

/// State of the loop. The application's tip is the only truth about heights; the rest is about the running height.
pub struct Driver {
    app: Box<dyn Application>,
    settings: Settings,
    key: Key,
    guard: Arc<dyn SignGuard>,
    proposals: Proposals,
    publish: mpsc::Sender<NetworkMsg<Ctx>>,
    /// For a validator that follows for now: the height after which it may vote.
    vote_after: Option<u64>,
    members: Option<(u64, Members)>,
    parts: Parts,
    held: Option<Held>,
    /// When the running height was let go.
    started: Instant,
    /// Height and round that the engine runs.
    height: u64,
    round: u32,
    /// Last height that came by sync.
    synced: u64,
    /// Decided without its block; the engine must start the height again.
    blockless: bool,
    last_claim: Option<Instant>,
    stream: u64,
}

type Done = Result<(), EngineExit>;

impl Driver {
    pub fn new(
        app: Box<dyn Application>,
        settings: Settings,
        key: Key,
        guard: Arc<dyn SignGuard>,
        proposals: Proposals,
        publish: mpsc::Sender<NetworkMsg<Ctx>>,
        vote_after: Option<u64>,
    ) -> Self {
        let parts = Parts::new(settings.max_block);
        Self {
            app,
            settings,
            key,
            guard,
            proposals,
            publish,
            vote_after,
            members: None,
            parts,
            held: None,
            started: Instant::now(),
            height: 0,
            round: 0,
            synced: 0,
            blockless: false,
            last_claim: None,
            stream: 0,
        }
    }

    /// Runs until something ends it; `None` if the engine ended by itself.
    pub async fn run(mut self, channels: Channels<Ctx>, mut signals: Signals) -> Option<EngineExit> {
        let mut questions = channels.consensus;
        loop {
            let until = self.held.as_ref().map(|held| held.until);
            let step = tokio::select! {
                biased;
                Some(error) = signals.refused.recv() => Err(self.refused(error)),
                () = stopped(&mut signals.stopped) => Err(EngineExit::Stopped),
                question = questions.recv() => match question {
                    Some(question) => self.answer(question).await,
                    // A refusal also ends the engine, and may be seen second.
                    None => match signals.refused.try_recv() {
                        Ok(error) => Err(self.refused(error)),
                        Err(_) => return None,
                    },
                },
                () = signals.wake.notified() => self.woken(),
                () = signals.peers.notified() => self.claimed(signals.peer_tip.load(Ordering::Relaxed)),
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => self.release(),
            };
            if let Err(exit) = step {
                return Some(exit);
            }
        }
    }

    fn refused(&self, error: GuardError) -> EngineExit {
        match error {
            GuardError::Refused { slot, why } => {
                tracing::error!(?slot, %why, "signature refused: following until the network is past it");
                match self.guard.raise_floor(slot.height) {
                    Ok(()) => EngineExit::Refused(slot),
                    Err(error) => Fatal {
                        what: "can't raise the signing floor",
                        source: Box::new(error),
                    }
                    .into(),
                }
            }
            error => Fatal {
                what: "the signing guard failed",
                source: Box::new(error),
            }
            .into(),
        }
    }

    async fn answer(&mut self, question: AppMsg<Ctx>) -> Done {
        match question {
            AppMsg::ConsensusReady { reply } => {
                let height = self.next_height();
                send(reply, (Height(height), self.params(height)?));
            }
            AppMsg::StartedRound {
                height,
                round,
                reply_value,
                ..
            } => {
                send(reply_value, self.started_round(height.0, round)?);
            }
            AppMsg::GetValue {
                height, round, reply, ..
            } => self.get_value(height.0, round, reply).await?,
            AppMsg::ReceivedProposalPart { part, reply, .. } => {
                let value = match part.content {
                    StreamContent::Data(part) => self.received(part)?,
                    StreamContent::Fin => None,
                };
                send(reply, value);
            }
            AppMsg::RestreamProposal {
                round,
                valid_round,
                address,
                value_id,
                ..
            } => {
                self.restream(round, valid_round, address, value_id).await?;
            }
            AppMsg::Decided { certificate, reply, .. } => {
                self.decided(&certificate)?;
                send(reply, ());
            }
            AppMsg::Finalized { certificate, reply, .. } => self.finalized(certificate.height.0, reply)?,
            AppMsg::ProcessSyncedValue {
                height,
                round,
                proposer,
                value_bytes,
                reply,
            } => {
                send(reply, self.import(height.0, round, proposer, &value_bytes)?);
            }
            AppMsg::GetDecidedValues { range, reply } => {
                send(reply, self.decided_values(range.start().0, range.end().0)?);
            }
            AppMsg::GetHistoryMinHeight { reply } => send(reply, Height(self.app.lowest())),
            AppMsg::ExtendVote { reply, .. } => send(reply, None),
            AppMsg::VerifyVoteExtensions { extensions, reply, .. } => {
                send(
                    reply,
                    extensions.into_iter().map(|(address, ())| (address, Ok(()))).collect(),
                );
            }
        }
        Ok(())
    }

    fn next_height(&self) -> u64 {
        self.app.tip() + 1
    }

    /// Validators of the next height.
    fn members(&mut self, height: u64) -> Result<Members, EngineExit> {
        if let Some((known, members)) = &self.members
            && *known == height
        {
            return Ok(members.clone());
        }
        let validators = self.app.validators(height);
        let members = Members::decode(&validators).filter(|_| validators.len() <= signing::MAX_VALIDATORS);
        let members = members.ok_or_else(|| Fatal {
            what: "the validator set can't be used",
            source: format!("height {height} has {} validators or a bad key", validators.len()).into(),
        })?;
        self.members = Some((height, members.clone()));
        Ok(members)
    }

    fn params(&mut self, height: u64) -> Result<HeightParams<Ctx>, EngineExit> {
        let timeouts: LinearTimeouts = self.settings.timeouts;
        Ok(HeightParams::new(self.members(height)?, timeouts, None))
    }

    fn started_round(&mut self, height: u64, round: Round) -> Result<Vec<ProposedValue<Ctx>>, EngineExit> {
        self.round = round.as_u32().unwrap_or_default();
        if height == self.height {
            return Ok(Vec::new());
        }
        self.height = height;
        self.proposals.forget_below(height);
        let mut values = Vec::new();
        for part in self.parts.begin(height) {
            values.extend(self.judge(part)?);
        }
        Ok(values)
    }

    async fn get_value(&mut self, height: u64, round: Round, reply: Reply<LocallyProposedValue<Ctx>>) -> Done {
        let (Some(number), true) = (round.as_u32(), height == self.next_height()) else {
            return Ok(());
        };
        let (hash, block) = blocking(|| self.app.propose(height, number))?;
        if block.len() > self.settings.max_block {
            let what = "the application proposed a block that is too long";
            return Err(Fatal {
                what,
                source: format!("{} bytes", block.len()).into(),
            }
            .into());
        }
        send(reply, LocallyProposedValue::new(Height(height), round, Value(hash)));
        let header = self.sign_part(height, number, None, &block);
        self.publish(Part {
            header,
            block: block.into(),
        })
        .await;
        Ok(())
    }

    fn sign_part(&self, height: u64, round: u32, valid_round: Option<u32>, block: &[u8]) -> PartHeader {
        let mut header = PartHeader {
            height: Height(height),
            round,
            valid_round,
            proposer: self.key.address,
            digest: Sha256::digest(block).into(),
            signature: Signature([0; 64]),
        };
        header.signature = self.key.sign(&header.message());
        header
    }

    async fn publish(&mut self, part: Part) {
        self.stream = self.stream.wrapping_add(1);
        let stream = StreamId::new(Bytes::copy_from_slice(&self.stream.to_be_bytes()));
        let message = NetworkMsg::PublishProposalPart(StreamMessage::new(stream, 0, StreamContent::Data(part)));
        // Fails only when the engine is ending, which the loop sees next.
        self.publish.send(message).await.ok();
    }

    fn received(&mut self, part: Part) -> Result<Option<ProposedValue<Ctx>>, EngineExit> {
        let (tip, height) = (self.app.tip(), part.header.height.0);
        let current = height == self.height && height == tip + 1;
        if !Parts::wanted(tip, height, if current { self.round } else { 0 }, part.header.round) {
            return Ok(None);
        }
        if current {
            return self.judge(part);
        }
        // The validators of later heights may differ; the right ones are asked when the height begins.
        if height > self.height && self.is_genuine(&part, None)? {
            self.parts.keep(part);
            self.release()?;
        }
        Ok(None)
    }

    /// Did the proposer send this? `round` is given when the height's validators are known.
    fn is_genuine(&mut self, part: &Part, position: Option<(u64, u32)>) -> Result<bool, EngineExit> {
        use arc_malachitebft_app_channel::app::types::core::ValidatorSet as _;
        let members = self.members(self.next_height())?;
        let Some(sender) = members.get_by_address(&part.header.proposer) else {
            return Ok(false);
        };
        if position.is_some_and(|(height, round)| members.proposer(height, round).address() != sender.address()) {
            return Ok(false);
        }
        let digest: [u8; 32] = Sha256::digest(&part.block).into();
        let bytes = part.header.message().bytes(&self.settings.network);
        Ok(digest == part.header.digest && signing::verify(sender.public_key(), &bytes, &part.header.signature.0))
    }

    /// Has the application judge a block of the running height, once.
    fn judge(&mut self, part: Part) -> Result<Option<ProposedValue<Ctx>>, EngineExit> {
        let Part { header, .. } = part;
        let height = header.height.0;
        if height != self.next_height() {
            return Ok(None);
        }
        if let Some(judged) = self.parts.judgement(header.round, &header.digest) {
            return Ok(judged.value.clone());
        }
        if self.parts.is_full(header.round) || !self.is_genuine(&part, Some((height, header.round)))? {
            return Ok(None);
        }
        if !self
            .proposals
            .agree(header.proposer, height, header.round, header.valid_round)
        {
            tracing::warn!(height, header.round, proposer = %header.proposer, "a block's part contradicts its proposal");
            return Ok(None);
        }
        let reproposed = header.valid_round.is_some_and(|valid_round| valid_round < header.round);
        let verdict = blocking(|| self.app.check(height, header.round, reproposed, &part.block))?;
        let value = verdict.map(|(hash, verdict)| ProposedValue {
            height: header.height,
            round: Round::new(header.round),
            valid_round: Round::from(header.valid_round),
            proposer: header.proposer,
            value: Value(hash),
            validity: validity(verdict),
        });
        self.parts.remember(Judged {
            header,
            value: value.clone(),
        });
        Ok(value)
    }

    /// Sends a block again: as our own proposal, or as the original proposer signed it.
    async fn restream(&mut self, round: Round, valid_round: Round, address: Address, value: Value) -> Done {
        let Some(number) = round.as_u32() else { return Ok(()) };
        let Some(block) = blocking(|| self.app.block(&value.0))? else {
            return Ok(());
        };
        let header = if address == self.key.address {
            Some(self.sign_part(self.height, number, valid_round.as_u32(), &block))
        } else {
            self.parts.header(number, &value)
        };
        if let Some(header) = header {
            self.publish(Part {
                header,
                block: block.into(),
            })
            .await;
        }
        Ok(())
    }

    fn decided(&mut self, certificate: &CommitCertificate<Ctx>) -> Done {
        let certificate = certificate_from_engine(certificate);
        self.blockless = !blocking(|| self.app.decide(certificate))?;
        Ok(())
    }

    fn finalized(&mut self, height: u64, reply: Reply<Next<Ctx>>) -> Done {
        if self.blockless {
            self.blockless = false;
            tracing::warn!(
                height,
                "a block was decided that this node doesn't have: obtaining it by sync"
            );
            send(reply, Next::Restart(Height(height), self.params(height)?));
            return Ok(());
        }
        if self.vote_after.is_some_and(|floor| height >= floor) {
            return Err(EngineExit::BecomeValidator);
        }
        let until = Instant::now() + self.settings.heartbeat.min(NEVER);
        self.held = Some(Held { reply, until });
        if self.synced == height || self.parts.has(height + 1) {
            return self.release();
        }
        self.woken()
    }

    /// Lets the next height begin, if one is held.
    fn release(&mut self) -> Done {
        if let Some(held) = self.held.take() {
            self.started = Instant::now();
            let height = self.next_height();
            send(held.reply, Next::Start(Height(height), self.params(height)?));
        }
        Ok(())
    }

    fn woken(&mut self) -> Done {
        let earliest = self.started + self.app.pace();
        match &mut self.held {
            Some(held) if self.app.has_work() && Instant::now() < earliest => {
                held.until = held.until.min(earliest);
                Ok(())
            }
            Some(_) if self.app.has_work() => self.release(),
            _ => Ok(()),
        }
    }

    fn claimed(&mut self, tip: u64) -> Done {
        let recently = self.last_claim.is_some_and(|last| last.elapsed() < CLAIM_INTERVAL);
        if self.held.is_none() || tip <= self.app.tip() || recently {
            return Ok(());
        }
        self.last_claim = Some(Instant::now());
        self.release()
    }

    fn import(
        &mut self,
        height: u64,
        round: Round,
        proposer: Address,
        block: &[u8],
    ) -> Result<SyncedValueOutcome<Ctx>, EngineExit> {
        if height != self.next_height() {
            return Ok(SyncedValueOutcome::LocalTransientError);
        }
        let Some((hash, verdict)) = blocking(|| self.app.import(height, block))? else {
            return Ok(SyncedValueOutcome::PeerFault);
        };
        self.synced = height;
        Ok(SyncedValueOutcome::Verdict(ProposedValue {
            height: Height(height),
            round,
            valid_round: Round::Nil,
            proposer,
            value: Value(hash),
            validity: validity(verdict),
        }))
    }

    fn decided_values(&self, from: u64, to: u64) -> Result<Vec<RawDecidedValue<Ctx>>, EngineExit> {
        let to = to.min(self.app.tip()).min(from.saturating_add(MAX_DECIDED - 1));
        if from < self.app.lowest() || from > to {
            return Ok(Vec::new());
        }
        // Room for the certificates is in the margin of the message limits.
        let decided = blocking(|| self.app.decided(from, to, self.settings.max_response()))?;
        Ok(decided
            .into_iter()
            .map(|(block, certificate)| decided_to_engine(block, &certificate))
            .collect())
    }
}

/// Ends when the engine shall stop, or when its handle is gone.
async fn stopped(signal: &mut watch::Receiver<bool>) {
    signal.wait_for(|stopped| *stopped).await.ok();
}

fn validity(verdict: Verdict) -> Validity {
    Validity::from_bool(verdict == Verdict::Valid)
}

/// The engine drops a question when it has moved on; then nobody needs the answer.
fn send<T>(reply: Reply<T>, answer: T) {
    reply.send(answer).ok();
}
