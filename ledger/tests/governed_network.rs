//! Validators join and leave a network of real processes under write load: 4 → 5 → 7 → 4, with kills on the way. No
//! write is lost, and one trust root verifies the receipts of all times.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "governed_network/net.rs"]
mod net;

use std::time::Duration;

use muniment_receipts::trust::TrustRoot;
use muniment_receipts::verify::{Outcome, Verifier};
use net::{Net, node_of_environment};
use serde_json::json;

/// Not a test: the process of a node, when this program is started as one.
#[test]
fn node_process() {
    if let Some(folder) = node_of_environment() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        if let Err(error) = runtime.block_on(muniment_ledger::process::run(&folder)) {
            eprintln!("{error:?}");
            std::process::exit(1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validators_join_and_leave_under_load() {
    let mut net = Net::start(4).await;
    let load = net.load();
    net.until_final(20).await;

    // A new validator follows, catches up, is added, and votes.
    net.join(4).await;
    assert!(!net.status(4).await.unwrap().voting, "it isn't a validator yet");
    net.govern("addValidator", net.keys(4)).await;
    net.until_voting(4, 5).await;

    // One that was a validator all the time is killed while the next ones join, and so is the one that joins.
    net.join(5).await;
    net.kill(1);
    net.govern("addValidator", net.keys(5)).await;
    net.kill(5);
    net.spawn(1);
    net.spawn(5);
    net.until_voting(5, 6).await;
    net.join(6).await;
    net.govern("addValidator", net.keys(6)).await;
    net.until_voting(6, 7).await;
    // Two of seven may fail.
    net.kill(0);
    net.kill(4);
    net.progress(20).await;
    net.spawn(0);
    net.spawn(4);
    net.until_voting(4, 7).await;

    for index in [6, 5, 4] {
        net.govern("removeValidator", json!({ "name": format!("validator-{index}") }))
            .await;
        net.until_gone(index).await;
        net.kill(index);
    }
    net.progress(20).await;
    let written = net.settle(load).await;
    assert!(written.len() > 60, "{} writes", written.len());

    // One trust root for all receipts, whoever gives it.
    let file = net.client().trust_root().await.unwrap();
    let root = TrustRoot::parse(&file).unwrap();
    let sizes: Vec<usize> = root.changes().iter().map(|change| change.validators.len()).collect();
    assert_eq!(sizes, [5, 6, 7, 6, 5, 4]);
    let verifier = Verifier::new(Some(&file), None);
    let mut seen = std::collections::BTreeSet::new();
    for leaf in &written {
        let (receipt, size) = net.receipt(*leaf, &root).await;
        let report = verifier.verify(&receipt, None, net::now() + 60_000);
        let failed: Vec<_> = report
            .verdicts
            .iter()
            .filter(|verdict| verdict.result == Outcome::Fail)
            .collect();
        assert!(failed.is_empty(), "{failed:?}");
        seen.insert(size);
    }
    assert!(seen.contains(&4) && seen.contains(&5) && seen.contains(&7), "{seen:?}");

    // A validator that loses everything hears from the others who the validators are now.
    net.kill(2);
    net.wipe(2);
    net.spawn(2);
    net.until_back(2).await;
    net.same_state(Duration::from_secs(30)).await;
}
