//! Files that survive a crash: written beside, flushed, renamed, and the folder flushed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::backend::BackendError;

/// Who may read a file or folder.
#[derive(Clone, Copy)]
pub(super) enum Access {
    /// As the user's umask says.
    Shared,
    /// The owner only.
    Private,
}

/// Makes an error of a file operation.
pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> BackendError {
    let path = path.to_owned();
    move |source| BackendError::File { what, path, source }
}

/// Creates a folder and its parents; they survive a power cut.
pub(super) fn folder(path: &Path, access: Access) -> Result<(), BackendError> {
    let mode = match access {
        Access::Shared => 0o777,
        Access::Private => 0o700,
    };
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|p| !p.as_os_str().is_empty() && !p.exists())
        .collect();
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(failed("created", path))?;
    // A flushed file in a folder that isn't itself on the disk is lost with the folder.
    missing.into_iter().filter_map(Path::parent).try_for_each(flush)
}

fn flush(folder: &Path) -> Result<(), BackendError> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    File::open(folder)
        .and_then(|opened| opened.sync_all())
        .map_err(failed("flushed", folder))
}

/// Writes a file if it doesn't hold these bytes already. When this returns, the bytes survive a power cut.
pub(super) fn write(path: &Path, bytes: &[u8], access: Access) -> Result<(), BackendError> {
    if read(path)?.is_some_and(|found| found == bytes) {
        return Ok(());
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    write_flushed(beside, bytes, access).map_err(failed("written", beside))?;
    fs::rename(beside, path).map_err(failed("written", path))?;
    flush(path.parent().unwrap_or(Path::new(".")))
}

fn write_flushed(path: &Path, bytes: &[u8], access: Access) -> std::io::Result<()> {
    let mode = match access {
        Access::Shared => 0o644,
        Access::Private => 0o600,
    };
    // A leftover of a crash may have another mode.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Reads a file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, BackendError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Reads a JSON file; `None` when there is none.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, BackendError> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    let damaged = |error: serde_json::Error| BackendError::Damaged {
        path: path.to_owned(),
        problem: error.to_string(),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn private_files_are_private_even_over_a_leftover() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        folder(&keys, Access::Private).unwrap();
        let file = keys.join("a.json");
        fs::write(keys.join("a.json.new"), "leftover").unwrap();
        write(&file, b"secret", Access::Private).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&keys), mode(&file)), (0o700, 0o600));
        assert_eq!(read(&file).unwrap().unwrap(), b"secret");
    }

    #[test]
    fn damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.json");
        fs::write(&file, "{\"half\":").unwrap();
        let error = read_json::<serde_json::Value>(&file).unwrap_err();
        assert!(error.to_string().contains("x.json is damaged"), "{error}");
        assert!(!error.retry());
    }
}
