//! The tree against a naive reading of RFC 6962, and against transparency-dev's vectors.

use muniment_receipts::encoding::from_base64;
use muniment_receipts::merkle::{
    Extension, Frontier, Hash, ProofError, consistency_path, inclusion_path, leaf_hash, node_hash, root,
    verify_consistency, verify_inclusion,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::vectors;

/// MTH of RFC 6962 section 2.1.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => muniment_receipts::merkle::empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

/// PATH of RFC 6962 section 2.1.1.
fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, sibling) = match index.checked_sub(left.len()) {
        None => (naive_path(index, left), naive_root(right)),
        Some(index) => (naive_path(index, right), naive_root(left)),
    };
    path.push(sibling);
    path
}

/// SUBPROOF of RFC 6962 section 2.1.2.
fn naive_consistency(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![naive_root(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, sibling) = match old.checked_sub(left.len()) {
        None | Some(0) => (naive_consistency(old, left, whole), naive_root(right)),
        Some(old) => (naive_consistency(old, right, false), naive_root(left)),
    };
    path.push(sibling);
    path
}

fn split(size: usize) -> usize {
    1 << (size - 1).ilog2()
}

fn leaves(from: u64, to: u64) -> Vec<Hash> {
    (from..to).map(|index| leaf_hash(&index.to_be_bytes())).collect()
}

fn naive_subtree(all: &[Hash]) -> impl FnMut(u8, u64) -> Option<Hash> + '_ {
    |level, index| {
        let start = usize::try_from(index << level).unwrap();
        all.get(start..start + (1 << level)).map(naive_root)
    }
}

#[test]
fn small_trees_agree_with_the_naive_definition_everywhere() {
    for size in 1..70_u64 {
        let all = leaves(0, size);
        let whole = naive_root(&all);
        assert_eq!(root(&all), whole);
        for index in 0..size {
            let path = naive_path(index as usize, &all);
            assert_eq!(inclusion_path(index, size, &mut naive_subtree(&all)).unwrap(), path);
            verify_inclusion(&all[index as usize], index, size, &path, &whole).unwrap();
        }
        for old in 1..=size {
            let path = naive_consistency(old as usize, &all, true);
            assert_eq!(consistency_path(old, size, &mut naive_subtree(&all)).unwrap(), path);
            let before = naive_root(&all[..old as usize]);
            verify_consistency(old, size, &path, &before, &whole).unwrap();
        }
    }
}

#[test]
fn a_growing_tree_keeps_all_subtrees_that_proofs_need() {
    let mut stored = std::collections::BTreeMap::new();
    let mut frontier = Frontier::new();
    let mut from = 0;
    for count in [1, 1, 2, 3, 7, 16, 1, 33, 100, 0, 5] {
        let extension: Extension = frontier.extension(&leaves(from, from + count));
        for (level, index, hash) in extension.subtrees() {
            assert!(
                stored.insert((level, index), hash).is_none(),
                "each subtree comes to be once"
            );
        }
        frontier = extension.frontier();
        from += count;
        let all = leaves(0, from);
        for index in 0..from {
            let path = inclusion_path(index, from, &mut |level, index| stored.get(&(level, index)).copied());
            assert_eq!(path.unwrap(), naive_path(index as usize, &all));
        }
    }
    let lacking = inclusion_path(0, from, &mut |_, _| None);
    assert!(matches!(lacking, Err(ProofError::Missing { .. })));
}

#[test]
fn proofs_from_outside_the_tree_are_refused() {
    let nothing = &mut |_, _| None;
    assert_eq!(
        inclusion_path(3, 3, nothing),
        Err(ProofError::Range { index: 3, size: 3 })
    );
    assert_eq!(
        consistency_path(4, 3, nothing),
        Err(ProofError::Shrunk { old: 4, new: 3 })
    );
    assert_eq!(consistency_path(0, 3, nothing), Err(ProofError::EmptyTree));
    let hash = [0; 32];
    for (index, size) in [(u64::MAX, u64::MAX), (u64::MAX - 1, u64::MAX), (0, u64::MAX), (1, 0)] {
        assert!(verify_inclusion(&hash, index, size, &[], &hash).is_err());
        assert!(verify_inclusion(&hash, index, size, &[hash; 200], &hash).is_err());
    }
    assert!(verify_consistency(u64::MAX, u64::MAX, &[hash], &hash, &hash).is_err());
    assert!(verify_consistency(1, u64::MAX, &[hash; 65], &hash, &hash).is_err());
}

#[test]
fn a_frontier_from_wrong_parts_is_refused() {
    assert!(Frontier::from_parts(3, vec![[0; 32]]).is_err());
    assert!(Frontier::from_parts(u64::MAX, vec![[0; 32]; 64]).is_ok());
}

proptest! {
    #[test]
    fn extending_gives_the_naive_root_and_paths(old in 0_u64..600, new in 0_u64..300) {
        let mut frontier = Frontier::new();
        frontier.extend(&leaves(0, old));
        let growth = frontier.extension(&leaves(old, old + new));
        let all = leaves(0, old + new);
        prop_assert_eq!(growth.root(), naive_root(&all));
        for index in old..old + new {
            prop_assert_eq!(growth.path(index), naive_path(index as usize, &all));
        }
        let frontier = growth.frontier();
        prop_assert_eq!(frontier.root(), growth.root());
        let mut stepwise = Frontier::new();
        stepwise.extend(&all);
        prop_assert_eq!(&stepwise, &frontier);
        let (size, peaks) = frontier.parts();
        prop_assert_eq!(&Frontier::from_parts(size, peaks.to_vec()).unwrap(), &frontier);
    }

    #[test]
    fn a_changed_proof_fails(size in 1_u64..300, index in 0_u64..300, bit in 0_usize..10_000) {
        let index = index % size;
        let all = leaves(0, size);
        let whole = naive_root(&all);
        let path = naive_path(index as usize, &all);
        let leaf = &all[index as usize];
        if !path.is_empty() {
            let mut changed = path.clone();
            let bit = bit % (changed.len() * 256);
            changed[bit / 256][bit % 256 / 8] ^= 1 << (bit % 8);
            prop_assert!(verify_inclusion(leaf, index, size, &changed, &whole).is_err());
            prop_assert!(verify_inclusion(leaf, index, size, &path[1..], &whole).is_err());
        }
        let mut longer = path.clone();
        longer.push([0; 32]);
        prop_assert!(verify_inclusion(leaf, index, size, &longer, &whole).is_err());
        prop_assert!(verify_inclusion(leaf, index ^ 1, size, &path, &whole).is_err() || size == 1);
    }

    #[test]
    fn a_changed_consistency_proof_fails(new in 2_u64..300, old in 1_u64..300, bit in 0_usize..10_000) {
        let old = old % new;
        prop_assume!(old > 0);
        let all = leaves(0, new);
        let (before, whole) = (naive_root(&all[..old as usize]), naive_root(&all));
        let mut path = naive_consistency(old as usize, &all, true);
        prop_assert!(verify_consistency(old, new, &path, &before, &whole).is_ok());
        let bit = bit % (path.len() * 256);
        path[bit / 256][bit % 256 / 8] ^= 1 << (bit % 8);
        prop_assert!(verify_consistency(old, new, &path, &before, &whole).is_err());
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    from_base64(value.as_str().unwrap()).unwrap()
}

/// Hashes of the right length, or nothing: a garbage element can't even be stated in our types.
fn hashes(value: &Value) -> Option<Vec<Hash>> {
    value.as_array().map_or(Some(Vec::new()), |list| {
        list.iter().map(|hash| bytes(hash).try_into().ok()).collect()
    })
}

#[test]
fn inclusion_vectors() {
    let Some(cases) = vectors::lines("rfc6962/inclusion.jsonl") else {
        return;
    };
    assert_eq!(cases.len(), 45);
    for case in &cases {
        let holds = || {
            let path = hashes(&case["proof"])?;
            let leaf = bytes(&case["leafHash"]).try_into().ok()?;
            let root = bytes(&case["root"]).try_into().ok()?;
            let (index, size) = (case["leafIdx"].as_u64()?, case["treeSize"].as_u64()?);
            verify_inclusion(&leaf, index, size, &path, &root).ok()
        };
        assert_eq!(holds().is_none(), case["wantErr"].as_bool().unwrap(), "{case}");
    }
}

#[test]
fn consistency_vectors() {
    let Some(cases) = vectors::lines("rfc6962/consistency.jsonl") else {
        return;
    };
    assert_eq!(cases.len(), 48);
    let mut dummies = 0;
    for case in &cases {
        // Some cases use roots of 12 bytes, which are no hashes; padded they keep being equal or different.
        let root = |name: &str| {
            let mut root = bytes(&case[name]);
            dummies += usize::from(root.len() != 32 && name == "root1");
            root.resize(32, 0);
            Hash::try_from(root).unwrap()
        };
        let (root1, root2) = {
            let mut root = root;
            (root("root1"), root("root2"))
        };
        let holds = || {
            let path = hashes(&case["proof"])?;
            verify_consistency(case["size1"].as_u64()?, case["size2"].as_u64()?, &path, &root1, &root2).ok()
        };
        assert_eq!(holds().is_none(), case["wantErr"].as_bool().unwrap(), "{case}");
    }
    eprintln!("consistency: {dummies} cases with dummy roots");
}

#[test]
fn root_vectors() {
    let Some(case) = vectors::json("rfc6962/roots.json") else {
        return;
    };
    let inputs: Vec<Hash> = case["leaf_inputs_hex"]
        .as_array()
        .unwrap()
        .iter()
        .map(|leaf| leaf_hash(&vectors::hex(leaf)))
        .collect();
    assert_eq!(root(&[]).to_vec(), vectors::hex(&case["empty_root_hex"]));
    for (size, expected) in (1..).zip(case["roots_hex_by_size_1_to_8"].as_array().unwrap()) {
        assert_eq!(root(&inputs[..size]).to_vec(), vectors::hex(expected), "size {size}");
    }
}
