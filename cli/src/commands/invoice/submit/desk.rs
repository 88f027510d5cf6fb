//! Sending documents and keeping what comes back: each receipt is verified before it is written, and one that is there
//! stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use muniment_api::types::{Finding, ItemOutcome};
use sha2::{Digest as _, Sha256};

use super::super::{name, read};
use super::same;
use crate::client::{Client, JSON};
use crate::commands::records::write::outcomes;
use crate::context::Choice;
use crate::error::{Failure, Result, io};
use crate::evidence::{self, Facts};
use crate::files::{self, Source};
use crate::output::Output;
use crate::trust;

/// Documents of one request, and their bytes: well below what the server takes.
const MOST: usize = 1_000;
const LARGEST: usize = 24 << 20;

/// A registered file.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// Record id.
    id: String,
    /// Block height.
    height: u64,
    /// Block time.
    time: String,
    /// The numbered document's file, where a number was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<PathBuf>,
    /// The receipt's file.
    receipt: PathBuf,
    /// The document was registered before.
    already: bool,
}

impl Done {
    fn of(facts: Facts, source: &Source, already: bool) -> Self {
        Self {
            id: facts.record,
            height: facts.height,
            time: facts.time,
            document: None,
            receipt: source.receipt.clone(),
            already,
        }
    }
}

/// Where documents are sent from, and their receipts kept.
pub struct Desk {
    client: Client,
    root: Arc<trust::Root>,
    out: Option<PathBuf>,
    output: Output,
}

impl Desk {
    /// For a server and folder of receipts.
    pub async fn open(choice: &Choice, out: Option<PathBuf>, output: Output) -> Result<Self> {
        let client = Client::open(choice, output)?;
        let root = trust::contact(&client).await?;
        Ok(Self {
            client,
            root,
            out,
            output,
        })
    }

    /// Registers one document, or finds that it is registered.
    pub async fn single(&self, file: &Path, parameters: &[(&str, &str)]) -> Result<Done> {
        let bytes = read(file)?;
        let source = self.source(file);
        if let Some(done) = self.before(&source, &bytes, parameters).await? {
            return Ok(done);
        }
        let outcome = self.send(bytes.clone(), parameters).await?;
        self.registered(&source, &bytes, outcome, parameters).await
    }

    /// Registers a draft under the next number; the numbered document is written beside it.
    pub async fn numbered(&self, file: &Path, parameters: &[(&str, &str)]) -> Result<Done> {
        let recorded = match self.send(read(file)?, parameters).await? {
            ItemOutcome::Accepted(recorded) => recorded,
            ItemOutcome::Rejected {
                code, detail, findings, ..
            } => return Err(refused(&code, &detail, findings)),
        };
        let url = self.client.url(&format!("/invoices/{}/document", recorded.id));
        let document = self.client.bytes(&url).await?;
        let made: serde_json::Value = serde_json::from_slice(&document).unwrap_or_default();
        let number = made["number"].as_str().unwrap_or(&recorded.id);
        let safe = number.replace(|one: char| !one.is_alphanumeric() && !"-_.".contains(one), "_");
        // Numbers of other series may make the same name: the record's id makes it another.
        let named = |stem: &str| self.source(&file.with_file_name(format!("{stem}.json")));
        let mut target = named(&safe);
        if target.receipt.exists() || target.receipt.with_extension("").exists() {
            target = named(&format!("{safe}-{}", recorded.id));
        }
        let written = target.receipt.with_extension("");
        files::write_new(&written, &document, false).map_err(|failure| Failure {
            next: format!(
                "it is registered: get it with `muniment invoice document {} --out FILE`",
                recorded.id
            ),
            ..failure
        })?;
        let done = self.keep(&target, &document, recorded.receipt.as_bytes())?;
        Ok(Done {
            document: Some(written),
            ..done
        })
    }

    async fn send(&self, bytes: Vec<u8>, parameters: &[(&str, &str)]) -> Result<ItemOutcome> {
        let query = reqwest::Url::parse_with_params("http://localhost/", parameters)
            .map_err(|error| Failure::usage("bad_parameter", format!("a parameter can't be sent: {error}"), ""))?;
        let path = format!("/invoices?{}", query.query().unwrap_or_default());
        let media_type = if is_json(&bytes) { JSON } else { "application/xml" };
        self.client.outcome(&path, media_type, bytes).await
    }

    /// What the receipt beside a file says, if there is one. One of another content or purpose stays, and nothing is sent
    /// then: a receipt is evidence, and nothing is registered whose receipt would have no place.
    async fn before(&self, source: &Source, document: &[u8], asked: &[(&str, &str)]) -> Result<Option<Done>> {
        let receipt = match std::fs::read(&source.receipt) {
            Ok(receipt) => receipt,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("can't read", &source.receipt, &error)),
        };
        let facts = evidence::check(&receipt, &self.root, Some(&digest(document)));
        let other = match &facts {
            Ok(facts) => same::difference(&self.client, facts, asked).await?,
            Err(_) => Some("it does not prove the file as it is now".to_owned()),
        };
        match (facts, other) {
            (Ok(facts), None) => Ok(Some(Done::of(facts, source, true))),
            (_, why) => Err(Failure::new(
                "other_receipt",
                format!(
                    "{} is there already, and {}; nothing was sent",
                    source.receipt.display(),
                    why.unwrap_or_default()
                ),
                "`muniment verify` tells what it proves; move it away, or name another folder for receipts with --out",
            )),
        }
    }

    /// Keeps the receipt of an outcome. A refusal that names the record of the very same document, registered by the same
    /// key to the same parties, is none: an earlier run ended before it had its receipt.
    async fn registered(
        &self,
        source: &Source,
        document: &[u8],
        outcome: ItemOutcome,
        asked: &[(&str, &str)],
    ) -> Result<Done> {
        let (code, detail, record, findings) = match outcome {
            ItemOutcome::Accepted(recorded) => return self.keep(source, document, recorded.receipt.as_bytes()),
            ItemOutcome::Rejected {
                code,
                detail,
                record,
                findings,
                ..
            } => (code, detail, record, findings),
        };
        let refused = refused(&code, &detail, findings);
        let earlier = match record {
            Some(record) => self.earlier(&record, document).await,
            None => None,
        };
        let Some((receipt, facts)) = earlier else {
            return Err(refused);
        };
        match same::difference(&self.client, &facts, asked).await? {
            None => Ok(Done {
                already: true,
                ..self.keep(source, document, &receipt)?
            }),
            Some(why) => Err(Failure {
                message: format!(
                    "{}; record {} is of the same document, but {why}",
                    refused.message, facts.record
                ),
                ..refused
            }),
        }
    }

    /// The receipt with which a record was made, if it was of this document. Where it can't be had, the refusal stands.
    async fn earlier(&self, record: &str, document: &[u8]) -> Option<(Vec<u8>, Facts)> {
        let url = self.client.url(&format!("/records/{record}/receipt?version=1"));
        let receipt = self.client.bytes(&url).await.ok()?;
        let facts = evidence::check(&receipt, &self.root, Some(&digest(document))).ok()?;
        Some((receipt, facts))
    }

    /// Registers several, in batches; each is told of as its batch is final.
    pub async fn many(&self, files: &[PathBuf], parameters: &[(&str, &str)]) -> Result<bool> {
        let mut all = true;
        let (mut batch, mut size) = (Vec::new(), 0);
        for file in files {
            match self.prepared(file, parameters).await {
                Ok((Some(done), ..)) => self.show(file, done)?,
                Ok((None, source, bytes)) => {
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

    async fn prepared(&self, file: &Path, parameters: &[(&str, &str)]) -> Result<(Option<Done>, Source, Vec<u8>)> {
        let bytes = read(file)?;
        let source = self.source(file);
        Ok((self.before(&source, &bytes, parameters).await?, source, bytes))
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
                    let done = self.single(&source.document, parameters).await;
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
            let done = self.registered(source, bytes, outcome, parameters).await;
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

    /// Checks a receipt against its document, and writes it.
    fn keep(&self, source: &Source, document: &[u8], receipt: &[u8]) -> Result<Done> {
        let facts = evidence::check(receipt, &self.root, Some(&digest(document)))?;
        if !files::write_receipt(source, receipt)? {
            return Err(Failure::new(
                "other_receipt",
                format!("{} is there already and was not replaced", source.receipt.display()),
                format!(
                    "move it away and get this one: `muniment receipt` of record {}",
                    facts.record
                ),
            ));
        }
        Ok(Done::of(facts, source, false))
    }

    /// Says what became of a file.
    pub fn show(&self, file: &Path, done: Done) -> Result<()> {
        if self.output.json() {
            return self
                .output
                .document(&serde_json::json!({ "file": name(file), "done": done }));
        }
        let mut lines = vec![
            name(file),
            format!("  id        {}", done.id),
            format!("  height    {} at {}", done.height, done.time),
        ];
        lines.extend(done.document.map(|path| format!("  document  {}", path.display())));
        lines.push(format!("  receipt   {}", done.receipt.display()));
        if done.already {
            lines.push("  note      it was registered before; the receipt is of that record".to_owned());
        }
        self.output.line(lines.join("\n"))
    }

    /// The same of one of many: a failure doesn't end the others.
    pub fn tell(&self, file: &Path, done: Result<Done>) -> Result<bool> {
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

fn refused(code: &str, detail: &str, findings: Vec<Finding>) -> Failure {
    Failure {
        findings,
        ..crate::client::refused(code, detail)
    }
}

fn digest(document: &[u8]) -> [u8; 32] {
    Sha256::digest(document).into()
}

fn is_json(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
}
