//! C2SP `tlog-checkpoint` bodies: origin, size and root of a log. No extension lines: nobody could audit them.

use crate::encoding::{base64, from_base64_exact, from_decimal};
use crate::merkle::Hash;

/// What a log's network ids are prefixed with to make its origin.
const ORIGIN: &str = "muniment.dev/network/";

/// A checkpoint body is not well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint: {0}")]
pub struct CheckpointError(&'static str);

/// State of a log at a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log; for a network [`origin`].
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Hash,
}

/// Origin of a network's log. It never changes.
pub fn origin(network: &[u8; 32]) -> String {
    format!("{ORIGIN}{}", hex::encode(network))
}

impl Checkpoint {
    /// A network's checkpoint.
    pub fn new(network: &[u8; 32], size: u64, root: Hash) -> Self {
        Self {
            origin: origin(network),
            size,
            root,
        }
    }

    /// The note text, with its final newline.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, base64(self.root))
    }

    /// Reads a note text.
    ///
    /// # Errors
    /// When it has extension lines or is not exactly what [`Self::text`] writes.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let body = text
            .strip_suffix('\n')
            .ok_or(CheckpointError("the last line is not closed"))?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root), None) = (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError(
                "expected three lines: origin, size, root (extension lines are refused)",
            ));
        };
        if origin.is_empty() {
            return Err(CheckpointError("the origin is empty"));
        }
        Ok(Self {
            origin: origin.to_owned(),
            size: from_decimal(size).ok_or(CheckpointError("the size is not a plain decimal"))?,
            root: from_base64_exact(root).ok_or(CheckpointError("the root is not base64 of 32 bytes"))?,
        })
    }
}
