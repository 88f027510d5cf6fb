//! TLS of the stand-in's nodes: each shows the certificate that its Secret holds at that moment, and lets in whom the
//! authorities in it vouch for.

use std::sync::Arc;

use base64::Engine;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme};

use super::FakeCluster;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

/// The Secret `notary-tls`, as the nodes see it.
#[derive(Clone)]
pub struct Mounted(pub FakeCluster);

impl std::fmt::Debug for Mounted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mounted")
    }
}

impl Mounted {
    pub fn server(&self) -> ServerConfig {
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(Arc::new(self.clone()))
            .with_cert_resolver(Arc::new(self.clone()))
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        let secret = self.0.get("secrets", "notary-tls")?;
        let text = secret["data"].get(name)?.as_str()?.to_owned();
        base64::engine::general_purpose::STANDARD.decode(text).ok()
    }

    fn own(&self, validator: &str) -> Option<CertifiedKey> {
        let certificate = CertificateDer::from_pem_slice(&self.file(&format!("{validator}.crt"))?).ok()?;
        let key = PrivateKeyDer::from_pem_slice(&self.file(&format!("{validator}.key"))?).ok()?;
        CertifiedKey::from_der(vec![certificate], key, &provider()).ok()
    }

    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, Error> {
        let bundle = self.file("ca.crt").unwrap_or_default();
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(&bundle).flatten() {
            roots.add(authority)?;
        }
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| Error::General(error.to_string()))
    }
}

impl ResolvesServerCert for Mounted {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let pod = hello.server_name()?.split('.').next()?;
        self.own(pod.strip_prefix("notary-")?).map(Arc::new)
    }
}

impl ClientCertVerifier for Mounted {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verifier()?.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        self.verifier()?.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        self.verifier()?.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
