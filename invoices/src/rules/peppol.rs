//! Peppol BIS Billing 3.0, release of May 2025 (3.0.19), in our own words and code.

pub(super) mod cii;
mod identifiers;
mod national;
pub(super) mod ubl;

use std::sync::{LazyLock, OnceLock};

use crate::engine::{RuleSet, Set, Tables};

static NONE: LazyLock<Tables> = LazyLock::new(Tables::default);

/// The rules for UBL.
pub(super) static UBL: RuleSet = RuleSet {
    set: Set::Peppol,
    patterns: ubl::PATTERNS,
    tables: || &NONE,
    plan: OnceLock::new(),
};

/// The rules for CII.
pub(super) static CII: RuleSet = RuleSet {
    set: Set::Peppol,
    patterns: cii::PATTERNS,
    tables: || &NONE,
    plan: OnceLock::new(),
};
