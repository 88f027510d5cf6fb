//! What is chosen once and kept: ports, the token, the time of creation, and the validators' keys.
//!
//! Keys are durable before anyone sees their public halves, so no genesis can name keys that a power cut takes away.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use muniment_ledger::config::ReplicaKeys;
use muniment_receipts::genesis::{Genesis, ValidatorKeys};
use serde::{Deserialize, Serialize};

use super::Ports;
use super::files::{self, Access};
use crate::backend::BackendError;
use crate::keys;
use crate::network::NetworkRef;
use crate::plan::{Facts, Seat};

const FILE: &str = "allocation.json";
const VERSION: u32 = 1;

/// `allocation.json` of a network. Holds a secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Allocation {
    version: u32,
    /// Milliseconds since the Unix epoch.
    pub(super) created_at: u64,
    /// Bearer token of every node's HTTP API.
    pub(super) token: String,
    /// Places for validators.
    pub(super) seats: Vec<Place>,
}

/// A place for a validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Place {
    /// Validator name.
    pub(super) name: String,
    /// HTTP API.
    pub(super) api: SocketAddr,
    /// Consensus transport.
    pub(super) consensus: SocketAddr,
}

impl Allocation {
    /// Reads the allocation of a network; `None` when there is none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, BackendError> {
        let path = folder.join(FILE);
        let found: Option<Self> = files::read_json(&path)?;
        match found {
            Some(found) if found.version > VERSION => Err(BackendError::Damaged {
                path,
                problem: format!("its version is {} and this software knows {VERSION}", found.version),
            }),
            other => Ok(other),
        }
    }

    fn write(&self, folder: &Path) -> Result<(), BackendError> {
        let path = folder.join(FILE);
        let damaged = |e: serde_json::Error| BackendError::Damaged {
            path: path.clone(),
            problem: e.to_string(),
        };
        let bytes = serde_json::to_vec_pretty(self).map_err(damaged)?;
        files::write(&path, &bytes, Access::Private)
    }
}

/// Allocates for a network, or reads what is allocated. `taken` are ports of other networks.
pub(super) fn allocate(
    folder: &Path,
    wanted: usize,
    sealed: Option<&Genesis>,
    ports: Ports,
    taken: &BTreeSet<u16>,
) -> Result<Allocation, BackendError> {
    let found = Allocation::read(folder)?;
    let mut allocation = match found {
        Some(found) => found,
        None => Allocation {
            version: VERSION,
            created_at: now(),
            token: token()?,
            seats: Vec::new(),
        },
    };
    if sealed.is_none() && allocation.seats.len() < wanted {
        let missing = wanted - allocation.seats.len();
        let mut taken = taken.clone();
        taken.extend(allocation.seats.iter().flat_map(|s| [s.api.port(), s.consensus.port()]));
        let mut free = free_ports(ports, missing * 2, &taken)?.into_iter();
        while let (Some(api), Some(consensus)) = (free.next(), free.next()) {
            let name = format!("validator-{}", allocation.seats.len());
            allocation.seats.push(Place {
                name,
                api: address(api),
                consensus: address(consensus),
            });
        }
        files::folder(folder, Access::Shared)?;
        allocation.write(folder)?;
    }
    Ok(allocation)
}

/// Facts for the planner: the allocation with the public halves of the keys. Makes keys that aren't there yet.
pub(super) fn facts(
    network: &NetworkRef,
    folder: &Path,
    allocation: &Allocation,
    sealed: Option<Genesis>,
) -> Result<Facts, BackendError> {
    let seat = |place: &Place| {
        let keys = match (read_keys(folder, &place.name)?, &sealed) {
            (Some(keys), _) => keys,
            (None, None) => make_keys(folder, &place.name)?,
            (None, Some(_)) => {
                let (validator, path) = (place.name.clone(), keys_path(folder, &place.name));
                return Err(BackendError::KeysLost {
                    network: network.clone(),
                    validator,
                    path,
                });
            }
        };
        Ok(Seat {
            keys: public(folder, &place.name, &keys)?,
            api: place.api,
            consensus: place.consensus,
            api_url: format!("http://{}", place.api),
            consensus_host: place.consensus.to_string(),
        })
    };
    let seats = allocation.seats.iter().map(seat).collect::<Result<_, BackendError>>()?;
    Ok(Facts {
        created_at: allocation.created_at,
        seats,
        sealed,
        // The processes of one machine are those of the genesis.
        roster: None,
    })
}

/// Makes sure that the private keys of every validator of a genesis are at hand, before it is sealed or used.
pub(super) fn check_keys(network: &NetworkRef, folder: &Path, genesis: &Genesis) -> Result<(), BackendError> {
    for validator in &genesis.validators {
        let path = keys_path(folder, &validator.name);
        let lost = || BackendError::KeysLost {
            network: network.clone(),
            validator: validator.name.clone(),
            path: path.clone(),
        };
        let keys = read_keys(folder, &validator.name)?.ok_or_else(lost)?;
        if public(folder, &validator.name, &keys)? != *validator {
            return Err(BackendError::Damaged {
                path,
                problem: "its keys aren't those of the genesis".to_owned(),
            });
        }
    }
    Ok(())
}

/// Where the private keys of a validator are.
pub(super) fn keys_path(folder: &Path, validator: &str) -> PathBuf {
    folder.join("keys").join(format!("{validator}.json"))
}

fn read_keys(folder: &Path, validator: &str) -> Result<Option<ReplicaKeys>, BackendError> {
    files::read_json(&keys_path(folder, validator))
}

fn make_keys(folder: &Path, validator: &str) -> Result<ReplicaKeys, BackendError> {
    let keys = keys::make().map_err(BackendError::Random)?;
    let path = keys_path(folder, validator);
    let damaged = |e: serde_json::Error| BackendError::Damaged {
        path: path.clone(),
        problem: e.to_string(),
    };
    files::folder(&folder.join("keys"), Access::Private)?;
    files::write(
        &path,
        &serde_json::to_vec_pretty(&keys).map_err(damaged)?,
        Access::Private,
    )?;
    Ok(keys)
}

fn public(folder: &Path, validator: &str, keys: &ReplicaKeys) -> Result<ValidatorKeys, BackendError> {
    keys::public(validator, keys).map_err(|error| BackendError::Damaged {
        path: keys_path(folder, validator),
        problem: error.to_string(),
    })
}

fn token() -> Result<String, BackendError> {
    keys::secret().map_err(BackendError::Random)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn free_ports(ports: Ports, wanted: usize, taken: &BTreeSet<u16>) -> Result<Vec<u16>, BackendError> {
    // Listeners are held until all are found, so that no port is found twice.
    let mut held = Vec::new();
    let mut found = Vec::new();
    let candidates: Box<dyn Iterator<Item = u16>> = match ports {
        Ports::From(first) => Box::new(first..=u16::MAX),
        Ports::Any => Box::new(std::iter::repeat_n(0, wanted * 16)),
    };
    for candidate in candidates {
        if found.len() == wanted {
            break;
        }
        if taken.contains(&candidate) {
            continue;
        }
        let Ok(listener) = TcpListener::bind(address(candidate)) else {
            continue;
        };
        let port = listener.local_addr().map(|a| a.port()).unwrap_or(candidate);
        if !taken.contains(&port) {
            found.push(port);
        }
        held.push(listener);
    }
    if found.len() < wanted {
        let first = if let Ports::From(first) = ports { first } else { 0 };
        return Err(BackendError::Ports { wanted, first });
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use muniment_crds::{NetworkName, TenantName};

    fn network() -> NetworkRef {
        NetworkRef {
            tenant: TenantName::new("demo").unwrap(),
            name: NetworkName::new("notary").unwrap(),
        }
    }

    #[test]
    fn everything_is_chosen_once() {
        let dir = tempfile::tempdir().unwrap();
        let look = || {
            let allocation = allocate(dir.path(), 4, None, Ports::Any, &BTreeSet::new()).unwrap();
            (
                allocation.token.clone(),
                facts(&network(), dir.path(), &allocation, None).unwrap(),
            )
        };
        let first = look();
        assert_eq!(first, look());
        assert_eq!(first.0.len(), 64);
        let mut keys: Vec<&String> = first
            .1
            .seats
            .iter()
            .flat_map(|s| [&s.keys.consensus, &s.keys.notary, &s.keys.cose])
            .collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 12, "no key has two duties");
    }

    #[test]
    fn ports_are_free_distinct_and_not_those_of_others() {
        let held = TcpListener::bind(address(0)).unwrap();
        let first = held.local_addr().unwrap().port().min(60_000);
        let taken = BTreeSet::from([first + 1]);
        let ports = free_ports(Ports::From(first), 8, &taken).unwrap();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 8);
        assert!(!ports.contains(&(first + 1)));
        let none = free_ports(Ports::From(u16::MAX), 8, &BTreeSet::new()).unwrap_err();
        assert!(matches!(
            none,
            BackendError::Ports {
                wanted: 8,
                first: u16::MAX
            }
        ));
    }

    #[test]
    fn lost_keys_of_a_sealed_genesis_are_never_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let allocation = allocate(dir.path(), 4, None, Ports::Any, &BTreeSet::new()).unwrap();
        let first = facts(&network(), dir.path(), &allocation, None).unwrap();
        let sealed = Genesis {
            kind: String::new(),
            name: String::new(),
            created_at: 0,
            validators: first.seats.iter().map(|s| s.keys.clone()).collect(),
            members: vec![],
            templates: vec![],
            governance_threshold: 1,
        };
        std::fs::remove_file(keys_path(dir.path(), "validator-2")).unwrap();
        let error = facts(&network(), dir.path(), &allocation, Some(sealed)).unwrap_err();
        assert!(matches!(&error, BackendError::KeysLost { validator, .. } if validator == "validator-2"));
        assert!(!error.retry());
        assert!(error.to_string().contains("put it back from a backup"), "{error}");
    }
}
