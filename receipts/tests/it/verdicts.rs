//! Verdicts: each check by itself, with its reason code.

use ed25519_dalek::Signer;
use muniment_receipts::encoding::{base64, from_base64};
use muniment_receipts::leaf;
use muniment_receipts::note::Note;
use muniment_receipts::receipt::{Disclosure, Receipt};
use muniment_receipts::statement::Statement;
use muniment_receipts::verify::{Check, Outcome, Report, Verification, Verifier, verify};

use crate::world::{Block, START, World, document, input, outcome, salted, signing_key};

const NOW: u64 = START + 60_000;

fn code(report: &Report, check: Check) -> (Outcome, &str) {
    let verdict = report.verdict(check).unwrap();
    (verdict.result, verdict.code.as_ref())
}

fn run(world: &World, receipt: &Receipt) -> Report {
    let verifier = Verifier::with(world.trust.clone(), None);
    verifier.verify(&receipt.encode(), Some(document()), NOW)
}

/// A world with one block with this leaf, and its receipt.
fn with_leaf(make: impl FnOnce(&World) -> Vec<u8>) -> (World, Block, Receipt) {
    let mut world = World::new(4);
    let leaf = make(&world);
    let block = world.block(vec![leaf]);
    let mut receipt = world.receipt(&block, 0);
    receipt.disclosure = Some(salted());
    (world, block, receipt)
}

#[test]
fn all_pass() {
    let (world, receipt) = World::with_receipt();
    let report = run(&world, &receipt);
    for check in [
        Check::Receipt,
        Check::Document,
        Check::Statement,
        Check::Inclusion,
        Check::Quorum,
        Check::TrustRoot,
        Check::Time,
    ] {
        assert_eq!(code(&report, check).0, Outcome::Pass, "{report:#?}");
    }
    assert_eq!(code(&report, Check::Status), (Outcome::Inconclusive, "not_covered"));
    assert_eq!((report.overall, report.exit_code()), (Outcome::Pass, 0));
    assert_eq!((report.height, report.block_time), (Some(4), Some(START + 3_000)));
    assert_eq!(report.quorum.as_deref(), Some("3 of 4"));
    let names: Vec<_> = report.cosigned.iter().map(|cosigned| cosigned.name.as_str()).collect();
    assert_eq!(names, ["validator-0", "validator-1", "validator-2"]);
    let statement = report.statement.clone().unwrap();
    assert_eq!(
        (
            statement.template.as_str(),
            statement.action.as_str(),
            statement.version
        ),
        ("notarization", "deposit", 1)
    );
    assert_eq!(statement.signer_name.as_deref(), Some("Demo"));
    assert_eq!(statement.digests.unwrap()[0]["alg"], "sha-256");
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    assert_eq!(
        serde_json::to_string(&run(&world, &receipt)).unwrap(),
        json,
        "same inputs, same bytes"
    );
}

#[test]
fn what_is_missing_is_inconclusive() {
    let (world, receipt) = World::with_receipt();
    let (file, trust) = (receipt.encode(), world.trust.canonical().unwrap());
    let full = Verification {
        receipt: &file,
        trust_root: Some(&trust),
        document: Some(document()),
        evaluation_time: NOW,
        network: Some(*world.trust.network()),
    };
    assert_eq!(verify(&full).exit_code(), 0);
    let report = verify(&Verification { document: None, ..full });
    assert_eq!(code(&report, Check::Document), (Outcome::Inconclusive, "no_document"));
    assert_eq!(report.exit_code(), 3);
    let report = verify(&Verification {
        trust_root: None,
        ..full
    });
    assert_eq!(
        code(&report, Check::TrustRoot),
        (Outcome::Inconclusive, "no_trust_root")
    );
    assert_eq!(code(&report, Check::Quorum), (Outcome::Inconclusive, "no_trust_root"));
    assert_eq!(code(&report, Check::Inclusion).0, Outcome::Pass);
    assert_eq!(report.exit_code(), 3);
    let report = verify(&Verification {
        network: Some([0; 32]),
        ..full
    });
    assert_eq!(code(&report, Check::TrustRoot), (Outcome::Fail, "other_network"));
    let report = verify(&Verification {
        trust_root: Some(b"{}"),
        ..full
    });
    assert_eq!(code(&report, Check::TrustRoot), (Outcome::Fail, "malformed"));
    assert_eq!(code(&report, Check::Quorum), (Outcome::Inconclusive, "bad_trust_root"));
    let report = verify(&Verification { receipt: b"", ..full });
    assert_eq!(code(&report, Check::Receipt), (Outcome::Fail, "malformed"));
    assert_eq!((report.exit_code(), report.verdicts.len()), (1, 8));
    let report = verify(&Verification {
        evaluation_time: START - 3_600_000,
        ..full
    });
    assert_eq!(code(&report, Check::Time), (Outcome::Inconclusive, "in_future"));
    let mut bare = receipt.clone();
    bare.disclosure = None;
    let report = run(&world, &bare);
    assert_eq!(code(&report, Check::Document), (Outcome::Inconclusive, "no_disclosure"));
}

#[test]
fn documents() {
    let (world, mut receipt) = World::with_receipt();
    let other = Verifier::with(world.trust.clone(), None).verify(&receipt.encode(), Some([1; 32]), NOW);
    assert_eq!(code(&other, Check::Document), (Outcome::Fail, "mismatch"));
    receipt.disclosure = Some(Disclosure::Plain);
    assert_eq!(
        code(&run(&world, &receipt), Check::Document),
        (Outcome::Fail, "mode_mismatch")
    );
    receipt.disclosure = Some(Disclosure::Salted { salt: [0; 32] });
    assert_eq!(
        code(&run(&world, &receipt), Check::Document),
        (Outcome::Fail, "mismatch")
    );
    let (world, _, mut receipt) = with_leaf(|world| world.deposit(&Disclosure::Plain, &document()));
    receipt.disclosure = Some(Disclosure::Plain);
    assert_eq!(run(&world, &receipt).overall, Outcome::Pass);
    let (world, _, receipt) = with_leaf(|world| {
        let statement = Statement::new(world.common(), serde_json::Map::new(), Some(outcome(0).record));
        let bytes = statement.canonical().unwrap();
        leaf::single(&bytes, &world.member.sign(&bytes).to_bytes(), &outcome(0))
    });
    assert_eq!(
        code(&run(&world, &receipt), Check::Document),
        (Outcome::Inconclusive, "no_digests")
    );
}

fn stated(change: impl FnOnce(&mut Statement)) -> Report {
    let (world, _, receipt) = with_leaf(|world| {
        let mut statement = Statement::new(world.common(), input(&salted(), &document()), None);
        change(&mut statement);
        let bytes = statement.canonical().unwrap();
        leaf::single(&bytes, &world.member.sign(&bytes).to_bytes(), &outcome(0))
    });
    run(&world, &receipt)
}

#[test]
fn statements() {
    let verdict = |change: fn(&mut Statement)| {
        stated(change)
            .verdict(Check::Statement)
            .unwrap()
            .code
            .clone()
            .into_owned()
    };
    assert_eq!(verdict(|_| ()), "signed");
    assert_eq!(verdict(|statement| statement.network = [1; 32]), "other_network");
    assert_eq!(verdict(|statement| statement.record = Some([1; 32])), "other_record");
    assert_eq!(verdict(|statement| statement.valid_until = START - 1), "expired");
    let report = stated(|statement| {
        statement.signer = muniment_receipts::key::SignerKey::ed25519(signing_key("x").verifying_key().as_bytes());
    });
    assert_eq!(code(&report, Check::Statement), (Outcome::Fail, "bad_signature"));
    assert!(
        report.statement.is_none(),
        "nothing is told of a statement that nobody signed"
    );
    let (world, _, receipt) = with_leaf(|_| leaf::single(b"{ }", &[0; 64], &outcome(0)));
    assert_eq!(
        code(&run(&world, &receipt), Check::Statement),
        (Outcome::Fail, "malformed_statement")
    );
}

#[test]
fn a_stranger_may_sign_by_p256() {
    use p256::ecdsa::signature::Signer as _;
    let key = p256::ecdsa::SigningKey::from_slice(&[3; 32]).unwrap();
    let point: [u8; 33] = key.verifying_key().to_sec1_point(true).as_bytes().try_into().unwrap();
    let (world, _, receipt) = with_leaf(|world| {
        let mut statement = Statement::new(world.common(), input(&salted(), &document()), None);
        statement.signer = muniment_receipts::key::SignerKey::P256(point);
        let bytes = statement.canonical().unwrap();
        let signature: p256::ecdsa::Signature = key.sign(&bytes);
        leaf::single(&bytes, &signature.normalize_s().to_bytes().into(), &outcome(0))
    });
    let report = run(&world, &receipt);
    assert_eq!(report.overall, Outcome::Pass, "{report:#?}");
    assert_eq!(report.statement.unwrap().signer_name, None);
}

#[test]
fn quorums() {
    let (world, block, receipt) = with_leaf(|world| world.deposit(&salted(), &document()));
    let set = world.trust.newest();
    let lines: Vec<String> = (0..4)
        .map(|index| {
            set.cosigner(index)
                .unwrap()
                .line(block.time / 1_000, &block.cosignatures[index].signature)
        })
        .collect();
    let with = |lines: &[&String]| {
        let mut receipt = receipt.clone();
        receipt.proof.checkpoint = format!(
            "{}\n{}",
            block.checkpoint.text(),
            lines.iter().map(|l| l.as_str()).collect::<String>()
        );
        run(&world, &receipt)
    };
    let [a, b, c, d] = [&lines[0], &lines[1], &lines[2], &lines[3]];
    let stranger = a.replace("validator-0", "validator-9");
    let witness = format!("— witness.example/w {}\n", base64([9; 76]));
    // As long as an ML-DSA-44 cosignature, under a validator's name and another key id.
    let name = a.split(' ').nth(1).unwrap();
    let later = format!("— {name} {}\n", base64([9; 4 + 8 + 2_420]));
    let wrong = {
        // The key id of d with the signature of c.
        let bytes = |line: &str| from_base64(line.trim_end().rsplit(' ').next().unwrap()).unwrap();
        let mixed = [&bytes(d)[..4], &bytes(c)[4..]].concat();
        format!("— {} {}\n", d.split(' ').nth(1).unwrap(), base64(mixed))
    };
    for (lines, expected) in [
        (vec![a, b, c], "quorum"),
        (vec![b, c, d], "quorum"),
        (vec![a, b, c, d], "quorum"),
        (vec![a, b], "too_few"),
        (vec![a, b, b], "bad_cosignature"),
        (vec![a, b, c, c], "bad_cosignature"),
        (vec![b, a, c], "bad_cosignature"),
        (vec![a, b, &wrong], "bad_cosignature"),
        (vec![a, b, c, &wrong], "bad_cosignature"),
        // Others may sign too: a witness, a log, a validator's key of a later kind.
        (vec![a, b, c, &stranger], "quorum"),
        (vec![&witness, a, &stranger, b, c], "quorum"),
        (vec![a, b, c, &later, &later], "quorum"),
        // But they count for nothing.
        (vec![a, b, &stranger], "too_few"),
        (vec![a, b, &witness, &later, &stranger], "too_few"),
        (vec![&stranger], "too_few"),
    ] {
        let report = with(&lines);
        assert_eq!(report.verdict(Check::Quorum).unwrap().code, expected, "{report:#?}");
        assert_eq!(report.overall == Outcome::Pass, expected == "quorum");
    }
    assert_eq!(with(&[a, b]).quorum.as_deref(), Some("2 of 4"));
    let report = with(&[&witness, a, b, c, &later]);
    assert_eq!(report.ignored, ["witness.example/w", name]);
    assert!(
        report
            .verdict(Check::Quorum)
            .unwrap()
            .detail
            .contains("witness.example/w")
    );
    assert!(with(&[a, b, c]).ignored.is_empty());
    let shuffled: Vec<_> = [3, 1, 2, 1, 0].map(|index| block.cosignatures[index]).to_vec();
    assert_eq!(
        set.note(&block.checkpoint, &shuffled),
        set.note(&block.checkpoint, &block.cosignatures)
    );
    assert_eq!(
        set.note(&block.checkpoint, &[shuffled[1]; 4]),
        None,
        "one validator four times is no quorum"
    );
}

/// A receipt from a note that carries more than a quorum is cut down to it: else a changed bit in a spare line would
/// make it a line of an unknown key, and pass.
#[test]
fn exact_notes_have_nothing_to_spare() {
    let (world, block, _) = with_leaf(|world| world.deposit(&salted(), &document()));
    let set = world.trust.newest();
    let quorum = set.note(&block.checkpoint, &block.cosignatures).unwrap();
    let mut all = block.checkpoint.text() + "\n";
    all.push_str(&format!("— witness.example/w {}\n", base64([9; 76])));
    for (index, cosignature) in block.cosignatures.iter().enumerate() {
        let mut signature = cosignature.signature;
        // The first one is wrong: the next three make the quorum.
        signature[0] ^= u8::from(index == 0);
        all.push_str(&set.cosigner(index).unwrap().line(cosignature.time, &signature));
    }
    let exact = set.exact(&Note::parse(&all).unwrap()).unwrap();
    assert_eq!(
        Some(&exact),
        set.note(&block.checkpoint, &block.cosignatures[1..]).as_ref()
    );
    assert_eq!(set.exact(&Note::parse(&quorum).unwrap()), Some(quorum.clone()));
    let few: String = quorum.split_inclusive('\n').take(6).collect();
    assert_eq!(set.exact(&Note::parse(&few).unwrap()), None);
}

#[test]
fn a_receipt_of_another_network_or_block_fails() {
    let (world, receipt) = World::with_receipt();
    let mut other = World::new(3);
    let leaf = other.deposit(&salted(), &document());
    let block = other.block(vec![leaf]);
    let foreign = other.receipt(&block, 0);
    let report = run(&world, &foreign);
    assert_eq!(code(&report, Check::TrustRoot), (Outcome::Fail, "other_network"));
    assert_eq!(report.overall, Outcome::Fail);
    let changed = Receipt {
        network: *other.trust.network(),
        ..receipt.clone()
    };
    assert_eq!(
        code(&run(&world, &changed), Check::Inclusion),
        (Outcome::Fail, "other_log")
    );
    let changed = Receipt {
        height: 3,
        ..receipt.clone()
    };
    assert_eq!(
        code(&run(&world, &changed), Check::Inclusion),
        (Outcome::Fail, "other_block")
    );
    let changed = Receipt {
        record: [1; 32],
        ..receipt.clone()
    };
    assert_eq!(
        code(&run(&world, &changed), Check::Statement),
        (Outcome::Fail, "other_record")
    );
    let changed = Receipt {
        marker: receipt.leaf.clone(),
        ..receipt.clone()
    };
    assert_eq!(
        code(&run(&world, &changed), Check::Inclusion),
        (Outcome::Fail, "malformed_marker")
    );
    let changed = Receipt {
        leaf: receipt.marker.clone(),
        ..receipt
    };
    assert_eq!(
        code(&run(&world, &changed), Check::Statement),
        (Outcome::Fail, "malformed_statement")
    );
}

#[test]
fn a_clock_that_is_far_off_is_told() {
    let (world, block, mut receipt) = with_leaf(|world| world.deposit(&salted(), &document()));
    let early = world.cosign(&block.checkpoint, START / 1_000 - 3_600);
    receipt.proof.checkpoint = world.trust.newest().note(&block.checkpoint, &early).unwrap();
    assert_eq!(
        code(&run(&world, &receipt), Check::Time),
        (Outcome::Inconclusive, "clocks_differ")
    );
}
