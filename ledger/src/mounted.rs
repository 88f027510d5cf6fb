//! A node's folder where settings, genesis and keys are mounted from elsewhere and only the data is the node's own.
//!
//! ```text
//! <from>/node.json  genesis.json  keys.json   read-only
//! <from>/joined                               only if these keys have been with a process that may have voted
//! ```
//! Owns what of it goes where in the folder that [`crate::config`] describes. Private keys are never copied: the folder
//! gets a link to where they are mounted.

pub mod seats;

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::config::{JOINED, NodeConfig};

/// A folder that can't be made from what is mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// A file or folder can't be used.
    #[error("can't {what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `node.json` can't be read.
    #[error("{path} is not a valid node configuration")]
    Config {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Several replicas share what is mounted for one.
    #[error("{path} names {count} replicas; exactly one can be mounted")]
    Replicas {
        /// Which.
        path: PathBuf,
        /// How many.
        count: usize,
    },
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> MountError {
    let path = path.to_owned();
    move |source| MountError::File { what, path, source }
}

/// Brings the folder up to what is mounted. May be repeated, also after a crash in the middle.
///
/// The mark that the keys may have voted goes in before the keys: a folder that lost its data must never be taken for
/// one that is new.
///
/// # Errors
/// [`MountError`]; the node must not start.
pub fn adopt(from: &Path, folder: &Path) -> Result<(), MountError> {
    let path = from.join("node.json");
    let settings = fs::read(&path).map_err(failed("read", &path))?;
    let config: NodeConfig = serde_json::from_slice(&settings).map_err(|source| MountError::Config {
        path: path.clone(),
        source,
    })?;
    let [replica] = config.replicas.as_slice() else {
        return Err(MountError::Replicas {
            path,
            count: config.replicas.len(),
        });
    };
    let own = folder.join(&replica.name);
    fs::create_dir_all(&own).map_err(failed("create", &own))?;
    if from.join(JOINED).exists() && !own.join(JOINED).exists() {
        write(&own.join(JOINED), b"")?;
        sync(&own)?;
    }
    let genesis = from.join("genesis.json");
    write(
        &own.join("genesis.json"),
        &fs::read(&genesis).map_err(failed("read", &genesis))?,
    )?;
    link(&from.join("keys.json"), &own.join("keys.json"))?;
    write(&folder.join("node.json"), &settings)?;
    sync(&own)?;
    sync(folder)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), MountError> {
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(failed("write", &beside))?;
    fs::rename(&beside, path).map_err(failed("write", path))
}

fn link(target: &Path, path: &Path) -> Result<(), MountError> {
    let target = std::path::absolute(target).map_err(failed("find", target))?;
    if fs::read_link(path).is_ok_and(|found| found == target) {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("replace", path)(error)),
        _ => {}
    }
    symlink(&target, path).map_err(failed("link", path))
}

fn sync(folder: &Path) -> Result<(), MountError> {
    File::open(folder)
        .and_then(|opened| opened.sync_all())
        .map_err(failed("sync", folder))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mounted(limit: u64) -> tempfile::TempDir {
        let from = tempfile::tempdir().unwrap();
        let replica = json!({ "name": "validator-0", "api": "0.0.0.0:8410", "consensus": "0.0.0.0:8420", "peers": [],
                              "token": "t", "limits": { "blockActions": limit } });
        let config = json!({ "version": 1, "replicas": [replica] });
        fs::write(from.path().join("node.json"), config.to_string()).unwrap();
        fs::write(from.path().join("genesis.json"), "genesis").unwrap();
        fs::write(from.path().join("keys.json"), "secret").unwrap();
        from
    }

    #[test]
    fn settings_are_copied_and_keys_are_not() {
        let (from, folder) = (mounted(1000), tempfile::tempdir().unwrap());
        adopt(from.path(), folder.path()).unwrap();
        let own = folder.path().join("validator-0");
        assert_eq!(fs::read(own.join("keys.json")).unwrap(), b"secret");
        assert!(fs::symlink_metadata(own.join("keys.json")).unwrap().is_symlink());
        assert!(!own.join(JOINED).exists(), "a new validator is no wiped one");

        let newer = mounted(2000);
        adopt(newer.path(), folder.path()).unwrap();
        assert_eq!(
            fs::read(folder.path().join("node.json")).unwrap(),
            fs::read(newer.path().join("node.json")).unwrap()
        );
        assert!(fs::read_link(own.join("keys.json")).unwrap().starts_with(newer.path()));
    }

    #[test]
    fn keys_that_may_have_voted_mark_an_empty_folder() {
        let (from, folder) = (mounted(1000), tempfile::tempdir().unwrap());
        fs::write(from.path().join(JOINED), "\n").unwrap();
        adopt(from.path(), folder.path()).unwrap();
        assert!(folder.path().join("validator-0").join(JOINED).exists());
    }

    #[test]
    fn what_is_missing_is_named() {
        let (from, folder) = (mounted(1000), tempfile::tempdir().unwrap());
        fs::remove_file(from.path().join("genesis.json")).unwrap();
        let error = adopt(from.path(), folder.path()).unwrap_err();
        assert!(error.to_string().ends_with("genesis.json"), "{error}");
        fs::write(from.path().join("node.json"), "{}").unwrap();
        assert!(matches!(
            adopt(from.path(), folder.path()),
            Err(MountError::Config { .. })
        ));
    }
}
