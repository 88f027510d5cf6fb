//! The management API from outside: a real server over a real node server; only the replica is the in-memory twin.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod access;
mod attached;
mod expiry;
mod faults;
mod input;
mod invoices;
mod liar;
mod path;
mod records;
mod resources;
mod series;
mod signed;
mod store;
mod support;
mod word;
