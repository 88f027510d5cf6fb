//! Finding the files to notarize, and writing files so that a kill leaves the old one or the new one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Failure, Result, io};

/// Ending of receipt files.
pub const RECEIPT: &str = "receipt";

/// `contract.pdf` → `contract.pdf.receipt`, in `out` when given.
pub fn receipt_path(document: &Path, out: Option<&Path>) -> PathBuf {
    let mut name = document.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(RECEIPT);
    match out {
        Some(folder) => folder.join(name),
        None => document.with_file_name(name),
    }
}

/// Whether a path is named as a receipt.
pub fn is_receipt(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == RECEIPT)
}

/// One file to notarize.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The document.
    pub document: PathBuf,
    /// Where its receipt goes.
    pub receipt: PathBuf,
}

/// Files named or found, in a stable order, without receipts and without the CLI's own half-written files. A folder
/// needs `recursive`. Below `out` a folder's own tree is kept, so that equal names in different folders stay apart.
///
/// # Errors
/// When a path does not exist, is a folder without `recursive`, or a folder can't be listed.
pub fn collect(paths: &[PathBuf], recursive: bool, out: Option<&Path>) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for path in paths {
        let meta = std::fs::metadata(path).map_err(|error| io("can't read", path, &error))?;
        if !meta.is_dir() {
            if is_receipt(path) {
                return Err(Failure::usage(
                    "is_receipt",
                    format!("{} is itself a receipt", path.display()),
                    "name the document; to check a receipt use `muniment verify`",
                ));
            }
            found.push(Source {
                document: path.clone(),
                receipt: receipt_path(path, out),
            });
        } else if recursive {
            folder(path, out, &mut found)?;
        } else {
            return Err(Failure::usage(
                "is_folder",
                format!("{} is a folder", path.display()),
                format!(
                    "add -r to notarize the files in it: muniment notarize -r {}",
                    path.display()
                ),
            ));
        }
    }
    distinct(found)
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
                    other.display(),
                    source.document.display(),
                    source.receipt.display()
                ),
                "notarize them in two runs with different folders for --out, or name a folder above both with -r",
            ));
        }
        kept.push(source);
    }
    Ok(kept)
}

/// One path for one file, by whatever way it was named. Its last part stays: a link to a file is a document of its own,
/// with a receipt beside the link.
///
/// # Errors
/// When its folder can't be resolved.
pub fn resolved(path: &Path) -> Result<PathBuf> {
    let folder = parent(path);
    let name = path.file_name().unwrap_or_default();
    let folder = std::fs::canonicalize(folder).map_err(|error| io("can't find", folder, &error))?;
    Ok(folder.join(name))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn folder(root: &Path, out: Option<&Path>, found: &mut Vec<Source>) -> Result<()> {
    for entry in walkdir::WalkDir::new(root).sort_by_file_name() {
        let entry = entry.map_err(|error| {
            Failure::new(
                "io",
                format!("a folder can't be listed: {error}"),
                "check its permissions",
            )
        })?;
        let name = entry.file_name().to_string_lossy();
        if !entry.file_type().is_file() || is_receipt(entry.path()) || name.starts_with(TEMPORARY) {
            continue;
        }
        let out = out.map(
            |out| match entry.path().parent().and_then(|parent| parent.strip_prefix(root).ok()) {
                Some(below) => out.join(below),
                None => out.to_owned(),
            },
        );
        let receipt = receipt_path(entry.path(), out.as_deref());
        found.push(Source {
            document: entry.into_path(),
            receipt,
        });
    }
    Ok(())
}

const TEMPORARY: &str = ".muniment-";

/// Writes a file whole: to a temporary file beside it, synced, then renamed over it.
///
/// # Errors
/// When the folder can't be made or written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_as(path, bytes, 0o644, Over::Replace).map_err(|error| io("can't write", path, &error))
}

/// As [`write`], but a file that is there already stays, unless it may be replaced.
///
/// # Errors
/// As [`write`], and when there is a file of this name.
pub fn write_new(path: &Path, bytes: &[u8], replace: bool) -> Result<()> {
    let over = if replace { Over::Replace } else { Over::Keep };
    write_as(path, bytes, 0o644, over).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::usage(
            "exists",
            format!("{} is there already", path.display()),
            "name another file with --out, or replace it with --force",
        ),
        _ => io("can't write", path, &error),
    })
}

/// As [`write`], readable by the owner only, and on disk with its name when this returns.
///
/// # Errors
/// As [`write`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    write_as(path, bytes, 0o600, Over::Replace)
        .and_then(|()| sync_folder(parent(path)))
        .map_err(|error| io("can't write", path, &error))
}

/// A document's receipt, never over another file: answers `false` when there is one. It is as readable as its
/// document, to the same group if it has it: the salt in it is what keeps a guess at the document from being confirmed.
///
/// # Errors
/// As [`write`].
pub fn write_receipt(source: &Source, bytes: &[u8]) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let path = &source.receipt;
    let document = std::fs::metadata(&source.document).ok();
    let mode = document
        .as_ref()
        .map_or(0, |document| document.permissions().mode() & 0o666);
    let group = document.as_ref().map(std::os::unix::fs::MetadataExt::gid);
    match write_for(path, bytes, mode | 0o600, group, Over::Keep) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(io("can't write", path, &error)),
    }
}

/// Makes sure that files written in these files' folders keep their names through a power cut.
///
/// # Errors
/// When a folder can't be synced.
pub fn sync_folders<'a>(files: impl Iterator<Item = &'a Path>) -> Result<()> {
    let folders: BTreeSet<&Path> = files.map(parent).collect();
    for folder in folders {
        sync_folder(folder).map_err(|error| io("can't sync", folder, &error))?;
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// A whole file, or stdin for `-`, if it is not longer than `limit`; a longer one costs no memory. `None` if it is.
///
/// # Errors
/// When it can't be read.
pub fn read_bounded(path: &Path, limit: usize) -> Result<Option<Vec<u8>>> {
    let read = || {
        let (file, length): (Box<dyn Read>, u64) = if path == Path::new("-") {
            (Box::new(std::io::stdin().lock()), 0)
        } else {
            let file = std::fs::File::open(path)?;
            let length = file.metadata()?.len();
            (Box::new(file), length)
        };
        if length > limit as u64 {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(length as usize + 1);
        file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        Ok((bytes.len() <= limit).then_some(bytes))
    };
    read().map_err(|error| Failure {
        class: crate::error::Class::Usage,
        ..io("can't read", path, &error)
    })
}

/// What to do about a file that is there already.
enum Over {
    Replace,
    Keep,
}

fn write_as(path: &Path, bytes: &[u8], mode: u32, over: Over) -> std::io::Result<()> {
    write_for(path, bytes, mode, None, over)
}

/// `group` is whom the group bits of `mode` are meant for; a file of another group doesn't get them.
fn write_for(path: &Path, bytes: &[u8], mode: u32, group: Option<u32>, over: Over) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = parent(path);
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .permissions(std::fs::Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    if group.is_some_and(|group| file.as_file().metadata().is_ok_and(|own| own.gid() != group)) {
        file.as_file()
            .set_permissions(std::fs::Permissions::from_mode(mode & !0o070))?;
    }
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    match over {
        Over::Replace => file.persist(path),
        Over::Keep => file.persist_noclobber(path),
    }
    .map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_walked_in_order_and_receipts_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("sub")).unwrap();
        for name in ["b.txt", "a.txt", "a.txt.receipt", "sub/a.txt", ".muniment-xyz"] {
            std::fs::write(root.join(name), name).unwrap();
        }
        let found = collect(&[root.to_owned()], true, None).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|source| source.document.strip_prefix(root).unwrap().to_owned())
            .collect();
        assert_eq!(names, ["a.txt", "b.txt", "sub/a.txt"].map(PathBuf::from));
        assert_eq!(found[0].receipt, root.join("a.txt.receipt"));
        let out = collect(&[root.to_owned()], true, Some(Path::new("/out"))).unwrap();
        assert_eq!(out[2].receipt, Path::new("/out/sub/a.txt.receipt"));
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
            let found = collect(&named, false, out).unwrap();
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
        assert_eq!(collect(&named, false, None).unwrap().len(), 2);
        let failure = collect(&named, false, Some(Path::new("/out"))).unwrap_err();
        assert_eq!(
            (failure.code.as_str(), failure.class),
            ("same_receipt", crate::error::Class::Usage)
        );
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
        assert_eq!(
            collect(&[root.to_owned()], true, Some(Path::new("/out")))
                .unwrap()
                .len(),
            2
        );
    }

    #[test]
    fn a_receipt_is_never_replaced_and_as_readable_as_its_document() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        for (name, mode, expected) in [
            ("a", 0o600, 0o600),
            ("b", 0o644, 0o644),
            ("c", 0o440, 0o640),
            ("d", 0o755, 0o644),
        ] {
            let document = folder.path().join(name);
            std::fs::write(&document, name).unwrap();
            std::fs::set_permissions(&document, std::fs::Permissions::from_mode(mode)).unwrap();
            let receipt = receipt_path(&document, None);
            let source = Source {
                document,
                receipt: receipt.clone(),
            };
            assert!(write_receipt(&source, b"one").unwrap());
            assert!(!write_receipt(&source, b"two").unwrap());
            assert_eq!(std::fs::read(&receipt).unwrap(), b"one");
            assert_eq!(
                receipt.metadata().unwrap().permissions().mode() & 0o777,
                expected,
                "{name}"
            );
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 8);
    }

    #[test]
    fn a_folder_needs_the_flag_and_a_receipt_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            collect(&[folder.path().to_owned()], false, None).unwrap_err().code,
            "is_folder"
        );
        let receipt = folder.path().join("x.receipt");
        std::fs::write(&receipt, "x").unwrap();
        assert_eq!(collect(&[receipt], false, None).unwrap_err().code, "is_receipt");
        assert_eq!(
            collect(&[folder.path().join("none")], false, None).unwrap_err().code,
            "io"
        );
    }

    #[test]
    fn a_written_file_replaces_the_old_one_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/x.receipt");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
