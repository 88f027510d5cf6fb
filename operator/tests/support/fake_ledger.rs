//! A stand-in for the ledger's word on who its validators are: trust roots whose changes hold, because they are signed
//! with the validators' own keys.

use ed25519_dalek::{Signer, SigningKey};
use muniment_ledger::config::ReplicaKeys;
use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::cosignature;
use muniment_receipts::genesis::{ValidatorKeys, validators_hash};
use muniment_receipts::leaf::{self, Marker};
use muniment_receipts::merkle::{Frontier, leaf_hash};
use muniment_receipts::tlog_proof::TlogProof;
use muniment_receipts::trust::{Cosignature, TrustRoot, ValidatorChange};

const TIME: u64 = 1_767_225_600;

/// Adds the change to a next set, at the next height. `keys` gives a validator's private keys.
pub fn change(root: &mut TrustRoot, next: Vec<ValidatorKeys>, keys: impl Fn(&str) -> ReplicaKeys) {
    let set = root.newest();
    let height = set.from_height() + 1;
    let marker = leaf::marker(&Marker {
        block: [1; 32],
        height: height - 1,
        network: *root.network(),
        next_validators: validators_hash(&next).unwrap(),
        state_root: [2; 32],
        time: TIME * 1_000,
        validators: *set.hash(),
    });
    let tree = Frontier::new().extension(&[leaf_hash(&marker)]).frontier();
    let checkpoint = Checkpoint::new(root.network(), tree.size(), tree.root());
    let sign = |(place, validator): (u16, &ValidatorKeys)| {
        let seed: [u8; 32] = hex::decode(keys(&validator.name).notary).unwrap().try_into().unwrap();
        let message = cosignature::message(TIME, &checkpoint);
        Cosignature {
            validator: place,
            time: TIME,
            signature: SigningKey::from_bytes(&seed).sign(&message).to_bytes(),
        }
    };
    let signatures: Vec<Cosignature> = (0..).zip(set.validators()).map(sign).collect();
    let proof = TlogProof {
        extra: None,
        index: 0,
        path: Vec::new(),
        checkpoint: set.note(&checkpoint, &signatures).unwrap(),
    };
    root.add(ValidatorChange::new(height, &marker, &proof, next)).unwrap();
}
