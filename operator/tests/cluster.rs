//! What the cluster backend promises beyond the suite of all backends: over a stand-in cluster.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

#[path = "support/harness.rs"]
mod harness;

use harness::{ClusterHarness, Harness, SharedHarness, network, operator, until};
use muniment_crds::{DeletionPolicy, DesiredState, Placement};
use muniment_operator::{Backend, BackendError, HostRestart, NodeState, Observation, Removal};
use serde_json::json;

async fn ready(harness: &ClusterHarness) -> Observation {
    until("all validators are ready", || async {
        let plan = harness.plan().await;
        let seen = harness.backend.apply(&plan).await.unwrap();
        let fresh = seen.nodes.iter().all(|n| n.revision.as_ref() == Some(&plan.revision));
        (fresh && seen.nodes.iter().all(|n| n.ready())).then_some(seen)
    })
    .await
}

async fn removed(backend: &impl Backend, data: DeletionPolicy) {
    until("the network is removed", || async {
        let removal = backend.remove(&network(), data).await.unwrap();
        (removal == Removal::Done).then_some(())
    })
    .await;
}

/// The private keys that are there, by validator.
fn keys(harness: &ClusterHarness) -> BTreeMap<usize, serde_json::Value> {
    let secret = |i| harness.cluster.get("secrets", &format!("notary-validator-{i}-keys"));
    (0..4).filter_map(|i| Some((i, secret(i)?["data"].clone()))).collect()
}

/// Everything that must survive: keys, genesis, and the token.
fn durable(harness: &ClusterHarness) -> Vec<serde_json::Value> {
    let keys = (0..4).map(|i| {
        harness
            .cluster
            .get("secrets", &format!("notary-validator-{i}-keys"))
            .unwrap()["data"]
            .clone()
    });
    let genesis = harness.cluster.get("configmaps", "notary-genesis").unwrap()["data"].clone();
    let token = harness.cluster.get("secrets", "notary-client").unwrap()["data"]["token"].clone();
    keys.chain([genesis, token]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_when_nothing_differs() {
    let harness = ClusterHarness::new().await;
    ready(&harness).await;
    let before = harness.cluster.writes();
    for _ in 0..5 {
        ready(&harness).await;
    }
    assert_eq!(harness.cluster.writes(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_after_each_of_its_writes_reaches_the_same_end() {
    let whole = ClusterHarness::new().await;
    ready(&whole).await;
    let writes = whole.cluster.writes().len();
    assert!(writes > 10, "{writes}");
    for killed_after in 0..writes {
        let harness = ClusterHarness::new().await;
        harness.cluster.down_after(Some(killed_after));
        // As far as it gets.
        if let Ok(facts) = harness.backend.allocate(&harness.validated()).await {
            let plan = muniment_operator::plan(&harness.validated(), &facts).unwrap();
            for _ in 0..3 {
                let _ = harness.backend.apply(&plan).await;
            }
        }
        let keys = keys(&harness);
        harness.cluster.down_after(None);
        let harness = harness.restart().await;
        ready(&harness).await;
        let now = self::keys(&harness);
        for (name, key) in keys {
            assert_eq!(now[&name], key, "keys that were made stay, killed after {killed_after}");
        }
        for plural in [
            "statefulsets",
            "services",
            "secrets",
            "configmaps",
            "networkpolicies",
            "poddisruptionbudgets",
        ] {
            assert_eq!(
                harness.cluster.names(plural),
                whole.cluster.names(plural),
                "killed after {killed_after}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_by_hand_is_put_back() {
    let harness = ClusterHarness::new().await;
    ready(&harness).await;
    let before = durable(&harness);
    harness.cluster.edit("statefulsets", "notary-validator", |set| {
        set["spec"]["replicas"] = json!(2)
    });
    harness.cluster.edit("networkpolicies", "notary-validator", |policy| {
        policy["spec"]["ingress"] = json!([{}])
    });
    harness.cluster.delete("secrets", "notary-client");
    harness.cluster.delete("services", "notary-nodes");
    harness.cluster.delete("poddisruptionbudgets", "notary-validator");
    ready(&harness).await;
    assert_eq!(durable(&harness), before, "same keys, same genesis, same token");
    let policy = harness.cluster.get("networkpolicies", "notary-validator").unwrap();
    assert_eq!(policy["spec"]["ingress"].as_array().unwrap().len(), 2);
    harness.cluster.delete("secrets", "notary-config");
    ready(&harness).await;
    let config = harness.cluster.get("secrets", "notary-config").unwrap();
    assert!(
        config["data"].get("notary-validator-3.joined").is_some(),
        "who has voted is known from the keys"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_never_made_anew_while_a_node_has_it() {
    let harness = ClusterHarness::new().await;
    ready(&harness).await;
    let before = durable(&harness);
    use base64::Engine as _;
    let other = "n".repeat(64);
    harness.cluster.edit("secrets", "notary-client", |secret| {
        secret["data"]["token"] = json!(base64::engine::general_purpose::STANDARD.encode(&other))
    });
    ready(&harness).await;
    assert_eq!(durable(&harness), before, "edited");
    for lost in [
        ["notary-client", "notary-config"],
        ["notary-token", "notary-config"],
        ["notary-token", "notary-client"],
    ] {
        for name in lost {
            harness.cluster.delete("secrets", name);
        }
        ready(&harness).await;
        assert_eq!(durable(&harness), before, "{lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_secret_of_the_tokens_name_is_no_token() {
    let harness = ClusterHarness::new().await;
    ready(&harness).await;
    harness
        .cluster
        .edit("secrets", "notary-token", |secret| secret["type"] = json!("Opaque"));
    let error = harness.backend.apply(&harness.plan().await).await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("somebody else's") && said.contains("another name"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_keys_of_a_sealed_genesis_are_never_made_anew() {
    let harness = ClusterHarness::new().await;
    ready(&harness).await;
    let lost = harness.cluster.get("secrets", "notary-validator-2-keys").unwrap();
    harness.cluster.delete("secrets", "notary-validator-2-keys");
    for _ in 0..3 {
        let error = harness.backend.allocate(&harness.validated()).await.unwrap_err();
        assert!(
            matches!(&error, BackendError::KeysLost { validator, .. } if validator == "validator-2"),
            "{error}"
        );
        assert!(
            error.to_string().contains("Secret demo/notary-validator-2-keys"),
            "{error}"
        );
    }
    assert_eq!(harness.cluster.get("secrets", "notary-validator-2-keys"), None);
    assert_eq!(harness.cluster.names("pods").len(), 4, "and nothing is stopped");
    drop(lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_votes_has_joined_before_anyone_is_told() {
    let harness = ClusterHarness::new().await;
    harness.cluster.hold("validator-3", true);
    let plan = harness.plan().await;
    harness.backend.apply(&plan).await.unwrap();
    let seen = harness.backend.apply(&plan).await.unwrap();
    let config = harness.cluster.get("secrets", "notary-config").unwrap();
    for node in &seen.nodes {
        let keys = harness
            .cluster
            .get("secrets", &format!("notary-{}-keys", node.name))
            .unwrap();
        let marked = keys["metadata"]["annotations"].get("muniment.dev/joined").is_some();
        let told = config["data"].get(format!("notary-{}.joined", node.name)).is_some();
        assert_eq!((marked, told), (node.votes(), node.votes()), "{}", node.name);
    }
    assert!(!seen.nodes[3].votes());
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_grow_and_validators_stay() {
    let mut harness = ClusterHarness::new().await;
    ready(&harness).await;
    let uid = |name: &str| harness.cluster.get("pods", name).unwrap()["metadata"]["uid"].clone();
    let before = uid("notary-validator-0");
    harness.wish().spec.storage.size = "5Gi".into();
    ready(&harness).await;
    for index in 0..4 {
        let claim = harness
            .cluster
            .get("persistentvolumeclaims", &format!("data-notary-validator-{index}"))
            .unwrap();
        assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "5Gi");
    }
    assert_eq!(
        harness.cluster.get("pods", "notary-validator-0").unwrap()["metadata"]["uid"],
        before
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hibernated_network_wakes_as_it_was() {
    let mut harness = ClusterHarness::new().await;
    ready(&harness).await;
    let before = durable(&harness);
    harness.wish().spec.desired_state = DesiredState::Hibernated;
    let plan = harness.plan().await;
    harness.backend.apply(&plan).await.unwrap();
    let asleep = harness.backend.apply(&plan).await.unwrap();
    assert!(asleep.nodes.iter().all(|n| n.state == NodeState::Stopped), "{asleep:?}");
    assert!(harness.cluster.names("pods").is_empty());
    assert_eq!(harness.cluster.names("persistentvolumeclaims").len(), 4);
    harness.wish().spec.desired_state = DesiredState::Running;
    ready(&harness).await;
    assert_eq!(durable(&harness), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_network_is_kept_unless_told_otherwise_and_goes_on() {
    let harness = ClusterHarness::new().await;
    let id = ready(&harness).await.id;
    let before = durable(&harness);
    removed(harness.backend(), DeletionPolicy::Retain).await;
    assert!(harness.cluster.names("statefulsets").is_empty() && harness.cluster.names("services").is_empty());
    assert_eq!(harness.cluster.names("persistentvolumeclaims").len(), 4);
    let tombstone = harness.cluster.get("configmaps", "notary-tombstone").unwrap();
    assert_eq!(tombstone["data"]["networkId"].as_str(), id.as_deref());
    let harness = harness.restart().await;
    assert_eq!(ready(&harness).await.id, id);
    assert_eq!(durable(&harness), before);
    assert_eq!(
        harness.cluster.get("configmaps", "notary-tombstone"),
        None,
        "it lives again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_at_once_seal_one_genesis() {
    let harness = ClusterHarness::new().await;
    let other = operator(&harness.cluster).await;
    let wanted = harness.validated();
    let make = async |backend: &muniment_operator::ClusterBackend| {
        let facts = backend.allocate(&wanted).await.unwrap();
        let plan = muniment_operator::plan(&wanted, &facts).unwrap();
        backend.apply(&plan).await.map(|seen| seen.id)
    };
    let (one, two) = tokio::join!(make(&harness.backend), make(&other));
    assert_eq!(one.unwrap(), two.unwrap());
}

fn certificates(harness: &ClusterHarness) -> serde_json::Value {
    harness.cluster.get("secrets", "notary-tls").unwrap()["data"].clone()
}

fn uids(harness: &ClusterHarness) -> Vec<serde_json::Value> {
    let uid = |i| harness.cluster.get("pods", &format!("notary-validator-{i}")).unwrap()["metadata"]["uid"].clone();
    (0..4).map(uid).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_party_gets_a_certificate_and_the_outlook_is_told() {
    let harness = ClusterHarness::new().await;
    let seen = ready(&harness).await;
    let files = certificates(&harness);
    let names: Vec<&String> = files.as_object().unwrap().keys().collect();
    let parties = [
        "client",
        "operator",
        "validator-0",
        "validator-1",
        "validator-2",
        "validator-3",
    ];
    let mut wanted: Vec<String> = parties
        .iter()
        .flat_map(|one| [format!("{one}.crt"), format!("{one}.key")])
        .collect();
    wanted.insert(0, "ca.crt".into());
    assert_eq!(names, wanted.iter().collect::<Vec<_>>());
    let client = harness.cluster.get("secrets", "notary-client").unwrap()["data"].clone();
    assert_eq!(
        (&client["ca.crt"], &client["tls.crt"], &client["tls.key"]),
        (&files["ca.crt"], &files["client.crt"], &files["client.key"])
    );
    let outlook = seen.certificates.unwrap();
    assert!(!outlook.next.is_due(muniment_crds::jiff::Timestamp::now()));
    assert!(outlook.authority.until > outlook.next.until);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_secrets_that_were_deleted_or_edited_heal_and_keys_of_consensus_stay() {
    let harness = ClusterHarness::new().await;
    ready(&harness).await;
    let (before, first, pods) = (durable(&harness), certificates(&harness), uids(&harness));
    harness.cluster.edit("secrets", "notary-tls", |secret| {
        secret["data"]["validator-1.crt"] = json!("ZWRpdGVk");
        secret["data"].as_object_mut().unwrap().remove("client.crt");
    });
    ready(&harness).await;
    let healed = certificates(&harness);
    assert_eq!(healed["validator-1.key"], first["validator-1.key"]);
    assert_ne!(healed["validator-1.crt"], first["validator-1.crt"]);
    assert_eq!(healed["validator-2.crt"], first["validator-2.crt"]);
    assert_eq!(uids(&harness), pods, "public files change under running nodes");

    harness.cluster.delete("secrets", "notary-ca");
    ready(&harness).await;
    assert_eq!(
        certificates(&harness)["validator-2.crt"],
        first["validator-2.crt"],
        "still trusted"
    );
    assert_ne!(
        certificates(&harness)["ca.crt"],
        first["ca.crt"],
        "and so is another authority"
    );
    assert_eq!(uids(&harness), pods);

    harness.cluster.delete("secrets", "notary-tls");
    ready(&harness).await;
    assert_ne!(certificates(&harness)["validator-2.key"], first["validator-2.key"]);
    assert!(
        uids(&harness).iter().zip(&pods).all(|(now, then)| now != then),
        "another key needs another process"
    );
    assert_eq!(durable(&harness), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_is_written_once_and_restarts_nobody() {
    let harness = ClusterHarness::new().await;
    let first = ready(&harness).await.certificates.unwrap();
    let (files, pods) = (certificates(&harness), uids(&harness));
    // Nodes judge by the real clock, so the renewed certificates are not good for them yet; their Secrets are looked at.
    let later = muniment_operator::ClusterBackend::with_clock(
        harness.cluster.client().await,
        harness::cluster_settings(),
        || muniment_crds::jiff::Timestamp::now() + muniment_crds::jiff::SignedDuration::from_hours(61 * 24),
    )
    .unwrap();
    let writes = harness.cluster.writes().len();
    let plan = harness.plan().await;
    let seen = later.apply(&plan).await.unwrap();
    assert_eq!(
        harness.cluster.writes()[writes..],
        ["PATCH secrets/notary-tls", "PATCH secrets/notary-client"]
    );
    let renewed = certificates(&harness);
    assert_eq!(
        (&renewed["validator-0.key"], &renewed["ca.crt"]),
        (&files["validator-0.key"], &files["ca.crt"])
    );
    assert_ne!(renewed["validator-0.crt"], files["validator-0.crt"]);
    assert!(seen.certificates.unwrap().next.until > first.next.until);
    later.apply(&plan).await.unwrap();
    assert_eq!(harness.cluster.writes().len(), writes + 2, "once");
    assert_eq!(uids(&harness), pods);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_renewed_without_a_plan_and_for_the_same_keys() {
    let harness = ClusterHarness::new().await;
    assert_eq!(
        harness.backend.renew(&network()).await.unwrap(),
        None,
        "nothing is sealed"
    );
    let first = ready(&harness).await.certificates.unwrap();
    let (files, pods, durable) = (certificates(&harness), uids(&harness), durable(&harness));
    let later = muniment_operator::ClusterBackend::with_clock(
        harness.cluster.client().await,
        harness::cluster_settings(),
        || muniment_crds::jiff::Timestamp::now() + muniment_crds::jiff::SignedDuration::from_hours(61 * 24),
    )
    .unwrap();
    let writes = harness.cluster.writes().len();
    let outlook = later.renew(&network()).await.unwrap().unwrap();
    assert!(outlook.next.until > first.next.until);
    assert_eq!(
        harness.cluster.writes()[writes..],
        ["PATCH secrets/notary-tls", "PATCH secrets/notary-client"]
    );
    let renewed = certificates(&harness);
    for party in ["validator-0", "validator-3", "client", "operator"] {
        assert_eq!(renewed[format!("{party}.key")], files[format!("{party}.key")]);
        assert_ne!(renewed[format!("{party}.crt")], files[format!("{party}.crt")]);
    }
    let client = harness.cluster.get("secrets", "notary-client").unwrap()["data"].clone();
    assert_eq!(client["tls.crt"], renewed["client.crt"]);
    assert_eq!(later.renew(&network()).await.unwrap(), Some(outlook));
    assert_eq!(harness.cluster.writes().len(), writes + 2, "once");
    // What has lost its key is left to a whole pass, and holds up nobody else.
    harness.cluster.edit("secrets", "notary-tls", |secret| {
        secret["data"]["validator-1.key"] = json!("ZWRpdGVk")
    });
    later.renew(&network()).await.unwrap();
    assert_eq!(certificates(&harness)["validator-1.key"], "ZWRpdGVk");
    assert_eq!((uids(&harness), self::durable(&harness)), (pods, durable));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_from_before_gets_its_certificates_one_validator_at_a_time() {
    let harness = ClusterHarness::new().await;
    ready(&harness).await;
    let before = durable(&harness);
    harness.cluster.age();
    let plan = harness.plan().await;
    assert!(
        plan.network
            .nodes
            .iter()
            .all(|node| node.api_url.starts_with("http://")),
        "spoken to as before"
    );
    let pods = uids(&harness);
    until("all validators speak TLS and nothing else", || async {
        let plan = harness.plan().await;
        let seen = harness.backend.apply(&plan).await.unwrap();
        let voting = seen.nodes.iter().filter(|n| n.votes()).count();
        assert!(voting >= 3, "the quorum was broken: {seen:?}");
        let fresh = seen
            .nodes
            .iter()
            .all(|n| n.revision.as_ref() == Some(&plan.revision) && n.ready());
        (fresh && plan.network.nodes[0].api_url.starts_with("https://")).then_some(())
    })
    .await;
    assert!(uids(&harness).iter().zip(&pods).all(|(now, then)| now != then));
    assert_eq!(durable(&harness), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_of_the_tenant_with_our_labels_neither_counts_nor_ends_tls() {
    let harness = ClusterHarness::new().await;
    ready(&harness).await;
    let before = harness.plan().await;
    let mut stranger = harness.cluster.get("pods", "notary-validator-0").unwrap();
    stranger["metadata"]["ownerReferences"] = json!(null);
    stranger["metadata"]["name"] = json!("stranger");
    stranger["spec"]["containers"][0]["ports"] = json!([{ "name": "api", "containerPort": 8410 }]);
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> =
        kube::Api::namespaced(harness.cluster.client().await, "demo");
    let stranger = serde_json::from_value(stranger).unwrap();
    pods.create(&Default::default(), &stranger).await.unwrap();
    assert_eq!(harness.plan().await, before, "spoken to over TLS as before");
    removed(harness.backend(), DeletionPolicy::Retain).await;
    assert_eq!(
        harness.cluster.names("pods"),
        ["stranger"],
        "and nobody waits for it, or takes it away"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn validators_that_do_their_part_and_dont_answer_are_left_alone() {
    let mut harness = ClusterHarness::new().await;
    ready(&harness).await;
    let pods = uids(&harness);
    let all = [
        "notary-validator-0",
        "notary-validator-1",
        "notary-validator-2",
        "notary-validator-3",
    ];
    harness.cluster.silence(&all);
    harness.block_actions(2000);
    let plan = harness.plan().await;
    for _ in 0..5 {
        let seen = harness.backend.apply(&plan).await.unwrap();
        assert!(seen.nodes.iter().all(|n| n.state == NodeState::Unreachable), "{seen:?}");
    }
    assert_eq!(uids(&harness), pods);
    harness.cluster.silence(&[]);
    ready(&harness).await;
}

/// Files of the network's seat in a host.
fn seat(harness: &SharedHarness, host: usize) -> BTreeMap<String, Vec<u8>> {
    let mut files = harness.0.cluster.seats(host);
    files.retain(|name, _| name.starts_with("demo.notary."));
    files
}

async fn shared_ready(harness: &SharedHarness) -> Observation {
    until("all validators are ready", || async {
        let plan = harness.plan().await;
        let seen = harness.backend().apply(&plan).await.unwrap();
        let fresh = seen.nodes.iter().all(|n| n.revision.as_ref() == Some(&plan.revision));
        (fresh && seen.nodes.iter().all(|n| n.ready())).then_some(seen)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_network_is_seats_in_hosts_and_nothing_that_runs_in_its_namespace() {
    let harness = SharedHarness::new().await;
    shared_ready(&harness).await;
    shared_ready(&harness).await;
    for host in 0..4 {
        let files = seat(&harness, host);
        let replica: serde_json::Value = serde_json::from_slice(&files["demo.notary.replica.json"]).unwrap();
        assert_eq!(replica["name"], format!("validator-{host}"));
        assert_eq!(replica["peers"].as_array().unwrap().len(), 3);
        assert!(files.contains_key("demo.notary.joined"), "who votes has joined");
        let keys = harness
            .0
            .cluster
            .get("secrets", &format!("notary-validator-{host}-keys"))
            .unwrap();
        use base64::Engine;
        let kept = base64::engine::general_purpose::STANDARD.encode(&files["demo.notary.keys.json"]);
        assert_eq!(
            keys["data"]["keys.json"], kept,
            "each host has the keys of its own validator"
        );
    }
    let own = |plural: &str| harness.0.cluster.get(plural, "notary-validator");
    for plural in [
        "statefulsets",
        "networkpolicies",
        "poddisruptionbudgets",
        "serviceaccounts",
    ] {
        assert_eq!(own(plural), None, "{plural}");
    }
    let ports = harness.0.cluster.own("configmaps", "muniment-host-ports").unwrap();
    assert_eq!(ports["data"]["demo.notary"], "20000");
    let before = harness.0.cluster.writes();
    for _ in 0..3 {
        shared_ready(&harness).await;
    }
    assert_eq!(
        harness.0.cluster.writes(),
        before,
        "nothing is written when nothing differs"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_after_each_of_its_writes_seats_the_same_network() {
    let whole = SharedHarness::new().await;
    shared_ready(&whole).await;
    let writes = whole.0.cluster.writes().len();
    assert!(writes > 10, "{writes}");
    for killed_after in 0..writes {
        let harness = SharedHarness::new().await;
        harness.0.cluster.down_after(Some(killed_after));
        if let Ok(facts) = harness.backend().allocate(&harness.validated()).await {
            let plan = muniment_operator::plan(&harness.validated(), &facts).unwrap();
            for _ in 0..3 {
                let _ = harness.backend().apply(&plan).await;
            }
        }
        let keys = keys(&harness.0);
        harness.0.cluster.down_after(None);
        let harness = harness.restart().await;
        shared_ready(&harness).await;
        let now = self::keys(&harness.0);
        assert!(
            keys.iter().all(|(name, key)| now[name] == *key),
            "killed after {killed_after}"
        );
        for host in 0..4 {
            let names = |harness: &SharedHarness| seat(harness, host).into_keys().collect::<Vec<_>>();
            assert_eq!(names(&harness), names(&whole), "killed after {killed_after}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_by_hand_in_a_host_is_put_back_behind_the_gate() {
    let harness = SharedHarness::new().await;
    shared_ready(&harness).await;
    shared_ready(&harness).await;
    let before: Vec<_> = (0..4).map(|host| seat(&harness, host)).collect();
    // One seat has gone, another has other settings, and clients have lost their Secret.
    harness
        .0
        .cluster
        .edit_own("secrets", "muniment-host-0-seats-0", |secret| {
            secret["data"] = json!({})
        });
    harness
        .0
        .cluster
        .edit_own("secrets", "muniment-host-1-seats-0", |secret| {
            use base64::Engine;
            let settings = String::from_utf8(before[1]["demo.notary.replica.json"].clone()).unwrap();
            let other = settings.replace("10000", "2000");
            assert_ne!(other, settings);
            let other = base64::engine::general_purpose::STANDARD.encode(other);
            secret["data"]["demo.notary.replica.json"] = json!(other);
        });
    harness.0.cluster.delete("secrets", "notary-client");
    shared_ready(&harness).await;
    until("everything is put back", || async {
        shared_ready(&harness).await;
        (0..4).all(|host| seat(&harness, host) == before[host]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_a_hand_gave_to_clients_reaches_no_seat() {
    let harness = SharedHarness::new().await;
    shared_ready(&harness).await;
    let before = harness.0.cluster.get("secrets", "notary-client").unwrap()["data"]["token"].clone();
    for token_is_kept in [true, false] {
        if !token_is_kept {
            harness.0.cluster.delete("secrets", "notary-token");
        }
        harness.0.cluster.edit("secrets", "notary-client", |secret| {
            use base64::Engine;
            secret["data"]["token"] = json!(base64::engine::general_purpose::STANDARD.encode("0".repeat(64)))
        });
        shared_ready(&harness).await;
        let now = harness.0.cluster.get("secrets", "notary-client").unwrap()["data"]["token"].clone();
        assert_eq!(now, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_power_is_said_and_comes_back() {
    let harness = SharedHarness::new().await;
    shared_ready(&harness).await;
    harness.0.cluster.power(2, false);
    let seen = harness.backend().observe(&network()).await.unwrap().unwrap();
    assert_eq!(seen.nodes[2].state, NodeState::Stopped);
    assert!(seen.nodes[2].last_exit.as_deref().unwrap().contains("host"), "{seen:?}");
    assert_eq!(seen.nodes.iter().filter(|n| n.votes()).count(), 3);
    harness.0.cluster.power(2, true);
    shared_ready(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_network_that_sleeps_or_is_deleted_leaves_its_seats() {
    let mut harness = SharedHarness::new().await;
    shared_ready(&harness).await;
    let before = durable(&harness.0);
    harness.wish().spec.desired_state = DesiredState::Hibernated;
    let asleep = until("all validators are stopped", || async {
        let plan = harness.plan().await;
        let seen = harness.backend().apply(&plan).await.unwrap();
        seen.nodes.iter().all(|n| n.state == NodeState::Stopped).then_some(seen)
    })
    .await;
    assert!(asleep.nodes.iter().all(|n| n.last_exit.is_none()));
    assert!((0..4).all(|host| seat(&harness, host).is_empty()));
    harness.wish().spec.desired_state = DesiredState::Running;
    shared_ready(&harness).await;
    assert_eq!(durable(&harness.0), before);
    for data in [DeletionPolicy::Retain, DeletionPolicy::Delete] {
        removed(harness.backend(), data).await;
        for host in 0..4 {
            let left: Vec<String> = harness.0.cluster.seats(host).into_keys().collect();
            assert!(left.is_empty(), "no seat, and no order that was followed: {left:?}");
        }
        let ports = harness.0.cluster.own("configmaps", "muniment-host-ports").unwrap();
        assert!(ports["data"].get("demo.notary").is_none(), "the port is free again");
        assert_eq!(keys(&harness.0).is_empty(), data == DeletionPolicy::Delete);
        if data == DeletionPolicy::Retain {
            shared_ready(&harness).await;
            assert_eq!(
                durable(&harness.0)[..5],
                before[..5],
                "it goes on with its keys and its genesis"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_hosts_a_shared_network_is_told_what_to_do() {
    let harness = SharedHarness::new().await;
    let settings = harness::cluster_settings();
    let backend = muniment_operator::ClusterBackend::new(harness.0.cluster.client().await, settings).unwrap();
    let error = backend.allocate(&harness.validated()).await.unwrap_err();
    assert!(matches!(error, BackendError::NoHosts { .. }));
    assert!(error.to_string().contains("hosts.enabled=true"), "{error}");
    let local = harness::LocalHarness::new().await;
    let error = local.backend().allocate(&harness.validated()).await.unwrap_err();
    assert!(matches!(error, BackendError::NoHosts { .. }));
    local.stop().await;
}

async fn taken_out(harness: &SharedHarness, data: DeletionPolicy) {
    until("the network is taken out", || async {
        let removal = harness
            .backend()
            .evict(&network(), Placement::Shared, data)
            .await
            .unwrap();
        (removal == Removal::Done).then_some(())
    })
    .await;
    for host in 0..4 {
        let files = seat(harness, host);
        assert!(files.keys().all(|name| name.ends_with(".erase")), "{:?}", files.keys());
    }
    let ports = harness.0.cluster.own("configmaps", "muniment-host-ports").unwrap();
    assert!(ports["data"].get("demo.notary").is_none(), "the port is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_of_a_network_whose_namespace_is_gone_are_found_and_taken_away() {
    for data in [DeletionPolicy::Retain, DeletionPolicy::Delete] {
        let harness = SharedHarness::new().await;
        shared_ready(&harness).await;
        let objects: Vec<_> = ["secrets", "configmaps"]
            .into_iter()
            .flat_map(|plural| {
                harness
                    .0
                    .cluster
                    .names(plural)
                    .into_iter()
                    .map(move |name| (plural, name))
            })
            .filter(|(_, name)| name.starts_with("notary"))
            .collect();
        for (plural, name) in objects {
            harness.0.cluster.delete(plural, &name);
        }
        assert_eq!(
            harness
                .backend()
                .seated()
                .await
                .unwrap()
                .into_iter()
                .collect::<Vec<_>>(),
            [network()]
        );
        taken_out(&harness, data).await;
        let orders = |host| harness.0.cluster.seats(host).into_keys().collect::<Vec<_>>();
        for host in 0..4 {
            let erased = orders(host)
                .iter()
                .any(|name| name.starts_with("demo.notary.") && name.ends_with(".erase"));
            assert_eq!(erased, data == DeletionPolicy::Delete, "host {host}");
        }
        until("orders that were followed are taken back", || async {
            harness.backend().tidy_hosts().await.unwrap();
            (0..4).all(|host| orders(host).is_empty()).then_some(())
        })
        .await;
        assert!(harness.backend().seated().await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_whose_genesis_is_gone_still_leaves_the_hosts() {
    let harness = SharedHarness::new().await;
    shared_ready(&harness).await;
    harness.0.cluster.delete("configmaps", "notary-genesis");
    removed(harness.backend(), DeletionPolicy::Delete).await;
    taken_out(&harness, DeletionPolicy::Delete).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_map_of_ports_is_found_again_in_the_seats() {
    let harness = SharedHarness::new().await;
    shared_ready(&harness).await;
    shared_ready(&harness).await;
    let before: Vec<_> = (0..4).map(|host| seat(&harness, host)).collect();
    let ports = || harness.0.cluster.own("configmaps", "muniment-host-ports").unwrap()["data"].clone();
    harness
        .0
        .cluster
        .edit_own("configmaps", "muniment-host-ports", |map| map["data"] = json!({}));
    let mut other = harness.validated();
    other.network.name = muniment_crds::NetworkName::new("another").unwrap();
    harness.backend().allocate(&other).await.unwrap();
    assert_eq!(ports()["demo.another"], "20001", "nobody is given another's");
    assert!(harness.backend().observe(&network()).await.unwrap().unwrap().nodes[0].ready());
    shared_ready(&harness).await;
    assert_eq!(ports()["demo.notary"], "20000");
    assert!(
        (0..4).all(|host| seat(&harness, host) == before[host]),
        "and nobody is restarted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_in_hosts_that_are_switched_off_is_neither_changed_nor_let_go() {
    let harness = SharedHarness::new().await;
    shared_ready(&harness).await;
    let before: Vec<_> = (0..4).map(|host| seat(&harness, host)).collect();
    let (writes, settings) = (harness.0.cluster.writes(), harness::cluster_settings());
    let without = muniment_operator::ClusterBackend::new(harness.0.cluster.client().await, settings).unwrap();
    let errors = [
        without.allocate(&harness.validated()).await.unwrap_err(),
        without.observe(&network()).await.unwrap_err(),
        without.remove(&network(), DeletionPolicy::Delete).await.unwrap_err(),
        // Its namespace may be gone, its seats aren't.
        without
            .evict(&network(), Placement::Shared, DeletionPolicy::Delete)
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, BackendError::HostsOff { .. }), "{error}");
        assert!(error.to_string().contains("hosts.enabled=true again"), "{error}");
    }
    assert_eq!(harness.0.cluster.writes(), writes);
    assert!((0..4).all(|host| seat(&harness, host) == before[host]));
    shared_ready(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_network_comes_back_only_with_the_placement_it_had() {
    let mut harness = SharedHarness::new().await;
    let id = shared_ready(&harness).await.id;
    removed(harness.backend(), DeletionPolicy::Retain).await;
    harness.wish().spec.placement = muniment_crds::Placement::Dedicated;
    let writes = harness.0.cluster.writes();
    let error = harness.backend().allocate(&harness.validated()).await.unwrap_err();
    assert!(
        matches!(&error, BackendError::OtherPlacement { sealed, .. } if *sealed == muniment_crds::Placement::Shared)
    );
    assert!(error.to_string().contains("set spec.placement to Shared"), "{error}");
    assert!(!error.retry(), "only another description helps");
    assert_eq!(harness.0.cluster.writes(), writes);
    harness.wish().spec.placement = muniment_crds::Placement::Shared;
    assert_eq!(shared_ready(&harness).await.id, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_from_before_its_placement_was_recorded_gets_it() {
    let harness = ClusterHarness::new().await;
    ready(&harness).await;
    harness.cluster.edit("configmaps", "notary-genesis", |map| {
        map["metadata"]["annotations"] = json!({})
    });
    ready(&harness).await;
    let map = harness.cluster.get("configmaps", "notary-genesis").unwrap();
    assert_eq!(map["metadata"]["annotations"]["muniment.dev/placement"], "Dedicated");
}

/// A host's pod as the API server has it.
fn host(harness: &SharedHarness, number: usize) -> k8s_openapi::api::core::v1::Pod {
    let pod = harness
        .0
        .cluster
        .own("pods", &format!("muniment-host-{number}-0"))
        .unwrap();
    serde_json::from_value(pod).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_and_a_seat_of_another_host_are_never_restarted_together() {
    let mut harness = SharedHarness::new().await;
    shared_ready(&harness).await;
    shared_ready(&harness).await;
    // The network's own settings change: one seat is written, and its host hasn't taken them over.
    harness.0.cluster.stop_kubelets(true);
    harness.block_actions(2000);
    let plan = harness.plan().await;
    harness.backend().apply(&plan).await.unwrap();
    assert_eq!(with_limit(&harness, 2000), [true, false, false, false]);
    let held = HostRestart::Held(
        "muniment-host-0-0: 1 of 1 seats in muniment-host-0-seats-0 aren't taken over, demo.notary for one".into(),
    );
    assert_eq!(restart(&harness, 1).await, held, "validator-0 is out");
    assert_eq!(
        restart(&harness, 0).await,
        HostRestart::Done,
        "its own host may go: it is the same validator"
    );
    harness.0.cluster.stop_kubelets(false);
    shared_ready(&harness).await;
    // A host that was made anew since it was looked at is another one: no seat elsewhere goes.
    harness.block_actions(3000);
    let plan = harness.plan().await;
    harness.0.cluster.make_anew_after_a_look(3);
    harness.backend().apply(&plan).await.unwrap();
    assert_eq!(with_limit(&harness, 3000), [false; 4]);
    harness.backend().apply(&plan).await.unwrap();
    assert_eq!(with_limit(&harness, 3000), [true, false, false, false]);
    shared_ready(&harness).await;
    harness.0.cluster.hold("validator-2", true);
    assert!(
        matches!(restart(&harness, 1).await, HostRestart::Held(why) if why.starts_with("muniment-host-2-0")),
        "validator-2 doesn't take part"
    );
    harness.0.cluster.hold("validator-2", false);
    assert_eq!(restart(&harness, 1).await, HostRestart::Done);
}

async fn restart(harness: &SharedHarness, number: usize) -> HostRestart {
    harness.backend().restart_host(&host(harness, number)).await.unwrap()
}

/// Which hosts have this limit in the network's seat.
fn with_limit(harness: &SharedHarness, block_actions: u64) -> Vec<bool> {
    let has = |number: usize| {
        let files = seat(harness, number);
        let replica: serde_json::Value = serde_json::from_slice(&files["demo.notary.replica.json"]).unwrap();
        replica["limits"]["blockActions"] == block_actions
    };
    (0..4).map(has).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_host_that_is_missing_stops_nobody_elses_removal_or_restart() {
    let harness = SharedHarness::new().await;
    shared_ready(&harness).await;
    // The network sits in part 0.
    harness.0.cluster.delete_own("secrets", "muniment-host-1-seats-3");
    assert_eq!(restart(&harness, 2).await, HostRestart::Done);
    harness.backend().tidy_hosts().await.unwrap();
    shared_ready(&harness).await;
    removed(harness.backend(), DeletionPolicy::Delete).await;
    assert!((0..4).all(|host| seat(&harness, host).is_empty()));
    taken_out(&harness, DeletionPolicy::Delete).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn validators_that_lost_their_set_end_before_what_protects_them_goes() {
    let harness = ClusterHarness::new().await;
    ready(&harness).await;
    harness.cluster.abandon_pods();
    assert_eq!(harness.cluster.names("pods").len(), 4, "they run on");
    let removal = harness.backend.remove(&network(), DeletionPolicy::Delete).await;
    assert_eq!(removal.unwrap(), Removal::Pending);
    assert!(harness.cluster.names("pods").is_empty());
    assert!(harness.cluster.get("networkpolicies", "notary-validator").is_some());
    assert_eq!(keys(&harness).len(), 4);
    removed(&harness.backend, DeletionPolicy::Delete).await;
    assert!(keys(&harness).is_empty());
}
