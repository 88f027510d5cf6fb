//! The one binary: a network on a laptop, its validators, and the user's commands.
//!
//! Owns the command line and what is written to the terminal. Everything else is in the libraries.

mod client;
mod cluster;
mod commands;
mod context;
mod digest;
mod error;
mod evidence;
mod files;
mod http;
mod output;
mod progress;
mod stop;
mod target;
mod trust;

use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue};

use crate::commands::{
    api, apply, bench, dev, invoice, member, network, node, notarize, operator, party, proposal, ready, receipt,
    records, template, verify,
};
use crate::context::Choice;
use crate::error::{Failure, Result};
use crate::output::{Format, Output};

// A tenth less processor per request than mimalloc (docs/decisions.md), and musl's own would cost several times as much.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Provable records on ledger networks: notarize files, and check them offline.
#[derive(Parser)]
#[command(name = "muniment", version, max_term_width = 100, propagate_version = true)]
struct Cli {
    /// How results are written.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    output: Format,
    #[command(flatten)]
    choice: Choice,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Starts a network of four validators and the management API on this machine.
    Dev(dev::Args),
    /// Runs validators; started by `dev`, not by hand.
    #[command(hide = true)]
    Node(node::Args),
    /// Keeps networks on Kubernetes; started by the chart, not by hand.
    #[command(hide = true)]
    Operator(operator::Args),
    /// Serves the management API on Kubernetes; started by the Helm chart.
    #[command(hide = true)]
    Api(api::Args),
    /// Makes and changes tenants and networks as files describe them.
    Apply(apply::Args),
    /// Deletes the tenants and networks that files describe.
    Delete(apply::Args),
    /// Puts digests of files on the ledger and writes a receipt beside each.
    Notarize(notarize::Args),
    /// Checks documents against their receipts, offline.
    Verify(verify::Args),
    /// Gets receipts, shows them, and takes them apart for other tools.
    #[command(subcommand)]
    Receipt(receipt::Command),
    /// Shows how the network is doing.
    #[command(subcommand)]
    Network(network::Command),
    /// Waits until the management API can work.
    Ready(ready::Args),
    /// Shows and changes who may sign in the network.
    #[command(subcommand)]
    Member(member::Command),
    /// Changes of the network that its members decide on.
    #[command(subcommand)]
    Proposal(proposal::Command),
    /// Reads and writes records of any template.
    #[command(subcommand)]
    Records(records::Command),
    /// Parties on whose behalf the tenant signs.
    #[command(subcommand)]
    Party(party::Command),
    /// Electronic invoices: checked, made and shown offline; submitted, settled and more on the ledger.
    #[command(subcommand)]
    Invoice(invoice::Command),
    /// Checks, tests and draws record templates, offline.
    #[command(subcommand)]
    Template(template::Command),
    /// Loads a network and prints throughput and latency.
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| without_environment(error).exit());
    let output = Output { format: cli.output };
    // Huge pages would triple the memory of an idle validator where the system gives them unasked. Processes started from
    // here have none either. A kernel that can't be told is none that gives many.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    match run(cli.command, &cli.choice, output) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            output.fail(&failure);
            failure.exit_code()
        }
    }
}

/// Usage as it would be typed: clap shows what comes from the environment as if it had to be given.
fn without_environment(mut error: clap::Error) -> clap::Error {
    let given: Vec<String> = std::env::args().collect();
    let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) else {
        return error;
    };
    let usage = context::FLAGS
        .iter()
        .filter(|(flag, _)| !given.iter().any(|own| own.starts_with(flag)))
        .fold(usage.to_string(), |usage, (flag, value)| {
            usage.replace(&format!(" {flag} <{value}>"), "")
        });
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage.into()));
    error
}

fn run(command: Command, choice: &Choice, output: Output) -> Result<u8> {
    let done = match command {
        Command::Verify(args) => return verify::run(&args, choice, output),
        Command::Invoice(command) => return on_runtime(invoice::run(command, choice, output)),
        Command::Template(template::Command::Publish(args)) => {
            on_runtime(template::publish::run(&args, choice, output))
        }
        Command::Template(command) => return template::run(command, output),
        Command::Apply(args) => on_runtime(apply::run(&args, choice, output)),
        Command::Delete(args) => on_runtime(apply::delete(&args, choice, output)),
        Command::Receipt(command) => on_runtime(receipt::run(&command, choice, output)),
        Command::Node(args) => node::run(&args),
        Command::Operator(args) => on_runtime(operator::run(args)),
        Command::Api(args) => api::run(args),
        Command::Dev(args) => dev::run(&args, choice, output),
        Command::Notarize(args) => on_runtime(notarize::run(args, choice, output)),
        Command::Network(command) => on_runtime(network::run(command, choice, output)),
        Command::Member(command) => on_runtime(member::run(command, choice, output)),
        Command::Proposal(command) => on_runtime(proposal::run(command, choice, output)),
        Command::Records(command) => on_runtime(records::run(command, choice, output)),
        Command::Ready(args) => on_runtime(ready::run(args, choice, output)),
        Command::Party(command) => on_runtime(party::run(command, choice, output)),
        Command::Bench(args) => on_runtime(bench::run(args, choice, output)),
    }?;
    Ok(u8::from(!done))
}

/// Runs a client command. One thread: the network does the work, and `bench` must not take cores from it.
fn on_runtime<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                "runtime",
                format!("the runtime can't start: {error}"),
                "check the process limits",
            )
        })?
        .block_on(work)
}
