//! Makes certificates: ECDSA on P-256, which every TLS library knows.

use std::time::Duration;

use muniment_crds::jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SerialNumber,
};

use super::read;
use super::{AUTHORITY_LIFE, BACKDATED, CertificateError, LIFE, Owner, Pair, Party};

/// A new authority, and its name among those of its owner.
pub fn authority(owner: &Owner, now: Timestamp) -> Result<(String, Pair), CertificateError> {
    let key = KeyPair::generate()?;
    // In the subject: of two authorities with the same subject a verifier would have to try both.
    let name = format!("authority-{}", now.as_second());
    let mut params = authority_params(owner, &name);
    valid(&mut params, now, AUTHORITY_LIFE)?;
    params.serial_number = Some(serial()?);
    let certificate = params.self_signed(&key)?.pem();
    let key = key.serialize_pem();
    Ok((name, Pair { certificate, key }))
}

fn authority_params(owner: &Owner, name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(owner, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// Whether a certificate can be made for a key.
pub fn is_key(pem: &str) -> bool {
    KeyPair::from_pem(pem).is_ok()
}

/// A certificate for a party, for the key it has if that can be used.
pub fn party(
    owner: &Owner,
    party: &Party,
    kept: Option<&str>,
    signer: &Pair,
    now: Timestamp,
) -> Result<Pair, CertificateError> {
    let key = match kept.map(KeyPair::from_pem) {
        Some(Ok(key)) => key,
        _ => KeyPair::generate()?,
    };
    let mut params = CertificateParams::new(party.hosts.clone())?;
    params.distinguished_name = subject(owner, &party.name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if !party.hosts.is_empty() {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial()?);
    valid(&mut params, now, LIFE)?;
    let (issuer, issuer_key) = issuer(owner, signer)?;
    Ok(Pair {
        certificate: params.signed_by(&key, &issuer, &issuer_key)?.pem(),
        key: key.serialize_pem(),
    })
}

/// The authority as a signer: only its subject and its key count for that.
fn issuer(owner: &Owner, signer: &Pair) -> Result<(rcgen::Certificate, KeyPair), CertificateError> {
    let key = KeyPair::from_pem(&signer.key)?;
    let name = read::common_name(&signer.certificate).unwrap_or_default();
    Ok((authority_params(owner, &name).self_signed(&key)?, key))
}

fn subject(owner: &Owner, name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, owner.organisation.as_str());
    subject.push(DnType::OrganizationalUnitName, owner.unit.as_str());
    subject.push(DnType::CommonName, name);
    subject
}

fn valid(params: &mut CertificateParams, now: Timestamp, life: SignedDuration) -> Result<(), CertificateError> {
    let seconds = |by: SignedDuration| {
        let moment = now.checked_add(by).map_err(|_| CertificateError::Clock(now))?;
        u64::try_from(moment.as_second()).map_err(|_| CertificateError::Clock(now))
    };
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(seconds(-BACKDATED)?);
    params.not_after = epoch + Duration::from_secs(seconds(life)?);
    Ok(())
}

/// 16 random bytes: a renewed certificate for the same key has another.
fn serial() -> Result<SerialNumber, CertificateError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(SerialNumber::from_slice(&bytes))
}
