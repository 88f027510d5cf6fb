//! Leaves: what is written is read back, and nothing else is.

use muniment_receipts::leaf::{self, Action, Leaf, LeafError, Marker, Outcome};
use muniment_receipts::merkle::leaf_hash;

use crate::world::{World, document, outcome, salted};

/// The action, when its signature holds.
fn signed(leaf: &Leaf<'_>) -> Action {
    let action = leaf.action().unwrap();
    let (bytes, signature) = leaf.signed().unwrap();
    action.common.signer.verify(bytes, signature).unwrap();
    action
}

#[test]
fn single() {
    let world = World::new(1);
    let bytes = world.deposit(&salted(), &document());
    let leaf = Leaf::parse(&bytes).unwrap();
    assert_eq!(leaf.outcome(), Some(&outcome(0)));
    assert_eq!(signed(&leaf).common, world.common());
    let text = String::from_utf8(bytes.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "muniment.dev/leaf/v1");
    assert_eq!(lines[1], format!("{} 1", hex::encode(outcome(0).record)));
    assert_eq!(lines.len(), 4);
    for bad in [
        text.replace("leaf/v1", "leaf/v2"),
        text.replace(" 1\n", " 0\n"),
        text.replace(" 1\n", " 01\n"),
        text.replace(" 1\n", "\n"),
        text.trim_end().to_owned(),
        format!("{text}\n"),
        format!("{text}more\n"),
        text.replacen(lines[1], &lines[1].to_uppercase(), 1),
    ] {
        assert!(matches!(Leaf::parse(bad.as_bytes()), Err(LeafError::Form(_))), "{bad}");
    }
}

#[test]
fn batches_of_all_sizes() {
    let world = World::new(1);
    for count in [1, 2, 3, 100, 1_000] {
        let leaves = world.batch(count);
        assert_eq!(leaves.len(), count as usize);
        for (index, bytes) in (0..).zip(&leaves) {
            let leaf = Leaf::parse(bytes).unwrap();
            assert_eq!(leaf.outcome(), Some(&outcome(index)));
            let Leaf::Item { index: found, .. } = leaf else {
                panic!("an item")
            };
            assert_eq!(found, index);
            leaf.action().unwrap();
        }
        signed(&Leaf::parse(&leaves[0]).unwrap());
    }
}

#[test]
fn only_accepted_items_become_leaves() {
    let header = b"{}";
    let items = [b"a".to_vec(), b"b".to_vec(), b"c".to_vec()];
    let accepted = [(0, outcome(0)), (2, outcome(2)), (7, outcome(7))];
    let leaves = leaf::batch_items(header, &[0; 64], &items, &accepted);
    assert_eq!(leaves.len(), 2, "and an index that does not exist becomes none");
    let Leaf::Item { index, path, item, .. } = Leaf::parse(&leaves[1]).unwrap() else {
        panic!("an item")
    };
    assert_eq!((index, path.len(), item), (2, 1, b"c".as_slice()));
}

#[test]
fn an_item_of_another_batch_is_refused() {
    let world = World::new(1);
    let one = String::from_utf8(world.batch(3)[1].clone()).unwrap();
    let other = String::from_utf8(world.batch(4)[2].clone()).unwrap();
    let foreign = one.lines().enumerate().map(|(number, line)| {
        let line = if number == 2 {
            other.lines().nth(2).unwrap()
        } else {
            line
        };
        format!("{line}\n")
    });
    let foreign: String = foreign.collect();
    assert!(matches!(
        Leaf::parse(foreign.as_bytes()).unwrap().action(),
        Err(LeafError::Item(_))
    ));
}

#[test]
fn markers() {
    let marker = Marker {
        block: [1; 32],
        height: 7,
        network: [2; 32],
        next_validators: [3; 32],
        state_root: [4; 32],
        time: 1_767_225_600_000,
        validators: [5; 32],
    };
    let bytes = leaf::marker(&marker);
    assert_eq!(Leaf::parse(&bytes).unwrap(), Leaf::Marker(marker.clone()));
    let text = String::from_utf8(bytes).unwrap();
    let hex = |byte: &str| byte.repeat(32);
    assert_eq!(
        text,
        format!(
            "muniment.dev/block/v1\n{{\"block\":\"{}\",\"height\":7,\"network\":\"{}\",\"nextValidators\":\"{}\",\"stateRoot\":\"{}\",\"time\":1767225600000,\"validators\":\"{}\"}}\n",
            hex("01"),
            hex("02"),
            hex("03"),
            hex("04"),
            hex("05")
        )
    );
    for bad in [
        text.replace(":7,", ":07,"),
        text.replace("\"time\"", " \"time\""),
        text.replace("height", "heights"),
    ] {
        assert!(
            matches!(Leaf::parse(bad.as_bytes()), Err(LeafError::Marker(_))),
            "{bad}"
        );
    }
    let leaf = Leaf::Marker(marker);
    assert!(
        leaf.action().is_err() && leaf.signed().is_none(),
        "a marker holds no action"
    );
}

/// The hash of a leaf that never changes, so that a change of the format can't go unseen.
#[test]
fn the_leaf_format_is_fixed() {
    let bytes = leaf::single(
        b"{}",
        &[1; 64],
        &Outcome {
            record: [0xab; 32],
            version: 3,
            also: Vec::new(),
        },
    );
    let text = format!(
        "muniment.dev/leaf/v1\n{} 3\n{{}}\n{}\n",
        "ab".repeat(32),
        muniment_receipts::encoding::base64([1; 64])
    );
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), text);
    let items = leaf::batch_items(
        b"{}",
        &[1; 64],
        &[b"[]", b"{}"],
        &[(
            1,
            Outcome {
                record: [0xab; 32],
                version: 3,
                also: vec![([0xcd; 32], 7)],
            },
        )],
    );
    let path = muniment_receipts::encoding::base64(leaf_hash(b"[]"));
    let text = format!(
        "muniment.dev/leaf/v1\n{} 3 {} 7\n{{}}\n{{}}\n1\n{path}\n{}\n",
        "ab".repeat(32),
        "cd".repeat(32),
        muniment_receipts::encoding::base64([1; 64])
    );
    assert_eq!(String::from_utf8(items[0].clone()).unwrap(), text);
}
