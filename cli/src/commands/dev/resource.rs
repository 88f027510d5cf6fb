//! The network that is wanted, as the same YAML that a cluster would get.

use std::path::{Path, PathBuf};

use muniment_crds::LedgerNetwork;
use muniment_ledger::templates::NOTARIZATION;
use muniment_operator::Catalog;
use muniment_receipts::genesis::GenesisTemplate;

use crate::error::{Failure, Result, chain, io};

const EMBEDDED: &str = include_str!("network.yaml");

/// A network and who it is for.
pub struct Wanted {
    /// The resource.
    pub resource: LedgerNetwork,
    /// Tenant, its namespace.
    pub tenant: String,
    /// Its name.
    pub name: String,
}

impl Wanted {
    /// Reads a resource, or the embedded one.
    pub fn read(file: Option<&Path>) -> Result<Self> {
        match file {
            None => Self::parse(EMBEDDED, "the embedded network"),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| io("can't read", path, &error))?;
                Self::parse(&text, &path.display().to_string())
            }
        }
    }

    fn parse(text: &str, from: &str) -> Result<Self> {
        let resource: LedgerNetwork = serde_yaml::from_str(text).map_err(|error| {
            Failure::usage(
                "bad_network",
                format!("{from} is not a LedgerNetwork: {}", chain(&error)),
                "compare it with crds/ledgernetworks.yaml",
            )
        })?;
        let part = |value: &Option<String>| value.clone().unwrap_or_default();
        let (tenant, name) = (part(&resource.metadata.namespace), part(&resource.metadata.name));
        Ok(Self { resource, tenant, name })
    }

    /// `tenant/network`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.tenant, self.name)
    }

    /// Where its trust root lies in a data folder.
    pub fn trust_root(&self, data: &Path) -> PathBuf {
        data.join("networks")
            .join(&self.tenant)
            .join(&self.name)
            .join("trust-root.json")
    }
}

/// The templates that this program ships.
pub fn catalog() -> Catalog {
    Catalog::new(vec![GenesisTemplate {
        name: "notarization".to_owned(),
        revision: 1,
        source: NOTARIZATION.to_owned(),
    }])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_network_passes_the_operators_validation() {
        let wanted = Wanted::read(None).unwrap();
        assert_eq!(wanted.key(), "demo/notary");
        let key = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned();
        let member = muniment_receipts::genesis::Member {
            name: "demo".to_owned(),
            key,
        };
        let network = muniment_operator::validate(&wanted.resource, &[member], &catalog()).unwrap();
        assert_eq!((network.validators.get(), network.templates.len()), (4, 1));
    }

    #[test]
    fn what_is_no_network_is_named() {
        let error = Wanted::parse("kind: [", "x.yaml").err().unwrap();
        assert!(error.message.starts_with("x.yaml is not a LedgerNetwork"), "{error}");
    }
}
