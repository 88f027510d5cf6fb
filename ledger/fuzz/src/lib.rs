//! The template compiler alone, from the ledger's own sources.

pub mod template;
