//! A verifier written from the public formats alone, without our receipt crate: C2SP `tlog-proof`, `tlog-checkpoint`,
//! `signed-note`, `tlog-cosignature`, `tlog-policy`, and RFC 6962. It knows the exported files and nothing of us.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

/// A failed check, in words.
pub type Failed = String;

struct Witness {
    vkey_name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

/// Whose cosignatures count.
struct Policy {
    witnesses: BTreeMap<String, Witness>,
    groups: BTreeMap<String, (usize, Vec<String>)>,
    quorum: String,
}

/// Checks that `leaf` is in the log of `origin` as the quorum of `policy` has cosigned it. Answers the names of the
/// cosigners and the log size.
///
/// # Errors
/// With what does not hold.
pub fn verify(proof: &str, leaf: &[u8], policy: &str, origin: &str) -> Result<(Vec<String>, u64), Failed> {
    let policy = read_policy(policy)?;
    let (index, path, note) = read_proof(proof)?;
    let (body, signatures) = note.split_once("\n\n").ok_or("the checkpoint has no signatures")?;
    let body = format!("{body}\n");
    let mut lines = body.lines();
    let (named, size, root) = (lines.next(), lines.next(), lines.next());
    if named != Some(origin) {
        return Err(format!("the checkpoint is of {named:?}"));
    }
    let size: u64 = size
        .and_then(|size| size.parse().ok())
        .ok_or("the checkpoint has no size")?;
    let root = hash(root.ok_or("the checkpoint has no root")?)?;
    if inclusion(
        index,
        size,
        Sha256::new().chain_update([0]).chain_update(leaf).finalize().into(),
        &path,
    )? != root
    {
        return Err("the leaf is not in the log".to_owned());
    }
    let mut good = Vec::new();
    for line in signatures.lines() {
        for (name, witness) in &policy.witnesses {
            if cosigned(line, witness, &body) {
                good.push(name.clone());
            }
        }
    }
    if holds(&policy, &policy.quorum, &good) {
        Ok((good, size))
    } else {
        Err(format!("no quorum: only {good:?}"))
    }
}

fn holds(policy: &Policy, name: &str, good: &[String]) -> bool {
    match policy.groups.get(name) {
        Some((threshold, members)) => members.iter().filter(|member| holds(policy, member, good)).count() >= *threshold,
        None => good.iter().any(|one| one == name),
    }
}

fn read_proof(text: &str) -> Result<(u64, Vec<[u8; 32]>, &str), Failed> {
    let (head, note) = text.split_once("\n\n").ok_or("the proof has no checkpoint")?;
    let mut lines = head.lines();
    if lines.next() != Some("c2sp.org/tlog-proof@v1") {
        return Err("not a tlog-proof v1".to_owned());
    }
    let mut next = lines.next();
    if next.is_some_and(|line| line.starts_with("extra ")) {
        next = lines.next();
    }
    let index = next
        .and_then(|line| line.strip_prefix("index ")?.parse().ok())
        .ok_or("the proof has no index")?;
    Ok((index, lines.map(hash).collect::<Result<_, _>>()?, note))
}

fn read_policy(text: &str) -> Result<Policy, Failed> {
    let mut policy = Policy {
        witnesses: BTreeMap::new(),
        groups: BTreeMap::new(),
        quorum: String::new(),
    };
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            [comment, ..] if comment.starts_with('#') => {}
            ["log", ..] => {}
            ["witness", name, vkey, ..] => {
                policy.witnesses.insert((*name).to_owned(), read_vkey(vkey)?);
            }
            ["group", name, threshold, members @ ..] => {
                let members: Vec<String> = members.iter().map(|member| (*member).to_owned()).collect();
                let threshold = match *threshold {
                    "any" => 1,
                    "all" => members.len(),
                    number => number.parse().map_err(|_| format!("bad threshold {number}"))?,
                };
                policy.groups.insert((*name).to_owned(), (threshold, members));
            }
            ["quorum", name] => policy.quorum = (*name).to_owned(),
            _ => return Err(format!("unknown policy line {line}")),
        }
    }
    Ok(policy)
}

/// `<name>+<hex of 4 bytes>+<base64 of kind and key>`
fn read_vkey(text: &str) -> Result<Witness, Failed> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(format!("bad vkey {text}"));
    };
    let key = STANDARD.decode(key).map_err(|error| error.to_string())?;
    let Some((4, key)) = key.split_first() else {
        return Err("not a cosignature/v1 key".to_owned());
    };
    let digest = Sha256::new()
        .chain_update(name)
        .chain_update(b"\n\x04")
        .chain_update(key)
        .finalize();
    if hex::encode(&digest[..4]) != id {
        return Err(format!("the key id of {name} does not fit its key"));
    }
    let id = digest[..4].try_into().map_err(|_| "no id")?;
    let key =
        VerifyingKey::from_bytes(key.try_into().map_err(|_| "not 32 bytes")?).map_err(|error| error.to_string())?;
    Ok(Witness {
        vkey_name: name.to_owned(),
        id,
        key,
    })
}

/// `— <name> <base64 of key id, 8 bytes of time, 64 bytes of signature>`
fn cosigned(line: &str, witness: &Witness, body: &str) -> bool {
    let Some((name, blob)) = line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' ')) else {
        return false;
    };
    let Ok(blob) = STANDARD.decode(blob) else { return false };
    if name != witness.vkey_name || blob.len() != 76 || blob[..4] != witness.id {
        return false;
    }
    let Ok(time) = blob[4..12].try_into().map(u64::from_be_bytes) else {
        return false;
    };
    let message = format!("cosignature/v1\ntime {time}\n{body}");
    let Ok(signature) = Signature::from_slice(&blob[12..]) else {
        return false;
    };
    witness.key.verify_strict(message.as_bytes(), &signature).is_ok()
}

/// RFC 9162, 2.1.3.2.
fn inclusion(index: u64, size: u64, leaf: [u8; 32], path: &[[u8; 32]]) -> Result<[u8; 32], Failed> {
    if index >= size {
        return Err("the index is beyond the log".to_owned());
    }
    let (mut node, mut last, mut root) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return Err("the path is too long".to_owned());
        }
        if node & 1 == 1 || node == last {
            root = parent(sibling, &root);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            root = parent(&root, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 {
        Ok(root)
    } else {
        Err("the path is too short".to_owned())
    }
}

fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

fn hash(text: &str) -> Result<[u8; 32], Failed> {
    let bytes = STANDARD.decode(text).map_err(|error| error.to_string())?;
    bytes.try_into().map_err(|_| "a hash is not 32 bytes".to_owned())
}
