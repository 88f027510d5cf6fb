//! Kills, losses and damage: writes go on as far as a quorum lives, nothing accepted is lost or doubled.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use muniment_ledger::engine::SignGuard;
use muniment_ledger::engine::guard::FileGuard;
use muniment_ledger::wire::NodeStatus;
use muniment_tests::api::digest;
use muniment_tests::load::{Load, check};
use muniment_tests::local::LocalWorld;
use muniment_tests::poll;
use muniment_tests::scenarios::{self, back_at_the_tip};
use muniment_tests::signatures::Signatures;
use muniment_tests::world::{World, agreement, statuses};

/// The validator that loses its data.
const WIPED: &str = "validator-3";

#[tokio::test(flavor = "multi_thread")]
async fn killing_each_process_in_turn_loses_and_doubles_nothing() {
    scenarios::killing_each_process_in_turn(&mut LocalWorld::fresh().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_api_alone_loses_and_doubles_nothing() {
    scenarios::killing_the_api_alone(&mut LocalWorld::fresh().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_two_dead_writes_wait_and_go_on_when_one_returns() {
    scenarios::two_of_four_dead(&mut LocalWorld::fresh().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_two_frozen_writes_wait_and_go_on_when_one_returns() {
    scenarios::two_of_four_paused(&mut LocalWorld::fresh().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_killing_everything_at_once_everything_is_there() {
    scenarios::killing_everything_at_once(&mut LocalWorld::fresh().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_accepted_just_before_a_kill_becomes_final() {
    scenarios::accepted_just_before_a_kill(&mut LocalWorld::fresh().await).await;
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
    votes_beyond(floor, &world, &load, &mut signatures).await;
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
    votes_beyond(floor, &world, &load, &mut signatures).await;
    let promises = load.finish().await;
    agreement(&world).await;
    check(&world, &promises).await;
    signatures.read(&world).await;
    signs_again_beyond(&signatures, last, floor);
}

/// Highest height for which a validator's signature has left it, by its guard.
fn last_signed(world: &LocalWorld, guard: &Path) -> u64 {
    FileGuard::open(guard, *world.trust().network(), 0)
        .unwrap()
        .last_height()
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
            0,
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

/// Waits until a certificate beyond the floor holds its precommit: a quorum is enough for each, and it may be the fourth.
async fn votes_beyond(floor: u64, world: &LocalWorld, load: &Load, signatures: &mut Signatures) {
    let start = std::time::Instant::now();
    while signatures.voted(WIPED).last().is_none_or(|newest| *newest <= floor) {
        assert!(start.elapsed() < poll::LIMIT, "it doesn't vote beyond {floor}");
        load.progress(20).await;
        signatures.read(world).await;
    }
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
