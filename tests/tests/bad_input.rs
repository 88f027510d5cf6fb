//! What bad input gets: a clear refusal with a code, and nothing changes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use futures::StreamExt;
use muniment_ledger::transaction::Transaction;
use muniment_ledger::wire::{Admission, Outcome};
use muniment_tests::api::{Api, deposit, digest};
use muniment_tests::local::LocalWorld;
use muniment_tests::world::{World, agreement};
use reqwest::Method;
use serde_json::{Value, json};

/// All bad requests share one world: none of them changes anything, and the end asserts that.
#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused_with_a_code_and_change_nothing() {
    let world = LocalWorld::fresh().await;
    let before = agreement(&world).await;
    let api = world.api();

    unknown_key(&api).await;
    foreign_tenant(&api).await;
    malformed(&api).await;
    too_much(&api).await;

    let after = agreement(&world).await;
    assert_eq!(
        after.state_root, before.state_root,
        "a refused request changed the state"
    );
}

async fn unknown_key(api: &Api) {
    for key in ["", "mnk_unknown", "mnk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        let stranger = Api {
            key: key.to_owned(),
            ..api.clone()
        };
        for answer in [
            stranger.get("").await,
            stranger.deposit(&digest()).await,
            stranger.get("/records").await,
        ] {
            assert_eq!(answer.status, 401, "{answer:?}");
            answer.problem(401, answer.body["code"].as_str().unwrap_or_default());
        }
    }
}

async fn foreign_tenant(api: &Api) {
    let strip = |body: &Value| {
        let mut body = body.clone();
        body.as_object_mut().unwrap().remove("requestId");
        body.to_string().replace("acme", "X").replace("nobody", "X")
    };
    let mut bodies = Vec::new();
    for tenant in ["acme", "nobody"] {
        let stranger = Api {
            tenant: tenant.to_owned(),
            ..api.clone()
        };
        let answer = stranger.get("").await;
        answer.problem(404, "not_found");
        bodies.push(strip(&answer.body));
        stranger.deposit(&digest()).await.problem(404, "not_found");
    }
    assert_eq!(
        bodies[0], bodies[1],
        "a foreign tenant and a random one must answer alike"
    );
    let other = Api {
        network: "other".to_owned(),
        ..api.clone()
    };
    other.get("").await.problem(404, "not_found");
}

async fn malformed(api: &Api) {
    let good = digest();
    let cases = [
        (
            "malformed digest",
            json!({ "digests": [{ "alg": "sha-256", "value": "12" }], "mode": "plain" }),
            "/digests/0/value",
        ),
        (
            "upper case",
            json!({ "digests": [{ "alg": "sha-256", "value": "AB".repeat(32) }], "mode": "plain" }),
            "/digests/0/value",
        ),
        (
            "unknown algorithm",
            json!({ "digests": [{ "alg": "md5", "value": good }], "mode": "plain" }),
            "/digests/0/alg",
        ),
        ("no digest", json!({ "digests": [], "mode": "plain" }), "/digests"),
        (
            "unknown mode",
            json!({ "digests": [{ "alg": "sha-256", "value": good }], "mode": "secret" }),
            "/mode",
        ),
        (
            "unknown field",
            json!({ "digests": [{ "alg": "sha-256", "value": good }], "mode": "plain", "sise": 1 }),
            "/sise",
        ),
        (
            "wrong type",
            json!({ "digests": [{ "alg": "sha-256", "value": good }], "mode": "plain", "size": "1" }),
            "/size",
        ),
        (
            "negative size",
            json!({ "digests": [{ "alg": "sha-256", "value": good }], "mode": "plain", "size": -1 }),
            "/size",
        ),
        ("missing field", json!({ "mode": "plain" }), ""),
    ];
    for (name, body, pointer) in cases {
        let answer = api.post("/notarizations", &body).await;
        assert!(matches!(answer.status.as_u16(), 400 | 422), "{name}: {answer:?}");
        answer.problem(answer.status.as_u16(), answer.body["code"].as_str().unwrap_or_default());
        if !pointer.is_empty() {
            assert_eq!(answer.body["pointer"], pointer, "{name}: {answer:?}");
        }
    }
    let not_json = api
        .request(Method::POST, &api.url("/notarizations"), &[], Some("{".to_owned()))
        .await
        .unwrap();
    assert_eq!(not_json.status, 400, "{not_json:?}");
    not_json.problem(400, not_json.body["code"].as_str().unwrap_or_default());
    let unknown = api.get(&format!("/records/{}", digest())).await;
    unknown.problem(404, "not_found");
    let no_path = api.get("/nothing").await;
    no_path.problem(404, "not_found");
}

async fn too_much(api: &Api) {
    let items: Vec<Value> = (0..1001).map(|_| deposit(&digest())).collect();
    let answer = api.post("/notarizations:batch", &json!({ "items": items })).await;
    assert!(matches!(answer.status.as_u16(), 400 | 413 | 422), "{answer:?}");
    answer.problem(answer.status.as_u16(), answer.body["code"].as_str().unwrap_or_default());
    let answer = api.post("/notarizations:batch", &json!({ "items": [] })).await;
    assert!(matches!(answer.status.as_u16(), 400 | 422), "{answer:?}");

    let huge = format!("{{\"mode\":\"{}\"}}", "x".repeat(20 * 1024 * 1024));
    match api
        .request(Method::POST, &api.url("/notarizations"), &[], Some(huge))
        .await
    {
        Ok(answer) => answer.problem(413, answer.body["code"].as_str().unwrap_or_default()),
        // The server may close the connection instead of reading 20 MB that it refuses.
        Err(error) => assert!(error.is_request() || error.is_body(), "{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_item_of_a_batch_does_not_hold_up_the_others() {
    let world = LocalWorld::fresh().await;
    let api = world.api();
    let earlier = digest();
    let first = api.deposit(&earlier).await;
    assert_eq!(first.status, 201, "{first:?}");
    let bad = json!({ "digests": [{ "alg": "sha-256", "value": "zz" }], "mode": "plain" });
    let items = [deposit(&digest()), bad, deposit(&earlier), deposit(&digest())];
    let answer = api.post("/notarizations:batch", &json!({ "items": items })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let status: Vec<&str> = answer.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["status"].as_str().unwrap())
        .collect();
    assert_eq!(status, ["accepted", "rejected", "rejected", "accepted"], "{answer:?}");
    assert_eq!(
        (answer.body["accepted"].as_u64(), answer.body["rejected"].as_u64()),
        (Some(2), Some(2))
    );
    for index in [1, 2] {
        let item = &answer.body["items"][index];
        for field in ["code", "detail"] {
            assert!(
                item[field].as_str().is_some_and(|text| !text.is_empty()),
                "no {field}: {item}"
            );
        }
    }
    assert_eq!(answer.body["items"][2]["record"], first.body["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_digest_again_names_the_earlier_record() {
    let world = LocalWorld::fresh().await;
    let api = world.api();
    let digest = digest();
    let first = api.deposit(&digest).await;
    assert_eq!(first.status, 201, "{first:?}");
    let again = api.deposit(&digest).await;
    again.problem(409, "duplicate");
    assert_eq!(again.body["record"], first.body["id"], "{again:?}");
    // The template decides: another depositor may deposit the same digest.
    let other = world.party().deposit(&digest);
    submit_through_api(&api, &other)
        .await
        .expect("another depositor's deposit is accepted");
}

/// Sends a ready-signed transaction through the API; the code of the refusal when it is refused.
async fn submit_through_api(api: &Api, transaction: &Transaction) -> Result<Value, (u16, String)> {
    use base64::Engine;
    let signature = base64::engine::general_purpose::STANDARD.encode(transaction.signature());
    let statement = String::from_utf8(transaction.signed_bytes().to_vec()).unwrap();
    let answer = api
        .post(
            "/transactions",
            &json!({ "statement": statement, "signature": signature }),
        )
        .await;
    match answer.status.as_u16() {
        200 | 201 => Ok(answer.body),
        status => {
            let code = answer.body["code"].as_str().unwrap_or_default().to_owned();
            answer.problem(status, &code);
            Err((status, code))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_signed_transactions_are_judged_like_any_other() {
    let world = LocalWorld::fresh().await;
    let (api, party) = (world.api(), world.party());

    let good = party.deposit(&digest());
    let accepted = submit_through_api(&api, &good).await.unwrap();
    // The same bytes again are the same transaction: it is not executed twice.
    if let Ok(again) = submit_through_api(&api, &good).await {
        assert_eq!(again["id"], accepted["id"]);
    }
    let id: [u8; 32] = hex::decode(accepted["id"].as_str().unwrap())
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(
        world.network().history(&id).await.unwrap().len(),
        1,
        "a replayed transaction was executed again"
    );

    let Transaction::Single {
        statement,
        mut signature,
    } = party.deposit(&digest())
    else {
        panic!("not a single")
    };
    signature[3] ^= 1;
    let (status, code) = submit_through_api(&api, &Transaction::Single { statement, signature })
        .await
        .unwrap_err();
    assert!(matches!(status, 400 | 422), "{status} {code}");
    assert!(code.to_lowercase().contains("signature"), "{code}");

    let (status, code) = submit_through_api(&api, &party.deposit_for(&digest(), -1000))
        .await
        .unwrap_err();
    assert!(matches!(status, 400 | 409 | 422), "{status} {code}");
    assert!(code.to_lowercase().contains("expired"), "{code}");

    let stranger = muniment_tests::party::Party::new([9; 32], network_id(&world));
    let (status, code) = submit_through_api(&api, &stranger.deposit(&digest()))
        .await
        .unwrap_err();
    assert!(matches!(status, 403 | 422), "{status} {code}");
    let foreign = muniment_tests::party::Party::new([7; 32], [1; 32]);
    let (status, _) = submit_through_api(&api, &foreign.deposit(&digest())).await.unwrap_err();
    assert!(matches!(status, 400 | 409 | 422), "{status}");
}

fn network_id(world: &LocalWorld) -> [u8; 32] {
    let root = std::fs::read(world.trust_root()).unwrap();
    *muniment_receipts::trust::TrustRoot::parse(&root).unwrap().network()
}

#[tokio::test(flavor = "multi_thread")]
async fn validators_judge_for_themselves() {
    let world = LocalWorld::fresh().await;
    let party = world.party();
    let node = world.node("validator-2");

    let Transaction::Single {
        statement,
        mut signature,
    } = party.deposit(&digest())
    else {
        panic!("not a single")
    };
    signature[60] ^= 1;
    let (expired, too_long, good) = (
        party.deposit_for(&digest(), -600_000),
        party.deposit_for(&digest(), 3_600_000),
        party.deposit(&digest()),
    );
    let malformed = Transaction::Single {
        statement: b"{}".to_vec(),
        signature,
    };
    let forged = Transaction::Single { statement, signature };
    let transactions = [forged, malformed, expired, too_long, good];
    let answers = node.submit(&transactions).await.unwrap();
    for answer in &answers[..2] {
        assert!(
            matches!(answer, Admission::Refused { code, .. } if !code.is_empty()),
            "{answers:?}"
        );
    }
    assert!(
        matches!(answers[4], Admission::Accepted { .. }),
        "the good one of many must go through: {answers:?}"
    );

    // What depends on block time may be refused at once, or by the block; it is never accepted.
    let mut blocks = world.network().follow(1);
    let mut outcomes = std::collections::BTreeMap::new();
    while !outcomes.contains_key(&transactions[4].id()) {
        let block = blocks.next().await.unwrap().unwrap();
        outcomes.extend(block.transactions.iter().map(Transaction::id).zip(block.outcomes));
    }
    assert!(
        matches!(outcomes[&transactions[4].id()][..], [Outcome::Accepted { .. }]),
        "{outcomes:?}"
    );
    for (transaction, answer) in transactions[2..4].iter().zip(&answers[2..4]) {
        let outcome = outcomes.get(&transaction.id()).map(Vec::as_slice);
        let refused = matches!(answer, Admission::Refused { .. });
        assert!(
            refused || matches!(outcome, None | Some([Outcome::Rejected { .. }])),
            "{answer:?} {outcome:?}"
        );
    }
}
