//! `muniment invoice submit`, run again over the same files.

use std::path::{Path, PathBuf};

use muniment_tests::local::LocalWorld;
use serde_json::Value;

use super::{Day, credit, form};

/// Submits files; exit code, and what is told of each.
pub fn submit(world: &LocalWorld, files: &[&Path], more: &[&str]) -> (i32, Vec<Value>) {
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
    let mut form = form(number, net);
    form["buyer"]["vatId"] = "FR12345678901".into();
    std::fs::write(&draft, form.to_string()).unwrap();
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

    // Nor is what stands in the clear the same as what was to be hidden, nor other rules the same rules.
    for (asked, told) in [("--committed", "in the clear"), ("--profile=peppol", "judged by")] {
        let refused = world.cli([
            "invoice",
            "submit",
            "--recipient",
            "buyer",
            asked,
            first.to_str().unwrap(),
        ]);
        assert!(refused.code == 1 && refused.stderr.contains(told), "{refused:?}");
    }

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

/// A credit note of an invoice, in the JSON form.
fn note(world: &LocalWorld, number: &str, of: &str) -> PathBuf {
    let file = world.path(&format!("{number}.json"));
    std::fs::write(&file, credit(number, "10", of).to_string()).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_and_their_credit_notes_go_in_batches_and_go_on_where_they_stopped() {
    let day = Day::begin().await;
    let world = &day.world;
    let draft = |number: &str| {
        let file = world.path(&format!("{number}.json"));
        // Not as a program would write it: the bytes are what is signed for.
        std::fs::write(&file, format!("\n{}\n", form(number, "100"))).unwrap();
        file
    };
    // The credit note is named first, and is for an invoice of the same run.
    let mut files = vec![note(world, "MANY-C1", "MANY-1"), draft("MANY-1")];
    let xml = invoice(world, "MANY-2", "100");
    std::fs::remove_file(world.path("MANY-2-100.json")).unwrap();
    files.push(xml);
    let wrong = world.path("MANY-3.json");
    std::fs::write(
        &wrong,
        form("MANY-3", "100").to_string().replace("2026-11-24", "2026-02-31"),
    )
    .unwrap();
    files.push(wrong.clone());
    let named: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let (code, told) = submit(world, &named, &["--agent", "bank"]);
    assert_eq!((code, told.len()), (1, 4), "{told:?}");
    let of = |told: &[Value], file: &Path| {
        let name = file.to_str().unwrap();
        told.iter().find(|one| one["file"] == name).unwrap().clone()
    };
    assert_eq!(of(&told, &wrong)["error"]["code"], "not_a_date", "{told:?}");
    for file in &files[..3] {
        assert_eq!(of(&told, file)["done"]["already"], false, "{told:?}");
        let verified = world.cli(["verify", file.to_str().unwrap()]);
        assert_eq!(verified.code, 0, "{verified:?}");
    }
    let credited = of(&told, &files[1])["done"]["id"].as_str().unwrap().to_owned();
    assert_eq!(day.states(&credited).await["regions"]["document"], "PartlyCredited");

    // Mended and sent again: the rest is left alone, with its receipt or without.
    std::fs::write(&wrong, form("MANY-3", "100").to_string()).unwrap();
    std::fs::remove_file(receipt(&files[1])).unwrap();
    let (code, told) = submit(world, &named, &["--agent", "bank"]);
    assert_eq!((code, told.len()), (0, 4), "{told:?}");
    for file in &files[..3] {
        assert_eq!(of(&told, file)["done"]["already"], true, "{told:?}");
    }
    assert_eq!(of(&told, &wrong)["done"]["already"], false, "{told:?}");
    assert!(receipt(&files[1]).exists());
}
