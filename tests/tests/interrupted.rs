//! `notarize` killed between sending and receipt: the next run ends what it began, and nothing is deposited twice.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use muniment_tests::local::LocalWorld;
use muniment_tests::world::{World, statuses};
use muniment_tests::{binary, poll};

fn pages(world: &LocalWorld) -> usize {
    let pending = world.config().join("muniment/pending");
    let networks = std::fs::read_dir(pending).into_iter().flatten().flatten();
    let folders = networks.map(|network| std::fs::read_dir(network.path()).unwrap().count());
    folders.sum()
}

async fn records(world: &LocalWorld) -> usize {
    let page = world.api().get("/records?limit=200").await;
    page.body["records"].as_array().unwrap().len()
}

fn notarize(folder: &Path) -> [&str; 3] {
    ["notarize", "-r", folder.to_str().unwrap()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_is_ended_by_the_next_one_without_a_second_deposit() {
    let mut world = LocalWorld::fresh().await;
    let folder = world.path("papers");
    std::fs::create_dir(&folder).unwrap();
    for number in 0..5 {
        std::fs::write(folder.join(format!("{number}.txt")), format!("paper {number}")).unwrap();
    }
    let before = records(&world).await;

    // Without a quorum the deposit is taken, and no answer comes.
    for validator in ["validator-0", "validator-1"] {
        world.pause(validator).await;
    }
    let mut run = binary::command(&world.config())
        .args(notarize(&folder))
        .spawn()
        .unwrap();
    poll::until("the deposit waits in a validator", || async {
        let waits = statuses(&world).await.iter().any(|status| status.mempool > 0);
        waits.then_some(())
    })
    .await;
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(pages(&world), 1);
    assert!(
        std::fs::read_dir(&folder).unwrap().count() == 5,
        "no receipt is there yet"
    );

    for validator in ["validator-0", "validator-1"] {
        world.resume(validator).await;
    }
    let done = world.cli(notarize(&folder));
    assert_eq!(done.code, 0, "{done:?}");
    for number in 0..5 {
        let verified = world.cli(["verify".as_ref(), folder.join(format!("{number}.txt")).as_os_str()]);
        assert_eq!(verified.code, 0, "{verified:?}");
    }
    assert_eq!((records(&world).await - before, pages(&world)), (5, 0));
}
