//! The rule sets, one folder for each artefact and syntax. A rule is found by its id.

mod cii;
mod peppol;
mod shared;
mod ubl;
mod xrechnung;

pub(crate) use shared::ProfileFacts;

use crate::engine::{RuleSet, Set};
use crate::syntax::Syntax;

/// The rule set of an artefact for a syntax.
pub(crate) fn rule_set(set: Set, syntax: Syntax) -> &'static RuleSet {
    match (set, syntax) {
        (Set::En16931, Syntax::Cii) => &cii::EN16931,
        (Set::En16931, _) => &ubl::EN16931,
        (Set::XRechnung, Syntax::Cii) => &xrechnung::CII,
        (Set::XRechnung, _) => &xrechnung::UBL,
        (Set::Peppol, Syntax::Cii) => &peppol::CII,
        (Set::Peppol, _) => &peppol::UBL,
    }
}

/// Ids of all rules of a rule set, each once for each context.
pub(crate) fn rule_ids(set: &'static RuleSet) -> Vec<&'static str> {
    let rules = set
        .patterns
        .iter()
        .copied()
        .flatten()
        .flat_map(|context| context.rules)
        .copied()
        .flatten();
    rules.map(|rule| rule.id).chain((set.tables)().ids()).collect()
}
