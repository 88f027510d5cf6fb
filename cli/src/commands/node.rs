//! `muniment node`: the validator process. Started by the operator's backends, not by hand.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Failure, Result, chain};

/// Runs the validators of a folder until SIGTERM.
#[derive(clap::Args)]
pub struct Args {
    /// Folder with `node.json`.
    #[arg(long, value_name = "FOLDER")]
    config: PathBuf,
    /// End when this process, which must be the parent, is gone.
    #[arg(long, value_name = "PID")]
    parent: Option<u32>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<bool> {
    if let Some(parent) = args.parent {
        follow(parent);
    }
    host(&args.config).map_err(|error| {
        Failure::new(
            "node",
            format!("the node in {} ended: {}", args.config.display(), chain(&error)),
            "see the messages above it in its log",
        )
    })?;
    Ok(true)
}

/// Ends this process when the parent is gone, however it went: a killed supervisor must not leave validators behind
/// that hold ports and locks. The validator loses nothing, as by any other kill.
fn follow(parent: u32) {
    std::thread::spawn(move || {
        while std::os::unix::process::parent_id() == parent {
            std::thread::sleep(Duration::from_millis(250));
        }
        tracing::warn!(parent, "the supervisor is gone, this validator ends too");
        std::process::exit(3);
    });
}

// Stands in for `muniment_ledger::node::run` until that is there.
fn host(_folder: &std::path::Path) -> std::io::Result<()> {
    Err(std::io::Error::other("this build has no node yet"))
}
