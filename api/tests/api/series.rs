//! Places and numbers of a series, whoever numbers: the API or the document itself. The ledger's part is tested on real
//! validators.

use super::invoices::{form, get, submit};
use super::support::{NETWORK, World, answer};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Number and place of what was made.
async fn made(world: &World, made: &Value) -> (String, Value) {
    let id = made["id"].as_str().unwrap_or_else(|| panic!("{made}"));
    let (_, record) = get(world, &format!("/{id}")).await;
    let record: Value = serde_json::from_slice(&record).unwrap();
    let fields = &record["record"]["fields"];
    (
        fields["number"].as_str().unwrap().to_owned(),
        fields["chain"]["counter"].clone(),
    )
}

/// The next of a series, numbered by the API.
async fn next(world: &World) -> (String, Value) {
    let query = "recipient=acme&number=auto&series=RE";
    let (status, answer) = submit(world, query, "application/json", form("").to_string()).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    made(world, &answer).await
}

async fn by_hand(world: &World, document: Value) {
    let (status, answer) = submit(
        world,
        "recipient=acme&series=RE",
        "application/json",
        document.to_string(),
    )
    .await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_numbered_by_hand_has_a_place_and_leaves_no_gap() {
    let mut world = World::start().await;
    assert_eq!(next(&world).await, ("RE-000001".into(), json!(1)));
    by_hand(&world, form("HAND")).await;
    assert_eq!(next(&world).await, ("RE-000002".into(), json!(3)));
    by_hand(&world, form("RE-000004")).await;
    let items = json!([{ "invoice": form("H2") }, { "invoice": form("H3") }]);
    let batch = json!({ "recipient": "acme", "series": "RE", "items": items });
    let path = format!("{NETWORK}/invoices:batch");
    let (status, sent) = answer(world.post(&path, &batch).send().await.unwrap()).await;
    assert_eq!((status, &sent["accepted"]), (StatusCode::OK, &json!(2)), "{sent}");
    assert_eq!(next(&world).await, ("RE-000003".into(), json!(7)));
    // One that knows nothing of all that gives the same.
    world.api.take().unwrap().stop().await;
    world.start_api().await;
    assert_eq!(next(&world).await, ("RE-000005".into(), json!(8)));
    let items = json!([{ "invoice": form("") }, { "invoice": form("") }]);
    let batch = json!({ "recipient": "acme", "series": "RE", "number": "auto", "items": items });
    let (_, sent) = answer(world.post(&path, &batch).send().await.unwrap()).await;
    assert_eq!(made(&world, &sent["items"][1]).await, ("RE-000007".into(), json!(10)));
    assert_eq!(next(&world).await, ("RE-000008".into(), json!(11)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_with_a_credit_note_is_not_dropped() {
    let world = World::start().await;
    world.bank().await;
    let (_, invoice) = submit(&world, "recipient=acme", "application/json", form("1").to_string()).await;
    let mut note = form("C1");
    note["typeCode"] = json!("381");
    note.as_object_mut().unwrap().remove("dueDate");
    let query = format!("recipient=acme&agent=bank&credits={}", invoice["id"].as_str().unwrap());
    let (status, note) = submit(&world, &query, "application/json", note.to_string()).await;
    assert_eq!(status, StatusCode::CREATED, "{note}");
    let (_, record) = get(&world, &format!("/{}", note["id"].as_str().unwrap())).await;
    let record: Value = serde_json::from_slice(&record).unwrap();
    assert!(record["record"]["fields"]["agent"].is_string(), "{record}");
    let both = format!("{query}&replaces={}", invoice["id"].as_str().unwrap());
    let (_, problem) = submit(&world, &both, "application/json", form("C2").to_string()).await;
    assert_eq!(
        (&problem["code"], &problem["pointer"]),
        (&json!("invalid_field"), &json!("/credits")),
        "{problem}"
    );
    let mut rounded = form("3");
    rounded["totals"] = json!({ "rounding": "1.00" });
    let (_, problem) = submit(&world, "recipient=acme", "application/json", rounded.to_string()).await;
    assert_eq!(problem["code"], "unfit_invoice", "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("BT-114"), "{problem}");
    // A number asked for where there is none to give.
    let items = json!([{ "invoice": form("2"), "number": "auto" }]);
    let batch = json!({ "recipient": "acme", "items": items });
    let path = format!("{NETWORK}/invoices:batch");
    let (_, sent) = answer(world.post(&path, &batch).send().await.unwrap()).await;
    assert_eq!(sent["items"][0]["code"], "invalid_field", "{sent}");
}
