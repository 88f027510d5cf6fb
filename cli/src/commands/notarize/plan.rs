//! Deciding for one file whether anything has to be sent, and what.

use std::sync::Arc;

use muniment_api::types::{Digest, NotarizationRequest};

use super::journal::{self, Journal};
use crate::error::{Failure, Result, io};
use crate::evidence::{self, Disclosure};
use crate::files::Shown;
use crate::files::Source;
use crate::{digest, trust};

/// A file and what is to be done for it.
pub struct Job {
    /// The file.
    pub source: Source,
    /// `None` when its receipt is there and proves its present content.
    pub work: Result<Option<Hashed>>,
}

/// A hashed file, ready to be sent.
pub struct Hashed {
    /// Where its receipt goes.
    pub source: Source,
    /// SHA-256 of the document.
    pub document: [u8; 32],
    /// What the holder must keep to show that the value on the ledger is this document's.
    pub disclosure: Disclosure,
    /// The deposit.
    pub request: NotarizationRequest,
}

/// Hashes a file and looks at its receipt, if it has one.
pub fn prepare(source: Source, root: &Arc<trust::Root>, plain: bool, journal: &Journal) -> Job {
    let work = work(&source, root, plain, journal);
    Job { source, work }
}

fn work(source: &Source, root: &trust::Root, plain: bool, journal: &Journal) -> Result<Option<Hashed>> {
    let (document, size) =
        digest::file(&source.document).map_err(|error| io("can't read", &source.document, &error))?;
    match std::fs::read(&source.receipt) {
        Ok(bytes) if evidence::proves(&bytes, root, &document) => return Ok(None),
        // An older receipt is evidence too: it is never overwritten.
        Ok(_) => return Err(other_receipt(source)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io("can't read", &source.receipt, &error)),
    }
    let disclosure = if plain {
        Disclosure::Plain
    } else {
        journal::nameable(source)?;
        let salt = match journal.salt(source, &document)? {
            Some(salt) => salt,
            None => digest::salt().map_err(|error| {
                Failure::new(
                    "randomness",
                    format!("the operating system gives no randomness: {error}"),
                    "check /dev/urandom",
                )
            })?,
        };
        Disclosure::Salted { salt }
    };
    Ok(Some(deposit(source.clone(), document, size, disclosure)))
}

/// The deposit of a hashed document.
pub fn deposit(source: Source, document: [u8; 32], size: u64, disclosure: Disclosure) -> Hashed {
    let request = NotarizationRequest {
        digests: vec![Digest {
            alg: "sha-256".to_owned(),
            value: hex::encode(disclosure.commitment(&document)),
        }],
        mode: disclosure.mode().to_owned(),
        // A length tells something about a document; only plain deposits carry it.
        size: (disclosure == Disclosure::Plain).then_some(size),
        media_type: None,
        subject: None,
    };
    Hashed {
        source,
        document,
        disclosure,
        request,
    }
}

/// Code of [`other_receipt`].
pub const OTHER_RECEIPT: &str = "other_receipt";

/// A file is where the receipt should go.
pub fn other_receipt(source: &Source) -> Failure {
    Failure::new(
        OTHER_RECEIPT,
        format!(
            "{} is there already and is not a receipt of this network for the file as it is now",
            source.receipt.shown()
        ),
        "move it away, or write the new receipts to another folder with --out",
    )
}
