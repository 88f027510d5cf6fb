//! Shapes of the messages on the wire and their conversion to the engine's types.
//!
//! The engine's types have no stable encoding, ours do: borsh of these structs behind a version byte. Anything that
//! the engine takes for granted about its inputs (defined rounds, bounded lists) is checked in the conversions.

use std::io;

use arc_malachitebft_app_channel::app::consensus::LivenessMsg;
use arc_malachitebft_app_channel::app::types::core::{
    CommitCertificate, ExtendedCommitCertificate, ExtendedCommitSignature, NilOrVal, PolkaCertificate, PolkaSignature,
    Round, RoundCertificate, RoundCertificateType, RoundSignature, SignedMessage, SignedVote, VoteType,
};
use arc_malachitebft_app_channel::app::types::{PeerId, SignedConsensusMsg};
use borsh::{BorshDeserialize, BorshSerialize};

use super::invalid;
use crate::block::Certificate;
use crate::engine::SignSlot;
use crate::engine::context::{Address, Ctx, Height, PartHeader, Proposal, Signature, Value, Vote};
use crate::engine::signing::{MAX_VALIDATORS, Message};

/// A multihash with some room.
pub const MAX_PEER_ID: usize = 64;
/// Far above any real round, far below overflow.
const MAX_ROUND: u32 = 1 << 30;

/// Refuses rounds that the engine's arithmetic wasn't made for.
pub fn sane(round: u32) -> io::Result<u32> {
    if round <= MAX_ROUND {
        Ok(round)
    } else {
        Err(invalid("round is beyond reason"))
    }
}

/// A round from a peer.
pub fn defined(round: u32) -> io::Result<Round> {
    sane(round).map(Round::new)
}

/// A round of ours.
pub fn number(round: Round) -> io::Result<u32> {
    round.as_u32().ok_or_else(|| invalid("round isn't defined"))
}

/// A list's length.
pub fn count(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| invalid("list is too long"))
}

/// A peer id from a peer.
pub fn peer(bytes: &[u8]) -> io::Result<PeerId> {
    if bytes.len() > MAX_PEER_ID {
        return Err(invalid("peer id is longer than it may be"));
    }
    PeerId::from_bytes(bytes).map_err(|_| invalid("not a peer id"))
}

fn bounded<T>(signatures: &[T]) -> io::Result<()> {
    if signatures.len() <= MAX_VALIDATORS {
        Ok(())
    } else {
        Err(invalid("too many signatures"))
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
pub struct WireVote {
    precommit: bool,
    height: Height,
    round: u32,
    value: Option<Value>,
    address: Address,
    signature: Signature,
}

impl From<&SignedVote<Ctx>> for WireVote {
    fn from(vote: &SignedVote<Ctx>) -> Self {
        let Vote {
            kind,
            height,
            round,
            value,
            address,
            ..
        } = &vote.message;
        Self {
            precommit: *kind == VoteType::Precommit,
            height: *height,
            // Ours are always defined; an undefined one becomes a round that every peer refuses.
            round: round.as_u32().unwrap_or(u32::MAX),
            value: option(*value),
            address: *address,
            signature: vote.signature,
        }
    }
}

impl TryFrom<WireVote> for SignedVote<Ctx> {
    type Error = io::Error;

    fn try_from(wire: WireVote) -> io::Result<Self> {
        let vote = Vote {
            kind: if wire.precommit {
                VoteType::Precommit
            } else {
                VoteType::Prevote
            },
            height: wire.height,
            round: defined(wire.round)?,
            value: wire.value.map_or(NilOrVal::Nil, NilOrVal::Val),
            address: wire.address,
            extension: None,
        };
        Ok(Self::new(vote, wire.signature))
    }
}

fn option(value: NilOrVal<Value>) -> Option<Value> {
    match value {
        NilOrVal::Nil => None,
        NilOrVal::Val(value) => Some(value),
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
pub struct WireProposal {
    height: Height,
    round: u32,
    value: Value,
    valid_round: Option<u32>,
    address: Address,
    signature: Signature,
}

#[derive(BorshSerialize, BorshDeserialize)]
pub enum WireSigned {
    Vote(WireVote),
    Proposal(WireProposal),
}

impl From<&SignedConsensusMsg<Ctx>> for WireSigned {
    fn from(message: &SignedConsensusMsg<Ctx>) -> Self {
        match message {
            SignedConsensusMsg::Vote(vote) => Self::Vote(vote.into()),
            SignedConsensusMsg::Proposal(signed) => {
                let Proposal {
                    height,
                    round,
                    value,
                    valid_round,
                    address,
                } = signed.message;
                Self::Proposal(WireProposal {
                    height,
                    round: round.as_u32().unwrap_or(u32::MAX),
                    value,
                    valid_round: valid_round.as_u32(),
                    address,
                    signature: signed.signature,
                })
            }
        }
    }
}

impl TryFrom<WireSigned> for SignedConsensusMsg<Ctx> {
    type Error = io::Error;

    fn try_from(wire: WireSigned) -> io::Result<Self> {
        match wire {
            WireSigned::Vote(vote) => vote.try_into().map(Self::Vote),
            WireSigned::Proposal(wire) => {
                let proposal = Proposal {
                    height: wire.height,
                    round: defined(wire.round)?,
                    value: wire.value,
                    valid_round: Round::from(wire.valid_round.map(sane).transpose()?),
                    address: wire.address,
                };
                Ok(Self::Proposal(SignedMessage::new(proposal, wire.signature)))
            }
        }
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
pub struct WirePolka {
    height: Height,
    round: u32,
    value: Value,
    signatures: Vec<(Address, Signature)>,
}

impl From<&PolkaCertificate<Ctx>> for WirePolka {
    fn from(certificate: &PolkaCertificate<Ctx>) -> Self {
        Self {
            height: certificate.height,
            round: certificate.round.as_u32().unwrap_or(u32::MAX),
            value: certificate.value_id,
            signatures: certificate
                .polka_signatures
                .iter()
                .map(|s| (s.address, s.signature))
                .collect(),
        }
    }
}

impl TryFrom<WirePolka> for PolkaCertificate<Ctx> {
    type Error = io::Error;

    fn try_from(wire: WirePolka) -> io::Result<Self> {
        bounded(&wire.signatures)?;
        let signature = |(address, signature)| PolkaSignature::new(address, signature);
        Ok(Self {
            height: wire.height,
            round: defined(wire.round)?,
            value_id: wire.value,
            polka_signatures: wire.signatures.into_iter().map(signature).collect(),
        })
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
pub struct WireRound {
    height: Height,
    round: u32,
    skip: bool,
    votes: Vec<(bool, Option<Value>, Address, Signature)>,
}

impl From<&RoundCertificate<Ctx>> for WireRound {
    fn from(certificate: &RoundCertificate<Ctx>) -> Self {
        let vote = |vote: &RoundSignature<Ctx>| {
            (
                vote.vote_type == VoteType::Precommit,
                option(vote.value_id),
                vote.address,
                vote.signature,
            )
        };
        Self {
            height: certificate.height,
            round: certificate.round.as_u32().unwrap_or(u32::MAX),
            skip: certificate.cert_type == RoundCertificateType::Skip,
            votes: certificate.round_signatures.iter().map(vote).collect(),
        }
    }
}

impl TryFrom<WireRound> for RoundCertificate<Ctx> {
    type Error = io::Error;

    fn try_from(wire: WireRound) -> io::Result<Self> {
        bounded(&wire.votes)?;
        let vote = |(precommit, value, address, signature): (bool, Option<Value>, _, _)| {
            let kind = if precommit {
                VoteType::Precommit
            } else {
                VoteType::Prevote
            };
            RoundSignature::new(kind, value.map_or(NilOrVal::Nil, NilOrVal::Val), address, signature)
        };
        Ok(Self {
            height: wire.height,
            round: defined(wire.round)?,
            cert_type: if wire.skip {
                RoundCertificateType::Skip
            } else {
                RoundCertificateType::Precommit
            },
            round_signatures: wire.votes.into_iter().map(vote).collect(),
        })
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
pub enum WireLiveness {
    Vote(WireVote),
    Polka(WirePolka),
    Round(WireRound),
}

impl From<&LivenessMsg<Ctx>> for WireLiveness {
    fn from(message: &LivenessMsg<Ctx>) -> Self {
        match message {
            LivenessMsg::Vote(vote) => Self::Vote(vote.into()),
            LivenessMsg::PolkaCertificate(certificate) => Self::Polka(certificate.into()),
            LivenessMsg::SkipRoundCertificate(certificate) => Self::Round(certificate.into()),
        }
    }
}

impl TryFrom<WireLiveness> for LivenessMsg<Ctx> {
    type Error = io::Error;

    fn try_from(wire: WireLiveness) -> io::Result<Self> {
        match wire {
            WireLiveness::Vote(vote) => vote.try_into().map(Self::Vote),
            WireLiveness::Polka(certificate) => certificate.try_into().map(Self::PolkaCertificate),
            WireLiveness::Round(certificate) => certificate.try_into().map(Self::SkipRoundCertificate),
        }
    }
}

/// Every signed vote in a liveness message.
pub fn liveness_messages(message: &LivenessMsg<Ctx>) -> Vec<Message> {
    let of = |kind, height: Height, round: Round, value: Option<Value>, address: Address| Message {
        kind,
        height: height.0,
        round: round.as_u32().unwrap_or(u32::MAX),
        value: value.map(|value| value.0),
        address: address.0,
        valid_round: None,
    };
    match message {
        LivenessMsg::Vote(vote) => vec![vote.message.message()],
        LivenessMsg::PolkaCertificate(polka) => polka
            .polka_signatures
            .iter()
            .map(|s| {
                of(
                    SignSlot::PREVOTE,
                    polka.height,
                    polka.round,
                    Some(polka.value_id),
                    s.address,
                )
            })
            .collect(),
        LivenessMsg::SkipRoundCertificate(round) => round
            .round_signatures
            .iter()
            .map(|s| {
                let kind = if s.vote_type == VoteType::Precommit {
                    SignSlot::PRECOMMIT
                } else {
                    SignSlot::PREVOTE
                };
                of(kind, round.height, round.round, option(s.value_id), s.address)
            })
            .collect(),
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
pub struct WireProposed {
    pub height: Height,
    pub round: u32,
    pub valid_round: Option<u32>,
    pub proposer: Address,
    pub value: Value,
    pub valid: bool,
}

/// Front of a stream message; the block follows.
#[derive(BorshSerialize, BorshDeserialize)]
pub struct WireStream {
    pub stream: [u8; 8],
    pub sequence: u64,
    pub header: Option<PartHeader>,
}

#[derive(BorshSerialize, BorshDeserialize)]
pub struct WireStatus {
    pub peer: Vec<u8>,
    pub tip: Height,
    pub lowest: Height,
}

#[derive(BorshSerialize, BorshDeserialize)]
pub struct WireRequest {
    pub from: Height,
    pub to: Height,
}

#[derive(BorshSerialize, BorshDeserialize)]
pub struct WireResponse {
    pub start: Height,
    pub values: Vec<(Vec<u8>, WireCertificate)>,
}

#[derive(BorshSerialize, BorshDeserialize)]
pub struct WireProof {
    pub key: [u8; 32],
    pub peer: Vec<u8>,
    pub signature: Signature,
}

#[derive(BorshSerialize, BorshDeserialize)]
pub struct WireCertificate {
    height: Height,
    round: u32,
    value: Value,
    signatures: Vec<(Address, Signature)>,
}

/// Encoded length of a certificate with that many signatures.
pub fn certificate_len(signatures: usize) -> usize {
    8 + 4 + 32 + 4 + signatures * (20 + 64)
}

impl TryFrom<&ExtendedCommitCertificate<Ctx>> for WireCertificate {
    type Error = io::Error;

    fn try_from(certificate: &ExtendedCommitCertificate<Ctx>) -> io::Result<Self> {
        Ok(Self {
            height: certificate.height,
            round: number(certificate.round)?,
            value: certificate.value_id,
            signatures: certificate
                .commit_signatures
                .iter()
                .map(|s| (s.address, s.signature))
                .collect(),
        })
    }
}

impl TryFrom<WireCertificate> for ExtendedCommitCertificate<Ctx> {
    type Error = io::Error;

    fn try_from(wire: WireCertificate) -> io::Result<Self> {
        bounded(&wire.signatures)?;
        let signature = |(address, signature)| ExtendedCommitSignature::new(address, signature, None);
        Ok(Self {
            height: wire.height,
            round: defined(wire.round)?,
            value_id: wire.value,
            commit_signatures: wire.signatures.into_iter().map(signature).collect(),
        })
    }
}

/// Our stored form of a certificate, signatures ordered by address.
pub fn certificate_from_engine(certificate: &CommitCertificate<Ctx>) -> Certificate {
    let mut signatures: Vec<_> = certificate
        .commit_signatures
        .iter()
        .map(|s| (s.address.0, s.signature.0))
        .collect();
    signatures.sort_unstable();
    Certificate {
        height: certificate.height.0,
        round: certificate.round.as_u32().unwrap_or_default(),
        block: certificate.value_id.0,
        signatures,
    }
}

/// The engine's form of a stored certificate.
pub fn certificate_to_engine(certificate: &Certificate) -> ExtendedCommitCertificate<Ctx> {
    let signature = |(address, signature): &([u8; 20], [u8; 64])| {
        ExtendedCommitSignature::new(Address(*address), Signature(*signature), None)
    };
    ExtendedCommitCertificate {
        height: Height(certificate.height),
        round: Round::new(certificate.round),
        value_id: Value(certificate.block),
        commit_signatures: certificate.signatures.iter().map(signature).collect(),
    }
}
