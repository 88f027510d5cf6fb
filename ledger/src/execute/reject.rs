//! Refusals of actions, and their fixed codes.

use std::borrow::Cow;

use muniment_receipts::statement::MAX_VALIDITY_MS;

use crate::block::Hash;
use crate::wire::Outcome;

/// Why an action changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub code: Cow<'static, str>,
    pub message: String,
    pub pointer: String,
    pub record: Option<Hash>,
}

impl From<Reject> for Outcome {
    fn from(reject: Reject) -> Self {
        Self::Rejected {
            code: reject.code.into_owned(),
            message: reject.message,
            pointer: reject.pointer,
            record: reject.record,
        }
    }
}

impl Reject {
    /// A refusal with a code of our own.
    pub fn new(code: &'static str, message: impl Into<String>, pointer: impl Into<String>) -> Self {
        Self {
            code: Cow::Borrowed(code),
            message: message.into(),
            pointer: pointer.into(),
            record: None,
        }
    }

    /// The same, about a record.
    pub fn about(self, record: Hash) -> Self {
        Self {
            record: Some(record),
            ..self
        }
    }

    pub fn replayed() -> Self {
        Self::new(
            "REPLAYED",
            "this transaction was decided before; sign a new one with a new nonce",
            "",
        )
    }

    pub fn wrong_network() -> Self {
        Self::new("WRONG_NETWORK", "this is signed for another network", "/network")
    }

    pub fn malformed(message: impl Into<String>, pointer: &str) -> Self {
        Self::new("MALFORMED", message, pointer)
    }
}

/// A transaction may be executed at a block time only within its validity, which is bounded so that replays need be
/// remembered only that long.
pub fn validity(valid_until: u64, time: u64) -> Result<(), Reject> {
    if time > valid_until {
        let message = format!("valid until {valid_until}, but the block time is {time}; sign it again");
        return Err(Reject::new("EXPIRED", message, "/validUntil"));
    }
    if valid_until - time > MAX_VALIDITY_MS {
        let message = format!(
            "valid until {valid_until}, more than {MAX_VALIDITY_MS} ms after the block time {time}; sign it with an earlier time"
        );
        return Err(Reject::new("VALIDITY_TOO_LONG", message, "/validUntil"));
    }
    Ok(())
}
