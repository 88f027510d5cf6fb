//! What a node process does about its supervisor: it doesn't outlive it.

use std::io::{Read, Write};
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, getppid, kill_process};

/// How long a node whose supervisor is gone may take to stop by itself.
const GRACE: Duration = Duration::from_secs(3);

/// Ends this process when its supervisor (process `parent`) is gone, by whatever death.
///
/// The supervisor holds the other end of our standard input. When it dies the kernel closes it, and the read here
/// ends: portable, without a race, and independent of which thread of the supervisor started us (unlike
/// `PR_SET_PDEATHSIG`). First SIGTERM to ourselves, then after 3 s the hard way.
pub fn exit_with_parent(parent: u32) {
    let watch = move || {
        let mut buffer = [0_u8; 64];
        let mut input = std::io::stdin().lock();
        // A supervisor that died before we got here has left us to another parent.
        while parent_is(parent) && !matches!(input.read(&mut buffer), Ok(0) | Err(_)) {}
        // Most likely nobody reads it any more: a print macro would panic, and end this thread instead of the process.
        let _ = writeln!(std::io::stderr(), "the supervisor (process {parent}) is gone; stopping");
        // An error leaves the hard way below.
        let _ = kill_process(getpid(), Signal::TERM);
        std::thread::sleep(GRACE);
        std::process::exit(1);
    };
    if let Err(error) = std::thread::Builder::new()
        .name("supervisor-watch".to_owned())
        .spawn(watch)
    {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the supervisor can't be watched"
        );
    }
}

fn parent_is(parent: u32) -> bool {
    let parent = i32::try_from(parent).ok().and_then(Pid::from_raw);
    parent.is_some() && getppid() == parent
}

/// Sends a signal to a process; an error means that it is gone.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}
