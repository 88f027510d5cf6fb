//! What TLS asks during a handshake, answered with what is in force at that moment.
//!
//! Every judgement is `rustls`' own; this only says by which authorities.

use std::sync::{Arc, RwLock};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::material::{Material, Trust};
use super::{TlsError, lock};

/// See [`super::Identity`].
pub struct Live(RwLock<Current>);

struct Current {
    /// As looked at last, whether or not all of it could be used.
    material: Material,
    own: Arc<CertifiedKey>,
    trust: Trust,
}

impl Live {
    pub fn new(material: Material) -> Result<Self, TlsError> {
        let (own, trust) = (material.own()?, material.trust()?);
        Ok(Self(RwLock::new(Current { material, own, trust })))
    }

    pub fn material(&self) -> Material {
        lock(self.0.read()).material.clone()
    }

    pub fn replace(&self, material: Material) -> Result<bool, TlsError> {
        if lock(self.0.read()).material == material {
            return Ok(false);
        }
        let (own, trust) = (material.own(), material.trust());
        let mut current = lock(self.0.write());
        current.material = material;
        let own = own.map(|own| current.own = own);
        let trust = trust.map(|trust| current.trust = trust);
        trust.and(own).map(|()| true)
    }

    fn own(&self) -> Arc<CertifiedKey> {
        Arc::clone(&lock(self.0.read()).own)
    }

    fn trust(&self) -> Trust {
        lock(self.0.read()).trust.clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
impl Live {
    pub fn shown(&self) -> Vec<u8> {
        self.own().cert[0].to_vec()
    }

    pub fn accepts(&self, client: &Material) -> bool {
        let own = client.own().unwrap();
        let judged = self.verify_client_cert(&own.cert[0], &[], UnixTime::now());
        judged.is_ok()
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Live(certificate)")
    }
}

impl ResolvesServerCert for Live {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.own())
    }
}

impl ResolvesClientCert for Live {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.own())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Live {
    /// None: every client has one certificate and shows it.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.trust().clients.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust()
            .clients
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust()
            .clients
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust().clients.supported_verify_schemes()
    }
}

impl ServerCertVerifier for Live {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.trust()
            .servers
            .verify_server_cert(end_entity, intermediates, server_name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust()
            .servers
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust()
            .servers
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust().servers.supported_verify_schemes()
    }
}
