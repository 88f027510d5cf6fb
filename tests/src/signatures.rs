//! What validators have signed, as every node's block stream shows it: one value per validator and slot, ever.
//!
//! A node keeps the certificate and the cosignatures that it saw itself, so several streams, read several times, show
//! more than one. Signatures that never became part of a block leave no trace here; the signing guard's own file says
//! up to where a validator went.

use std::collections::BTreeMap;

use futures::StreamExt;
use muniment_ledger::block::Hash;
use muniment_ledger::engine::Validator;
use muniment_ledger::engine::signing::verify_certificate;
use muniment_ledger::wire::FinalBlock;
use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::cose;
use muniment_receipts::trust::{TrustRoot, ValidatorSet};

use crate::world::World;

/// Signatures seen so far.
#[derive(Default)]
pub struct Signatures {
    /// By validator, height and round: the block. Every precommit in a certificate was checked.
    precommits: BTreeMap<(String, u64, u32), Hash>,
    /// By validator and height: the checkpoint's size and root. Both of its signatures were checked.
    checkpoints: BTreeMap<(String, u64), (u64, Hash)>,
}

impl Signatures {
    /// Reads the streams of all validators that answer, from the first block to where each is now.
    ///
    /// # Panics
    /// When a signature does not hold, or a validator signed two different things for one slot.
    pub async fn read(&mut self, world: &dyn World) {
        let trust = world.trust();
        for status in crate::world::statuses(world).await {
            let mut blocks = world.node(&status.name).follow(1);
            for height in 1..=status.height {
                let block = blocks.next().await.unwrap().unwrap();
                assert_eq!(block.header.height, height, "the stream of {} has a gap", status.name);
                self.take(&trust, &block, &status.name);
            }
        }
    }

    fn take(&mut self, trust: &TrustRoot, block: &FinalBlock, from: &str) {
        let height = block.header.height;
        let set = trust.validators_at(height);
        let voters = voters(set);
        let certificate = &block.certificate;
        verify_certificate(certificate, &voters, trust.network())
            .unwrap_or_else(|error| panic!("certificate of height {height} from {from}: {error}"));
        for (address, _) in &certificate.signatures {
            let signer = voters.iter().position(|voter| voter.address == *address).unwrap();
            let slot = (set.validators()[signer].name.clone(), height, certificate.round);
            let first = *self.precommits.entry(slot.clone()).or_insert(certificate.block);
            assert_eq!(
                first, certificate.block,
                "{slot:?} precommitted two blocks; seen at {from}"
            );
        }
        let value = (block.log_size, block.log_root);
        let checkpoint = Checkpoint::new(trust.network(), value.0, value.1);
        let signed = cose::tbs(value.0, &value.1);
        for one in &block.cosignatures {
            let signer = usize::from(one.validator);
            let slot = (set.validators()[signer].name.clone(), height);
            let notary = set.cosigner(signer).unwrap();
            notary.verify(one.time, &checkpoint, &one.signature).unwrap();
            set.cose_key(signer).unwrap().verify(&signed, &one.cose).unwrap();
            let first = *self.checkpoints.entry(slot.clone()).or_insert(value);
            assert_eq!(first, value, "{slot:?} cosigned two checkpoints; seen at {from}");
        }
    }

    /// Heights whose certificates hold a precommit of this validator, in order.
    pub fn voted(&self, validator: &str) -> Vec<u64> {
        let own = self.precommits.keys().filter(|(name, ..)| name == validator);
        let mut heights: Vec<u64> = own.map(|(_, height, _)| *height).collect();
        heights.dedup();
        heights
    }
}

fn voters(set: &ValidatorSet) -> Vec<Validator> {
    let keys = set.validators().iter().map(|keys| keys.consensus_key().unwrap());
    keys.map(|key| Validator::new(key, 1)).collect()
}
