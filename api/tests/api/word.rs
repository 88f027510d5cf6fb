//! One validator's word: it promises nothing, hides nothing and refuses nothing.

use super::liar::{Liar, accept};
use super::signed::{common, input, now, party, request};
use super::support::{NETWORK, World, answer, deposit, entry, serve_node};
use ed25519_dalek::Signer as _;
use muniment_ledger::replica::Replica;
use muniment_ledger::replica::memory::{MemoryReplica, test_network};
use muniment_ledger::transaction::Transaction;
use muniment_ledger::wire::{Admission, SHARE_FULL, TransactionStatus};
use muniment_receipts::statement::Statement;
use reqwest::{Method, StatusCode};
use sea_orm::ConnectionTrait as _;
use serde_json::json;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Says that it has every transaction.
fn claiming(honest: Arc<MemoryReplica>) -> Arc<dyn Replica> {
    let mut liar = Liar::new(honest);
    liar.status = Some(TransactionStatus::Pending);
    Arc::new(liar)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_place_of_a_leaf_is_asked_for_elsewhere() {
    // Another record's leaf, a marker, none at all.
    let places: [fn(u64) -> u64; 3] = [|leaf| leaf ^ 2, |leaf| leaf + 1, |_| 1_000_000];
    for place in places {
        for what in ["receipt", "receipt?version=1", "receipt/cose"] {
            let world = World::among(|honest| {
                let mut liar = Liar::new(honest);
                liar.place = place;
                Arc::new(liar)
            })
            .await;
            let mut made = Vec::new();
            for number in 0..2 {
                made.push(world.notarize(number).await.1);
            }
            for one in &made {
                let path = format!("{NETWORK}/records/{}/{what}", one["id"].as_str().unwrap());
                let response = world.get(&path).send().await.unwrap();
                let status = response.status();
                let text = response.text().await.unwrap();
                assert_eq!(status, StatusCode::OK, "{what}: {text}");
                if what != "receipt/cose" {
                    assert_eq!(Some(text.as_str()), one["receipt"].as_str());
                }
            }
            let path = format!("{NETWORK}/records/{}/{what}", hex::encode([9; 32]));
            let (status, problem) = answer(world.get(&path).send().await.unwrap()).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_expired_is_promised() {
    let one = World::among(claiming).await;
    // One is honest among so many: there may be something to wait for, but not here.
    let two = World::build(
        |_| {},
        |honest| vec![claiming(honest.clone()), claiming(honest.clone()), honest],
    );
    let expected = [
        (one, StatusCode::UNPROCESSABLE_ENTITY, "expired"),
        (two.await, StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    ];
    for (world, status, code) in expected {
        let statement = Statement::new(common(&world, 3, now() - 1_000), input(3), None);
        let body = request(&statement.canonical().unwrap());
        let sent = world.post(&format!("{NETWORK}/transactions"), &body).send();
        let (told, problem) = answer(sent.await.unwrap()).await;
        assert_eq!((told, &problem["code"]), (status, &json!(code)), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_in_one_network_hides_nothing_of_another() {
    let world = World::start().await;
    let members = world.replica.trust_root().genesis().members.clone();
    let (mut genesis, keys) = test_network(4, members);
    genesis.name = "demo/another".to_owned();
    let honest = Arc::new(MemoryReplica::new(&genesis, &keys).unwrap());
    let (mut nodes, mut addresses) = (Vec::new(), Vec::new());
    for validator in [claiming(honest.clone()), honest.clone(), honest.clone()] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        addresses.push(listener.local_addr().unwrap());
        nodes.push(serve_node(validator, listener));
    }
    // By name it comes before the network with the result.
    world.directory.put(entry("acme", "another", &honest, &addresses));
    world
        .until("both networks are there", async || {
            let there = world.get("/v1/tenants/acme/networks/another").send().await;
            there.is_ok_and(|response| response.status() == StatusCode::OK)
        })
        .await;
    let operation = accept(&world, 1).await;
    let finished = world.finished(&operation).await;
    assert_eq!(finished["phase"], "succeeded", "{finished}");
    let unknown = format!("/v1/operations/op_{:012x}{}", 0, hex::encode([7; 32]));
    let (status, problem) = answer(world.get(&unknown).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
    drop(nodes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_final_already_does_not_expire() {
    // It takes everything and doesn't say that it knows it.
    let world = World::under(|honest| Arc::new(Liar::forgetful(honest))).await;
    let end = now() + 5_000;
    let statement = Statement::new(common(&world, 1, end), input(1), None);
    let statement = statement.canonical().unwrap();
    let body = request(&statement);
    let signature = party().0.sign(&statement).to_bytes();
    world.replica.admit(vec![Transaction::Single { statement, signature }]);
    followed(&world, 1).await;
    let path = format!("{NETWORK}/transactions");
    let sent = world.request(Method::POST, &path).json(&body).send().await.unwrap();
    let (status, accepted) = answer(sent).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    world.until("its time is over", async || now() > end + 100).await;
    world.replica.heartbeat();
    let operation = format!("/v1/operations/{}", accepted["id"].as_str().unwrap());
    let finished = world.finished(&operation).await;
    assert_eq!(finished["phase"], "succeeded", "{finished}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_outlived_its_transaction_is_not_signed_again() {
    let mut kept = None;
    let validity = |config: &mut muniment_api::ApiConfig| config.validity = Duration::from_secs(5);
    let mut world = World::build(validity, |honest| {
        let liar = Arc::new(Liar::forgetful(honest));
        kept = Some(liar.clone());
        vec![liar as Arc<dyn Replica>]
    })
    .await;
    let liar = kept.unwrap();
    let operation = accept(&world, 1).await;
    let end = now() + 5_000;
    let url = super::support::database(&world.folder);
    let database = sea_orm::Database::connect(url).await.unwrap();
    let run = async |sql: &str| {
        database.execute_unprepared(sql).await.unwrap();
    };
    run("CREATE TABLE kept AS SELECT * FROM outbox").await;
    world
        .until("it is sent", async || !liar.seen.lock().unwrap().is_empty())
        .await;
    let sent = liar.seen.lock().unwrap()[0].clone();
    world.replica.admit(vec![sent]);
    followed(&world, 1).await;
    assert_eq!(world.finished(&operation).await["phase"], "succeeded");
    world.api.take().unwrap().stop().await;
    // As if its removal had failed.
    run("INSERT INTO outbox SELECT * FROM kept").await;
    run("DROP TABLE kept").await;
    world.until("its time is over", async || now() > end + 100).await;
    world.start_api().await;
    world
        .until("the row is pending", async || {
            let (_, pending) = answer(world.get(&operation).send().await.unwrap()).await;
            pending["phase"] == "pending"
        })
        .await;
    world.replica.heartbeat();
    let finished = world.finished(&operation).await;
    assert_eq!(finished["phase"], "succeeded", "{finished}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_share_is_waited_for() {
    let world = World::under(|honest| {
        let mut liar = Liar::new(honest.clone());
        let asked = AtomicUsize::new(0);
        liar.admission = Some(Box::new(move |one| {
            // Twice: who takes it for a refusal asks once more.
            if asked.fetch_add(1, Ordering::Relaxed) < 2 {
                return Admission::Refused {
                    id: one.id().to_string(),
                    code: SHARE_FULL.to_owned(),
                    message: "others want room as well".to_owned(),
                };
            }
            honest.admit(vec![one.clone()]).remove(0)
        }));
        Arc::new(liar)
    })
    .await;
    let (status, made) = world.notarize(1).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
}

/// Waits until the block with a deposit is followed, and that is on disk.
async fn followed(world: &World, number: u64) {
    let digest = deposit(number)["digests"][0]["value"].as_str().unwrap().to_owned();
    let path = format!("{NETWORK}/notarizations?digest={digest}");
    world
        .until("the block is followed", async || {
            let (_, found) = answer(world.get(&path).send().await.unwrap()).await;
            found["records"].as_array().is_some_and(|records| !records.is_empty())
        })
        .await;
}
