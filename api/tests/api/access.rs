//! Every route against every stranger.

use super::support::{World, answer};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// The routes as the server documents them; a test inside the crate holds that this is what is routed.
async fn routes(world: &World) -> Vec<(Method, String, bool)> {
    let document: Value = world.get("/openapi.json").send().await.unwrap().json().await.unwrap();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            routes.push((method, path.clone(), operation.get("security").is_some()));
        }
    }
    routes
}

fn concrete(path: &str, tenant: &str, network: &str, other: &str) -> String {
    path.replace("{tenant}", tenant)
        .replace("{network}", network)
        .replace("{record}", other)
        .replace("{operation}", &format!("op_{:012x}{other}", 1))
        .replace("{key}", "key_x")
        .replace("{action}", "settle")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_every_stranger() {
    let world = World::start().await;
    let (_, made) = world.notarize(1).await;
    let record = made["id"].as_str().unwrap().to_owned();
    let key = async |body: Value| {
        let request = world.post("/v1/tenants/acme/api-keys", &body);
        answer(request.send().await.unwrap()).await.1
    };
    let revoked = key(json!({"name": "revoked"})).await;
    let path = format!("/v1/tenants/acme/api-keys/{}", revoked["id"].as_str().unwrap());
    world.request(Method::DELETE, &path).send().await.unwrap();
    let end = std::time::SystemTime::now() + Duration::from_secs(1);
    let expired = key(json!({"name": "expired", "expiresAt": humantime::format_rfc3339_millis(end).to_string()})).await;
    let secret = expired["secret"].as_str().unwrap();
    world
        .until("the key has expired", async || {
            let request = world
                .client
                .get(format!("{}/v1/whoami", world.base))
                .bearer_auth(secret);
            request.send().await.unwrap().status() == StatusCode::UNAUTHORIZED
        })
        .await;
    let almost = format!("{}x", &world.key[..world.key.len() - 1]);

    let routes = routes(&world).await;
    assert!(routes.len() > 35);
    for (method, path, secured) in routes {
        let here = concrete(&path, "acme", "notary", &record);
        let send = async |path: &str, key: Option<&str>| {
            let request = world
                .client
                .request(method.clone(), format!("{}{path}", world.base))
                .body("{}");
            let request = if let Some(key) = key {
                request.bearer_auth(key)
            } else {
                request
            };
            request.send().await.unwrap()
        };
        if !secured {
            let status = send(&here, None).await.status();
            assert!(
                status != StatusCode::UNAUTHORIZED && status != StatusCode::NOT_FOUND,
                "{method} {path}: {status}"
            );
            continue;
        }
        let bad = [
            None,
            Some(almost.as_str()),
            Some("x"),
            revoked["secret"].as_str(),
            expired["secret"].as_str(),
        ];
        for key in bad {
            let response = send(&here, key).await;
            assert!(response.headers().contains_key("www-authenticate"), "{method} {path}");
            let (status, problem) = answer(response).await;
            assert_eq!(
                (status, &problem["code"]),
                (StatusCode::UNAUTHORIZED, &json!("unauthorized")),
                "{method} {path}"
            );
        }
        // These name no tenant: each sees its own.
        if ["/v1/whoami", "/v1/tenants"].contains(&path.as_str()) {
            continue;
        }
        // What is another tenant's and what doesn't exist look the same.
        let (status, foreign) = answer(send(&here, Some(&world.stranger)).await).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}");
        let nowhere = concrete(&path, "nobody", "nothing", &"0".repeat(64));
        let (status, nothing) = answer(send(&nowhere, Some(&world.stranger)).await).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}");
        for field in ["type", "title", "code", "detail"] {
            assert_eq!(foreign[field], nothing[field], "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_operation_looks_like_none() {
    let world = World::start().await;
    let request = world.request(Method::POST, "/v1/tenants/acme/networks/notary/notarizations");
    let (status, pending) = answer(request.json(&super::support::deposit(3)).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let path = format!("/v1/operations/{}", pending["id"].as_str().unwrap());
    world.finished(&path).await;
    let foreign = world
        .client
        .get(format!("{}{path}", world.base))
        .bearer_auth(&world.stranger);
    assert_eq!(foreign.send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

/// On Kubernetes a tenant is its UID. What was made before anybody asked whose the name is belongs to the first who has it.
#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_of_the_same_name_has_nothing_of_the_former_one() {
    let mut world = World::start().await;
    world.api.take().unwrap().stop().await;
    let access = world.start_api().await;
    let (_, partys) = world.bank().await;
    let status = async |key: &str| {
        let request = world.client.get(format!("{}/v1/whoami", world.base)).bearer_auth(key);
        request.send().await.unwrap().status()
    };
    assert!(!access.recognise("acme", "uid-1").await.unwrap());
    assert_eq!(
        status(&world.key).await,
        StatusCode::OK,
        "after an upgrade keys stay good"
    );
    assert!(!access.recognise("acme", "uid-1").await.unwrap());
    assert!(access.recognise("acme", "uid-2").await.unwrap());
    for old in [&world.key, &partys] {
        assert_eq!(status(old).await, StatusCode::UNAUTHORIZED);
    }
    let new = access.new_api_key("acme", "first").await.unwrap();
    assert_eq!(status(&new).await, StatusCode::OK);
    let parties = world.client.get(format!("{}/v1/tenants/acme/parties", world.base));
    let (_, listed) = answer(parties.bearer_auth(&*new).send().await.unwrap()).await;
    assert_eq!(listed["parties"], json!([]), "{listed}");
    assert_eq!(
        status(&world.stranger).await,
        StatusCode::OK,
        "another tenant keeps its keys"
    );
}
