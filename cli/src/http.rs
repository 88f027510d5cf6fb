//! The HTTP client of the commands: what all of them have in common.

use crate::error::{Failure, Result, chain};

/// Begins a client.
///
/// # Errors
/// When TLS can't be set up.
pub fn builder() -> Result<reqwest::ClientBuilder> {
    muniment_ledger::tls::http(None).map_err(|error| failed(&error))
}

/// Says that there can be none.
pub fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::new("http", format!("the HTTP client can't start: {}", chain(error)), "")
}
