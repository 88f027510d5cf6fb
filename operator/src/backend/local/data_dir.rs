//! The data folder: one supervisor, a known format.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use muniment_ledger::pid::{PidFile, PidFileError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::files::{self, Access};
use crate::backend::BackendError;

/// Version of the folder's format that this software writes.
const FORMAT: u32 = 1;
const FORMAT_FILE: &str = "format";
const LOCK_FILE: &str = "lock";

/// An opened data folder. While it lives no other supervisor can open it.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    _lock: PidFile,
}

/// A data folder that can't be opened.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// Another supervisor has it.
    #[error("data folder {} is in use by process {}; stop it or choose another folder with --data", .path.display(), .pid.map_or("unknown".to_owned(), |p| p.to_string()))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who has it, if it said so.
        pid: Option<u32>,
    },
    /// Can't be created or written.
    #[error("data folder {} can't be written; choose a folder you may write with --data", .path.display())]
    Unwritable {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Made by newer software.
    #[error(
        "data folder {} has format {found} and this version knows formats up to {FORMAT}; \
         use the newer version of muniment that made it, or choose another folder with --data",
        .path.display()
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Holds something else.
    #[error("folder {} isn't empty and wasn't made by muniment; choose an empty or a new folder with --data", .path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// The format file can't be understood.
    #[error("{} is damaged; put it back from a backup, or write {{\"version\":{FORMAT}}} into it", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct Format {
    version: u32,
}

impl DataDir {
    /// Opens a folder, making it when it isn't there.
    ///
    /// # Errors
    /// When it is in use, can't be written, is of a newer format, or holds something else.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let unwritable = |source| DataDirError::Unwritable {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(path).map_err(unwritable)?;
        let root = fs::canonicalize(path).map_err(unwritable)?;
        // Before anything is written: a folder of others stays as it is.
        let known = check(&root)?;
        let lock = PidFile::claim_file(&root, LOCK_FILE).map_err(|error| match error {
            PidFileError::InUse { pid, .. } => DataDirError::InUse {
                path: root.clone(),
                pid,
            },
            PidFileError::Io { source, .. } => DataDirError::Unwritable {
                path: root.clone(),
                source,
            },
        })?;
        if !known {
            // It will hold keys, tokens and what the API knows. A folder that was ours before keeps what its owner chose.
            close(&root).map_err(unwritable)?;
            let text = format!("{{\"version\":{FORMAT}}}\n");
            files::write(&root.join(FORMAT_FILE), text.as_bytes(), Access::Shared).map_err(|error| match error {
                BackendError::File { source, .. } => DataDirError::Unwritable {
                    path: root.clone(),
                    source,
                },
                other => DataDirError::Unwritable {
                    path: root.clone(),
                    source: std::io::Error::other(other),
                },
            })?;
        }
        Ok(Self { root, _lock: lock })
    }

    /// Whether a folder looks like one that [`Self::open`] made. Opens and locks nothing.
    pub fn is_one(path: &Path) -> bool {
        [FORMAT_FILE, LOCK_FILE].iter().all(|name| path.join(name).is_file())
    }

    /// Absolute path of the folder.
    pub fn path(&self) -> &Path {
        &self.root
    }
}

/// Shuts everybody else out of a folder. Only its owner can; another's folder that we may write stays as it is.
fn close(root: &Path) -> std::io::Result<()> {
    match fs::set_permissions(root, fs::Permissions::from_mode(0o700)) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

/// Whether the folder has a format that we know; `false` for an empty one.
fn check(root: &Path) -> Result<bool, DataDirError> {
    let unwritable = |source| DataDirError::Unwritable {
        path: root.to_owned(),
        source,
    };
    let path = root.join(FORMAT_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            for entry in fs::read_dir(root).map_err(unwritable)? {
                let name = entry.map_err(unwritable)?.file_name();
                // What an opening that was interrupted leaves behind.
                if name != LOCK_FILE && name != "format.new" {
                    return Err(DataDirError::Foreign { path: root.to_owned() });
                }
            }
            return Ok(false);
        }
        Err(error) => return Err(unwritable(error)),
    };
    let format: Format = serde_json::from_str(&text).map_err(|source| DataDirError::Damaged {
        path: path.clone(),
        source,
    })?;
    if format.version > FORMAT {
        return Err(DataDirError::Newer {
            path: root.to_owned(),
            found: format.version,
        });
    }
    Ok(true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn opens_a_new_folder_and_opens_it_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let first = DataDir::open(&path).unwrap();
        assert!(first.path().is_absolute());
        assert_eq!(fs::read_to_string(path.join("format")).unwrap(), "{\"version\":1}\n");
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn nobody_else_may_look_into_it() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let made = dir.path().join("made/data");
        drop(DataDir::open(&made).unwrap());
        let empty = dir.path().join("empty");
        fs::create_dir(&empty).unwrap();
        fs::set_permissions(&empty, fs::Permissions::from_mode(0o755)).unwrap();
        drop(DataDir::open(&empty).unwrap());
        assert_eq!((mode(&made), mode(&empty)), (0o700, 0o700));
        // Opened to a group by its owner: stays so.
        fs::set_permissions(&empty, fs::Permissions::from_mode(0o750)).unwrap();
        DataDir::open(&empty).unwrap();
        assert_eq!(mode(&empty), 0o750);
    }

    #[test]
    fn in_use_names_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let _first = DataDir::open(dir.path()).unwrap();
        let error = DataDir::open(dir.path()).unwrap_err();
        assert!(
            matches!(error, DataDirError::InUse { pid: Some(pid), .. } if pid == std::process::id()),
            "{error}"
        );
        assert!(error.to_string().contains("in use by process"), "{error}");
    }

    #[test]
    fn a_newer_format_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("format"), "{\"version\":2,\"more\":true}").unwrap();
        let error = DataDir::open(dir.path()).unwrap_err();
        assert!(matches!(error, DataDirError::Newer { found: 2, .. }));
        assert!(error.to_string().contains("use the newer version"), "{error}");
        assert!(!dir.path().join("lock").exists());
    }

    #[test]
    fn unwritable_is_named() {
        let dir = tempfile::tempdir().unwrap();
        // A file where a folder should be: refused to everyone, also to root.
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = DataDir::open(&file.join("data")).unwrap_err();
        assert!(matches!(error, DataDirError::Unwritable { .. }), "{error}");
        assert!(error.to_string().contains("choose a folder you may write"), "{error}");
        if !rustix::process::geteuid().is_root() {
            let shut = dir.path().join("shut");
            fs::create_dir(&shut).unwrap();
            fs::set_permissions(&shut, fs::Permissions::from_mode(0o555)).unwrap();
            assert!(matches!(
                DataDir::open(&shut).unwrap_err(),
                DataDirError::Unwritable { .. }
            ));
        }
    }

    #[test]
    fn a_folder_of_others_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.txt"), "").unwrap();
        let error = DataDir::open(dir.path()).unwrap_err();
        assert!(matches!(error, DataDirError::Foreign { .. }), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_format_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("format"), "1").unwrap();
        let error = DataDir::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains("format is damaged"), "{error}");
    }

    #[test]
    fn an_interrupted_first_opening_is_completed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("lock"), "1\n").unwrap();
        fs::write(dir.path().join("format.new"), "{").unwrap();
        DataDir::open(dir.path()).unwrap();
    }
}
