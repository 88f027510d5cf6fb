//! The signing guard on disk.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use muniment_ledger::engine::{FileGuard, GuardError, Refusal, SignGuard, SignSlot};
use proptest::prelude::*;

const NETWORK: [u8; 32] = [1; 32];
const HEADER: usize = 128;
const RECORD: usize = 64;
const CHECKSUM: usize = 8;

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard");
    (folder, path)
}

/// Opens the guard of a validator that has no blocks.
fn open(path: &Path) -> Result<FileGuard, GuardError> {
    FileGuard::open(path, NETWORK, 0)
}

fn slot(height: u64, round: u32, step: u8) -> SignSlot {
    SignSlot { height, round, step }
}

fn why(result: Result<(), GuardError>) -> Option<Refusal> {
    match result {
        Ok(()) => None,
        Err(GuardError::Refused { why, .. }) => Some(why),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn one_digest_per_slot_also_after_a_restart() {
    let (_folder, path) = place();
    let guard = FileGuard::create(&path, NETWORK, 0).unwrap();
    guard.check(slot(5, 0, 1), [1; 32]).unwrap();
    // Signed but not sent: a second digest is refused in this run.
    assert_eq!(why(guard.check(slot(5, 0, 1), [2; 32])), Some(Refusal::Conflict));
    drop(guard);
    // It never left, so after a restart the log decides, not the guard.
    let guard = open(&path).unwrap();
    guard.check(slot(5, 0, 1), [2; 32]).unwrap();
    guard.record(slot(5, 0, 1), [2; 32]).unwrap();
    drop(guard);

    let guard = open(&path).unwrap();
    assert_eq!(guard.last_height(), 5);
    guard.check(slot(5, 0, 1), [2; 32]).unwrap();
    guard.record(slot(5, 0, 1), [2; 32]).unwrap();
    assert_eq!(why(guard.check(slot(5, 0, 1), [1; 32])), Some(Refusal::Conflict));
    assert_eq!(why(guard.record(slot(5, 0, 1), [1; 32])), Some(Refusal::Conflict));
    assert_eq!(why(guard.check(slot(4, 9, 2), [1; 32])), Some(Refusal::Older));
    // Own proposals are sent after the prevote of the same round.
    guard.record(slot(5, 0, 0), [7; 32]).unwrap();
    guard.record(slot(5, 3, 2), [3; 32]).unwrap();
    guard.record(slot(6, 0, 0), [3; 32]).unwrap();
    assert_eq!(why(guard.record(slot(5, 3, 2), [3; 32])), Some(Refusal::Older));
}

#[test]
fn the_floor_is_durable_and_only_rises() {
    let (_folder, path) = place();
    let guard = FileGuard::create(&path, NETWORK, 10).unwrap();
    assert_eq!(why(guard.check(slot(10, 99, 2), [1; 32])), Some(Refusal::Floor(10)));
    guard.record(slot(11, 0, 1), [1; 32]).unwrap();
    guard.raise_floor(5).unwrap();
    assert_eq!(guard.floor(), 10);
    guard.raise_floor(11).unwrap();
    drop(guard);
    let guard = open(&path).unwrap();
    assert_eq!((guard.floor(), guard.last_height()), (11, 11));
    assert_eq!(why(guard.record(slot(11, 0, 1), [1; 32])), Some(Refusal::Floor(11)));
    guard.record(slot(12, 0, 1), [1; 32]).unwrap();
}

#[test]
fn long_rounds_and_full_files_forget_nothing_that_matters() {
    let (_folder, path) = place();
    let guard = FileGuard::create(&path, NETWORK, 0).unwrap();
    for round in 0..1100 {
        guard.record(slot(1, round, 1), [1; 32]).unwrap();
    }
    drop(guard);
    let guard = open(&path).unwrap();
    assert_eq!(why(guard.check(slot(1, 1099, 1), [2; 32])), Some(Refusal::Conflict));
    assert_eq!(why(guard.check(slot(1, 1050, 1), [2; 32])), Some(Refusal::Conflict));
    // Dropped rounds are refused, not forgotten.
    assert_eq!(why(guard.check(slot(1, 17, 2), [2; 32])), Some(Refusal::Older));
    guard.check(slot(1, 1099, 2), [2; 32]).unwrap();
}

#[test]
fn a_missing_foreign_or_newer_file_is_named() {
    let (_folder, path) = place();
    assert!(matches!(open(&path), Err(GuardError::Missing(_))));
    FileGuard::create(&path, NETWORK, 0).unwrap();
    assert!(matches!(
        FileGuard::create(&path, NETWORK, 0),
        Err(GuardError::Exists(_))
    ));
    assert!(matches!(
        FileGuard::open(&path, [2; 32], 0),
        Err(GuardError::Foreign(_))
    ));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[11] = 2;
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(open(&path), Err(GuardError::Version { version: 2, .. })));
}

#[test]
fn a_torn_last_record_never_left_and_is_dropped() {
    let (_folder, path) = place();
    let guard = FileGuard::create(&path, NETWORK, 0).unwrap();
    guard.record(slot(1, 0, 1), [1; 32]).unwrap();
    guard.record(slot(1, 0, 2), [2; 32]).unwrap();
    drop(guard);
    let whole = std::fs::read(&path).unwrap();
    // Its end is the checksum.
    for written in 0..=RECORD - CHECKSUM {
        let mut torn = whole.clone();
        torn[HEADER + RECORD + written..HEADER + 2 * RECORD].fill(0);
        std::fs::write(&path, torn).unwrap();
        let guard = open(&path).unwrap();
        assert_eq!(why(guard.check(slot(1, 0, 1), [9; 32])), Some(Refusal::Conflict));
        guard.record(slot(1, 0, 2), [3; 32]).unwrap();
        drop(guard);
        let guard = open(&path).unwrap();
        assert_eq!(
            why(guard.check(slot(1, 0, 2), [2; 32])),
            Some(Refusal::Conflict),
            "{written} bytes written"
        );
    }
}

#[test]
fn damage_is_never_read_as_permission() {
    let (_folder, path) = place();
    let guard = FileGuard::create(&path, NETWORK, 3).unwrap();
    for height in 4..8 {
        guard.record(slot(height, 0, 1), [1; 32]).unwrap();
    }
    drop(guard);
    let whole = std::fs::read(&path).unwrap();
    for at in 0..HEADER + 3 * RECORD {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        std::fs::write(&path, damaged).unwrap();
        assert!(open(&path).is_err(), "byte {at}");
    }
    // The last record may have been all there is of a signature that left. Where in the file it stood says nothing about
    // its height, but the validator had got no further than to the height after its blocks.
    for at in HEADER + 3 * RECORD..HEADER + 4 * RECORD {
        for decided in [0, 6, 9] {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            std::fs::write(&path, damaged).unwrap();
            let floor = 7.max(decided + 1);
            let opened = || FileGuard::open(&path, NETWORK, decided).unwrap();
            let guard = opened();
            assert_eq!(guard.floor(), floor, "byte {at}, blocks to {decided}");
            for digest in [[1; 32], [2; 32]] {
                let refused = why(guard.check(slot(floor, 0, 1), digest));
                assert_eq!(refused, Some(Refusal::Floor(floor)), "byte {at}, blocks to {decided}");
            }
            // Opened again it says the same, also once it has got on and the damage is gone.
            assert_eq!(opened().floor(), floor);
            guard.record(slot(floor + 1, 0, 1), [3; 32]).unwrap();
            let guard = FileGuard::open(&path, NETWORK, 0).unwrap();
            assert_eq!((guard.floor(), guard.last_height()), (floor, floor + 1));
        }
    }
    for length in [0, 10, HEADER, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(
            matches!(open(&path), Err(GuardError::Corrupt { .. })),
            "length {length}"
        );
    }
    let mut longer = whole;
    longer.push(0);
    std::fs::write(&path, longer).unwrap();
    assert!(matches!(open(&path), Err(GuardError::Corrupt { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever is asked in whatever order, with restarts in between: no slot ever gets two digests.
    #[test]
    fn never_two_digests_for_a_slot(
        asked in proptest::collection::vec((1_u64..5, 0_u32..4, 0_u8..3, 0_u8..3, any::<bool>()), 1..60)
    ) {
        let (_folder, path) = place();
        let mut guard = FileGuard::create(&path, NETWORK, 1).unwrap();
        let mut sent = BTreeMap::new();
        for (height, round, step, digest, restart) in asked {
            let slot = slot(height, round, step);
            if guard.check(slot, [digest; 32]).is_ok() && guard.record(slot, [digest; 32]).is_ok() {
                prop_assert!(height > 1);
                let first = *sent.entry(slot).or_insert(digest);
                prop_assert_eq!(first, digest);
            }
            if restart {
                drop(guard);
                guard = open(&path).unwrap();
            }
        }
    }
}
