//! The executor as a whole: every code, batches, replays, the notarization template against a model, state proofs.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "execute/codes.rs"]
mod codes;
#[path = "execute/frozen.rs"]
mod frozen;
#[path = "execute/general.rs"]
mod general;
#[path = "execute/invariants.rs"]
mod invariants;
#[path = "execute/invoice.rs"]
mod invoice;
#[path = "execute/mistakes.rs"]
mod mistakes;
#[path = "execute/model.rs"]
mod model;
#[path = "execute/mutants.rs"]
mod mutants;
#[path = "execute/proofs.rs"]
mod proofs;
#[path = "execute/schema.rs"]
mod schema;
#[path = "execute/support.rs"]
mod support;
#[path = "execute/template.rs"]
mod template;
#[path = "execute/toolkit.rs"]
mod toolkit;
