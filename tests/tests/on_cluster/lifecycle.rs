//! What a network lives through without losing a write: validators that join and leave, another version, sleep.

use muniment_tests::cluster::{ClusterWorld, attempt, image, kubectl, release, wanted};
use muniment_tests::load::{Load, check};
use muniment_tests::poll;
use muniment_tests::world::{World, agreement};
use serde_json::json;

/// Scale 4 → 7 → 4, another version, sleep and wake, all under write load: every write is final after its client's
/// retries, and the receipts of all times verify with one trust root.
#[tokio::test(flavor = "multi_thread")]
async fn scaled_upgraded_and_woken_under_load() {
    if !wanted("scaled_upgraded_and_woken_under_load") {
        return;
    }
    let world = ClusterWorld::alone().await;
    let load = Load::start(&world.api(), 4);
    load.progress(40).await;
    world.scale(7).await;
    assert_eq!(world.validators()[6], "validator-6");
    load.progress(40).await;
    world.scale(4).await;
    let four = ["validator-3", "validator-4", "validator-5", "validator-6"];
    assert_eq!(world.validators(), four, "the oldest have left");
    load.progress(40).await;
    let other = std::env::var("MUNIMENT_OTHER_IMAGE").expect("MUNIMENT_OTHER_IMAGE names a second image");
    world.upgrade(&other).await;
    load.progress(40).await;
    world.sleep_and_wake().await;
    load.progress(40).await;
    let promises = load.finish().await;
    agreement(&world).await;
    println!("{} writes, none of them lost", promises.len());
    check(&world, &promises).await;
    let kept = kubectl(&["get", "secret,pvc", "-n", world.tenant(), "-o", "name"]);
    for left in ["validator-0", "validator-1", "validator-2"] {
        assert!(kept.contains(&format!("secret/contracts-{left}-keys")), "{kept}");
        assert!(kept.contains(&format!("data-contracts-{left}")), "{kept}");
    }
    release(&image(), "");
}

/// Where two members decide, the second one is waited for by name of the proposal, and nothing happens before it agrees.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: .ci/run nightly"]
async fn a_change_of_validators_waits_for_the_members() {
    if !wanted("a_change_of_validators_waits_for_the_members") {
        return;
    }
    let world = ClusterWorld::fresh().await;
    world.change("{\"validators\":{\"count\":5}}");
    let id = poll::within(
        std::time::Duration::from_secs(240),
        "an approval is waited for",
        || async {
            let (status, reason, message) = world.condition("SpecApplied")?;
            let id = message
                .split("proposal approve ")
                .nth(1)?
                .trim_end_matches('`')
                .to_owned();
            assert_eq!(
                (status.as_str(), reason.as_str()),
                ("False", "NeedsGovernance"),
                "{message}"
            );
            assert!(message.contains("4 validators and 5 are wanted"), "{message}");
            assert!(message.contains("has 1 of 2 approvals"), "{message}");
            Some(id)
        },
    )
    .await;
    assert_eq!(world.resource()["status"]["validators"]["desired"], 4);
    let record = hex::decode(&id).unwrap().try_into().unwrap();
    let approval = world
        .party()
        .act("muniment.dev/governance", "approve", json!({}), Some(record));
    let statement = String::from_utf8(approval.signed_bytes().to_vec()).unwrap();
    let signature = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, approval.signature());
    let body = json!({ "statement": statement, "signature": signature });
    let approved = world.api().post("/transactions", &body).await;
    assert_eq!(approved.status, 201, "{approved:?}");
    world.scaled(5).await;
    agreement(&world).await;
}

/// What a network can't be changed to is refused by `kubectl scale` as well, with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn a_count_that_survives_no_failure_is_refused() {
    if !wanted("a_count_that_survives_no_failure_is_refused") {
        return;
    }
    let world = ClusterWorld::fresh().await;
    let words = [
        "kubectl",
        "scale",
        "ln",
        "contracts",
        "-n",
        world.tenant(),
        "--replicas=3",
    ];
    let (scaled, said) = attempt(&words, "");
    assert!(!scaled && said.contains("must be from 4 to 31"), "{said}");
}
