//! What the record of a proposal holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::state::{Record, StateError};

/// Can be approved and withdrawn.
pub const OPEN: &str = "open";
/// Its change is in effect.
pub const ENACTED: &str = "enacted";
/// Taken back by its proposer.
pub const WITHDRAWN: &str = "withdrawn";

/// Fields of a proposal's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// Which change.
    pub action: String,
    /// Who agreed, in the order of their leaves; those that don't count any more go at the next approval.
    pub approvals: Vec<Approval>,
    /// Its input, as it was signed, without `expires`.
    pub input: Map<String, Value>,
    /// Block time in milliseconds after which it can't be decided.
    pub expires: u64,
}

/// A member's agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Signer key.
    pub key: String,
    /// Log index of the statement.
    pub leaf: u64,
}

fn broken(error: serde_json::Error) -> StateError {
    StateError(error.into())
}

impl Proposal {
    /// From a record of the governance template.
    pub fn read(record: &Record) -> Result<Self, StateError> {
        let fields = record.fields.clone().into_iter().collect::<Map<_, _>>();
        serde_json::from_value(Value::Object(fields)).map_err(broken)
    }

    /// As the record keeps it.
    pub fn fields(&self) -> Result<BTreeMap<String, Value>, StateError> {
        match serde_json::to_value(self).map_err(broken)? {
            Value::Object(fields) => Ok(fields.into_iter().collect()),
            _ => Err(StateError("a proposal is an object".into())),
        }
    }

    /// Keeps the approvals that still count.
    pub fn retain(&mut self, counts: impl Fn(&Approval) -> Result<bool, StateError>) -> Result<(), StateError> {
        let mut kept = Vec::with_capacity(self.approvals.len() + 1);
        for approval in self.approvals.drain(..) {
            if counts(&approval)? {
                kept.push(approval);
            }
        }
        self.approvals = kept;
        Ok(())
    }
}
