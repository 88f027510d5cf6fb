//! The operator is killed after each of its writes, from the tenant to a network that has grown and shrunk.

use std::time::{Duration, Instant};

use muniment_tests::cluster::{ClusterWorld, NETWORK, Toll, apply, attempt, image, kubectl, release, wanted};
use muniment_tests::world::{World, agreement};

/// For each of the steps.
const LIMIT: Duration = Duration::from_secs(1_200);
/// An operator that writes nothing for so long waits for something else.
const QUIET: Duration = Duration::from_secs(20);

/// Where pods reach this machine; any address of it that the cluster routes to.
fn address() -> String {
    let host = std::env::var("MUNIMENT_CLUSTER_HOST").unwrap_or_else(|_| "10.201.0.1".to_owned());
    format!("{host}:6443")
}

/// Has the operator talk to the Kubernetes API through the gate.
fn redirect(address: &str) {
    // Nothing here is encrypted; without an authority the operator would look for those of a machine, and an image made
    // from scratch has none.
    let path = "jsonpath={.clusters[0].cluster.certificate-authority-data}";
    let authority = kubectl(&["config", "view", "--raw", "--minify", "-o", path]);
    apply(&format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: toll, namespace: muniment }}\ndata:\n  config: |\n    \
         apiVersion: v1\n    kind: Config\n    current-context: toll\n    \
         clusters: [{{ name: toll, cluster: {{ server: \"http://{address}\", \
         certificate-authority-data: \"{authority}\" }} }}]\n    \
         users: [{{ name: toll, user: {{}} }}]\n    \
         contexts: [{{ name: toll, context: {{ cluster: toll, user: toll }} }}]\n"
    ));
    let patch = r#"{"spec":{"template":{"spec":{
        "containers":[{"name":"operator","env":[{"name":"KUBECONFIG","value":"/etc/toll/config"}],
                       "volumeMounts":[{"name":"toll","mountPath":"/etc/toll"}]}],
        "volumes":[{"name":"toll","configMap":{"name":"toll"}}]}}}}"#;
    kubectl(&["patch", "-n", "muniment", "deploy/muniment-operator", "-p", patch]);
}

/// Ends the operator at once, and takes its lease away, so that the next one need not wait for it.
fn kill() {
    let label = "app.kubernetes.io/component=operator";
    let pods = kubectl(&[
        "get",
        "pod",
        "-n",
        "muniment",
        "-l",
        label,
        "-o",
        "jsonpath={.items[*].metadata.name}",
    ]);
    for pod in pods.split_whitespace() {
        ClusterWorld::signal_pod("muniment", pod, rustix::process::Signal::KILL);
    }
    kubectl(&[
        "delete",
        "pod",
        "-n",
        "muniment",
        "-l",
        label,
        "--force",
        "--grace-period=0",
    ]);
    let _ = attempt(
        &["kubectl", "delete", "lease", "-n", "muniment", "muniment-operator"],
        "",
    );
}

/// Kills it after each write until this is so.
async fn until(toll: &Toll, kills: &mut usize, what: &str, reached: impl Fn() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(
            start.elapsed() < LIMIT,
            "waited {LIMIT:?} and {kills} kills in vain until {what}"
        );
        toll.open(1);
        // With nothing more to write it is left alone, and looked at again.
        if tokio::time::timeout(QUIET, toll.held()).await.is_ok() {
            kill();
            *kills += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a quarter of an hour: .ci/run nightly"]
async fn the_operator_is_killed_after_each_of_its_writes() {
    if !wanted("the_operator_is_killed_after_each_of_its_writes") {
        return;
    }
    muniment_tests::cluster::install();
    let (address, mut kills) = (address(), 0);
    let toll = Toll::listen(&address).await;
    toll.open(usize::MAX);
    redirect(&address);
    kubectl(&[
        "rollout",
        "status",
        "-n",
        "muniment",
        "deploy/muniment-operator",
        "--timeout=120s",
    ]);
    let mut world = ClusterWorld::bare().await;
    world.describe("");
    let well = |world: &ClusterWorld, count: usize| {
        let network = world.resource();
        let says = |kind: &str, status: &str| {
            let conditions = network["status"]["conditions"].as_array();
            conditions.is_some_and(|all| all.iter().any(|one| one["type"] == kind && one["status"] == status))
        };
        network["status"]["nodes"].as_array().map_or(0, Vec::len) == count
            && network["status"]["observedGeneration"] == network["metadata"]["generation"]
            && says("Ready", "True")
            && says("SpecApplied", "True")
            && says("Progressing", "False")
    };
    until(&toll, &mut kills, "the network is there", || well(&world, 4)).await;
    let keys = |names: &[&str]| -> Vec<String> {
        let key = |name: &&str| {
            let secret = format!("{NETWORK}-{name}-keys");
            kubectl(&["get", "secret", "-n", world.tenant(), &secret, "-o", "jsonpath={.data}"])
        };
        names.iter().map(key).collect()
    };
    let first = ["validator-0", "validator-1", "validator-2", "validator-3"];
    let before = keys(&first);
    world.change(r#"{"validators":{"count":5}}"#);
    until(&toll, &mut kills, "the network has grown", || well(&world, 5)).await;
    world.change(r#"{"validators":{"count":4}}"#);
    until(&toll, &mut kills, "the network has shrunk", || well(&world, 4)).await;
    assert_eq!(keys(&first), before, "keys that were made stay");
    println!("the operator was killed {kills} times");
    assert!(kills > 20, "{kills}");
    toll.open(usize::MAX);
    world.open_all().await;
    world.scaled(4).await;
    assert_eq!(world.validators()[0], "validator-1");
    let written = world.api().deposit(&muniment_tests::api::digest()).await;
    assert_eq!(written.status, 201, "{written:?}");
    agreement(&world).await;
    kubectl(&["delete", "deploy", "-n", "muniment", "muniment-operator"]);
    release(&image(), "");
}
