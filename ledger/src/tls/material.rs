//! PEM texts and what is made of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;

use super::{TlsError, provider};
use crate::config::TlsConfig;

/// Certificates and a private key, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    /// Certificates of the authorities that are trusted.
    pub authorities: Vec<u8>,
    /// The own certificate.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Material(secret)")
    }
}

impl Material {
    pub(super) fn read(config: &TlsConfig) -> Result<Self, TlsError> {
        Self::read_public(config, read(&config.key)?)
    }

    pub(super) fn read_public(config: &TlsConfig, key: Vec<u8>) -> Result<Self, TlsError> {
        Ok(Self {
            authorities: read(&config.ca)?,
            certificate: read(&config.certificate)?,
            key,
        })
    }

    pub(super) fn own(&self) -> Result<Arc<CertifiedKey>, TlsError> {
        let chain = certificates("certificate", &self.certificate)?;
        // The reason may quote the text, and this text is secret.
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| TlsError::Pem("private key"))?;
        let own = CertifiedKey::from_der(chain, key, &provider()).map_err(TlsError::Pair)?;
        Ok(Arc::new(own))
    }

    pub(super) fn trust(&self) -> Result<Trust, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("bundle of authorities", &self.authorities)? {
            roots
                .add(certificate)
                .map_err(|error| TlsError::Authorities(error.into()))?;
        }
        let roots = Arc::new(roots);
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider()).build();
        let servers = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
        Ok(Trust {
            clients: clients.map_err(|error| TlsError::Authorities(error.into()))?,
            servers: servers.map_err(|error| TlsError::Authorities(error.into()))?,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File {
        path: path.to_owned(),
        source,
    })
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(TlsError::Pem(what))
}

/// Judges the other end.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    pub clients: Arc<dyn ClientCertVerifier>,
    pub servers: Arc<dyn ServerCertVerifier>,
}

/// Whether who trusts these authorities accepts a certificate at that time, in seconds since the Unix epoch: as a
/// client's, and as a server's at each of these DNS names.
pub fn accepts(authorities: &[u8], certificate: &[u8], hosts: &[String], at: u64) -> bool {
    let material = Material {
        authorities: authorities.to_vec(),
        certificate: Vec::new(),
        key: Vec::new(),
    };
    let (Ok(trust), Ok(chain)) = (material.trust(), certificates("certificate", certificate)) else {
        return false;
    };
    let (own, at) = (&chain[0], UnixTime::since_unix_epoch(Duration::from_secs(at)));
    let as_server = |host: &String| {
        let name = ServerName::try_from(host.as_str());
        name.is_ok_and(|name| {
            trust
                .servers
                .verify_server_cert(own, &chain[1..], &name, &[], at)
                .is_ok()
        })
    };
    trust.clients.verify_client_cert(own, &chain[1..], at).is_ok() && hosts.iter().all(as_server)
}
