//! A folder belongs to one process: the locked file that says so.
//!
//! A node claims its folder before it touches anything in it; a supervisor asks who has it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// File in a node's folder that its process keeps locked.
pub const PID_FILE: &str = "pid";

/// A folder that can't be claimed.
#[derive(Debug, Error)]
pub enum PidFileError {
    /// Another process has it.
    #[error("{} is in use by process {}; stop that process first", .folder.display(), .pid.map_or("unknown".to_owned(), |p| p.to_string()))]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Who has it, if it said so.
        pid: Option<u32>,
    },
    /// The file can't be used.
    #[error("{} can't be used; make the folder readable and writable", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A claimed folder. Released by the operating system when the process ends, however it ends; never unlinked, because
/// unlinking would let two processes lock two files of one name.
#[derive(Debug)]
pub struct PidFile {
    file: File,
}

impl Drop for PidFile {
    fn drop(&mut self) {
        release(&self.file);
    }
}

impl PidFile {
    /// Claims a folder for this process.
    ///
    /// # Errors
    /// When another process has it, or the file can't be used.
    pub fn claim(folder: &Path) -> Result<Self, PidFileError> {
        Self::claim_file(folder, PID_FILE)
    }

    /// As [`Self::claim`], with a file name of its own.
    ///
    /// # Errors
    /// As [`Self::claim`].
    pub fn claim_file(folder: &Path, name: &str) -> Result<Self, PidFileError> {
        let path = folder.join(name);
        let io = |source| PidFileError::Io {
            path: path.clone(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(PidFileError::InUse {
                    folder: folder.to_owned(),
                    pid: read_pid(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        file.set_len(0).map_err(io)?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self { file })
    }

    /// Who holds a folder now: `None` when nobody does, `Some(None)` when somebody does but hasn't said who.
    ///
    /// # Errors
    /// When the file can't be used.
    pub fn holder(folder: &Path) -> Result<Option<Option<u32>>, PidFileError> {
        let path = folder.join(PID_FILE);
        let io = |source| PidFileError::Io {
            path: path.clone(),
            source,
        };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        // Shared, so that two supervisors that look don't take each other for a node.
        match file.try_lock_shared() {
            Ok(()) => {
                release(&file);
                Ok(None)
            }
            Err(TryLockError::WouldBlock) => Ok(Some(read_pid(&mut file))),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// Whether a folder was claimed by the living process `pid`. Unlike [`Self::holder`] it doesn't touch the lock, so
    /// that it can't come between a node and its claim; the caller must know that this process lives.
    pub fn is_claimed_by(folder: &Path, pid: u32) -> bool {
        File::open(folder.join(PID_FILE)).is_ok_and(|mut file| read_pid(&mut file) == Some(pid))
    }
}

/// Gives a lock up. Closing the file is not enough: a child that another thread is just starting has a copy of it until
/// it runs its own program, and the lock lives as long as the last copy.
fn release(file: &File) {
    // When this fails, closing is what is left, and nobody is there to be told.
    let _ = file.unlock();
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_and_the_second_learns_who() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(PidFile::holder(folder.path()).unwrap(), None);
        let first = PidFile::claim(folder.path()).unwrap();
        let own = std::process::id();
        assert_eq!(PidFile::holder(folder.path()).unwrap(), Some(Some(own)));
        assert!(PidFile::is_claimed_by(folder.path(), own) && !PidFile::is_claimed_by(folder.path(), own + 1));
        let error = PidFile::claim(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("in use by process {own}")), "{error}");
        drop(first);
        assert_eq!(PidFile::holder(folder.path()).unwrap(), None);
        PidFile::claim(folder.path()).unwrap();
    }

    #[test]
    fn a_copy_of_the_file_in_a_starting_child_does_not_keep_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = PidFile::claim(folder.path()).unwrap();
        let copy = first.file.try_clone().unwrap();
        drop(first);
        assert_eq!(PidFile::holder(folder.path()).unwrap(), None);
        PidFile::claim(folder.path()).unwrap();
        drop(copy);
    }

    #[test]
    fn a_stale_file_of_a_dead_process_is_no_claim() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(PID_FILE), "99999999\n").unwrap();
        assert_eq!(PidFile::holder(folder.path()).unwrap(), None);
        PidFile::claim(folder.path()).unwrap();
        assert_eq!(
            std::fs::read_to_string(folder.path().join(PID_FILE)).unwrap().trim(),
            std::process::id().to_string()
        );
    }
}
