//! Transactions that a party signed itself.

use super::support::{NETWORK, World, answer, deposit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use muniment_receipts::key::SignerKey;
use muniment_receipts::statement::{BatchHeader, Common, Item, Statement, items_root};
use reqwest::StatusCode;
use serde_json::{Map, Value, json};

/// A member of the test network that keeps its key to itself.
pub fn party() -> (SigningKey, SignerKey) {
    let key = SigningKey::from_bytes(&[42; 32]);
    let public = SignerKey::ed25519(key.verifying_key().as_bytes());
    (key, public)
}

pub fn now() -> u64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

pub fn common(world: &World, nonce: u8, valid_until: u64) -> Common {
    Common {
        action: "deposit".to_owned(),
        network: *world.replica.trust_root().network(),
        nonce: [nonce; 16],
        revision: 1,
        signer: party().1,
        template: "notarization".to_owned(),
        valid_until,
    }
}

pub fn input(number: u64) -> Map<String, Value> {
    let Value::Object(map) = deposit(number) else {
        unreachable!()
    };
    map
}

pub fn request(signed: &[u8]) -> Value {
    let signature = party().0.sign(signed).to_bytes();
    json!({"statement": std::str::from_utf8(signed).unwrap(), "signature": STANDARD.encode(signature)})
}

async fn send(world: &World, body: &Value) -> (StatusCode, Value) {
    answer(
        world
            .post(&format!("{NETWORK}/transactions"), body)
            .send()
            .await
            .unwrap(),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_gets_the_first_answer() {
    let world = World::start().await;
    let statement = Statement::new(common(&world, 1, now() + 60_000), input(1), None)
        .canonical()
        .unwrap();
    let (status, first) = send(&world, &request(&statement)).await;
    assert_eq!(status, StatusCode::CREATED, "{first}");
    for _ in 0..3 {
        let (status, again) = send(&world, &request(&statement)).await;
        assert_eq!((status, &again), (StatusCode::CREATED, &first));
    }
    // Another nonce is another transaction: the template says what it thinks of it.
    let other = Statement::new(common(&world, 2, now() + 60_000), input(1), None)
        .canonical()
        .unwrap();
    let (status, duplicate) = send(&world, &request(&other)).await;
    assert_eq!((status, &duplicate["record"]), (StatusCode::CONFLICT, &first["id"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_is_refused_before_it_is_accepted() {
    let world = World::start().await;
    let good = Statement::new(common(&world, 1, now() + 60_000), input(1), None)
        .canonical()
        .unwrap();
    let mut wrong_signature = request(&good);
    wrong_signature["signature"] = json!(STANDARD.encode([7; 64]));
    let mut short_signature = request(&good);
    short_signature["signature"] = json!("AAAA");
    let expired = Statement::new(common(&world, 3, now() - 1_000), input(3), None)
        .canonical()
        .unwrap();
    let far = Statement::new(common(&world, 4, now() + 3_600_000), input(4), None)
        .canonical()
        .unwrap();
    let mut elsewhere = common(&world, 5, now() + 60_000);
    elsewhere.network = [9; 32];
    let elsewhere = Statement::new(elsewhere, input(5), None).canonical().unwrap();
    let loose = String::from_utf8(good.clone())
        .unwrap()
        .replacen(':', ": ", 1)
        .into_bytes();
    let mut unknown = request(&good);
    unknown["signatur"] = json!("x");
    let table = [
        (wrong_signature, "bad_signature", "/signature"),
        (short_signature, "bad_signature", "/signature"),
        (request(&expired), "expired", "/statement"),
        (request(&far), "malformed_statement", "/statement"),
        (request(&elsewhere), "wrong_network", "/statement"),
        (request(&loose), "malformed_statement", "/statement"),
        (unknown, "unknown_field", "/signatur"),
    ];
    for (body, code, pointer) in table {
        let (status, problem) = send(&world, &body).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(code)),
            "{problem}"
        );
        assert_eq!(problem["pointer"], pointer, "{problem}");
    }
    let (_, page) = answer(world.get(&format!("{NETWORK}/records")).send().await.unwrap()).await;
    assert!(page["records"].as_array().unwrap().is_empty(), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_to_the_network_is_refused_by_it() {
    let world = World::start().await;
    let key = SigningKey::from_bytes(&[43; 32]);
    let mut common = common(&world, 1, now() + 60_000);
    common.signer = SignerKey::ed25519(key.verifying_key().as_bytes());
    let statement = Statement::new(common, input(1), None).canonical().unwrap();
    let signature = STANDARD.encode(key.sign(&statement).to_bytes());
    let body = json!({"statement": String::from_utf8(statement).unwrap(), "signature": signature});
    let (status, problem) = send(&world, &body).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("not_a_member")),
        "{problem}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_batch_is_taken_whole() {
    let world = World::start().await;
    let items: Vec<Vec<u8>> = (20..25)
        .map(|number| {
            Item {
                input: input(number),
                record: None,
            }
            .canonical()
            .unwrap()
        })
        .collect();
    let header = BatchHeader::new(common(&world, 1, now() + 60_000), 5, items_root(&items))
        .canonical()
        .unwrap();
    let texts: Vec<&str> = items.iter().map(|item| std::str::from_utf8(item).unwrap()).collect();
    let mut body = request(&header);
    body["items"] = json!(texts);
    let (status, batch) = send(&world, &body).await;
    assert_eq!((status, &batch["accepted"]), (StatusCode::OK, &json!(5)), "{batch}");
    let (_, again) = send(&world, &body).await;
    assert_eq!(again["items"], batch["items"]);
    body["items"] = json!(texts[1..]);
    let (status, problem) = send(&world, &body).await;
    assert_eq!(
        (status, &problem["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/items"))
    );
}
