//! `muniment notarize`: digests onto the ledger, a receipt beside each file.
//!
//! Goes on where it stopped: a file whose receipt already proves its present content is left alone, receipts are
//! written as soon as their batch is final, and what was sent without an answer is found again by its salt.

mod journal;
mod plan;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};

use crate::client::{Client, NOT_FINAL};
use crate::context::Choice;
use crate::error::{Failure, Result};
use crate::files::Shown;
use crate::files::{self, Found};
use crate::output::Output;
use crate::progress::Progress;
use crate::trust;
use journal::Journal;
use plan::Job;
pub use plan::OTHER_RECEIPT;
use write::{Receipted, Writer};

/// Batches on their way at the same time: one is hashed while the other becomes final.
const IN_FLIGHT: usize = 2;

/// Puts digests of files on the ledger and writes a receipt beside each.
#[derive(clap::Args)]
pub struct Args {
    /// Files, and with -r folders.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Walk into folders; receipts, hidden folders and data folders of a server are passed by.
    #[arg(short, long)]
    recursive: bool,
    /// Put the document's own digest on the ledger instead of a salted one. Whoever has the document can then find it
    /// there.
    #[arg(long)]
    plain: bool,
    /// Files per request, 1 to 1000.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    batch_size: u16,
    /// Folder for the receipts [default: beside each file].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What became of all files.
#[derive(Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// New receipts.
    pub notarized: usize,
    /// Had a valid receipt before.
    pub already: usize,
    /// No receipt.
    pub failed: usize,
}

/// What became of one file.
#[derive(serde::Serialize)]
#[serde(tag = "result", rename_all = "camelCase")]
enum Line<'a> {
    Notarized {
        file: &'a std::path::Path,
        #[serde(flatten)]
        done: &'a Receipted,
    },
    Already {
        file: &'a std::path::Path,
        receipt: &'a std::path::Path,
    },
    Failed {
        file: &'a std::path::Path,
        code: &'a str,
        message: &'a str,
        next: &'a str,
    },
}

/// Runs the command. The answer is whether every file has its receipt.
pub async fn run(args: Args, choice: &Choice, output: Output) -> Result<bool> {
    let Found {
        sources,
        passed,
        unlisted,
        alone: _,
    } = files::collect(&args.files, args.recursive, args.out.as_deref())?;
    passed.iter().for_each(|sentence| output.say(sentence));
    if sources.is_empty() && unlisted.is_empty() {
        return Err(Failure::usage(
            "no_files",
            "there are no files to notarize",
            "name a file, or a folder with files in it",
        ));
    }
    let progress = Arc::new(Progress::new(sources.len(), output));
    let voice = progress.clone();
    let client = Client::new(choice.load()?)?.talking(move |text| voice.talk(text));
    // First contact: answers fast when no server is there, and pins the trust root.
    let root = trust::contact(&client).await?;
    let journal = Arc::new(Journal::open(&root.network())?);
    let mut told = Told {
        output,
        progress,
        summary: Summary::default(),
        given_up: false,
    };
    for (folder, failure) in &unlisted {
        told.failed(folder, failure)?;
    }
    let writer = Writer { client, root, journal };

    let (root, journal) = (&writer.root, &writer.journal);
    let plain = args.plain;
    let jobs = futures::stream::iter(sources)
        .map(|source| async move {
            let (root, journal) = (root.clone(), journal.clone());
            tokio::task::spawn_blocking(move || plan::prepare(source, &root, plain, &journal))
                .await
                .map_err(|error| Failure::new("internal", format!("a worker ended: {error}"), "report this"))
        })
        .buffered(2);
    let sender = &writer;
    let mut batches = jobs
        .try_chunks(usize::from(args.batch_size))
        .map(|chunk| async move {
            let chunk = chunk.map_err(|error| error.1)?;
            Ok::<_, Failure>(send(sender, chunk).await)
        })
        .buffered(IN_FLIGHT);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        for (source, outcome) in &batch {
            told.file(source, outcome)?;
        }
        // Nor will the next one be: what was sent stays in the journal, the rest waits for the next run.
        if batch
            .iter()
            .any(|(_, outcome)| matches!(outcome, Err(failure) if failure.code == NOT_FINAL))
        {
            told.given_up = true;
            break;
        }
    }
    drop(batches);
    writer.close()?;
    told.progress.finish();
    finish(output, &told.summary)?;
    if told.given_up {
        return Err(unfinished());
    }
    Ok(told.summary.failed == 0)
}

/// What is said while the work goes on, and counted.
struct Told {
    output: Output,
    progress: Arc<Progress>,
    summary: Summary,
    /// The network didn't get on, so the rest wasn't sent.
    given_up: bool,
}

impl Told {
    /// What became of a file.
    fn file(&mut self, source: &files::Source, outcome: &Result<Option<Receipted>>) -> Result<()> {
        match outcome {
            Ok(Some(done)) => {
                self.summary.notarized += 1;
                let file = &source.document;
                self.line(&Line::Notarized { file, done }, || done.text(source))?;
            }
            Ok(None) => {
                self.summary.already += 1;
                let line = Line::Already {
                    file: &source.document,
                    receipt: &source.receipt,
                };
                self.line(&line, || format!("{}: has a valid receipt", source.document.shown()))?;
            }
            Err(failure) => self.failed(&source.document, failure)?,
        }
        self.progress.step();
        Ok(())
    }

    fn failed(&mut self, file: &Path, failure: &Failure) -> Result<()> {
        self.summary.failed += 1;
        self.progress.talk(&format!("{}: {failure}", file.shown()));
        let Failure {
            code, message, next, ..
        } = failure;
        if self.output.json() {
            self.output.json_line(&Line::Failed {
                file,
                code,
                message,
                next,
            })?;
        }
        Ok(())
    }

    fn line(&self, line: &Line<'_>, text: impl FnOnce() -> String) -> Result<()> {
        self.progress.data(|| {
            if self.output.json() {
                self.output.json_line(line)
            } else {
                self.output.line(text())
            }
        })
    }
}

/// Notarizes one file, salted. `None` when it has a valid receipt already.
pub async fn one(client: &Client, root: Arc<trust::Root>, source: files::Source) -> Result<Option<Receipted>> {
    let journal = Arc::new(Journal::open(&root.network())?);
    let work = plan::prepare(source, &root, false, &journal).work?;
    let writer = Writer {
        client: client.clone(),
        root,
        journal,
    };
    let answer = match work {
        Some(hashed) => writer.deposit(vec![hashed]).await.pop(),
        None => None,
    };
    writer.close()?;
    answer.transpose()
}

/// Sends what has to be sent of a chunk; the answers stand in the order of the files.
async fn send(writer: &Writer, chunk: Vec<Job>) -> Vec<(files::Source, Result<Option<Receipted>>)> {
    let mut hashed = Vec::new();
    let mut done = Vec::with_capacity(chunk.len());
    for Job { source, work } in chunk {
        // `None` stands for the next answer.
        let known = match work {
            Ok(Some(work)) => {
                hashed.push(work);
                None
            }
            Ok(None) => Some(Ok(None)),
            Err(failure) => Some(Err(failure)),
        };
        done.push((source, known));
    }
    let mut answers = writer.deposit(hashed).await.into_iter();
    let lost = || {
        Err(Failure::new(
            "protocol",
            "the server left a file out of its answer",
            "run the same command again",
        ))
    };
    done.into_iter()
        .map(|(source, known)| {
            (
                source,
                known.unwrap_or_else(|| answers.next().map_or_else(lost, |answer| answer.map(Some))),
            )
        })
        .collect()
}

fn unfinished() -> Failure {
    Failure::new(
        NOT_FINAL,
        "the network doesn't get on, so the rest was not sent",
        "see `muniment network status`; run the same command again when the quorum holds: it goes on where it stopped",
    )
}

fn finish(output: Output, summary: &Summary) -> Result<()> {
    if output.json() {
        return output.json_line(&serde_json::json!({ "summary": summary }));
    }
    let Summary {
        notarized,
        already,
        failed,
    } = summary;
    if notarized + already + failed > 1 {
        output.say(format!(
            "{notarized} notarized, {already} had a receipt already, {failed} failed"
        ));
    }
    if *failed > 0 {
        output.say("  next: run the same command again; finished files are left alone");
    }
    Ok(())
}
