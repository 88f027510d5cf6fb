//! The network that is wanted, as the same YAML that a cluster would get.

use std::path::{Path, PathBuf};

use muniment_crds::{LedgerNetwork, NameError, NetworkName, TenantName};
use muniment_ledger::templates::SHIPPED;
use muniment_operator::{Catalog, NetworkRef};
use muniment_receipts::genesis::GenesisTemplate;

use crate::error::{Failure, Result, chain, io};
use crate::files::Shown;

const EMBEDDED: &str = include_str!("network.yaml");

/// A network and who it is for.
#[derive(Debug)]
pub struct Wanted {
    /// The resource.
    pub resource: LedgerNetwork,
    /// Its tenant and name. Checked here, because keys are made and files looked for by these names before the operator
    /// checks the rest.
    pub network: NetworkRef,
    /// A file names it: what was described before no longer counts.
    pub named: bool,
}

impl Wanted {
    /// Reads a resource, or the embedded one.
    pub fn read(file: Option<&Path>) -> Result<Self> {
        match file {
            None => Self::parse(EMBEDDED, "the embedded network", false),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| io("can't read", path, &error))?;
                Self::parse(&text, &path.shown(), true)
            }
        }
    }

    fn parse(text: &str, from: &str, named: bool) -> Result<Self> {
        let resource: LedgerNetwork = serde_yaml::from_str(text).map_err(|error| {
            Failure::usage(
                "bad_network",
                format!("{from} is not a LedgerNetwork: {}", chain(&error)),
                "compare it with crds/ledgernetworks.yaml",
            )
        })?;
        let part = |value: &Option<String>| value.clone().unwrap_or_default();
        let (tenant, name) = (part(&resource.metadata.namespace), part(&resource.metadata.name));
        let unusable = |field: &str, error: NameError| {
            let message = format!("{field} in {from}: {} name {:?} can't be used", error.kind, error.name);
            Failure::usage("bad_network", message, error.problem.to_string())
        };
        let network = NetworkRef {
            tenant: TenantName::new(&tenant).map_err(|error| unusable("metadata.namespace", error))?,
            name: NetworkName::new(&name).map_err(|error| unusable("metadata.name", error))?,
        };
        Ok(Self {
            resource,
            network,
            named,
        })
    }

    /// `tenant/network`.
    pub fn key(&self) -> String {
        self.network.to_string()
    }

    /// Where its trust root lies in a data folder.
    pub fn trust_root(&self, data: &Path) -> PathBuf {
        self.folder(data).join("trust-root.json")
    }

    /// Whether its genesis was sealed in a data folder: from then on its members are fixed.
    pub fn is_sealed(&self, data: &Path) -> bool {
        self.folder(data).join("genesis.json").exists()
    }

    fn folder(&self, data: &Path) -> PathBuf {
        data.join("networks")
            .join(self.network.tenant.as_str())
            .join(self.network.name.as_str())
    }
}

/// The templates that this program ships.
pub fn catalog() -> Catalog {
    let template = |(name, revision, source): &(&str, u32, &str)| GenesisTemplate {
        name: (*name).to_owned(),
        revision: *revision,
        source: (*source).to_owned(),
    };
    Catalog::new(SHIPPED.iter().map(template).collect())
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
        assert_eq!((network.validators.get(), network.templates.len()), (4, 2));
    }

    #[test]
    fn a_name_that_cant_be_used_is_refused_before_anything_is_made_for_it() {
        for (from, to, field) in [
            ("namespace: demo", "namespace: ../demo", "metadata.namespace"),
            ("name: notary", "name: Notary", "metadata.name"),
            ("  namespace: demo\n", "", "metadata.namespace"),
        ] {
            assert!(EMBEDDED.contains(from));
            let error = Wanted::parse(&EMBEDDED.replacen(from, to, 1), "x.yaml", true).unwrap_err();
            assert_eq!(error.code, "bad_network");
            assert!(error.message.starts_with(&format!("{field} in x.yaml")), "{error}");
        }
    }

    #[test]
    fn what_is_no_network_is_named() {
        let error = Wanted::parse("kind: [", "x.yaml", true).unwrap_err();
        assert!(error.message.starts_with("x.yaml is not a LedgerNetwork"), "{error}");
    }
}
