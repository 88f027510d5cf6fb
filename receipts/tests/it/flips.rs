//! No bit of a receipt, of what is inside it, or of the document may change unseen.

use muniment_receipts::receipt::Receipt;
use muniment_receipts::verify::{Outcome, Verifier};

use crate::world::{START, World, document};

const NOW: u64 = START + 60_000;

fn verifier(world: &World) -> Verifier {
    Verifier::new(Some(&world.trust.canonical().unwrap()), Some(*world.trust.network()))
}

fn assert_all_flips_fail(bytes: &[u8], what: &str, verify: impl Fn(&[u8]) -> Outcome) {
    assert_eq!(verify(bytes), Outcome::Pass, "{what} as it is");
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            verify(&changed),
            Outcome::Fail,
            "{what}, byte {}, bit {}",
            bit / 8,
            bit % 8
        );
    }
}

fn flip_everything(world: &World, receipt: &Receipt) {
    let verifier = verifier(world);
    let overall = |receipt: &Receipt| verifier.verify(&receipt.encode(), Some(document()), NOW).overall;
    assert_all_flips_fail(&receipt.encode(), "receipt file", |file| {
        verifier.verify(file, Some(document()), NOW).overall
    });
    assert_all_flips_fail(&receipt.leaf, "leaf", |leaf| {
        overall(&Receipt {
            leaf: leaf.to_vec(),
            ..receipt.clone()
        })
    });
    assert_all_flips_fail(&receipt.marker, "marker", |marker| {
        overall(&Receipt {
            marker: marker.to_vec(),
            ..receipt.clone()
        })
    });
    assert_all_flips_fail(receipt.proof.checkpoint.as_bytes(), "checkpoint", |note| {
        let Ok(note) = std::str::from_utf8(note) else {
            return Outcome::Fail;
        };
        let mut changed = receipt.clone();
        note.clone_into(&mut changed.proof.checkpoint);
        overall(&changed)
    });
    assert_all_flips_fail(&document(), "document digest", |digest| {
        verifier.verify(&receipt.encode(), digest.try_into().ok(), NOW).overall
    });
}

/// What is added behind the cosignatures is either a whole line of an unknown key, which says nothing, or an error.
#[test]
fn what_is_added_to_the_checkpoint_fails_or_is_ignored() {
    let (world, receipt) = World::with_receipt();
    let verifier = verifier(&world);
    let with = |tail: &str| {
        let mut changed = receipt.clone();
        changed.proof.checkpoint.push_str(tail);
        verifier.verify(&changed.encode(), Some(document()), NOW)
    };
    for tail in [
        "\n",
        " ",
        "x",
        "x\n",
        "\n\n",
        "— ",
        "— w\n",
        "— w AAAA\n",
        "— w AAAAAAAA",
        "— w AAAAAAAA\nx",
        "— w AAAAAAAA=\n",
        "— w AAAAAAAB=\n",
        "— w  AAAAAAAA\n",
        "- w AAAAAAAA\n",
        "— w AAAAAAAA \n",
        "\n— w AAAAAAAA\n",
        "\u{0}",
    ] {
        assert_eq!(with(tail).overall, Outcome::Fail, "{tail:?}");
    }
    let report = with("— w AAAAAAAA\n");
    assert_eq!((report.overall, report.ignored), (Outcome::Pass, vec!["w".to_owned()]));
    let many = "— w AAAAAAAA\n".repeat(muniment_receipts::note::MAX_SIGNATURES);
    assert_eq!(with(&many).overall, Outcome::Fail);
}

#[test]
fn of_a_single_statement() {
    let (world, receipt) = World::with_receipt();
    flip_everything(&world, &receipt);
}

#[test]
fn of_an_item_of_a_batch() {
    let mut world = World::new(4);
    let leaves = world.batch(5);
    let block = world.block(leaves);
    let mut receipt = world.receipt(&block, 2);
    receipt.disclosure = Some(crate::world::salted());
    let verifier = verifier(&world);
    let digest =
        sha2::Digest::finalize(sha2::Digest::chain_update(sha2::Sha256::default(), 2_u32.to_be_bytes())).into();
    assert_all_flips_fail(&receipt.encode(), "receipt file", |file| {
        verifier.verify(file, Some(digest), NOW).overall
    });
    assert_all_flips_fail(&receipt.leaf, "leaf", |leaf| {
        let changed = Receipt {
            leaf: leaf.to_vec(),
            ..receipt.clone()
        };
        verifier.verify(&changed.encode(), Some(digest), NOW).overall
    });
}

/// A trust root has room for another network only by being another one.
#[test]
fn of_the_trust_root() {
    let (world, receipt) = World::with_receipt();
    let file = receipt.encode();
    assert_all_flips_fail(&world.trust.canonical().unwrap(), "trust root", |trust| {
        Verifier::new(Some(trust), None)
            .verify(&file, Some(document()), NOW)
            .overall
    });
}

#[test]
fn cut_and_lengthened_files_fail() {
    let (world, receipt) = World::with_receipt();
    let (verifier, file) = (verifier(&world), receipt.encode());
    for length in 0..file.len() {
        assert_eq!(
            verifier.verify(&file[..length], Some(document()), NOW).overall,
            Outcome::Fail,
            "{length} bytes"
        );
    }
    for tail in ["\n", " ", "\0", "{}", "x"] {
        let longer = [&file, tail.as_bytes()].concat();
        assert_eq!(
            verifier.verify(&longer, Some(document()), NOW).overall,
            Outcome::Fail,
            "{tail:?}"
        );
    }
}
