//! Statements, the Merkle log, checkpoints, cosignatures, the trust root, receipts and their verification.
//!
//! Pure: no I/O, no clock, no randomness; builds for `wasm32-unknown-unknown`. Everything here can be rebuilt from
//! public formats: RFC 8785, RFC 6962, RFC 9942 and the C2SP `tlog-*` family.

mod chain;
pub mod checkpoint;
pub mod cose;
pub mod cosignature;
pub mod encoding;
mod fields;
pub mod genesis;
pub mod jcs;
pub mod key;
pub mod leaf;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod receipt;
pub mod statement;
pub mod tlog_proof;
pub mod trust;
pub mod verify;

pub use chain::chain;
