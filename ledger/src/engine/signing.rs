//! What consensus keys sign, and the pure check of a certificate.
//!
//! Owns the exact bytes under every consensus signature. They are frozen: history is verified with them for years,
//! also after the engine is replaced. All widths are fixed, so no two messages share bytes:
//!
//! ```text
//! "muniment.dev/consensus"  22 bytes
//! version                    1 byte, 1
//! network id                32 bytes
//! kind                       1 byte: 0 proposal, 1 prevote, 2 precommit, 3 block part
//! height                     8 bytes, big endian
//! round                      4 bytes, big endian
//! value present              1 byte, 0 (nil) or 1
//! value                     32 bytes, zeros if nil: the block hash; for a part SHA-256 of the block's bytes
//! address                   20 bytes of the signer
//! valid round present        1 byte, proposal and part only
//! valid round                4 bytes, big endian, zeros if none, proposal and part only
//! ```

use std::collections::BTreeSet;

use ed25519_dalek::VerifyingKey;
use muniment_receipts::key::Ed25519Key;
use sha2::{Digest, Sha256};

use super::{SignSlot, Validator};
use crate::block::{Certificate, Hash};

const DOMAIN: &[u8; 22] = b"muniment.dev/consensus";
const VERSION: u8 = 1;
/// Kind of a block part; the other kinds are the steps of [`SignSlot`].
pub(super) const KIND_PART: u8 = 3;

/// Most validators a network may have; bounds what a peer can make us check.
pub const MAX_VALIDATORS: usize = 128;

/// Address of a consensus key: the first 20 bytes of its SHA-256.
pub fn address(key: &[u8; 32]) -> [u8; 20] {
    let digest: [u8; 32] = Sha256::digest(key).into();
    let mut address = [0; 20];
    address.copy_from_slice(&digest[..20]);
    address
}

/// A message under a consensus signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub kind: u8,
    pub height: u64,
    pub round: u32,
    pub value: Option<Hash>,
    pub address: [u8; 20],
    /// Proposals and parts only.
    pub valid_round: Option<u32>,
}

impl Message {
    /// The bytes to sign, as laid out in the module's documentation.
    pub fn bytes(&self, network: &Hash) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(126);
        bytes.extend_from_slice(DOMAIN);
        bytes.push(VERSION);
        bytes.extend_from_slice(network);
        bytes.push(self.kind);
        bytes.extend_from_slice(&self.height.to_be_bytes());
        bytes.extend_from_slice(&self.round.to_be_bytes());
        bytes.push(u8::from(self.value.is_some()));
        bytes.extend_from_slice(&self.value.unwrap_or_default());
        bytes.extend_from_slice(&self.address);
        if self.kind == SignSlot::PROPOSAL || self.kind == KIND_PART {
            bytes.push(u8::from(self.valid_round.is_some()));
            bytes.extend_from_slice(&self.valid_round.unwrap_or_default().to_be_bytes());
        }
        bytes
    }

    /// Slot and digest for the sign guard.
    pub fn guarded(&self, network: &Hash) -> (SignSlot, Hash) {
        let slot = SignSlot {
            height: self.height,
            round: self.round,
            step: self.kind,
        };
        (slot, Sha256::digest(self.bytes(network)).into())
    }
}

/// The bytes under a precommit for `block`: what each signature of a [`Certificate`] covers.
pub fn precommit_bytes(network: &Hash, height: u64, round: u32, block: &Hash, address: &[u8; 20]) -> Vec<u8> {
    Message {
        kind: SignSlot::PRECOMMIT,
        height,
        round,
        value: Some(*block),
        address: *address,
        valid_round: None,
    }
    .bytes(network)
}

/// The one signature rule of consensus: RFC 8032 with canonical encodings and no small-order keys.
pub(super) fn verify(key: &VerifyingKey, message: &[u8], signature: &[u8; 64]) -> bool {
    Ed25519Key::from(*key).verify(message, signature).is_ok()
}

/// Why a certificate doesn't prove a decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// More signatures than a network can have validators.
    #[error("certificate has {0} signatures, more than a network can have validators")]
    TooMany(usize),
    /// Not one of the validators of this height.
    #[error("signer {} isn't a validator of this height", hex::encode(.0))]
    UnknownSigner([u8; 20]),
    /// Two signatures of one validator.
    #[error("signer {} signed twice", hex::encode(.0))]
    RepeatedSigner([u8; 20]),
    /// The validator's key can't be used.
    #[error("key of validator {} isn't a usable Ed25519 key", hex::encode(.0))]
    BadKey([u8; 20]),
    /// Signature doesn't verify.
    #[error("signature of {} doesn't verify", hex::encode(.0))]
    BadSignature([u8; 20]),
    /// Not more than two thirds of the voting power.
    #[error("signed power {signed} isn't more than two thirds of {total}")]
    NoQuorum {
        /// Power of those who signed.
        signed: u128,
        /// Power of all.
        total: u128,
    },
}

/// True if `certificate` proves that more than two thirds of `validators`' power decided its block on `network`.
///
/// Pure. Every signature in it must be good: a certificate with one bad signature among enough good ones is refused,
/// so that a stored certificate has one reading only.
pub fn verify_certificate(
    certificate: &Certificate,
    validators: &[Validator],
    network: &Hash,
) -> Result<(), CertificateError> {
    if certificate.signatures.len() > MAX_VALIDATORS {
        return Err(CertificateError::TooMany(certificate.signatures.len()));
    }
    let mut seen = BTreeSet::new();
    let mut signed = 0_u128;
    for (address, signature) in &certificate.signatures {
        let validator = validators
            .iter()
            .find(|validator| validator.address == *address)
            .ok_or(CertificateError::UnknownSigner(*address))?;
        if !seen.insert(*address) {
            return Err(CertificateError::RepeatedSigner(*address));
        }
        let key = VerifyingKey::from_bytes(&validator.key).map_err(|_| CertificateError::BadKey(*address))?;
        let bytes = precommit_bytes(
            network,
            certificate.height,
            certificate.round,
            &certificate.block,
            address,
        );
        if !verify(&key, &bytes, signature) {
            return Err(CertificateError::BadSignature(*address));
        }
        signed += u128::from(validator.power);
    }
    let total = validators
        .iter()
        .map(|validator| u128::from(validator.power))
        .sum::<u128>();
    if signed * 3 > total * 2 {
        Ok(())
    } else {
        Err(CertificateError::NoQuorum { signed, total })
    }
}
