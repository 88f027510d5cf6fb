//! Tools for people who write templates: advice, cases that run on the executor, and a picture of the states.
//!
//! Pure: sources in, findings out. Owns no rule of the ledger: a template is compiled by [`crate::template`], cases
//! run on [`crate::execute`] exactly as a validator runs blocks. Used by `muniment template`, never by a node.

pub mod advice;
pub mod cases;
pub mod coverage;
pub mod diagram;
pub mod inventory;
mod moves;
mod run;
mod world;

pub use advice::advice;
pub use cases::Suite;
pub use coverage::Coverage;
pub use run::{CaseReport, Failure, Report, run};
