//! Bytes of every message the engine sends or keeps: votes, proposals, block parts, certificates, sync.
//!
//! Owns the wire and write-ahead-log formats (`wire`), their limits, and the last stop before a signature leaves:
//! [`Network`]. Peers are hostile here. Every decode first looks at the length of what came, never allocates more
//! than a small multiple of it, refuses what is longer than it may be, and never panics.

#[cfg(test)]
mod tests;
mod wire;

use std::io;
use std::sync::Arc;

use arc_malachitebft_app_channel::app::consensus::LivenessMsg;
use arc_malachitebft_app_channel::app::streaming::StreamContent;
use arc_malachitebft_app_channel::app::types::codec::{Codec, HasEncodedLen};
use arc_malachitebft_app_channel::app::types::core::{PolkaCertificate, Round, ValidatorProof, Validity};
use arc_malachitebft_app_channel::app::types::streaming::{StreamId, StreamMessage};
use arc_malachitebft_app_channel::app::types::{ProposedValue, SignedConsensusMsg, sync};
use arc_malachitebft_sync::{ValueRequest, ValueResponse};
use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;

use self::wire::{
    WireCertificate, WireLiveness, WirePolka, WireProof, WireProposed, WireRequest, WireResponse, WireSigned,
    WireStatus, WireStream,
};
use super::context::{Address, Ctx, Part, PartHeader};
use super::signing::Message;
use super::{GuardError, SignGuard};
use crate::block::{Certificate, Hash};

pub use wire::{certificate_from_engine, certificate_to_engine};

/// First byte of every message; raised with the next incompatible format.
const VERSION: u8 = 1;
/// Votes, proposals and everything else without blocks or lists.
const SMALL: usize = 1024;
/// Certificates: 128 validators of about 120 bytes each.
const CERTIFICATE: usize = 32 * 1024;
/// Around a block: the part's header or the certificate.
const AROUND_BLOCK: usize = CERTIFICATE + SMALL;
/// Most heights that one sync request may ask for.
const MAX_RANGE: u64 = 1000;

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// What the codec of the network does besides coding.
pub struct Network {
    pub network: Hash,
    pub address: Address,
    /// Asked before every message that carries a signature of ours.
    pub guard: Arc<dyn SignGuard>,
    /// Told about every refusal: the signature has not left, and the engine must end.
    pub refused: Box<dyn Fn(GuardError) + Send + Sync>,
    /// Told the height that a peer claims to have reached. Unproven.
    pub peer_tip: Box<dyn Fn(u64) + Send + Sync>,
}

impl Network {
    fn record(&self, messages: &[Message]) -> io::Result<()> {
        for message in messages.iter().filter(|message| message.address == self.address.0) {
            let (slot, digest) = message.guarded(&self.network);
            if let Err(error) = super::malachite::blocking(|| self.guard.record(slot, digest)) {
                (self.refused)(error);
                return Err(io::Error::other("the sign guard holds this message back"));
            }
        }
        Ok(())
    }
}

/// Encodes and decodes everything. One instance for the network, one for the write-ahead log, one for sync.
#[derive(Clone)]
pub struct WireCodec {
    /// Largest block in bytes.
    max_block: usize,
    /// Largest sync response in bytes.
    max_response: usize,
    /// Only where encoding means sending.
    wire: Option<Arc<Network>>,
}

impl WireCodec {
    pub fn new(max_block: usize, max_response: usize) -> Self {
        Self {
            max_block,
            max_response,
            wire: None,
        }
    }

    /// The same, for messages that come and go.
    pub fn on(&self, network: Network) -> Self {
        Self {
            wire: Some(Arc::new(network)),
            ..self.clone()
        }
    }

    fn record(&self, messages: &[Message]) -> io::Result<()> {
        self.wire.as_ref().map_or(Ok(()), |network| network.record(messages))
    }
}

fn pack<T: BorshSerialize>(message: &T) -> io::Result<Bytes> {
    let mut bytes = vec![VERSION];
    message.serialize(&mut bytes)?;
    Ok(bytes.into())
}

/// Decodes all of `bytes`.
fn unpack<T: BorshDeserialize>(bytes: &Bytes, limit: usize) -> io::Result<T> {
    let (message, rest) = unpack_front(bytes, limit)?;
    if rest.is_empty() {
        Ok(message)
    } else {
        Err(invalid("bytes after the message"))
    }
}

/// Decodes the front of `bytes` and returns what follows.
fn unpack_front<T: BorshDeserialize>(bytes: &Bytes, limit: usize) -> io::Result<(T, Bytes)> {
    if bytes.len() > limit {
        return Err(invalid("message is longer than it may be"));
    }
    let mut rest: &[u8] = bytes;
    if u8::deserialize(&mut rest)? != VERSION {
        return Err(invalid("unknown version"));
    }
    let message = T::deserialize(&mut rest)?;
    Ok((message, bytes.slice(bytes.len() - rest.len()..)))
}

impl Codec<SignedConsensusMsg<Ctx>> for WireCodec {
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<SignedConsensusMsg<Ctx>> {
        unpack::<WireSigned>(&bytes, SMALL)?.try_into()
    }

    fn encode(&self, message: &SignedConsensusMsg<Ctx>) -> io::Result<Bytes> {
        self.record(&[match message {
            SignedConsensusMsg::Vote(vote) => vote.message.message(),
            SignedConsensusMsg::Proposal(proposal) => proposal.message.message(),
        }])?;
        pack(&WireSigned::from(message))
    }
}

impl Codec<LivenessMsg<Ctx>> for WireCodec {
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<LivenessMsg<Ctx>> {
        unpack::<WireLiveness>(&bytes, CERTIFICATE)?.try_into()
    }

    fn encode(&self, message: &LivenessMsg<Ctx>) -> io::Result<Bytes> {
        // Certificates carry our own votes as well.
        self.record(&wire::liveness_messages(message))?;
        pack(&WireLiveness::from(message))
    }
}

impl Codec<PolkaCertificate<Ctx>> for WireCodec {
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<PolkaCertificate<Ctx>> {
        unpack::<WirePolka>(&bytes, CERTIFICATE)?.try_into()
    }

    fn encode(&self, certificate: &PolkaCertificate<Ctx>) -> io::Result<Bytes> {
        pack(&WirePolka::from(certificate))
    }
}

impl Codec<ProposedValue<Ctx>> for WireCodec {
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<ProposedValue<Ctx>> {
        let wire: WireProposed = unpack(&bytes, SMALL)?;
        Ok(ProposedValue {
            height: wire.height,
            round: wire::defined(wire.round)?,
            valid_round: Round::from(wire.valid_round),
            proposer: wire.proposer,
            value: wire.value,
            validity: Validity::from_bool(wire.valid),
        })
    }

    fn encode(&self, value: &ProposedValue<Ctx>) -> io::Result<Bytes> {
        pack(&WireProposed {
            height: value.height,
            round: wire::number(value.round)?,
            valid_round: value.valid_round.as_u32(),
            proposer: value.proposer,
            value: value.value,
            valid: value.validity.is_valid(),
        })
    }
}

impl Codec<Part> for WireCodec {
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<Part> {
        // The block is the rest of the message: no copy.
        let (header, block) = unpack_front::<PartHeader>(&bytes, self.max_block + AROUND_BLOCK)?;
        self.part(header, block)
    }

    fn encode(&self, part: &Part) -> io::Result<Bytes> {
        let mut bytes = Vec::with_capacity(part.block.len() + 256);
        bytes.push(VERSION);
        part.header.serialize(&mut bytes)?;
        bytes.extend_from_slice(&part.block);
        Ok(bytes.into())
    }
}

impl WireCodec {
    fn part(&self, header: PartHeader, block: Bytes) -> io::Result<Part> {
        wire::sane(header.round)?;
        if block.is_empty() || block.len() > self.max_block {
            return Err(invalid("block is empty or longer than it may be"));
        }
        Ok(Part { header, block })
    }
}

impl Codec<StreamMessage<Part>> for WireCodec {
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<StreamMessage<Part>> {
        let (wire, block) = unpack_front::<WireStream>(&bytes, self.max_block + AROUND_BLOCK)?;
        let content = match wire.header {
            Some(header) => StreamContent::Data(self.part(header, block)?),
            None if block.is_empty() => StreamContent::Fin,
            None => return Err(invalid("bytes after the end of a stream")),
        };
        Ok(StreamMessage::new(
            StreamId::new(Bytes::copy_from_slice(&wire.stream)),
            wire.sequence,
            content,
        ))
    }

    fn encode(&self, message: &StreamMessage<Part>) -> io::Result<Bytes> {
        let stream = message
            .stream_id
            .to_bytes()
            .as_ref()
            .try_into()
            .map_err(|_| invalid("stream ids have 8 bytes"))?;
        let part = message.content.as_data();
        let mut bytes = Vec::with_capacity(part.map_or(0, |part| part.block.len()) + 256);
        bytes.push(VERSION);
        WireStream {
            stream,
            sequence: message.sequence,
            header: part.map(|part| part.header),
        }
        .serialize(&mut bytes)?;
        bytes.extend_from_slice(part.map_or(&[], |part| &part.block));
        Ok(bytes.into())
    }
}

impl Codec<sync::Status<Ctx>> for WireCodec {
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<sync::Status<Ctx>> {
        let wire: WireStatus = unpack(&bytes, SMALL)?;
        if let Some(network) = &self.wire {
            (network.peer_tip)(wire.tip.0);
        }
        Ok(sync::Status {
            peer_id: wire::peer(&wire.peer)?,
            tip_height: wire.tip,
            history_min_height: wire.lowest,
        })
    }

    fn encode(&self, status: &sync::Status<Ctx>) -> io::Result<Bytes> {
        let peer = status.peer_id.to_bytes();
        pack(&WireStatus {
            peer,
            tip: status.tip_height,
            lowest: status.history_min_height,
        })
    }
}

impl Codec<sync::Request<Ctx>> for WireCodec {
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<sync::Request<Ctx>> {
        let WireRequest { from, to } = unpack(&bytes, SMALL)?;
        if from > to || to.0 - from.0 >= MAX_RANGE {
            return Err(invalid("range is empty or too long"));
        }
        Ok(sync::Request::ValueRequest(ValueRequest::new(from..=to)))
    }

    fn encode(&self, request: &sync::Request<Ctx>) -> io::Result<Bytes> {
        let sync::Request::ValueRequest(request) = request;
        pack(&WireRequest {
            from: *request.range.start(),
            to: *request.range.end(),
        })
    }
}

impl Codec<sync::Response<Ctx>> for WireCodec {
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<sync::Response<Ctx>> {
        let wire: WireResponse = unpack(&bytes, self.max_response)?;
        let too_long = |block: &Vec<u8>| block.len() > self.max_block;
        if wire.values.len() as u64 > MAX_RANGE || wire.values.iter().any(|(block, _)| too_long(block)) {
            return Err(invalid("too many or too long blocks"));
        }
        let values = wire
            .values
            .into_iter()
            .map(|(block, certificate)| Ok(sync::RawDecidedValue::new(block.into(), certificate.try_into()?)))
            .collect::<io::Result<Vec<_>>>()?;
        Ok(sync::Response::ValueResponse(ValueResponse::new(wire.start, values)))
    }

    fn encode(&self, response: &sync::Response<Ctx>) -> io::Result<Bytes> {
        let sync::Response::ValueResponse(response) = response;
        let mut bytes = Vec::with_capacity(self.encoded_len_of(response));
        bytes.push(VERSION);
        response.start_height.serialize(&mut bytes)?;
        wire::count(response.values.len())?.serialize(&mut bytes)?;
        for value in &response.values {
            wire::count(value.value_bytes.len())?.serialize(&mut bytes)?;
            bytes.extend_from_slice(&value.value_bytes);
            WireCertificate::try_from(&value.certificate)?.serialize(&mut bytes)?;
        }
        Ok(bytes.into())
    }
}

impl WireCodec {
    fn encoded_len_of(&self, response: &ValueResponse<Ctx>) -> usize {
        let value = |value: &sync::RawDecidedValue<Ctx>| {
            4 + value.value_bytes.len() + wire::certificate_len(value.certificate.commit_signatures.len())
        };
        1 + 8 + 4 + response.values.iter().map(value).sum::<usize>()
    }
}

impl HasEncodedLen<sync::Response<Ctx>> for WireCodec {
    fn encoded_len(&self, response: &sync::Response<Ctx>) -> io::Result<usize> {
        let sync::Response::ValueResponse(response) = response;
        Ok(self.encoded_len_of(response))
    }
}

impl Codec<ValidatorProof<Ctx>> for WireCodec {
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<ValidatorProof<Ctx>> {
        let wire: WireProof = unpack(&bytes, SMALL)?;
        if wire.peer.len() > wire::MAX_PEER_ID {
            return Err(invalid("peer id is longer than it may be"));
        }
        Ok(ValidatorProof::new(wire.key.to_vec(), wire.peer, wire.signature))
    }

    fn encode(&self, proof: &ValidatorProof<Ctx>) -> io::Result<Bytes> {
        let key = proof
            .public_key
            .as_slice()
            .try_into()
            .map_err(|_| invalid("public keys have 32 bytes"))?;
        pack(&WireProof {
            key,
            peer: proof.peer_id.clone(),
            signature: proof.signature,
        })
    }
}

/// The stored form as the sync layer wants it.
pub fn decided_to_engine(block: Vec<u8>, certificate: &Certificate) -> sync::RawDecidedValue<Ctx> {
    sync::RawDecidedValue::new(block.into(), certificate_to_engine(certificate))
}
