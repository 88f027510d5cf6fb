//! The path through: notarize, read, verify.

use super::support::{NETWORK, World, answer, deposit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use muniment_receipts::cose;
use muniment_receipts::merkle::leaf_hash;
use muniment_receipts::verify::{Outcome, Verification, verify};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

fn passes(world: &World, receipt: &str, number: u64) {
    let trust = world.replica.trust_root().canonical().unwrap();
    let document = hex::decode(format!("{number:064x}")).unwrap().try_into().unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let report = verify(&Verification {
        receipt: receipt.as_bytes(),
        trust_root: Some(&trust),
        document: Some(document),
        evaluation_time: u64::try_from(now).unwrap(),
        network: None,
    });
    let bad: Vec<_> = report
        .verdicts
        .iter()
        .filter(|verdict| verdict.result == Outcome::Fail)
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
}

/// Each is checked with its validator's key of the trust root, and all lead to one root.
fn cose_receipts_hold(world: &World, answer: &serde_json::Value) {
    let bytes = |value: &serde_json::Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let leaf = leaf_hash(&bytes(&answer["leaf"]));
    let receipts = answer["receipts"].as_array().unwrap();
    let trust = world.replica.trust_root();
    let set = trust.newest();
    assert!(receipts.len() >= set.quorum(), "{answer}");
    let mut roots = Vec::new();
    for receipt in receipts {
        let index = set.validators().iter().position(|one| receipt["validator"] == one.name);
        let key = set.cose_key(index.unwrap()).unwrap();
        roots.push(cose::verify(&bytes(&receipt["receipt"]), &leaf, key).unwrap());
    }
    assert!(roots.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_comes_back_with_a_receipt_that_verifies() {
    let world = World::start().await;
    let (status, made) = world.notarize(1).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let receipt = made["receipt"].as_str().unwrap();
    passes(&world, receipt, 1);
    assert_eq!(made["signedBy"].as_array().unwrap().len(), 3);

    let id = made["id"].as_str().unwrap();
    let get = async |path: &str| answer(world.get(&format!("{NETWORK}/{path}")).send().await.unwrap()).await;
    let (status, record) = get(&format!("records/{id}")).await;
    assert_eq!((status, &record["record"]["id"]), (StatusCode::OK, &json!(id)));
    let (status, history) = get(&format!("records/{id}/history")).await;
    assert_eq!((status, history.as_array().unwrap().len()), (StatusCode::OK, 1));
    assert_eq!(history[0]["leaf"], made["leaf"]);
    let (status, proof) = get(&format!("records/{id}/proof")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(proof["value"].is_string(), "{proof}");
    for path in [
        format!("records/{id}/receipt"),
        format!("records/{id}/receipt?version=1"),
    ] {
        let again = world
            .get(&format!("{NETWORK}/{path}"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert_eq!(again, receipt, "the same receipt later");
    }
    cose_receipts_hold(&world, &get(&format!("records/{id}/receipt/cose")).await.1);
    assert_eq!(
        get(&format!("records/{id}/receipt/cose?version=2")).await.0,
        StatusCode::NOT_FOUND
    );
    let (status, page) = get("records?template=notarization").await;
    assert_eq!((status, page["records"].as_array().unwrap().len()), (StatusCode::OK, 1));
    let (status, trust) = get("trust-root").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(trust["network"], hex::encode(world.replica.trust_root().network()));

    let path = format!("{NETWORK}/notarizations?digest={:064x}", 1);
    world
        .until("the digest is found", async || {
            let (_, found) = answer(world.get(&path).send().await.unwrap()).await;
            found["records"]
                .as_array()
                .is_some_and(|records| records.len() == 1 && records[0]["id"] == id)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_verification_judges_with_either_trust_root() {
    let world = World::start().await;
    let (_, made) = world.notarize(5).await;
    let ask = async |body: Value| {
        let response = world
            .client
            .post(format!("{}/v1/verify", world.base))
            .json(&body)
            .send()
            .await
            .unwrap();
        answer(response).await
    };
    let document = format!("{:064x}", 5);
    let (status, own) = ask(json!({"receipt": made["receipt"], "document": document})).await;
    assert_eq!((status, &own["trustRoot"]), (StatusCode::OK, &json!("server")), "{own}");
    let fails = |answer: &Value| {
        let verdicts = answer["report"]["verdicts"].as_array().unwrap();
        verdicts.iter().filter(|verdict| verdict["result"] == "fail").count()
    };
    assert_eq!(fails(&own), 0, "{own}");
    let trust = String::from_utf8(world.replica.trust_root().canonical().unwrap()).unwrap();
    let (_, given) = ask(json!({"receipt": made["receipt"], "trustRoot": trust, "document": document})).await;
    assert_eq!((fails(&given), &given["trustRoot"]), (0, &json!("request")));
    let bent = made["receipt"]
        .as_str()
        .unwrap()
        .replacen("\"height\":", "\"heighd\":", 1);
    let (status, bad) = ask(json!({"receipt": bent})).await;
    assert_eq!((status, &bad["report"]["overall"]), (StatusCode::OK, &json!("fail")));
    let (status, bad) = ask(json!({"receipt": made["receipt"], "document": "xyz"})).await;
    assert_eq!(
        (status, &bad["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("malformed_digest"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_an_outcome_for_each_item() {
    let world = World::start().await;
    let mut items: Vec<Value> = (100..110).map(deposit).collect();
    items[3]["digests"][0]["value"] = json!("nope");
    items[7] = json!({"digest": 1});
    let path = format!("{NETWORK}/notarizations:batch");
    let (status, batch) = answer(world.post(&path, &json!({ "items": items })).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{batch}");
    assert_eq!((&batch["accepted"], &batch["rejected"]), (&json!(8), &json!(2)));
    let outcomes = batch["items"].as_array().unwrap();
    for (index, outcome) in outcomes.iter().enumerate() {
        match index {
            3 => assert_eq!(
                (&outcome["code"], &outcome["pointer"]),
                (&json!("malformed_digest"), &json!("/digests/0/value"))
            ),
            7 => assert_eq!(
                (&outcome["code"], &outcome["pointer"]),
                (&json!("unknown_field"), &json!("/digest"))
            ),
            _ => {
                assert_eq!(outcome["status"], "accepted", "{outcome}");
                passes(&world, outcome["receipt"].as_str().unwrap(), 100 + index as u64);
            }
        }
    }
    // The operation tells the same later, from the ledger.
    let operation = world
        .finished(&format!("/v1/operations/{}", batch["operation"].as_str().unwrap()))
        .await;
    assert_eq!(operation["items"], batch["items"]);

    let all_bad = json!({"items": [{"x": 1}, {"y": 2}]});
    let (status, batch) = answer(world.post(&path, &all_bad).send().await.unwrap()).await;
    assert_eq!((status, &batch["rejected"]), (StatusCode::OK, &json!(2)));
    let operation = world
        .finished(&format!("/v1/operations/{}", batch["operation"].as_str().unwrap()))
        .await;
    assert_eq!(
        (&operation["phase"], &operation["items"]),
        (&json!("failed"), &batch["items"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_digest_again_names_the_earlier_record() {
    let world = World::start().await;
    let (_, first) = world.notarize(9).await;
    let (status, second) = world.notarize(9).await;
    assert_eq!(status, StatusCode::CONFLICT, "{second}");
    assert_eq!(
        (&second["code"], &second["record"]),
        (&json!("duplicate"), &first["id"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_makes_nothing_new() {
    let world = World::start().await;
    let path = format!("{NETWORK}/notarizations");
    let send = async |number: u64| {
        let request = world
            .post(&path, &deposit(number))
            .header("idempotency-key", "order-17");
        answer(request.send().await.unwrap()).await
    };
    let (status, first) = send(11).await;
    assert_eq!(status, StatusCode::CREATED, "{first}");
    let (status, second) = send(11).await;
    assert_eq!((status, &second), (StatusCode::CREATED, &first));
    let (status, other) = send(12).await;
    assert_eq!(
        (status, &other["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("idempotency_mismatch"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_tells_of_its_nodes() {
    let world = World::start().await;
    world.notarize(1).await;
    let (status, network) = answer(world.get(NETWORK).send().await.unwrap()).await;
    assert_eq!(
        (status, &network["validators"], &network["quorum"]),
        (StatusCode::OK, &json!(4), &json!(3))
    );
    assert_eq!(
        (&network["nodes"][0]["state"], &network["nodes"][0]["restarts"]),
        (&json!("Ready"), &json!(7))
    );
    let (status, list) = answer(world.get("/v1/tenants/acme/networks").send().await.unwrap()).await;
    assert_eq!((status, list.as_array().unwrap().len()), (StatusCode::OK, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_goes_on_page_by_page() {
    let world = World::start().await;
    let mut made = Vec::new();
    for number in 0..5 {
        let mut body = deposit(1);
        body["subject"] = json!(format!("copy {number}"));
        let request = world.post(&format!("{NETWORK}/notarizations"), &body);
        let (status, one) = answer(request.send().await.unwrap()).await;
        assert_eq!(status, StatusCode::CREATED, "{one}");
        made.push(one["id"].as_str().unwrap().to_owned());
    }
    made.sort();
    let (mut found, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let path = format!("{NETWORK}/notarizations?digest={:064x}&limit=2{after}", 1);
        let (status, page) = answer(world.get(&path).send().await.unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        pages += 1;
        let records = page["records"].as_array().unwrap();
        found.extend(records.iter().map(|record| record["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!((found, pages), (made, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_name_nobody() {
    let world = World::start().await;
    world.notarize(1).await;
    let invented = Method::from_bytes(b"INVENTED").unwrap();
    world.request(invented, "/healthz").send().await.unwrap();
    let response = world
        .client
        .get(format!("{}/metrics", world.base))
        .send()
        .await
        .unwrap();
    let text = response.text().await.unwrap();
    assert!(text.contains("muniment_api_networks 1"), "{text}");
    assert!(text.contains("method=\"OTHER\""), "{text}");
    for word in ["acme", "globex", "INVENTED", "network=\""] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_tells_of_itself() {
    let world = World::start().await;
    world.notarize(1).await;
    for (path, wants) in [
        ("/healthz", "ok"),
        ("/readyz", "ready"),
        ("/version", "muniment"),
        ("/metrics", "muniment_api_requests_total"),
        ("/openapi.json", "3.1.0"),
        ("/docs", "swagger-ui"),
        ("/docs/swagger-ui-bundle.js", "function"),
        ("/docs/swagger-initializer.js", "/openapi.json"),
    ] {
        let response = world.client.get(format!("{}{path}", world.base)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        if path.starts_with("/docs") {
            let policy = response.headers()["content-security-policy"].to_str().unwrap();
            assert!(
                policy.contains("default-src 'none'") && !policy.contains("http"),
                "{policy}"
            );
        }
        let text = response.text().await.unwrap();
        assert!(text.contains(wants), "{path}: {}", &text[..text.len().min(300)]);
        assert!(
            path != "/docs" || !text.contains("https://"),
            "the page must work offline: {text}"
        );
    }
}
