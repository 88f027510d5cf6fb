//! Tests of the invoices crate from outside.
//!
//! The vectors lie in `shared/vectors` beside the repository (or in the folder that `MUNIMENT_SHARED` names); without
//! them the tests that need them say so and pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::too_many_lines)]

mod bad_input;
mod edges;
mod exact;
mod make;
mod models;
mod peppol;
mod rules;
mod shared;
mod tables;
mod unseen;
mod vectors;
