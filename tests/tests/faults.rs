//! Kills, losses and damage: writes go on as far as a quorum lives, nothing accepted is lost or doubled.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use muniment_tests::api::{deposit, digest};
use muniment_tests::load::{Load, check};
use muniment_tests::local::LocalWorld;
use muniment_tests::poll;
use muniment_tests::world::{World, agreement, statuses};
use reqwest::Method;

#[tokio::test(flavor = "multi_thread")]
async fn killing_each_process_in_turn_loses_and_doubles_nothing() {
    let mut world = LocalWorld::fresh().await;
    let load = Load::start(&world.api(), 4);
    load.progress(20).await;
    for validator in world.validators() {
        world.kill(&validator).await;
        load.progress(20).await;
        back_at_the_tip(&world, &validator).await;
    }
    // The API process with the supervisor: all goes down with it, and all comes back.
    world.kill_all().await;
    world.start().await;
    load.progress(20).await;
    let promises = load.finish().await;
    agreement(&world).await;
    check(&world, &promises).await;
}

async fn back_at_the_tip(world: &LocalWorld, validator: &str) {
    poll::until("the killed validator is back at the tip", || async {
        let all = statuses(world).await;
        let tip = all.iter().map(|status| status.height).max()?;
        all.iter()
            .any(|status| status.name == validator && status.voting && status.height + 3 >= tip)
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_two_dead_writes_wait_and_go_on_when_one_returns() {
    let mut world = LocalWorld::fresh().await;
    let api = world.api();
    agreement(&world).await;
    world.pause("validator-1").await;
    world.pause("validator-2").await;

    // Either durably accepted for later, or refused for now; never lost, never said to be final.
    let mut accepted = Vec::new();
    for _ in 0..5 {
        let digest = digest();
        let headers = [("prefer", "wait=1")];
        let body = Some(deposit(&digest).to_string());
        let answer = api
            .request(Method::POST, &api.url("/notarizations"), &headers, body)
            .await
            .unwrap();
        match answer.status.as_u16() {
            202 => {
                let id = answer.body["id"].as_str().unwrap().to_owned();
                accepted.push((digest, id));
            }
            503 => {
                assert!(answer.retry_after.is_some(), "503 without Retry-After: {answer:?}");
                answer.problem(503, answer.body["code"].as_str().unwrap_or_default());
            }
            _ => panic!("with two of four dead nothing can be final: {answer:?}"),
        }
    }
    let status = world.cli(["-o", "json", "network", "status"]);
    assert_eq!(status.code, 1, "quorum does not hold: {status:?}");

    world.resume("validator-1").await;
    for (digest, id) in &accepted {
        let operation = poll::until("an accepted write is final", || async {
            let url = format!("{}/v1/operations/{id}", api.server);
            let answer = api.request(Method::GET, &url, &[], None).await.ok()?;
            (answer.body["phase"] == "succeeded").then_some(answer.body)
        })
        .await;
        assert_eq!(operation["items"][0]["status"], "accepted", "{operation}");
        let found = api.get(&format!("/notarizations?digest={digest}")).await;
        assert!(
            found.text.contains(operation["items"][0]["id"].as_str().unwrap()),
            "{found:?}"
        );
    }
    poll::until("new writes are final with three of four", || async {
        let headers = [("prefer", "wait=5")];
        let body = Some(deposit(&digest()).to_string());
        let answer = api
            .request(Method::POST, &api.url("/notarizations"), &headers, body)
            .await
            .ok()?;
        (answer.status == 201).then_some(())
    })
    .await;
    world.resume("validator-2").await;
    agreement(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_killing_everything_at_once_everything_is_there() {
    let mut world = LocalWorld::fresh().await;
    let load = Load::start(&world.api(), 4);
    load.progress(40).await;
    world.kill_all().await;
    world.start().await;
    load.progress(10).await;
    let promises = load.finish().await;
    agreement(&world).await;
    check(&world, &promises).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_accepted_just_before_a_kill_becomes_final() {
    let mut world = LocalWorld::fresh().await;
    let api = world.api();
    let digest = digest();
    // Without `Prefer` the answer comes as soon as the write is durable.
    let body = Some(deposit(&digest).to_string());
    let answer = api
        .request(Method::POST, &api.url("/notarizations"), &[], body)
        .await
        .unwrap();
    world.kill_all().await;
    assert_eq!(answer.status, 202, "{answer:?}");
    world.start().await;
    let url = format!("{}/v1/operations/{}", api.server, answer.body["id"].as_str().unwrap());
    let operation = poll::until("the operation is final", || async {
        let answer = api.request(Method::GET, &url, &[], None).await.ok()?;
        (answer.body["phase"] != "pending").then_some(answer.body)
    })
    .await;
    assert_eq!(operation["phase"], "succeeded", "{operation}");
    assert_eq!(operation["items"][0]["status"], "accepted", "{operation}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_validator_rejoins_and_never_signs_twice() {
    let mut world = LocalWorld::fresh().await;
    let load = Load::start(&world.api(), 2);
    load.progress(20).await;
    world.wipe("validator-3").await;
    load.progress(20).await;
    back_at_the_tip(&world, "validator-3").await;
    load.progress(10).await;
    let promises = load.finish().await;
    agreement(&world).await;
    check(&world, &promises).await;

    // What it signed before and after the wipe: one signature per height, over the one checkpoint of that height.
    let mut signed = std::collections::BTreeMap::new();
    let end = agreement(&world).await.height;
    for validator in world.validators() {
        use futures::StreamExt;
        let mut blocks = world.node(&validator).follow(1);
        for height in 1..=end {
            let block = blocks.next().await.unwrap().unwrap();
            let digest = (block.header.hash(), block.log_root, block.state_root);
            let first = signed.entry(height).or_insert(digest);
            assert_eq!(*first, digest, "{validator} has another block at height {height}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_a_named_error_and_the_others_go_on() {
    let mut world = LocalWorld::fresh().await;
    let load = Load::start(&world.api(), 2);
    load.progress(20).await;
    world.pause("validator-0").await;
    // One flipped bit in the first block: bytes that were promised long ago, and no torn end of the file.
    let blocks = world
        .data()
        .join("networks/demo/notary/validator-0/validator-0/data/blocks");
    let mut bytes = std::fs::read(&blocks).unwrap();
    bytes[64] ^= 1;
    std::fs::write(&blocks, bytes).unwrap();
    world.kill("validator-0").await;
    load.progress(20).await;
    poll::until("the damaged validator says so", || async {
        let log = log_of(&world, "validator-0");
        ["corrupt", "damaged", "torn"]
            .iter()
            .any(|word| log.contains(word))
            .then_some(())
    })
    .await;
    let promises = load.finish().await;
    assert!(!promises.is_empty());
    let status = world.cli(["network", "status"]);
    assert_eq!(status.code, 0, "three of four hold the quorum: {status:?}");
    assert!(
        !statuses(&world)
            .await
            .iter()
            .any(|status| status.name == "validator-0" && status.voting)
    );
}

fn files(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if entry.metadata().is_ok_and(|meta| meta.len() > 0) {
            found.push(path);
        }
    }
    found
}

/// Lower-case log text of one validator, and what `dev` showed about it.
fn log_of(world: &LocalWorld, validator: &str) -> String {
    let mut text = world.screen();
    for file in files(&world.data().join("logs")) {
        if file.to_string_lossy().contains(validator) {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()));
        }
    }
    text.to_lowercase()
}
