//! Judges a document: reads it, runs the rule sets of a profile, reports.

use serde::{Deserialize, Serialize};

use crate::engine::{Facts, Finding, Set, Severity, run};
use crate::exact::{Exact, exact};
use crate::model::{Invoice, model};
use crate::rules;
use crate::syntax::Syntax;
use crate::xml::{Document, Limits, Unreadable, read};

/// What an invoice shall conform to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// The standard alone.
    #[default]
    En16931,
    /// The German XRechnung 3.0 with its extension.
    XRechnung,
    /// Peppol BIS Billing 3.
    Peppol,
}

impl Profile {
    /// The rule sets that it is made of.
    #[must_use]
    pub fn sets(self) -> &'static [Set] {
        match self {
            Self::En16931 => &[Set::En16931],
            Self::XRechnung => &[Set::En16931, Set::XRechnung],
            Self::Peppol => &[Set::En16931, Set::Peppol],
        }
    }

    /// As reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::En16931 => "en16931",
            Self::XRechnung => "xrechnung",
            Self::Peppol => "peppol",
        }
    }
}

/// How to judge.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The profile.
    pub profile: Profile,
    /// The document is a part of an invoice: the official rules run as always, the exact arithmetic judges only what
    /// is there.
    pub fragment: bool,
    /// Give the exact verdict, too.
    pub exact: bool,
    /// Bounds for reading.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            fragment: false,
            exact: true,
            limits: Limits::default(),
        }
    }
}

/// The judgement of one document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Its syntax.
    pub syntax: Syntax,
    /// What it was judged by.
    pub profile: Profile,
    /// No fatal finding.
    pub valid: bool,
    /// One entry for each firing, as the official reports have it.
    pub findings: Vec<Finding>,
    /// The exact verdict, if asked for; it does not touch `valid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<Exact>,
}

/// Reads and judges a document.
///
/// # Errors
/// The bytes are not an invoice that can be read.
pub fn check(bytes: &[u8], options: &Options) -> Result<Report, Unreadable> {
    let document = read(bytes, &options.limits)?;
    let syntax = Syntax::of(&document)?;
    let mut report = parity(&document, syntax, options)?;
    report.exact = options.exact.then(|| {
        let (invoice, problems) = model(&document, syntax);
        exact(&invoice, &problems, options.fragment)
    });
    Ok(report)
}

/// As [`check`], with the model: the document is read once.
///
/// # Errors
/// As [`check`].
pub fn check_with_model(bytes: &[u8], options: &Options) -> Result<(Report, Invoice), Unreadable> {
    let document = read(bytes, &options.limits)?;
    let syntax = Syntax::of(&document)?;
    let mut report = parity(&document, syntax, options)?;
    let (invoice, problems) = model(&document, syntax);
    report.exact = options.exact.then(|| exact(&invoice, &problems, options.fragment));
    Ok((report, invoice))
}

/// The verdict by the official rules.
fn parity(document: &Document<'_>, syntax: Syntax, options: &Options) -> Result<Report, Unreadable> {
    let findings = findings(document, syntax, options.profile.sets(), &options.limits)?;
    Ok(Report {
        syntax,
        profile: options.profile,
        valid: findings.iter().all(|finding| finding.severity != Severity::Fatal),
        findings,
        exact: None,
    })
}

/// All findings of some rule sets, in their order.
fn findings(
    document: &Document<'_>,
    syntax: Syntax,
    sets: &[Set],
    limits: &Limits,
) -> Result<Vec<Finding>, Unreadable> {
    let facts = Facts::new(document, syntax);
    let mut findings = Vec::new();
    for set in sets {
        let left = limits.findings - findings.len();
        findings.append(&mut run(rules::rule_set(*set, syntax), document, &facts, left));
        if findings.len() > limits.findings {
            return Err(Unreadable::TooLarge {
                what: "findings",
                limit: limits.findings,
            });
        }
    }
    Ok(findings)
}

/// Findings of single rule sets, for comparing with the official artefacts one by one.
///
/// # Errors
/// The bytes are not an invoice that can be read.
pub fn check_sets(bytes: &[u8], sets: &[Set], limits: &Limits) -> Result<Vec<Finding>, Unreadable> {
    let document = read(bytes, limits)?;
    let syntax = Syntax::of(&document)?;
    findings(&document, syntax, sets, limits)
}

/// Ids of the rules of a set for a syntax, sorted and each once.
#[must_use]
pub fn rule_ids(set: Set, syntax: Syntax) -> Vec<&'static str> {
    let mut ids = rules::rule_ids(rules::rule_set(set, syntax));
    ids.sort_unstable();
    ids.dedup();
    ids
}
