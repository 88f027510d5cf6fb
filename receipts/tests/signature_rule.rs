//! Our Ed25519 check accepts exactly what the library's strict one accepts, whatever key and signature are made of: keys
//! and `R` with small-order components, second encodings, `s` that is off.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use muniment_receipts::key::Ed25519Key;
use sha2::{Digest, Sha512};

const MESSAGE: &[u8] = b"a message";

/// What was compared.
#[derive(Default)]
struct Seen {
    accepted: u32,
    refused: u32,
}

impl Seen {
    fn compare(&mut self, key: &[u8; 32], signature: &[u8; 64]) {
        let Ok(ours) = Ed25519Key::from_bytes(key) else { return };
        let theirs = ed25519_dalek::VerifyingKey::from_bytes(key).unwrap();
        let strict = theirs
            .verify_strict(MESSAGE, &ed25519_dalek::Signature::from_bytes(signature))
            .is_ok();
        let what = format!("key {}, signature {}", hex::encode(key), hex::encode(signature));
        assert_eq!(ours.verify(MESSAGE, signature).is_ok(), strict, "{what}");
        if strict {
            self.accepted += 1;
        } else {
            self.refused += 1;
        }
    }
}

fn sign(r: &EdwardsPoint, key: &EdwardsPoint, secret: Scalar, nonce: Scalar) -> [u8; 64] {
    let r = r.compress();
    let hash = Sha512::new()
        .chain_update(r.as_bytes())
        .chain_update(key.compress().as_bytes())
        .chain_update(MESSAGE);
    let challenge = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(r.as_bytes());
    signature[32..].copy_from_slice((nonce + challenge * secret).as_bytes());
    signature
}

/// All 32 bytes whose y is not below the field's prime, with both signs: second encodings of points, or of no point.
fn second_encodings() -> Vec<[u8; 32]> {
    let lows = (0xed..=0xff_u8).flat_map(|low| [(low, 0x7f), (low, 0xff)]);
    lows.map(|(low, high)| {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (low, high);
        bytes
    })
    .collect()
}

#[test]
fn points_with_small_order_parts() {
    let mut seen = Seen::default();
    for (round, torsion) in (1_u64..).zip(EIGHT_TORSION.iter().cycle().take(64)) {
        let r_torsion = EIGHT_TORSION[(round / 8) as usize % 8];
        let (secret, nonce) = (Scalar::from(round), Scalar::from(round * 7 + 1));
        let (base, base_r) = (ED25519_BASEPOINT_POINT * secret, ED25519_BASEPOINT_POINT * nonce);
        for key in [base, base + torsion, *torsion] {
            for r in [base_r, base_r + r_torsion, r_torsion] {
                for (secret, nonce) in [
                    (secret, nonce),
                    (Scalar::ZERO, Scalar::ZERO),
                    (secret, Scalar::ZERO),
                    (Scalar::ZERO, nonce),
                ] {
                    let mut signature = sign(&r, &key, secret, nonce);
                    let key = key.compress();
                    seen.compare(key.as_bytes(), &signature);
                    signature[32] ^= 1;
                    seen.compare(key.as_bytes(), &signature);
                    signature[32] ^= 1;
                    signature[63] |= 0xf0;
                    seen.compare(key.as_bytes(), &signature);
                }
            }
        }
    }
    assert!(
        seen.accepted >= 64 && seen.refused > 5_000,
        "{} {}",
        seen.accepted,
        seen.refused
    );
}

#[test]
fn second_encodings_of_points() {
    let mut seen = Seen::default();
    let key = (ED25519_BASEPOINT_POINT * Scalar::from(5_u8)).compress();
    for bytes in second_encodings() {
        for s in [0_u8, 1, 2] {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&bytes);
            signature[32] = s;
            seen.compare(key.as_bytes(), &signature);
            seen.compare(&bytes, &signature);
            let r = EIGHT_TORSION[usize::from(s)].compress();
            signature[..32].copy_from_slice(r.as_bytes());
            seen.compare(&bytes, &signature);
        }
    }
    assert!(seen.refused > 100, "{}", seen.refused);
}
