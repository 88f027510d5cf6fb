//! What is remembered of a draft on its way, until what came of it is written down. Sends nothing.
//!
//! One file for each content, beside the receipts: `.muniment-DIGEST.sending`, with the key that makes repetitions safe. It
//! is locked for as long as a run is at it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::client::new_key;
use crate::error::{Failure, Result, io};
use crate::files::{self, Shown, TEMPORARY};
use crate::output::Output;

/// How long a key is used again, in seconds: an hour less than servers know one (docs/operations.md).
const KNOWN: u64 = 47 * 3_600;

/// A draft on its way.
pub struct Attempt {
    path: PathBuf,
    /// Makes repetitions safe.
    pub key: String,
    /// Whoever drops this lets others at it.
    _locked: File,
}

impl Attempt {
    /// Goes on with the one of the same content, or begins one. On disk when this returns.
    ///
    /// # Errors
    /// When it can't be written, another run is at it, or it is from so long ago that servers don't know it any more.
    pub fn of(folder: &Path, content: &[u8; 32]) -> Result<Self> {
        let path = folder.join(format!("{TEMPORARY}{}.sending", hex::encode(&content[..16])));
        let mut file = lock(&path)?;
        let mut text = String::new();
        // What isn't text isn't ours: it was cut off before anything was sent.
        let _ = file.read_to_string(&mut text);
        let key = match made(text.trim()) {
            Some(made) if now() < made.saturating_add(KNOWN) => text.trim().to_owned(),
            Some(_) => return Err(forgotten(&path)),
            None => {
                let key = new_key();
                let write = |file: &mut File| {
                    file.set_len(0)?;
                    std::os::unix::fs::FileExt::write_all_at(file, key.as_bytes(), 0)?;
                    file.sync_all()
                };
                write(&mut file).map_err(|error| io("can't write", &path, &error))?;
                files::sync_folders(std::iter::once(path.as_path()))?;
                key
            }
        };
        Ok(Self {
            path,
            key,
            _locked: file,
        })
    }

    /// What came of it is known and written down. That it can't be removed is told, and changes nothing about that.
    pub fn over(self, output: Output) {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let failure = io("can't remove", &self.path, &error);
                output.say(format!(
                    "{failure}: as long as it is there, the same draft sent again is the same invoice"
                ));
            }
            _ => {}
        }
    }
}

/// Opens and locks the file of this name.
fn lock(path: &Path) -> Result<File> {
    let failed = |error: std::io::Error| io("can't write", path, &error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    loop {
        let file = options.open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(
                    "in_use",
                    "another run is sending the same draft",
                    "wait until it has ended; run it again only for another invoice of the same content",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Whoever had it before may have removed it between the two.
        let own = file.metadata().map_err(failed)?;
        if std::fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())) {
            return Ok(file);
        }
    }
}

/// When a key was made, in seconds: it says so itself.
fn made(key: &str) -> Option<u64> {
    let made = Uuid::parse_str(key).ok()?.get_timestamp()?;
    Some(made.to_unix().0)
}

fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

fn forgotten(path: &Path) -> Failure {
    Failure::new(
        "unfinished",
        "this draft was sent two days ago or before, and no answer came: servers don't know any more what became of it",
        format!(
            "`muniment invoice list` tells whether it is registered; to send it as another invoice remove {}",
            path.shown()
        ),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_goes_on_under_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("receipts");
        let first = Attempt::of(&out, &[1; 32]).unwrap();
        let other = Attempt::of(&out, &[2; 32]).unwrap();
        assert_ne!(first.key, other.key);
        let busy = Attempt::of(&out, &[1; 32]).err().unwrap();
        assert_eq!(busy.code, "in_use");

        let (key, path) = (first.key.clone(), first.path.clone());
        drop(first);
        let again = Attempt::of(&out, &[1; 32]).unwrap();
        assert_eq!(again.key, key);
        again.over(Output {
            format: crate::output::Format::Json,
        });
        assert!(!path.exists());
        assert_ne!(Attempt::of(&out, &[1; 32]).unwrap().key, key);
    }

    #[test]
    fn what_was_cut_off_begins_anew_and_what_is_forgotten_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = Attempt::of(folder.path(), &[1; 32]).unwrap().path;
        for cut in [b"".as_slice(), b"0192", &[0xff; 40]] {
            std::fs::write(&path, cut).unwrap();
            let attempt = Attempt::of(folder.path(), &[1; 32]).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), attempt.key);
        }
        let days = |ago: u64| {
            let then = uuid::Timestamp::from_unix(uuid::NoContext, now() - ago * 86_400, 0);
            Uuid::new_v7(then).to_string()
        };
        std::fs::write(&path, days(1)).unwrap();
        assert_eq!(
            Attempt::of(folder.path(), &[1; 32]).unwrap().key,
            std::fs::read_to_string(&path).unwrap()
        );
        std::fs::write(&path, days(2)).unwrap();
        let failure = Attempt::of(folder.path(), &[1; 32]).err().unwrap();
        assert_eq!(failure.code, "unfinished");
        assert!(path.exists() && failure.next.contains(&path.shown()));
    }
}
