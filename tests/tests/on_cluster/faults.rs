//! Bad luck on a real Kubernetes: no accepted write is lost, no validator votes twice, keys are never made anew, and the
//! quorum is never taken down by us. The long ones run by hand: see docs/operations.md.

use std::collections::BTreeMap;
use std::time::Duration;

use muniment_tests::cluster::{ClusterWorld, NETWORK, apply, attempt, image, kubectl, release, tool, wanted};
use muniment_tests::load::{Load, check};
use muniment_tests::poll;
use muniment_tests::scenarios::back_at_the_tip;
use muniment_tests::world::{World, agreement};
use serde_json::Value;

/// A node that went away is noticed after 16 s, and what it ran comes back a minute after it does.
const LONG: Duration = Duration::from_secs(300);

/// Waits until all is as wanted, ends the load, and holds every promise of it.
async fn unharmed(world: &ClusterWorld, load: Load) {
    world.settled().await;
    load.progress(40).await;
    let promises = load.finish().await;
    agreement(world).await;
    check(world, &promises).await;
}

/// An object as it can be applied again.
fn backup(kind: &str, name: &str, namespace: &str) -> String {
    let text = kubectl(&["get", kind, name, "-n", namespace, "-o", "json"]);
    let mut object: Value = serde_json::from_str(&text).unwrap();
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| ["name", "namespace", "labels", "annotations"].contains(&key.as_str()));
    object.to_string()
}

/// The private keys of all validators.
fn keys(world: &ClusterWorld) -> BTreeMap<String, String> {
    let path = "jsonpath={.data.keys\\.json}";
    let one = |name: String| {
        let secret = format!("{NETWORK}-{name}-keys");
        let found = attempt(
            &["kubectl", "get", "secret", "-n", world.tenant(), &secret, "-o", path],
            "",
        );
        (name, found.1)
    };
    world.validators().into_iter().map(one).collect()
}

/// A volume is lost for good: the validator comes back from the others without voting for what it may have voted for.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_claim_is_deleted() {
    if !wanted("a_volume_claim_is_deleted") {
        return;
    }
    let world = ClusterWorld::fresh().await;
    let before = keys(&world);
    let load = Load::start(&world.api(), 4);
    load.progress(40).await;
    let (claim, pod) = (format!("data-{NETWORK}-validator-1"), format!("{NETWORK}-validator-1"));
    let uid = |kind: &str, name: &str| {
        attempt(
            &[
                "kubectl",
                "get",
                kind,
                "-n",
                world.tenant(),
                name,
                "-o",
                "jsonpath={.metadata.uid}",
            ],
            "",
        )
        .1
    };
    let old = uid("pvc", &claim);
    kubectl(&["delete", "pvc", "-n", world.tenant(), &claim, "--wait=false"]);
    kubectl(&["delete", "pod", "-n", world.tenant(), &pod]);
    poll::until("there is another claim", || async {
        let now = uid("pvc", &claim);
        (now.len() == old.len() && now != old).then_some(())
    })
    .await;
    load.progress(40).await;
    back_at_the_tip(&world, "validator-1").await;
    assert_eq!(keys(&world), before);
    unharmed(&world, load).await;
}

/// Hands on Secrets: what can be made anew is, keys can't be changed, and lost ones are asked for and never made anew.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: .ci/run nightly"]
async fn secrets_are_edited_and_deleted() {
    if !wanted("secrets_are_edited_and_deleted") {
        return;
    }
    let world = ClusterWorld::fresh().await;
    let (before, tenant) = (keys(&world), world.tenant().to_owned());
    // The operator sees within 75 s what a hand did to a Secret, and the API the mended one within another minute.
    let load = Load::patient(&world.api(), 4, Duration::from_secs(180));
    load.progress(20).await;
    let token = || {
        attempt(
            &[
                "kubectl",
                "get",
                "secret",
                "-n",
                &tenant,
                "contracts-client",
                "-o",
                "jsonpath={.data.token}",
            ],
            "",
        )
        .1
    };
    let right = token();
    kubectl(&[
        "patch",
        "secret",
        "-n",
        &tenant,
        "contracts-client",
        "-p",
        r#"{"data":{"token":"d3Jvbmc="}}"#,
    ]);
    poll::until("the token is the right one again", || async {
        (token() == right).then_some(())
    })
    .await;
    kubectl(&[
        "delete",
        "secret",
        "-n",
        &tenant,
        "contracts-client",
        "contracts-config",
    ]);
    poll::until("both Secrets are there again, with the same token", || async {
        let config = attempt(&["kubectl", "get", "secret", "-n", &tenant, "contracts-config"], "");
        (config.0 && token() == right).then_some(())
    })
    .await;

    let name = "contracts-validator-2-keys";
    let edit = [
        "kubectl",
        "patch",
        "secret",
        "-n",
        &tenant,
        name,
        "-p",
        r#"{"data":{"keys.json":"e30="}}"#,
    ];
    let (edited, said) = attempt(&edit, "");
    assert!(!edited && said.contains("immutable"), "{said}");
    let saved = backup("secret", name, &tenant);
    kubectl(&["delete", "secret", "-n", &tenant, name]);
    poll::until("the loss is said", || async {
        let (_, reason, message) = world.condition("SpecApplied")?;
        (reason == "KeysLost" && message.contains(name)).then_some(())
    })
    .await;
    load.progress(40).await;
    assert!(
        !attempt(&["kubectl", "get", "secret", "-n", &tenant, name], "").0,
        "no keys are made anew"
    );
    apply(&saved);
    unharmed(&world, load).await;
    assert_eq!(keys(&world), before);
}

/// A hand takes the quorum down by scaling the StatefulSet: it is put back, and nothing that was accepted is lost.
#[tokio::test(flavor = "multi_thread")]
async fn the_stateful_set_is_scaled_by_hand() {
    if !wanted("the_stateful_set_is_scaled_by_hand") {
        return;
    }
    let world = ClusterWorld::fresh().await;
    let before = keys(&world);
    let load = Load::start(&world.api(), 4);
    load.progress(20).await;
    let set = format!("{NETWORK}-validator");
    kubectl(&["scale", "sts", "-n", world.tenant(), &set, "--replicas=1"]);
    poll::until("it is put back", || async {
        let path = "jsonpath={.spec.replicas}";
        (kubectl(&["get", "sts", "-n", world.tenant(), &set, "-o", path]).trim() == "4").then_some(())
    })
    .await;
    unharmed(&world, load).await;
    assert_eq!(keys(&world), before);
}

/// The leader is stopped in its tracks while it works, another one takes over and goes on, and the first one wakes up:
/// it has no word any more, and ends.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: .ci/run nightly"]
async fn a_paused_leader_wakes_up() {
    if !wanted("a_paused_leader_wakes_up") {
        return;
    }
    let world = ClusterWorld::alone().await;
    release(&image(), "operator.replicas=2");
    let leader = || {
        kubectl(&[
            "get",
            "lease",
            "-n",
            "muniment",
            "muniment-operator",
            "-o",
            "jsonpath={.spec.holderIdentity}",
        ])
    };
    let first = poll::until("there is a leader", || async {
        Some(leader()).filter(|name| !name.is_empty())
    })
    .await;
    let load = Load::start(&world.api(), 4);
    load.progress(20).await;
    world.change(r#"{"validators":{"count":5}}"#);
    ClusterWorld::signal_pod("muniment", first.trim(), rustix::process::Signal::STOP);
    poll::until("another one leads", || async {
        Some(leader()).filter(|name| !name.is_empty() && *name != first)
    })
    .await;
    world.scaled(5).await;
    let grown = keys(&world);
    ClusterWorld::signal_pod("muniment", first.trim(), rustix::process::Signal::CONT);
    load.progress(40).await;
    unharmed(&world, load).await;
    assert_ne!(leader(), first);
    assert_eq!(keys(&world), grown);
    release(&image(), "operator.replicas=1");
}

/// Nobody can be asked or told anything for half a minute: what runs goes on, and is what it was afterwards.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: .ci/run nightly"]
async fn the_api_server_is_away() {
    if !wanted("the_api_server_is_away") {
        return;
    }
    let world = ClusterWorld::fresh().await;
    let started = || {
        let path = "jsonpath={.items[*].metadata.uid} {.items[*].status.containerStatuses[0].restartCount}";
        let label = "app.kubernetes.io/component=validator";
        attempt(
            &["kubectl", "get", "pod", "-n", world.tenant(), "-l", label, "-o", path],
            "",
        )
    };
    let before = started();
    let load = Load::start(&world.api(), 4);
    load.progress(20).await;
    tool(&["stop", "apiserver"], "");
    tokio::time::sleep(Duration::from_secs(30)).await;
    tool(&["start", "apiserver"], "");
    poll::within(LONG, "the API server answers", || async { started().0.then_some(()) }).await;
    load.progress(40).await;
    unharmed(&world, load).await;
    assert_eq!(started(), before, "no validator was started again");
    // The operator watches again: it once took minutes.
    ClusterWorld::bare().await;
}

/// Where a validator runs, and neither the API nor the operator does.
fn lonely(world: &ClusterWorld) -> (String, String) {
    let node =
        |namespace: &str, pod: &str| kubectl(&["get", "pod", "-n", namespace, pod, "-o", "jsonpath={.spec.nodeName}"]);
    let path = "jsonpath={.items[*].spec.nodeName}";
    let platform = kubectl(&["get", "pod", "-n", "muniment", "-o", path]);
    let free = world.validators().into_iter().find_map(|name| {
        let at = node(world.tenant(), &format!("{NETWORK}-{name}"));
        (!platform.split_whitespace().any(|taken| taken == at)).then_some((name, at))
    });
    free.expect("a validator on a node of its own")
}

/// A machine loses its power, with a validator on it, and comes back.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: .ci/run nightly"]
async fn a_node_is_powered_off() {
    if !wanted("a_node_is_powered_off") {
        return;
    }
    let world = ClusterWorld::fresh().await;
    let load = Load::start(&world.api(), 4);
    load.progress(20).await;
    let (validator, node) = lonely(&world);
    tool(&["stop", &node], "");
    load.progress(60).await;
    poll::within(LONG, "the loss is said", || async {
        let (status, _, message) = world.condition("Degraded")?;
        (status == "True" && message.contains(&validator)).then_some(())
    })
    .await;
    assert_eq!(world.condition("Ready").unwrap().0, "True");
    tool(&["start", &node], "");
    poll::within(LONG, "the validator is back", || async {
        let (status, ..) = world.condition("Degraded")?;
        (status == "False").then_some(())
    })
    .await;
    unharmed(&world, load).await;
}

/// A machine loses its network: the others go on without its validator, which comes back with its cable.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: .ci/run nightly"]
async fn a_node_is_cut_off() {
    if !wanted("a_node_is_cut_off") {
        return;
    }
    let world = ClusterWorld::fresh().await;
    let load = Load::start(&world.api(), 4);
    load.progress(20).await;
    let (validator, node) = lonely(&world);
    tool(&["cut", &node], "");
    load.progress(60).await;
    poll::within(LONG, "the loss is said", || async {
        let (status, _, message) = world.condition("Degraded")?;
        (status == "True" && message.contains(&validator)).then_some(())
    })
    .await;
    tool(&["join", &node], "");
    poll::within(LONG, "the validator is back", || async {
        let (status, ..) = world.condition("Degraded")?;
        (status == "False").then_some(())
    })
    .await;
    unharmed(&world, load).await;
}
