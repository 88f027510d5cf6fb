//! Tenants and networks made, changed and deleted in `muniment dev`: the same files and the same endpoints as on
//! Kubernetes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use muniment_tests::binary::Finished;
use muniment_tests::local::LocalWorld;
use muniment_tests::poll;
use muniment_tests::world::World;
use serde_json::{Value, json};

/// As in the quickstart on Kubernetes.
const ACME: &str = "\
apiVersion: v1
kind: Namespace
metadata: { name: acme, labels: { muniment.dev/tenant: acme } }
---
apiVersion: muniment.dev/v1alpha1
kind: Tenant
metadata: { name: acme }
spec: { displayName: Acme GmbH, quota: { networks: 1, validators: 12, storage: 40Gi } }
---
apiVersion: muniment.dev/v1alpha1
kind: LedgerNetwork
metadata: { name: contracts, namespace: acme }
spec: { validators: { count: 4 }, templates: [ { name: notarization } ] }
";

fn run(world: &LocalWorld, command: &[&str], text: &str) -> Finished {
    let file = world.path("described.yaml");
    std::fs::write(&file, text).unwrap();
    let mut arguments = command.to_vec();
    arguments.extend(["-f", file.to_str().unwrap()]);
    world.cli(arguments)
}

fn apply(world: &LocalWorld, text: &str) -> Finished {
    run(world, &["apply"], text)
}

/// Notarizes in the new network and verifies offline. Answers the exit code of the first.
fn notarize(world: &LocalWorld, name: &str) -> Finished {
    let file = world.path(name);
    std::fs::write(&file, name).unwrap();
    let file = file.to_str().unwrap();
    let done = world.cli(["notarize", file, "--tenant", "acme", "--network", "contracts"]);
    if done.code == 0 {
        let verified = world.cli(["verify", file]);
        assert_eq!(verified.code, 0, "{verified:?}");
    }
    done
}

/// Asks the API with the key of a context file, named from the data folder.
async fn ask(world: &LocalWorld, who: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
    let context = std::fs::read(world.data().join(who)).unwrap();
    let context: Value = serde_json::from_slice(&context).unwrap();
    let url = format!("{}{path}", context["server"].as_str().unwrap());
    let answer = world
        .api()
        .http
        .request(method.parse().unwrap(), url)
        .bearer_auth(context["apiKey"].as_str().unwrap())
        .json(&body)
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_and_its_network_are_applied_changed_and_deleted() {
    let mut world = LocalWorld::fresh().await;
    let made = apply(&world, ACME);
    assert_eq!(made.code, 0, "{made:?}");
    for said in [
        "tenant acme made",
        "network acme/contracts made",
        "acme/contracts is ready: quorum 3 of 4",
    ] {
        assert!(made.stdout.contains(said), "{said}: {made:?}");
    }
    let done = notarize(&world, "one.txt");
    assert_eq!(done.code, 0, "{done:?}");
    let again = apply(&world, ACME);
    assert!(
        again.code == 0 && again.stdout.contains("network acme/contracts unchanged"),
        "{again:?}"
    );

    // What it was, is and would become is told by the API as on Kubernetes.
    let (status, seen) = ask(
        &world,
        "tenants/acme.json",
        "GET",
        "/v1/tenants/acme/networks/contracts/resource",
        json!({}),
    )
    .await;
    assert_eq!((status, &seen["generation"]), (200, &json!(1)), "{seen}");
    assert_eq!(seen["status"]["validators"]["ready"], 4, "{seen}");
    let wanted = json!({ "name": "letters", "spec": { "templates": [{ "name": "notarization" }] } });
    let path = "/v1/tenants/acme/networks:validate";
    let (status, problem) = ask(&world, "tenants/acme.json", "POST", path, wanted).await;
    assert_eq!(status, 403, "{problem}");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("2 networks and may have 1"),
        "{problem}"
    );

    // What can't be is refused by plan and apply alike, and changes nothing.
    let more = ACME.replace("count: 4", "count: 7");
    let plan = run(&world, &["network", "plan"], &more);
    assert!(plan.code == 1 && plan.stdout.contains("stays 4"), "{plan:?}");
    let refused = apply(&world, &more);
    assert!(refused.code == 1 && refused.stderr.contains("stays 4"), "{refused:?}");

    // A suspended tenant reads and doesn't write; and one that isn't known is nobody.
    let suspended = apply(&world, &ACME.replace("displayName: Acme GmbH", "suspended: true"));
    assert!(suspended.stdout.contains("tenant acme changed"), "{suspended:?}");
    // The server looks at tenants every few seconds.
    let mut tries = 0;
    let refused = poll::until("a write is refused", || {
        tries += 1;
        let done = notarize(&world, &format!("late-{tries}.txt"));
        async move { (done.code != 0).then_some(done) }
    })
    .await;
    assert!(refused.code == 1 && refused.stderr.contains("suspended"), "{refused:?}");
    let stranger = world.cli(["network", "status", "--tenant", "globex"]);
    assert!(stranger.code == 2 && stranger.stderr.contains("globex"), "{stranger:?}");

    // Everything is found again.
    world.stop().await;
    world.start().await;
    let resumed = apply(&world, ACME);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    let mut tries = 0;
    let last = poll::until("writes are taken again", || {
        tries += 1;
        let name = format!("again-{tries}.txt");
        let done = notarize(&world, &name);
        async move { (done.code == 0).then_some(name) }
    })
    .await;

    deleted_and_made_again(&world).await;
    let verified = world.cli(["verify", world.path(&last).to_str().unwrap()]);
    assert_eq!(verified.code, 0, "its receipts outlive it: {verified:?}");
}

async fn deleted_and_made_again(world: &LocalWorld) {
    // Only the platform deletes tenants, and none that has networks.
    let (status, _) = ask(world, "tenants/acme.json", "DELETE", "/v1/tenants/acme", json!({})).await;
    assert_eq!(status, 403);
    let (status, problem) = ask(world, "platform.json", "DELETE", "/v1/tenants/acme", json!({})).await;
    assert!(
        status == 403 && problem["detail"].as_str().unwrap().contains("has networks"),
        "{problem}"
    );
    std::fs::copy(world.data().join("tenants/acme.json"), world.path("old.json")).unwrap();
    let gone = run(world, &["delete"], ACME);
    assert_eq!(gone.code, 0, "{gone:?}");
    for said in ["network acme/contracts deleted", "tenant acme deleted"] {
        assert!(gone.stdout.contains(said), "{said}: {gone:?}");
    }
    // A key that was seen is believed for a few seconds more.
    poll::until("its keys are nobody's", || async {
        let old = world.path("old.json");
        let (status, _) = ask(world, old.to_str().unwrap(), "GET", "/v1/tenants/acme", json!({})).await;
        (status == 401).then_some(())
    })
    .await;
    let kept = std::fs::read_dir(world.data().join("removed")).unwrap().count();
    assert_eq!(kept, 1, "the ledger is put aside, not deleted");
    // Made again under its name, it is another ledger.
    let anew = apply(world, ACME);
    assert_eq!(anew.code, 0, "{anew:?}");
    let done = notarize(world, "anew.txt");
    assert_eq!(done.code, 0, "{done:?}");
    let own = "apiVersion: muniment.dev/v1alpha1\nkind: Tenant\nmetadata: { name: demo }\n";
    let stays = run(world, &["delete"], own);
    assert!(
        stays.code == 1 && stays.stderr.contains("was started with it"),
        "{stays:?}"
    );
}
