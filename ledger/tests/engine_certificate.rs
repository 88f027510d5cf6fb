//! Certificates and the bytes under them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ed25519_dalek::{Signer, SigningKey};
use muniment_ledger::block::Certificate;
use muniment_ledger::engine::Validator;
use muniment_ledger::engine::signing::{CertificateError, precommit_bytes, verify_certificate};
use proptest::prelude::*;

const NETWORK: [u8; 32] = [5; 32];

fn keys(count: u8) -> (Vec<SigningKey>, Vec<Validator>) {
    let keys: Vec<_> = (1..=count).map(|byte| SigningKey::from_bytes(&[byte; 32])).collect();
    let validators = keys
        .iter()
        .map(|key| Validator::new(key.verifying_key().to_bytes(), 1))
        .collect();
    (keys, validators)
}

fn certificate(keys: &[SigningKey], signers: &[usize]) -> Certificate {
    let sign = |index: &usize| {
        let address = Validator::new(keys[*index].verifying_key().to_bytes(), 1).address;
        (
            address,
            keys[*index]
                .sign(&precommit_bytes(&NETWORK, 9, 1, &[8; 32], &address))
                .to_bytes(),
        )
    };
    Certificate {
        height: 9,
        round: 1,
        block: [8; 32],
        signatures: signers.iter().map(sign).collect(),
    }
}

/// Frozen: history is verified with these bytes for years.
#[test]
fn precommit_bytes_are_frozen() {
    let bytes = precommit_bytes(
        &[0x11; 32],
        0x0102_0304_0506_0708,
        0x0a0b_0c0d,
        &[0x22; 32],
        &[0x33; 20],
    );
    let expected = [
        "6d756e696d656e742e6465762f636f6e73656e737573",
        "01",
        &"11".repeat(32),
        "02",
        "0102030405060708",
        "0a0b0c0d",
        "01",
        &"22".repeat(32),
        &"33".repeat(20),
    ]
    .concat();
    assert_eq!(hex::encode(bytes), expected);
}

#[test]
fn more_than_two_thirds_are_needed() {
    let (keys, validators) = keys(4);
    assert_eq!(
        verify_certificate(&certificate(&keys, &[0, 2, 3]), &validators, &NETWORK),
        Ok(())
    );
    assert_eq!(
        verify_certificate(&certificate(&keys, &[3, 2, 1, 0]), &validators, &NETWORK),
        Ok(())
    );
    let few = verify_certificate(&certificate(&keys, &[0, 1]), &validators, &NETWORK);
    assert_eq!(few, Err(CertificateError::NoQuorum { signed: 2, total: 4 }));
    let none = verify_certificate(&certificate(&keys, &[]), &[], &NETWORK);
    assert_eq!(none, Err(CertificateError::NoQuorum { signed: 0, total: 0 }));
    // Exactly two thirds aren't enough.
    let (keys, validators) = self::keys(3);
    assert!(verify_certificate(&certificate(&keys, &[0, 1]), &validators, &NETWORK).is_err());
}

#[test]
fn power_counts_not_heads() {
    let (keys, mut validators) = keys(4);
    validators[0].power = u64::MAX;
    assert_eq!(
        verify_certificate(&certificate(&keys, &[0]), &validators, &NETWORK),
        Ok(())
    );
    assert!(verify_certificate(&certificate(&keys, &[1, 2, 3]), &validators, &NETWORK).is_err());
}

#[test]
fn signers_are_validators_and_sign_once() {
    let (keys, validators) = keys(5);
    let foreign = verify_certificate(&certificate(&keys, &[0, 1, 2, 4]), &validators[..4], &NETWORK);
    assert_eq!(foreign, Err(CertificateError::UnknownSigner(validators[4].address)));
    let twice = verify_certificate(&certificate(&keys, &[0, 1, 1]), &validators, &NETWORK);
    assert_eq!(twice, Err(CertificateError::RepeatedSigner(validators[1].address)));
}

#[test]
fn a_certificate_of_another_network_is_refused() {
    let (keys, validators) = keys(4);
    let error = verify_certificate(&certificate(&keys, &[0, 1, 2]), &validators, &[6; 32]).unwrap_err();
    assert!(matches!(error, CertificateError::BadSignature(_)));
}

proptest! {
    #[test]
    fn any_flipped_bit_is_noticed(signer in 0_usize..4, byte in 0_usize..64, bit in 0_u8..8, field in 0_u8..4) {
        let (keys, validators) = keys(4);
        let mut certificate = certificate(&keys, &[0, 1, 2, 3]);
        match field {
            0 => certificate.signatures[signer].1[byte] ^= 1 << bit,
            1 => certificate.block[byte % 32] ^= 1 << bit,
            2 => certificate.height ^= 1 << byte,
            _ => certificate.round ^= 1 << (byte % 32),
        }
        prop_assert!(verify_certificate(&certificate, &validators, &NETWORK).is_err());
    }
}
