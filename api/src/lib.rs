//! The management API: routes, authentication, services, store and key custody.

pub mod types;
