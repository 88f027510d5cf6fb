//! A node of an earlier run that still holds its folder.

use std::path::Path;
use std::time::Duration;

use muniment_ledger::pid::{PidFile, PidFileError};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::process::signal;

/// How long it may take to stop by itself: it may be on its way already, because its supervisor is gone.
const GRACE: Duration = Duration::from_secs(5);
/// How long the kernel may take to end a killed process.
const KILL: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);

/// Makes sure that no process holds a node's folder. Returns the one that was stopped for it.
///
/// A process is known by the lock it holds on its folder, never by its number alone: the number is read from the
/// locked file, so a process that got a dead one's number is never signalled.
///
/// # Errors
/// When the folder can't be freed.
pub(super) async fn clear(folder: &Path) -> Result<Option<u32>, PidFileError> {
    let started = Instant::now();
    let mut stopped = None;
    let mut killed = false;
    loop {
        let Some(holder) = PidFile::holder(folder)? else {
            return Ok(stopped);
        };
        let waited = started.elapsed();
        if waited > GRACE + KILL {
            return Err(PidFileError::InUse {
                folder: folder.to_owned(),
                pid: holder,
            });
        }
        if let Some(pid) = holder.filter(|pid| *pid != std::process::id()) {
            // By the second look the holder has put its own number over that of the one before it.
            if stopped.is_none() && waited > POLL {
                signal(pid, Signal::TERM);
                stopped = Some(pid);
            } else if !killed && waited > GRACE {
                signal(pid, Signal::KILL);
                killed = true;
            }
        }
        sleep(POLL).await;
    }
}
