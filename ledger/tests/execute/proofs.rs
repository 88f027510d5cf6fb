//! The authenticated map: same content, same root; proofs of presence and absence that nothing else passes for.

use std::collections::{BTreeMap, HashMap};

use jmt::storage::{LeafNode, Node, NodeKey, TreeReader};
use jmt::{JellyfishMerkleTree, KeyHash, OwnedValue, Version};
use muniment_ledger::state::Changes;
use muniment_ledger::state::tree::{MemoryTree, TreeHasher, commit, prove, root, verify_proof};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::support::{Ledger, batch, deposit, key};

fn record(n: u16) -> Vec<u8> {
    [b"r".as_slice(), &n.to_be_bytes()].concat()
}

/// The crate's own tree, which every root and proof must agree with.
#[derive(Default)]
struct Theirs {
    nodes: HashMap<NodeKey, Node>,
    values: HashMap<KeyHash, OwnedValue>,
}

impl TreeReader for Theirs {
    fn get_node_option(&self, key: &NodeKey) -> Result<Option<Node>, anyhow::Error> {
        Ok(self.nodes.get(key).cloned())
    }
    fn get_value_option(&self, _: Version, key: KeyHash) -> Result<Option<OwnedValue>, anyhow::Error> {
        Ok(self.values.get(&key).cloned())
    }
    fn get_rightmost_leaf(&self) -> Result<Option<(NodeKey, LeafNode)>, anyhow::Error> {
        Ok(None)
    }
}

impl Theirs {
    fn commit(&mut self, version: u64, changes: &Changes) -> [u8; 32] {
        let hash = |bytes: &[u8]| -> [u8; 32] { Sha256::digest(bytes).into() };
        let set: Vec<_> = changes
            .iter()
            .map(|(key, value)| (KeyHash(hash(key)), value.as_deref().map(|value| hash(value).to_vec())))
            .collect();
        for (key, value) in &set {
            self.values.extend(value.clone().map(|value| (*key, value)));
        }
        let (root, update) = JellyfishMerkleTree::<_, TreeHasher>::new(&*self)
            .put_value_set(set, version)
            .unwrap();
        self.nodes.extend(
            update
                .node_batch
                .nodes()
                .iter()
                .map(|(key, node)| (key.clone(), node.clone())),
        );
        root.0
    }

    fn proof(&self, version: u64, key: &[u8]) -> Vec<u8> {
        let tree = JellyfishMerkleTree::<_, TreeHasher>::new(self);
        let (_, proof) = tree
            .get_with_proof(KeyHash(Sha256::digest(key).into()), version)
            .unwrap();
        borsh::to_vec(&proof).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A root depends on the content alone: not on how writes are cut into versions, their order, what was there in
    /// between, or the cache.
    #[test]
    fn roots_depend_on_content_only(
        versions in prop::collection::vec(
            prop::collection::btree_map(0u16..400, prop::option::weighted(0.9, 0u8..3), 0..60), 1..8),
    ) {
        let mut stepwise = MemoryTree::default();
        let mut theirs = Theirs::default();
        prop_assert_eq!(stepwise.commit(0, &Changes::new()).unwrap(), theirs.commit(0, &Changes::new()));
        let mut content = BTreeMap::new();
        let mut last = [0; 32];
        for (version, writes) in (1u64..).zip(&versions) {
            let changes: Changes =
                writes.iter().map(|(n, value)| (record(*n), value.map(|value| vec![value]))).collect();
            for (key, value) in &changes {
                match value {
                    Some(_) => content.insert(key.clone(), value.clone()),
                    None => content.remove(key),
                };
            }
            last = stepwise.commit(version, &changes).unwrap();
            prop_assert_eq!(last, theirs.commit(version, &changes));
            prop_assert_eq!(root(&stepwise, version).unwrap(), last);
        }
        let mut once = MemoryTree::default();
        prop_assert_eq!(once.commit(0, &content).unwrap(), last);
        // Stale pages were dropped: what is left is exactly one version of the tree.
        prop_assert_eq!(stepwise.nodes.len(), once.nodes.len());
        for n in (0u16..400).step_by(7) {
            let proven = prove(&stepwise, versions.len() as u64, &record(n)).unwrap();
            let wanted = content.get(&record(n)).and_then(Option::as_ref).map(|v| Sha256::digest(v).into());
            prop_assert_eq!(proven.value, wanted);
            prop_assert_eq!(proven.root, last);
            prop_assert_eq!(&proven.proof, &theirs.proof(versions.len() as u64, &record(n)));
            prop_assert!(verify_proof(&last, &record(n), proven.value.as_ref(), &proven.proof).is_ok());
        }
    }
}

#[test]
fn a_proof_holds_for_nothing_else() {
    let mut ledger = Ledger::notary();
    let common = ledger.common(&key(1), "deposit");
    let deposits = (1..=40).map(|n| (deposit(n), None)).collect();
    let prepared = ledger.admit(batch(common, &key(1), deposits)).unwrap();
    let records: Vec<_> = ledger
        .block(&[prepared])
        .history
        .iter()
        .map(|step| step.record)
        .collect();
    let present = muniment_ledger::state::record_key(&records[0]);
    let absent = muniment_ledger::state::record_key(&[5; 32]);
    for key in [present.clone(), absent.clone()] {
        let proven = prove(&ledger.tree, ledger.height, &key).unwrap();
        assert_eq!(proven.root, ledger.root);
        assert_eq!(proven.value.is_some(), key == present);
        let check = |root: &[u8; 32], key: &[u8], value: Option<&[u8; 32]>, proof: &[u8]| {
            verify_proof(root, key, value, proof).is_ok()
        };
        let value = proven.value.as_ref();
        assert!(check(&proven.root, &key, value, &proven.proof));
        let other = if key == present { &absent } else { &present };
        assert!(!check(&proven.root, other, value, &proven.proof));
        assert!(!check(
            &proven.root,
            &key,
            if value.is_some() { None } else { Some(&[1; 32]) },
            &proven.proof
        ));
        assert!(!check(&[3; 32], &key, value, &proven.proof));
        for bit in 0..proven.proof.len() * 8 {
            let mut proof = proven.proof.clone();
            proof[bit / 8] ^= 1 << (bit % 8);
            assert!(
                !check(&proven.root, &key, value, &proof),
                "bit {bit} of the proof is not checked"
            );
        }
        let longer = [proven.proof.as_slice(), &[0]].concat();
        assert!(!check(&proven.root, &key, value, &longer));
    }
}

#[test]
fn a_commit_changes_nothing_until_it_is_stored() {
    let mut tree = MemoryTree::default();
    let changes: Changes = (0..100).map(|n| (record(n), Some(vec![1]))).collect();
    tree.commit(0, &changes).unwrap();
    let more: Changes = (50..150).map(|n| (record(n), Some(vec![2]))).collect();
    let (first, _) = commit(&tree, 1, &more).unwrap();
    let (again, _) = commit(&tree, 1, &more).unwrap();
    assert_eq!(first, again);
    let other: Changes = (50..60).map(|n| (record(n), Some(vec![3]))).collect();
    let (different, _) = commit(&tree, 1, &other).unwrap();
    assert_ne!(first, different);
    assert_eq!(tree.commit(1, &more).unwrap(), first);
    assert!(commit(&tree, 5, &more).is_err(), "version 4 is not there");
}
