//! What is told apart without a network; handshakes are in `tests/node_suite/tls.rs`.

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use super::*;

struct Authority(rcgen::Certificate, KeyPair);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().unwrap();
        Self(params.self_signed(&key).unwrap(), key)
    }

    fn material(&self, key: &KeyPair) -> Material {
        let params = CertificateParams::new(vec!["a".to_owned()]).unwrap();
        Material {
            authorities: self.0.pem().into_bytes(),
            certificate: params.signed_by(key, &self.0, &self.1).unwrap().pem().into_bytes(),
            key: key.serialize_pem().into_bytes(),
        }
    }
}

#[test]
fn what_cant_be_used_is_said_without_quoting_it() {
    let good = Authority::new().material(&KeyPair::generate().unwrap());
    let key = KeyPair::generate().unwrap().serialize_pem();
    let other_key = Material {
        key: key.clone().into_bytes(),
        ..good.clone()
    };
    assert!(matches!(Identity::new(other_key), Err(TlsError::Pair(_))));
    let cut = Material {
        key: key.as_bytes()[..key.len() / 2].to_vec(),
        ..good.clone()
    };
    let error = Identity::new(cut).unwrap_err();
    assert_eq!(error.to_string(), "the private key is not PEM");
    let secret = key.lines().nth(1).unwrap();
    assert!(!format!("{error:?}").contains(&secret[..8]), "{error:?}");
    let nobody = Material {
        authorities: Vec::new(),
        ..good.clone()
    };
    assert!(matches!(
        Identity::new(nobody),
        Err(TlsError::Pem("bundle of authorities"))
    ));
    assert_eq!(
        format!("{good:?} {:?}", Identity::new(good.clone()).unwrap()),
        "Material(secret) Identity(certificate)"
    );
}

#[test]
fn new_authorities_are_trusted_although_the_new_certificate_is_for_another_key() {
    let (old, new) = (Authority::new(), Authority::new());
    let key = KeyPair::generate().unwrap();
    let identity = Identity::new(old.material(&key)).unwrap();
    let renewed = Material {
        key: key.serialize_pem().into_bytes(),
        ..new.material(&KeyPair::generate().unwrap())
    };
    let shown = |identity: &Identity| identity.0.shown();
    let before = shown(&identity);
    assert!(matches!(identity.replace(renewed.clone()), Err(TlsError::Pair(_))));
    assert_eq!(shown(&identity), before, "the old certificate is shown on");
    assert!(!identity.replace(renewed).unwrap(), "and it is said once");
    let client = new.material(&KeyPair::generate().unwrap());
    assert!(identity.0.accepts(&client), "by the new authority");
    assert!(!identity.0.accepts(&old.material(&key)), "no more by the old one");
    assert!(identity.replace(new.material(&key)).unwrap());
    assert_ne!(shown(&identity), before);
}
