//! From the YAML of a network to its objects, through the real validation and planning.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::OnceLock;

use muniment_crds::jiff::Timestamp;
use muniment_crds::{LedgerNetwork, Placement};
use muniment_receipts::genesis::{GenesisTemplate, Member};
use serde_json::Value;

use super::*;
use crate::backend::cluster::ClusterSettings;
use crate::backend::cluster::certificates::{Keeper, parties};
use crate::backend::cluster::names::{TEMPLATE, host};
use crate::catalog::Catalog;
use crate::keys;
use crate::plan::{Facts, Plan, Seat, plan};
use crate::validate::validate;

fn settings() -> ClusterSettings {
    ClusterSettings {
        namespace: "muniment".into(),
        image: "muniment:test".into(),
        image_pull_policy: "Never".into(),
        priority_class: None,
        service_account: "muniment-operator".into(),
        api_service_account: "muniment-api".into(),
        hosts: None,
        tenant_role: "muniment-operator-tenant".into(),
    }
}

/// The same keys in every plan of a test: what differs is then the wish.
fn facts() -> Facts {
    let seed = |index: u8, duty: u8| hex::encode([index * 4 + duty; 32]);
    let seat = |index: u8| {
        let name = format!("validator-{index}");
        let keys = muniment_ledger::config::ReplicaKeys {
            consensus: seed(index, 1),
            notary: seed(index, 2),
            cose: seed(index, 3),
            transport: seed(index, 4),
        };
        let network = crate::network::NetworkRef {
            tenant: muniment_crds::TenantName::new("acme").unwrap(),
            name: muniment_crds::NetworkName::new("contracts").unwrap(),
        };
        let host = host(&network, &name);
        Seat {
            keys: keys::public(&name, &keys).unwrap(),
            api: SocketAddr::from(([0, 0, 0, 0], 8410)),
            consensus: SocketAddr::from(([0, 0, 0, 0], 8420)),
            api_url: format!("https://{host}:8411"),
            consensus_host: format!("{host}:8420"),
        }
    };
    Facts {
        created_at: 1_700_000_000_000,
        seats: (0..4).map(seat).collect(),
        sealed: None,
        roster: None,
    }
}

fn planned(spec: &str) -> Plan {
    let text = format!(
        "apiVersion: muniment.dev/v1alpha1\nkind: LedgerNetwork\nmetadata: {{ name: contracts, namespace: acme }}\n\
         spec: {{ templates: [{{ name: notarization }}], {spec} }}"
    );
    let resource: LedgerNetwork = serde_yaml::from_str(&text).unwrap();
    let catalog = Catalog::new(vec![GenesisTemplate {
        name: "notarization".into(),
        revision: 1,
        source: muniment_ledger::templates::NOTARIZATION.to_owned(),
    }]);
    let member = Member {
        name: "acme".into(),
        key: "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into(),
    };
    plan(&validate(&resource, &[member], &catalog).unwrap(), &facts()).unwrap()
}

fn issued(kept: &Certificates, plan: &Plan, hours: i64) -> Certificates {
    let now = Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap();
    let keeper = Keeper::of(&plan.network.network);
    crate::certificates::next(kept, &keeper.owner, &parties(&plan.network), now).unwrap()
}

/// The same for all: keys are random.
fn certificates() -> &'static Certificates {
    static MADE: OnceLock<Certificates> = OnceLock::new();
    MADE.get_or_init(|| issued(&Certificates::default(), &planned(""), 0))
}

fn built(plan: &Plan, settings: &ClusterSettings, joined: &[&str]) -> Objects {
    built_with(plan, settings, joined, certificates())
}

fn built_with(plan: &Plan, settings: &ClusterSettings, joined: &[&str], certificates: &Certificates) -> Objects {
    let joined: BTreeSet<String> = joined.iter().map(|name| (*name).to_owned()).collect();
    objects(&Inputs {
        plan,
        settings,
        token: &"ab".repeat(32),
        certificates,
        joined: &joined,
        claims: None,
    })
    .unwrap()
}

fn value(object: &impl serde::Serialize) -> Value {
    serde_json::to_value(object).unwrap()
}

#[test]
fn a_pod_has_no_rights_and_writes_only_to_its_volume() {
    let objects = built(&planned(""), &settings(), &[]);
    let set = value(&objects.stateful_set);
    let pod = &set["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["capabilities"]["drop"][0], "ALL");
    for mount in container["volumeMounts"].as_array().unwrap() {
        assert!(mount["name"] == "data" || mount["readOnly"] == true, "{mount}");
    }
    assert_eq!(value(&objects.account)["automountServiceAccountToken"], false);
}

#[test]
fn a_container_sees_the_keys_of_its_own_validator_only() {
    let set = value(&built(&planned(""), &settings(), &[]).stateful_set);
    let pod = &set["spec"]["template"]["spec"];
    let mount = pod["containers"][0]["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["name"] == "settings")
        .unwrap();
    assert_eq!(mount["subPathExpr"], "$(POD_NAME)");
    let sources = pod["volumes"][0]["projected"]["sources"].as_array().unwrap();
    let keys: Vec<&Value> = sources
        .iter()
        .filter(|s| s["secret"]["name"].as_str().is_some_and(|n| n.ends_with("-keys")))
        .collect();
    assert_eq!(keys.len(), 4);
    for (index, source) in keys.iter().enumerate() {
        assert_eq!(source["secret"]["name"], format!("contracts-validator-{index}-keys"));
        assert_eq!(
            source["secret"]["items"][0]["path"],
            format!("contracts-validator-{index}/keys.json")
        );
    }
}

#[test]
fn certificates_change_under_a_running_node_and_private_keys_are_its_own() {
    let set = value(&built(&planned(""), &settings(), &[]).stateful_set);
    let pod = &set["spec"]["template"]["spec"];
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let mount = mounts.iter().find(|mount| mount["name"] == "certificates").unwrap();
    assert!(
        mount.get("subPath").is_none() && mount.get("subPathExpr").is_none(),
        "{mount}"
    );
    let shared = &pod["volumes"][1]["secret"];
    assert_eq!(shared["secretName"], "contracts-tls");
    let files: Vec<_> = shared["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["key"].as_str().unwrap())
        .collect();
    assert_eq!(files.len(), 5);
    assert!(files.iter().all(|file| file.ends_with(".crt")), "{files:?}");
    let sources = pod["volumes"][0]["projected"]["sources"].as_array().unwrap();
    let keys = sources
        .iter()
        .filter(|source| source["secret"]["name"] == "contracts-tls");
    for (index, source) in keys.enumerate() {
        let item = &source["secret"]["items"][0];
        assert_eq!(item["key"], format!("validator-{index}.key"));
        assert_eq!(item["path"], format!("contracts-validator-{index}/tls.key"));
    }
    assert!(
        !set.to_string().contains("contracts-ca"),
        "the authority is mounted nowhere"
    );
}

#[test]
fn a_renewal_restarts_nobody_and_another_key_does() {
    let plan = planned("");
    let template = |certificates: &Certificates| built_with(&plan, &settings(), &[], certificates).template;
    let first = certificates();
    let renewed = issued(first, &plan, 61 * 24);
    assert_ne!(renewed, *first);
    assert_eq!(template(&renewed), template(first));
    let mut lost = renewed.clone();
    lost.parties.clear();
    let healed = issued(&lost, &plan, 62 * 24);
    assert_ne!(template(&healed), template(first));
}

#[test]
fn pods_are_replaced_by_us_alone_and_volumes_stay() {
    let set = value(&built(&planned("storage: { size: 10Gi, className: fast }"), &settings(), &[]).stateful_set);
    let spec = &set["spec"];
    assert_eq!(
        (&spec["updateStrategy"]["type"], &spec["podManagementPolicy"]),
        (&"OnDelete".into(), &"Parallel".into())
    );
    assert_eq!(spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"], "Retain");
    assert_eq!(spec["persistentVolumeClaimRetentionPolicy"]["whenScaled"], "Retain");
    let claim = &spec["volumeClaimTemplates"][0]["spec"];
    assert_eq!(
        (&claim["resources"]["requests"]["storage"], &claim["storageClassName"]),
        (&"10Gi".into(), &"fast".into())
    );
    assert_eq!(spec["replicas"], 4);
    let asleep = value(&built(&planned("desiredState: Hibernated"), &settings(), &[]).stateful_set);
    assert_eq!(asleep["spec"]["replicas"], 0);
}

#[test]
fn the_template_changes_with_what_a_restart_brings_and_with_nothing_else() {
    let first = built(&planned(""), &settings(), &[]);
    let template = |spec: &str| built(&planned(spec), &settings(), &[]).template;
    assert_eq!(first.template, template(""));
    for same in [
        "desiredState: Hibernated",
        "storage: { size: 20Gi }",
        "preventDeletion: true",
        "deletionPolicy: Delete",
    ] {
        assert_eq!(first.template, template(same), "{same}");
    }
    for other in ["size: Medium", "limits: { blockActions: 5000 }"] {
        assert_ne!(first.template, template(other), "{other}");
    }
    let image = ClusterSettings {
        image: "muniment:next".into(),
        ..settings()
    };
    assert_ne!(first.template, built(&planned(""), &image, &[]).template);
    // That a validator has voted is told to its next pod, and is no reason to make one.
    let joined = built(&planned(""), &settings(), &["validator-0"]);
    assert_eq!(first.template, joined.template);
    assert!(!first.config.data.unwrap().contains_key("contracts-validator-0.joined"));
    assert!(joined.config.data.unwrap().contains_key("contracts-validator-0.joined"));
    let set = value(&joined.stateful_set);
    assert_eq!(
        set["spec"]["template"]["metadata"]["annotations"][TEMPLATE],
        Value::String(joined.template)
    );
}

#[test]
fn only_validators_and_the_control_plane_get_in_and_only_names_get_out() {
    let policy = value(&built(&planned(""), &settings(), &[]).policy);
    let spec = &policy["spec"];
    let ingress = spec["ingress"].as_array().unwrap();
    assert_eq!(ingress.len(), 2);
    assert_eq!(
        ingress[0]["from"][0]["podSelector"]["matchLabels"]["muniment.dev/network"],
        "contracts"
    );
    assert_eq!(
        ingress[0]["from"][0]["podSelector"]["matchLabels"]["muniment.dev/tenant"],
        "acme"
    );
    assert!(
        ingress[0]["from"][0].get("namespaceSelector").is_none(),
        "of this namespace only"
    );
    let control = &ingress[1]["from"][0];
    assert_eq!(
        control["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
        "muniment"
    );
    let ports: Vec<_> = ingress[1]["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["port"].clone())
        .collect();
    assert_eq!(ports, [8411, 8410]);
    let egress = spec["egress"].as_array().unwrap();
    assert_eq!(egress.len(), 2);
    assert!(egress[1].get("to").is_none() && egress[1]["ports"].as_array().unwrap().iter().all(|p| p["port"] == 53));
}

#[test]
fn clients_get_exactly_what_they_need_and_who_may_read_it_is_named() {
    let (secret, role, binding) = built(&planned(""), &settings(), &[]).client;
    let data = secret.data.unwrap();
    let endpoints: Value = serde_json::from_slice(&data["endpoints.json"].0).unwrap();
    assert_eq!(
        endpoints[3]["url"],
        "https://contracts-validator-3.contracts-nodes.acme.svc:8411"
    );
    assert_eq!(
        data.keys().collect::<Vec<_>>(),
        [
            "ca.crt",
            "endpoints.json",
            "tls.crt",
            "tls.key",
            "token",
            "trust-root.json"
        ]
    );
    assert_eq!(data["tls.key"].0, certificates().parties["client"].key.as_bytes());
    let rules = value(&role)["rules"].clone();
    assert_eq!(
        rules,
        serde_json::json!([{ "apiGroups": [""], "resources": ["secrets"],
        "resourceNames": ["contracts-client"], "verbs": ["get"] }])
    );
    assert_eq!(value(&binding)["subjects"][0]["name"], "muniment-api");
    assert_eq!(value(&binding)["subjects"][0]["namespace"], "muniment");
}

#[test]
fn the_genesis_is_sealed_in_something_that_cant_be_changed() {
    let plan = planned("");
    let map = genesis(&plan.network, Placement::Dedicated).unwrap();
    assert_eq!(map.immutable, Some(true));
    let data = map.data.unwrap();
    let sealed = muniment_receipts::genesis::Genesis::parse(data["genesis.json"].as_bytes()).unwrap();
    assert_eq!(hex::encode(sealed.network_id().unwrap()), plan.network.id);
    assert!(data.contains_key("trust-root.json"));
}

#[test]
fn no_object_names_a_secret_in_the_clear() {
    let objects = built(&planned(""), &settings(), &[]);
    for text in [
        value(&objects.stateful_set),
        value(&objects.policy),
        value(&objects.headless),
        value(&objects.budget),
    ] {
        assert!(!text.to_string().contains(&"ab".repeat(32)));
        assert!(!text.to_string().contains("PRIVATE KEY"));
    }
}
