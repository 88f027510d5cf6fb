//! The ledger network: transactions, templates, deterministic execution, consensus, storage, the node
//! process and its typed client.
//!
//! Knows nothing of tenants, Kubernetes or SQL. The flow of data is the list of modules below, top to bottom:
//! a [`transaction`] enters the mempool, the [`engine`] orders it into a [`block`], the executor folds the
//! block into the [`state`], the store keeps both, and the node answers for them.

pub mod block;
pub mod client;
pub mod config;
pub mod engine;
pub mod execute;
pub mod mempool;
pub mod mounted;
pub mod node;
pub mod pid;
pub mod process;
pub mod replica;
pub mod state;
pub mod store;
pub mod template;
pub mod templates;
pub mod tls;
pub mod toolkit;
pub mod transaction;
pub mod wire;
