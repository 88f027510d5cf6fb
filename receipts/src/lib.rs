//! Statements, the Merkle log, checkpoints, cosignatures, the trust root, receipts and their verification.
//!
//! Pure: no I/O, no clock, no randomness; builds for `wasm32-unknown-unknown`. Everything here can be rebuilt from
//! public formats: RFC 8785, RFC 6962, RFC 9942 and the C2SP `tlog-*` family.

pub mod genesis;
