//! Governance in the executor: members, templates, validators.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "execute/governance.rs"]
mod governance;
#[path = "execute/governed_templates.rs"]
mod governed_templates;
#[path = "execute/governed_validators.rs"]
mod governed_validators;
#[allow(dead_code)]
#[path = "execute/support.rs"]
mod support;
