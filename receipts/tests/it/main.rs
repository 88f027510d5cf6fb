//! Tests of the receipts crate from outside: properties, other people's vectors, and a verifier of our own receipts
//! that is built from the text of the public formats alone.
//!
//! Vectors lie in `shared/vectors` beside the repository (or where `MUNIMENT_VECTORS` says); without them the tests
//! that need them say so and pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::too_many_lines)]

mod cose;
mod flips;
mod genesis;
mod independent;
mod inventory;
mod jcs;
mod keys;
mod leaves;
mod merkle;
mod notes;
mod statements;
mod tiles;
mod trust;
mod vectors;
mod verdicts;
mod world;
