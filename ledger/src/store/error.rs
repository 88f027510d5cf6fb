//! What can go wrong with a store, by name.

use std::path::PathBuf;

/// What to do about a store that can't be mended here. A backup of one validator would take back what it signed.
const REJOIN: &str = "while the other validators run, remove this validator's whole `data` folder, so that it \
                      rejoins from them; never put back an older copy, which would sign again what it signed before";

/// A store can't be opened, read or written. The process must end: going on could sign what history contradicts.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("{what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// Bytes on disk aren't what was written.
    #[error("store is corrupt: {path} at byte {offset}: {what}; {REJOIN}")]
    Corrupt {
        /// File.
        path: PathBuf,
        /// Byte offset of the record.
        offset: u64,
        /// What does not hold.
        what: &'static str,
    },
    /// Written by a newer version of this software.
    #[error("{path} has format {found}, this version reads up to {supported}; start the newer version that wrote it")]
    Newer {
        /// File.
        path: PathBuf,
        /// Version found.
        found: u8,
        /// Highest version understood.
        supported: u8,
    },
    /// An index of an earlier form. It is derived from the block log.
    #[error(
        "{path} was written by an earlier version (format {found}); stop the node, remove this folder and start again: it is \
         made anew from the block log beside it"
    )]
    Older {
        /// Folder.
        path: PathBuf,
        /// Version found.
        found: u8,
    },
    /// The files of one store contradict each other.
    #[error("store is inconsistent: {0}; {REJOIN}")]
    Inconsistent(String),
    /// Another process has the store open.
    #[error("store {0} is in use by another process")]
    InUse(PathBuf),
    /// The index database failed.
    #[error("index database failed")]
    Index(#[from] fjall::Error),
    /// A stored form can't be decoded.
    #[error("stored {what} can't be decoded")]
    Decode {
        /// Which form.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
