//! The management API: routes, authentication, services, store and key custody.
//!
//! A request passes `frame` (id, errors, metrics) → `ctx` (who, for which tenant) → a handler in `routes` → the
//! tenant's [`networks`], whose tasks carry it to the ledger and back. SQL holds keys, the outbox and projections; what
//! happened is the ledger's to say.

pub mod access;
pub mod app;
pub mod auth;
mod body;
pub mod cluster;
mod ctx;
pub mod deposit;
pub mod directory;
pub mod embedded;
mod frame;
mod idempotency;
mod invoice;
pub mod keys;
mod metrics;
mod networks;
mod numbering;
mod openapi;
mod operation_id;
pub mod problem;
pub mod proposer;
pub mod resources;
mod routes;
mod sign;
mod standby;
mod store;
pub mod time;
pub mod types;

pub use access::{Access, Bootstrap};
pub use app::{Api, ApiConfig, ServeError};
pub use directory::{MemoryDirectory, NetworkDirectory, NetworkEntry};
