//! What a certificate says of itself.

use muniment_crds::jiff::{SignedDuration, Timestamp};
use muniment_ledger::tls;
use x509_parser::pem::Pem;

use super::{BACKDATED, OVERLAP, Pair};

/// From when to when a certificate is good. Kept to the second, as certificates are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First moment.
    pub from: Timestamp,
    /// Last moment.
    pub until: Timestamp,
}

impl Validity {
    /// When it is to be renewed: after two thirds of its life.
    pub fn renewal(&self) -> Timestamp {
        let life = self.until.duration_since(self.from);
        // No life is so long that this overflows: it lies between the two.
        self.from + SignedDuration::from_secs(life.as_secs() / 3 * 2)
    }

    /// Whether it is to be renewed.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.renewal()
    }

    /// Whether it has ended.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now > self.until
    }

    /// Whether it was made so long ago that everyone has read it.
    pub fn is_settled(&self, now: Timestamp) -> bool {
        now.duration_since(self.from) >= BACKDATED + OVERLAP
    }
}

/// Of the first certificate in a PEM text; `None` when there is none.
pub fn validity(certificate: &str) -> Option<Validity> {
    let pem = Pem::iter_from_buffer(certificate.as_bytes()).next()?.ok()?;
    let certificate = pem.parse_x509().ok()?;
    let moment = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
    Some(Validity {
        from: moment(certificate.validity().not_before)?,
        until: moment(certificate.validity().not_after)?,
    })
}

/// Common name of the first certificate in a PEM text.
pub fn common_name(certificate: &str) -> Option<String> {
    let pem = Pem::iter_from_buffer(certificate.as_bytes()).next()?.ok()?;
    let certificate = pem.parse_x509().ok()?;
    let name = certificate.subject().iter_common_name().next()?;
    name.as_str().ok().map(str::to_owned)
}

/// Whether certificate and key belong together.
pub fn belongs(pair: &Pair) -> bool {
    let material = tls::Material {
        authorities: pair.certificate.clone().into_bytes(),
        certificate: pair.certificate.clone().into_bytes(),
        key: pair.key.clone().into_bytes(),
    };
    tls::Identity::new(material).is_ok()
}

/// Certificates of a PEM text, each as a text of its own. What can't be read is passed over.
pub fn bundle(pem: &str) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----";
    let texts = pem.split_inclusive(END).map(|text| format!("{}\n", text.trim()));
    texts.filter(|text| validity(text).is_some()).collect()
}
