//! XRechnung 3.0 with its extension and its usage for clean vehicles, Schematron 2.5.0. It takes a part of Peppol's
//! rules over, some of them changed.

mod cii;
mod ubl;

use std::sync::{LazyLock, OnceLock};

use crate::engine::{RuleSet, Set, Tables};

static NONE: LazyLock<Tables> = LazyLock::new(Tables::default);

/// The rules for UBL.
pub(super) static UBL: RuleSet = RuleSet {
    set: Set::XRechnung,
    patterns: ubl::PATTERNS,
    tables: || &NONE,
    plan: OnceLock::new(),
};

/// The rules for CII.
pub(super) static CII: RuleSet = RuleSet {
    set: Set::XRechnung,
    patterns: cii::PATTERNS,
    tables: || &NONE,
    plan: OnceLock::new(),
};
