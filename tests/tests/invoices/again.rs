//! `muniment invoice submit`, run again over the same files.

use std::path::{Path, PathBuf};

use muniment_tests::local::LocalWorld;
use serde_json::Value;

use super::{Day, form};

/// Submits files; exit code, and what is told of each.
fn submit(world: &LocalWorld, files: &[&Path], more: &[&str]) -> (i32, Vec<Value>) {
    let mut arguments = vec!["-o", "json", "invoice", "submit", "--recipient", "buyer"];
    arguments.extend(more);
    arguments.extend(files.iter().map(|file| file.to_str().unwrap()));
    let done = world.cli(arguments);
    let told = serde_json::Deserializer::from_str(&done.stdout).into_iter::<Value>();
    let told: Vec<Value> = told.map(|one| one.unwrap()).collect();
    assert!(!told.is_empty() || done.code != 0, "{done:?}");
    (done.code, told)
}

fn receipt(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".receipt");
    name.into()
}

/// An invoice in UBL.
fn invoice(world: &LocalWorld, number: &str, net: &str) -> PathBuf {
    let (draft, file) = (
        world.path(&format!("{number}-{net}.json")),
        world.path(&format!("{number}-{net}.xml")),
    );
    std::fs::write(&draft, form(number, net).to_string()).unwrap();
    let made = world.cli([
        "invoice",
        "make",
        "--from",
        draft.to_str().unwrap(),
        "--out",
        file.to_str().unwrap(),
    ]);
    assert_eq!(made.code, 0, "{made:?}");
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_again_finds_what_was_registered() {
    let day = Day::begin().await;
    let world = &day.world;
    let first = invoice(world, "CLI-1", "100");
    let (code, told) = submit(world, &[&first], &[]);
    assert_eq!((code, &told[0]["done"]["already"]), (0, &false.into()), "{told:?}");
    let id = told[0]["done"]["id"].clone();
    let kept = std::fs::read(receipt(&first)).unwrap();

    // With its receipt it is left alone; without, as if a run had been killed, it gets the receipt of its record.
    let (code, told) = submit(world, &[&first], &[]);
    assert_eq!((code, &told[0]["done"]["already"]), (0, &true.into()), "{told:?}");
    assert_eq!(std::fs::read(receipt(&first)).unwrap(), kept);
    std::fs::remove_file(receipt(&first)).unwrap();
    let (code, told) = submit(world, &[&first], &[]);
    assert_eq!(code, 0, "{told:?}");
    assert_eq!(
        (&told[0]["done"]["id"], &told[0]["done"]["already"]),
        (&id, &true.into())
    );
    let verified = world.cli(["verify", first.to_str().unwrap()]);
    assert_eq!(verified.code, 0, "{verified:?}");

    // To somebody else it is another thing, with its receipt or without.
    let elsewhere =
        |world: &LocalWorld| world.cli(["invoice", "submit", "--recipient", "bank", first.to_str().unwrap()]);
    let refused = elsewhere(world);
    assert!(
        refused.code == 1 && refused.stderr.contains("its recipient is"),
        "{refused:?}"
    );
    let evidence = std::fs::read(receipt(&first)).unwrap();
    std::fs::remove_file(receipt(&first)).unwrap();
    let refused = elsewhere(world);
    assert!(
        refused.code == 1 && refused.stderr.contains("its recipient is"),
        "{refused:?}"
    );
    assert!(!receipt(&first).exists());
    std::fs::write(receipt(&first), evidence).unwrap();

    // Another document of the same number is refused, and gets no receipt.
    let other = invoice(world, "CLI-1", "200");
    let (code, _) = submit(world, &[&other], &[]);
    assert_eq!(code, 1);
    assert!(!receipt(&other).exists());
    // Nor is anything sent whose receipt would have no place.
    std::fs::copy(receipt(&first), receipt(&other)).unwrap();
    let refused = world.cli(["invoice", "submit", "--recipient", "buyer", other.to_str().unwrap()]);
    assert!(
        refused.code == 1 && refused.stderr.contains("does not prove"),
        "{refused:?}"
    );

    // The same in batches.
    let second = invoice(world, "CLI-2", "100");
    std::fs::remove_file(receipt(&first)).unwrap();
    let (code, told) = submit(world, &[&first, &second], &[]);
    assert_eq!(code, 0, "{told:?}");
    let already: Vec<_> = told
        .iter()
        .map(|one| one["done"]["already"].as_bool().unwrap())
        .collect();
    assert_eq!(already, [true, false], "{told:?}");
    let (code, told) = submit(world, &[&first, &second], &[]);
    assert!(
        code == 0 && told.iter().all(|one| one["done"]["already"] == true),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_numbered_draft_says_which_document_was_written() {
    let day = Day::begin().await;
    let world = &day.world;
    let draft = world.path("draft.json");
    let mut form = form("", "100");
    form.as_object_mut().unwrap().remove("number");
    std::fs::write(&draft, form.to_string()).unwrap();
    let (code, told) = submit(world, &[&draft], &["--series", "AUTO", "--auto-number"]);
    assert_eq!(code, 0, "{told:?}");
    let written = world.path("AUTO-000001.json");
    assert_eq!(told[0]["done"]["document"], written.to_str().unwrap());
    let verified = world.cli(["verify", written.to_str().unwrap()]);
    assert_eq!(verified.code, 0, "{verified:?}");
    // What is there already stays.
    let taken = world.path("AUTO-000002.json");
    std::fs::write(&taken, "mine").unwrap();
    let again = world.cli([
        "invoice",
        "submit",
        "--recipient",
        "buyer",
        "--series",
        "AUTO",
        "--auto-number",
        draft.to_str().unwrap(),
    ]);
    assert!(
        again.stdout.contains("document  ") && again.stdout.contains("AUTO-000002-"),
        "{again:?}"
    );
    assert_eq!(std::fs::read_to_string(taken).unwrap(), "mine");
}
