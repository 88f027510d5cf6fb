//! Parties of the tenant whose keys the server keeps: made, admitted to the network, each with an API key of its own.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::Api;

/// A party and how it calls.
#[derive(Clone)]
pub struct Tenanted {
    /// Its public key.
    pub signer: String,
    /// The API with a key that acts for it.
    pub api: Api,
}

impl Tenanted {
    /// Makes a party, admits its key to the network, and makes an API key that acts for it.
    ///
    /// # Panics
    /// When any of it is refused.
    pub async fn new(tenant: &Api, name: &str) -> Self {
        let made = create(tenant, "/parties", &json!({ "name": name })).await;
        let signer = made["signer"].as_str().expect("a key").to_owned();
        admit(tenant, name, &signer).await;
        let key = create(tenant, "/api-keys", &json!({ "name": name, "party": name })).await;
        Self {
            signer,
            api: tenant.with_key(key["secret"].as_str().expect("a secret")),
        }
    }
}

/// Makes a key a member of the network, where the tenant decides alone.
///
/// # Panics
/// When it is refused.
pub async fn admit(tenant: &Api, name: &str, key: &str) {
    let member = json!({
        "template": "muniment.dev/governance", "action": "addMember", "revision": 1,
        "input": { "key": key, "name": name },
    });
    let admitted = tenant.post("/records", &member).await;
    assert_eq!(admitted.status, 201, "{admitted:?}");
}

async fn create(tenant: &Api, path: &str, body: &Value) -> Value {
    let url = format!("{}/v1/tenants/{}{path}", tenant.server, tenant.tenant);
    let answer = tenant
        .request(Method::POST, &url, &[], Some(body.to_string()))
        .await
        .unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body
}
