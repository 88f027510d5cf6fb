//! Signing and verifying for the engine.
//!
//! Owns the consensus key. Every signature is first put to the [`SignGuard`]; a refusal is reported aside, because
//! the engine only sees that signing failed and ends.

use std::sync::Arc;

use arc_malachitebft_app_channel::app::types::core::{SignedMessage, ValidatorProof, VoteExtensionScope};
use arc_malachitebft_app_channel::{Signer, Verifier};
use arc_malachitebft_signing::{Error, VerificationResult};
use async_trait::async_trait;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use tokio::sync::mpsc::UnboundedSender;

use super::proposals::Proposals;
use crate::block::Hash;
use crate::engine::context::{Address, Ctx, Proposal, Signature, Vote};
use crate::engine::signing::{self, Message};
use crate::engine::{GuardError, SignGuard};

/// The consensus key with what it may be used for.
#[derive(Clone)]
pub struct Key {
    key: SigningKey,
    network: Hash,
    pub address: Address,
}

impl Key {
    /// Signs without asking the guard: for block parts, which bind nobody to anything.
    pub fn sign(&self, message: &Message) -> Signature {
        Signature(self.key.sign(&message.bytes(&self.network)).to_bytes())
    }
}

/// Signs votes and proposals that the guard lets through.
pub struct KeySigner {
    key: Key,
    guard: Arc<dyn SignGuard>,
    refusals: UnboundedSender<GuardError>,
}

impl KeySigner {
    pub fn new(
        seed: &[u8; 32],
        network: Hash,
        guard: Arc<dyn SignGuard>,
        refusals: UnboundedSender<GuardError>,
    ) -> Self {
        let key = SigningKey::from_bytes(seed);
        let address = Address(signing::address(&key.verifying_key().to_bytes()));
        Self {
            key: Key { key, network, address },
            guard,
            refusals,
        }
    }

    pub fn address(&self) -> Address {
        self.key.address
    }

    pub fn public_key(&self) -> [u8; 32] {
        self.key.key.verifying_key().to_bytes()
    }

    pub fn key(&self) -> Key {
        self.key.clone()
    }

    fn guarded(&self, message: &Message) -> Result<Signature, Error> {
        let (slot, digest) = message.guarded(&self.key.network);
        if let Err(error) = self.guard.check(slot, digest) {
            // The receiver is gone only when the engine ends anyway.
            self.refusals.send(error).ok();
            return Err(Error::new());
        }
        Ok(self.key.sign(message))
    }
}

#[async_trait]
impl Signer<Ctx> for KeySigner {
    async fn sign_vote(&self, vote: Vote) -> Result<SignedMessage<Ctx, Vote>, Error> {
        let signature = self.guarded(&vote.message())?;
        Ok(SignedMessage::new(vote, signature))
    }

    async fn sign_proposal(&self, proposal: Proposal) -> Result<SignedMessage<Ctx, Proposal>, Error> {
        let signature = self.guarded(&proposal.message())?;
        Ok(SignedMessage::new(proposal, signature))
    }

    async fn sign_vote_extension(&self, _: VoteExtensionScope<Ctx>, (): ()) -> Result<SignedMessage<Ctx, ()>, Error> {
        // Vote extensions are switched off.
        Err(Error::new())
    }

    async fn sign_validator_proof(&self, key: Vec<u8>, peer: Vec<u8>) -> Result<ValidatorProof<Ctx>, Error> {
        // The engine fixes these bytes; they start with "PoV" and so never equal ours.
        let bytes = ValidatorProof::<Ctx>::signing_bytes(&key, &peer);
        let signature = Signature(self.key.key.sign(&bytes).to_bytes());
        Ok(ValidatorProof::new(key, peer, signature))
    }
}

/// Verifies with `verify_strict` only, one signature at a time.
#[derive(Clone)]
pub struct StrictVerifier {
    pub network: Hash,
    pub proposals: Proposals,
}

impl StrictVerifier {
    fn verify(&self, message: &Message, signature: &Signature, key: &VerifyingKey) -> VerificationResult {
        VerificationResult::from_bool(signing::verify(key, &message.bytes(&self.network), &signature.0))
    }
}

#[async_trait]
impl Verifier<Ctx> for StrictVerifier {
    async fn verify_signed_vote(
        &self,
        vote: &Vote,
        signature: &Signature,
        key: &VerifyingKey,
    ) -> Result<VerificationResult, Error> {
        Ok(self.verify(&vote.message(), signature, key))
    }

    async fn verify_signed_proposal(
        &self,
        proposal: &Proposal,
        signature: &Signature,
        key: &VerifyingKey,
    ) -> Result<VerificationResult, Error> {
        let message = proposal.message();
        let signed = signing::verify(key, &message.bytes(&self.network), &signature.0);
        let proposer = Address(message.address);
        Ok(VerificationResult::from_bool(
            signed
                && self
                    .proposals
                    .agree(proposer, message.height, message.round, message.valid_round),
        ))
    }

    async fn verify_signed_vote_extension(
        &self,
        _: &VoteExtensionScope<Ctx>,
        (): &(),
        _: &Signature,
        _: &VerifyingKey,
    ) -> Result<VerificationResult, Error> {
        Ok(VerificationResult::Invalid)
    }

    async fn verify_validator_proof(&self, proof: &ValidatorProof<Ctx>) -> Result<VerificationResult, Error> {
        let valid = proof
            .decoded_public_key()
            .is_ok_and(|key| signing::verify(&key, &proof.preimage(), &proof.signature.0));
        Ok(VerificationResult::from_bool(valid))
    }
}
