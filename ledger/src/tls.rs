//! Certificates of the node HTTP API inside a cluster: who may connect to a node, and which node a client talks to.
//!
//! Owns the TLS settings of both ends: TLS 1.3 only, a certificate on either side, the authorities of one network and no
//! others, names checked, and no session resumed, because a resumed one would outlive its certificate. Makes no
//! certificate: that is the operator's.

mod live;
mod material;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::config::TlsConfig;
use live::Live;
pub use material::{Material, accepts};

/// How often a node looks whether its files have changed.
pub const LOOK: Duration = Duration::from_secs(10);

/// Certificates that can't be used. Says nothing of what a private key holds.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("can't read {path}")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not PEM, or nothing of the kind is in it.
    #[error("the {0} is not PEM")]
    Pem(&'static str),
    /// The own certificate and key don't do.
    #[error("the certificate and its key can't be used together")]
    Pair(#[source] rustls::Error),
    /// What is trusted can't be.
    #[error("the certificates of the authorities can't be used")]
    Authorities(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// TLS itself.
    #[error("TLS can't be set up")]
    Setup(#[source] rustls::Error),
    /// The HTTP client.
    #[error("the HTTP client can't be made")]
    Client(#[source] reqwest::Error),
}

/// A certificate with its key and the authorities it trusts, which may change while it is in use. Clones share it.
#[derive(Clone)]
pub struct Identity(Arc<Live>);

impl Identity {
    /// Of these PEM texts.
    ///
    /// # Errors
    /// When they can't be used.
    pub fn new(material: Material) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(Live::new(material)?)))
    }

    /// Of the files of a replica's settings.
    ///
    /// # Errors
    /// When they can't be read or used.
    pub fn open(config: &TlsConfig) -> Result<Self, TlsError> {
        Self::new(Material::read(config)?)
    }

    /// Takes over what is new; connections that are open stay. New authorities are trusted even when the own certificate
    /// can't be used, and the old one is shown on: a process that was not given its new key yet must not fall silent.
    /// Answers whether anything changed.
    ///
    /// # Errors
    /// When something of it can't be used. It is not looked at again until it changes.
    pub fn replace(&self, material: Material) -> Result<bool, TlsError> {
        self.0.replace(material)
    }

    /// Reads the public files of a replica's settings again, and takes them over as [`Self::replace`] does. The key stays as
    /// it was when the process started: where files are mounted for one pod of several, they are gone from its sight once
    /// they change.
    ///
    /// # Errors
    /// When they can't be read or used.
    pub fn refresh(&self, config: &TlsConfig) -> Result<bool, TlsError> {
        self.replace(Material::read_public(config, self.0.material().key)?)
    }

    /// For a server: whoever has no certificate of these authorities is refused.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn server(&self) -> Result<ServerConfig, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(TlsError::Setup)?
            .with_client_cert_verifier(Arc::clone(&self.0) as _)
            .with_cert_resolver(Arc::clone(&self.0) as _);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    fn client(&self) -> Result<ClientConfig, TlsError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(TlsError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&self.0) as _)
            .with_client_cert_resolver(Arc::clone(&self.0) as _);
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.material() == other.0.material()
    }
}

impl Eq for Identity {}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(certificate)")
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Builder of every HTTP client of ours. With an identity it shows that certificate and trusts its authorities only;
/// without one it trusts nobody, so `https` is refused.
///
/// # Errors
/// When TLS can't be set up.
pub fn http(identity: Option<&Identity>) -> Result<reqwest::ClientBuilder, TlsError> {
    let config = match identity {
        Some(identity) => identity.client()?,
        None => ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(TlsError::Setup)?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth(),
    };
    Ok(reqwest::Client::builder().tls_backend_preconfigured(config))
}

/// Looks for new files again and again. Never ends.
pub async fn keep(identity: Identity, config: TlsConfig) {
    loop {
        tokio::time::sleep(LOOK).await;
        let look = {
            let (identity, config) = (identity.clone(), config.clone());
            move || identity.refresh(&config)
        };
        match tokio::task::spawn_blocking(look).await {
            Ok(Ok(true)) => tracing::info!("new certificates are in use"),
            Ok(Ok(false)) | Err(_) => {}
            Ok(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "new certificates can't be used; the old ones are");
            }
        }
    }
}

/// What TLS had against the other end, if that is why a call failed.
pub fn objection(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::AlertReceived(alert)) => {
                return Some(format!("it refuses our certificate ({alert:?})"));
            }
            Some(other) => return Some(format!("its certificate or TLS isn't accepted ({other})")),
            None => {}
        }
        // The source of an I/O error is that of the error within.
        let within = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = within
            .map(|within| within as &dyn std::error::Error)
            .or_else(|| error.source());
    }
    None
}

fn lock<T>(guard: Result<T, PoisonError<T>>) -> T {
    guard.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
