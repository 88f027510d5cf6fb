#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::networks::proof::{self, Step};
use ed25519_dalek::{Signer as _, SigningKey};
use muniment_ledger::replica::Replica as _;
use muniment_ledger::replica::memory::{MemoryReplica, test_network};
use muniment_receipts::genesis::Member;
use muniment_receipts::key::SignerKey;
use muniment_receipts::statement::{Common, Statement};
use serde_json::json;

/// A signed statement over a number; the same number again is a duplicate.
fn transaction(network: &Hash, nonce: u8, number: u8) -> Transaction {
    let key = SigningKey::from_bytes(&[42; 32]);
    let common = Common {
        action: "deposit".to_owned(),
        network: *network,
        nonce: [nonce; 16],
        revision: 1,
        signer: SignerKey::ed25519(key.verifying_key().as_bytes()),
        template: "notarization".to_owned(),
        valid_until: u64::try_from(crate::time::now_ms()).unwrap() + 60_000,
    };
    let input = serde_json::Map::from_iter([("n".to_owned(), json!(number))]);
    let statement = Statement::new(common, input, None).canonical().unwrap();
    let signature = key.sign(&statement).to_bytes();
    Transaction::Single { statement, signature }
}

/// Two blocks: the second with two accepted actions and a rejected one.
fn world() -> (MemoryReplica, FinalBlock, FinalBlock, Frontier) {
    let key = SigningKey::from_bytes(&[42; 32]);
    let member = Member {
        name: "alice".to_owned(),
        key: SignerKey::ed25519(key.verifying_key().as_bytes()).to_string(),
    };
    let (genesis, keys) = test_network(4, vec![member]);
    let replica = MemoryReplica::new(&genesis, &keys).unwrap();
    let network = *replica.trust_root().network();
    replica.admit(vec![transaction(&network, 1, 1)]);
    replica.hold(true);
    let more = vec![
        transaction(&network, 2, 2),
        transaction(&network, 3, 1),
        transaction(&network, 4, 4),
    ];
    replica.admit(more);
    replica.hold(false);
    let first = replica.final_block(1).unwrap().unwrap();
    let second = replica.final_block(2).unwrap().unwrap();
    let resolved = resolve(&first, &Frontier::new(), replica.trust_root(), true).unwrap();
    (replica, first, second, resolved.growth.frontier())
}

fn rejected(code: &str) -> Outcome {
    Outcome::Rejected {
        code: code.to_owned(),
        message: "no".to_owned(),
        pointer: String::new(),
        record: None,
    }
}

#[test]
fn an_honest_block_is_taken() {
    let (replica, _, second, frontier) = world();
    let resolved = resolve(&second, &frontier, replica.trust_root(), true).unwrap();
    assert_eq!((resolved.height, resolved.leaves.len(), resolved.ids.len()), (2, 2, 3));
    assert!(resolved.accepts(0) && !resolved.accepts(1) && resolved.accepts(2));
    assert_eq!(resolved.position(&second.transactions[2].id()), Some(2));
}

/// Name, how a liar changes the block.
type Lie = (&'static str, fn(&mut FinalBlock, &FinalBlock));

#[test]
fn no_lie_about_what_was_signed_passes() {
    let (replica, first, second, frontier) = world();
    let lies: &[Lie] = &[
        ("a pending transaction is put in as refused", |block, _| {
            block.transactions.push(transaction(&block.header.network, 9, 9));
            block.outcomes.push(vec![rejected("NOT_A_MEMBER")]);
        }),
        ("the same with a header that fits", |block, _| {
            block.transactions.push(transaction(&block.header.network, 9, 9));
            block.outcomes.push(vec![rejected("NOT_A_MEMBER")]);
            block.header.transactions += 1;
            block.header.transactions_root = transactions_root(&block.transactions).unwrap();
            block.certificate.block = block.header.hash();
        }),
        ("a time far ahead", |block, _| {
            block.header.time += 3_600_000;
            block.certificate.block = block.header.hash();
        }),
        ("a transaction is left out", |block, _| {
            block.transactions.remove(1);
            block.outcomes.remove(1);
        }),
        ("an accepted action is called rejected", |block, _| {
            block.outcomes[2] = vec![rejected("DUPLICATE")];
        }),
        ("the same with a log that fits", |block, _| {
            block.outcomes[2] = vec![rejected("DUPLICATE")];
            block.log_size -= 1;
        }),
        ("a rejected action is called accepted", |block, _| {
            block.outcomes[1] = block.outcomes[0].clone();
        }),
        ("another record", |block, _| {
            if let Outcome::Accepted { record, .. } = &mut block.outcomes[0][0] {
                record[0] ^= 1;
            }
        }),
        ("another state root", |block, _| block.state_root[0] ^= 1),
        ("another marker", |block, first| block.marker.clone_from(&first.marker)),
        ("a height ahead", |block, _| block.header.height = 77),
        ("an old checkpoint again", |block, first| {
            (block.log_size, block.log_root) = (first.log_size, first.log_root);
            block.cosignatures.clone_from(&first.cosignatures);
        }),
        ("a log that ends before it begins", |block, _| block.log_size = 0),
        ("a log without end", |block, _| block.log_size = u64::MAX),
        ("indices at the end of numbers", |block, _| {
            block.first_leaf = u64::MAX;
            for outcome in block.outcomes.iter_mut().flatten() {
                if let Outcome::Accepted { leaf, .. } = outcome {
                    *leaf = u64::MAX;
                }
            }
        }),
        ("too few cosignatures", |block, _| block.cosignatures.truncate(2)),
        ("one cosignature three times", |block, _| {
            let one = block.cosignatures[0].clone();
            block.cosignatures = vec![one; 3];
        }),
        // The quorum is there all the same: what is refused is the work.
        ("more cosignatures than validators", |block, _| {
            let one = block.cosignatures[0].clone();
            block.cosignatures.extend(vec![one; 5]);
        }),
        ("a validator's cosignature twice", |block, _| {
            let last = block.cosignatures.len() - 1;
            block.cosignatures[last] = block.cosignatures[0].clone();
        }),
        ("nothing at all", |block, _| {
            (block.transactions, block.outcomes) = (Vec::new(), Vec::new());
        }),
    ];
    for (name, lie) in lies {
        let mut block = second.clone();
        lie(&mut block, &first);
        assert!(
            resolve(&block, &frontier, replica.trust_root(), true).is_err(),
            "{name}"
        );
    }
}

#[test]
fn only_what_depends_on_our_own_log_differs() {
    let (replica, first, second, frontier) = world();
    let elsewhere = resolve(&second, &Frontier::new(), replica.trust_root(), false);
    assert!(matches!(elsewhere, Err(BlockError::Differs { .. })));
    let (size, mut peaks) = (frontier.size(), frontier.parts().1.to_vec());
    peaks[0][0] ^= 1;
    let damaged = Frontier::from_parts(size, peaks).unwrap();
    let elsewhere = resolve(&second, &damaged, replica.trust_root(), false);
    assert!(matches!(elsewhere, Err(BlockError::Differs { .. })));
    let mut lie = second;
    lie.header.time += 1;
    let lied = resolve(&lie, &frontier, replica.trust_root(), false);
    assert!(matches!(lied, Err(BlockError::Wrong { .. })));
    let mut unsigned = first;
    unsigned.cosignatures.clear();
    let unsigned = resolve(&unsigned, &Frontier::new(), replica.trust_root(), false);
    assert!(matches!(unsigned, Err(BlockError::Unproven { .. })));
}

#[test]
fn a_proof_is_of_one_step_and_has_a_bounded_price() {
    let (replica, first, _, _) = world();
    let trust = replica.trust_root();
    let Outcome::Accepted { record, leaf, .. } = first.outcomes[0][0] else {
        panic!("{:?}", first.outcomes)
    };
    let proof = replica.leaf_proof(leaf).unwrap().unwrap();
    let proven = proof::check(&proof, leaf, trust).unwrap();
    let steps = [
        (record, None, true),
        (record, Some(1), true),
        (record, Some(2), false),
        ([9; 32], None, false),
    ];
    for (record, version, same) in steps {
        let step = Step { record, version };
        assert_eq!(proven.recorded(&step).is_some(), same);
        // Another step's leaf is no fault of the proof.
        assert_eq!(proven.cose_receipts(&proof, &step, trust).unwrap().is_some(), same);
    }
    let marker = replica.leaf_proof(leaf + 1).unwrap().unwrap();
    let marker = proof::check(&marker, leaf + 1, trust).unwrap();
    let version = None;
    assert!(marker.recorded(&Step { record, version }).is_none());
    let mut padded = proof.clone();
    padded.cose.extend(vec![proof.cose[0].clone(); 5]);
    let padded = proven.cose_receipts(&padded, &Step { record, version }, trust);
    assert!(padded.is_err());
}

#[test]
fn cosignatures_weigh_as_much_as_actions() {
    let (_, mut first, _, _) = world();
    let one = first.cosignatures[0].clone();
    first.cosignatures = vec![one; 1_000];
    assert_eq!(weight(&first), 1_000);
}

/// The threat model says so: why an action was rejected is the sender's word, that it was rejected isn't.
#[test]
fn the_reason_of_a_rejection_is_not_proven() {
    let (replica, _, mut second, frontier) = world();
    second.outcomes[1] = vec![rejected("SOMETHING_ELSE")];
    assert!(resolve(&second, &frontier, replica.trust_root(), true).is_ok());
}
