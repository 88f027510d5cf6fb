//! Networks beside each other, and networks that are described otherwise while they take writes.

use super::support::{NETWORK, World, answer, deposit, entry};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const IN_FLIGHT: &str = "muniment_api_in_flight_actions ";

/// A deposit that isn't waited for.
async fn offer(world: &World, number: u64) -> (StatusCode, Value) {
    let request = world.request(Method::POST, &format!("{NETWORK}/notarizations"));
    answer(request.json(&deposit(number)).send().await.unwrap()).await
}

fn operation(accepted: &Value) -> String {
    format!("/v1/operations/{}", accepted["id"].as_str().unwrap())
}

/// The directory is looked at when networks are listed, once a second at most.
async fn list(world: &World) {
    let (status, _) = answer(world.get("/v1/tenants/acme/networks").send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_cant_decide_stops_no_other() {
    let world = World::with(|config| config.max_in_flight = 12).await;
    let (_replica, _node) = world.second().await;
    world.replica.hold(true);
    let mut taken = Vec::new();
    let refused = loop {
        match offer(&world, taken.len() as u64).await {
            (StatusCode::ACCEPTED, operation) => taken.push(operation),
            (status, problem) => break (status, problem["code"].clone()),
        }
        assert!(taken.len() < 100, "it is never full");
    };
    assert_eq!(refused, (StatusCode::SERVICE_UNAVAILABLE, json!("overloaded")));
    let other = world
        .client
        .post(format!(
            "{}/v1/tenants/globex/networks/notary/notarizations",
            world.base
        ))
        .bearer_auth(&world.stranger)
        .header("prefer", "wait=20")
        .json(&deposit(1));
    let (status, made) = answer(other.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    world.replica.hold(false);
    for accepted in &taken {
        assert_eq!(world.finished(&operation(accepted)).await["phase"], "succeeded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleeping_network_takes_nothing_and_says_how_to_wake_it() {
    let world = World::start().await;
    world.notarize(1).await;
    let mut described = entry("acme", "notary", &world.replica, &[world.node_address]);
    described.asleep = true;
    world.directory.put(described.clone());
    // A new deposit each time: one that is there already is refused as well.
    let number = AtomicU64::new(2);
    let answers = async |wanted: StatusCode| {
        list(&world).await;
        let (status, said) = world.notarize(number.fetch_add(1, Ordering::Relaxed)).await;
        (status == wanted).then_some(said)
    };
    world
        .until("it sleeps", async || {
            answers(StatusCode::SERVICE_UNAVAILABLE).await.is_some()
        })
        .await;
    let problem = answers(StatusCode::SERVICE_UNAVAILABLE).await.unwrap();
    assert_eq!(problem["code"], "network_asleep");
    assert!(
        problem["detail"].as_str().unwrap().contains("desiredState"),
        "{problem}"
    );
    described.asleep = false;
    world.directory.put(described);
    world
        .until("it is awake", async || answers(StatusCode::CREATED).await.is_some())
        .await;
}

/// Offers deposits while something happens to the network. Each answer is an acceptance, or says to try again.
async fn offers(world: &World, end: Instant) -> Vec<String> {
    let mut accepted = Vec::new();
    let mut number = 1_000;
    while Instant::now() < end {
        number += 1;
        let (status, said) = offer(world, number).await;
        match status {
            StatusCode::ACCEPTED => accepted.push(operation(&said)),
            // The network is away, or just being attached anew.
            StatusCode::NOT_FOUND | StatusCode::SERVICE_UNAVAILABLE => {}
            other => panic!("{other} {said}"),
        }
    }
    accepted
}

/// Everything that was accepted is decided, and nothing holds room any more.
async fn all_decided(world: &World, accepted: &[String]) {
    assert!(!accepted.is_empty());
    for path in accepted {
        assert_eq!(world.finished(path).await["phase"], "succeeded", "{path}");
    }
    world
        .until("nothing is in flight", async || world.figure(IN_FLIGHT).await == 0)
        .await;
    assert_eq!(world.notarize(1).await.0, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_while_endpoints_change_is_decided() {
    let world = World::start().await;
    let (elsewhere, _node) = world.elsewhere();
    let end = Instant::now() + Duration::from_secs(5);
    let changes = async {
        for turn in 0..5 {
            // While a network waits for something, each change finds it waiting.
            world.replica.hold(turn % 2 == 0);
            let nodes = [world.node_address, elsewhere];
            let nodes = if turn % 2 == 0 { &nodes[1..] } else { &nodes[..] };
            world.directory.put(entry("acme", "notary", &world.replica, nodes));
            list(&world).await;
            tokio::time::sleep(Duration::from_millis(1_050)).await;
        }
        world.replica.hold(false);
    };
    let (accepted, ()) = tokio::join!(offers(&world, end), changes);
    all_decided(&world, &accepted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_left_and_came_back_has_lost_nothing() {
    let world = World::start().await;
    world.replica.hold(true);
    // One whose caller waits when the network goes: it is told to ask later.
    let waits = world
        .request(Method::POST, &format!("{NETWORK}/notarizations"))
        .header("prefer", "wait=30")
        .json(&deposit(7))
        .send();
    let described = entry("acme", "notary", &world.replica, &[world.node_address]);
    let end = Instant::now() + Duration::from_secs(4);
    let changes = async {
        world
            .until("somebody waits", async || world.figure(IN_FLIGHT).await > 0)
            .await;
        world.directory.remove("acme", "notary");
        world
            .until("it is away", async || {
                list(&world).await;
                world.figure("muniment_api_networks ").await == 0
            })
            .await;
        assert_eq!(world.figure(IN_FLIGHT).await, 0, "what is away holds no room");
        world.directory.put(described);
        world.replica.hold(false);
    };
    let (waited, mut accepted, ()) = tokio::join!(waits, offers(&world, end), changes);
    let (status, waited) = answer(waited.unwrap()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{waited}");
    accepted.push(operation(&waited));
    all_decided(&world, &accepted).await;
}
