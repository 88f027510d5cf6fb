//! The receipt check once more, from the text of the formats: tlog-proof, tlog-checkpoint, signed-note,
//! tlog-cosignature, tlog-policy (c2sp.org), RFC 6962. Our crate makes the files; nothing of it judges them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::world::World;

type Hash = [u8; 32];

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

struct Witness {
    name: String,
    vkey_name: String,
    id: Vec<u8>,
    key: VerifyingKey,
}

/// `name+id+base64(0x04 || key)`; the id must follow from name and key.
fn witness(name: &str, vkey: &str) -> Option<Witness> {
    let mut parts = vkey.splitn(3, '+');
    let (vkey_name, id, key) = (
        parts.next()?,
        hex::decode(parts.next()?).ok()?,
        STANDARD.decode(parts.next()?).ok()?,
    );
    let (&kind, key) = key.split_first()?;
    let expected = sha256(&[vkey_name.as_bytes(), b"\n", &[kind], key]);
    if kind != 4 || id != expected[..4] {
        return None;
    }
    let key = VerifyingKey::from_bytes(key.try_into().ok()?).ok()?;
    Some(Witness {
        name: name.to_owned(),
        vkey_name: vkey_name.to_owned(),
        id,
        key,
    })
}

/// A policy with witnesses and one level of groups: enough for ours.
fn policy(text: &str, cosigned: impl Fn(&Witness) -> bool) -> Option<bool> {
    let mut met = std::collections::HashMap::new();
    for line in text.lines() {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["witness", name, vkey] => {
                let witness = witness(name, vkey)?;
                let cosigned = cosigned(&witness);
                met.insert(witness.name, cosigned);
            }
            ["group", name, threshold, members @ ..] => {
                let count = members.iter().filter(|member| met[**member]).count();
                met.insert((*name).to_owned(), count >= threshold.parse().ok()?);
            }
            ["quorum", name] => return met.get(*name).copied(),
            _ => return None,
        }
    }
    None
}

/// RFC 9162 section 2.1.3.2, step by step.
fn root(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut fn_, mut sn, mut r) = (index, size - 1, leaf);
    for p in path {
        if sn == 0 {
            return None;
        }
        if fn_ & 1 == 1 || fn_ == sn {
            r = sha256(&[&[1], p, &r]);
            while fn_ & 1 == 0 && fn_ != 0 {
                fn_ >>= 1;
                sn >>= 1;
            }
        } else {
            r = sha256(&[&[1], &r, p]);
        }
        fn_ >>= 1;
        sn >>= 1;
    }
    (sn == 0).then_some(r)
}

fn holds(proof: &str, leaf: &[u8], policy_text: &str, origin: &str) -> Option<bool> {
    let (head, note) = proof.split_once("\n\n")?;
    let mut lines = head.lines();
    if lines.next()? != "c2sp.org/tlog-proof@v1" {
        return None;
    }
    let index = lines.next()?.strip_prefix("index ")?.parse().ok()?;
    let path: Option<Vec<Hash>> = lines.map(|line| STANDARD.decode(line).ok()?.try_into().ok()).collect();
    let split = note.rfind("\n\n")?;
    let (body, signatures) = (&note[..=split], &note[split + 2..]);
    let mut fields = body.lines();
    if fields.next()? != origin {
        return Some(false);
    }
    let size = fields.next()?.parse().ok()?;
    let signed_root: Hash = STANDARD.decode(fields.next()?).ok()?.try_into().ok()?;
    if root(sha256(&[&[0], leaf]), index, size, &path?)? != signed_root {
        return Some(false);
    }
    policy(policy_text, |witness| {
        signatures
            .lines()
            .any(|line| cosigned(line, body, witness).unwrap_or(false))
    })
}

/// `— name base64(id || u64 time || signature)` over `cosignature/v1`, time and body.
fn cosigned(line: &str, body: &str, witness: &Witness) -> Option<bool> {
    let (name, blob) = line.strip_prefix("— ")?.split_once(' ')?;
    let blob = STANDARD.decode(blob).ok()?;
    let (id, rest) = blob.split_at_checked(4)?;
    if name != witness.vkey_name || id != witness.id {
        return Some(false);
    }
    let (time, signature) = rest.split_first_chunk::<8>()?;
    let message = format!("cosignature/v1\ntime {}\n{body}", u64::from_be_bytes(*time));
    let signature = Signature::from_slice(signature).ok()?;
    Some(witness.key.verify_strict(message.as_bytes(), &signature).is_ok())
}

#[test]
fn a_receipt_holds_by_the_formats_alone() {
    let (world, receipt) = World::with_receipt();
    let export = receipt.export(&world.trust);
    let check = |proof: &str, leaf: &[u8], policy: &str, origin: &str| holds(proof, leaf, policy, origin) == Some(true);
    assert!(check(&export.proof, &export.leaf, &export.policy, &export.origin));

    let mut leaf = export.leaf.clone();
    leaf[40] ^= 1;
    assert!(!check(&export.proof, &leaf, &export.policy, &export.origin));
    let lines: Vec<&str> = export.proof.lines().collect();
    let without_last = format!("{}\n", lines[..lines.len() - 1].join("\n"));
    assert!(
        !check(&without_last, &export.leaf, &export.policy, &export.origin),
        "two of four are no quorum"
    );
    let (other, _) = (World::new(3), ());
    assert!(!check(
        &export.proof,
        &export.leaf,
        other.trust.newest().policy(),
        &export.origin
    ));
    assert!(!check(
        &export.proof,
        &export.leaf,
        &export.policy,
        other.trust.origin()
    ));
    assert!(!check(
        &export.proof.replace("index 1", "index 2"),
        &export.leaf,
        &export.policy,
        &export.origin
    ));
}

/// The statement in the exported leaf can be judged with a line splitter, a JSON reader and Ed25519.
#[test]
fn the_statement_holds_by_the_leaf_alone() {
    let (_, receipt) = World::with_receipt();
    let text = String::from_utf8(receipt.leaf).unwrap();
    let [kind, _outcome, statement, signature] = text.lines().collect::<Vec<_>>()[..] else {
        panic!("four lines")
    };
    assert_eq!(kind, "muniment.dev/leaf/v1");
    let json: serde_json::Value = serde_json::from_str(statement).unwrap();
    let key = json["signer"].as_str().unwrap().strip_prefix("ed25519:").unwrap();
    let key = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(key).unwrap();
    let key = VerifyingKey::from_bytes(&key.try_into().unwrap()).unwrap();
    let signature = Signature::from_slice(&STANDARD.decode(signature).unwrap()).unwrap();
    key.verify_strict(statement.as_bytes(), &signature).unwrap();
}

/// The network id is the hash of a document that anyone can hash.
#[test]
fn the_origin_follows_from_the_genesis() {
    let (world, receipt) = World::with_receipt();
    let trust: serde_json::Value = serde_json::from_slice(&world.trust.canonical().unwrap()).unwrap();
    let id = hex::encode(sha256(&[&serde_json_canonicalizer::to_vec(&trust["genesis"]).unwrap()]));
    assert_eq!(
        receipt.export(&world.trust).origin,
        format!("muniment.dev/network/{id}")
    );
    assert_eq!(trust["policy"].as_str().unwrap(), receipt.export(&world.trust).policy);
}
