//! Finding the files to notarize, and writing files so that a kill leaves the old one or the new one.

use std::io::Write;
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
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|source| seen.insert(source.receipt.clone()));
    Ok(found)
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
    write_as(path, bytes, 0o644)
}

/// As [`write`], readable by the owner only.
///
/// # Errors
/// As [`write`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    write_as(path, bytes, 0o600)
}

fn write_as(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let attempt = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .permissions(std::fs::Permissions::from_mode(mode))
            .tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    attempt().map_err(|error| io("can't write", path, &error))
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
