//! `muniment bench`: what a network does under load, through the API, receipts included.
//!
//! Shares the machine with what it measures, so it looks at answers only as far as counting needs.

mod body;
mod load;
mod report;
mod verifier;

use std::path::PathBuf;
use std::time::Duration;

use crate::client::Client;
use crate::context::Choice;
use crate::error::Result;
use crate::output::Output;

/// Loads a network and prints throughput and latency.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    load: LoadArgs,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Checks one receipt again and again on one core, offline.
    Receipts(ReceiptArgs),
}

/// One action per request, or many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// One action per request.
    Single,
    /// `--batch-size` actions per request.
    Batch,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Template {
    /// Digests.
    Notarization,
    /// Electronic invoices.
    Invoice,
}

#[derive(clap::Args)]
struct LoadArgs {
    /// What is written.
    #[arg(
        long,
        value_enum,
        default_value = "notarization",
        requires_if("invoice", "recipient")
    )]
    template: Template,
    /// Who receives the invoices: a party other than the caller's, or a member's key.
    #[arg(long, value_name = "PARTY")]
    recipient: Option<String>,
    /// One action per request, or many.
    #[arg(long, value_enum, default_value = "single")]
    mode: Mode,
    /// Actions per request in batch mode, 1 to 1000.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    batch_size: u16,
    /// Offer this many requests per second whatever the answers do. Latency counts from the moment a request was due.
    #[arg(long, value_name = "R", conflicts_with = "concurrency", value_parser = rate)]
    rate: Option<f64>,
    /// Keep this many requests on their way [default: 64, in batch mode 4].
    #[arg(long, value_name = "C", value_parser = clap::value_parser!(u16).range(1..=8192))]
    concurrency: Option<u16>,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 20, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Seconds of the same load before that.
    #[arg(long, default_value_t = 3, value_name = "S", value_parser = clap::value_parser!(u64).range(0..=3_600))]
    warmup: u64,
}

#[derive(clap::Args)]
struct ReceiptArgs {
    /// Receipt to check.
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,
    /// Trust root file [default: found as `muniment verify` does].
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 5, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
}

fn rate(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1_000_000.0 => Ok(rate),
        _ => Err("a rate is a number of requests per second above 0 and at most 1000000".to_owned()),
    }
}

/// Runs the command. The answer is whether everything that was sent was accepted.
pub async fn run(args: Args, choice: &Choice, output: Output) -> Result<bool> {
    if let Some(Command::Receipts(args)) = args.command {
        return verifier::run(
            &args.receipt,
            args.trust.as_deref(),
            Duration::from_secs(args.seconds),
            choice,
            output,
        );
    }
    let LoadArgs {
        template,
        recipient,
        mode,
        batch_size,
        rate,
        concurrency,
        seconds,
        warmup,
    } = args.load;
    let context = choice.load()?;
    let network = Client::new(context.clone())?.network().await?;
    let plan = load::Plan {
        mode,
        content: match template {
            Template::Notarization => body::Content::Notarization,
            Template::Invoice => body::Content::Invoice {
                recipient: recipient.unwrap_or_default(),
            },
        },
        items: if mode == Mode::Batch {
            usize::from(batch_size)
        } else {
            1
        },
        shape: match (rate, concurrency, mode) {
            (Some(rate), _, _) => load::Shape::Open { rate },
            (None, Some(concurrency), _) => load::Shape::Closed {
                concurrency: usize::from(concurrency),
            },
            (None, None, Mode::Single) => load::Shape::Closed { concurrency: 64 },
            (None, None, Mode::Batch) => load::Shape::Closed { concurrency: 4 },
        },
        warmup: Duration::from_secs(warmup),
        seconds: Duration::from_secs(seconds),
    };
    output.say(format!(
        "loading {}/{} ({} of {} validators ready) for {warmup} + {seconds} s; Ctrl-C ends it early",
        network.tenant, network.name, network.ready, network.validators
    ));
    let samples = load::run(&plan, &context).await?;
    let report = report::Report::new(&plan, samples);
    if output.json() {
        output.document(&report)?
    } else {
        output.line(report.text())?
    }
    Ok(report.errors.is_empty() && report.requests > 0)
}
