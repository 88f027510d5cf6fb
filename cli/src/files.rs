//! Files of the CLI: documents and their receipts, written so that a kill leaves the old one or the new one.

mod find;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Failure, Result, io, named};

pub use find::{Found, collect};

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

/// One document and its receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The document.
    pub document: PathBuf,
    /// Where its receipt goes.
    pub receipt: PathBuf,
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

/// Names as they are shown to people.
pub trait Shown {
    /// The path with what would move a terminal's cursor, or change the order of what is read, escaped: a name can't look
    /// like a line of ours.
    fn shown(&self) -> String;
}

impl Shown for Path {
    fn shown(&self) -> String {
        let is_unsafe = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let text = self.to_string_lossy();
        text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
            if is_unsafe(c) {
                shown.extend(c.escape_default());
            } else {
                shown.push(c);
            }
            shown
        })
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// How names of files begin that are nobody's documents.
pub const TEMPORARY: &str = ".muniment-";

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
            format!("{} is there already", path.shown()),
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
    read().map_err(|error| named("can't read", path, &error))
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
    fn a_written_file_replaces_the_old_one_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/x.receipt");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
