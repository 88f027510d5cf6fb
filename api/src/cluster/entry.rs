//! A network's whereabouts: where its validators answer, to whom, and its trust root. All of it is in the Secret
//! `<network>-client`, which the operator keeps for us.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt};
use muniment_crds::{DesiredState, LedgerNetwork};
use muniment_ledger::client::Endpoint;
use muniment_ledger::tls::{Identity, Material};
use std::time::{Duration, Instant};

use crate::directory::NetworkEntry;

/// How long token and certificate are believed: they may be replaced.
const BELIEVED: Duration = Duration::from_secs(60);

/// What was read of a network beside its resource.
#[derive(Clone)]
pub struct Whereabouts {
    /// Network id, hex, that it is of.
    id: String,
    /// The operator's revision of the network.
    revision: Option<String>,
    endpoints: Vec<Endpoint>,
    /// Our certificate, as all endpoints have it.
    tls: Option<Identity>,
    trust_root: Vec<u8>,
    read: Instant,
}

/// What is to be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Namespace of the network.
    pub namespace: String,
    /// Its name.
    pub name: String,
    id: String,
    revision: Option<String>,
}

/// Whereabouts that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// The Kubernetes API.
    #[error("Secret {secret} can't be read")]
    Read {
        /// Namespace and name.
        secret: String,
        /// Cause.
        #[source]
        source: Box<kube::Error>,
    },
    /// Not there yet, or edited by hand.
    #[error("Secret {secret} has no usable `{key}`")]
    Missing {
        /// Namespace and name.
        secret: String,
        /// Key of its data.
        key: &'static str,
    },
}

/// One validator in `endpoints.json`.
#[derive(serde::Deserialize)]
struct Place {
    name: String,
    url: String,
}

/// What of a network has to be read: `None` while it has no genesis, or when what is known is good enough.
pub fn wanted(network: &LedgerNetwork, known: Option<&Whereabouts>) -> Option<Wanted> {
    let status = network.status.as_ref()?;
    let id = status.network_id.clone()?;
    // Whose validators are others now is read at once.
    let revision = status.revision.clone();
    if known.is_some_and(|known| known.id == id && known.revision == revision && known.read.elapsed() < BELIEVED) {
        return None;
    }
    Some(Wanted {
        namespace: network.namespace()?,
        name: network.name_any(),
        id,
        revision,
    })
}

/// Reads it, again if it is known.
///
/// # Errors
/// When the Secret can't be read or is not complete.
pub async fn read(client: &Client, wanted: &Wanted, known: Option<&Whereabouts>) -> Result<Whereabouts, EntryError> {
    let name = format!("{}-client", wanted.name);
    let secret: Secret = Api::namespaced(client.clone(), &wanted.namespace)
        .get(&name)
        .await
        .map_err(|source| EntryError::Read {
            secret: format!("{}/{name}", wanted.namespace),
            source: Box::new(source),
        })?;
    let in_use = known.and_then(|known| known.tls.as_ref());
    parse(wanted, &secret, in_use).map_err(|key| EntryError::Missing {
        secret: format!("{}/{name}", wanted.namespace),
        key,
    })
}

/// The error is the key at fault.
fn parse(wanted: &Wanted, secret: &Secret, in_use: Option<&Identity>) -> Result<Whereabouts, &'static str> {
    let field = |key: &'static str| {
        secret
            .data
            .as_ref()
            .and_then(|data| Some(data.get(key)?.0.clone()))
            .ok_or(key)
    };
    let token = String::from_utf8(field("token")?).map_err(|_| "token")?;
    let token = token.trim();
    if token.is_empty() {
        return Err("token");
    }
    let places: Vec<Place> = serde_json::from_slice(&field("endpoints.json")?).map_err(|_| "endpoints.json")?;
    if places.is_empty() {
        return Err("endpoints.json");
    }
    let tls = identity(field, in_use)?;
    let endpoint = |Place { name, url }| Endpoint {
        name,
        url,
        token: token.to_owned(),
        tls: tls.clone(),
    };
    Ok(Whereabouts {
        id: wanted.id.clone(),
        revision: wanted.revision.clone(),
        endpoints: places.into_iter().map(endpoint).collect(),
        tls,
        trust_root: field("trust-root.json")?,
        read: Instant::now(),
    })
}

/// Our certificate for the network; `None` while it has none at all. A renewed one goes into the identity that is in use, so
/// that nobody who works with it has to begin anew.
fn identity(
    field: impl Fn(&'static str) -> Result<Vec<u8>, &'static str>,
    in_use: Option<&Identity>,
) -> Result<Option<Identity>, &'static str> {
    let Ok(certificate) = field("tls.crt") else {
        return Ok(None);
    };
    let material = Material {
        authorities: field("ca.crt")?,
        certificate,
        key: field("tls.key")?,
    };
    let identity = match in_use {
        Some(in_use) => in_use.replace(material).map(|_| in_use.clone()),
        None => Identity::new(material),
    };
    identity.map(Some).map_err(|_| "tls.crt")
}

/// The network for the directory; `None` until its resource and what was read are about the same genesis.
pub fn entry(network: &LedgerNetwork, known: &Whereabouts, suspended: bool) -> Option<NetworkEntry> {
    let status = network.status.as_ref()?;
    if status.network_id.as_ref() != Some(&known.id) {
        return None;
    }
    let mut id = [0; 32];
    hex::decode_to_slice(&known.id, &mut id).ok()?;
    Some(NetworkEntry {
        tenant: network.namespace()?,
        name: network.name_any(),
        id,
        endpoints: known.endpoints.clone(),
        trust_root: known.trust_root.clone(),
        suspended,
        asleep: network.spec.desired_state == DesiredState::Hibernated,
        restarts: status
            .nodes
            .iter()
            .map(|node| (node.name.clone(), node.restarts))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    fn network(id: Option<&str>) -> LedgerNetwork {
        serde_json::from_value(json!({
            "apiVersion": "muniment.dev/v1alpha1", "kind": "LedgerNetwork",
            "metadata": { "name": "contracts", "namespace": "acme" },
            "spec": { "templates": [{ "name": "notarization" }] },
            "status": { "networkId": id, "nodes": [{ "name": "validator-0", "restarts": 2 }] }
        }))
        .unwrap()
    }

    fn secret(token: &str, endpoints: &str) -> Secret {
        let bytes = |text: &str| k8s_openapi::ByteString(text.as_bytes().to_vec());
        let data = [
            ("token", token),
            ("endpoints.json", endpoints),
            ("trust-root.json", "{}"),
        ];
        Secret {
            data: Some(data.map(|(key, value)| (key.to_owned(), bytes(value))).into()),
            ..Secret::default()
        }
    }

    fn of(id: &str) -> Wanted {
        wanted(&network(Some(id)), None).unwrap()
    }

    fn known(id: &str) -> Whereabouts {
        let endpoints = r#"[{ "name": "validator-0", "url": "http://contracts-validator-0:8410" }]"#;
        parse(&of(id), &secret("token\n", endpoints), None).unwrap()
    }

    #[test]
    fn is_read_once_there_is_a_genesis_and_again_when_it_is_another() {
        let (one, two) = ("01".repeat(32), "02".repeat(32));
        assert_eq!(wanted(&network(None), None), None);
        let found = wanted(&network(Some(&one)), None).unwrap();
        assert_eq!((found.namespace.as_str(), found.name.as_str()), ("acme", "contracts"));
        assert_eq!(wanted(&network(Some(&one)), Some(&known(&one))), None);
        assert!(wanted(&network(Some(&two)), Some(&known(&one))).is_some());
        let mut scaled = network(Some(&one));
        scaled.status.as_mut().unwrap().revision = Some("another".to_owned());
        assert!(
            wanted(&scaled, Some(&known(&one))).is_some(),
            "its validators are others now"
        );
    }

    #[test]
    fn an_entry_has_its_validators_and_never_another_networks_token() {
        let id = "01".repeat(32);
        let entry = entry(&network(Some(&id)), &known(&id), true).unwrap();
        assert_eq!((entry.tenant.as_str(), entry.id), ("acme", [1; 32]));
        assert_eq!((entry.endpoints.len(), entry.endpoints[0].token.as_str()), (1, "token"));
        assert_eq!(entry.restarts["validator-0"], 2);
        assert!(entry.suspended && !entry.asleep);
        let mut sleeping = network(Some(&id));
        sleeping.spec.desired_state = DesiredState::Hibernated;
        assert!(super::entry(&sleeping, &known(&id), false).unwrap().asleep);
        assert!(super::entry(&network(Some(&id)), &known(&"02".repeat(32)), false).is_none());
    }

    #[test]
    fn a_secret_that_was_edited_names_the_key_at_fault() {
        let fault = |secret: &Secret| parse(&of(""), secret, None).err().unwrap();
        assert_eq!(fault(&Secret::default()), "token");
        assert_eq!(fault(&secret(" ", "[]")), "token");
        assert_eq!(fault(&secret("x", "[]")), "endpoints.json");
        assert_eq!(fault(&secret("x", "{")), "endpoints.json");
        let endpoints = r#"[{ "name": "validator-0", "url": "https://contracts-validator-0:8411" }]"#;
        let mut edited = secret("x", endpoints);
        let mut put = |key: &str| {
            let data = edited.data.get_or_insert_default();
            data.insert(key.to_owned(), k8s_openapi::ByteString(b"edited".to_vec()));
            fault(&edited)
        };
        assert_eq!(put("tls.crt"), "ca.crt");
        assert_eq!(put("ca.crt"), "tls.key");
        assert_eq!(put("tls.key"), "tls.crt", "what is no certificate is never left out");
    }
}
