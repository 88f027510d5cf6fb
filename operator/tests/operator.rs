//! The operator as a whole over a stand-in cluster: resources in, objects and status out.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/harness.rs"]
mod harness;

use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{FakeCluster, cluster_settings, until};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use muniment_crds::{LedgerNetwork, Tenant};
use muniment_operator::cluster::{OperatorConfig, run_with};
use muniment_operator::{Catalog, ClusterSettings};
use muniment_receipts::genesis::GenesisTemplate;
use serde_json::{Value, json};
use tokio::task::JoinSet;

const SIGNER: &str = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

struct World {
    cluster: FakeCluster,
    client: Client,
    _operator: JoinSet<()>,
}

impl World {
    async fn new() -> Self {
        Self::over(FakeCluster::start()).await
    }

    async fn over(cluster: FakeCluster) -> Self {
        let hosts = cluster.hosts();
        Self::with(cluster, hosts).await
    }

    /// One operator after another may work on a cluster, each with a lease of its own.
    async fn with(cluster: FakeCluster, hosts: Option<String>) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let client = cluster.client().await;
        let config = OperatorConfig {
            settings: ClusterSettings {
                hosts,
                ..cluster_settings()
            },
            identity: "one".into(),
            lease: format!("lease-{}", NUMBER.fetch_add(1, Ordering::Relaxed)),
            listen: ([127, 0, 0, 1], 0).into(),
            catalog: Catalog::new(vec![GenesisTemplate {
                name: "notarization".into(),
                revision: 1,
                source: muniment_ledger::templates::NOTARIZATION.to_owned(),
            }]),
        };
        let mut operator = JoinSet::new();
        let own = client.clone();
        operator.spawn(async move {
            let _ = run_with(own, config).await;
        });
        Self {
            cluster,
            client,
            _operator: operator,
        }
    }

    fn tenants(&self) -> Api<Tenant> {
        Api::all(self.client.clone())
    }

    fn networks(&self) -> Api<LedgerNetwork> {
        Api::namespaced(self.client.clone(), "demo")
    }

    async fn make(&self, tenant: Value, network: Value) {
        let tenant = json!({ "apiVersion": "muniment.dev/v1alpha1", "kind": "Tenant", "metadata": { "name": "demo" }, "spec": tenant });
        let network = json!({ "apiVersion": "muniment.dev/v1alpha1", "kind": "LedgerNetwork",
            "metadata": { "name": "notary", "namespace": "demo" }, "spec": network });
        let how = PostParams::default();
        self.tenants()
            .create(&how, &serde_json::from_value(tenant).unwrap())
            .await
            .unwrap();
        self.networks()
            .create(&how, &serde_json::from_value(network).unwrap())
            .await
            .unwrap();
    }

    /// What the management API does.
    async fn sign(&self) {
        let status = json!({ "status": { "signer": SIGNER } });
        let how = PatchParams::default();
        self.tenants()
            .patch_status("demo", &how, &Patch::Merge(&status))
            .await
            .unwrap();
    }

    /// Changes the network's description.
    async fn describe(&self, spec: Value) {
        let change = json!({ "spec": spec });
        let how = PatchParams::default();
        self.networks()
            .patch("notary", &how, &Patch::Merge(&change))
            .await
            .unwrap();
    }

    /// Makes tenant and network, signs, and waits until the network runs.
    async fn run(&self, tenant: Value, network: Value) {
        self.make(tenant, network).await;
        self.sign().await;
        self.says("ledgernetworks", "notary", "Ready", "True", "QuorumReady")
            .await;
    }

    fn condition(&self, plural: &str, name: &str, kind: &str) -> Option<(String, String)> {
        let object = self.cluster.get(plural, name)?;
        let all = object["status"]["conditions"].as_array()?.clone();
        let found = all.into_iter().find(|condition| condition["type"] == kind)?;
        let text = |key: &str| found[key].as_str().unwrap().to_owned();
        Some((text("status"), text("reason")))
    }

    async fn says(&self, plural: &str, name: &str, kind: &str, status: &str, reason: &str) {
        let wanted = Some((status.to_owned(), reason.to_owned()));
        until(&format!("{plural}/{name} is {kind}={status} for {reason}"), || async {
            (self.condition(plural, name, kind) == wanted).then_some(())
        })
        .await;
    }
}

fn notarization() -> Value {
    json!({ "templates": [{ "name": "notarization" }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_resources_become_a_network_and_a_quiet_one_costs_no_write() {
    let world = World::new().await;
    world.make(json!({ "quota": { "networks": 3 } }), notarization()).await;
    world
        .says("ledgernetworks", "notary", "Ready", "False", "WaitingForSigner")
        .await;
    assert!(
        world.cluster.get("configmaps", "notary-genesis").is_none(),
        "nothing is sealed without who may sign"
    );
    world.sign().await;
    until("all validators are ready", || async {
        let network = world.cluster.get("ledgernetworks", "notary")?;
        (network["status"]["display"] == json!({ "ready": "4/4", "quorum": "3 of 4" })).then_some(())
    })
    .await;
    world
        .says("ledgernetworks", "notary", "Ready", "True", "QuorumReady")
        .await;
    let space = world.cluster.get("namespaces", "demo").unwrap();
    assert_eq!(
        space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
        "restricted"
    );
    assert_eq!(space["metadata"]["labels"]["muniment.dev/tenant"], "demo");
    for (plural, name) in [
        ("rolebindings", "muniment-operator"),
        ("networkpolicies", "muniment-default-deny"),
        ("resourcequotas", "muniment-quota"),
        ("limitranges", "muniment-limits"),
        ("secrets", "muniment-access"),
    ] {
        assert!(world.cluster.get(plural, name).is_some(), "{plural}/{name}");
    }
    until("the tenant counts it", || async {
        (world.cluster.get("tenants", "demo")?["status"]["display"]["networks"] == "1/3").then_some(())
    })
    .await;
    assert_eq!(
        world.cluster.get("tenants", "demo").unwrap()["status"]["signer"],
        SIGNER,
        "and leaves what isn't its own"
    );

    // Passes that find nothing to do. The lease is renewed meanwhile.
    world
        .says("ledgernetworks", "notary", "Progressing", "False", "AsWanted")
        .await;
    let writes = || -> Vec<String> {
        world
            .cluster
            .writes()
            .into_iter()
            .filter(|write| !write.contains(" leases/"))
            .collect()
    };
    let look = |round: usize| {
        let before = world.cluster.reads("statefulsets", "notary-validator");
        world.cluster.edit("statefulsets", "notary-validator", |set| {
            set["metadata"]["annotations"]["seen"] = json!(round.to_string())
        });
        before
    };
    let mut before = look(0);
    for round in 1..4 {
        until("there was another pass", || async {
            (world.cluster.reads("statefulsets", "notary-validator") > before + 3).then_some(())
        })
        .await;
        if round == 1 {
            // Whatever was under way when it became ready has been written by now.
            before = look(round);
            continue;
        }
        let quiet = writes();
        before = look(round);
        until("there was another pass", || async {
            (world.cluster.reads("statefulsets", "notary-validator") > before + 3).then_some(())
        })
        .await;
        assert_eq!(writes(), quiet);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_said_and_mended_by_another_description() {
    let world = World::new().await;
    world
        .make(json!({}), json!({ "templates": [{ "name": "unheard-of" }] }))
        .await;
    world.sign().await;
    world
        .says("ledgernetworks", "notary", "Ready", "False", "Invalid")
        .await;
    let network = world.cluster.get("ledgernetworks", "notary").unwrap();
    assert!(
        network["status"]
            .to_string()
            .contains("there is no template `unheard-of`"),
        "{network}"
    );
    world.describe(notarization()).await;
    world
        .says("ledgernetworks", "notary", "Ready", "True", "QuorumReady")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_namespace_is_never_taken() {
    let world = World::new().await;
    let foreign = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "demo", "labels": { "team": "other" } } });
    let spaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(world.client.clone());
    spaces
        .create(&PostParams::default(), &serde_json::from_value(foreign).unwrap())
        .await
        .unwrap();
    world.make(json!({}), notarization()).await;
    world
        .says("tenants", "demo", "NamespaceReady", "False", "ForeignNamespace")
        .await;
    world
        .says("ledgernetworks", "notary", "Ready", "False", "NoTenant")
        .await;
    let labels = world.cluster.get("namespaces", "demo").unwrap()["metadata"]["labels"].clone();
    assert_eq!(labels, json!({ "team": "other" }));
    world.cluster.edit("namespaces", "demo", |space| {
        space["metadata"]["labels"]["muniment.dev/tenant"] = json!("demo")
    });
    world
        .says("tenants", "demo", "NamespaceReady", "True", "AsWanted")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_is_held_by_protection_and_keeps_what_is_to_be_kept() {
    let world = World::new().await;
    let mut spec = notarization();
    spec["preventDeletion"] = json!(true);
    world.run(json!({}), spec).await;
    world
        .networks()
        .delete("notary", &DeleteParams::default())
        .await
        .unwrap();
    world
        .says("ledgernetworks", "notary", "Progressing", "False", "DeletionPrevented")
        .await;
    assert_eq!(world.cluster.names("pods").len(), 4, "nothing stops meanwhile");
    world.describe(json!({ "preventDeletion": false })).await;
    until("the network is gone", || async {
        world.cluster.get("ledgernetworks", "notary").is_none().then_some(())
    })
    .await;
    assert!(world.cluster.names("pods").is_empty());
    assert!(world.cluster.get("configmaps", "notary-tombstone").is_some());
    assert!(world.cluster.get("secrets", "notary-validator-0-keys").is_some());
    world.tenants().delete("demo", &DeleteParams::default()).await.unwrap();
    until("the tenant is gone", || async {
        world.cluster.get("tenants", "demo").is_none().then_some(())
    })
    .await;
    assert!(
        world.cluster.get("namespaces", "demo").is_some(),
        "its namespace is kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_go_on_although_the_description_is_refused() {
    let world = World::new().await;
    world.run(json!({}), notarization()).await;
    world.describe(json!({ "templates": [{ "name": "unheard-of" }] })).await;
    world
        .says("ledgernetworks", "notary", "SpecApplied", "False", "Invalid")
        .await;
    let before = world.cluster.get("secrets", "notary-tls").unwrap()["data"].clone();
    world.cluster.edit("secrets", "notary-tls", |secret| {
        secret["data"]["validator-1.crt"] = json!("ZWRpdGVk")
    });
    // Any event of the network's is a pass.
    world.cluster.edit("statefulsets", "notary-validator", |set| {
        set["metadata"]["annotations"]["seen"] = json!("now")
    });
    until("the damaged one is made anew", || async {
        let now = world.cluster.get("secrets", "notary-tls")?["data"].clone();
        (now["validator-1.crt"] != "ZWRpdGVk" && now["validator-1.key"] == before["validator-1.key"]).then_some(())
    })
    .await;
    world
        .says("ledgernetworks", "notary", "CertificatesReady", "True", "Issued")
        .await;
    world
        .says("ledgernetworks", "notary", "SpecApplied", "False", "Invalid")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_whose_hosts_are_switched_off_says_so_and_waits_for_them() {
    let cluster = FakeCluster::start();
    cluster.install_hosts();
    let mut spec = notarization();
    spec["placement"] = json!("Shared");
    let world = World::over(cluster.clone()).await;
    world.run(json!({}), spec).await;
    drop(world);
    let world = World::with(cluster.clone(), None).await;
    world
        .says("ledgernetworks", "notary", "SpecApplied", "False", "HostsOff")
        .await;
    let how = DeleteParams::default();
    world.networks().delete("notary", &how).await.unwrap();
    world
        .says("ledgernetworks", "notary", "Progressing", "False", "HostsOff")
        .await;
    assert!((0..4).all(|host| !cluster.seats(host).is_empty()), "it runs on");
    drop(world);
    let world = World::over(cluster.clone()).await;
    until("the network is gone", || async {
        world.cluster.get("ledgernetworks", "notary").is_none().then_some(())
    })
    .await;
    assert!(
        (0..4).all(|host| cluster.seats(host).is_empty()),
        "and so are its seats"
    );
}
