//! Seats of a host: settings, genesis and keys of many replicas, mounted together and changing while it runs.
//!
//! ```text
//! <from>/<tenant>.<network>.replica.json   ReplicaConfig
//! <from>/<tenant>.<network>.genesis.json   canonical genesis
//! <from>/<tenant>.<network>.keys.json      ReplicaKeys
//! <from>/<tenant>.<network>.joined         only if these keys have been with a process that may have voted
//! <from>/<folder>.erase                    the data of a network that is gone for good
//! ```
//! Owns the names of these files and of the replica's folder. A seat that can't be read is none: it is said, and holds up
//! no other one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::{MountError, failed, link, sync, write};
use crate::config::{JOINED, ReplicaConfig};

/// Ends of file names; the operator's backend writes files of these names.
pub const REPLICA: &str = ".replica.json";
/// Canonical genesis.
pub const GENESIS: &str = ".genesis.json";
/// Private keys.
pub const KEYS: &str = ".keys.json";
/// Keys that may have voted.
pub const VOTED: &str = ".joined";
/// A folder to be erased.
pub const ERASE: &str = ".erase";
/// The link that a kubelet turns when it brings a mounted Secret up to date.
const DATA: &str = "..data";

/// One seat as it is mounted. What is in its files is read again at each start of the replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// `<tenant>.<network>`.
    pub name: String,
    /// Name of the replica's own folder: that of the seat, and the front of the network id. A network that was made anew
    /// never meets the data of its namesake.
    pub folder: String,
    /// Settings.
    pub replica: ReplicaConfig,
    /// SHA-256 of the settings' file, hex.
    pub settings: String,
    from: PathBuf,
}

/// All that is mounted.
#[derive(Debug, Default)]
pub struct Mounted {
    /// Seats by name.
    pub seats: BTreeMap<String, Seat>,
    /// Folders whose data is to go for good.
    pub erase: BTreeSet<String>,
}

/// What is compared to notice that the mounted files changed, without reading them.
///
/// # Errors
/// When the folder isn't there.
pub fn version(from: &Path) -> Result<(Option<PathBuf>, Option<SystemTime>), MountError> {
    let changed = fs::metadata(from).map_err(failed("read", from))?.modified().ok();
    Ok((fs::read_link(from.join(DATA)).ok(), changed))
}

/// Where the files are. Behind the link they are all there at once; links to them come and go a moment later.
fn root(from: &Path) -> PathBuf {
    let behind = from.join(DATA);
    if behind.is_dir() { behind } else { from.to_owned() }
}

/// Name of a replica's folder in its host.
pub fn folder_name(seat: &str, network_id: &str) -> String {
    format!("{seat}.{}", network_id.get(..16).unwrap_or(network_id))
}

/// Digest of a settings' file.
pub fn digest(settings: &[u8]) -> String {
    hex::encode(Sha256::digest(settings))
}

/// Reads what is mounted.
///
/// # Errors
/// When the folder itself can't be read. A seat that can't be is left out, and the log says why.
pub fn read(from: &Path) -> Result<Mounted, MountError> {
    let (mut mounted, from) = (Mounted::default(), root(from));
    for entry in fs::read_dir(&from).map_err(failed("read", &from))? {
        let name = entry.map_err(failed("read", &from))?.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some(folder) = name.strip_suffix(ERASE) {
            mounted.erase.insert(folder.to_owned());
        } else if let Some(seat) = name.strip_suffix(REPLICA) {
            match read_seat(&from, seat) {
                Ok(found) => drop(mounted.seats.insert(seat.to_owned(), found)),
                Err(error) => tracing::error!(seat, error = &error as &dyn std::error::Error, "seat can't be used"),
            }
        }
    }
    Ok(mounted)
}

fn read_seat(from: &Path, name: &str) -> Result<Seat, MountError> {
    let (settings, genesis) = (file(from, name, REPLICA), file(from, name, GENESIS));
    let bytes = fs::read(&settings).map_err(failed("read", &settings))?;
    let replica = serde_json::from_slice(&bytes).map_err(|source| MountError::Config { path: settings, source })?;
    let id = digest(&fs::read(&genesis).map_err(failed("read", &genesis))?);
    Ok(Seat {
        name: name.to_owned(),
        folder: folder_name(name, &id),
        replica,
        settings: digest(&bytes),
        from: from.to_owned(),
    })
}

fn file(from: &Path, seat: &str, end: &str) -> PathBuf {
    from.join(format!("{seat}{end}"))
}

impl Seat {
    /// Brings the replica's folder up to what is mounted; see [`super::adopt`]. Returns the folder.
    ///
    /// # Errors
    /// [`MountError`]; the replica must not start.
    pub fn adopt(&self, host: &Path) -> Result<PathBuf, MountError> {
        let own = host.join(&self.folder);
        fs::create_dir_all(&own).map_err(failed("create", &own))?;
        if file(&self.from, &self.name, VOTED).exists() && !own.join(JOINED).exists() {
            write(&own.join(JOINED), b"")?;
            sync(&own)?;
        }
        let genesis = file(&self.from, &self.name, GENESIS);
        let bytes = fs::read(&genesis).map_err(failed("read", &genesis))?;
        write(&own.join("genesis.json"), &bytes)?;
        link(&file(&self.from, &self.name, KEYS), &own.join("keys.json"))?;
        sync(&own)?;
        sync(host)?;
        Ok(own)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mount(from: &Path, seat: &str, genesis: &str) {
        let replica = json!({ "name": "validator-0", "api": "0.0.0.0:8410", "consensus": "0.0.0.0:20000", "peers": [],
                              "token": "t" });
        fs::write(file(from, seat, REPLICA), replica.to_string()).unwrap();
        fs::write(file(from, seat, GENESIS), genesis).unwrap();
        fs::write(file(from, seat, KEYS), "secret").unwrap();
    }

    #[test]
    fn a_seat_that_cant_be_read_holds_up_no_other() {
        let from = tempfile::tempdir().unwrap();
        mount(from.path(), "acme.contracts", "one");
        mount(from.path(), "zeta.votes", "two");
        fs::write(file(from.path(), "bad.seat", REPLICA), "{").unwrap();
        fs::write(from.path().join("gone.net.0123456789abcdef.erase"), "").unwrap();
        let mounted = read(from.path()).unwrap();
        assert_eq!(
            mounted.seats.keys().collect::<Vec<_>>(),
            ["acme.contracts", "zeta.votes"]
        );
        assert_eq!(
            mounted.erase.into_iter().collect::<Vec<_>>(),
            ["gone.net.0123456789abcdef"]
        );
    }

    #[test]
    fn a_namesake_has_another_folder_and_keys_stay_where_they_are() {
        let (from, host) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        mount(from.path(), "acme.contracts", "one");
        let first = read(from.path()).unwrap().seats["acme.contracts"].clone();
        let own = first.adopt(host.path()).unwrap();
        assert!(own.ends_with(folder_name("acme.contracts", &digest(b"one"))));
        assert!(fs::symlink_metadata(own.join("keys.json")).unwrap().is_symlink());
        assert_eq!(fs::read(own.join("keys.json")).unwrap(), b"secret");
        assert!(!own.join(JOINED).exists());
        mount(from.path(), "acme.contracts", "two");
        fs::write(file(from.path(), "acme.contracts", VOTED), "").unwrap();
        let second = read(from.path()).unwrap().seats["acme.contracts"].clone();
        assert_ne!(second.folder, first.folder);
        assert!(second.adopt(host.path()).unwrap().join(JOINED).exists());
    }
}
