//! Every vector file there is, with the test that runs it or the reason why its format is none of ours; and the tests of
//! formats that are not ours but are made of parts that are.

use std::path::{Path, PathBuf};

use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::cose::CoseReceipt;
use muniment_receipts::encoding::from_base64;
use muniment_receipts::jcs;
use muniment_receipts::merkle::{Hash, leaf_hash, verify_inclusion};
use muniment_receipts::note::Note;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::vectors;

/// Path, or its beginning when it ends with a slash, and what becomes of it.
const FILES: [(&str, &str); 29] = [
    ("README.md", "text"),
    ("LICENSES/", "text"),
    ("rfc6962/inclusion.jsonl", "merkle::inclusion_vectors"),
    ("rfc6962/consistency.jsonl", "merkle::consistency_vectors"),
    ("rfc6962/roots.json", "merkle::root_vectors"),
    ("rfc6962/subtreeinclusion.jsonl", "inventory::subtree_inclusion"),
    (
        "rfc6962/subtreeconsistency.jsonl",
        "not ours: consistency of subtrees is of the draft on Merkle tree certificates; our log proves whole trees",
    ),
    ("ed25519/wycheproof_ed25519.json", "keys"),
    ("ed25519/cctv_ed25519vectors.json", "keys"),
    ("ed25519/speccheck.json", "keys"),
    ("ecdsa/wycheproof_p256_sha256.json", "keys"),
    (
        "jws/wycheproof_jws.json",
        "not ours: statements are signed as they are, in no JWS",
    ),
    (
        "mldsa/wycheproof_mldsa44_verify.json",
        "not ours yet: keys are Ed25519 and P-256; a later kind of cosignature is a line that today's verifiers ignore",
    ),
    (
        "rfc3161/rekor_test.tsr",
        "not ours yet: a receipt's time is that of the validators; time stamp tokens are no part of receipt/v1",
    ),
    ("jcs/es6_numbers.json", "jcs"),
    ("jcs/input/", "jcs"),
    ("jcs/output/", "jcs"),
    ("jcs/outhex/", "jcs"),
    ("tlog-tiles/tessera15/", "tiles::tessera_log_of_15"),
    ("signed-note/notes.json", "notes::note_vectors"),
    ("signed-note/vkeys.json", "notes::vkey_vectors"),
    ("signed-note/tlog_proofs.json", "notes::proof_vectors"),
    ("signed-note/policies.json", "notes::policy_vectors"),
    (
        "sigstore-bundles/",
        "inventory::sigstore_inclusion; certificates, SCTs and DSSE are not ours",
    ),
    ("cose-receipts/scitt-cose-v1/", "cose::scitt_receipts"),
    (
        "cose-receipts/ccf/esrp-cts-db.json",
        "not ours: service keys of the CCF profile",
    ),
    ("cose-receipts/ccf/uvm_0.2.10.cose", "inventory::ccf_is_refused"),
    ("cose-wg/", "cose::working_group_examples"),
    (
        "vc-di-eddsa/",
        "inventory::data_integrity_canonical_forms; multibase signatures are not ours",
    ),
];

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn every_vector_file_is_run_or_has_a_reason_not_to_be() {
    let Some(root) = vectors::path("") else { return };
    let mut files = Vec::new();
    walk(&root, &mut files);
    let fits = |entry: &str, file: &str| entry == file || entry.ends_with('/') && file.starts_with(entry);
    let names: Vec<&str> = files
        .iter()
        .map(|file| file.strip_prefix(&root).unwrap().to_str().unwrap())
        .collect();
    for name in &names {
        let entries = FILES.iter().filter(|(entry, _)| fits(entry, name)).count();
        assert_eq!(entries, 1, "{name}: name the test that runs it, or why none does");
    }
    for (entry, _) in FILES {
        assert!(names.iter().any(|name| fits(entry, name)), "{entry} is gone");
    }
}

/// A subtree of an aligned range is a tree of its own, and so are its proofs.
#[test]
fn subtree_inclusion() {
    let Some(cases) = vectors::lines("rfc6962/subtreeinclusion.jsonl") else {
        return;
    };
    assert_eq!(cases.len(), 96);
    let bytes = |value: &Value| from_base64(value.as_str()?);
    for case in &cases {
        let holds = || {
            let (start, end) = (case["start"].as_u64()?, case["end"].as_u64()?);
            let index = case["leafIdx"].as_u64()?.checked_sub(start)?;
            let size = end.checked_sub(start)?;
            let aligned = size > 0 && start.is_multiple_of(size.next_power_of_two());
            let path: Vec<Hash> = match case["proof"].as_array() {
                Some(list) => list
                    .iter()
                    .map(|hash| bytes(hash)?.try_into().ok())
                    .collect::<Option<_>>()?,
                None => Vec::new(),
            };
            let leaf = bytes(&case["leafHash"])?.try_into().ok()?;
            let root = bytes(&case["root"])?.try_into().ok()?;
            (aligned && verify_inclusion(&leaf, index, size, &path, &root).is_ok()).then_some(())
        };
        assert_eq!(holds().is_none(), case["wantErr"].as_bool().unwrap(), "{case}");
    }
}

/// Another data structure (vds 2) and embedded receipts: nothing that a reader of ours may take for one of ours.
#[test]
fn ccf_is_refused() {
    let Some(file) = vectors::path("cose-receipts/ccf/uvm_0.2.10.cose") else {
        return;
    };
    assert!(CoseReceipt::parse(&std::fs::read(file).unwrap()).is_err());
}

/// Rekor's log is RFC 6962 with C2SP checkpoints: its inclusion proofs hold by our rules, and those that were tampered
/// with do not.
#[test]
fn sigstore_inclusion() {
    let Some(folder) = vectors::path("sigstore-bundles") else {
        return;
    };
    let (mut good, mut bad) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(path.join("bundle.sigstore.json")) else {
            continue;
        };
        let bundle: Value = serde_json::from_str(&text).unwrap();
        let entries = bundle["verificationMaterial"]["tlogEntries"].as_array().unwrap();
        for entry in entries.iter().filter(|entry| entry["inclusionProof"].is_object()) {
            if included(entry).is_some() {
                good += 1;
            } else {
                bad.push(path.file_name().unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    bad.sort();
    assert_eq!(
        bad,
        [
            "checkpoint-wrong-roothash_fail",
            "inclusion-proof-corrupted-hash_fail",
            "incorrect-public-key_fail",
            // Its checkpoint has no signature line at all, so it is no signed note.
            "rekor2-checkpoint-missing-log-signature_fail"
        ]
    );
    assert!(good >= 20, "{good} proofs hold");
}

fn included(entry: &Value) -> Option<()> {
    let proof = &entry["inclusionProof"];
    let hash = |value: &Value| -> Option<Hash> { from_base64(value.as_str()?)?.try_into().ok() };
    let number = |name: &str| proof[name].as_str()?.parse().ok();
    let note = Note::parse(proof["checkpoint"]["envelope"].as_str()?).ok()?;
    // Old Rekor checkpoints have extension lines, which ours never do.
    let body: String = note.text.split_inclusive('\n').take(3).collect();
    let checkpoint = Checkpoint::parse(&body).ok()?;
    let leaf = leaf_hash(&from_base64(entry["canonicalizedBody"].as_str()?)?);
    let path: Vec<Hash> = proof["hashes"].as_array()?.iter().map(hash).collect::<Option<_>>()?;
    let root = hash(&proof["rootHash"])?;
    let same = root == checkpoint.root && number("treeSize")? == checkpoint.size;
    verify_inclusion(&leaf, number("logIndex")?, checkpoint.size, &path, &root).ok()?;
    same.then_some(())
}

/// `eddsa-jcs-2022` signs two hashes of canonical JSON: ours is the same canonical form.
#[test]
fn data_integrity_canonical_forms() {
    let text = |name: &str| vectors::text(&format!("vc-di-eddsa/eddsa-jcs-2022/{name}"));
    let Some(signed) = text("signedJCS.json") else { return };
    let mut document: Value = serde_json::from_str(&signed).unwrap();
    document.as_object_mut().unwrap().remove("proof");
    let proof: Value = serde_json::from_str(&text("proofConfigJCS.json").unwrap()).unwrap();
    let mut hashes = String::new();
    for (value, canonical, hash) in [
        (&proof, "proofCanonJCS.txt", "proofHashJCS.txt"),
        (&document, "canonDocJCS.txt", "docHashJCS.txt"),
    ] {
        let bytes = jcs::to_vec(value).unwrap();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            text(canonical).unwrap().trim_end()
        );
        let digest = hex::encode(Sha256::digest(&bytes));
        assert_eq!(digest, text(hash).unwrap().trim_end());
        hashes.push_str(&digest);
    }
    assert_eq!(hashes, text("combinedHashJCS.txt").unwrap().trim_end());
}
