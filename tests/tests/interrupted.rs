//! `notarize` where it could do harm: killed between sending and receipt, and over the files of a ledger.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use muniment_tests::load::{Load, check};
use muniment_tests::local::LocalWorld;
use muniment_tests::world::{World, agreement, statuses};
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

#[tokio::test(flavor = "multi_thread")]
async fn notarizing_all_around_a_data_folder_leaves_it_as_it_is() {
    let mut world = LocalWorld::fresh().await;
    let load = Load::start(&world.api(), 2);
    load.progress(20).await;
    let promises = load.finish().await;
    let data = world.data();
    let above = data.parent().unwrap();
    std::fs::write(above.join("paper.txt"), "words").unwrap();
    std::fs::create_dir(above.join(".git")).unwrap();
    std::fs::write(above.join(".git/head"), "words").unwrap();
    let done = world.cli(notarize(above));
    assert_eq!(done.code, 0, "{done:?}");
    for said in [data.to_str().unwrap(), ".git"] {
        assert!(done.stderr.contains(said), "no `{said}`: {done:?}");
    }
    assert!(above.join("paper.txt.receipt").exists());
    assert!(!above.join(".git/head.receipt").exists());
    assert_eq!(receipts(&data), ["welcome.receipt"], "only what `dev` itself made");
    let refused = world.cli(notarize(&data.join("networks")));
    assert!(
        refused.code == 2 && refused.stderr.contains("data folder"),
        "{refused:?}"
    );
    // A database takes every name in its folders for one of its own.
    world.kill_all().await;
    world.start().await;
    agreement(&world).await;
    check(&world, &promises).await;
}

/// Names of receipts at any depth.
fn receipts(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            names.extend(receipts(&entry.path()));
        } else if name.ends_with(".receipt") {
            names.push(name);
        }
    }
    names
}
