//! How `dev` refuses to start: one sentence, a next step, and nothing is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use muniment_tests::binary::{self, Finished};
use muniment_tests::load::Load;
use muniment_tests::local::{LocalWorld, free_port};
use muniment_tests::world::World;
use rustix::process::Signal;

fn refused(done: &Finished, words: &[&str]) {
    assert!(matches!(done.code, 1 | 2), "{done:?}");
    let lines: Vec<&str> = done
        .stderr
        .lines()
        .filter(|line| line.starts_with("error: ") || line.starts_with("  next: "))
        .collect();
    assert_eq!(lines.len(), 2, "one sentence and a next step: {done:?}");
    for word in words {
        assert!(done.stderr.contains(word), "no `{word}`: {done:?}");
    }
}

#[test]
fn a_taken_port_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = folder.path().join("data");
    let done = binary::run(
        folder.path(),
        ["dev", "--data", data.to_str().unwrap(), "--listen", &address],
    );
    refused(&done, &[&address, "--listen"]);
    assert!(!data.exists(), "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_use_is_named_and_its_user_goes_on() {
    let world = LocalWorld::fresh().await;
    let listen = format!("127.0.0.1:{}", free_port());
    let done = world.cli(["dev", "--data", world.data().to_str().unwrap(), "--listen", &listen]);
    refused(&done, &["in use", "--data"]);
    assert_eq!(world.api().deposit(&muniment_tests::api::digest()).await.status, 201);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    // A file in the folder's place and a file above it stop root too; permissions would not.
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for data in [file.clone(), file.join("below")] {
        let listen = format!("127.0.0.1:{}", free_port());
        let done = binary::run(
            folder.path(),
            ["dev", "--data", data.to_str().unwrap(), "--listen", &listen],
        );
        refused(&done, &[file.to_str().unwrap()]);
    }
    // A file system that takes no files.
    let listen = format!("127.0.0.1:{}", free_port());
    let done = binary::run(folder.path(), ["dev", "--data", "/proc/muniment", "--listen", &listen]);
    refused(&done, &["/proc/muniment"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_a_newer_format_is_refused_and_left_as_it_is() {
    let mut world = LocalWorld::fresh().await;
    world.stop().await;
    let format = world.data().join("format");
    std::fs::write(&format, "{\"version\":2}\n").unwrap();
    let done = world.cli([
        "dev",
        "--data",
        world.data().to_str().unwrap(),
        "--listen",
        &world.listen(),
    ]);
    refused(&done, &["newer"]);
    assert_eq!(std::fs::read_to_string(&format).unwrap(), "{\"version\":2}\n");
    std::fs::write(&format, "{\"version\":1}\n").unwrap();
    world.start().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_stops_all_processes() {
    let mut world = LocalWorld::fresh().await;
    // Ctrl-C in a terminal is SIGINT; service managers send SIGTERM.
    for signal in [Signal::INT, Signal::TERM] {
        world.start().await;
        let pids: Vec<u32> = world
            .validators()
            .iter()
            .filter_map(|name| world.process(name))
            .collect();
        assert_eq!(pids.len(), 4);
        assert_eq!(world.stop_by(signal).await, 0, "{signal:?}: {}", world.screen());
        for name in world.validators() {
            assert_eq!(world.process(&name), None, "{name} is still there after {signal:?}");
        }
        assert_eq!(waits_in_the_log(&world), 0, "after {signal:?}");
    }
}

/// Bytes that aren't in the database file yet: without any, a copy of it by itself is a whole backup.
fn waits_in_the_log(world: &LocalWorld) -> u64 {
    std::fs::metadata(world.data().join("muniment.db-wal")).map_or(0, |log| log.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_leaves_the_database_in_one_file() {
    let mut world = LocalWorld::fresh().await;
    let load = Load::start(&world.api(), 16);
    for _ in 0..2 {
        load.progress(100).await;
        assert_eq!(world.stop_by(Signal::TERM).await, 0, "{}", world.screen());
        assert_eq!(waits_in_the_log(&world), 0);
        world.start().await;
    }
    load.progress(1).await;
    assert!(load.finish().await.len() >= 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_validator_outlives_a_killed_supervisor() {
    let mut world = LocalWorld::fresh().await;
    let alive = |world: &LocalWorld| world.validators().iter().any(|name| world.process(name).is_some());
    assert!(alive(&world));
    world.kill_api().await;
    muniment_tests::poll::until("all validators have ended", || {
        std::future::ready((!alive(&world)).then_some(()))
    })
    .await;
}

/// Moves a database with whatever SQLite keeps beside it.
fn move_database(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_name().to_str().unwrap().starts_with("muniment.db") {
            std::fs::rename(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_key_that_signs_in_a_sealed_network_it_does_not_start() {
    let mut world = LocalWorld::fresh().await;
    world.stop().await;
    let (data, kept, keys) = (world.data(), world.path("kept"), world.data().join("keys"));
    let start = |world: &LocalWorld| world.cli(["dev", "--data", data.to_str().unwrap(), "--listen", &world.listen()]);
    move_database(&data, &kept);
    refused(
        &start(&world),
        &["muniment.db is missing", "demo/notary", "backup", "--data"],
    );
    assert!(
        !data.join("muniment.db").exists(),
        "no database is made that hides the loss"
    );

    // Another folder's database has another key.
    let other = world.path("other");
    let listen = format!("127.0.0.1:{}", free_port());
    let mut foreign = binary::command(&world.path("other-config"))
        .args(["dev", "--data", other.to_str().unwrap(), "--listen", &listen])
        .stdout(std::fs::File::create(world.path("other-screen")).unwrap())
        .spawn()
        .unwrap();
    muniment_tests::poll::until("the other dev is ready", || {
        let screen = std::fs::read_to_string(world.path("other-screen")).unwrap_or_default();
        std::future::ready(screen.contains("ready in ").then_some(()))
    })
    .await;
    muniment_tests::local::signal(foreign.id(), rustix::process::Signal::TERM);
    foreign.wait().unwrap();
    std::fs::rename(&keys, kept.join("keys")).unwrap();
    std::fs::rename(other.join("keys"), &keys).unwrap();
    move_database(&other, &data);
    refused(&start(&world), &["not a member of demo/notary", "backup", "--data"]);

    std::fs::remove_dir_all(&keys).unwrap();
    move_database(&data, &world.path("foreign"));
    move_database(&kept, &data);
    refused(&start(&world), &["master.key is missing", "from a backup"]);
    assert!(!keys.exists(), "no key is made that hides the loss");
    std::fs::rename(kept.join("keys"), &keys).unwrap();
    world.start().await;
    assert_eq!(world.api().deposit(&muniment_tests::api::digest()).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_file_of_another_server_is_kept() {
    let mut world = LocalWorld::prepared().await;
    let folder = world.config().join("muniment");
    std::fs::create_dir_all(&folder).unwrap();
    let text = r#"{"version":1,"server":"https://example.org","apiKey":"mnk_x","tenant":"acme","network":"notary"}"#;
    std::fs::write(folder.join("context.json"), text).unwrap();
    world.start().await;
    let kept = folder.join("context.json.1");
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), text);
    assert!(world.screen().contains(kept.to_str().unwrap()), "{}", world.screen());
    assert_eq!(world.cli(["network", "status"]).code, 0);
    world.stop().await;
    world.start().await;
    assert!(
        !folder.join("context.json.2").exists(),
        "dev's own file is just written again"
    );

    let listen = format!("127.0.0.1:{}", free_port());
    let data = world.path("other");
    let done = world.cli([
        "--context",
        "cluster",
        "dev",
        "--data",
        data.to_str().unwrap(),
        "--listen",
        &listen,
    ]);
    refused(&done, &["--context"]);
    assert!(!data.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_named_with_the_way_out() {
    let mut world = LocalWorld::fresh().await;
    world.stop().await;
    let data = world.data();
    let (database, kept) = (data.join("muniment.db"), world.path("kept"));
    move_database(&data, &kept);
    let whole = std::fs::read(kept.join("muniment.db")).unwrap();
    for (number, bytes) in [vec![0xa5; whole.len()], whole[..whole.len() / 2].to_vec()]
        .into_iter()
        .enumerate()
    {
        std::fs::write(&database, bytes).unwrap();
        let done = world.cli(["dev", "--data", data.to_str().unwrap(), "--listen", &world.listen()]);
        refused(
            &done,
            &[
                "muniment.db",
                "is damaged",
                "next: stop the server and put back a backup",
            ],
        );
        move_database(&data, &world.path(&format!("damaged-{number}")));
    }
    move_database(&kept, &data);
    world.start().await;
    assert_eq!(world.api().deposit(&muniment_tests::api::digest()).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_genesis_has_fixed_is_said_when_the_file_says_otherwise() {
    let mut world = LocalWorld::fresh().await;
    assert!(!world.screen().contains("is fixed"), "{}", world.screen());
    world.stop().await;
    let file = world.path("network.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("count: 4"));
    std::fs::write(&file, text.replace("count: 4", "count: 7")).unwrap();
    world.start().await;
    let line = "network demo/notary: spec.validators.count is fixed at 4 by its genesis; \
                start with another --data for a new network";
    assert!(world.screen().lines().any(|shown| shown == line), "{}", world.screen());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validators_port_that_another_program_took_is_named() {
    let mut world = LocalWorld::fresh().await;
    world.stop().await;
    let config = world.data().join("networks/demo/notary/validator-2/node.json");
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(config).unwrap()).unwrap();
    for address in ["api", "consensus"] {
        let address = config["replicas"][0][address].as_str().unwrap();
        let taken = std::net::TcpListener::bind(address).unwrap();
        let done = world.cli([
            "dev",
            "--data",
            world.data().to_str().unwrap(),
            "--listen",
            &world.listen(),
        ]);
        let port = taken.local_addr().unwrap().port().to_string();
        refused(
            &done,
            &[&port, "validator-2", "taken by another program", "stop the program"],
        );
    }
    world.start().await;
}

#[test]
fn a_name_that_cannot_be_used_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("network.yaml"), folder.path().join("data"));
    let network = "apiVersion: muniment.dev/v1alpha1\nkind: LedgerNetwork\n\
                   metadata: { name: notary, namespace: ../demo }\n\
                   spec: { validators: { count: 4 }, templates: [{ name: notarization }] }\n";
    std::fs::write(&file, network).unwrap();
    let done = binary::run(
        folder.path(),
        [
            "dev",
            "--data",
            data.to_str().unwrap(),
            "--network-file",
            file.to_str().unwrap(),
        ],
    );
    refused(&done, &["metadata.namespace", "../demo"]);
    assert!(!data.exists());
}
