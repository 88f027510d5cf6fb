//! Damage on disk: a validator whose files changed behind its back says which one, or makes it anew from what is
//! whole. It never takes part with wrong data, and the others go on.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

use muniment_tests::load::{Load, check};
use muniment_tests::local::LocalWorld;
use muniment_tests::poll;
use muniment_tests::world::{World, agreement, statuses};

const DAMAGED: &str = "validator-0";
/// Most bytes changed in a file.
const HOLE: usize = 4096;

/// What became of the validator.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    /// Its log names the file (or the database it belongs to) as damaged.
    Named,
    /// It is at the tip with everybody's state root, and votes.
    Whole,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_named_or_made_anew_and_the_others_go_on() {
    let mut world = LocalWorld::fresh().await;
    let load = Load::start(&world.api(), 4);
    load.progress(200).await;
    let mut promises = load.finish().await;
    agreement(&world).await;
    world.kill_all().await;

    let folder = world.replica_folder(DAMAGED);
    let kept = world.path("kept");
    copy(&folder, &kept);
    let files = one_of_each_kind(&kept);
    assert!(files.iter().any(|file| file.ends_with("data/blocks")), "{files:?}");
    // The copy alone changes nothing: what is named below is the damage.
    assert_eq!(restored(&kept, &mut world, &folder, &mut promises).await, Ending::Whole);
    for file in files {
        for (how, damage) in [("changed", change as fn(&Path)), ("cut", cut)] {
            std::fs::remove_dir_all(&folder).unwrap();
            copy(&kept, &folder);
            let name = file.strip_prefix(&kept).unwrap();
            damage(&folder.join(name));
            let ending = restarted(&mut world, name, &mut promises).await;
            println!("{} {how}: {ending:?}", name.display());
            // What was promised on can't be made anew by the validator alone. Keys and genesis are the supervisor's: it
            // writes them again.
            if ["data/blocks", "data/guard"].iter().any(|truth| name.ends_with(truth)) {
                assert_eq!(ending, Ending::Named, "{} {how}", name.display());
            }
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    copy(&kept, &folder);
    world.start().await;
    agreement(&world).await;
    check(&world, &promises).await;
}

async fn restored(
    kept: &Path,
    world: &mut LocalWorld,
    folder: &Path,
    promises: &mut Vec<muniment_tests::load::Promise>,
) -> Ending {
    std::fs::remove_dir_all(folder).unwrap();
    copy(kept, folder);
    restarted(world, Path::new("nothing damaged"), promises).await
}

/// Starts everything, writes, sees what became of the damaged validator, and kills everything.
async fn restarted(world: &mut LocalWorld, name: &Path, promises: &mut Vec<muniment_tests::load::Promise>) -> Ending {
    let before = log_of(world).len();
    world.start().await;
    let load = Load::start(&world.api(), 2);
    load.progress(20).await;
    let file = told(name);
    let words = [
        "corrupt",
        "damaged",
        "inconsistent",
        "not a valid",
        "can't be read",
        "can't be used",
    ];
    let ending = poll::until("the damaged validator says so, or is whole", || async {
        let log = log_of(world).split_off(before);
        let named = log
            .lines()
            .any(|line| line.contains("error") && line.contains(&file) && words.iter().any(|word| line.contains(word)));
        if named {
            return Some(Ending::Named);
        }
        let all = statuses(world).await;
        let tip = all.iter().map(|status| status.height).max()?;
        all.iter()
            .any(|status| status.name == DAMAGED && status.voting && status.height + 3 >= tip)
            .then_some(Ending::Whole)
    })
    .await;
    promises.extend(load.finish().await);
    match ending {
        Ending::Named => {
            let status = world.cli(["network", "status"]);
            assert_eq!(status.code, 0, "three of four hold the quorum: {status:?}");
            let votes = |status: &muniment_ledger::wire::NodeStatus| status.name == DAMAGED && status.voting;
            assert!(!statuses(world).await.iter().any(votes), "{}", name.display());
        }
        Ending::Whole => {
            agreement(world).await;
        }
    }
    world.kill_all().await;
    ending
}

/// The name by which a log tells of a file: of one in a folder, such as a database's, the folder's.
fn told(file: &Path) -> String {
    let below = file.iter().skip_while(|part| *part != "data").nth(1);
    let name = below.or_else(|| file.file_name()).unwrap_or_default();
    match name.to_str().unwrap() {
        "wal" => "write-ahead log".to_owned(),
        name => name.to_lowercase(),
    }
}

/// The file ends in its middle.
fn cut(file: &Path) {
    let length = std::fs::metadata(file).unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(length / 2).unwrap();
}

fn change(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let hole = HOLE.min(bytes.len());
    let start = (bytes.len() - hole) / 2;
    for byte in &mut bytes[start..start + hole] {
        *byte ^= 0x5a;
    }
    std::fs::write(file, bytes).unwrap();
}

/// Copies a folder with all in it, empty files and folders too.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Of the files that are called alike but for their numbers, as a database's tables are, the largest.
fn one_of_each_kind(folder: &Path) -> Vec<PathBuf> {
    let mut kinds = std::collections::BTreeMap::<String, (u64, PathBuf)>::new();
    for file in files(folder) {
        let kind = file.to_string_lossy().replace(|c: char| c.is_ascii_digit(), "");
        let size = std::fs::metadata(&file).unwrap().len();
        if kinds.get(&kind).is_none_or(|(largest, _)| size > *largest) {
            kinds.insert(kind, (size, file));
        }
    }
    kinds.into_values().map(|(_, file)| file).collect()
}

/// All files that hold something, in a fixed order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if entry.metadata().is_ok_and(|meta| meta.len() > 0) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Lower-case log text of the damaged validator.
fn log_of(world: &LocalWorld) -> String {
    world.log(DAMAGED).to_lowercase()
}
