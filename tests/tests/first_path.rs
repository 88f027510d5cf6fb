//! The first path: one command starts a network, a file goes onto it, its receipt is checked offline.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use muniment_tests::local::LocalWorld;
use muniment_tests::world::{World, agreement};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn dev_says_what_it_started_and_a_restart_finds_it_again() {
    let mut world = LocalWorld::fresh().await;
    let screen = world.screen();
    let lines: Vec<&str> = screen.lines().collect();
    assert!(lines[0].starts_with("muniment 0.1.0 · data in "), "{screen}");
    assert!(
        lines[1].starts_with("network demo/notary: 4 validators, height "),
        "{screen}"
    );
    assert!(lines[1].ends_with(", quorum 3 of 4"), "{screen}");
    assert!(
        !lines[1].contains("height 0,"),
        "the welcome receipt is in a block: {screen}"
    );
    assert!(
        lines[2].starts_with("first receipt: \"welcome\" notarized in "),
        "{screen}"
    );
    assert!(lines[2].ends_with(" ms, verified offline"), "{screen}");
    let ready = format!(" s · API http://{0} · docs http://{0}/docs", world.listen());
    assert!(
        lines[3].starts_with("ready in ") && lines[3].ends_with(&ready),
        "{screen}"
    );
    assert_eq!(
        lines[4],
        "next:  muniment notarize FILE     muniment verify FILE     muniment network status"
    );

    let before = agreement(&world).await;
    assert_eq!(world.stop().await, 0, "{}", world.screen());
    world.start().await;
    let after = agreement(&world).await;
    assert_eq!(after.network, before.network);
    assert!(after.height >= before.height && after.log_size >= before.log_size);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_notarized_and_verified_without_the_server() {
    let mut world = LocalWorld::fresh().await;
    let file = world.path("contract.pdf");
    std::fs::write(&file, b"a contract").unwrap();

    let done = world.cli(["notarize".as_ref(), file.as_os_str()]);
    assert_eq!(done.code, 0, "{done:?}");
    for word in ["id ", "height ", "signed by validator-"] {
        assert!(done.stdout.contains(word), "no {word}: {done:?}");
    }
    assert!(world.path("contract.pdf.receipt").exists());
    let status = world.cli(["-o", "json", "network", "status"]);
    assert_eq!(status.code, 0, "{status:?}");
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(
        (
            status["quorumHolds"].as_bool(),
            status["nodes"].as_array().map(Vec::len)
        ),
        (Some(true), Some(4))
    );

    world.stop().await;
    let verified = world.cli(["verify".as_ref(), file.as_os_str()]);
    assert_eq!(verified.code, 0, "{verified:?}");
    for check in [
        "document",
        "statement signature",
        "inclusion",
        "quorum",
        "trust root",
        "time",
    ] {
        let line = verified
            .stdout
            .lines()
            .find(|line| line.trim_start().starts_with(check));
        assert!(line.is_some_and(|line| line.contains("pass")), "{check}: {verified:?}");
    }
    // Without the document nothing fails, but the document can't be decided.
    let alone = world.cli(["verify".as_ref(), world.path("contract.pdf.receipt").as_os_str()]);
    assert_eq!(alone.code, 3, "{alone:?}");
    std::fs::write(&file, b"another contract").unwrap();
    let changed = world.cli(["-o".as_ref(), "json".as_ref(), "verify".as_ref(), file.as_os_str()]);
    assert_eq!(changed.code, 1, "{changed:?}");
    let changed: Value = serde_json::from_str(&changed.stdout).unwrap();
    assert_eq!(changed["overall"], "fail");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_notarized_in_batches_and_goes_on_where_it_stopped() {
    let mut world = LocalWorld::fresh().await;
    let folder = world.path("papers");
    std::fs::create_dir_all(folder.join("deep")).unwrap();
    for number in 0..25 {
        std::fs::write(folder.join(format!("{number}.txt")), format!("paper {number}")).unwrap();
    }
    std::fs::write(folder.join("deep/last.txt"), "the last").unwrap();
    let notarize = |world: &LocalWorld| {
        let folder = folder.to_str().unwrap().to_owned();
        let done = world.cli(["-o", "json", "notarize", "-r", "--batch-size", "10", &folder]);
        let summary: Value = serde_json::from_str(done.stdout.lines().last().unwrap()).unwrap();
        (done.code, summary["summary"].clone())
    };
    let summary =
        |notarized: u64, already: u64| serde_json::json!({ "notarized": notarized, "already": already, "failed": 0 });
    assert_eq!(notarize(&world), (0, summary(26, 0)));
    assert_eq!(notarize(&world), (0, summary(0, 26)));
    for name in ["3.txt.receipt", "deep/last.txt.receipt"] {
        std::fs::remove_file(folder.join(name)).unwrap();
    }
    assert_eq!(notarize(&world), (0, summary(2, 24)));

    // A receipt is evidence: it is not overwritten when its document has changed, and the others go through.
    std::fs::write(folder.join("1.txt"), "changed").unwrap();
    std::fs::write(folder.join("new.txt"), "new").unwrap();
    let (code, summary) = notarize(&world);
    assert_eq!(
        (code, summary),
        (1, serde_json::json!({ "notarized": 1, "already": 25, "failed": 1 }))
    );

    // The whole folder is checked offline: one document changed, one gone, one never notarized.
    world.stop().await;
    std::fs::remove_file(folder.join("2.txt")).unwrap();
    std::fs::write(folder.join("never.txt"), "never").unwrap();
    let checked = world.cli(["verify", "-r", folder.to_str().unwrap()]);
    assert_eq!(checked.code, 1, "{checked:?}");
    let said = "checked 28: 25 pass, 1 FAIL, 1 inconclusive, 1 without a usable receipt";
    assert!(checked.stderr.contains(said), "{checked:?}");
    assert!(checked.stderr.contains("never.txt has no receipt"), "{checked:?}");
    let json = world.cli(["-o", "jsonl", "verify", "-r", folder.to_str().unwrap()]);
    assert_eq!(json.stdout.lines().count(), 27, "{json:?}");
    let folder_alone = world.cli(["verify", folder.to_str().unwrap()]);
    assert_eq!(folder_alone.code, 2, "{folder_alone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_plain_document_gets_the_earlier_receipt() {
    let world = LocalWorld::fresh().await;
    for name in ["one", "two"] {
        std::fs::write(world.path(name), "the same words").unwrap();
        let done = world.cli(["notarize".as_ref(), "--plain".as_ref(), world.path(name).as_os_str()]);
        assert_eq!(done.code, 0, "{done:?}");
        let verified = world.cli(["verify".as_ref(), world.path(name).as_os_str()]);
        assert_eq!(verified.code, 0, "{verified:?}");
    }
    assert_eq!(
        std::fs::read(world.path("one.receipt")).unwrap(),
        std::fs::read(world.path("two.receipt")).unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_reports_what_it_measured() {
    let world = LocalWorld::fresh().await;
    for mode in [
        ["--mode", "single", "--rate", "20"],
        ["--mode", "batch", "--concurrency", "1"],
    ] {
        let mut arguments = vec![
            "-o",
            "json",
            "bench",
            "--seconds",
            "2",
            "--warmup",
            "0",
            "--batch-size",
            "10",
        ];
        arguments.extend(mode);
        let done = world.cli(arguments);
        assert_eq!(done.code, 0, "{done:?}");
        let report: Value = serde_json::from_str(&done.stdout).unwrap();
        assert!(
            report["accepted"].as_u64().unwrap() > 0 && report["errors"].as_object().unwrap().is_empty(),
            "{report}"
        );
        assert!(
            report["latency"]["max"].as_f64() >= report["latency"]["p50"].as_f64(),
            "{report}"
        );
    }
    std::fs::write(world.path("file"), "words").unwrap();
    assert_eq!(world.cli(["notarize".as_ref(), world.path("file").as_os_str()]).code, 0);
    let done = world.cli([
        "bench".as_ref(),
        "receipts".as_ref(),
        "--seconds=1".as_ref(),
        world.path("file.receipt").as_os_str(),
    ]);
    assert_eq!(done.code, 0, "{done:?}");
}
