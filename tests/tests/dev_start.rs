//! How `dev` refuses to start: one sentence, a next step, and nothing is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use muniment_tests::binary::{self, Finished};
use muniment_tests::local::{LocalWorld, free_port};
use muniment_tests::world::World;

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
    let pids: Vec<u32> = world
        .validators()
        .iter()
        .filter_map(|name| world.process(name))
        .collect();
    assert_eq!(pids.len(), 4);
    assert_eq!(world.stop().await, 0, "{}", world.screen());
    for name in world.validators() {
        assert_eq!(world.process(&name), None, "{name} is still there");
    }
}
