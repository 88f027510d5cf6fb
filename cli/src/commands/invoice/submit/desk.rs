//! Sending documents and keeping what comes back: each receipt is verified before it is written, and one that is there
//! stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use muniment_api::types::{Finding, ItemOutcome};
use sha2::{Digest as _, Sha256};

use super::super::read;
use super::same::Wanted;
use super::told::Done;
use crate::client::{Client, JSON, new_key};
use crate::context::Choice;
use crate::error::{Failure, Result, io};
use crate::evidence::{self, Facts};
use crate::files::Shown;
use crate::files::{self, Source};
use crate::output::Output;
use crate::trust;

/// Where documents are sent from, and their receipts kept.
pub struct Desk {
    pub(super) client: Client,
    root: Arc<trust::Root>,
    out: Option<PathBuf>,
    pub(super) output: Output,
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

    /// Id of the network.
    pub(super) fn network(&self) -> String {
        self.root.network()
    }

    /// What is asked for with every document.
    pub fn wanted<'a>(&'a self, parameters: &'a [(&'a str, &'a str)]) -> Wanted<'a> {
        Wanted::new(&self.client, parameters)
    }

    /// Registers one document, or finds that it is registered.
    pub async fn single(&self, file: &Path, wanted: &Wanted<'_>) -> Result<Done> {
        let bytes = read(file)?;
        let source = self.source(file);
        if let Some(done) = self.before(&source, &bytes, wanted).await? {
            return Ok(done);
        }
        let outcome = self.send(bytes.clone(), wanted.parameters(), &new_key()).await?;
        self.registered(&source, &bytes, outcome, wanted).await
    }

    pub(super) async fn send(&self, bytes: Vec<u8>, parameters: &[(&str, &str)], key: &str) -> Result<ItemOutcome> {
        let query = reqwest::Url::parse_with_params("http://localhost/", parameters)
            .map_err(|error| Failure::usage("bad_parameter", format!("a parameter can't be sent: {error}"), ""))?;
        let path = format!("/invoices?{}", query.query().unwrap_or_default());
        let media_type = if is_json(&bytes) { JSON } else { "application/xml" };
        self.client.outcome(&path, media_type, bytes, key).await
    }

    /// What the receipt beside a file says, if there is one. One of another content or purpose stays, and nothing is sent
    /// then: a receipt is evidence, and nothing is registered whose receipt would have no place.
    pub(super) async fn before(&self, source: &Source, document: &[u8], wanted: &Wanted<'_>) -> Result<Option<Done>> {
        let receipt = match std::fs::read(&source.receipt) {
            Ok(receipt) => receipt,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("can't read", &source.receipt, &error)),
        };
        let facts = self.check(&receipt, document).await;
        let other = match &facts {
            Ok(facts) => wanted.difference(facts).await?,
            Err(_) => Some("it does not prove the file as it is now".to_owned()),
        };
        match (facts, other) {
            (Ok(facts), None) => Ok(Some(Done::of(facts, source, true))),
            (_, why) => Err(Failure::new(
                "other_receipt",
                format!(
                    "{} is there already, and {}; nothing was sent",
                    source.receipt.shown(),
                    why.unwrap_or_default()
                ),
                "`muniment verify` tells what it proves; move it away, or name another folder for receipts with --out",
            )),
        }
    }

    /// Keeps the receipt of an outcome. A refusal that names the record of the very same document, registered by the same
    /// key as it is wanted, is none: an earlier run ended before it had its receipt.
    pub(super) async fn registered(
        &self,
        source: &Source,
        document: &[u8],
        outcome: ItemOutcome,
        wanted: &Wanted<'_>,
    ) -> Result<Done> {
        let (code, detail, record, findings) = match outcome {
            ItemOutcome::Accepted(recorded) => return self.keep(source, document, recorded.receipt.as_bytes()).await,
            ItemOutcome::Rejected {
                code,
                detail,
                record,
                findings,
                ..
            } => (code, detail, record, findings),
        };
        let refused = refused(&code, &detail, record.as_deref(), findings);
        let earlier = match record {
            Some(record) => self.earlier(&record, document).await,
            None => None,
        };
        let Some((receipt, facts)) = earlier else {
            return Err(refused);
        };
        match wanted.difference(&facts).await? {
            None => Ok(Done {
                already: true,
                ..self.keep(source, document, &receipt).await?
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
        let facts = self.check(&receipt, document).await.ok()?;
        Some((receipt, facts))
    }

    pub(super) fn source(&self, file: &Path) -> Source {
        Source {
            document: file.to_owned(),
            receipt: files::receipt_path(file, self.out.as_deref()),
        }
    }

    /// Whether a receipt proves a document. The network's validators may have changed since the trust root was asked for:
    /// what it doesn't hold for is checked once more against that of now, which must continue the pinned one.
    async fn check(&self, receipt: &[u8], document: &[u8]) -> Result<Facts> {
        let document = digest(document);
        match evidence::check(receipt, &self.root, Some(&document)) {
            Err(failure) if failure.code == evidence::WRONG => {
                let newest = trust::contact(&self.client).await?;
                evidence::check(receipt, &newest, Some(&document))
            }
            checked => checked,
        }
    }

    /// Checks a receipt against its document, and writes it. One of the same record that is there stays.
    pub(super) async fn keep(&self, source: &Source, document: &[u8], receipt: &[u8]) -> Result<Done> {
        let facts = self.check(receipt, document).await?;
        if !files::write_receipt(source, receipt)? {
            let there = std::fs::read(&source.receipt).map_err(|error| io("can't read", &source.receipt, &error))?;
            let there = self.check(&there, document).await;
            if there.is_ok_and(|there| there.record == facts.record) {
                return Ok(Done::of(facts, source, true));
            }
            return Err(Failure::new(
                "other_receipt",
                format!("{} is there already and was not replaced", source.receipt.shown()),
                format!(
                    "move it away and get this one: `muniment receipt` of record {}",
                    facts.record
                ),
            ));
        }
        Ok(Done::of(facts, source, false))
    }
}

pub(super) fn refused(code: &str, detail: &str, record: Option<&str>, findings: Vec<Finding>) -> Failure {
    Failure {
        findings,
        ..crate::client::refused(code, detail, record, "invoice show")
    }
}

fn digest(document: &[u8]) -> [u8; 32] {
    Sha256::digest(document).into()
}

pub(super) fn is_json(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
}
