//! What bad input gets: a clear refusal with a code, and nothing changes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;
use std::sync::Arc;

use futures::StreamExt;
use muniment_api::{ApiConfig, MemoryDirectory};
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
    let mut world = LocalWorld::fresh().await;
    world.stop().await;
    let stranger = second_tenant(&world).await;
    world.start().await;
    let before = agreement(&world).await;
    let api = world.api();

    unknown_key(&api).await;
    foreign_tenant(&api, &stranger).await;
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
            answer.problem(401, "unauthorized");
        }
    }
}

/// Another tenant of the same server, made while `dev` is down, by the API's own means. Answers its API key.
async fn second_tenant(world: &LocalWorld) -> String {
    let database = format!("sqlite://{}?mode=rwc", world.data().join("muniment.db").display());
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = ApiConfig::new(listen, database, world.data().join("keys"));
    let server = muniment_api::Api::start(config, Arc::new(MemoryDirectory::default()))
        .await
        .unwrap();
    let tenant = server.bootstrap_tenant("acme").await.unwrap();
    tenant.api_key.expect("a new tenant gets a key").to_string()
}

/// `acme` is a tenant of this server, `nobody` is not: to our tenant both look the same, and so does ours to `acme`.
async fn foreign_tenant(api: &Api, stranger: &str) {
    let strip = |body: &Value| {
        let mut body = body.clone();
        body.as_object_mut().unwrap().remove("requestId");
        body.to_string()
            .replace(&api.tenant, "X")
            .replace("acme", "X")
            .replace("nobody", "X")
    };
    let as_acme = Api {
        key: stranger.to_owned(),
        ..api.clone()
    };
    let own = format!("{}/v1/tenants/acme/networks", api.server);
    let answer = as_acme.request(Method::GET, &own, &[], None).await.unwrap();
    assert_eq!(answer.status, 200, "the stranger's key is good for its own: {answer:?}");
    let mut bodies = Vec::new();
    for (key, tenant) in [(&api.key, "acme"), (&api.key, "nobody"), (&as_acme.key, &api.tenant)] {
        let foreign = Api {
            key: key.clone(),
            tenant: tenant.to_owned(),
            ..api.clone()
        };
        let answers = [
            foreign.get("").await,
            foreign.get("/records").await,
            foreign.get(&format!("/notarizations?digest={}", digest())).await,
            foreign.deposit(&digest()).await,
        ];
        for answer in &answers {
            answer.problem(404, "not_found");
        }
        bodies.push(answers.map(|answer| strip(&answer.body)));
    }
    assert!(
        bodies.iter().all(|one| *one == bodies[0]),
        "a foreign tenant and a random one must answer alike: {bodies:?}"
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
            "malformed_digest",
            "/digests/0/value",
        ),
        (
            "upper case",
            json!({ "digests": [{ "alg": "sha-256", "value": "AB".repeat(32) }], "mode": "plain" }),
            "malformed_digest",
            "/digests/0/value",
        ),
        (
            "unknown algorithm",
            json!({ "digests": [{ "alg": "md5", "value": good }], "mode": "plain" }),
            "unknown_algorithm",
            "/digests/0/alg",
        ),
        (
            "no digest",
            json!({ "digests": [], "mode": "plain" }),
            "invalid_field",
            "/digests",
        ),
        (
            "unknown mode",
            json!({ "digests": [{ "alg": "sha-256", "value": good }], "mode": "secret" }),
            "invalid_field",
            "/mode",
        ),
        (
            "unknown field",
            json!({ "digests": [{ "alg": "sha-256", "value": good }], "mode": "plain", "sise": 1 }),
            "unknown_field",
            "/sise",
        ),
        (
            "wrong type",
            json!({ "digests": [{ "alg": "sha-256", "value": good }], "mode": "plain", "size": "1" }),
            "invalid_field",
            "/size",
        ),
        (
            "negative size",
            json!({ "digests": [{ "alg": "sha-256", "value": good }], "mode": "plain", "size": -1 }),
            "invalid_field",
            "/size",
        ),
        ("missing field", json!({ "mode": "plain" }), "missing_field", ""),
    ];
    for (name, body, code, pointer) in cases {
        let answer = api.post("/notarizations", &body).await;
        assert_eq!(answer.body["code"], code, "{name}: {answer:?}");
        answer.problem(422, code);
        if !pointer.is_empty() {
            assert_eq!(answer.body["pointer"], pointer, "{name}: {answer:?}");
        }
    }
    let not_json = api
        .request(Method::POST, &api.url("/notarizations"), &[], Some("{".to_owned()))
        .await
        .unwrap();
    not_json.problem(400, "malformed_json");
    let unknown = api.get(&format!("/records/{}", digest())).await;
    unknown.problem(404, "not_found");
    let no_path = api.get("/nothing").await;
    no_path.problem(404, "not_found");
}

async fn too_much(api: &Api) {
    let items: Vec<Value> = (0..1001).map(|_| deposit(&digest())).collect();
    let answer = api.post("/notarizations:batch", &json!({ "items": items })).await;
    answer.problem(413, "batch_too_large");
    let answer = api.post("/notarizations:batch", &json!({ "items": [] })).await;
    answer.problem(422, "empty_batch");

    // Just over what a single deposit may be: little enough that the server reads it before it refuses.
    let huge = format!("{{\"mode\":\"{}\"}}", "x".repeat(256 * 1024 + 1));
    let answer = api
        .request(Method::POST, &api.url("/notarizations"), &[], Some(huge))
        .await
        .unwrap();
    answer.problem(413, "body_too_large");
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
    for (index, code) in [(1, "malformed_digest"), (2, "duplicate")] {
        let item = &answer.body["items"][index];
        assert_eq!(
            item["code"].as_str().map(str::to_lowercase).as_deref(),
            Some(code),
            "{item}"
        );
        assert!(
            item["detail"].as_str().is_some_and(|text| !text.is_empty()),
            "no detail: {item}"
        );
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
    assert_eq!((status, code.as_str()), (422, "bad_signature"));

    let (status, code) = submit_through_api(&api, &party.deposit_for(&digest(), -1000))
        .await
        .unwrap_err();
    assert_eq!((status, code.as_str()), (422, "expired"));

    let stranger = muniment_tests::party::Party::new([9; 32], network_id(&world));
    let (status, code) = submit_through_api(&api, &stranger.deposit(&digest()))
        .await
        .unwrap_err();
    assert_eq!((status, code.as_str()), (422, "not_a_member"));
    let foreign = muniment_tests::party::Party::new([7; 32], [1; 32]);
    let (status, code) = submit_through_api(&api, &foreign.deposit(&digest())).await.unwrap_err();
    assert_eq!((status, code.as_str()), (422, "wrong_network"));
}

/// The same bytes again are the same transaction: it gets its first answer and is in one block only. The template would
/// refuse the second deposit of a digest in any case, so what counts is how often the transaction is in the blocks.
#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_transaction_is_in_one_block_only() {
    let mut world = LocalWorld::fresh().await;
    let (api, party) = (world.api(), world.party());
    let good = party.deposit(&digest());
    let accepted = submit_through_api(&api, &good).await.unwrap();
    let again = submit_through_api(&api, &good)
        .await
        .expect("a replay gets the first answer");
    assert_eq!((&again["id"], &again["height"]), (&accepted["id"], &accepted["height"]));
    let height = accepted["height"].as_u64().unwrap();
    for restarted in [false, true] {
        if restarted {
            // What is remembered against replays outlives the processes.
            world.kill_all().await;
            world.start().await;
        }
        agreement(&world).await;
        for validator in world.validators() {
            let answer = world
                .node(&validator)
                .submit(std::slice::from_ref(&good))
                .await
                .unwrap();
            assert!(
                matches!(answer[..], [Admission::Known { height: Some(known), .. }] if known == height),
                "{validator}, restarted {restarted}: {answer:?}"
            );
        }
    }
    // Whatever waited in a mempool would be in a block together with this one, or before it.
    assert_eq!(world.api().deposit(&digest()).await.status, 201);
    let tip = agreement(&world).await.height;
    let mut blocks = world.network().follow(1);
    let mut found = Vec::new();
    for height in 1..=tip {
        let block = blocks.next().await.unwrap().unwrap();
        let same = block.transactions.iter().filter(|one| one.id() == good.id());
        found.extend(same.map(|_| height));
    }
    assert_eq!(found, [height]);
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
