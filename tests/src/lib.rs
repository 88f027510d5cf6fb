//! End-to-end scenarios: what a network must do, seen from outside.
//!
//! Owns the [`World`](world::World) seam with its local-process harness, and the tools the scenarios share. Reaches
//! into no private module: it starts the binary, speaks HTTP, reads files that are documented. Scenarios wait for
//! conditions with a limit, never for a while, and assert nothing about durations.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod api;
pub mod binary;
pub mod cluster;
pub mod load;
pub mod local;
pub mod party;
pub mod poll;
pub mod scenarios;
pub mod signatures;
pub mod tenants;
pub mod verifier;
pub mod world;

/// Writes a line to the terminal that is seen also when the test passes: libtest keeps back only what the print macros
/// write.
pub fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
