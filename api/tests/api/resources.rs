//! Descriptions of tenants and networks through the API, over the twin in memory.

use super::support::{World, answer};
use async_trait::async_trait;
use muniment_api::proposer::Wish;
use muniment_api::resources::{Change, Refused, Resource, Resources, Target};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Keeps descriptions as they come, and refuses what the test wants refused.
struct Twin {
    all: Mutex<BTreeMap<String, Value>>,
    version: watch::Sender<u64>,
}

impl Default for Twin {
    fn default() -> Self {
        Self {
            all: Mutex::default(),
            version: watch::Sender::new(0),
        }
    }
}

fn path(target: &Target) -> String {
    match target {
        Target::Tenant(name) => name.clone(),
        Target::Network(tenant, name) => format!("{tenant}/{name}"),
    }
}

fn resource(path: &str, spec: &Value) -> Resource {
    let (tenant, name) = match path.split_once('/') {
        Some((tenant, name)) => (Some(tenant.to_owned()), name),
        None => (None, path),
    };
    Resource {
        name: name.to_owned(),
        tenant,
        generation: 1,
        deleting: false,
        spec: spec.clone(),
        status: Value::Null,
    }
}

#[async_trait]
impl Resources for Twin {
    async fn list(&self, tenant: Option<&str>) -> Vec<Resource> {
        let all = self.all.lock().unwrap();
        all.iter()
            .filter(|(path, _)| path.split_once('/').map(|(owner, _)| owner) == tenant)
            .map(|(path, spec)| resource(path, spec))
            .collect()
    }

    async fn get(&self, target: &Target) -> Option<Resource> {
        let path = path(target);
        self.all.lock().unwrap().get(&path).map(|spec| resource(&path, spec))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    async fn apply(&self, target: &Target, spec: &Value, change: Change, dry: bool) -> Result<Resource, Refused> {
        let path = path(target);
        let mut all = self.all.lock().unwrap();
        match change {
            Change::Create if all.contains_key(&path) => return Err(Refused::Exists),
            Change::Merge if !all.contains_key(&path) => return Err(Refused::Missing),
            _ if spec.get("theirs").is_some() => {
                return Err(Refused::Owned(vec![("kubectl".to_owned(), ".spec.theirs".to_owned())]));
            }
            _ => {}
        }
        if !dry {
            all.insert(path.clone(), spec.clone());
            self.version.send_modify(|version| *version += 1);
        }
        Ok(resource(&path, spec))
    }

    async fn delete(&self, target: &Target) -> Result<bool, Refused> {
        let gone = self.all.lock().unwrap().remove(&path(target)).is_some();
        self.version.send_modify(|version| *version += 1);
        Ok(gone)
    }

    async fn validator_changes(&self) -> Vec<Wish> {
        Vec::new()
    }
}

async fn world() -> (World, String) {
    let mut world = World::start().await;
    let platform = world.described(Arc::new(Twin::default())).await;
    (world, platform)
}

async fn send(world: &World, key: &str, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let request = world
        .client
        .request(method, format!("{}{path}", world.base))
        .bearer_auth(key);
    answer(request.body(body.to_string()).send().await.unwrap()).await
}

const NETWORKS: &str = "/v1/tenants/acme/networks";

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_makes_changes_and_deletes_its_networks() {
    let (world, _) = world().await;
    let key = world.key.clone();
    let of = async |method, path: &str, body| send(&world, &key, method, path, body).await;
    let wanted = json!({ "name": "contracts", "spec": { "templates": [{ "name": "notarization" }] } });
    assert_eq!(
        of(Method::POST, &format!("{NETWORKS}:validate"), wanted.clone())
            .await
            .0,
        StatusCode::OK
    );
    assert_eq!(
        of(Method::GET, &format!("{NETWORKS}/contracts/resource"), json!({}))
            .await
            .0,
        StatusCode::NOT_FOUND
    );
    let (status, made) = of(Method::POST, NETWORKS, wanted.clone()).await;
    assert_eq!((status, &made["tenant"]), (StatusCode::ACCEPTED, &json!("acme")));
    let (status, problem) = of(Method::POST, NETWORKS, wanted).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("already_exists"))
    );

    let one = format!("{NETWORKS}/contracts");
    let (status, problem) = of(Method::PATCH, &one, json!({ "spec": { "theirs": 1 } })).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("field_owned_elsewhere"))
    );
    assert!(problem["detail"].as_str().unwrap().contains("kubectl"), "{problem}");
    assert_eq!(
        of(Method::PATCH, &one, json!({ "spec": [] })).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(of(Method::DELETE, &one, json!({})).await.0, StatusCode::ACCEPTED);
    assert_eq!(of(Method::DELETE, &one, json!({})).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_belong_to_the_platform_and_a_name_is_no_path() {
    let (world, platform) = world().await;
    let wanted = json!({ "name": "globex", "spec": { "displayName": "Globex" } });
    let (status, problem) = send(&world, &world.key, Method::POST, "/v1/tenants", wanted.clone()).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")));
    let (status, _) = send(&world, &platform, Method::POST, "/v1/tenants", wanted).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let seen = async |key: &str| send(&world, key, Method::GET, "/v1/tenants", json!({})).await.1;
    assert_eq!(seen(&world.key).await, json!([]), "another tenant isn't seen");
    assert_eq!(seen(&platform).await[0]["name"], "globex");
    let bad = json!({ "name": "../secrets", "spec": {} });
    let (status, problem) = send(&world, &platform, Method::POST, "/v1/tenants", bad).await;
    assert_eq!(
        (status, &problem["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/name"))
    );
    // The platform works on descriptions and has no way to what a tenant has recorded.
    let (status, _) = send(
        &world,
        &platform,
        Method::GET,
        &format!("{NETWORKS}/notary/records"),
        json!({}),
    )
    .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenants_networks_stay_as_they_are() {
    let (world, platform) = world().await;
    let spec = |suspended: bool| json!({ "spec": { "suspended": suspended } });
    let tenant = json!({ "name": "acme", "spec": { "suspended": false } });
    send(&world, &platform, Method::POST, "/v1/tenants", tenant).await;
    let wanted = |name: &str| json!({ "name": name, "spec": { "templates": [{ "name": "notarization" }] } });
    let (status, _) = send(&world, &world.key, Method::POST, NETWORKS, wanted("contracts")).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let suspend = async |suspended| {
        let (status, _) = send(&world, &platform, Method::PATCH, "/v1/tenants/acme", spec(suspended)).await;
        assert_eq!(status, StatusCode::ACCEPTED);
    };
    suspend(true).await;
    let one = format!("{NETWORKS}/contracts");
    let change = json!({ "spec": { "deletionPolicy": "Delete" } });
    for (method, path, body) in [
        (Method::POST, NETWORKS.to_owned(), wanted("letters")),
        (Method::POST, format!("{NETWORKS}:validate"), wanted("letters")),
        (Method::PATCH, one.clone(), change.clone()),
        (Method::DELETE, one.clone(), json!({})),
    ] {
        let (status, problem) = send(&world, &world.key, method.clone(), &path, body).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::FORBIDDEN, &json!("tenant_suspended")),
            "{method} {path}"
        );
        assert!(problem["detail"].as_str().unwrap().contains("platform"), "{problem}");
    }
    let (status, seen) = send(&world, &world.key, Method::GET, &format!("{one}/resource"), json!({})).await;
    assert_eq!(
        (status, &seen["spec"]["templates"][0]["name"]),
        (StatusCode::OK, &json!("notarization"))
    );
    // The platform may, and so may the tenant when it is over.
    let (status, _) = send(&world, &platform, Method::POST, NETWORKS, wanted("letters")).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    suspend(false).await;
    let (status, _) = send(&world, &world.key, Method::DELETE, &one, json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_each_change_and_the_end() {
    let (world, _) = world().await;
    let key = world.key.clone();
    let wanted = json!({ "name": "contracts", "spec": { "templates": [] } });
    send(&world, &key, Method::POST, NETWORKS, wanted).await;
    let url = format!("{}{NETWORKS}/contracts/events", world.base);
    let mut stream = world.client.get(url).bearer_auth(&key).send().await.unwrap();
    let mut event = async || String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(event().await.starts_with("event: network\n"));
    let change = json!({ "spec": { "validators": { "count": 7 } } });
    send(&world, &key, Method::PATCH, &format!("{NETWORKS}/contracts"), change).await;
    assert!(event().await.contains("\"count\":7"));
    send(
        &world,
        &key,
        Method::DELETE,
        &format!("{NETWORKS}/contracts"),
        json!({}),
    )
    .await;
    assert_eq!(event().await, "event: gone\ndata: {}\n\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kubernetes_the_answer_says_so() {
    let world = World::start().await;
    let (status, problem) = send(
        &world,
        &world.key,
        Method::POST,
        NETWORKS,
        json!({ "name": "x", "spec": {} }),
    )
    .await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::NOT_IMPLEMENTED, &json!("no_descriptions"))
    );
}
