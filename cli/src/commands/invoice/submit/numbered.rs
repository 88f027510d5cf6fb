//! Drafts that get their number from the server, and the numbered documents that come back.
//!
//! A draft has nothing that would tell a second try from a second invoice. What is on its way is therefore remembered
//! beside the receipts until its files are written: sent again under the same key it is the same invoice, and takes no
//! second number.

use std::path::{Path, PathBuf};

use muniment_api::problem::Code;
use muniment_api::types::{ItemOutcome, Recorded};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::super::read;
use super::desk::{Desk, refused};
use super::told::Done;
use crate::error::{Failure, Result, io};
use crate::files::{self, Shown, Source};

/// Ending of what remembers a draft on its way.
const SENDING: &str = "sending";
/// How long a key is used again, in seconds: an hour less than servers know one (docs/operations.md).
const KNOWN: u64 = 47 * 3_600;

/// A draft on its way.
struct Attempt {
    path: PathBuf,
    /// Makes repetitions safe.
    key: String,
    /// Something else was on its way before, of which nothing was heard.
    lost: bool,
}

impl Attempt {
    /// Goes on with the one at `path` if it was of the same content, or begins another.
    fn of(path: PathBuf, content: &str) -> Result<Self> {
        let earlier = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(io("can't read", &path, &error)),
        };
        let same = earlier.as_deref().and_then(|text| {
            let (key, of) = text.trim().split_once(' ')?;
            (of == content && is_known(key)).then(|| key.to_owned())
        });
        if let Some(key) = same {
            return Ok(Self { path, key, lost: false });
        }
        let key = Uuid::now_v7().to_string();
        // On disk before anything is sent.
        files::write_private(&path, format!("{key} {content}\n").as_bytes())?;
        Ok(Self {
            path,
            key,
            lost: earlier.is_some(),
        })
    }

    /// What became of it is known.
    fn over(self) -> Result<()> {
        std::fs::remove_file(&self.path).map_err(|error| io("can't remove", &self.path, &error))
    }
}

/// Whether servers still know a key: it says when it was made.
fn is_known(key: &str) -> bool {
    let made = Uuid::parse_str(key).ok().and_then(|key| key.get_timestamp());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    made.zip(now.ok())
        .is_some_and(|(made, now)| now.as_secs() < made.to_unix().0.saturating_add(KNOWN))
}

/// Whether a server refused the request itself, so that nothing came of it.
fn is_refusal(failure: &Failure) -> bool {
    Code::ALL
        .iter()
        .any(|code| code.name == failure.code && code.status < 500)
}

impl Desk {
    /// Registers a draft under the next number; the numbered document is written beside it.
    pub async fn numbered(&self, file: &Path, parameters: &[(&str, &str)]) -> Result<Done> {
        let draft = read(file)?;
        let content = self.content(&draft, parameters);
        let attempt = Attempt::of(self.source(file).receipt.with_extension(SENDING), &content)?;
        if attempt.lost {
            self.output.say(format!(
                "{} was sent before with another content or long ago, and no answer came: `muniment invoice list` tells \
                 whether that is registered; this is sent as another invoice",
                file.shown()
            ));
        }
        let outcome = match self.send(draft, parameters, &attempt.key).await {
            Err(failure) if is_refusal(&failure) => {
                attempt.over()?;
                return Err(failure);
            }
            outcome => outcome?,
        };
        let done = match outcome {
            ItemOutcome::Accepted(recorded) => self.file(file, &recorded).await?,
            ItemOutcome::Rejected {
                code,
                detail,
                record,
                findings,
                ..
            } => {
                attempt.over()?;
                return Err(refused(&code, &detail, record.as_deref(), findings));
            }
        };
        attempt.over()?;
        Ok(done)
    }

    /// Digest of all that makes a request another one.
    fn content(&self, draft: &[u8], parameters: &[(&str, &str)]) -> String {
        let mut digest = Sha256::new_with_prefix(self.network());
        for (name, value) in parameters {
            digest.update(format!("{name}={value}\n"));
        }
        digest.update(Sha256::digest(draft));
        hex::encode(digest.finalize())
    }

    /// Writes the numbered document and its receipt.
    async fn file(&self, draft: &Path, recorded: &Recorded) -> Result<Done> {
        let url = self.client.url(&format!("/invoices/{}/document", recorded.id));
        let document = self.client.bytes(&url).await?;
        let target = self.place(draft, &recorded.id, &document);
        let written = target.receipt.with_extension("");
        if !holds(&written, &document) {
            files::write_new(&written, &document, false).map_err(|failure| Failure {
                next: format!(
                    "it is registered: get it with `muniment invoice document {} --out FILE`",
                    recorded.id
                ),
                ..failure
            })?;
        }
        let done = self.keep(&target, &document, recorded.receipt.as_bytes()).await?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_same_draft_keeps_its_key_until_servers_forget_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("draft.json.sending");
        let first = Attempt::of(path.clone(), "a").unwrap();
        let again = Attempt::of(path.clone(), "a").unwrap();
        assert_eq!((&again.key, again.lost), (&first.key, false));
        let other = Attempt::of(path.clone(), "b").unwrap();
        assert!(other.key != first.key && other.lost);

        let days = |ago: u64| {
            let now = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap();
            let then = uuid::Timestamp::from_unix(uuid::NoContext, now.as_secs() - ago * 86_400, 0);
            Uuid::new_v7(then).to_string()
        };
        for (key, kept) in [(days(1), true), (days(2), false), ("junk".to_owned(), false)] {
            std::fs::write(&path, format!("{key} b\n")).unwrap();
            let attempt = Attempt::of(path.clone(), "b").unwrap();
            assert_eq!((attempt.key == key, attempt.lost), (kept, !kept), "{key}");
        }
        Attempt::of(path.clone(), "b").unwrap().over().unwrap();
        assert!(!path.exists());
    }
}
