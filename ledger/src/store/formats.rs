//! Stores of other versions: each is named with the way on, and left as it is.

use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Store, StoreError, index, log};

/// Sets the byte of the block log that says its version.
fn log_version(data: &Path, version: u8) {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(data.join("blocks"))
        .unwrap();
    file.write_all_at(&[version], log::MAGIC.len() as u64).unwrap();
}

/// Sets the row of the index that says its format.
fn index_format(data: &Path, format: u8) {
    let database = fjall::Database::builder(data.join("index")).open().unwrap();
    let meta = database
        .keyspace("meta", fjall::KeyspaceCreateOptions::default)
        .unwrap();
    meta.insert("format", [format]).unwrap();
    database.persist(fjall::PersistMode::SyncAll).unwrap();
}

type Change = fn(&Path, u8);

#[test]
fn newer_files_are_named_and_read_again_by_the_version_that_wrote_them() {
    let changes: [(&str, Change, u8); 2] = [
        ("blocks", log_version, log::VERSION),
        ("index", index_format, index::FORMAT),
    ];
    for (name, change, known) in changes {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path()).unwrap());
        for newer in [known + 1, u8::MAX] {
            change(folder.path(), newer);
            let error = Store::open(folder.path()).err().unwrap();
            let text = error.to_string();
            let StoreError::Newer { path, found, supported } = error else {
                panic!("{name} of version {newer}: {error:?}");
            };
            assert_eq!((path, found, supported), (folder.path().join(name), newer, known));
            assert!(
                text.contains(name) && text.contains("start the newer version"),
                "{text}"
            );
        }
        change(folder.path(), known);
        Store::open(folder.path()).unwrap();
    }
}

#[test]
fn an_index_of_an_earlier_form_says_how_it_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    index_format(folder.path(), index::FORMAT - 1);
    let error = Store::open(folder.path()).err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, StoreError::Older { .. }), "{text}");
    let index = folder.path().join("index");
    for words in [index.to_str().unwrap(), "earlier version", "remove this folder"] {
        assert!(text.contains(words), "no `{words}` in {text}");
    }
    std::fs::remove_dir_all(index).unwrap();
    Store::open(folder.path()).unwrap();
}
