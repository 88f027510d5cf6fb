//! Drafts that get their number from the server, and the numbered documents that come back.
//!
//! A draft has nothing that would tell a second try from a second invoice. What is on its way is therefore remembered until
//! its files are written: sent again under the same key it is the same invoice, and takes no second number.

use std::path::Path;

use muniment_api::problem::Code;
use muniment_api::types::{ItemOutcome, Recorded, Whoami};
use sha2::{Digest as _, Sha256};

use super::super::read;
use super::attempt::Attempt;
use super::desk::{Desk, refused};
use super::told::Done;
use crate::error::{Failure, Result};
use crate::files::{self, Source};

/// Refusals of the content alone: whatever was sent before under the same key was refused likewise.
const OF_CONTENT: [Code; 3] = [Code::MALFORMED_JSON, Code::BAD_REQUEST, Code::BODY_TOO_LARGE];
/// Refusals that say nothing of what was sent before under the same key.
const OF_SENDER: [Code; 3] = [Code::FORBIDDEN, Code::NOT_ALLOWED, Code::TENANT_SUSPENDED];

fn is_one_of(codes: &[Code], name: &str) -> bool {
    codes.iter().any(|code| code.name == name)
}

impl Desk {
    /// Registers a draft under the next number; the numbered document is written beside it. The attempt is over once that is
    /// told: who saw nothing runs the command again, and means the same invoice.
    pub async fn numbered(&self, file: &Path, parameters: &[(&str, &str)]) -> Result<(Done, Attempt)> {
        let draft = read(file)?;
        let content = self.content(file, &draft, parameters).await?;
        let receipt = self.source(file).receipt;
        let attempt = Attempt::of(receipt.parent().unwrap_or(Path::new(".")), &content)?;
        let (code, detail, record, findings) = match self.send(draft, parameters, &attempt.key).await {
            Ok(ItemOutcome::Accepted(recorded)) => return Ok((self.file(file, &recorded).await?, attempt)),
            Ok(ItemOutcome::Rejected {
                code,
                detail,
                record,
                findings,
                ..
            }) => (code, detail, record, findings),
            Err(failure) => {
                // All others leave open whether an earlier try was accepted.
                if is_one_of(&OF_CONTENT, &failure.code) {
                    attempt.over(self.output);
                    return Err(failure);
                }
                return Err(Failure {
                    next: format!("{}; the same command then goes on with the same invoice", failure.next),
                    ..failure
                });
            }
        };
        if code == Code::IDEMPOTENCY_MISMATCH.name {
            return Err(Failure::new(
                &code,
                "an earlier run has sent this draft in another form, and something has become of that",
                "look for it with `muniment invoice list`",
            ));
        }
        if !is_one_of(&OF_SENDER, &code) {
            attempt.over(self.output);
        }
        Err(refused(&code, &detail, record.as_deref(), findings))
    }

    /// Digest of all that makes it another invoice: who issues it, where, on what terms, and the draft.
    async fn content(&self, file: &Path, draft: &[u8], parameters: &[(&str, &str)]) -> Result<[u8; 32]> {
        let own: Whoami = self
            .client
            .get(&format!("{}/v1/whoami", self.client.context().server))
            .await?;
        let mut digest = Sha256::new();
        let (network, path) = (self.network(), files::resolved(file)?);
        let path = path.as_os_str().as_encoded_bytes();
        for part in [own.signer.as_bytes(), network.as_bytes(), path, draft] {
            digest.update(Sha256::digest(part));
        }
        for (name, value) in parameters {
            digest.update(Sha256::digest(format!("{name}={value}")));
        }
        Ok(digest.finalize().into())
    }

    /// Writes the numbered document and its receipt; on disk when this returns.
    async fn file(&self, draft: &Path, recorded: &Recorded) -> Result<Done> {
        let unwritten = |failure: Failure| Failure {
            next: format!(
                "it is registered as {0}: once that is mended the same command writes its files, and `muniment invoice \
                 document {0}` gets it",
                recorded.id
            ),
            ..failure
        };
        let url = self.client.url(&format!("/invoices/{}/document", recorded.id));
        let document = self.client.bytes(&url).await.map_err(unwritten)?;
        let target = self.place(draft, &recorded.id, &document);
        let written = target.receipt.with_extension("");
        if !holds(&written, &document) {
            files::write_new(&written, &document, false).map_err(unwritten)?;
        }
        let done = self.keep(&target, &document, recorded.receipt.as_bytes()).await;
        let done = done.map_err(unwritten)?;
        files::sync_folders([written.as_path(), &target.receipt].into_iter()).map_err(unwritten)?;
        Ok(Done {
            document: Some(written),
            ..done
        })
    }

    /// Where a numbered document goes: NUMBER.json beside the draft. Numbers of other series may make the same name: the
    /// record's id makes it another. Where an earlier run has written it, it stays.
    fn place(&self, draft: &Path, record: &str, document: &[u8]) -> Source {
        let made: serde_json::Value = serde_json::from_slice(document).unwrap_or_default();
        let number = made["number"].as_str().unwrap_or(record);
        let safe = number.replace(|one: char| !one.is_alphanumeric() && !"-_.".contains(one), "_");
        let named = |stem: &str| self.source(&draft.with_file_name(format!("{stem}.json")));
        let target = named(&safe);
        let written = target.receipt.with_extension("");
        if holds(&written, document) || !(written.exists() || target.receipt.exists()) {
            return target;
        }
        named(&format!("{safe}-{record}"))
    }
}

fn holds(file: &Path, content: &[u8]) -> bool {
    std::fs::read(file).is_ok_and(|there| there == content)
}
