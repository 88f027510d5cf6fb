//! Writing records: any action of any template. What an action takes, the template says; the server's refusals name the
//! field and the rule.

use std::path::{Path, PathBuf};

use muniment_api::types::{ItemOutcome, Recorded, RecordedBatch};
use serde_json::{Map, Value, json};

use super::{id, members, text, word};
use crate::client::{Client, JSON, Written, new_key};
use crate::context::Choice;
use crate::error::{Failure, Result, chain};
use crate::files::Shown;
use crate::output::Output;
use crate::{evidence, files, trust};

/// Largest input file.
const LARGEST: usize = 8 << 20;

/// Makes a record.
#[derive(clap::Args)]
pub struct Create {
    /// Template.
    #[arg(value_name = "TEMPLATE")]
    template: String,
    /// Action of it that creates a record.
    #[arg(value_name = "ACTION")]
    action: String,
    /// Revision of the template [default: the one in force].
    #[arg(long, value_name = "N")]
    revision: Option<u32>,
    #[command(flatten)]
    input: Input,
}

/// Acts on a record.
#[derive(clap::Args)]
pub struct Act {
    /// Record id, 64 hex digits.
    #[arg(value_name = "ID")]
    record: String,
    /// Action of its template.
    #[arg(value_name = "ACTION")]
    action: String,
    #[command(flatten)]
    input: Input,
}

/// Acts up to 1,000 times.
#[derive(clap::Args)]
pub struct Batch {
    /// Template.
    #[arg(value_name = "TEMPLATE")]
    template: String,
    /// Action of it.
    #[arg(value_name = "ACTION")]
    action: String,
    /// JSON list of `{"input": {…}, "record": "ID"}`, or `-` for stdin; `record` for actions that change one.
    #[arg(value_name = "FILE")]
    items: PathBuf,
    /// Revision of the template [default: the one in force].
    #[arg(long, value_name = "N")]
    revision: Option<u32>,
}

#[derive(clap::Args)]
struct Input {
    /// Input as JSON [default: {}].
    #[arg(long, value_name = "JSON", conflicts_with = "input_file")]
    input: Option<String>,
    /// File with the input as JSON, or `-` for stdin.
    #[arg(long, value_name = "FILE")]
    input_file: Option<PathBuf>,
    #[command(flatten)]
    receipt: Receipt,
}

/// Where the receipt of a step goes.
#[derive(clap::Args)]
pub struct Receipt {
    /// File for the receipt; one that is there stays.
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

impl Receipt {
    /// Whether the receipt has a place, asked before anything is sent: a step can't be taken back.
    fn free(&self) -> Result<()> {
        match &self.receipt {
            Some(path) if path.exists() => Err(taken(path, "nothing was sent; ")),
            _ => Ok(()),
        }
    }
}

/// A file is there already, and no receipt replaces another.
fn taken(path: &Path, what: &str) -> Failure {
    Failure::usage(
        "exists",
        format!("{} is there already", path.shown()),
        format!("{what}name another file with --receipt, or move that one away"),
    )
}

impl Input {
    fn read(&self) -> Result<Value> {
        match (&self.input, &self.input_file) {
            (Some(text), _) => parse(text.as_bytes(), "--input"),
            (None, Some(path)) => file(path),
            (None, None) => Ok(Value::Object(Map::new())),
        }
    }
}

/// Runs `create`.
///
/// # Errors
/// When it can't be read, sent or written, or is refused.
pub async fn create(args: &Create, choice: &Choice, output: Output) -> Result<bool> {
    let mut body = json!({ "template": args.template, "action": args.action, "input": args.input.read()? });
    if let Some(revision) = args.revision {
        body["revision"] = revision.into();
    }
    let client = Client::open(choice, output)?;
    let revision = args.revision.map(u64::from);
    members::keys(&client, &args.template, revision, &args.action, &mut body["input"]).await?;
    step(&client, "/records", &body, &args.input.receipt, output).await
}

/// Runs `act`.
///
/// # Errors
/// As [`create`].
pub async fn act(args: &Act, choice: &Choice, output: Output) -> Result<bool> {
    let path = format!(
        "/records/{}/actions/{}",
        id(&args.record)?,
        word("action", &args.action)?
    );
    let mut body = json!({ "input": args.input.read()? });
    let client = Client::open(choice, output)?;
    if members::may_name(&body["input"]) {
        let found: Value = client.get(&client.url(&format!("/records/{}", args.record))).await?;
        let record = &found["record"];
        let (template, revision) = (text(&record["template"]), record["revision"].as_u64());
        members::keys(&client, &template, revision, &args.action, &mut body["input"]).await?;
    }
    step(&client, &path, &body, &args.input.receipt, output).await
}

/// Runs `batch`. The answer is whether every item was accepted.
///
/// # Errors
/// As [`create`], but an item's refusal is told with the item.
pub async fn batch(args: &Batch, choice: &Choice, output: Output) -> Result<bool> {
    let mut body = json!({ "template": args.template, "action": args.action, "items": file(&args.items)? });
    if let Some(revision) = args.revision {
        body["revision"] = revision.into();
    }
    let client = Client::open(choice, output)?;
    let items = outcomes(&client, "/records:batch", &body).await?;
    let mut all = true;
    for (index, item) in items.iter().enumerate() {
        all &= matches!(item, ItemOutcome::Accepted(_));
        if output.json() {
            output.json_line(item)?;
            continue;
        }
        output.line(match item {
            ItemOutcome::Accepted(recorded) => format!("{index}  {}  version {}", recorded.id, recorded.version),
            ItemOutcome::Rejected {
                code, detail, pointer, ..
            } => format!("{index}  {code}: {detail} {pointer}"),
        })?;
    }
    Ok(all)
}

/// Sends a batch; an outcome for each item.
///
/// # Errors
/// When it can't be sent, or is refused as a whole.
pub async fn outcomes(client: &Client, path: &str, body: &Value) -> Result<Vec<ItemOutcome>> {
    let key = new_key();
    match client.post::<RecordedBatch>(path, JSON, bytes(body)?, &key).await? {
        Written::Done(batch) => Ok(batch.items),
        Written::Pending(operation) => Ok(client.decided(operation).await?.items),
        Written::Refused(problem) => Err(Failure::new(&problem.code, problem.detail, "correct the request")),
    }
}

/// Sends one action, shows what it made, and writes its receipt where it is wanted.
///
/// # Errors
/// When it can't be sent or written, or is refused.
pub async fn step(client: &Client, path: &str, body: &Value, to: &Receipt, output: Output) -> Result<bool> {
    to.free()?;
    let recorded = client.step(path, JSON, bytes(body)?).await?;
    keep(client, &recorded, to).await?;
    if output.json() {
        output.document(&recorded)?;
    } else {
        output.line(told(&recorded, to.receipt.as_deref()))?;
    }
    Ok(true)
}

/// What a step made, for people.
pub fn told(recorded: &Recorded, receipt: Option<&Path>) -> String {
    let Recorded {
        id,
        version,
        height,
        time,
        signed_by,
        ..
    } = recorded;
    let signed = signed_by.join(", ");
    let kept = receipt
        .map(|path| format!("\nreceipt   {}", path.shown()))
        .unwrap_or_default();
    format!("record    {id}\nversion   {version}\nheight    {height} at {time}\nsigned by {signed}{kept}")
}

/// Verifies a step's receipt and writes it.
async fn keep(client: &Client, recorded: &Recorded, to: &Receipt) -> Result<()> {
    let Some(path) = &to.receipt else {
        return Ok(());
    };
    let root = trust::contact(client).await?;
    let facts = evidence::check(recorded.receipt.as_bytes(), &root, None)?;
    if (facts.height, &facts.record) != (recorded.height, &recorded.id) {
        return Err(Failure::new(
            "wrong_receipt",
            "the server's answer and its receipt name different records",
            "do not trust this server; keep its log",
        ));
    }
    files::write_new(path, recorded.receipt.as_bytes(), false).map_err(|failure| match failure.code.as_str() {
        "exists" => taken(path, "the step is on the ledger, and its receipt can be had again; "),
        _ => failure,
    })
}

fn file(path: &Path) -> Result<Value> {
    let bytes = files::read_bounded(path, LARGEST)?.ok_or_else(|| {
        Failure::usage(
            "too_large",
            format!("{} is larger than 8 MiB", path.shown()),
            "split it into several batches",
        )
    })?;
    parse(&bytes, &path.shown())
}

fn parse(bytes: &[u8], from: &str) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::usage(
            "not_json",
            format!("{from} is not JSON: {}", chain(&error)),
            "write the input as a JSON object, for example {\"reason\": \"withdrawn\"}",
        )
    })
}

/// JSON of a body.
///
/// # Errors
/// Never for what is made here.
pub fn bytes(value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Failure::new("internal", format!("the request can't be written: {error}"), ""))
}
