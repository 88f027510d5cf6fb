//! The one verification of receipts, for CLI, API and web page alike.
//!
//! Pure: evaluation time and trust root are inputs, so the same inputs give the same report ten years later. Each
//! verdict stands for itself; "inconclusive" means that something to judge by is missing, and is never a pass.

mod checks;
mod memo;
mod statement;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::trust::{TrustError, TrustRoot};

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    /// The file is a receipt in its one spelling.
    Receipt,
    /// The document is the one whose digest the statement holds.
    Document,
    /// The signer signed the statement.
    Statement,
    /// The leaf and the block marker are in the checkpoint.
    Inclusion,
    /// A quorum of the validators cosigned the checkpoint.
    Quorum,
    /// The trust root holds, and the receipt belongs to it.
    TrustRoot,
    /// The times in the receipt fit each other and the evaluation time.
    Time,
    /// Whether the record was changed later. A receipt can't say; it does not count for the overall result.
    Status,
}

/// Result of one check or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Holds.
    Pass,
    /// Does not hold.
    Fail,
    /// Can't be decided with what was given.
    Inconclusive,
}

/// One verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What was judged.
    pub check: Check,
    /// The result.
    pub result: Outcome,
    /// Stable reason code, lower snake case.
    pub code: Cow<'static, str>,
    /// The reason as a plain sentence.
    pub detail: String,
}

/// A cosignature that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cosigned {
    /// Validator.
    pub name: String,
    /// Seconds since the Unix epoch, by the validator's own clock.
    pub time: u64,
}

/// What the receipt is about. Told only when the statement's signature holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatementSummary {
    /// Template.
    pub template: String,
    /// Revision of the template.
    pub revision: u32,
    /// Action.
    pub action: String,
    /// Signer key.
    pub signer: String,
    /// Name of the signer, if it is a member by the genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer_name: Option<String>,
    /// Record id, hex, as the validators say.
    pub record: String,
    /// Version of the record that the action made.
    pub version: u32,
    /// `digests` of the input, if it has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digests: Option<Value>,
    /// The whole input.
    pub input: Map<String, Value>,
}

/// Outcome of a verification. Serialises to the same bytes for the same inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// All checks, in the order of [`Check`].
    pub verdicts: Vec<Verdict>,
    /// Fail if any check fails, else inconclusive if any (but status) is, else pass.
    pub overall: Outcome,
    /// What was stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<StatementSummary>,
    /// Network id, hex, as the receipt says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Height of the block, as its marker says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// Block time in milliseconds since the Unix epoch, as the marker says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_time: Option<u64>,
    /// Index of the leaf in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// Cosignatures that hold.
    pub cosigned: Vec<Cosigned>,
    /// Names on signature lines of keys that the trust root does not know: they count neither for nor against the
    /// receipt. Nobody vouches for these names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// E.g. `3 of 4`: how many have cosigned of how many validators; [`Check::Quorum`] says whether that is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<String>,
    /// Evaluation time that was given, milliseconds since the Unix epoch.
    pub evaluation_time: u64,
}

impl Report {
    /// Exit code of a command: 0 pass, 1 fail, 3 inconclusive.
    pub fn exit_code(&self) -> u8 {
        match self.overall {
            Outcome::Pass => 0,
            Outcome::Fail => 1,
            Outcome::Inconclusive => 3,
        }
    }

    /// The verdict of a check.
    pub fn verdict(&self, check: Check) -> Option<&Verdict> {
        self.verdicts.iter().find(|verdict| verdict.check == check)
    }
}

/// All that one verification depends on, for a single receipt. Many receipts under one trust root are faster with one
/// [`Verifier`].
#[derive(Clone, Copy, Debug)]
pub struct Verification<'a> {
    /// The receipt file.
    pub receipt: &'a [u8],
    /// The trust root file.
    pub trust_root: Option<&'a [u8]>,
    /// SHA-256 of the document.
    pub document: Option<[u8; 32]>,
    /// Milliseconds since the Unix epoch.
    pub evaluation_time: u64,
    /// Network id that the verifier insists on, whatever the trust root says: for callers who know the network but take
    /// the trust root from where they got the receipt.
    pub network: Option<[u8; 32]>,
}

/// Verifies one receipt.
pub fn verify(input: &Verification<'_>) -> Report {
    Verifier::new(input.trust_root, input.network).verify(input.receipt, input.document, input.evaluation_time)
}

/// A trust root, read once, to verify many receipts. Make one per trust root and keep it: reading a trust root costs
/// as much as a receipt. It can be shared between threads; each thread is a little faster with its own.
#[derive(Debug)]
pub struct Verifier {
    trust: Option<Result<TrustRoot, TrustError>>,
    network: Option<[u8; 32]>,
    memo: memo::Memo,
}

impl Verifier {
    /// Reads the trust root; what is wrong with it shows in every report. `network` is an id to insist on.
    pub fn new(trust_root: Option<&[u8]>, network: Option<[u8; 32]>) -> Self {
        Self {
            trust: trust_root.map(TrustRoot::parse),
            network,
            memo: memo::Memo::default(),
        }
    }

    /// With a trust root that is read already.
    pub fn with(trust: TrustRoot, network: Option<[u8; 32]>) -> Self {
        Self {
            trust: Some(Ok(trust)),
            network,
            memo: memo::Memo::default(),
        }
    }

    /// Verifies one receipt.
    pub fn verify(&self, receipt: &[u8], document: Option<[u8; 32]>, evaluation_time: u64) -> Report {
        checks::run(self, receipt, document, evaluation_time)
    }
}
