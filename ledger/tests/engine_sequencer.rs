//! The deterministic twin.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "engine/toy.rs"]
mod toy;

use muniment_ledger::engine::sequencer::Sequencer;
use muniment_ledger::engine::signing::verify_certificate;
use muniment_ledger::engine::{Application, Validator};
use toy::Toy;

const NETWORK: [u8; 32] = [3; 32];

fn network(count: u8) -> (Sequencer<Toy>, Vec<Validator>) {
    let key = |index: u8| {
        ed25519_dalek::SigningKey::from_bytes(&[index; 32])
            .verifying_key()
            .to_bytes()
    };
    let validators: Vec<_> = (0..count).map(|index| Validator::new(key(index), 1)).collect();
    let members = (0..count)
        .map(|index| ([index; 32], Toy::new(&validators, 4096)))
        .collect();
    (Sequencer::new(NETWORK, members), validators)
}

#[test]
fn decides_in_turn_with_real_certificates() {
    let (mut network, validators) = network(4);
    for number in 0..200 {
        for member in 0..4 {
            network
                .app(member)
                .submit(format!("transaction number {number}").as_bytes());
        }
    }
    network.settle().unwrap();
    assert!(network.tip() > 1);
    for member in 0..4 {
        assert_eq!(network.app(member).transactions().len(), 200);
        assert_eq!(network.app(member).hashes(), network.app(0).hashes());
        for certificate in &network.app(member).disk().decided {
            verify_certificate(certificate, &validators, &NETWORK).unwrap();
        }
    }
}

#[test]
fn goes_on_without_one_stops_without_two_and_catches_up() {
    let (mut network, validators) = network(4);
    assert_eq!(network.step().unwrap(), Some(1));
    network.stop(2);
    for height in 2..8 {
        assert_eq!(network.step().unwrap(), Some(height));
    }
    network.stop(0);
    assert_eq!(network.step().unwrap(), None);
    network.start(2).unwrap();
    assert_eq!(network.app(2).tip(), 7);
    assert_eq!(network.step().unwrap(), Some(8));
    network.replace(0, Toy::new(&validators, 4096));
    network.start(0).unwrap();
    assert_eq!(network.app(0).hashes(), network.app(1).hashes());
}
