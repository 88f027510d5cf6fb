//! Over a Kubernetes API in memory.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::signer::GIVE_UP;
use super::*;

use crate::auth::Authenticator;
use crate::cluster::twin::{self, Twin};
use crate::keys::memory::MemoryKeys;
use crate::store::Store;
use base64::Engine as _;
use std::sync::Arc;

const TENANT: &str = "/apis/muniment.dev/v1alpha1/tenants/acme";
const SECRET: &str = "/api/v1/namespaces/acme/secrets/muniment-access";
const LOST: &str = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

fn settings() -> ClusterConfig {
    ClusterConfig {
        namespace: "muniment".to_owned(),
        service: "muniment-api:8400".to_owned(),
        public_url: None,
        platform_access: None,
    }
}

/// A tenant, its namespace and an API that has just been given a database.
struct Place {
    watched: Arc<Watched>,
    twin: Arc<Twin>,
    provision: Provision,
    _folder: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("x.db").display());
        let store = Store::open(&url).await.unwrap();
        let access = Access {
            keys: Arc::new(MemoryKeys::default()),
            auth: Arc::new(Authenticator::new(store.clone())),
            store,
        };
        let (client, twin) = twin::serve().await;
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "muniment-access" },
            "data": {} });
        twin.put(SECRET, secret);
        Self {
            watched: Watched::at_rest(client, settings()),
            twin,
            provision: Provision::new(access),
            _folder: folder,
        }
    }

    /// A pass over the tenant as it is described.
    async fn pass(&self, uid: &str) -> Result<(), ProvisionError> {
        let mut tenant = self.twin.get(TENANT).unwrap();
        tenant["metadata"]["uid"] = json!(uid);
        let tenant: Tenant = serde_json::from_value(tenant).unwrap();
        self.provision.access.recognise("acme", uid).await.unwrap();
        self.provision.tenant(&self.watched, &tenant, uid).await
    }

    fn described(&self, annotations: serde_json::Value, status: serde_json::Value) {
        let metadata = json!({ "name": "acme", "annotations": annotations });
        let tenant = json!({ "apiVersion": "muniment.dev/v1alpha1", "kind": "Tenant", "metadata": metadata,
            "spec": {}, "status": status });
        self.twin.put(TENANT, tenant);
    }

    fn status(&self) -> serde_json::Value {
        self.twin.get(TENANT).unwrap()["status"].clone()
    }

    fn key(&self) -> String {
        let data = self.twin.get(SECRET).unwrap()["data"]["apiKey"].clone();
        let bytes = base64::engine::general_purpose::STANDARD.decode(data.as_str().unwrap());
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    async fn lets_in(&self, key: &str) -> bool {
        self.provision.access.auth.principal(key).await.is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signing_key_that_isnt_here_is_never_replaced_without_an_order() {
    let place = Place::new().await;
    place.described(json!({}), json!({ "signer": LOST }));
    let error = place.pass("u-1").await.unwrap_err().to_string();
    assert!(error.contains("acme") && error.contains(LOST), "{error}");
    let status = place.status();
    assert_eq!(status["signer"], LOST);
    let told = &status["conditions"][0];
    assert_eq!(
        (&told["type"], &told["status"]),
        (&json!("SigningKeyAvailable"), &json!("False"))
    );
    assert!(told["message"].as_str().unwrap().contains(GIVE_UP), "{told}");
    assert!(place.lets_in(&place.key()).await, "who has an API key may read");
    // An order that names another key gives this one not up.
    let condition = status["conditions"].clone();
    let status = json!({ "signer": LOST, "conditions": condition });
    place.described(json!({ GIVE_UP: "true" }), status.clone());
    place.pass("u-1").await.unwrap_err();
    assert_eq!(place.status(), status, "what is told is told once");
    place.described(json!({ GIVE_UP: LOST }), status);
    place.pass("u-1").await.unwrap();
    let ours = place.provision.access.known_signer("acme").await.unwrap().unwrap();
    assert_eq!(
        place.status(),
        json!({ "signer": ours.to_string() }),
        "and the condition goes"
    );
    // The order is still there, and is spent.
    place.described(json!({ GIVE_UP: LOST }), json!({ "signer": "ed25519:another" }));
    place.pass("u-1").await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_a_former_tenant_open_nothing_of_the_next_one() {
    let place = Place::new().await;
    place.described(json!({}), json!({}));
    place.pass("u-1").await.unwrap();
    let first = place.key();
    place.pass("u-1").await.unwrap();
    assert!(
        place.lets_in(&first).await && place.key() == first,
        "the same tenant keeps its key"
    );
    // The same name, and its namespace was kept with the Secret in it.
    place.described(json!({}), json!({}));
    place.pass("u-2").await.unwrap();
    assert!(
        !place.lets_in(&first).await,
        "the former tenant's key opens the next one"
    );
    let second = place.key();
    assert!(second != first && place.lets_in(&second).await);
    place.provision.access.gone("acme", "u-1").await.unwrap();
    assert!(
        place.lets_in(&second).await,
        "the end of the former one is not the end of this one"
    );
    place.provision.access.gone("acme", "u-2").await.unwrap();
    assert!(!place.lets_in(&second).await, "the key of a tenant that is gone");
}

#[test]
fn only_an_empty_secret_gets_a_key() {
    let secret = |data: serde_json::Value| serde_json::from_value::<Secret>(json!({ "data": data })).unwrap();
    assert_eq!(kept(&Secret::default()), None);
    assert_eq!(kept(&secret(json!({}))), None);
    assert_eq!(kept(&secret(json!({ "apiKey": "" }))), None);
    assert_eq!(kept(&secret(json!({ "apiKey": "YWJj" }))).as_deref(), Some("abc"));
}

#[test]
fn the_secret_says_where_the_api_is() {
    let filled = fill(&settings(), "acme", "mnk_x", Some("7".to_owned()));
    assert_eq!(filled["metadata"]["resourceVersion"], "7");
    assert_eq!(filled["stringData"]["service"], "muniment/muniment-api:8400");
    assert!(filled["stringData"].get("server").is_none());
}
