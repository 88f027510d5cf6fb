//! Scenarios of the first path that need nothing but a [`World`]: the same on local processes and on a real Kubernetes.

use reqwest::Method;
use serde_json::Value;

use crate::api::{Api, deposit, digest};
use crate::load::{Load, check};
use crate::poll;
use crate::world::{World, agreement, statuses};

/// kill -9 of each process in turn, under load: nothing accepted is lost or doubled.
pub async fn killing_each_process_in_turn(world: &mut dyn World) {
    let load = Load::start(&world.api(), 4);
    load.progress(20).await;
    for validator in world.validators() {
        world.kill(&validator).await;
        load.progress(20).await;
        back_at_the_tip(world, &validator).await;
    }
    // The API process with the supervisor: all goes down with it, and all comes back.
    world.kill_all().await;
    world.start().await;
    load.progress(20).await;
    let promises = load.finish().await;
    agreement(world).await;
    check(world, &promises).await;
}

/// kill -9 of the process of the API alone, again and again: what it had accepted becomes final.
///
/// # Panics
/// When it does not.
pub async fn killing_the_api_alone(world: &mut dyn World) {
    let api = world.api();
    let load = Load::start(&api, 4);
    let mut accepted = Vec::new();
    for _ in 0..3 {
        load.progress(20).await;
        let body = Some(deposit(&digest()).to_string());
        let answer = api
            .request(Method::POST, &api.url("/notarizations"), &[], body)
            .await
            .unwrap();
        world.kill_api().await;
        assert_eq!(answer.status, 202, "{answer:?}");
        accepted.push(answer.body["id"].as_str().unwrap().to_owned());
        world.start().await;
    }
    load.progress(20).await;
    let promises = load.finish().await;
    for id in accepted {
        let operation = ended(&api, &id).await;
        assert_eq!(operation["phase"], "succeeded", "{operation}");
    }
    agreement(world).await;
    check(world, &promises).await;
}

/// Waits until an operation isn't pending.
async fn ended(api: &Api, id: &str) -> Value {
    let url = format!("{}/v1/operations/{id}", api.server);
    poll::until("the operation is final", || async {
        let answer = api.request(Method::GET, &url, &[], None).await.ok()?;
        (answer.status == 200 && answer.body["phase"] != "pending").then_some(answer.body)
    })
    .await
}

/// How a validator is away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Away {
    /// It lives, holds its connections, and does nothing.
    Paused,
    /// It is dead, and nobody listens where it did.
    Dead,
}

/// With two of four paused, writes wait and are never said to be final; they go on when one returns.
pub async fn two_of_four_paused(world: &mut dyn World) {
    two_of_four(world, Away::Paused).await;
}

/// The same with two of four dead.
pub async fn two_of_four_dead(world: &mut dyn World) {
    two_of_four(world, Away::Dead).await;
}

async fn leave(world: &mut dyn World, validator: &str, how: Away) {
    match how {
        Away::Paused => world.pause(validator).await,
        Away::Dead => world.take_away(validator).await,
    }
}

async fn come_back(world: &mut dyn World, validator: &str, how: Away) {
    match how {
        Away::Paused => world.resume(validator).await,
        Away::Dead => world.put_back(validator).await,
    }
}

async fn two_of_four(world: &mut dyn World, how: Away) {
    let api = world.api();
    agreement(world).await;
    leave(world, "validator-1", how).await;
    leave(world, "validator-2", how).await;

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
    let status = world.run(&["-o", "json", "network", "status"]);
    assert_eq!(status.code, 1, "quorum does not hold: {status:?}");

    come_back(world, "validator-1", how).await;
    for (digest, id) in &accepted {
        let operation = ended(&api, id).await;
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
    come_back(world, "validator-2", how).await;
    agreement(world).await;
}

/// After a kill -9 of everything at once, everything accepted is there.
pub async fn killing_everything_at_once(world: &mut dyn World) {
    let load = Load::start(&world.api(), 4);
    load.progress(40).await;
    world.kill_all().await;
    world.start().await;
    load.progress(10).await;
    let promises = load.finish().await;
    agreement(world).await;
    check(world, &promises).await;
}

/// A write that was accepted just before a kill of everything becomes final.
///
/// # Panics
/// When it does not.
pub async fn accepted_just_before_a_kill(world: &mut dyn World) {
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
    let operation = ended(&api, answer.body["id"].as_str().unwrap()).await;
    assert_eq!(operation["phase"], "succeeded", "{operation}");
    assert_eq!(operation["items"][0]["status"], "accepted", "{operation}");
}

/// Waits until a validator votes at the tip again.
pub async fn back_at_the_tip(world: &dyn World, validator: &str) {
    poll::until("the killed validator is back at the tip", || async {
        let all = statuses(world).await;
        let tip = all.iter().map(|status| status.height).max()?;
        all.iter()
            .any(|status| status.name == validator && status.voting && status.height + 3 >= tip)
            .then_some(())
    })
    .await;
}

/// A file becomes a receipt by the command line, and the receipt holds offline; a changed file fails.
///
/// # Panics
/// When it does not.
pub async fn a_file_becomes_a_receipt(world: &mut dyn World) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("contract.pdf");
    let name = file.to_str().unwrap();
    std::fs::write(&file, b"a contract").unwrap();
    let done = world.run(&["notarize", name]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("signed by validator-"), "{done:?}");
    let status = world.run(&["-o", "json", "network", "status"]);
    assert_eq!(status.code, 0, "{status:?}");
    let verified = world.run(&["verify", name]);
    assert_eq!(verified.code, 0, "{verified:?}");
    std::fs::write(&file, b"another contract").unwrap();
    assert_eq!(world.run(&["verify", name]).code, 1);
    agreement(world).await;
}

/// A validator that loses all it has stored, under load, comes back; nothing accepted is lost.
///
/// # Panics
/// When it does not.
pub async fn a_validator_is_wiped(world: &mut dyn World) {
    let load = Load::start(&world.api(), 4);
    load.progress(40).await;
    let wiped = world.validators().pop().unwrap();
    world.pause(&wiped).await;
    world.wipe(&wiped).await;
    load.progress(40).await;
    back_at_the_tip(world, &wiped).await;
    let promises = load.finish().await;
    agreement(world).await;
    check(world, &promises).await;
}
