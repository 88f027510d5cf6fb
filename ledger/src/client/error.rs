//! Why a call failed, in the kinds that a caller treats differently.

use std::time::Duration;

/// A call to the network failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No validator answers, or those that do can't reach enough others. What was submitted may still become final:
    /// repeat the same transactions, never make new ones.
    #[error("the network can't be reached: {}", list(reasons))]
    Unavailable {
        /// Validator name and what happened there.
        reasons: Vec<(String, String)>,
    },
    /// The network answers that it has too much to do.
    #[error("the network is overloaded; try again in {} s", retry_after.as_secs())]
    Overloaded {
        /// As the validator asks for.
        retry_after: Duration,
    },
    /// The request is at fault; the same one will fail again.
    #[error("{validator} refuses the request with {status} {code}: {detail}")]
    Refused {
        /// Validator name.
        validator: String,
        /// HTTP status.
        status: u16,
        /// Stable code (`wire::code`).
        code: String,
        /// How to mend it.
        detail: String,
    },
    /// A validator's answer isn't what it must be.
    #[error("{validator} gives an answer that can't be right: {what}")]
    Protocol {
        /// Validator name.
        validator: String,
        /// What is wrong.
        what: String,
    },
}

impl ClientError {
    /// True if the same call may succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Overloaded { .. })
    }
}

fn list(reasons: &[(String, String)]) -> String {
    if reasons.is_empty() {
        return "it has no validators".to_owned();
    }
    reasons
        .iter()
        .map(|(name, reason)| format!("{name}: {reason}"))
        .collect::<Vec<_>>()
        .join("; ")
}
