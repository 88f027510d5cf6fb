//! What can't be as it is described: condition and event say what and what to do, nothing else breaks, and a corrected
//! description heals it without anything being deleted.

use muniment_tests::cluster::{ClusterWorld, apply, kubectl, release, wanted};
use muniment_tests::poll;
use muniment_tests::world::{World, agreement};

/// Waits until a condition says this, and an event with the same reason is there.
async fn said(world: &ClusterWorld, kind: &str, reason: &str, words: &str) {
    let mut last = None;
    poll::until(&format!("{kind} says {reason}: {words}"), || {
        let now = world.condition(kind);
        if now != last {
            println!("{kind}: {now:?}");
            last.clone_from(&now);
        }
        let fits = now.is_some_and(|(_, why, message)| why == reason && message.contains(words));
        std::future::ready(fits.then_some(()))
    })
    .await;
    poll::until("there is an event as well", || {
        let events = kubectl(&[
            "get",
            "events.events.k8s.io",
            "-n",
            world.tenant(),
            "-o",
            "jsonpath={.items[*].reason}",
        ]);
        std::future::ready(events.split_whitespace().any(|one| one == reason).then_some(()))
    })
    .await;
}

/// A template and a storage class that aren't there: nothing is made, and the corrected description is.
#[tokio::test(flavor = "multi_thread")]
async fn names_of_things_that_arent_there() {
    if !wanted("names_of_things_that_arent_there") {
        return;
    }
    let world = ClusterWorld::described("  storage: { className: golden }\n").await;
    said(&world, "Ready", "PlatformError", "StorageClass golden").await;
    assert_eq!(
        kubectl(&["get", "sts,pvc", "-n", world.tenant(), "-o", "name"]).trim(),
        ""
    );
    world.describe("");
    world.settled().await;
    drop(world);

    let world = ClusterWorld::bare().await;
    apply(&format!(
        "apiVersion: muniment.dev/v1alpha1\nkind: LedgerNetwork\nmetadata: {{ name: contracts, namespace: {} }}\n\
         spec: {{ templates: [{{ name: unheard-of }}] }}\n",
        world.tenant()
    ));
    said(&world, "Ready", "Invalid", "there is no template `unheard-of`").await;
    world.describe("");
    world.settled().await;
}

/// A quota that is full: the network waits with the numbers, and is made when there is room.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_quota() {
    if !wanted("a_full_quota") {
        return;
    }
    let world = ClusterWorld::with_quota("validators: 3").await;
    world.describe("");
    said(&world, "Ready", "QuotaExceeded", "4 validators and may have 3").await;
    kubectl(&[
        "patch",
        "tenant",
        world.tenant(),
        "--type",
        "merge",
        "-p",
        r#"{"spec":{"quota":{"validators":4}}}"#,
    ]);
    world.settled().await;
}

/// More than any machine has: the first validator finds no place, the others go on, and the former size heals it.
#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_fits_nowhere() {
    if !wanted("a_size_that_fits_nowhere") {
        return;
    }
    let mut world = ClusterWorld::fresh().await;
    let filler = format!("filler-{}", world.tenant());
    fill(&filler).await;
    world.change(r#"{"size":"Large"}"#);
    said(&world, "Degraded", "ValidatorsDown", "can't be scheduled").await;
    let (ready, _, message) = world.condition("Ready").unwrap();
    assert_eq!(ready, "True", "{message}");
    world.change(r#"{"size":"Small"}"#);
    world.settled().await;
    kubectl(&["delete", "ds", "-n", "default", &filler]);
    world.start().await;
    agreement(&world).await;
}

/// Takes all but one core of every node, so that the larger size fits nowhere whatever this machine has. Only what is
/// asked for counts: the pods never start.
async fn fill(name: &str) {
    let cores = kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].status.allocatable.cpu}"]);
    let most = cores.trim().parse::<u32>().unwrap() - 1;
    apply(&format!(
        "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {{ name: {name}, namespace: default }}\nspec:\n  \
         selector: {{ matchLabels: {{ app: {name} }} }}\n  template:\n    metadata: {{ labels: {{ app: {name} }} }}\n    \
         spec:\n      containers:\n        - {{ name: fill, image: nothing, imagePullPolicy: Never, \
         resources: {{ requests: {{ cpu: {most} }} }} }}\n"
    ));
    poll::until("every node is filled", || async {
        let path = "jsonpath={.status.currentNumberScheduled}/{.status.desiredNumberScheduled}";
        let counts = kubectl(&["get", "ds", "-n", "default", name, "-o", path]);
        let (now, wanted) = counts.split_once('/')?;
        (now == wanted && wanted != "0").then_some(())
    })
    .await;
}

/// An image that isn't there: the first validator waits for it, the others go on, and the former image heals it.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_isnt_there() {
    if !wanted("an_image_that_isnt_there") {
        return;
    }
    let world = ClusterWorld::fresh().await;
    let image = |name: &str| {
        let setting = format!("MUNIMENT_IMAGE={name}");
        kubectl(&["set", "env", "-n", "muniment", "deploy/muniment-operator", &setting]);
        kubectl(&[
            "rollout",
            "status",
            "-n",
            "muniment",
            "deploy/muniment-operator",
            "--timeout=120s",
        ]);
    };
    image("muniment:nowhere");
    said(&world, "Degraded", "ValidatorsDown", "muniment:nowhere").await;
    assert_eq!(world.condition("Ready").unwrap().0, "True");
    image(&muniment_tests::cluster::image());
    world.settled().await;
    agreement(&world).await;
    // What a hand has set is the hand's: Helm couldn't change it any more.
    kubectl(&["delete", "deploy", "-n", "muniment", "muniment-operator"]);
    release(&muniment_tests::cluster::image(), "");
}
