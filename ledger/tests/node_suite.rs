//! The node's HTTP API and the client, over replicas in memory.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "node_suite/client.rs"]
mod client;
#[path = "node_suite/exchange.rs"]
mod exchange;
#[path = "node_suite/http.rs"]
mod http;
#[path = "node_suite/support.rs"]
mod support;
#[path = "node_suite/tls.rs"]
mod tls;
