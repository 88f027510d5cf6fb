//! Finding documents and where their receipts lie: named ones, and with `-r` those in folders.
//!
//! Never answers a document whose receipt would come to lie among the files of a ledger: its database takes every name
//! in its folders for one of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use muniment_operator::DataDir;

use super::{Source, TEMPORARY, is_receipt, parent, receipt_path, resolved};
use crate::error::{Failure, Result, io, named};
use crate::files::Shown;

/// What was named or found.
#[derive(Debug, Default)]
pub struct Found {
    /// Files, in a stable order, each once.
    pub sources: Vec<Source>,
    /// Receipts in folders that lie there without their document.
    pub alone: Vec<PathBuf>,
    /// Folders that were passed by, a sentence each.
    pub passed: Vec<String>,
    /// Folders in folders that can't be listed.
    pub unlisted: Vec<(PathBuf, Failure)>,
}

/// Files named or found, in a stable order, without receipts and without the CLI's own half-written files. A folder
/// needs `recursive`; hidden folders and data folders in it are passed by. Below `out` a folder's own tree is kept, so
/// that equal names in different folders stay apart.
///
/// # Errors
/// When a path does not exist, is a folder without `recursive`, or a receipt would lie in a data folder.
pub fn collect(paths: &[PathBuf], recursive: bool, out: Option<&Path>) -> Result<Found> {
    let mut found = Found::default();
    for path in paths {
        let meta = std::fs::metadata(path).map_err(|error| named("can't read", path, &error))?;
        if !meta.is_dir() && !meta.is_file() {
            return Err(Failure::usage(
                "no_file",
                format!("{} is neither a file nor a folder", path.shown()),
                "write what comes out of it into a file, and notarize that",
            ));
        }
        if !meta.is_dir() {
            if is_receipt(path) {
                return Err(Failure::usage(
                    "is_receipt",
                    format!("{} is itself a receipt", path.shown()),
                    "name the document; to check a receipt use `muniment verify`",
                ));
            }
            found.sources.push(Source {
                document: path.clone(),
                receipt: receipt_path(path, out),
            });
        } else if recursive {
            let whole = std::fs::canonicalize(path).map_err(|error| named("can't read", path, &error))?;
            apart(path, &whole)?;
            folder(path, out, &mut found);
        } else {
            return Err(Failure::usage(
                "is_folder",
                format!("{} is a folder", path.shown()),
                format!("add -r to take the files in it: -r {}", path.shown()),
            ));
        }
    }
    found.sources = distinct(found.sources)?;
    let folders: BTreeSet<&Path> = found.sources.iter().map(|source| parent(&source.receipt)).collect();
    for folder in folders {
        // A folder that isn't there yet is made in one that is.
        let absolute = std::path::absolute(folder).map_err(|error| named("can't find", folder, &error))?;
        let there = absolute.ancestors().find_map(|above| std::fs::canonicalize(above).ok());
        apart(folder, &there.unwrap_or(absolute))?;
    }
    Ok(found)
}

/// Each document once, however it was named; two documents that would get the same receipt are refused.
fn distinct(found: Vec<Source>) -> Result<Vec<Source>> {
    let mut documents = BTreeSet::new();
    let mut receipts: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    let mut kept = Vec::with_capacity(found.len());
    for source in found {
        if !documents.insert(resolved(&source.document)?) {
            continue;
        }
        if let Some(other) = receipts.insert(source.receipt.clone(), source.document.clone()) {
            return Err(Failure::usage(
                "same_receipt",
                format!(
                    "{} and {} would both get the receipt {}",
                    other.shown(),
                    source.document.shown(),
                    source.receipt.shown()
                ),
                "notarize them in two runs with different folders for --out, or name a folder above both with -r",
            ));
        }
        kept.push(source);
    }
    Ok(kept)
}

/// Refuses what lies in a data folder. `whole` is the path without links.
fn apart(path: &Path, whole: &Path) -> Result<()> {
    let Some(data) = whole.ancestors().find(|above| DataDir::is_one(above)) else {
        return Ok(());
    };
    Err(Failure::usage(
        "data_folder",
        format!(
            "{} is in the data folder {} of a muniment server; receipts among its files would damage it",
            path.shown(),
            data.shown()
        ),
        "name other files, or put a copy of these and its receipts elsewhere",
    ))
}

fn folder(root: &Path, out: Option<&Path>, found: &mut Found) {
    let (mut hidden, mut others) = (Vec::new(), Vec::new());
    let mut walk = walkdir::WalkDir::new(root).sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                found.unlisted.push(unlisted(root, error));
                continue;
            }
        };
        let name = entry.file_name().to_string_lossy();
        if entry.file_type().is_dir() {
            let below = entry.depth() > 0;
            if below && DataDir::is_one(entry.path()) {
                let folder = entry.path().shown();
                found
                    .passed
                    .push(format!("{folder} is the data folder of a muniment server: passed by"));
                walk.skip_current_dir();
            } else if below && name.starts_with('.') {
                hidden.push(entry.into_path());
                walk.skip_current_dir();
            }
            continue;
        }
        if !entry.file_type().is_file() {
            others.push(entry.into_path());
            continue;
        }
        if name.starts_with(TEMPORARY) {
            continue;
        }
        if is_receipt(entry.path()) {
            if !entry.path().with_extension("").exists() {
                found.alone.push(entry.into_path());
            }
            continue;
        }
        let out = out.map(
            |out| match entry.path().parent().and_then(|parent| parent.strip_prefix(root).ok()) {
                Some(below) => out.join(below),
                None => out.to_owned(),
            },
        );
        let receipt = receipt_path(entry.path(), out.as_deref());
        found.sources.push(Source {
            document: entry.into_path(),
            receipt,
        });
    }
    found.passed.extend(told(&hidden));
    found.passed.extend(others.first().map(|first| {
        let (many, first) = (others.len(), first.shown());
        format!("{many} links and other things that are no files were passed by, {first} first; name what they lead to")
    }));
}

/// One sentence on all hidden folders.
fn told(hidden: &[PathBuf]) -> Option<String> {
    let first = hidden.first()?.shown();
    Some(match hidden.len() {
        1 => format!("{first} is hidden: passed by; name it to take what is in it"),
        many => format!("{many} hidden folders were passed by, {first} first; name one to take what is in it"),
    })
}

fn unlisted(root: &Path, error: walkdir::Error) -> (PathBuf, Failure) {
    let path = error.path().unwrap_or(root).to_owned();
    let failure = match error.io_error() {
        Some(io_error) => io("can't list", &path, io_error),
        None => Failure::new(
            "io",
            format!("a folder can't be listed: {error}"),
            "check the links in it",
        ),
    };
    (path, failure)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::Class;

    fn names(root: &Path, found: &Found) -> Vec<PathBuf> {
        let name = |source: &Source| source.document.strip_prefix(root).unwrap().to_owned();
        found.sources.iter().map(name).collect()
    }

    #[test]
    fn folders_are_walked_in_order_and_receipts_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("sub")).unwrap();
        for name in [
            "b.txt",
            "a.txt",
            "a.txt.receipt",
            "lost.txt.receipt",
            "sub/a.txt",
            ".muniment-xyz",
        ] {
            std::fs::write(root.join(name), name).unwrap();
        }
        let found = collect(&[root.to_owned()], true, None).unwrap();
        assert_eq!(names(root, &found), ["a.txt", "b.txt", "sub/a.txt"].map(PathBuf::from));
        assert_eq!(found.sources[0].receipt, root.join("a.txt.receipt"));
        assert_eq!(found.alone, [root.join("lost.txt.receipt")]);
        assert!(found.passed.is_empty() && found.unlisted.is_empty());
        let out = collect(&[root.to_owned()], true, Some(Path::new("/out"))).unwrap();
        assert_eq!(out.sources[2].receipt, Path::new("/out/sub/a.txt.receipt"));
    }

    #[test]
    fn a_document_is_taken_once_however_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("sub")).unwrap();
        std::fs::write(root.join("a"), "a").unwrap();
        std::fs::write(root.join("sub/b"), "b").unwrap();
        std::os::unix::fs::symlink(root.join("sub"), root.join("link")).unwrap();
        let named = ["a", "./a", "sub/../a", "sub/b", "link/b"].map(|name| root.join(name));
        for out in [None, Some(Path::new("/out"))] {
            let found = collect(&named, false, out).unwrap().sources;
            let documents: Vec<_> = found.into_iter().map(|source| source.document).collect();
            assert_eq!(documents, [root.join("a"), root.join("sub/b")]);
        }
    }

    #[test]
    fn two_documents_with_one_receipt_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["one", "two"] {
            std::fs::create_dir(root.join(name)).unwrap();
            std::fs::write(root.join(name).join("contract.pdf"), name).unwrap();
        }
        let named = ["one/contract.pdf", "two/contract.pdf"].map(|name| root.join(name));
        assert_eq!(collect(&named, false, None).unwrap().sources.len(), 2);
        let failure = collect(&named, false, Some(Path::new("/out"))).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.class), ("same_receipt", Class::Usage));
        for path in named
            .iter()
            .map(PathBuf::as_path)
            .chain([Path::new("/out/contract.pdf.receipt")])
        {
            assert!(failure.message.contains(path.to_str().unwrap()), "{failure}");
        }
        let folders = ["one", "two"].map(|name| root.join(name));
        let failure = collect(&folders, true, Some(Path::new("/out"))).unwrap_err();
        assert_eq!(failure.code, "same_receipt");
        // Below a folder above both they stay apart.
        let found = collect(&[root.to_owned()], true, Some(Path::new("/out"))).unwrap();
        assert_eq!(found.sources.len(), 2);
    }

    #[test]
    fn a_folder_needs_the_flag_and_a_receipt_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let code = |paths: &[PathBuf]| collect(paths, false, None).unwrap_err();
        assert_eq!(code(&[folder.path().to_owned()]).code, "is_folder");
        let receipt = folder.path().join("x.receipt");
        std::fs::write(&receipt, "x").unwrap();
        assert_eq!(code(&[receipt]).code, "is_receipt");
        let missing = code(&[folder.path().join("none")]);
        assert_eq!((missing.code.as_str(), missing.class), ("io", Class::Usage));
    }

    #[test]
    fn data_folders_and_hidden_folders_are_passed_by_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let tables = root.join("muniment-data/networks/demo/tables");
        for made in [&tables, &root.join(".git/refs"), &root.join("papers/.cache")] {
            std::fs::create_dir_all(made).unwrap();
            std::fs::write(made.join("1"), "1").unwrap();
        }
        std::fs::write(root.join("a"), "a").unwrap();
        drop(DataDir::open(&root.join("other")).unwrap());
        for name in ["format", "lock"] {
            std::fs::copy(root.join("other").join(name), root.join("muniment-data").join(name)).unwrap();
        }
        let found = collect(&[root.to_owned()], true, None).unwrap();
        assert_eq!(names(root, &found), [PathBuf::from("a")]);
        let said = found.passed.join("\n");
        for word in ["muniment-data is the data folder", "other is", "2 hidden", ".git"] {
            assert!(said.contains(word), "no `{word}` in {said}");
        }
        // A hidden folder is walked when it is what the user wants.
        assert_eq!(
            collect(&[root.join("papers/.cache")], true, None)
                .unwrap()
                .sources
                .len(),
            1
        );
        // Nothing named lies in a data folder, nor does a receipt.
        let data = root.join("muniment-data");
        std::os::unix::fs::symlink(&tables, root.join("link")).unwrap();
        for (named, out) in [
            (data.clone(), None),
            (tables.clone(), None),
            (root.join("link"), None),
            (tables.join("1"), None),
            (root.join("a"), Some(data.join("receipts/new"))),
        ] {
            let failure = collect(std::slice::from_ref(&named), true, out.as_deref()).unwrap_err();
            assert_eq!(
                (failure.code.as_str(), failure.class),
                ("data_folder", Class::Usage),
                "{named:?}"
            );
        }
        let elsewhere = collect(&[tables.join("1")], false, Some(&root.join("receipts"))).unwrap();
        assert_eq!(elsewhere.sources.len(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_listed_costs_nothing_but_itself() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let shut = root.join("shut");
        std::fs::create_dir(&shut).unwrap();
        std::fs::write(root.join("a"), "a").unwrap();
        std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o000)).unwrap();
        let stopped = std::fs::read_dir(&shut).is_err();
        let found = collect(&[root.to_owned()], true, None).unwrap();
        std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(names(root, &found), [PathBuf::from("a")]);
        // Permissions don't stop root.
        if stopped {
            let [(path, failure)] = found.unlisted.as_slice() else {
                panic!("{found:?}")
            };
            assert!(*path == shut && failure.message.contains("shut"), "{failure}");
        }
    }

    #[test]
    fn what_is_no_file_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::write(root.join("a"), "a").unwrap();
        std::os::unix::fs::symlink(root.join("a"), root.join("link")).unwrap();
        let socket = root.join("socket");
        let _open = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let found = collect(&[root.to_owned()], true, None).unwrap();
        assert_eq!(names(root, &found), [PathBuf::from("a")]);
        assert!(
            found.passed[0].starts_with("2 links and other things"),
            "{:?}",
            found.passed
        );
        // A pipe would be waited for without end.
        let refused = collect(&[socket], false, None).unwrap_err();
        assert_eq!(refused.code, "no_file");
        // A link that is named is followed.
        let found = collect(&[root.join("link")], false, None).unwrap();
        assert_eq!(found.sources.len(), 1);
    }
}
