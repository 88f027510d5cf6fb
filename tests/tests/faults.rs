//! Kills, losses and damage: writes go on as far as a quorum lives, nothing accepted is lost or doubled.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use muniment_ledger::engine::SignGuard;
use muniment_ledger::engine::guard::FileGuard;
use muniment_ledger::wire::NodeStatus;
use muniment_tests::api::{deposit, digest};
use muniment_tests::load::{Load, check};
use muniment_tests::local::LocalWorld;
use muniment_tests::poll;
use muniment_tests::signatures::Signatures;
use muniment_tests::world::{World, agreement, statuses};
use reqwest::Method;

/// The validator that loses its data.
const WIPED: &str = "validator-3";

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
async fn a_validator_wiped_under_load_rejoins_and_never_signs_twice() {
    let mut world = LocalWorld::fresh().await;
    let mut signatures = Signatures::default();
    let load = Load::start(&world.api(), 4);
    load.progress(40).await;
    signatures.read(&world).await;
    // Stopped first: what it has signed is on disk then, and no more comes.
    world.pause(WIPED).await;
    let last = last_signed(&world, &world.replica_folder(WIPED).join("data/guard"));
    assert!(last > 0, "it has voted before");
    world.wipe(WIPED).await;

    load.progress(40).await;
    let floor = floor(&world).await;
    back_at_the_tip(&world, WIPED).await;
    signatures.read(&world).await;
    load.progress(40).await;
    let promises = load.finish().await;
    agreement(&world).await;
    check(&world, &promises).await;
    signatures.read(&world).await;
    signs_again_beyond(&signatures, last, floor);
}

/// Nobody writes, so no height helps it on: it follows, and votes again once the network has got on.
#[tokio::test(flavor = "multi_thread")]
async fn a_validator_whose_data_vanishes_in_an_idle_network_signs_only_beyond_what_it_had_signed() {
    let mut world = LocalWorld::fresh().await;
    let mut signatures = Signatures::default();
    agreement(&world).await;
    signatures.read(&world).await;
    // Taken away under the running process: it signs the next block as if nothing were, or ends when it meets the gap.
    let vanished = world.path("vanished");
    std::fs::rename(world.replica_folder(WIPED).join("data"), &vanished).unwrap();
    assert_eq!(world.api().deposit(&digest()).await.status, 201);
    world.pause(WIPED).await;
    let last = last_signed(&world, &vanished.join("guard"));
    world.kill(WIPED).await;

    let floor = floor(&world).await;
    let before = agreement(&world).await;
    assert!(before.height < floor, "the network is idle");
    let follows = |status: &NodeStatus| status.name == WIPED && !status.voting;
    assert!(statuses(&world).await.iter().any(follows), "it must not vote yet");
    let load = Load::start(&world.api(), 2);
    back_at_the_tip(&world, WIPED).await;
    load.progress(40).await;
    let promises = load.finish().await;
    agreement(&world).await;
    check(&world, &promises).await;
    signatures.read(&world).await;
    signs_again_beyond(&signatures, last, floor);
}

/// Highest height for which a validator's signature has left it, by its guard.
fn last_signed(world: &LocalWorld, guard: &Path) -> u64 {
    FileGuard::open(guard, *world.trust().network()).unwrap().last_height()
}

/// The height up to which the wiped validator swore off voting when it came back, as it logged it. Its new guard holds
/// it too.
async fn floor(world: &LocalWorld) -> u64 {
    let floor = poll::until("the wiped validator says up to where it only follows", || async {
        let log = world.log(WIPED);
        let line = log
            .lines()
            .rfind(|line| line.contains("this validator's data is gone"))?;
        let (_, floor) = line.rsplit_once("floor=")?;
        floor.split_whitespace().next()?.parse().ok()
    })
    .await;
    let guard = poll::until("it has a new guard", || async {
        FileGuard::open(
            &world.replica_folder(WIPED).join("data/guard"),
            *world.trust().network(),
        )
        .ok()
    })
    .await;
    assert!(
        guard.floor() >= floor,
        "the guard's floor is {} not {floor}",
        guard.floor()
    );
    floor
}

fn signs_again_beyond(signatures: &Signatures, last: u64, floor: u64) {
    assert!(floor > last, "signed up to {last}, but abstains only up to {floor}");
    let voted = signatures.voted(WIPED);
    let between: Vec<&u64> = voted
        .iter()
        .filter(|height| (last + 1..=floor).contains(*height))
        .collect();
    assert!(between.is_empty(), "voted at {between:?} after it had lost its data");
    assert!(
        last > 0 && voted.last().is_some_and(|newest| *newest > floor),
        "it must have voted before and after: {voted:?}, {last}, {floor}"
    );
}
