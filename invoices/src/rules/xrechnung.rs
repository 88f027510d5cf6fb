//! stub
use crate::engine::{RuleSet, Set, Tables};
use std::sync::LazyLock;
static NONE: LazyLock<Tables> = LazyLock::new(Tables::default);
pub(super) static UBL: RuleSet = RuleSet { set: Set::XRechnung, patterns: &[], tables: || &NONE };
pub(super) static CII: RuleSet = RuleSet { set: Set::XRechnung, patterns: &[], tables: || &NONE };
