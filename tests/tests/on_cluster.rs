//! The scenarios of the first path on a real Kubernetes, and what only a Kubernetes can show: nobody gets at another
//! tenant's ports, and every ServiceAccount has the rights that were reviewed.
//!
//! What takes more than a minute is ignored unless `.ci/run nightly` asks for it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "on_cluster/faults.rs"]
mod faults;
#[path = "on_cluster/killed.rs"]
mod killed;
#[path = "on_cluster/lifecycle.rs"]
mod lifecycle;
#[path = "on_cluster/specs.rs"]
mod specs;

use muniment_ledger::client::NetworkClient;
use muniment_tests::cluster::{self, ClusterWorld, wanted};
use muniment_tests::scenarios;
use muniment_tests::world::World;

macro_rules! scenario {
    ($(#[$more:meta])* $name:ident) => {
        #[tokio::test(flavor = "multi_thread")]
        $(#[$more])*
        async fn $name() {
            if wanted(stringify!($name)) {
                scenarios::$name(&mut ClusterWorld::fresh().await).await;
                cluster::forgive_kills();
            }
        }
    };
}

scenario!(a_file_becomes_a_receipt);
scenario!(
    #[ignore = "minutes: .ci/run nightly"]
    killing_each_process_in_turn
);
scenario!(two_of_four_paused);
scenario!(
    #[ignore = "minutes: .ci/run nightly"]
    killing_the_api_alone
);
scenario!(
    #[ignore = "minutes: .ci/run nightly"]
    killing_everything_at_once
);
scenario!(accepted_just_before_a_kill);
scenario!(a_validator_is_wiped);

/// The kubelet of a machine without the first validator of these networks: what pod and its own machine say to each other
/// no policy can forbid.
fn foreign_kubelet(worlds: &[&ClusterWorld]) -> String {
    let at = |world: &&ClusterWorld| {
        let pod = ["get", "pod", "-n", world.tenant(), "contracts-validator-0"];
        cluster::kubectl(&[&pod[..], &["-o", "jsonpath={.status.hostIP}"]].concat())
    };
    let taken: Vec<String> = worlds.iter().map(at).collect();
    let path = "jsonpath={.items[*].status.addresses[?(@.type=='InternalIP')].address}";
    let all = cluster::kubectl(&["get", "nodes", "-o", path]);
    let free = all
        .split_whitespace()
        .find(|address| !taken.iter().any(|one| one == address));
    format!("{}:10250", free.expect("more machines than worlds"))
}

/// Connects from inside one pod of each party to every port of every other, and prints what is open.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_at_another_tenants_ports() {
    if !wanted("nobody_gets_at_another_tenants_ports") {
        return;
    }
    let (one, two) = (ClusterWorld::fresh().await, ClusterWorld::fresh().await);
    let from = [("one", one.pid("validator-0")), ("two", two.pid("validator-0"))];
    let mut targets = Vec::new();
    for (name, world) in [("one", &one), ("two", &two)] {
        for validator in ["validator-1", "validator-2"] {
            let address = world.address(validator);
            targets.push((name, format!("{name} {validator} api"), format!("{address}:8411")));
            targets.push((name, format!("{name} {validator} health"), format!("{address}:8410")));
            targets.push((name, format!("{name} {validator} consensus"), format!("{address}:8420")));
        }
    }
    for (component, port) in [("operator", 8402), ("api", 8400)] {
        let address = cluster::pod_address("muniment", component);
        targets.push(("platform", format!("platform {component}"), format!("{address}:{port}")));
    }
    targets.push(("cluster", "kubernetes API".to_owned(), "10.96.0.1:443".to_owned()));
    targets.push((
        "cluster",
        "another node's kubelet".to_owned(),
        foreign_kubelet(&[&one, &two]),
    ));
    let mut wrong = Vec::new();
    println!("{:36} {:>8} {:>8}", "from a validator of", "one", "two");
    for (owner, what, address) in &targets {
        let open = from.map(|(tenant, pid)| {
            let open = cluster::connects(pid, address);
            if open != (tenant == *owner) {
                wrong.push(format!("{tenant} → {what}: {}", if open { "open" } else { "closed" }));
            }
            if open { "open" } else { "-" }
        });
        println!("{what:36} {:>8} {:>8}", open[0], open[1]);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Even where ports are reachable: no certificate, or one of another network, opens nothing.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_certificate_of_the_network() {
    if !wanted("nobody_gets_in_without_a_certificate_of_the_network") {
        return;
    }
    let (one, two) = (ClusterWorld::fresh().await, ClusterWorld::fresh().await);
    let status = async |client: NetworkClient| client.status().await.pop().unwrap().1;
    status(one.node("validator-0")).await.unwrap();
    // Never an answer. The reason may be lost on its way: the node closes on a request that it didn't read, and the port's
    // forwarder then drops what the node has said before.
    let mut reasons = Vec::new();
    for _ in 0..20 {
        let error = status(one.as_client_of(&two)).await.unwrap_err();
        reasons.push(error.to_string());
    }
    let told = |reason: &String| reason.contains("refuses our certificate");
    let lost = |reason: &String| reason.contains("the connection broke") || reason.contains("no connection");
    let known = reasons.iter().all(|reason| told(reason) || lost(reason));
    assert!(known && reasons.iter().any(told), "{reasons:#?}");
    let http = muniment_ledger::tls::http(None).unwrap().build().unwrap();
    let plain = http.get(one.door("validator-0") + "/healthz").send().await;
    assert!(plain.is_err(), "plain HTTP to the port of TLS: {plain:?}");
    let health = one.health_door().await;
    let answer = async |path: &str| {
        let request = http.get(format!("{health}{path}")).bearer_auth(one.token());
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!((answer("/healthz").await, answer("/v1/status").await), (200, 403));
}

/// `kubectl auth can-i --list` of every ServiceAccount equals what was reviewed. `UPDATE_GOLDEN=1` rewrites it.
#[tokio::test(flavor = "multi_thread")]
async fn every_account_has_the_rights_that_were_reviewed() {
    if !wanted("every_account_has_the_rights_that_were_reviewed") {
        return;
    }
    let world = ClusterWorld::fresh().await;
    are_reviewed("rights.txt", world.tenant(), &["operator", "api"]);
}

/// The same where networks share hosts: the operator's rights to them, and that the hosts themselves have none.
#[tokio::test(flavor = "multi_thread")]
async fn with_hosts_every_account_has_the_rights_that_were_reviewed() {
    if !wanted("with_hosts_every_account_has_the_rights_that_were_reviewed") {
        return;
    }
    cluster::install();
    cluster::release(&cluster::image(), "hosts.enabled=true");
    let world = ClusterWorld::described("  placement: Shared\n").await;
    let (tenant, ready) = (world.tenant(), "--for=condition=Ready");
    cluster::kubectl(&["wait", "-n", tenant, "ln/contracts", ready, "--timeout=180s"]);
    are_reviewed("rights-hosts.txt", tenant, &["operator", "api", "host"]);
    // Hosts outlive the chart that made them; the tests that follow don't want them.
    cluster::kubectl(&["delete", "-n", tenant, "ln/contracts", "--timeout=180s"]);
    cluster::release(&cluster::image(), "");
    let kinds = "statefulset,secret,configmap,service,serviceaccount,pdb,pvc";
    let label = "app.kubernetes.io/component=host";
    cluster::kubectl(&["delete", kinds, "-n", "muniment", "-l", label, "--timeout=180s"]);
}

/// `kubectl auth can-i --list` of the control plane's accounts, and of those in a tenant's namespace.
fn are_reviewed(file: &str, tenant: &str, own: &[&str]) {
    let mut accounts: Vec<(&str, String)> = own
        .iter()
        .map(|name| (*name, format!("muniment:muniment-{name}")))
        .collect();
    accounts.push(("validator", format!("{tenant}:contracts-validator")));
    accounts.push(("default", format!("{tenant}:default")));
    let mut text = String::new();
    for (name, account) in accounts {
        for (place, namespace) in [("muniment", "muniment"), ("a tenant's", tenant), ("another", "default")] {
            text += &format!(
                "# {name} in {place} namespace\n{}\n\n",
                rights(&account, namespace, tenant)
            );
        }
    }
    let path = format!("{}/../charts/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == reviewed, "the rights are not those of {path}:\n{text}");
}

/// What an account may in a namespace, one right a line.
fn rights(account: &str, namespace: &str, tenant: &str) -> String {
    let user = format!("system:serviceaccount:{account}");
    let listed = cluster::kubectl(&["auth", "can-i", "--list", "--as", &user, "-n", namespace]);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = listed
        .lines()
        .skip(1)
        .map(|line| words(line).replace(tenant, "TENANT"))
        // What everybody may: ask about themselves, read versions.
        .filter(|line| !line.contains("[/") && !line.contains("selfsubject"))
        .collect();
    lines.sort();
    lines.join("\n")
}
