//! The engine's own types: heights, values, votes and proposals in the shape Malachite wants them.
//!
//! Owns no rules besides who proposes when (`proposer_index`) and which round numbers are sane. Must not leave
//! `engine/`.

use std::fmt;
use std::sync::Arc;

use arc_malachitebft_app_channel::app::types::core::{
    self as core_types, Context, LinearTimeouts, NilOrVal, Round, SignedExtension, SigningScheme, VoteType,
};
use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use ed25519_dalek::{SigningKey, VerifyingKey};

use super::signing::{KIND_PART, Message};
use super::{SignSlot, Validator, proposer_index};
use crate::block::Hash;

/// 20 bytes of SHA-256 of the consensus key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Address(pub [u8; 20]);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..4]))
    }
}

impl core_types::Address for Address {}

/// Block height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Height(pub u64);

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core_types::Height for Height {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);

    fn increment_by(&self, n: u64) -> Self {
        // Saturates, because heights from peers reach this.
        Self(self.0.saturating_add(n))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}

/// What is voted on: the block hash, its own id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Value(pub Hash);

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..4]))
    }
}

impl core_types::Value for Value {
    type Id = Self;

    fn id(&self) -> Self {
        *self
    }
}

/// Ed25519 as consensus uses it: 64-byte signatures, checked with `verify_strict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ed25519;

/// An Ed25519 signature that can be ordered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..4]))
    }
}

impl SigningScheme for Ed25519 {
    type DecodingError = &'static str;
    type Signature = Signature;
    type PublicKey = VerifyingKey;
    type PrivateKey = SigningKey;

    fn decode_signature(bytes: &[u8]) -> Result<Signature, &'static str> {
        bytes.try_into().map(Signature).map_err(|_| "a signature has 64 bytes")
    }

    fn encode_signature(signature: &Signature) -> Vec<u8> {
        signature.0.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<VerifyingKey, &'static str> {
        let bytes = bytes.try_into().map_err(|_| "a public key has 32 bytes")?;
        VerifyingKey::from_bytes(bytes).map_err(|_| "not a point on the curve")
    }

    fn encode_public_key(key: &VerifyingKey) -> Vec<u8> {
        key.to_bytes().to_vec()
    }
}

/// A validator with its decoded key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    address: Address,
    key: VerifyingKey,
    power: u64,
}

impl core_types::Validator<Ctx> for Member {
    fn address(&self) -> &Address {
        &self.address
    }

    fn public_key(&self) -> &VerifyingKey {
        &self.key
    }

    fn voting_power(&self) -> u64 {
        self.power
    }
}

/// Validators of a height in proposer order. Cloned a lot by the engine, hence shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members(Arc<Vec<Member>>);

impl Members {
    /// Decodes the keys; `None` if one is unusable or the set is empty.
    pub fn decode(validators: &[Validator]) -> Option<Self> {
        let members = validators
            .iter()
            .map(|validator| {
                let key = VerifyingKey::from_bytes(&validator.key)
                    .ok()
                    .filter(|key| !key.is_weak())?;
                Some(Member {
                    address: Address(validator.address),
                    key,
                    power: validator.power,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        (!members.is_empty()).then(|| Self(Arc::new(members)))
    }

    /// Who proposes in this round.
    pub fn proposer(&self, height: u64, round: u32) -> &Member {
        &self.0[proposer_index(height, round, self.0.len())]
    }
}

impl core_types::ValidatorSet<Ctx> for Members {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn total_voting_power(&self) -> u64 {
        self.0.iter().fold(0, |sum, member| sum.saturating_add(member.power))
    }

    fn get_by_address(&self, address: &Address) -> Option<&Member> {
        self.0.iter().find(|member| member.address == *address)
    }

    fn get_by_index(&self, index: usize) -> Option<&Member> {
        self.0.get(index)
    }
}

/// A prevote or precommit. The round is always defined: the codec refuses others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    pub kind: VoteType,
    pub height: Height,
    pub round: Round,
    pub value: NilOrVal<Value>,
    pub address: Address,
    /// Never used; the engine's trait wants it kept.
    pub extension: Option<SignedExtension<Ctx>>,
}

impl Vote {
    /// What is signed.
    pub(super) fn message(&self) -> Message {
        let kind = match self.kind {
            VoteType::Prevote => SignSlot::PREVOTE,
            VoteType::Precommit => SignSlot::PRECOMMIT,
        };
        let value = match self.value {
            NilOrVal::Nil => None,
            NilOrVal::Val(value) => Some(value.0),
        };
        let round = self.round.as_u32().unwrap_or(u32::MAX);
        Message {
            kind,
            height: self.height.0,
            round,
            value,
            address: self.address.0,
            valid_round: None,
        }
    }
}

impl core_types::Vote<Ctx> for Vote {
    fn height(&self) -> Height {
        self.height
    }
    fn round(&self) -> Round {
        self.round
    }
    fn value(&self) -> &NilOrVal<Value> {
        &self.value
    }
    fn take_value(self) -> NilOrVal<Value> {
        self.value
    }
    fn vote_type(&self) -> VoteType {
        self.kind
    }
    fn validator_address(&self) -> &Address {
        &self.address
    }
    fn extension(&self) -> Option<&SignedExtension<Ctx>> {
        self.extension.as_ref()
    }
    fn take_extension(&mut self) -> Option<SignedExtension<Ctx>> {
        self.extension.take()
    }
    fn extend(self, extension: SignedExtension<Ctx>) -> Self {
        Self {
            extension: Some(extension),
            ..self
        }
    }
}

/// A proposal: the block hash; the block itself travels as a [`Part`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub height: Height,
    pub round: Round,
    pub value: Value,
    pub valid_round: Round,
    pub address: Address,
}

impl Proposal {
    /// What is signed.
    pub(super) fn message(&self) -> Message {
        Message {
            kind: SignSlot::PROPOSAL,
            height: self.height.0,
            round: self.round.as_u32().unwrap_or(u32::MAX),
            value: Some(self.value.0),
            address: self.address.0,
            valid_round: self.valid_round.as_u32(),
        }
    }
}

impl core_types::Proposal<Ctx> for Proposal {
    fn height(&self) -> Height {
        self.height
    }
    fn round(&self) -> Round {
        self.round
    }
    fn value(&self) -> &Value {
        &self.value
    }
    fn take_value(self) -> Value {
        self.value
    }
    fn pol_round(&self) -> Round {
        self.valid_round
    }
    fn validator_address(&self) -> &Address {
        &self.address
    }
}

/// Who sends which block for which round, under the proposer's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PartHeader {
    pub height: Height,
    pub round: u32,
    /// Round in which a quorum already prevoted for this block.
    pub valid_round: Option<u32>,
    pub proposer: Address,
    /// SHA-256 of the block's bytes.
    pub digest: Hash,
    pub signature: Signature,
}

impl PartHeader {
    /// What is signed.
    pub(super) fn message(&self) -> Message {
        Message {
            kind: KIND_PART,
            height: self.height.0,
            round: self.round,
            value: Some(self.digest),
            address: self.proposer.0,
            valid_round: self.valid_round,
        }
    }
}

/// A whole proposed block in one message.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    pub header: PartHeader,
    pub block: Bytes,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({:?}, {} bytes)", self.header, self.block.len())
    }
}

impl core_types::ProposalPart<Ctx> for Part {
    fn is_first(&self) -> bool {
        true
    }
    fn is_last(&self) -> bool {
        true
    }
}

/// Ties the types together.
#[derive(Clone, Copy, Debug)]
pub struct Ctx;

impl Context for Ctx {
    type Address = Address;
    type Height = Height;
    type ProposalPart = Part;
    type Proposal = Proposal;
    type Validator = Member;
    type ValidatorSet = Members;
    type Timeouts = LinearTimeouts;
    type Value = Value;
    type Vote = Vote;
    type Extension = ();
    type SigningScheme = Ed25519;

    fn select_proposer<'a>(&self, members: &'a Members, height: Height, round: Round) -> &'a Member {
        members.proposer(height.0, round.as_u32().unwrap_or_default())
    }

    fn new_proposal(
        &self,
        height: Height,
        round: Round,
        value: Value,
        valid_round: Round,
        address: Address,
    ) -> Proposal {
        Proposal {
            height,
            round,
            value,
            valid_round,
            address,
        }
    }

    fn new_prevote(&self, height: Height, round: Round, value: NilOrVal<Value>, address: Address) -> Vote {
        Vote {
            kind: VoteType::Prevote,
            height,
            round,
            value,
            address,
            extension: None,
        }
    }

    fn new_precommit(&self, height: Height, round: Round, value: NilOrVal<Value>, address: Address) -> Vote {
        Vote {
            kind: VoteType::Precommit,
            height,
            round,
            value,
            address,
            extension: None,
        }
    }
}
