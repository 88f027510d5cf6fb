//! Log files of bounded size, and the stream of events.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use muniment_crds::jiff::Timestamp;
use tokio::sync::broadcast;

use super::files;
use crate::backend::BackendError;
use crate::event::Event;

/// A file and the one before it take at most twice this many bytes.
const MOST: u64 = 8 * 1024 * 1024;

/// A log file; moved to `<name>.1` when it is full.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    most: u64,
}

impl LogFile {
    /// Opens a log file for appending.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn open(path: &Path) -> Result<Self, BackendError> {
        Self::bounded(path, MOST)
    }

    fn bounded(path: &Path, most: u64) -> Result<Self, BackendError> {
        let (file, size) = append(path).map_err(files::failed("written", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
            most,
        })
    }
}

impl Write for LogFile {
    /// Appends all bytes: one call, one line, so that a line isn't parted between two files.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.size > 0 && self.size + bytes.len() as u64 > self.most {
            let mut old = self.path.as_os_str().to_owned();
            old.push(".1");
            fs::rename(&self.path, old)?;
            (self.file, self.size) = append(&self.path)?;
        }
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn append(path: &Path) -> std::io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// Events: to whoever listens, and into a file.
#[derive(Clone)]
pub(super) struct Events {
    listeners: broadcast::Sender<Event>,
    file: Arc<Mutex<LogFile>>,
}

impl Events {
    /// Events into this file.
    pub(super) fn open(path: &Path) -> Result<Self, BackendError> {
        Ok(Self {
            listeners: broadcast::Sender::new(1024),
            file: Arc::new(Mutex::new(LogFile::open(path)?)),
        })
    }

    /// Listens from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<Event> {
        self.listeners.subscribe()
    }

    /// Tells everyone.
    pub(super) fn tell(&self, event: Event) {
        let line = format!("{:.3} {event}\n", Timestamp::now());
        let written = self
            .file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(line.as_bytes());
        if let Err(error) = written {
            tracing::warn!(error = &error as &dyn std::error::Error, "event log can't be written");
        }
        // Nobody needs to listen.
        let _ = self.listeners.send(event);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn size_is_bounded_and_the_newest_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        for _ in 0..3 {
            let mut log = LogFile::bounded(&path, 100).unwrap();
            for n in 0..50 {
                log.write_all(format!("line {n}\n").as_bytes()).unwrap();
            }
        }
        let size = |p: &Path| fs::metadata(p).unwrap().len();
        assert!(size(&path) <= 100 && size(&dir.path().join("a.log.1")) <= 100);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        assert!(fs::read_to_string(&path).unwrap().ends_with("line 49\n"));
    }
}
