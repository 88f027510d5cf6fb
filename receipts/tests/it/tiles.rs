//! Tessera's example log: 16 checkpoints, their tiles and entries.

use std::fs;

use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::merkle::{
    Frontier, Hash, inclusion_path, leaf_hash, root, verify_consistency, verify_inclusion,
};
use muniment_receipts::note::{Note, VerifierKey};

use crate::vectors;

#[test]
fn tessera_log_of_15() {
    let Some(folder) = vectors::path("tlog-tiles/tessera15") else {
        return;
    };
    let vkey: VerifierKey = fs::read_to_string(folder.join("VKEY.txt"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let mut before: Option<Checkpoint> = None;
    for size in 0..=15_u64 {
        let note = fs::read_to_string(folder.join(format!("checkpoint.{size}"))).unwrap();
        let note = Note::parse(&note).unwrap();
        assert_eq!(note.verify(std::slice::from_ref(&vkey)), Ok((1, 0)));
        let checkpoint = Checkpoint::parse(note.text).unwrap();
        assert_eq!((checkpoint.size, checkpoint.text().as_str()), (size, note.text));
        if size == 0 {
            assert_eq!(checkpoint.root, root(&[]));
            continue;
        }
        let tile = fs::read(folder.join(format!("tile/0/000.p/{size}"))).unwrap();
        let leaves: Vec<Hash> = tile.as_chunks().0.to_vec();
        let entries = entries(&fs::read(folder.join(format!("tile/entries/000.p/{size}"))).unwrap());
        assert_eq!(leaves, entries.iter().map(|entry| leaf_hash(entry)).collect::<Vec<_>>());
        assert_eq!(root(&leaves), checkpoint.root);
        let mut subtree = |level: u8, index: u64| {
            let start = (index << level) as usize;
            leaves.get(start..start + (1 << level)).map(root)
        };
        for index in 0..size {
            let path = inclusion_path(index, size, &mut subtree).unwrap();
            verify_inclusion(&leaves[index as usize], index, size, &path, &checkpoint.root).unwrap();
        }
        if let Some(before) = before {
            let path = muniment_receipts::merkle::consistency_path(before.size, size, &mut subtree).unwrap();
            verify_consistency(before.size, size, &path, &before.root, &checkpoint.root).unwrap();
        }
        let mut frontier = Frontier::new();
        frontier.extend(&leaves);
        assert_eq!(frontier.root(), checkpoint.root);
        before = Some(checkpoint);
    }
}

fn entries(mut bundle: &[u8]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bundle.split_first_chunk::<2>() {
        let (entry, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        entries.push(entry.to_vec());
        bundle = rest;
    }
    entries
}
