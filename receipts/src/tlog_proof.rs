//! C2SP `tlog-proof` v1: an entry's index, its audit path and a signed checkpoint, as one text.

use crate::encoding::{base64, from_base64, from_base64_exact, from_decimal};
use crate::merkle::Hash;

const TYPE: &str = "c2sp.org/tlog-proof@v1";
/// Largest proof text, in bytes.
pub const MAX_PROOF: usize = 64 * 1024;
/// Most hashes of a path: a tree of 2^64 leaves has no longer one.
pub const MAX_PATH: usize = 64;

/// A proof text is not well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a tlog-proof: {0}")]
pub struct TlogProofError(&'static str);

/// A proof, taken apart. The checkpoint is kept verbatim and not looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Unauthenticated extra data; we write none.
    pub extra: Option<Vec<u8>>,
    /// Index of the entry, from 0.
    pub index: u64,
    /// Audit path, lowest first.
    pub path: Vec<Hash>,
    /// Signed note of the checkpoint.
    pub checkpoint: String,
}

impl TlogProof {
    /// The file's text.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(64 + self.path.len() * 45 + self.checkpoint.len());
        text.push_str(TYPE);
        if let Some(extra) = &self.extra {
            text.push_str("\nextra ");
            text.push_str(&base64(extra));
        }
        text.push_str("\nindex ");
        text.push_str(&self.index.to_string());
        text.push('\n');
        for hash in &self.path {
            text.push_str(&base64(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    /// Reads a file's text; only what [`Self::text`] writes is accepted.
    ///
    /// # Errors
    /// When it is not well formed or too large.
    pub fn parse(text: &str) -> Result<Self, TlogProofError> {
        if text.len() > MAX_PROOF {
            return Err(TlogProofError("larger than 64 KiB"));
        }
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or(TlogProofError("no blank line before the checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(TYPE) {
            return Err(TlogProofError("the first line must be `c2sp.org/tlog-proof@v1`"));
        }
        let extra = lines
            .next_if(|line| line.starts_with("extra "))
            .map(|line| from_base64(&line[6..]));
        let extra = match extra {
            Some(None) => return Err(TlogProofError("the extra data is not base64")),
            other => other.flatten(),
        };
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(from_decimal);
        let index = index.ok_or(TlogProofError("the index line is missing or not a plain decimal"))?;
        let path = lines
            .map(from_base64_exact)
            .take(MAX_PATH + 1)
            .collect::<Option<Vec<Hash>>>();
        let path = path.ok_or(TlogProofError("a path line is not base64 of 32 bytes"))?;
        if path.len() > MAX_PATH {
            return Err(TlogProofError("the path is longer than any tree is high"));
        }
        Ok(Self {
            extra,
            index,
            path,
            checkpoint: checkpoint.to_owned(),
        })
    }
}
