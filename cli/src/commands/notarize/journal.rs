//! Salts of deposits that are on their way, on disk before anything is sent.
//!
//! Until its receipt is written, a salt is in nothing else: were it lost after the deposit, the document could be
//! deposited again only under another value, and the first record would belong to nobody. A later run takes the salt
//! from here; the value is the same then, and the network answers with the record that is there or makes the one that
//! is not. Owns `pending/NETWORK/*.json` in the user's configuration folder, one page per request. Must not decide what
//! is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::plan::Hashed;
use crate::context::config_dir;
use crate::error::{Failure, Result, io};
use crate::evidence::Disclosure;
use crate::files::Shown;
use crate::files::{self, Source};

/// Version of a page.
const VERSION: u32 = 1;

/// A document by its path and content.
type Key = (PathBuf, String);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Page {
    version: u32,
    entries: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    document: PathBuf,
    digest: String,
    salt: String,
    receipt: PathBuf,
}

impl Entry {
    fn key(&self) -> Key {
        (self.document.clone(), self.digest.clone())
    }

    /// Another receipt at its place, of a plain deposit for example, doesn't hold the salt of this one.
    fn is_in_its_receipt(&self) -> bool {
        let bytes = std::fs::read(&self.receipt).unwrap_or_default();
        let receipt = serde_json::from_slice::<serde_json::Value>(&bytes).unwrap_or_default();
        receipt["disclosure"]["salt"] == self.salt
    }
}

/// The pages of one network.
pub struct Journal {
    folder: PathBuf,
    /// Pages of earlier runs.
    earlier: Vec<(PathBuf, Page)>,
    salts: BTreeMap<Key, [u8; 32]>,
    /// What this run has on pages of its own.
    taken_over: Mutex<BTreeSet<Key>>,
}

/// A page of this run.
#[must_use]
pub struct Open(Option<PathBuf>);

/// Whether the deposit can be written down: pages are JSON, and so UTF-8.
///
/// # Errors
/// When it can't.
pub fn nameable(source: &Source) -> Result<()> {
    let (document, receipt) = (files::resolved(&source.document)?, &source.receipt);
    match [&document, receipt].into_iter().find(|path| path.to_str().is_none()) {
        None => Ok(()),
        Some(path) => Err(Failure::new(
            "file_name",
            format!("the name of {} isn't UTF-8", path.shown()),
            "rename it, or its folder",
        )),
    }
}

impl Journal {
    /// Reads what earlier runs left unfinished.
    ///
    /// # Errors
    /// When the user has no configuration folder, or a page can't be read.
    pub fn open(network: &str) -> Result<Self> {
        Self::open_in(config_dir()?.join("pending").join(network))
    }

    fn open_in(folder: PathBuf) -> Result<Self> {
        let (mut earlier, mut salts) = (Vec::new(), BTreeMap::new());
        for path in pages(&folder)? {
            // Another run may have finished in the meantime.
            let Some(page) = read(&path)? else { continue };
            for entry in &page.entries {
                let mut salt = [0; 32];
                hex::decode_to_slice(&entry.salt, &mut salt).map_err(|error| bad(&path, &error.to_string()))?;
                salts.insert(entry.key(), salt);
            }
            earlier.push((path, page));
        }
        Ok(Self {
            folder,
            earlier,
            salts,
            taken_over: Mutex::default(),
        })
    }

    /// The salt with which an earlier run may have deposited a document as it is now.
    ///
    /// # Errors
    /// When the document's folder can't be found.
    pub fn salt(&self, source: &Source, digest: &[u8; 32]) -> Result<Option<[u8; 32]>> {
        if self.salts.is_empty() {
            return Ok(None);
        }
        let key = (files::resolved(&source.document)?, hex::encode(digest));
        Ok(self.salts.get(&key).copied())
    }

    /// Whether a deposit goes on with the salt of an earlier run.
    pub fn continues(&self, hashed: &Hashed) -> bool {
        let Disclosure::Salted { salt } = &hashed.disclosure else {
            return false;
        };
        self.salts.values().any(|known| known == salt)
    }

    /// Puts the salts of a request on disk. Plain deposits have none: their value is the same in every run.
    ///
    /// # Errors
    /// When they can't be written; then nothing may be sent.
    pub fn write(&self, request: &[Hashed]) -> Result<Open> {
        let mut entries = Vec::new();
        for hashed in request {
            if let Disclosure::Salted { salt } = &hashed.disclosure {
                let receipt = &hashed.source.receipt;
                entries.push(Entry {
                    document: files::resolved(&hashed.source.document)?,
                    digest: hex::encode(hashed.document),
                    salt: hex::encode(salt),
                    receipt: std::path::absolute(receipt).map_err(|error| io("can't find", receipt, &error))?,
                });
            }
        }
        if entries.is_empty() {
            return Ok(Open(None));
        }
        let keys: Vec<Key> = entries.iter().map(Entry::key).collect();
        let page = Page {
            version: VERSION,
            entries,
        };
        let bytes = serde_json::to_vec(&page)
            .map_err(|error| Failure::new("internal", format!("the journal can't be written: {error}"), ""))?;
        let path = self.folder.join(format!("{}.json", uuid::Uuid::now_v7()));
        files::write_private(&path, &bytes)?;
        self.taken_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(keys);
        Ok(Open(Some(path)))
    }

    /// Removes pages of earlier runs of which nothing is left to do: each document is on a page of this run, or has its
    /// receipt with this very salt.
    ///
    /// # Errors
    /// When a page can't be removed.
    pub fn tidy(self) -> Result<()> {
        let taken_over = self.taken_over.into_inner().unwrap_or_else(PoisonError::into_inner);
        let done = |entry: &Entry| taken_over.contains(&entry.key()) || entry.is_in_its_receipt();
        for (path, page) in &self.earlier {
            if page.entries.iter().all(done) {
                remove(path)?;
            }
        }
        Ok(())
    }
}

impl Open {
    /// All receipts of the request are on disk, or what has none was refused.
    ///
    /// # Errors
    /// When the page can't be removed.
    pub fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), |path| remove(&path))
    }
}

fn pages(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| io("can't read", folder, &error);
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            paths.push(path);
        }
    }
    // Oldest first, so that the newest salt of a document counts.
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Option<Page>> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(|error| io("can't read", path, &error))?,
    };
    let page: Page = serde_json::from_slice(&bytes).map_err(|error| bad(path, &error.to_string()))?;
    if page.version > VERSION {
        let why = format!("its version is {}, this program knows {VERSION}", page.version);
        return Err(bad(path, &why));
    }
    Ok(Some(page))
}

fn bad(path: &Path, why: &str) -> Failure {
    Failure::new(
        "bad_journal",
        format!("{} is not a journal of deposits on their way: {why}", path.shown()),
        "delete it if you don't need what it tells of; its documents may then be deposited a second time",
    )
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        // Another run over the same documents was faster.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(|error| io("can't remove", path, &error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::commands::notarize::plan::deposit;

    fn hashed(folder: &Path, name: &str, salt: Option<[u8; 32]>) -> Hashed {
        let document = folder.join(name);
        std::fs::write(&document, name).unwrap();
        let source = Source {
            receipt: files::receipt_path(&document, None),
            document,
        };
        let disclosure = salt.map_or(Disclosure::Plain, |salt| Disclosure::Salted { salt });
        deposit(source, [1; 32], 1, disclosure)
    }

    #[test]
    fn a_salt_is_found_again_until_its_request_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Journal::open_in(folder.path().join("pending")).unwrap();
        let one = hashed(folder.path(), "one", Some([7; 32]));
        let page = open().write(std::slice::from_ref(&one)).unwrap();
        assert_eq!(open().salt(&one.source, &[1; 32]).unwrap(), Some([7; 32]));
        let by_another_way = Source {
            document: folder.path().join("pending/../one"),
            ..one.source.clone()
        };
        assert_eq!(open().salt(&by_another_way, &[1; 32]).unwrap(), Some([7; 32]));
        assert_eq!(
            open().salt(&one.source, &[2; 32]).unwrap(),
            None,
            "the document has changed"
        );
        page.finish().unwrap();
        assert_eq!(open().salt(&one.source, &[1; 32]).unwrap(), None);
        assert_eq!(std::fs::read_dir(folder.path().join("pending")).unwrap().count(), 0);
    }

    #[test]
    fn what_nothing_is_left_to_do_for_is_removed_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let pending = folder.path().join("pending");
        let open = || Journal::open_in(pending.clone()).unwrap();
        let count = || std::fs::read_dir(&pending).unwrap().count();
        let both = [("one", [7; 32]), ("two", [8; 32])].map(|(name, salt)| hashed(folder.path(), name, Some(salt)));
        let _killed = open().write(&both).unwrap();
        open().tidy().unwrap();
        assert_eq!(count(), 1);
        // The next run takes over one of them and finishes it; the other has got its receipt.
        let next = open();
        let page = next.write(&both[..1]).unwrap();
        next.tidy().unwrap();
        assert_eq!(count(), 2, "`two` is on the first page only and has no receipt");
        page.finish().unwrap();
        std::fs::write(&both[1].source.receipt, r#"{"disclosure":{"mode":"plain"}}"#).unwrap();
        open().tidy().unwrap();
        assert_eq!(count(), 1, "a receipt without the salt is of another deposit");
        let salt = hex::encode([8; 32]);
        let receipt = format!(r#"{{"disclosure":{{"mode":"salted","salt":"{salt}"}}}}"#);
        std::fs::write(&both[1].source.receipt, receipt).unwrap();
        let last = open();
        assert!(last.continues(&both[0]) && !last.continues(&hashed(folder.path(), "new", Some([9; 32]))));
        let page = last.write(&both[..1]).unwrap();
        last.tidy().unwrap();
        page.finish().unwrap();
        assert_eq!(count(), 0);
    }

    #[test]
    fn plain_deposits_need_no_page_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let pending = folder.path().join("pending");
        let plain = hashed(folder.path(), "plain", None);
        Journal::open_in(pending.clone())
            .unwrap()
            .write(&[plain])
            .unwrap()
            .finish()
            .unwrap();
        assert!(!pending.exists());
        std::fs::create_dir(&pending).unwrap();
        std::fs::write(pending.join("x.json"), "{").unwrap();
        assert_eq!(Journal::open_in(pending).err().unwrap().code, "bad_journal");
    }
}
