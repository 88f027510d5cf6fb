//! Runs rules over a document. Owns what a rule, a context and a finding are; it knows no rule.
//!
//! As in Schematron, a rule set is a list of patterns, a pattern a list of contexts, and an element is judged by the
//! first context of a pattern that takes it; contexts further down do not see it any more.

mod catalog;
mod facts;
mod finding;
mod plan;
mod run;
mod table;

pub use catalog::{RuleText, rule_text};
pub(crate) use facts::{Category, Facts, Of, vat_scheme};
pub use finding::{Finding, Set, Severity};
pub(crate) use plan::Plan;
pub(crate) use run::run;
pub(crate) use table::Tables;

use std::sync::OnceLock;

use crate::xml::{Name, Node};

/// What must be true of an element.
pub(crate) type Check = for<'d> fn(Node<'d>, &Facts<'d>) -> bool;

/// One assertion of a rule set.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    pub id: &'static str,
    pub severity: Severity,
    pub check: Check,
}

/// The elements that some rules are about.
#[derive(Clone, Copy)]
pub(crate) struct Context {
    /// Names of the elements; none means every element, or every element whose name has the ending.
    pub names: &'static [Name],
    /// Ending of their names; empty for none.
    pub ending: &'static str,
    /// Names of their parents, if that narrows the search; none means any parent.
    pub inside: &'static [Name],
    pub when: for<'d> fn(Node<'d>, &Facts<'d>) -> bool,
    pub rules: &'static [&'static [Rule]],
    /// Section of the syntax table that is about the same elements; empty for none.
    pub table: &'static str,
}

/// Contexts of which an element meets the first that takes it.
pub(crate) type Pattern = &'static [Context];

/// One artefact bound to one syntax.
pub(crate) struct RuleSet {
    pub set: Set,
    pub patterns: &'static [Pattern],
    pub tables: fn() -> &'static Tables,
    /// Made when the first document is judged.
    pub plan: OnceLock<Plan>,
}

/// Rules of one context: `"BR-21" Fatal |line, facts| …;`.
macro_rules! rules {
    ($($id:expr, $severity:ident, $check:expr;)*) => {
        &[$($crate::engine::Rule { id: $id, severity: $crate::engine::Severity::$severity, check: $check }),*]
    };
}
pub(crate) use rules;

/// A context: its names (or their ending), its parents, a condition, a table section; then its rules.
macro_rules! context {
    (@names [$($space:ident : $name:ident),*]) => { &[$($crate::xml::$space::$name),*] };
    (@names $ending:literal) => { &[] };
    (@ending [$($name:tt)*]) => { "" };
    (@ending $ending:literal) => { $ending };
    (@inside) => { &[] };
    (@inside [$($space:ident : $name:ident),*]) => { &[$($crate::xml::$space::$name),*] };
    (@when) => { |_, _| true };
    (@when $when:expr) => { $when };
    (@table) => { "" };
    (@table $table:literal) => { $table };
    ($names:tt $(in $inside:tt)? $(if $when:expr)? $(, table $table:literal)?; $($rules:expr),*) => {
        $crate::engine::Context {
            names: $crate::engine::context!(@names $names),
            ending: $crate::engine::context!(@ending $names),
            inside: $crate::engine::context!(@inside $($inside)?),
            when: $crate::engine::context!(@when $($when)?),
            rules: &[$($rules),*],
            table: $crate::engine::context!(@table $($table)?),
        }
    };
}
pub(crate) use context;
