//! `muniment node`: the validator process. Started by the operator's backends, or by a pod; not by hand.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;

use muniment_ledger::node::host::Addresses;
use muniment_ledger::process;
use tracing_subscriber::EnvFilter;

use crate::error::{Failure, Result, chain};

/// What is logged unless `RUST_LOG` says otherwise. The engine has two dozen lines of news for every block.
const LOGGED: &str = "info,arc_malachitebft=warn";

/// Runs the validators of a folder until SIGTERM. With --seats, those of many networks that come and go.
#[derive(clap::Args)]
pub struct Args {
    /// Folder with `node.json`.
    #[arg(long, value_name = "FOLDER")]
    config: PathBuf,
    /// Folder where `node.json`, `genesis.json` and `keys.json` are mounted; the other folder is brought up to them.
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    /// Folder where the seats of a host are mounted: settings, genesis and keys of the validators of many networks. They
    /// are followed as they change.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["from", "parent"])]
    seats: Option<PathBuf>,
    /// Where a host serves the HTTP API of all its validators.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8411", requires = "seats")]
    listen: SocketAddr,
    /// Where a host serves its own health and metrics, without a token.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8410", requires = "seats")]
    health: SocketAddr,
    /// End when this process, which must be the parent and hold our standard input, is gone.
    #[arg(long, value_name = "PID")]
    parent: Option<u32>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<bool> {
    log();
    if let Some(parent) = args.parent {
        muniment_operator::exit_with_parent(parent);
    }
    if let Some(from) = &args.from {
        muniment_ledger::mounted::adopt(from, &args.config)
            .map_err(|error| Failure::new("node", chain(&error), "look at the volumes of the pod"))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                "runtime",
                format!("the runtime can't start: {error}"),
                "check the process limits",
            )
        })?;
    let ended = match &args.seats {
        Some(seats) => runtime.block_on(process::host::run_host(seats, &args.config, addresses(args))),
        None => runtime.block_on(process::run(&args.config)),
    };
    // One line: the supervisor shows the last one of a node that ended.
    ended.map_err(|error| Failure::new("node", chain(&error), ""))?;
    Ok(true)
}

fn addresses(args: &Args) -> Addresses {
    Addresses {
        api: args.listen,
        health: args.health,
    }
}

/// Writes the log to stderr, filtered by `RUST_LOG`.
pub fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(std::io::stderr)
        .init();
}
