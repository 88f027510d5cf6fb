//! What is told about one firing of one rule.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How bad a finding is, as the official artefacts grade it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Information,
    /// Should be mended; the invoice stays valid.
    Warning,
    /// The invoice is not valid.
    Fatal,
}

/// The rule set that a finding comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Set {
    /// EN 16931, artefacts 1.3.16.
    En16931,
    /// XRechnung 3.0, Schematron 2.5.0.
    XRechnung,
    /// Peppol BIS Billing 3.
    Peppol,
}

/// One firing of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Rule id.
    pub rule: Cow<'static, str>,
    /// Rule set.
    pub set: Set,
    /// Grade.
    pub severity: Severity,
    /// What the rule asks for.
    pub message: Cow<'static, str>,
    /// Business terms and groups that it is about.
    pub term: Cow<'static, str>,
    /// XPath of the element that was judged.
    pub location: String,
    /// Line of its start tag.
    pub line: u32,
    /// Values that the rule looked at.
    pub values: Vec<String>,
    /// What to do.
    pub fix: Cow<'static, str>,
}
