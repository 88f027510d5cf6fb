//! The Secrets that certificates are kept in.
//!
//! ```text
//! <authorities>  authority-<second>.crt, .key    read by the operator only, mounted nowhere
//! <parties>      ca.crt, <party>.crt, <party>.key
//! ```
//! Owns where what lies, and the order: an authority is durable before anything is signed by it.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::core::ObjectMeta;
use muniment_crds::jiff::Timestamp;
use muniment_ledger::tls::Material;
use serde_json::json;

use super::access::Access;
use super::names;
use crate::backend::BackendError;
use crate::certificates::{self, Certificates, Owner, Pair, Party};
use crate::network::NetworkRef;
use crate::plan::NetworkPlan;
use crate::roster;

/// Key of the certificates of all trusted authorities.
pub const TRUSTED: &str = "ca.crt";
/// The management API, among the parties.
pub const CLIENT: &str = "client";
/// The operator itself, among the parties.
pub const OPERATOR: &str = "operator";
const CERTIFICATE: &str = ".crt";
const KEY: &str = ".key";

/// Key of a party's certificate.
pub fn certificate_key(party: &str) -> String {
    format!("{party}{CERTIFICATE}")
}

/// Key of a party's private key.
pub fn private_key(party: &str) -> String {
    format!("{party}{KEY}")
}

/// Where the certificates of those who belong together are kept.
pub struct Keeper {
    /// Of all three Secrets.
    pub namespace: String,
    /// Secret with the authorities.
    pub authorities: String,
    /// Secret with the parties' certificates.
    pub parties: String,
    /// Secret with a copy of what is trusted, should the other be gone.
    pub copy: String,
    /// In every subject.
    pub owner: Owner,
    /// Makes metadata for an object of this name.
    pub metadata: Box<dyn Fn(String) -> ObjectMeta + Send + Sync>,
}

impl Keeper {
    /// Of a network with validators of its own.
    pub fn of(network: &NetworkRef) -> Self {
        let owned = network.clone();
        Self {
            namespace: network.tenant.to_string(),
            authorities: names::authorities(network),
            parties: names::certificates(network),
            copy: names::client(network),
            owner: Owner {
                organisation: network.tenant.to_string(),
                unit: network.name.to_string(),
            },
            metadata: Box::new(move |name| names::metadata(&owned, name)),
        }
    }

    /// What is kept.
    pub async fn read(&self, access: &Access) -> Result<Certificates, BackendError> {
        let read = async |name: &str| -> Result<BTreeMap<String, ByteString>, BackendError> {
            let secret: Option<Secret> = access.get(&self.namespace, name).await?;
            Ok(secret.and_then(|secret| secret.data).unwrap_or_default())
        };
        let (authorities, mut parties) = (read(&self.authorities).await?, read(&self.parties).await?);
        let mut trusted = parties.remove(TRUSTED).map(text).unwrap_or_default();
        if trusted.is_empty() {
            trusted = read(&self.copy).await?.remove(TRUSTED).map(text).unwrap_or_default();
        }
        Ok(Certificates {
            authorities: pairs(authorities),
            trusted,
            parties: pairs(parties),
        })
    }

    /// Makes what is missing, damaged or due, and answers what there is then.
    pub async fn keep(&self, access: &Access, parties: &[Party], now: Timestamp) -> Result<Certificates, BackendError> {
        let wanted = self.next(&self.read(access).await?, parties, now)?;
        self.write(access, &wanted).await?;
        Ok(wanted)
    }

    /// Renews what is due of a network's certificates, for the keys that there are, and answers what there is then. What
    /// has lost its key waits for a whole pass: another key needs another process.
    pub async fn renew(
        &self,
        access: &Access,
        network: &NetworkRef,
        now: Timestamp,
    ) -> Result<Certificates, BackendError> {
        let kept = self.read(access).await?;
        let parties: Vec<Party> = kept
            .with_keys()
            .filter(|name| [CLIENT, OPERATOR].contains(name) || roster::number(name).is_some())
            .map(|name| party(network, name))
            .collect();
        if parties.is_empty() {
            return Ok(kept);
        }
        let mut wanted = self.next(&kept, &parties, now)?;
        for (name, pair) in &kept.parties {
            wanted.parties.entry(name.clone()).or_insert_with(|| pair.clone());
        }
        self.write(access, &wanted).await?;
        self.tell_clients(access, &wanted).await?;
        Ok(wanted)
    }

    fn next(&self, kept: &Certificates, parties: &[Party], now: Timestamp) -> Result<Certificates, BackendError> {
        certificates::next(kept, &self.owner, parties, now).map_err(|source| BackendError::Certificates {
            what: format!("{}/{}", self.owner.organisation, self.owner.unit),
            source,
        })
    }

    /// Brings what clients hold up to date, and nothing else of their Secret.
    async fn tell_clients(&self, access: &Access, wanted: &Certificates) -> Result<(), BackendError> {
        let secret: Option<Secret> = access.get(&self.namespace, &self.copy).await?;
        let (Some(secret), Some(own)) = (secret, wanted.material(CLIENT)) else {
            return Ok(());
        };
        let files: BTreeMap<String, ByteString> = client_files(own).into();
        let held = secret.data.unwrap_or_default();
        if files.iter().all(|(name, file)| held.get(name) == Some(file)) {
            return Ok(());
        }
        access
            .merge::<Secret>(&self.namespace, &self.copy, &json!({ "data": files }))
            .await
    }

    async fn write(&self, access: &Access, wanted: &Certificates) -> Result<(), BackendError> {
        access
            .apply(self.secret(&self.authorities, &wanted.authorities))
            .await?;
        let mut secret = self.secret(&self.parties, &wanted.parties);
        let data = secret.data.get_or_insert_default();
        data.insert(TRUSTED.to_owned(), ByteString(wanted.trusted.clone().into_bytes()));
        if access.apply(secret).await? {
            tracing::info!(
                tenant = self.owner.organisation,
                network = self.owner.unit,
                "certificates were issued or renewed"
            );
        }
        Ok(())
    }

    fn secret(&self, name: &str, pairs: &BTreeMap<String, Pair>) -> Secret {
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        let files = pairs.iter().flat_map(|(party, pair)| {
            [
                (certificate_key(party), bytes(&pair.certificate)),
                (private_key(party), bytes(&pair.key)),
            ]
        });
        Secret {
            metadata: (self.metadata)(name.to_owned()),
            data: Some(files.collect()),
            ..Secret::default()
        }
    }
}

/// What a client shows and trusts, as files of its Secret.
pub fn client_files(own: Material) -> [(String, ByteString); 3] {
    [
        (TRUSTED.to_owned(), ByteString(own.authorities)),
        ("tls.crt".to_owned(), ByteString(own.certificate)),
        ("tls.key".to_owned(), ByteString(own.key)),
    ]
}

/// A party by its name alone, as [`parties`] has it.
fn party(network: &NetworkRef, name: &str) -> Party {
    let hosts = match name {
        CLIENT | OPERATOR => Vec::new(),
        validator => vec![names::host(network, validator), names::service_host(network)],
    };
    Party {
        name: name.to_owned(),
        hosts,
    }
}

/// Who has certificates in a network: its validators at their host names and at the Service of all, and who asks them.
pub fn parties(plan: &NetworkPlan) -> Vec<Party> {
    let service = names::service_host(&plan.network);
    let validators = plan.nodes.iter().map(|node| Party {
        name: node.name.clone(),
        hosts: host(&node.api_url).into_iter().chain([service.clone()]).collect(),
    });
    let client = |name: &str| Party {
        name: name.to_owned(),
        hosts: Vec::new(),
    };
    validators.chain([client(CLIENT), client(OPERATOR)]).collect()
}

fn host(url: &str) -> Option<String> {
    reqwest::Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// What isn't text was edited by hand and counts as damaged.
fn text(bytes: ByteString) -> String {
    String::from_utf8(bytes.0).unwrap_or_default()
}

fn pairs(mut files: BTreeMap<String, ByteString>) -> BTreeMap<String, Pair> {
    let names: Vec<String> = files
        .keys()
        .filter_map(|file| file.strip_suffix(CERTIFICATE).or_else(|| file.strip_suffix(KEY)))
        .map(str::to_owned)
        .collect();
    let mut found = BTreeMap::new();
    for name in names {
        let certificate = files.remove(&certificate_key(&name)).map(text);
        let key = files.remove(&private_key(&name)).map(text);
        if certificate.is_some() || key.is_some() {
            let (certificate, key) = (certificate.unwrap_or_default(), key.unwrap_or_default());
            found.insert(name, Pair { certificate, key });
        }
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use muniment_crds::{NetworkName, TenantName};

    #[test]
    fn a_validator_is_renewed_for_the_names_that_it_was_issued_for() {
        let network = NetworkRef {
            tenant: TenantName::new("acme").unwrap(),
            name: NetworkName::new("c").unwrap(),
        };
        let hosts = party(&network, "validator-3").hosts;
        assert_eq!(hosts, ["c-validator-3.c-nodes.acme.svc", "c-api.acme.svc"]);
        assert!(party(&network, CLIENT).hosts.is_empty() && party(&network, OPERATOR).hosts.is_empty());
    }
}
