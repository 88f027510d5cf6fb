//! Many documents: in batches of one kind each, told of as soon as their batch is final. Credit notes come last, because the
//! invoices that they are for may be among them.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::super::read;
use super::desk::{Desk, is_json};
use super::same::Wanted;
use super::told::Done;
use crate::commands::records::write::outcomes;
use crate::error::Result;
use crate::files::Source;
use crate::progress::Progress;

/// Documents of one request.
const MOST: usize = 1_000;
/// Bytes of the documents of one request: quoted in JSON they may become twice as many, which the server still takes.
const LARGEST: usize = 14 << 20;

/// What a document is for. One request takes one kind only; the order is that in which they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Invoice,
    Correction,
    CreditNote,
}

/// What has to be sent, and how many of which end there were.
struct Run<'a> {
    desk: &'a Desk,
    wanted: &'a Wanted<'a>,
    progress: Progress,
    batch: Vec<(Source, String)>,
    size: usize,
    registered: usize,
    already: usize,
    failed: usize,
}

/// Registers several. The answer is whether each has its receipt.
///
/// # Errors
/// When the server can't be reached, or refuses a batch as a whole. What was told of before has its receipt.
pub async fn submit(desk: &Desk, files: &[PathBuf], wanted: &Wanted<'_>) -> Result<bool> {
    let mut run = Run {
        desk,
        wanted,
        progress: Progress::new(files.len(), desk.output),
        batch: Vec::new(),
        size: 0,
        registered: 0,
        already: 0,
        failed: 0,
    };
    let done = run.all(files).await;
    run.progress.finish();
    run.summary(done.is_ok());
    done.map(|()| run.failed == 0)
}

impl Run<'_> {
    async fn all(&mut self, files: &[PathBuf]) -> Result<()> {
        let (mut corrections, mut notes) = (Vec::new(), Vec::new());
        for file in files {
            match self.file(file, true).await? {
                Kind::Invoice => {}
                Kind::Correction => corrections.push(file),
                Kind::CreditNote => notes.push(file),
            }
        }
        self.send().await?;
        for later in [corrections, notes] {
            for file in later {
                self.file(file, false).await?;
            }
            self.send().await?;
        }
        Ok(())
    }

    /// Takes a file into the batch, unless it is of another kind than comes `first`. The answer is what is left for later.
    async fn file(&mut self, file: &Path, first: bool) -> Result<Kind> {
        let bytes = match read(file) {
            Ok(bytes) => bytes,
            Err(failure) => return self.tell(file, Err(failure)).map(|()| Kind::Invoice),
        };
        let kind = kind(&bytes, self.wanted.parameters());
        if first && kind != Kind::Invoice {
            return Ok(kind);
        }
        let source = self.desk.source(file);
        match self.desk.before(&source, &bytes, self.wanted).await.transpose() {
            Some(done) => self.tell(file, done)?,
            None => self.take(source, bytes).await?,
        }
        Ok(Kind::Invoice)
    }

    async fn take(&mut self, source: Source, bytes: Vec<u8>) -> Result<()> {
        // A batch is JSON: what isn't UTF-8, or large, goes by itself.
        let text = match String::from_utf8(bytes) {
            Ok(text) if text.len() <= LARGEST => text,
            _ => {
                let done = self.desk.single(&source.document, self.wanted).await;
                return self.tell(&source.document, done);
            }
        };
        if self.batch.len() == MOST || self.size + text.len() > LARGEST {
            self.send().await?;
        }
        self.size += text.len();
        self.batch.push((source, text));
        Ok(())
    }

    /// Sends the batch, and tells of each document.
    async fn send(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.size = 0;
        if batch.is_empty() {
            return Ok(());
        }
        let body = body(&batch, self.wanted.parameters());
        let answers = outcomes(&self.desk.client, "/invoices:batch", &body).await?;
        for ((source, text), outcome) in batch.iter().zip(answers) {
            let done = self.desk.registered(source, text.as_bytes(), outcome, self.wanted);
            let done = done.await;
            self.tell(&source.document, done)?;
        }
        Ok(())
    }

    fn tell(&mut self, file: &Path, done: Result<Done>) -> Result<()> {
        match &done {
            Ok(done) if done.already => self.already += 1,
            Ok(_) => self.registered += 1,
            Err(_) => self.failed += 1,
        }
        self.progress.data(|| self.desk.tell(file, done).map(|_| ()))?;
        self.progress.step();
        Ok(())
    }

    fn summary(&self, whole: bool) {
        let Self {
            registered,
            already,
            failed,
            ..
        } = self;
        let output = self.desk.output;
        output.say(format!(
            "{registered} registered, {already} had been before, {failed} refused"
        ));
        if !whole || *failed > 0 {
            output.say("  next: run the same command again once that is mended; what is registered is left alone");
        }
    }
}

/// The request of a batch. Documents are texts in it, kept byte for byte.
fn body(batch: &[(Source, String)], parameters: &[(&str, &str)]) -> Value {
    let mut body = Map::new();
    for (name, value) in parameters {
        let value = match *name {
            "committed" => true.into(),
            _ => (*value).into(),
        };
        body.insert((*name).to_owned(), value);
    }
    let item = |(_, text): &(Source, String)| {
        let name = if is_json(text.as_bytes()) { "json" } else { "xml" };
        serde_json::json!({ name: text })
    };
    body.insert("items".to_owned(), batch.iter().map(item).collect());
    body.into()
}

/// What a document is for, as the server will see it. What can't be read is refused there, with its place.
fn kind(document: &[u8], parameters: &[(&str, &str)]) -> Kind {
    if parameters.iter().any(|(name, _)| *name == "replaces") {
        return Kind::Invoice;
    }
    let read = if is_json(document) {
        muniment_invoices::read_form(document).ok()
    } else {
        let parsed = muniment_invoices::parse(document, &muniment_invoices::Limits::DEFAULT);
        parsed.ok().map(|(invoice, _)| invoice)
    };
    match read {
        Some(invoice) if invoice.is_credit_note() => Kind::CreditNote,
        Some(invoice) if invoice.is_correction() => Kind::Correction,
        _ => Kind::Invoice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_sorted_by_what_they_are_for() {
        let of = |code: &str| format!("{{ \"typeCode\": \"{code}\" }}").into_bytes();
        let note = b"<CreditNote xmlns='urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2' \
            xmlns:cbc='urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2'>\
            <cbc:CreditNoteTypeCode>381</cbc:CreditNoteTypeCode></CreditNote>";
        for (document, expected) in [
            (of("380"), Kind::Invoice),
            (of("381"), Kind::CreditNote),
            (of("384"), Kind::Correction),
            (note.to_vec(), Kind::CreditNote),
            (b"neither".to_vec(), Kind::Invoice),
        ] {
            assert_eq!(kind(&document, &[]), expected, "{}", String::from_utf8_lossy(&document));
        }
        // Where one document is to be replaced by all that is sent, the server needs no hint.
        assert_eq!(kind(&of("384"), &[("replaces", "ab")]), Kind::Invoice);
    }

    #[test]
    fn each_document_goes_as_the_text_that_it_is() {
        let source = |name: &str| Source {
            document: name.into(),
            receipt: name.into(),
        };
        let batch = [
            (source("a"), "<Invoice/>".to_owned()),
            (source("b"), " {\"number\": \"1\"}\n".to_owned()),
        ];
        let body = body(&batch, &[("recipient", "buyer"), ("committed", "true")]);
        assert_eq!(
            body,
            serde_json::json!({ "recipient": "buyer", "committed": true,
                "items": [{ "xml": "<Invoice/>" }, { "json": " {\"number\": \"1\"}\n" }] })
        );
    }
}
