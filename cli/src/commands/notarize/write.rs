//! Sending deposits and keeping what comes back: each receipt is verified before it is written.

use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt;
use muniment_api::types::{ItemOutcome, Recorded};

use super::journal::Journal;
use super::plan::{Hashed, other_receipt};
use crate::client::{Client, Written, new_key, rejected};
use crate::error::{Failure, Result, io};
use crate::evidence::{self, Disclosure};
use crate::files::Shown;
use crate::files::{self, Source};
use crate::trust;

/// Receipts that are checked and synced to disk at a time.
const WRITERS: usize = 16;

/// Sends deposits of one run.
pub struct Writer {
    /// Where they go.
    pub client: Client,
    /// What receipts are checked against.
    pub root: Arc<trust::Root>,
    /// Where salts are kept until their receipts are.
    pub journal: Arc<Journal>,
}

/// A receipt on disk.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipted {
    /// Record id.
    pub id: String,
    /// Block height.
    pub height: u64,
    /// Block time.
    pub time: String,
    /// Validators whose cosignatures are in it.
    pub signed_by: Vec<String>,
    /// The file.
    pub receipt: PathBuf,
    /// The document was on the ledger before; this is the earlier record's receipt.
    pub earlier: bool,
}

impl Receipted {
    /// For people.
    pub fn text(&self, source: &Source) -> String {
        format!(
            "{}\n  id        {}\n  height    {} at {}\n  signed by {}\n  receipt   {}{}",
            source.document.shown(),
            self.id,
            self.height,
            self.time,
            self.signed_by.join(", "),
            self.receipt.shown(),
            if self.earlier {
                "\n  note      this document was on the ledger before; the receipt is of that record"
            } else {
                ""
            }
        )
    }
}

impl Writer {
    /// One answer per deposit, in order.
    pub async fn deposit(&self, hashed: Vec<Hashed>) -> Vec<Result<Receipted>> {
        let count = hashed.len();
        match self.journaled(hashed).await {
            Ok(kept) => kept,
            Err(failure) => (0..count).map(|_| Err(copy(&failure))).collect(),
        }
    }

    /// Salts on disk, request, receipts on disk, salts away: a kill at any place leaves enough to go on.
    async fn journaled(&self, hashed: Vec<Hashed>) -> Result<Vec<Result<Receipted>>> {
        if hashed.is_empty() {
            return Ok(Vec::new());
        }
        let journal = self.journal.clone();
        let (page, hashed) = blocking(move || Ok((journal.write(&hashed)?, hashed))).await?;
        let outcomes = match hashed.as_slice() {
            [one] => vec![self.single(one).await?],
            many => self.batch(many).await?,
        };
        if outcomes.len() != hashed.len() {
            return Err(miscounted(outcomes.len(), hashed.len()));
        }
        let kept = hashed
            .into_iter()
            .zip(outcomes)
            .map(|(hashed, outcome)| self.keep(hashed, outcome));
        let kept: Vec<(bool, Result<Receipted>)> = futures::stream::iter(kept).buffered(WRITERS).collect().await;
        let all_settled = kept.iter().all(|(settled, _)| *settled);
        let kept: Vec<Result<Receipted>> = kept.into_iter().map(|(_, result)| result).collect();
        if all_settled {
            let receipts: Vec<PathBuf> = kept.iter().flatten().map(|done| done.receipt.clone()).collect();
            blocking(move || {
                files::sync_folders(receipts.iter().map(PathBuf::as_path))?;
                page.finish()
            })
            .await?;
        }
        Ok(kept)
    }

    /// Ends the run: what earlier runs left in the journal and this one finished is removed.
    ///
    /// # Errors
    /// When it can't be.
    pub fn close(self) -> Result<()> {
        Arc::into_inner(self.journal).map_or(Ok(()), Journal::tidy)
    }

    async fn single(&self, hashed: &Hashed) -> Result<ItemOutcome> {
        let body = json(&hashed.request)?;
        match self.client.notarize(body, &new_key()).await? {
            Written::Done(notarization) => Ok(ItemOutcome::Accepted(notarization)),
            Written::Pending(operation) => {
                let mut items = self.client.decided(operation).await?.items;
                if items.len() == 1 {
                    Ok(items.remove(0))
                } else {
                    Err(miscounted(items.len(), 1))
                }
            }
            Written::Refused(problem) => Ok(rejected(problem)),
        }
    }

    async fn batch(&self, hashed: &[Hashed]) -> Result<Vec<ItemOutcome>> {
        let items: Vec<_> = hashed.iter().map(|hashed| &hashed.request).collect();
        let body = json(&serde_json::json!({ "items": items }))?;
        match self.client.notarize_batch(body, &new_key()).await? {
            Written::Done(batch) => Ok(batch.items),
            Written::Pending(operation) => Ok(self.client.decided(operation).await?.items),
            Written::Refused(problem) => Err(Failure::new(&problem.code, problem.detail, "correct the request")),
        }
    }

    /// Makes a receipt file of an outcome. Also answers whether the deposit is settled, so that its salt isn't needed any
    /// more: not when there is a record and its receipt could not be had or written.
    async fn keep(&self, hashed: Hashed, outcome: ItemOutcome) -> (bool, Result<Receipted>) {
        let stored = match outcome {
            ItemOutcome::Accepted(answer) => {
                self.store(hashed, answer.receipt.clone().into_bytes(), Some(answer))
                    .await
            }
            // Under a salt of ours it is what an interrupted run deposited.
            ItemOutcome::Rejected {
                code,
                record: Some(record),
                ..
            } if code.eq_ignore_ascii_case("duplicate") => match self.client.receipt(&record).await {
                Ok(receipt) => self.store(hashed, receipt, None).await,
                Err(failure) => Err(failure),
            },
            ItemOutcome::Rejected {
                code, detail, pointer, ..
            } => {
                // The reason is one server's word. With the salt of an earlier run there may be a record all the same.
                let settled = !self.journal.continues(&hashed);
                return (settled, Err(refused(&code, &detail, &pointer)));
            }
        };
        (stored.is_ok(), stored)
    }

    /// The network's validators may have changed since this run began: what the trust root of that moment doesn't hold for
    /// is checked once more against that of now, which must continue the pinned one as well.
    async fn store(&self, hashed: Hashed, receipt: Vec<u8>, answer: Option<Recorded>) -> Result<Receipted> {
        let given = Arc::new((hashed, receipt, answer));
        match check_and_write(self.root.clone(), given.clone()).await {
            Err(failure) if failure.code == evidence::WRONG => {
                let newest = trust::contact(&self.client).await?;
                check_and_write(newest, given).await
            }
            stored => stored,
        }
    }
}

/// Checking and syncing to disk leave this thread: many receipts are under way at a time.
async fn check_and_write(root: Arc<trust::Root>, given: Arc<(Hashed, Vec<u8>, Option<Recorded>)>) -> Result<Receipted> {
    blocking(move || {
        let (hashed, receipt, answer) = &*given;
        store(&root, hashed, receipt, answer.as_ref())
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Failure::new(
            "internal",
            format!("a worker ended: {error}"),
            "report this",
        ))
    })
}

fn refused(code: &str, detail: &str, pointer: &str) -> Failure {
    let place = if pointer.is_empty() {
        String::new()
    } else {
        format!(" (at {pointer})")
    };
    Failure::new(
        code,
        format!("the network refused it: {detail}{place}"),
        "correct what the message names",
    )
}

/// Adds the disclosure, checks everything offline, and only then writes. Without an answer the receipt is of an earlier
/// record.
fn store(root: &trust::Root, hashed: &Hashed, receipt: &[u8], answer: Option<&Recorded>) -> Result<Receipted> {
    let bytes = evidence::disclose(receipt, &hashed.disclosure)?;
    let facts = evidence::check(&bytes, root, Some(&hashed.document))?;
    if let Some(answer) = answer
        && (answer.height, &answer.id) != (facts.height, &facts.record)
    {
        return Err(Failure::new(
            "wrong_receipt",
            "the server's answer and its receipt name different records",
            "do not trust this server; keep its log",
        ));
    }
    let path = &hashed.source.receipt;
    if !files::write_receipt(&hashed.source, &bytes)? {
        // Another run over the same document may have been faster.
        let found = std::fs::read(path).map_err(|error| io("can't read", path, &error))?;
        if !evidence::proves(&found, root, &hashed.document) {
            return Err(other_receipt(&hashed.source));
        }
    }
    Ok(Receipted {
        id: facts.record,
        height: facts.height,
        time: facts.time,
        signed_by: facts.signed_by,
        receipt: path.clone(),
        earlier: answer.is_none() && hashed.disclosure == Disclosure::Plain,
    })
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Failure::new("internal", format!("the request can't be written: {error}"), ""))
}

fn miscounted(got: usize, sent: usize) -> Failure {
    Failure::new(
        "protocol",
        format!("the server answered for {got} of {sent} files"),
        "run the same command again",
    )
}

fn copy(failure: &Failure) -> Failure {
    Failure {
        class: failure.class,
        code: failure.code.clone(),
        message: failure.message.clone(),
        next: failure.next.clone(),
        findings: failure.findings.clone(),
    }
}
