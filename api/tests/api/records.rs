//! Actions of any template, and on whose behalf.

use super::support::{NETWORK, World, answer, deposit};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn post(world: &World, path: &str, body: Value) -> (StatusCode, Value) {
    answer(world.post(&format!("{NETWORK}{path}"), &body).send().await.unwrap()).await
}

/// A deposit as an action of its template.
fn create(number: u64) -> Value {
    json!({ "template": "notarization", "action": "deposit", "input": deposit(number) })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_made_changed_and_read_by_its_template() {
    let world = World::start().await;
    let (status, made) = post(&world, "/records", create(1)).await;
    assert_eq!((status, &made["version"]), (StatusCode::CREATED, &json!(1)), "{made}");
    let id = made["id"].as_str().unwrap();
    let (status, changed) = post(
        &world,
        &format!("/records/{id}/actions/withdraw"),
        json!({ "input": { "reason": "x" } }),
    )
    .await;
    assert_eq!(
        (status, &changed["version"]),
        (StatusCode::CREATED, &json!(2)),
        "{changed}"
    );
    assert_eq!(changed["id"], made["id"]);
    assert!(changed["receipt"].is_string() && changed["receipt"] != made["receipt"]);
    let again = world.get(&format!("{NETWORK}/records/{id}/receipt?version=2"));
    assert_eq!(
        again.send().await.unwrap().text().await.unwrap(),
        changed["receipt"].as_str().unwrap()
    );
    let (status, twice) = post(&world, "/records", create(1)).await;
    assert_eq!(
        (status, &twice["record"]),
        (StatusCode::CONFLICT, &made["id"]),
        "{twice}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_come_in_pages() {
    let world = World::start().await;
    let (_, made) = post(&world, "/records", create(1)).await;
    let path = format!("/records/{}", made["id"].as_str().unwrap());
    let withdraw = json!({ "input": { "reason": "x" } });
    post(&world, &format!("{path}/actions/withdraw"), withdraw).await;
    // Query, versions on the page, query of the next one.
    for (query, versions, next) in [
        ("", &[1, 2][..], None),
        ("?limit=2", &[1, 2], None),
        ("?limit=1", &[1], Some("<?after=1&limit=1>; rel=\"next\"")),
        ("?after=1&limit=1", &[2], None),
        ("?after=2", &[], None),
    ] {
        let response = world
            .get(&format!("{NETWORK}{path}/history{query}"))
            .send()
            .await
            .unwrap();
        let link = response
            .headers()
            .get("link")
            .map(|link| link.to_str().unwrap().to_owned());
        let (status, steps) = answer(response).await;
        assert_eq!(status, StatusCode::OK, "{query}: {steps}");
        let found: Vec<u64> = steps
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["version"].as_u64().unwrap())
            .collect();
        assert_eq!((found.as_slice(), link.as_deref()), (versions, next), "{query}");
    }
    for query in ["?limit=0", "?limit=201", "?after=x", "?before=1"] {
        let request = world.get(&format!("{NETWORK}{path}/history{query}"));
        let (status, problem) = answer(request.send().await.unwrap()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_an_action_has_its_code_and_place() {
    let world = World::start().await;
    let nothing = "0".repeat(64);
    let table = [
        (
            "/records",
            json!({ "action": "deposit", "input": {} }),
            422,
            "missing_field",
            "/template",
        ),
        (
            "/records",
            json!({ "template": "notarization", "action": "deposit" }),
            422,
            "missing_field",
            "/input",
        ),
        (
            "/records",
            json!({ "template": "notarization", "action": "deposit", "input": [] }),
            422,
            "invalid_field",
            "/input",
        ),
        (
            "/records",
            json!({ "template": "notarization", "action": "deposit", "input": {}, "revision": 0 }),
            422,
            "invalid_field",
            "/revision",
        ),
        (
            "/records",
            json!({ "template": "a b", "action": "x", "input": {} }),
            422,
            "invalid_field",
            "/template",
        ),
        (
            "/records",
            json!({ "templat": "notarization" }),
            422,
            "unknown_field",
            "/templat",
        ),
        (
            "/records",
            json!({ "template": "notarization", "action": "deposit", "input": { "note": "x".repeat(5_000) } }),
            422,
            "invalid_field",
            "",
        ),
        (
            "/records:batch",
            json!({ "template": "t", "action": "x", "items": [] }),
            422,
            "empty_batch",
            "/items",
        ),
    ];
    for (path, body, status, code, pointer) in table {
        let (found, problem) = post(&world, path, body.clone()).await;
        assert_eq!(
            (found.as_u16(), &problem["code"]),
            (status, &json!(code)),
            "{body} {problem}"
        );
        assert_eq!(problem["pointer"], pointer, "{body} {problem}");
    }
    let missing = post(
        &world,
        &format!("/records/{nothing}/actions/withdraw"),
        json!({ "input": {} }),
    )
    .await;
    assert_eq!(missing.0, StatusCode::NOT_FOUND, "{}", missing.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_makes_and_changes_records_each_judged_by_itself() {
    let world = World::start().await;
    let batch = json!({ "template": "notarization", "action": "deposit", "items": [
        { "input": deposit(1) }, { "inputs": {} }, { "input": deposit(2), "record": "xyz" }, { "input": deposit(3) },
    ]});
    let (status, made) = post(&world, "/records:batch", batch).await;
    assert_eq!((status, &made["accepted"]), (StatusCode::OK, &json!(2)), "{made}");
    let code = |at: usize| made["items"][at]["code"].clone();
    assert_eq!(
        (code(1), code(2)),
        (json!("unknown_field"), json!("invalid_field")),
        "{made}"
    );
    let items: Vec<Value> = [0, 3]
        .map(|at: usize| json!({ "input": { "reason": "x" }, "record": made["items"][at]["id"] }))
        .into();
    let batch = json!({ "template": "notarization", "action": "withdraw", "items": items });
    let (status, changed) = post(&world, "/records:batch", batch).await;
    assert_eq!((status, &changed["accepted"]), (StatusCode::OK, &json!(2)), "{changed}");
    assert_eq!(changed["items"][1]["version"], 2, "{changed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_makes_one_record() {
    let world = World::start().await;
    let send = async || {
        let request = world.post(&format!("{NETWORK}/records"), &create(7));
        answer(request.header("idempotency-key", "k7").send().await.unwrap()).await
    };
    let (first, second) = (send().await, send().await);
    assert_eq!(
        (first.0, second.0),
        (StatusCode::CREATED, StatusCode::CREATED),
        "{}",
        second.1
    );
    assert_eq!(first.1, second.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_its_partys_own() {
    let mut world = World::start().await;
    let (party, secret) = world.bank().await;
    let path = format!("{NETWORK}/notarizations");
    let send = async |world: &World| {
        let request = world.post(&path, &deposit(1)).header("idempotency-key", "order-17");
        answer(request.send().await.unwrap()).await
    };
    let (status, tenants) = send(&world).await;
    assert_eq!(status, StatusCode::CREATED, "{tenants}");
    world.key = secret;
    // The same words of another: its own action is made, and the other's receipt isn't shown.
    let (status, banks) = send(&world).await;
    assert_eq!(status, StatusCode::CREATED, "{banks}");
    assert_ne!(banks["id"], tenants["id"]);
    let record = format!("{NETWORK}/records/{}", banks["id"].as_str().unwrap());
    let (_, record) = answer(world.get(&record).send().await.unwrap()).await;
    assert_eq!(record["record"]["creator"], party["signer"], "{record}");
    assert_eq!(send(&world).await.1, banks);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partys_key_signs_what_its_api_key_asks_for_and_nothing_of_the_tenant() {
    let mut world = World::start().await;
    let (party, secret) = world.bank().await;
    let again = world.bank().await.0;
    assert_eq!(again, party, "a party that is there stays as it is");
    let tenants = std::mem::replace(&mut world.key, secret);
    let (_, whoami) = answer(world.get("/v1/whoami").send().await.unwrap()).await;
    assert_eq!(
        (&whoami["party"], &whoami["signer"]),
        (&json!("bank"), &party["signer"]),
        "{whoami}"
    );
    let (status, made) = world.notarize(1).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let path = format!("{NETWORK}/records/{}", made["id"].as_str().unwrap());
    let (_, record) = answer(world.get(&path).send().await.unwrap()).await;
    assert_eq!(record["record"]["creator"], party["signer"], "{record}");
    for (method, path, body) in [
        (Method::POST, "/v1/tenants/acme/parties", json!({ "name": "other" })),
        (Method::POST, "/v1/tenants/acme/api-keys", json!({ "name": "other" })),
        (Method::GET, "/v1/tenants/acme/api-keys", Value::Null),
        (Method::DELETE, "/v1/tenants/acme/api-keys/key_x", Value::Null),
    ] {
        let (status, problem) = answer(world.request(method, path).json(&body).send().await.unwrap()).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::FORBIDDEN, &json!("forbidden")),
            "{path}"
        );
    }
    world.key = tenants;
    let (status, made) = world.notarize(1).await;
    assert_eq!(status, StatusCode::CREATED, "another depositor: {made}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parties_have_names_and_are_listed_by_them() {
    let world = World::start().await;
    let post = async |body: Value| answer(world.post("/v1/tenants/acme/parties", &body).send().await.unwrap()).await;
    for name in ["", "Bank", "a b", "-a", "a-", "a/b", &"a".repeat(41)] {
        let (status, problem) = post(json!({ "name": name })).await;
        assert_eq!(
            (status.as_u16(), &problem["pointer"]),
            (422, &json!("/name")),
            "{name:?}: {problem}"
        );
    }
    for name in ["c", "a", "b"] {
        assert_eq!(post(json!({ "name": name })).await.0, StatusCode::CREATED);
    }
    let get = async |path: &str| answer(world.get(path).send().await.unwrap()).await.1;
    let page = get("/v1/tenants/acme/parties?limit=2").await;
    assert_eq!(
        (&page["parties"][0]["name"], &page["next"]),
        (&json!("a"), &json!("b")),
        "{page}"
    );
    let rest = get("/v1/tenants/acme/parties?limit=2&after=b").await;
    assert_eq!(
        (&rest["parties"][0]["name"], &rest["next"]),
        (&json!("c"), &Value::Null),
        "{rest}"
    );
    let unknown = json!({ "name": "x", "party": "nobody" });
    let (status, problem) = answer(world.post("/v1/tenants/acme/api-keys", &unknown).send().await.unwrap()).await;
    assert_eq!(
        (status.as_u16(), &problem["pointer"]),
        (422, &json!("/party")),
        "{problem}"
    );
}
