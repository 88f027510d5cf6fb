#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Debug;
use std::sync::Mutex;

use arc_malachitebft_app_channel::app::types::PeerId;
use arc_malachitebft_app_channel::app::types::core::{
    NilOrVal, PolkaSignature, RoundCertificate, RoundCertificateType, RoundSignature, SignedMessage, VoteType,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::engine::context::{Height, Proposal, Signature, Value, Vote};
use crate::engine::signing::MAX_VALIDATORS;
use crate::engine::{MemoryGuard, SignSlot};

const MAX_BLOCK: usize = 2000;
const MAX_RESPONSE: usize = 100_000;

fn codec() -> WireCodec {
    WireCodec::new(MAX_BLOCK, MAX_RESPONSE)
}

prop_compose! {
    fn address()(bytes in any::<[u8; 20]>()) -> Address { Address(bytes) }
}
prop_compose! {
    fn signature()(byte in any::<u8>(), last in any::<u8>()) -> Signature {
        let mut bytes = [byte; 64];
        bytes[63] = last;
        Signature(bytes)
    }
}
prop_compose! {
    fn vote()(
        precommit in any::<bool>(), height in any::<u64>(), round in 0_u32..1 << 30,
        value in any::<Option<[u8; 32]>>(), address in address(), signature in signature(),
    ) -> SignedMessage<Ctx, Vote> {
        let kind = if precommit { VoteType::Precommit } else { VoteType::Prevote };
        let value = value.map_or(NilOrVal::Nil, |value| NilOrVal::Val(Value(value)));
        let vote = Vote { kind, height: Height(height), round: Round::new(round), value, address, extension: None };
        SignedMessage::new(vote, signature)
    }
}
prop_compose! {
    fn proposal()(
        height in any::<u64>(), round in 0_u32..1 << 30, value in any::<[u8; 32]>(),
        valid_round in proptest::option::of(0_u32..1 << 30), address in address(), signature in signature(),
    ) -> SignedMessage<Ctx, Proposal> {
        let (height, round) = (Height(height), Round::new(round));
        let valid_round = Round::from(valid_round);
        SignedMessage::new(Proposal { height, round, value: Value(value), valid_round, address }, signature)
    }
}
prop_compose! {
    fn polka()(
        height in any::<u64>(), round in 0_u32..1 << 30, value in any::<[u8; 32]>(),
        signatures in vec((address(), signature()), 0..5),
    ) -> PolkaCertificate<Ctx> {
        let polka_signatures = signatures.into_iter().map(|(a, s)| PolkaSignature::new(a, s)).collect();
        PolkaCertificate { height: Height(height), round: Round::new(round), value_id: Value(value), polka_signatures }
    }
}
prop_compose! {
    fn skip()(height in any::<u64>(), round in 0_u32..1 << 30, skip in any::<bool>(), votes in vec(vote(), 0..5))
        -> RoundCertificate<Ctx> {
        let signature = |vote: SignedMessage<Ctx, Vote>| {
            RoundSignature::new(vote.message.kind, vote.message.value, vote.message.address, vote.signature)
        };
        RoundCertificate {
            height: Height(height),
            round: Round::new(round),
            cert_type: if skip { RoundCertificateType::Skip } else { RoundCertificateType::Precommit },
            round_signatures: votes.into_iter().map(signature).collect(),
        }
    }
}
prop_compose! {
    fn part()(
        height in any::<u64>(), round in 0_u32..1 << 30, valid_round in any::<Option<u32>>(), proposer in address(),
        digest in any::<[u8; 32]>(), signature in signature(), block in vec(any::<u8>(), 1..MAX_BLOCK),
    ) -> Part {
        let header = PartHeader { height: Height(height), round, valid_round, proposer, digest, signature };
        Part { header, block: block.into() }
    }
}
prop_compose! {
    fn decided()(
        block in vec(any::<u8>(), 0..200), height in any::<u64>(), round in 0_u32..1 << 30,
        hash in any::<[u8; 32]>(), signatures in vec((any::<[u8; 20]>(), signature()), 0..5),
    ) -> sync::RawDecidedValue<Ctx> {
        let signatures = signatures.into_iter().map(|(address, signature)| (address, signature.0)).collect();
        decided_to_engine(block, &Certificate { height, round, block: hash, signatures })
    }
}

fn peer() -> PeerId {
    let key = arc_malachitebft_app_channel::app::types::Keypair::ed25519_from_bytes([1; 32]).unwrap();
    PeerId::from_bytes(&key.public().to_peer_id().to_bytes()).unwrap()
}

/// Comes back as it went, and no prefix or extension of it is anything.
fn round_trip<T: PartialEq + Debug>(message: &T, whole: bool)
where
    WireCodec: Codec<T, Error = io::Error>,
{
    let bytes = codec().encode(message).unwrap();
    assert_eq!(&codec().decode(bytes.clone()).unwrap(), message);
    if whole {
        for length in 0..bytes.len() {
            assert!(Codec::<T>::decode(&codec(), bytes.slice(..length)).is_err());
        }
        let longer = [bytes.as_ref(), &[0]].concat();
        assert!(Codec::<T>::decode(&codec(), longer.into()).is_err());
    }
}

/// The engine's liveness messages can't be compared, so their bytes are.
fn liveness_round_trip(message: &LivenessMsg<Ctx>) {
    let bytes = codec().encode(message).unwrap();
    let decoded: LivenessMsg<Ctx> = codec().decode(bytes.clone()).unwrap();
    assert_eq!(codec().encode(&decoded).unwrap(), bytes);
}

fn decode_as_anything(bytes: &Bytes) {
    let codec = codec();
    // Whether these succeed doesn't matter; that they return does.
    let _: Result<SignedConsensusMsg<Ctx>, _> = codec.decode(bytes.clone());
    let _: Result<LivenessMsg<Ctx>, _> = codec.decode(bytes.clone());
    let _: Result<PolkaCertificate<Ctx>, _> = codec.decode(bytes.clone());
    let _: Result<ProposedValue<Ctx>, _> = codec.decode(bytes.clone());
    let _: Result<Part, _> = codec.decode(bytes.clone());
    let _: Result<StreamMessage<Part>, _> = codec.decode(bytes.clone());
    let _: Result<sync::Status<Ctx>, _> = codec.decode(bytes.clone());
    let _: Result<sync::Request<Ctx>, _> = codec.decode(bytes.clone());
    let _: Result<sync::Response<Ctx>, _> = codec.decode(bytes.clone());
    let _: Result<ValidatorProof<Ctx>, _> = codec.decode(bytes.clone());
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(version in 0_u8..3, mut bytes in vec(any::<u8>(), 0..3000)) {
        decode_as_anything(&bytes.clone().into());
        bytes.insert(0, version);
        decode_as_anything(&bytes.into());
    }

    /// Small values at the front reach deeper than random ones: tags and lengths become plausible.
    #[test]
    fn plausible_bytes_do_no_harm(front in vec(0_u8..4, 0..200), rest in vec(any::<u8>(), 0..500)) {
        decode_as_anything(&[vec![VERSION], front, rest].concat().into());
    }

    #[test]
    fn damaged_messages_do_no_harm(vote in vote(), polka in polka(), part in part(), at in any::<usize>(), bit in 0_u8..8) {
        let stream = StreamMessage::new(StreamId::new(vec![0; 8].into()), 0, StreamContent::Data(part));
        for bytes in [
            codec().encode(&SignedConsensusMsg::Vote(vote)).unwrap(),
            codec().encode(&LivenessMsg::PolkaCertificate(polka)).unwrap(),
            codec().encode(&stream).unwrap(),
        ] {
            let mut bytes = bytes.to_vec();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            decode_as_anything(&bytes.into());
        }
    }

    #[test]
    fn votes_and_proposals(vote in vote(), proposal in proposal()) {
        round_trip(&SignedConsensusMsg::Vote(vote.clone()), true);
        round_trip(&SignedConsensusMsg::Proposal(proposal), true);
        liveness_round_trip(&LivenessMsg::Vote(vote));
    }

    #[test]
    fn certificates(polka in polka(), skip in skip()) {
        round_trip(&polka, true);
        liveness_round_trip(&LivenessMsg::PolkaCertificate(polka));
        liveness_round_trip(&LivenessMsg::SkipRoundCertificate(skip));
    }

    #[test]
    fn parts(part in part(), sequence in any::<u64>(), stream in any::<[u8; 8]>()) {
        round_trip(&part, false);
        let stream = StreamId::new(Bytes::copy_from_slice(&stream));
        round_trip(&StreamMessage::new(stream.clone(), sequence, StreamContent::Data(part)), false);
        round_trip(&StreamMessage::new(stream, sequence, StreamContent::Fin), true);
    }

    #[test]
    fn proposed_values(vote in vote(), hash in any::<[u8; 32]>(), valid_round in any::<Option<u32>>(), valid in any::<bool>()) {
        let Vote { height, round, address, .. } = vote.message;
        let (valid_round, validity) = (Round::from(valid_round), Validity::from_bool(valid));
        round_trip(&ProposedValue { height, round, valid_round, proposer: address, value: Value(hash), validity }, true);
    }

    #[test]
    fn sync_messages(tip in any::<u64>(), lowest in any::<u64>(), length in 0..MAX_RANGE, values in vec(decided(), 0..5)) {
        let status = sync::Status { peer_id: peer(), tip_height: Height(tip), history_min_height: Height(lowest) };
        round_trip(&status, true);
        let range = Height(tip)..=Height(tip.saturating_add(length));
        round_trip(&sync::Request::ValueRequest(ValueRequest::new(range)), true);
        let response = sync::Response::ValueResponse(ValueResponse::new(Height(tip), values));
        round_trip(&response, true);
        prop_assert_eq!(codec().encoded_len(&response).unwrap(), codec().encode(&response).unwrap().len());
    }

    #[test]
    fn validator_proofs(key in any::<[u8; 32]>(), signature in signature()) {
        round_trip(&ValidatorProof::<Ctx>::new(key.to_vec(), peer().to_bytes(), signature), true);
    }

    /// Signed bytes differ whenever messages do.
    #[test]
    fn signed_bytes_are_injective(a in vote(), b in vote(), p in proposal()) {
        let (a, b, p) = (a.message.message(), b.message.message(), p.message.message());
        prop_assert_eq!(a.bytes(&[0; 32]) == b.bytes(&[0; 32]), a == b);
        prop_assert_ne!(a.bytes(&[0; 32]), p.bytes(&[0; 32]));
        prop_assert_ne!(a.bytes(&[0; 32]), a.bytes(&[1; 32]));
    }
}

fn sample_vote(height: u64, value: u8, address: Address) -> SignedMessage<Ctx, Vote> {
    let value = NilOrVal::Val(Value([value; 32]));
    let (kind, round) = (VoteType::Prevote, Round::new(0));
    SignedMessage::new(
        Vote {
            kind,
            height: Height(height),
            round,
            value,
            address,
            extension: None,
        },
        Signature([0; 64]),
    )
}

#[test]
fn what_is_too_long_is_refused() {
    let signatures = vec![PolkaSignature::new(Address([0; 20]), Signature([0; 64])); MAX_VALIDATORS + 1];
    let polka = PolkaCertificate::<Ctx> {
        height: Height(1),
        round: Round::new(0),
        value_id: Value([0; 32]),
        polka_signatures: signatures,
    };
    assert!(Codec::<PolkaCertificate<Ctx>>::decode(&codec(), codec().encode(&polka).unwrap()).is_err());

    let header = PartHeader {
        height: Height(1),
        round: 0,
        valid_round: None,
        proposer: Address([0; 20]),
        digest: [0; 32],
        signature: Signature([0; 64]),
    };
    for (length, good) in [(0, false), (MAX_BLOCK, true), (MAX_BLOCK + 1, false)] {
        let part = Part {
            header,
            block: vec![0; length].into(),
        };
        assert_eq!(
            Codec::<Part>::decode(&codec(), codec().encode(&part).unwrap()).is_ok(),
            good,
            "{length}"
        );
    }
    let certificate = Certificate {
        height: 1,
        round: 0,
        block: [0; 32],
        signatures: vec![],
    };
    let value = decided_to_engine(vec![0; MAX_BLOCK + 1], &certificate);
    let response = sync::Response::ValueResponse(ValueResponse::new(Height(1), vec![value]));
    assert!(Codec::<sync::Response<Ctx>>::decode(&codec(), codec().encode(&response).unwrap()).is_err());
}

#[test]
fn rounds_beyond_reason_are_refused() {
    for round in [Round::Nil, Round::new(u32::MAX), Round::new((1 << 30) + 1)] {
        let mut vote = sample_vote(1, 1, Address([1; 20]));
        vote.message.round = round;
        let bytes = codec().encode(&SignedConsensusMsg::Vote(vote)).unwrap();
        assert!(Codec::<SignedConsensusMsg<Ctx>>::decode(&codec(), bytes).is_err());
    }
    for (from, to) in [(2, 1), (1, 1 + MAX_RANGE), (0, u64::MAX)] {
        let request = sync::Request::ValueRequest(ValueRequest::new(Height(from)..=Height(to)));
        let bytes = codec().encode(&request).unwrap();
        assert!(Codec::<sync::Request<Ctx>>::decode(&codec(), bytes).is_err());
    }
}

/// The last stop: our own second digest for a slot doesn't leave, in whatever message; others' votes pass.
#[test]
fn a_conflicting_signature_of_ours_does_not_leave() {
    let ours = Address([1; 20]);
    let guard = Arc::new(MemoryGuard::new(0));
    let (refused, tips) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let sending = codec().on(Network {
        network: [0; 32],
        address: ours,
        guard: guard.clone(),
        refused: Box::new({
            let refused = refused.clone();
            move |error| refused.lock().unwrap().push(error)
        }),
        peer_tip: Box::new({
            let tips = tips.clone();
            move |tip| tips.lock().unwrap().push(tip)
        }),
    });
    let vote = |value, address| SignedConsensusMsg::Vote(sample_vote(7, value, address));
    sending.encode(&vote(1, ours)).unwrap();
    sending.encode(&vote(1, ours)).unwrap();
    sending.encode(&vote(2, Address([2; 20]))).unwrap();
    assert!(refused.lock().unwrap().is_empty());
    assert_eq!(guard.last_height(), 7);

    sending.encode(&vote(2, ours)).unwrap_err();
    sending.encode(&LivenessMsg::Vote(sample_vote(7, 2, ours))).unwrap_err();
    let polka = PolkaCertificate {
        height: Height(7),
        round: Round::new(0),
        value_id: Value([2; 32]),
        polka_signatures: vec![PolkaSignature::new(ours, Signature([0; 64]))],
    };
    sending.encode(&LivenessMsg::PolkaCertificate(polka)).unwrap_err();
    let slot = SignSlot {
        height: 7,
        round: 0,
        step: SignSlot::PREVOTE,
    };
    let refused = refused.lock().unwrap();
    assert_eq!(refused.len(), 3);
    assert!(
        refused
            .iter()
            .all(|error| matches!(error, GuardError::Refused { slot: s, .. } if *s == slot))
    );

    let status = sync::Status {
        peer_id: peer(),
        tip_height: Height(99),
        history_min_height: Height(1),
    };
    let _: sync::Status<Ctx> = sending.decode(codec().encode(&status).unwrap()).unwrap();
    assert_eq!(*tips.lock().unwrap(), [99]);
}
