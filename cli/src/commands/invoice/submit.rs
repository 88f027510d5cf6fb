//! Registering invoices: a receipt beside each file, verified before it is written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use muniment_api::types::{ItemOutcome, Recorded};
use sha2::{Digest as _, Sha256};

use super::{name, read};
use crate::client::{Client, JSON};
use crate::commands::records::{self, write::outcomes};
use crate::context::Choice;
use crate::error::{Failure, Result};
use crate::files::{self, Source};
use crate::output::Output;
use crate::{evidence, trust};

/// Documents of one request, and their bytes: well below what the server takes.
const MOST: usize = 1_000;
const LARGEST: usize = 24 << 20;

/// Registers invoices.
#[derive(clap::Args)]
pub struct Args {
    /// UBL or CII, or the JSON form.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    terms: Terms,
    /// Record of the invoice that this one takes the place of.
    #[arg(long, value_name = "ID")]
    replaces: Option<String>,
    /// Give the JSON form the next number of the series; the numbered document is written as NUMBER.json.
    #[arg(long)]
    auto_number: bool,
}

/// Registers a credit note.
#[derive(clap::Args)]
pub struct Credit {
    /// Record of the invoice, 64 hex digits.
    #[arg(value_name = "ID")]
    record: String,
    /// The credit note.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    terms: Terms,
}

#[derive(clap::Args)]
struct Terms {
    /// Who receives it: a party, the tenant, or a member's key.
    #[arg(long, value_name = "PARTY")]
    recipient: String,
    /// Rules that it must keep.
    #[arg(long, value_name = "NAME", default_value = "en16931", value_parser = ["en16931", "xrechnung", "peppol"])]
    profile: String,
    /// Who may report payments beside the payee.
    #[arg(long, value_name = "PARTY")]
    agent: Option<String>,
    /// Authority that it is reported to.
    #[arg(long, value_name = "PARTY")]
    authority: Option<String>,
    /// When it must be reported by, RFC 3339.
    #[arg(long, value_name = "TIME", requires = "authority")]
    report_by: Option<String>,
    /// Series of the number.
    #[arg(long, value_name = "NAME")]
    series: Option<String>,
    /// Put a salted commitment to the buyer's tax id on the ledger in place of the id.
    #[arg(long)]
    committed: bool,
    /// Folder for the receipts [default: beside each file].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Terms {
    /// Parameters of the request.
    fn parameters(&self) -> Vec<(&'static str, &str)> {
        let optional = [
            ("agent", &self.agent),
            ("authority", &self.authority),
            ("reportBy", &self.report_by),
            ("series", &self.series),
        ];
        let mut all = vec![
            ("recipient", self.recipient.as_str()),
            ("profile", self.profile.as_str()),
        ];
        all.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.as_deref()?))),
        );
        if self.committed {
            all.push(("committed", "true"));
        }
        all
    }
}

/// Runs `submit`. The answer is whether every file has its receipt.
///
/// # Errors
/// When the server can't be reached, or a file can't be read.
pub async fn run(args: &Args, choice: &Choice, output: Output) -> Result<bool> {
    let desk = Desk::open(choice, args.terms.out.clone(), output).await?;
    let mut parameters = args.terms.parameters();
    if let Some(record) = &args.replaces {
        parameters.push(("replaces", records::id(record)?));
    }
    if args.auto_number {
        parameters.push(("number", "auto"));
    }
    let [one] = args.files.as_slice() else {
        if args.auto_number {
            let mut all = true;
            for file in &args.files {
                all &= desk.tell(file, desk.single(file, &parameters, true).await)?;
            }
            return Ok(all);
        }
        return desk.many(&args.files, &parameters).await;
    };
    desk.show(one, desk.single(one, &parameters, args.auto_number).await?)?;
    Ok(true)
}

/// Runs `credit`.
///
/// # Errors
/// As [`run`], and when it is refused.
pub async fn credit(args: &Credit, choice: &Choice, output: Output) -> Result<()> {
    let desk = Desk::open(choice, args.terms.out.clone(), output).await?;
    let mut parameters = args.terms.parameters();
    parameters.push(("credits", records::id(&args.record)?));
    let done = desk.single(&args.file, &parameters, false).await?;
    desk.show(&args.file, done)
}

/// A registered file.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    /// Record id.
    id: String,
    /// Block height.
    height: u64,
    /// Block time.
    time: String,
    /// The receipt's file.
    receipt: PathBuf,
}

struct Desk {
    client: Client,
    root: Arc<trust::Root>,
    out: Option<PathBuf>,
    output: Output,
}

impl Desk {
    async fn open(choice: &Choice, out: Option<PathBuf>, output: Output) -> Result<Self> {
        let client = Client::open(choice, output)?;
        let root = trust::contact(&client).await?;
        Ok(Self {
            client,
            root,
            out,
            output,
        })
    }

    async fn single(&self, file: &Path, parameters: &[(&str, &str)], numbered: bool) -> Result<Done> {
        let bytes = read(file)?;
        let source = self.source(file);
        if !numbered {
            vacant(&source)?;
        }
        let query = reqwest::Url::parse_with_params("http://localhost/", parameters)
            .map_err(|error| Failure::usage("bad_parameter", format!("a parameter can't be sent: {error}"), ""))?;
        let path = format!("/invoices?{}", query.query().unwrap_or_default());
        let media_type = if is_json(&bytes) { JSON } else { "application/xml" };
        let recorded = self.client.step(&path, media_type, bytes.clone()).await?;
        if !numbered {
            return self.keep(&source, &bytes, &recorded);
        }
        let url = self.client.url(&format!("/invoices/{}/document", recorded.id));
        let document = self.client.bytes(&url).await?;
        let made: serde_json::Value = serde_json::from_slice(&document).unwrap_or_default();
        let number = made["number"].as_str().unwrap_or(&recorded.id);
        let safe: String = number
            .chars()
            .map(|one| {
                if one.is_alphanumeric() || "-_.".contains(one) {
                    one
                } else {
                    '_'
                }
            })
            .collect();
        let target = self.source(&file.with_file_name(format!("{safe}.json")));
        let document_path = target.receipt.with_extension("");
        files::write_new(&document_path, &document, false)?;
        self.keep(&target, &document, &recorded)
    }

    async fn many(&self, files: &[PathBuf], parameters: &[(&str, &str)]) -> Result<bool> {
        let mut all = true;
        let (mut batch, mut size) = (Vec::new(), 0);
        for file in files {
            let prepared = read(file).and_then(|bytes| {
                let source = self.source(file);
                vacant(&source)?;
                Ok((source, bytes))
            });
            match prepared {
                Ok((source, bytes)) => {
                    if batch.len() == MOST || size + bytes.len() > LARGEST {
                        all &= self.batch(std::mem::take(&mut batch), parameters).await?;
                        size = 0;
                    }
                    size += bytes.len();
                    batch.push((source, bytes));
                }
                Err(failure) => all &= self.tell(file, Err(failure))?,
            }
        }
        if !batch.is_empty() {
            all &= self.batch(batch, parameters).await?;
        }
        Ok(all)
    }

    async fn batch(&self, batch: Vec<(Source, Vec<u8>)>, parameters: &[(&str, &str)]) -> Result<bool> {
        let mut all = true;
        let mut sent = Vec::new();
        let mut items = Vec::new();
        for (source, bytes) in batch {
            // A batch is JSON: what isn't UTF-8 goes by itself, and so does the JSON form, to be kept byte for byte.
            match String::from_utf8(bytes) {
                Ok(text) if !is_json(text.as_bytes()) => {
                    items.push(serde_json::json!({ "xml": text }));
                    sent.push((source, text.into_bytes()));
                }
                _ => {
                    let done = self.single(&source.document, parameters, false).await;
                    all &= self.tell(&source.document, done)?;
                }
            }
        }
        if items.is_empty() {
            return Ok(all);
        }
        let mut body = serde_json::Map::new();
        for (name, value) in parameters {
            let value = if *name == "committed" {
                true.into()
            } else {
                (*value).into()
            };
            body.insert((*name).to_owned(), value);
        }
        body.insert("items".to_owned(), items.into());
        let answers = outcomes(&self.client, "/invoices:batch", &body.into()).await?;
        for ((source, bytes), outcome) in sent.iter().zip(answers) {
            let done = match outcome {
                ItemOutcome::Accepted(recorded) => self.keep(source, bytes, &recorded),
                ItemOutcome::Rejected {
                    code, detail, findings, ..
                } => Err(Failure {
                    findings,
                    ..Failure::new(&code, detail, "correct what the message names")
                }),
            };
            all &= self.tell(&source.document, done)?;
        }
        Ok(all)
    }

    fn source(&self, file: &Path) -> Source {
        Source {
            document: file.to_owned(),
            receipt: files::receipt_path(file, self.out.as_deref()),
        }
    }

    /// Checks the receipt against the document, and writes it.
    fn keep(&self, source: &Source, document: &[u8], recorded: &Recorded) -> Result<Done> {
        let digest: [u8; 32] = Sha256::digest(document).into();
        let facts = evidence::check(recorded.receipt.as_bytes(), &self.root, Some(&digest))?;
        if !files::write_receipt(source, recorded.receipt.as_bytes())? {
            return Err(Failure::new(
                "other_receipt",
                format!("{} is there already and was not replaced", source.receipt.display()),
                format!(
                    "move it away and get this one: `muniment receipt` of record {}",
                    facts.record
                ),
            ));
        }
        Ok(Done {
            id: facts.record,
            height: facts.height,
            time: facts.time,
            receipt: source.receipt.clone(),
        })
    }

    fn show(&self, file: &Path, done: Done) -> Result<()> {
        if self.output.json() {
            return self
                .output
                .document(&serde_json::json!({ "file": name(file), "done": done }));
        }
        let Done {
            id,
            height,
            time,
            receipt,
        } = done;
        self.output.line(format!(
            "{}\n  id        {id}\n  height    {height} at {time}\n  receipt   {}",
            name(file),
            receipt.display()
        ))
    }

    /// The same of one of many: a failure doesn't end the others.
    fn tell(&self, file: &Path, done: Result<Done>) -> Result<bool> {
        match done {
            Ok(done) => self.show(file, done).map(|()| true),
            Err(failure) => {
                if self.output.json() {
                    self.output
                        .document(&serde_json::json!({ "file": name(file), "error": failure.to_json()["error"] }))?;
                } else {
                    self.output.say(format!("{}: {failure}", name(file)));
                }
                Ok(false)
            }
        }
    }
}

/// A receipt is evidence: nothing is registered whose receipt would have no place.
fn vacant(source: &Source) -> Result<()> {
    if !source.receipt.exists() {
        return Ok(());
    }
    Err(Failure::new(
        "other_receipt",
        format!("{} is there already; nothing was sent", source.receipt.display()),
        "the file may be registered already: `muniment verify` tells; else move the receipt away",
    ))
}

fn is_json(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
}
