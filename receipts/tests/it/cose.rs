//! COSE receipts: our own, and what the published ones have in common with them.

use coset::{SignatureContext, TaggedCborSerializable};
use muniment_receipts::cose::{self, CoseError, CoseReceipt};
use muniment_receipts::encoding::from_base64;
use muniment_receipts::key::Ed25519Key;
use muniment_receipts::merkle::{Hash, leaf_hash};

use crate::vectors;
use crate::world::World;

#[test]
fn our_receipt_holds_and_no_bit_of_it_is_free() {
    let mut world = World::new(4);
    let leaves = world.batch(5);
    let block = world.block(leaves);
    let (leaf, key) = (leaf_hash(&block.leaves[2]), world.trust.newest().cose_key(1).unwrap());
    let receipt = world.cose_receipt(&block, 1, 2);
    let found = cose::verify(&receipt, &leaf, key).unwrap();
    assert_eq!(found, (block.checkpoint.size, block.checkpoint.root));
    for bit in 0..receipt.len() * 8 {
        let mut changed = receipt.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(cose::verify(&changed, &leaf, key).is_err(), "bit {bit}");
    }
    assert!(cose::verify(&receipt, &leaf, world.trust.newest().cose_key(2).unwrap()).is_err());
    assert!(cose::verify(&receipt, &[0; 32], key).is_err());
    assert!(cose::verify(&receipt[..receipt.len() - 1], &leaf, key).is_err());
}

/// The gap that RFC 9942 leaves: size and index of a proof may be others with the same root.
#[test]
fn the_tree_size_is_signed() {
    let (size, root) = (5, [3; 32]);
    assert_ne!(cose::tbs(size, &root), cose::tbs(6, &root));
    let mut world = World::new(1);
    let block = world.block(Vec::new());
    let signature = ed25519_dalek::Signer::sign(&world.keys[0].cose, &cose::tbs(1, &block.checkpoint.root)).to_bytes();
    let leaf = leaf_hash(&block.leaves[0]);
    let key = world.trust.newest().cose_key(0).unwrap();
    let good = cose::encode_receipt(1, 0, &[], &signature).unwrap();
    cose::verify(&good, &leaf, key).unwrap();
    let other = cose::encode_receipt(2, 0, &[[1; 32]], &signature).unwrap();
    assert!(cose::verify(&other, &leaf, key).is_err());
}

fn public_key(pem: &str) -> Ed25519Key {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = from_base64(body).unwrap();
    Ed25519Key::from_bytes(der.last_chunk().unwrap()).unwrap()
}

#[test]
fn scitt_receipts() {
    let folder = "cose-receipts/scitt-cose-v1";
    for (case, valid) in [("valid-eddsa", true), ("fail-tampered-path", false)] {
        let Some(path) = vectors::path(&format!("{folder}/{case}")) else {
            return;
        };
        let expected = vectors::json(&format!("{folder}/{case}/expected.json")).unwrap();
        let receipt = std::fs::read(path.join("receipt.cose")).unwrap();
        let receipt_read = CoseReceipt::parse(&receipt).unwrap();
        assert_eq!((receipt_read.size, receipt_read.index), (8, 2));
        let path_expected: Vec<Hash> = expected["inclusion_path"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hash| vectors::hex(hash).try_into().unwrap())
            .collect();
        assert_eq!(receipt_read.path, path_expected);
        let leaf = leaf_hash(&vectors::hex(&expected["leaf_entry"]));
        let root = receipt_read.root(&leaf).unwrap();
        let key = public_key(&vectors::text(&format!("{folder}/{case}/log-key.pub")).unwrap());
        assert_eq!(receipt_read.verify_signature(&root, &key).is_ok(), valid, "{case}");
        if valid {
            assert_eq!(hex::encode(root), expected["reconstructed_root"].as_str().unwrap());
        }
        // A foreign receipt does not sign the size, so ours alone won't do.
        assert!(matches!(cose::verify(&receipt, &leaf, &key), Err(CoseError::TreeSize)));
    }
    let Some(path) = vectors::path(&format!("{folder}/valid-ccf-vds2")) else {
        return;
    };
    let other = CoseReceipt::parse(&std::fs::read(path.join("receipt.cose")).unwrap());
    assert!(
        matches!(other, Err(CoseError::Form(_))),
        "another structure and algorithm is not ours to judge"
    );
}

/// The bytes to be signed that we get from the library are those of the working group's examples; and none of the
/// examples is a receipt.
#[test]
fn working_group_examples() {
    let Some(folder) = vectors::path("cose-wg") else { return };
    let mut count = 0;
    for kind in ["sign1-tests", "eddsa-examples", "ecdsa-examples", "sign-tests"] {
        for entry in std::fs::read_dir(folder.join(kind)).unwrap() {
            let case: serde_json::Value =
                serde_json::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
            let bytes = vectors::hex(&case["output"]["cbor"]);
            assert!(CoseReceipt::parse(&bytes).is_err(), "{}", case["title"]);
            let Ok(signed) = coset::CoseSign1::from_tagged_slice(&bytes) else {
                continue;
            };
            // The library keeps an empty protected map as it came (h'a0'), where the RFC wants it signed as h''. Our
            // protected header is never empty.
            if case["fail"] == true || case["input"]["failures"]["ChangeProtected"] == "a0" {
                continue;
            }
            let external = case["input"]["sign0"]["external"]
                .as_str()
                .map_or(Vec::new(), |aad| hex::decode(aad).unwrap());
            let payload = signed.payload.clone().unwrap();
            let tbs = coset::sig_structure_data(
                SignatureContext::CoseSign1,
                signed.protected.clone(),
                None,
                &external,
                &payload,
            );
            assert_eq!(
                tbs,
                vectors::hex(&case["intermediates"]["ToBeSign_hex"]),
                "{}",
                case["title"]
            );
            count += 1;
        }
    }
    assert!(count >= 3, "{count} examples had bytes to compare");
}
