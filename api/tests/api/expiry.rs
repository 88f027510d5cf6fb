//! What can't land any more: only a block's time tells, and nothing that was accepted is lost over it.

use super::liar::Liar;
use super::signed::{common, input, now, request};
use super::support::{NETWORK, World, answer, deposit};
use muniment_receipts::statement::{BatchHeader, Item, items_root};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_longer_than_the_validity_loses_nothing() {
    const COUNT: u64 = 60;
    let mut world = World::with(|config| config.validity = Duration::from_secs(1)).await;
    world.notarize(1_000).await;
    world.node.take().unwrap().stop().await;
    let mut operations = Vec::new();
    for number in 0..COUNT {
        let path = format!("{NETWORK}/notarizations");
        let request = world.request(Method::POST, &path).json(&deposit(number));
        let (status, operation) = answer(request.send().await.unwrap()).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{operation}");
        operations.push(format!("/v1/operations/{}", operation["id"].as_str().unwrap()));
    }
    let end = now() + 1_500;
    world.until("all have expired", async || now() > end).await;
    world.start_node();
    for operation in &operations {
        let operation = world.finished(operation).await;
        assert_eq!(operation["phase"], "succeeded", "{operation}");
    }
    let (_, page) = answer(world.get(&format!("{NETWORK}/records?limit=200")).send().await.unwrap()).await;
    assert_eq!(
        page["records"].as_array().unwrap().len() as u64,
        COUNT + 1,
        "each is there once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_block_decides_and_each_item_is_told() {
    // It never lands: the only validator throws it away.
    let world = World::under(|honest| Arc::new(Liar::forgetful(honest))).await;
    let end = now() + 1_000;
    let items: Vec<Vec<u8>> = (0..3)
        .map(|number| {
            let (input, record) = (input(number), None);
            Item { input, record }.canonical().unwrap()
        })
        .collect();
    let header = BatchHeader::new(common(&world, 1, end), 3, items_root(&items));
    let mut body = request(&header.canonical().unwrap());
    let texts: Vec<&str> = items.iter().map(|item| std::str::from_utf8(item).unwrap()).collect();
    body["items"] = json!(texts);
    let path = format!("{NETWORK}/transactions");
    let sent = world.request(Method::POST, &path).json(&body).send().await.unwrap();
    let (status, accepted) = answer(sent).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    let operation = format!("/v1/operations/{}", accepted["id"].as_str().unwrap());
    world
        .until("our clock is past its end", async || now() > end + 100)
        .await;
    let (status, pending) = answer(world.get(&operation).send().await.unwrap()).await;
    assert_eq!((status, &pending["phase"]), (StatusCode::OK, &json!("pending")));
    world.replica.heartbeat();
    let finished = world.finished(&operation).await;
    assert_eq!(finished["phase"], "failed", "{finished}");
    let items = finished["items"].as_array().unwrap();
    assert_eq!(items.len(), 3, "{finished}");
    assert!(items.iter().all(|item| item["code"] == "expired"), "{finished}");
}
