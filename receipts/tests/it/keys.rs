//! Signature rules against Wycheproof, speccheck and CCTV.

use muniment_receipts::key::{Ed25519Key, KeyError, SignerKey};
use p256::ecdsa::signature::Signer as _;
use p256::elliptic_curve::scalar::IsHigh;

use crate::vectors;
use crate::world::signing_key;

#[test]
fn text_form_is_one() {
    let key = SignerKey::ed25519(signing_key("a").verifying_key().as_bytes());
    let text = key.to_string();
    assert_eq!(text.parse(), Ok(key));
    let p256 = p256::ecdsa::SigningKey::from_slice(&[3; 32]).unwrap();
    let point = p256.verifying_key().to_sec1_point(true);
    let p256 = SignerKey::P256(point.as_bytes().try_into().unwrap());
    assert_eq!(p256.to_string().parse(), Ok(p256));
    let last = text.pop_last();
    for wrong in [
        String::new(),
        "ed25519:".to_owned(),
        text.to_uppercase(),
        format!("{text}="),
        format!("{text}A"),
        format!(" {text}"),
        format!("{last}_"),
        last,
        text.replace("ed25519", "p256"),
        p256.to_string().replace("p256", "ed25519"),
    ] {
        assert_eq!(wrong.parse::<SignerKey>(), Err(KeyError::Text), "{wrong}");
    }
}

trait PopLast {
    fn pop_last(&self) -> String;
}

impl PopLast for String {
    fn pop_last(&self) -> String {
        self[..self.len() - 1].to_owned()
    }
}

#[test]
fn p256_needs_low_s() {
    let key = p256::ecdsa::SigningKey::from_slice(&[3; 32]).unwrap();
    let signer = SignerKey::P256(key.verifying_key().to_sec1_point(true).as_bytes().try_into().unwrap());
    let signature: p256::ecdsa::Signature = key.sign(b"message");
    let low = signature.normalize_s();
    let high = p256::ecdsa::Signature::from_scalars(low.r(), -*low.s()).unwrap();
    assert!(bool::from(high.s().is_high()));
    signer.verify(b"message", &low.to_bytes().into()).unwrap();
    assert_eq!(
        signer.verify(b"message", &high.to_bytes().into()),
        Err(KeyError::Signature)
    );
    assert_eq!(
        signer.verify(b"massage", &low.to_bytes().into()),
        Err(KeyError::Signature)
    );
    assert_eq!(SignerKey::P256([5; 33]).verify(b"", &[0; 64]), Err(KeyError::Point));
}

#[test]
fn wycheproof_ed25519() {
    let Some(file) = vectors::json("ed25519/wycheproof_ed25519.json") else {
        return;
    };
    let mut count = 0;
    for group in file["testGroups"].as_array().unwrap() {
        let key = SignerKey::ed25519(&vectors::hex(&group["publicKey"]["pk"]).try_into().unwrap());
        for test in group["tests"].as_array().unwrap() {
            let signature = <[u8; 64]>::try_from(vectors::hex(&test["sig"])).ok();
            let holds = signature.is_some_and(|signature| key.verify(&vectors::hex(&test["msg"]), &signature).is_ok());
            assert_eq!(holds, test["result"] == "valid", "tcId {}", test["tcId"]);
            count += 1;
        }
    }
    assert_eq!(count, 76);
}

#[test]
fn speccheck() {
    let Some(file) = vectors::json("ed25519/speccheck.json") else {
        return;
    };
    let cases = file.as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let key = SignerKey::ed25519(&vectors::hex(&case["pub_key"]).try_into().unwrap());
        let signature = vectors::hex(&case["signature"]).try_into().unwrap();
        let holds = key.verify(&vectors::hex(&case["message"]), &signature).is_ok();
        assert_eq!(
            holds,
            case["accepts"]["Dalek strict"].as_bool().unwrap(),
            "case {}",
            case["index"]
        );
    }
}

/// The file has no verdicts. Strict acceptance implies that nothing has low order, and is the rarest of all rules.
#[test]
fn cctv() {
    let Some(file) = vectors::json("ed25519/cctv_ed25519vectors.json") else {
        return;
    };
    let cases = file.as_array().unwrap();
    assert_eq!(cases.len(), 448);
    let mut accepted = 0;
    for case in cases {
        let key: [u8; 32] = vectors::hex(&case["key"]).try_into().unwrap();
        let signature = vectors::hex(&case["sig"]).try_into().unwrap();
        let message = case["msg"].as_str().unwrap().as_bytes();
        let flags: Vec<&str> = case["flags"].as_array().map_or(Vec::new(), |flags| {
            flags.iter().filter_map(|flag| flag.as_str()).collect()
        });
        if SignerKey::ed25519(&key).verify(message, &signature).is_ok() {
            accepted += 1;
            for flag in [
                "low_order_R",
                "low_order_A",
                "non_canonical_R",
                "reencoded_k",
                "low_order_residue",
            ] {
                assert!(!flags.contains(&flag), "vector {}: {flag}", case["number"]);
            }
        }
        let bad_key = ["low_order_A", "low_order_component_A", "non_canonical_A"]
            .iter()
            .any(|flag| flags.contains(flag));
        assert_eq!(
            Ed25519Key::registered(&key).is_err(),
            bad_key,
            "vector {}: {flags:?}",
            case["number"]
        );
    }
    eprintln!("CCTV: {accepted} of 448 accepted");
    assert_eq!(accepted, 17);
}

#[test]
fn wycheproof_p256() {
    let Some(file) = vectors::json("ecdsa/wycheproof_p256_sha256.json") else {
        return;
    };
    let (mut valid, mut high, mut invalid, mut not_der) = (0, 0, 0, 0);
    for group in file["testGroups"].as_array().unwrap() {
        let point = vectors::hex(&group["publicKey"]["uncompressed"]);
        let mut key = [0; 33];
        key[0] = 2 + (point[64] & 1);
        key[1..].copy_from_slice(&point[1..33]);
        let key = SignerKey::P256(key);
        for test in group["tests"].as_array().unwrap() {
            let message = vectors::hex(&test["msg"]);
            let Some(signature) = from_der(&vectors::hex(&test["sig"])) else {
                assert_ne!(test["result"], "valid", "tcId {}", test["tcId"]);
                not_der += 1;
                continue;
            };
            let holds = key.verify(&message, &signature).is_ok();
            if test["result"] == "valid" {
                let parsed = p256::ecdsa::Signature::from_slice(&signature).unwrap();
                let is_high = parsed.normalize_s() != parsed;
                assert_eq!(holds, !is_high, "tcId {}", test["tcId"]);
                key.verify(&message, &parsed.normalize_s().to_bytes().into()).unwrap();
                valid += 1;
                high += usize::from(is_high);
            } else {
                assert!(!holds, "tcId {}", test["tcId"]);
                invalid += 1;
            }
        }
    }
    eprintln!("P-256: {valid} valid of which {high} with high s, {invalid} invalid, {not_der} not expressible");
    assert_eq!(valid + invalid + not_der, 242);
    assert!(high > 0 && invalid > 0);
}

/// `SEQUENCE { INTEGER r, INTEGER s }` in DER, each of at most 32 bytes.
fn from_der(der: &[u8]) -> Option<[u8; 64]> {
    let (&[0x30, length], body) = der.split_first_chunk::<2>()? else {
        return None;
    };
    let (r, rest) = integer(body).filter(|_| body.len() == usize::from(length))?;
    let (s, rest) = integer(rest)?;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(&s);
    rest.is_empty().then_some(signature)
}

fn integer(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (&[2, length], rest) = der.split_first_chunk::<2>()? else {
        return None;
    };
    let (number, rest) = rest.split_at_checked(usize::from(length))?;
    let padded = number.first() == Some(&0) && number.get(1).is_some_and(|byte| byte & 0x80 != 0);
    if number.first()? & 0x80 != 0 || (number[0] == 0 && number.len() > 1 && !padded) {
        return None;
    }
    let number = if number[0] == 0 { &number[1..] } else { number };
    let mut bytes = [0; 32];
    bytes
        .get_mut(32_usize.checked_sub(number.len())?..)?
        .copy_from_slice(number);
    Some((bytes, rest))
}
