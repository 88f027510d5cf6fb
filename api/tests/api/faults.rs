//! Bad luck: what was accepted is never lost.

use super::invoices::{form, get};
use super::support::{NETWORK, World, answer, deposit};
use muniment_ledger::replica::Replica as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn accept(world: &World, number: u64) -> String {
    let request = world
        .request(Method::POST, &format!("{NETWORK}/notarizations"))
        .json(&deposit(number));
    let response = request.send().await.unwrap();
    let location = response.headers().get("location").unwrap().to_str().unwrap().to_owned();
    assert!(response.headers().contains_key("retry-after"));
    let (status, operation) = answer(response).await;
    assert_eq!(
        (status, &operation["phase"]),
        (StatusCode::ACCEPTED, &json!("pending")),
        "{operation}"
    );
    location
}

fn accepted(operation: &Value) {
    assert_eq!(operation["phase"], "succeeded", "{operation}");
    assert!(
        operation["items"][0]["receipt"]
            .as_str()
            .unwrap()
            .contains("muniment.dev/receipt/v1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_survives_the_server() {
    let mut world = World::start().await;
    world.notarize(1).await;
    world.replica.hold(true);
    let mut operations = Vec::new();
    for number in 10..30 {
        operations.push(accept(&world, number).await);
    }
    // One whose caller waited first: it is on disk before the wait is given up.
    let waited = world
        .request(Method::POST, &format!("{NETWORK}/notarizations"))
        .header("prefer", "wait=1")
        .json(&deposit(30));
    let (status, waited) = answer(waited.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{waited}");
    operations.push(format!("/v1/operations/{}", waited["id"].as_str().unwrap()));
    world.drop_api().await;
    world.replica.hold(false);
    world.start_api().await;
    for operation in &operations {
        accepted(&world.finished(operation).await);
    }
    // And once more, when nothing of it is in the outbox any more.
    world.api.take().unwrap().stop().await;
    world.start_api().await;
    for operation in &operations {
        accepted(&world.finished(operation).await);
    }
    let (_, page) = answer(world.get(&format!("{NETWORK}/records?limit=200")).send().await.unwrap()).await;
    assert_eq!(page["records"].as_array().unwrap().len(), 22, "each is there once");
}

/// An invoice whose caller waits has no row in the outbox: until its caller is told something, the ledger alone has it.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_that_is_waited_for_survives_the_server_with_its_document() {
    let mut world = World::start().await;
    world.notarize(1).await;
    world.replica.hold(true);
    let submit = |world: &World, number: &str, wait: &str| {
        let request = world.request(Method::POST, &format!("{NETWORK}/invoices?recipient=acme"));
        request.header("prefer", wait).json(&form(number)).send()
    };
    // It is on disk before the wait is given up.
    let (status, given_up) = answer(submit(&world, "1", "wait=1").await.unwrap()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{given_up}");
    // The server goes while this one is waited for, and the validators have it.
    let waited = tokio::spawn(submit(&world, "2", "wait=30"));
    world
        .until("the validators have both", async || world.replica.mempool().0 == 2)
        .await;
    world.drop_api().await;
    assert!(waited.await.unwrap().is_err());
    world.replica.hold(false);
    world.start_api().await;
    accepted(
        &world
            .finished(&format!("/v1/operations/{}", given_up["id"].as_str().unwrap()))
            .await,
    );
    for number in ["1", "2"] {
        let find = async || {
            let (_, list) = get(&world, &format!("?number={number}")).await;
            serde_json::from_slice::<Value>(&list).unwrap()["invoices"][0]["id"].clone()
        };
        world
            .until("the invoice is found", async || find().await.is_string())
            .await;
        let found = find().await;
        let (status, document) = get(&world, &format!("/{}/document", found.as_str().unwrap())).await;
        assert_eq!(status, StatusCode::OK);
        let document: Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(document, form(number));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_down_delays_but_loses_nothing() {
    let mut world = World::start().await;
    world.notarize(1).await;
    world.node.take().unwrap().stop().await;
    let operation = accept(&world, 2).await;
    let (status, waited) = answer(
        world
            .request(Method::POST, &format!("{NETWORK}/notarizations"))
            .header("prefer", "wait=1")
            .json(&deposit(3))
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(status, StatusCode::ACCEPTED, "{waited}");
    let (status, problem) = answer(world.get(&format!("{NETWORK}/records")).send().await.unwrap()).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable"))
    );
    world.start_node();
    accepted(&world.finished(&operation).await);
    accepted(
        &world
            .finished(&format!("/v1/operations/{}", waited["id"].as_str().unwrap()))
            .await,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_in_flight_is_refused_and_nothing_else() {
    let world = World::with(|config| config.max_in_flight = 6).await;
    world.replica.hold(true);
    let mut operations = Vec::new();
    for number in 0..3 {
        operations.push(accept(&world, number).await);
    }
    let response = world
        .post(&format!("{NETWORK}/notarizations"), &deposit(9))
        .send()
        .await
        .unwrap();
    assert!(response.headers().contains_key("retry-after"));
    let (status, problem) = answer(response).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("overloaded"))
    );
    world.replica.hold(false);
    for operation in &operations {
        accepted(&world.finished(operation).await);
    }
    assert_eq!(world.notarize(9).await.0, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_projection_is_built_again_from_the_ledger() {
    let mut world = World::start().await;
    for number in 0..5 {
        world.notarize(number).await;
    }
    world.api.take().unwrap().stop().await;
    // The keys stay, everything that follows from the ledger goes.
    let url = super::support::database(&world.folder);
    let database = sea_orm::Database::connect(url).await.unwrap();
    use sea_orm::ConnectionTrait as _;
    for table in ["followed", "digests", "operations"] {
        database
            .execute_unprepared(&format!("DELETE FROM {table}"))
            .await
            .unwrap();
    }
    database.close().await.unwrap();
    world.start_api().await;
    let path = format!("{NETWORK}/notarizations?digest={:064x}", 4);
    world
        .until("the projection is back", async || {
            let (_, found) = answer(world.get(&path).send().await.unwrap()).await;
            found["records"].as_array().is_some_and(|records| records.len() == 1)
        })
        .await;
    let (status, _) = world.notarize(77).await;
    assert_eq!(status, StatusCode::CREATED);
}
