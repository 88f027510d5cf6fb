//! Trust roots, and validator set changes on a synthetic chain.

use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::encoding::base64;
use muniment_receipts::genesis::validators_hash;
use muniment_receipts::leaf::{self, Marker};
use muniment_receipts::merkle::{Frontier, leaf_hash};
use muniment_receipts::receipt::{Receipt, ReceiptParts};
use muniment_receipts::tlog_proof::TlogProof;
use muniment_receipts::trust::{Cosignature, MAX_CHANGES, MAX_TRUST_ROOT, TrustError, TrustRoot, ValidatorChange};
use muniment_receipts::verify::{Check, Outcome, Verifier};

use crate::world::{Keys, START, World, document, genesis, keys, public, salted};

const NOW: u64 = START + 60_000;

#[test]
fn the_file_has_one_spelling() {
    let world = World::new(4);
    let file = world.trust.canonical().unwrap();
    assert_eq!(TrustRoot::parse(&file).unwrap().canonical().unwrap(), file);
    let text = String::from_utf8(file).unwrap();
    assert!(TrustRoot::parse(format!("{text}\n").as_bytes()).is_ok());
    let network = hex::encode(world.trust.network());
    for (bad, wanted) in [
        (text.replace("demo/notary", "demo/others"), "network"),
        (text.replace(&network, &"0".repeat(64)), "network"),
        (text.replace("group validators 3", "group validators 2"), "policy"),
        (text.replace("validator-3\\n", "validator-3\\n#\\n"), "policy"),
    ] {
        let error = TrustRoot::parse(bad.as_bytes()).unwrap_err();
        let matches = match error {
            TrustError::Network(_) => "network",
            TrustError::Policy => "policy",
            other => panic!("{other:?}"),
        };
        assert_eq!(matches, wanted);
    }
    for bad in [
        format!("{text}\n\n"),
        format!(" {text}"),
        text.replace("\"changes\":[]", "\"changes\":[1]"),
        "{}".into(),
    ] {
        assert!(TrustRoot::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

/// One validator goes, two come; the world after the change, and the change.
fn changed_world() -> (World, ValidatorChange) {
    let mut world = World::new(4);
    world.block(vec![world.deposit(&salted(), &document())]);
    let (old_keys, _, _) = genesis(4);
    let mut new_keys: Vec<Keys> = old_keys.into_iter().skip(1).collect();
    let mut new: Vec<_> = world.trust.newest().validators()[1..].to_vec();
    for name in ["validator-4", "validator-5"] {
        new_keys.push(keys(name));
        new.push(public(name, &keys(name)));
    }
    world.next = Some(new.clone());
    let block = world.block(vec![world.deposit(&salted(), &document())]);
    let last = block.leaves.len() - 1;
    let proof = TlogProof {
        extra: None,
        index: block.checkpoint.size - 1,
        path: block.paths[last].clone(),
        checkpoint: world
            .trust
            .newest()
            .note(&block.checkpoint, &block.cosignatures)
            .unwrap(),
    };
    let change = ValidatorChange::new(3, &block.leaves[last], &proof, new);
    world.keys = new_keys;
    (world, change)
}

#[test]
fn receipts_hold_before_and_after_a_change() {
    let (mut world, change) = changed_world();
    let old_root = world.trust.clone();
    world.trust.add(change).unwrap();
    let file = world.trust.canonical().unwrap();
    let trust = TrustRoot::parse(&file).unwrap();
    assert_eq!((trust.newest().from_height(), trust.quorum()), (3, 4));
    assert_eq!(trust.validators_at(2).quorum(), 3);
    assert!(trust.continues(&old_root) && trust.continues(&trust) && !old_root.continues(&trust));

    let block = world.block(vec![world.deposit(&salted(), &document())]);
    let mut receipt = world.receipt(&block, 0);
    receipt.disclosure = Some(salted());
    let report = Verifier::new(Some(&file), None).verify(&receipt.encode(), Some(document()), NOW);
    assert_eq!(report.overall, Outcome::Pass, "{report:#?}");
    assert_eq!(report.quorum.as_deref(), Some("4 of 5"));
    assert!(receipt.export(&trust).policy.contains("group validators 4 validator-1"));

    let report = Verifier::with(old_root.clone(), None).verify(&receipt.encode(), Some(document()), NOW);
    let verdict = report.verdict(Check::TrustRoot).unwrap();
    assert_eq!(
        (verdict.result, verdict.code.as_ref()),
        (Outcome::Inconclusive, "unknown_validators"),
        "an old trust root can't call a good receipt forged"
    );
    assert!(verdict.detail.contains("newest trust root"), "{verdict:?}");
    let verdict = report.verdict(Check::Quorum).unwrap();
    assert_eq!(
        (verdict.result, verdict.code.as_ref()),
        (Outcome::Inconclusive, "unknown_validators")
    );
    assert_eq!((report.overall, report.exit_code()), (Outcome::Inconclusive, 3));
    assert_eq!((report.quorum, report.cosigned), (None, Vec::new()));

    let (before, receipt) = {
        let mut before = World::new(4);
        let block = before.block(vec![before.deposit(&salted(), &document())]);
        let mut receipt = before.receipt(&block, 0);
        receipt.disclosure = Some(salted());
        (before, receipt)
    };
    assert_eq!(before.trust.network(), trust.network());
    let report = Verifier::with(trust, None).verify(&receipt.encode(), Some(document()), NOW);
    assert_eq!(
        report.overall,
        Outcome::Pass,
        "an old receipt holds under the new trust root"
    );
}

/// A receipt with a marker by which validators of the attacker's own making decide `height`, cosigned by all of them.
fn forged(trust: &TrustRoot, height: u64, change: impl FnOnce(&mut Marker)) -> Receipt {
    let mut own = World::new(4);
    own.keys = (0..4).map(|index| keys(&format!("made-up-{index}"))).collect();
    let made_up: Vec<_> = own.keys.iter().map(|keys| public("validator-0", keys)).collect();
    let deposit = own.deposit(&salted(), &document());
    let mut marker = Marker {
        block: [1; 32],
        height,
        network: *trust.network(),
        next_validators: validators_hash(&made_up).unwrap(),
        state_root: [2; 32],
        time: START,
        validators: validators_hash(&made_up).unwrap(),
    };
    change(&mut marker);
    let marker = leaf::marker(&marker);
    let growth = Frontier::new().extension(&[leaf_hash(&deposit), leaf_hash(&marker)]);
    let checkpoint = Checkpoint::new(trust.network(), growth.size(), growth.root());
    let note = trust
        .validators_at(height)
        .note(&checkpoint, &own.cosign(&checkpoint, START / 1_000))
        .unwrap();
    let mut receipt = Receipt::build(ReceiptParts {
        network: trust.network(),
        height,
        record: &crate::world::outcome(0).record,
        leaf: &deposit,
        index: 0,
        path: &growth.path(0),
        note: &note,
        marker: &marker,
        marker_path: &growth.path(1),
    });
    receipt.disclosure = Some(salted());
    receipt
}

/// Naming validators that nobody knows gets a forger to "inconclusive" where the trust root's knowledge ends, and
/// never to a pass. Up to there it fails.
#[test]
fn made_up_validators_never_pass() {
    let (world, change) = changed_world();
    let old = world.trust.clone();
    let mut new = old.clone();
    new.add(change).unwrap();
    let judge = |trust: &TrustRoot, receipt: &Receipt| {
        Verifier::with(trust.clone(), None).verify(&receipt.encode(), Some(document()), NOW)
    };
    // The genesis says who decides height 1, the change who decides height 3.
    for (trust, known) in [(&old, 1), (&new, 3)] {
        for height in 1..6 {
            let report = judge(trust, &forged(trust, height, |_| ()));
            let expected = if height <= known {
                (Outcome::Fail, "other_validators")
            } else {
                (Outcome::Inconclusive, "unknown_validators")
            };
            let verdict = report.verdict(Check::TrustRoot).unwrap();
            assert_eq!((verdict.result, verdict.code.as_ref()), expected, "height {height}");
            assert_eq!(report.overall, expected.0, "height {height}: {report:#?}");
            // Whoever names the right validators is held to their signatures; and the marker must fit the rest.
            let right = *trust.validators_at(height).hash();
            let report = judge(trust, &forged(trust, height, |marker| marker.validators = right));
            assert_eq!(report.verdict(Check::Quorum).unwrap().result, Outcome::Fail);
            assert_eq!(report.overall, Outcome::Fail, "height {height}: {report:#?}");
            let report = judge(trust, &forged(trust, height, |marker| marker.network = [0; 32]));
            assert_eq!(report.overall, Outcome::Fail, "height {height}: {report:#?}");
            let report = judge(trust, &forged(trust, height, |marker| marker.height += 1));
            assert_eq!(report.overall, Outcome::Fail, "height {height}: {report:#?}");
        }
    }
}

/// Under a trust root that is too old, a receipt can't pass, and a changed one fails as ever.
#[test]
fn no_changed_bit_hides_behind_an_old_trust_root() {
    let (mut world, change) = changed_world();
    let old = world.trust.clone();
    world.trust.add(change).unwrap();
    let block = world.block(vec![world.deposit(&salted(), &document())]);
    let mut receipt = world.receipt(&block, 0);
    receipt.disclosure = Some(salted());
    let verifier = Verifier::with(old, None);
    for bit in 0..receipt.marker.len() * 8 {
        let mut changed = receipt.clone();
        changed.marker[bit / 8] ^= 1 << (bit % 8);
        let report = verifier.verify(&changed.encode(), Some(document()), NOW);
        assert_eq!(report.overall, Outcome::Fail, "bit {bit} of the marker");
    }
    let file = receipt.encode();
    for bit in 0..file.len() * 8 {
        let mut changed = file.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let report = verifier.verify(&changed, Some(document()), NOW);
        assert_ne!(report.overall, Outcome::Pass, "bit {bit} of the file");
    }
}

#[test]
fn an_untrusted_root_costs_no_more_than_its_limits() {
    let world = World::new(4);
    let file = world.trust.canonical().unwrap();
    let mut long = file.clone();
    long.resize(MAX_TRUST_ROOT + 1, b' ');
    assert!(matches!(TrustRoot::parse(&long), Err(TrustError::TooLong(_))));
    long.truncate(MAX_TRUST_ROOT);
    assert!(matches!(TrustRoot::parse(&long), Err(TrustError::Json(_))));
    // Counted before they are looked at: these are no changes at all.
    let changes = |count: usize| {
        let text = String::from_utf8(file.clone()).unwrap();
        let changes = vec!["0"; count].join(",");
        TrustRoot::parse(
            text.replacen("\"changes\":[]", &format!("\"changes\":[{changes}]"), 1)
                .as_bytes(),
        )
    };
    assert!(matches!(changes(MAX_CHANGES + 1), Err(TrustError::TooManyChanges)));
    assert!(matches!(changes(MAX_CHANGES), Err(TrustError::Json(_))));
}

#[test]
fn changes_that_do_not_follow_are_refused() {
    let (world, good) = changed_world();
    let refused = |change: ValidatorChange| {
        let error = world.trust.clone().add(change).expect_err("must be refused");
        match error {
            TrustError::Change { reason, .. } => reason.to_owned(),
            other => other.to_string(),
        }
    };
    world.trust.clone().add(good.clone()).unwrap();
    let mut fewer = good.validators.clone();
    fewer.pop();
    let mut twice = good.validators.clone();
    twice.push(twice[0].clone());
    let proof = TlogProof::parse(&good.proof).unwrap();
    let lines: Vec<&str> = proof.checkpoint.lines().collect();
    let with = |change: &dyn Fn(&mut TlogProof)| {
        let mut proof = proof.clone();
        change(&mut proof);
        ValidatorChange {
            proof: proof.text(),
            ..good.clone()
        }
    };
    let cases = [
        (
            ValidatorChange {
                height: 4,
                ..good.clone()
            },
            "the marker is of another network or height",
        ),
        (
            ValidatorChange {
                height: 1,
                ..good.clone()
            },
            "it must be later than the change before it",
        ),
        (
            ValidatorChange {
                validators: fewer,
                ..good.clone()
            },
            "the marker names other validators",
        ),
        (
            ValidatorChange {
                marker: base64("x"),
                ..good.clone()
            },
            "the marker is not a block marker",
        ),
        (
            ValidatorChange {
                marker: "=".into(),
                ..good.clone()
            },
            "the marker is not base64",
        ),
        (
            ValidatorChange {
                proof: String::new(),
                ..good.clone()
            },
            "the proof is not a tlog-proof",
        ),
        (with(&|p| p.extra = Some(vec![1])), "the proof has an extra line"),
        (
            with(&|p| p.index -= 1),
            "the checkpoint is of another log, or the marker is not its last leaf",
        ),
        (with(&|p| p.path[0][0] ^= 1), "the marker is not in the checkpoint"),
        (
            with(&|p| p.checkpoint = format!("{}\n", lines[..lines.len() - 1].join("\n"))),
            "the checkpoint is not cosigned by a quorum of the old set",
        ),
        (
            with(&|p| p.checkpoint = format!("{}{}\n", p.checkpoint, lines[lines.len() - 1])),
            "the checkpoint is not cosigned by a quorum of the old set",
        ),
    ];
    for (change, reason) in cases {
        assert_eq!(refused(change), reason);
    }
    assert!(
        refused(ValidatorChange {
            validators: twice,
            ..good.clone()
        })
        .contains("genesis")
    );
    // The new set can't vouch for itself: only those count who were in the old one, and two of four are no quorum.
    let mut own = World::new(4);
    own.keys = world.keys;
    let checkpoint = Checkpoint::parse(&format!("{}\n", lines[..3].join("\n"))).unwrap();
    let mut after = own.trust.clone();
    after.add(good.clone()).unwrap();
    let cosigned = own.cosign(&checkpoint, START / 1_000);
    let add = |cosigned: &[Cosignature]| {
        let note = after.newest().note(&checkpoint, cosigned).unwrap();
        own.trust.clone().add(with(&|p| p.checkpoint.clone_from(&note)))
    };
    assert!(add(&cosigned[1..]).is_err(), "two who stay and two newcomers");
    add(&cosigned[..4]).expect("three of the old set are its quorum, and the newcomer's line is ignored");
}

#[test]
fn a_second_change_is_judged_by_the_first_ones_set() {
    let (mut world, change) = changed_world();
    world.trust.add(change).unwrap();
    let mut new = world.trust.newest().validators().to_vec();
    new.truncate(4);
    world.next = Some(new.clone());
    let block = world.block(Vec::new());
    let proof = TlogProof {
        extra: None,
        index: block.checkpoint.size - 1,
        path: block.paths[0].clone(),
        checkpoint: world
            .trust
            .newest()
            .note(&block.checkpoint, &block.cosignatures)
            .unwrap(),
    };
    world
        .trust
        .add(ValidatorChange::new(4, &block.leaves[0], &proof, new))
        .unwrap();
    let file = world.trust.canonical().unwrap();
    let trust = TrustRoot::parse(&file).unwrap();
    assert_eq!(trust.changes().len(), 2);
    assert_eq!(
        [1, 2, 3, 4, 99].map(|height| trust.validators_at(height).from_height()),
        [1, 1, 3, 4, 4]
    );
}
