//! Receipts without us: checked by a verifier built from the public formats alone, and never accepted when changed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use muniment_tests::local::LocalWorld;
use muniment_tests::{binary, verifier};
use serde_json::Value;

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn export(world: &LocalWorld, file: &str) -> std::path::PathBuf {
    let to = world.path(&format!("{file}-export"));
    let receipt = world.path(&format!("{file}.receipt"));
    let done = world.cli([
        "receipt".as_ref(),
        "export".as_ref(),
        receipt.as_os_str(),
        "--to".as_ref(),
        to.as_os_str(),
    ]);
    assert_eq!(done.code, 0, "{done:?}");
    to
}

fn notarized(world: &LocalWorld, file: &str, content: &str) {
    std::fs::write(world.path(file), content).unwrap();
    let done = world.cli(["notarize".as_ref(), world.path(file).as_os_str()]);
    assert_eq!(done.code, 0, "{done:?}");
}

fn verify(world: &LocalWorld, file: &Path, more: &[&str]) -> (i32, Value) {
    let mut arguments = vec!["-o", "json", "verify", file.to_str().unwrap()];
    arguments.extend(more);
    let done = binary::run(&world.config(), arguments);
    (done.code, serde_json::from_str(&done.stdout).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_built_from_the_public_formats_accepts_the_export_and_no_change_of_it() {
    let world = LocalWorld::fresh().await;
    notarized(&world, "contract.pdf", "a contract");
    let folder = export(&world, "contract.pdf");
    let (proof, policy) = (text(&folder.join("proof")), text(&folder.join("policy")));
    let origin = text(&folder.join("origin")).trim_end().to_owned();
    let leaf = std::fs::read(folder.join("leaf")).unwrap();
    let (cosigners, size) = verifier::verify(&proof, &leaf, &policy, &origin).unwrap();
    assert!(cosigners.len() >= 3 && size > 0, "{cosigners:?} {size}");

    for bit in 0..leaf.len() * 8 {
        let mut changed = leaf.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(
            verifier::verify(&proof, &changed, &policy, &origin).is_err(),
            "bit {bit} of the leaf"
        );
    }
    assert!(verifier::verify(&proof, &leaf, &policy, "muniment.dev/network/other").is_err());

    // Two signatures are no quorum.
    let (note, signatures) = proof.rsplit_once("\n\n").unwrap();
    let few: Vec<&str> = signatures.lines().take(2).collect();
    let few = format!("{note}\n\n{}\n", few.join("\n"));
    assert!(
        verifier::verify(&few, &leaf, &policy, &origin)
            .unwrap_err()
            .contains("no quorum")
    );
}

/// Whoever lost a receipt, or never had it, gets it from the server: the same proof of the same step, without the salt,
/// which only the receipt that was made here ever had.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_can_be_got_again() {
    let world = LocalWorld::fresh().await;
    notarized(&world, "salted.pdf", "a contract");
    let plain = world.path("plain.pdf");
    std::fs::write(&plain, "another").unwrap();
    let done = world.cli(["notarize".as_ref(), "--plain".as_ref(), plain.as_os_str()]);
    assert_eq!(done.code, 0, "{done:?}");
    for (file, code) in [("salted.pdf", 3), ("plain.pdf", 0)] {
        let kept = world.path(&format!("{file}.receipt"));
        let record = serde_json::from_str::<Value>(&text(&kept)).unwrap()["record"].clone();
        std::fs::remove_file(&kept).unwrap();
        let get = |more: &[&str]| {
            let mut arguments = vec!["receipt", "get", record.as_str().unwrap()];
            arguments.extend(["--out", kept.to_str().unwrap()]);
            arguments.extend(more);
            world.cli(arguments).code
        };
        assert_eq!(get(&["--version", "1"]), 0, "{file}");
        assert_eq!(verify(&world, &world.path(file), &[]).0, code, "{file}");
        // What is there isn't replaced unasked, and there is no second step.
        assert_eq!(get(&[]), 2, "{file}");
        assert_eq!(get(&["--force"]), 0, "{file}");
        assert_eq!(get(&["--force", "--version", "2"]), 1, "{file}");
        assert_eq!(verify(&world, &world.path(file), &[]).0, code, "{file}");
    }
}

/// Every bit of a receipt is tested in the receipts crate; here some bits of each byte region go through the CLI.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_bit_of_receipt_or_document_fails_in_the_cli() {
    let world = LocalWorld::fresh().await;
    notarized(&world, "contract.pdf", "a contract");
    let (file, receipt) = (world.path("contract.pdf"), world.path("contract.pdf.receipt"));
    assert_eq!(verify(&world, &file, &[]).0, 0);
    let trust = world.trust_root();
    let trust = ["--trust", trust.to_str().unwrap()];
    let bytes = std::fs::read(&receipt).unwrap();
    for index in (0..bytes.len()).step_by(bytes.len().div_ceil(150)) {
        let mut changed = bytes.clone();
        changed[index] ^= 1 << (index % 8);
        std::fs::write(&receipt, &changed).unwrap();
        let (code, report) = verify(&world, &file, &trust);
        assert_eq!(
            (code, report["overall"].as_str()),
            (1, Some("fail")),
            "byte {index}: {report}"
        );
    }
    std::fs::write(&receipt, &bytes).unwrap();
    for bit in 0..10 * 8 {
        let mut document = b"a contract".to_vec();
        document[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&file, &document).unwrap();
        assert_eq!(verify(&world, &file, &[]).0, 1, "bit {bit} of the document");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_of_another_network_and_a_wrong_trust_root_fail() {
    let mut ours = LocalWorld::fresh().await;
    notarized(&ours, "paper", "the same words");
    let (receipt, root) = (
        std::fs::read(ours.path("paper.receipt")).unwrap(),
        std::fs::read(ours.trust_root()).unwrap(),
    );
    ours.stop().await;
    drop(ours);

    let world = LocalWorld::fresh().await;
    notarized(&world, "paper", "the same words");
    let file = world.path("paper");
    let (foreign_root, foreign_receipt) = (world.path("foreign-root.json"), world.path("foreign.receipt"));
    std::fs::write(&foreign_root, root).unwrap();
    std::fs::write(&foreign_receipt, receipt).unwrap();

    // Our receipt under their root.
    let (code, report) = verify(&world, &file, &["--trust", foreign_root.to_str().unwrap()]);
    assert_eq!((code, report["overall"].as_str()), (1, Some("fail")), "{report}");
    let wrong = report["verdicts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|verdict| verdict["check"] == "trustRoot")
        .unwrap();
    assert_eq!(wrong["result"], "fail", "{report}");
    // Their receipt under our root.
    let own_root = world.trust_root();
    let arguments = [
        "--receipt",
        foreign_receipt.to_str().unwrap(),
        "--trust",
        own_root.to_str().unwrap(),
    ];
    let (code, report) = verify(&world, &file, &arguments);
    assert_eq!((code, report["overall"].as_str()), (1, Some("fail")), "{report}");
    // Their receipt under their root is good: a receipt needs its own network's root only.
    let arguments = [
        "--receipt",
        foreign_receipt.to_str().unwrap(),
        "--trust",
        foreign_root.to_str().unwrap(),
    ];
    assert_eq!(verify(&world, &file, &arguments).0, 0);

    // Their receipt when only our root is known: nothing can be said, and what is missing is named.
    let arguments = ["--receipt", foreign_receipt.to_str().unwrap()];
    let (code, report) = verify(&world, &file, &arguments);
    assert_eq!(
        (code, report["overall"].as_str()),
        (3, Some("inconclusive")),
        "{report}"
    );
    let told = world.cli(["verify", file.to_str().unwrap(), arguments[0], arguments[1]]);
    assert!(told.stdout.contains("next: get the trust root of network"), "{told:?}");

    // A trust root that was changed since it was pinned is refused by name, not replaced.
    let pinned = world.config().join("muniment/trust");
    let mut pinned = std::fs::read_dir(pinned).unwrap().map(|entry| entry.unwrap().path());
    let pinned = pinned.find(|path| path.is_file()).unwrap();
    std::fs::copy(&foreign_root, &pinned).unwrap();
    let refused = world.cli(["verify".as_ref(), file.as_os_str()]);
    assert!(
        refused.code != 0 && refused.stderr.contains("trust root"),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_verify_endpoint_gives_the_same_verdicts() {
    use muniment_tests::world::World;
    let world = LocalWorld::fresh().await;
    notarized(&world, "paper", "words");
    let api = muniment_tests::api::Api {
        key: String::new(),
        ..world.api()
    };
    let document = hex::encode(<sha2::Sha256 as sha2::Digest>::digest("words"));
    let receipt = text(&world.path("paper.receipt"));
    let url = format!("{}/v1/verify", api.server);
    for (document, expected) in [
        (Some(document), "pass"),
        (Some("00".repeat(32)), "fail"),
        (None, "inconclusive"),
    ] {
        let mut body = serde_json::json!({ "receipt": receipt, "trustRoot": text(&world.trust_root()) });
        if let Some(document) = document {
            body["document"] = document.into();
        }
        let answer = api
            .request(reqwest::Method::POST, &url, &[], Some(body.to_string()))
            .await
            .unwrap();
        assert_eq!(
            (answer.status.as_u16(), answer.body["report"]["overall"].as_str()),
            (200, Some(expected)),
            "{answer:?}"
        );
    }
}
