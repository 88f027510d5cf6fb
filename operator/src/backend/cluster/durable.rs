//! What is made once and kept: keys, the token, the genesis, and which validators may have voted.
//!
//! The API server has an object on disk before it answers, so keys are durable before anyone sees their public halves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use futures::future::try_join_all;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::ResourceExt;
use muniment_ledger::config::{NodeConfig, ReplicaKeys};
use muniment_receipts::genesis::{Genesis, ValidatorKeys};
use serde_json::json;

use super::access::Access;
use super::build;
use super::names::{self, CONSENSUS_PORT, HEALTH_PORT, JOINED};
use super::speech;
use crate::backend::BackendError;
use crate::keys;
use crate::network::NetworkRef;
use crate::plan::{Facts, NetworkPlan, Seat};

const KEYS_FILE: &str = "keys.json";

/// Durable things of one network.
pub struct Durable<'a> {
    /// The API server.
    pub access: &'a Access,
    /// Which network.
    pub network: &'a NetworkRef,
}

impl Durable<'_> {
    fn namespace(&self) -> &str {
        self.network.tenant.as_str()
    }

    fn damaged(&self, kind: &str, name: &str, problem: impl ToString) -> BackendError {
        BackendError::Object {
            what: format!("{kind} {}/{name}", self.namespace()),
            problem: problem.to_string(),
            fix: "put it back from a backup",
        }
    }

    /// The sealed genesis; `None` when it isn't sealed.
    pub async fn sealed(&self) -> Result<Option<Genesis>, BackendError> {
        let name = names::genesis(self.network);
        let Some(found) = self.access.get::<ConfigMap>(self.namespace(), &name).await? else {
            return Ok(None);
        };
        let text = found
            .data
            .unwrap_or_default()
            .remove("genesis.json")
            .unwrap_or_default();
        let genesis = Genesis::parse(text.as_bytes()).map_err(|error| self.damaged("ConfigMap", &name, error))?;
        Ok(Some(genesis))
    }

    /// Seals the planned genesis, or makes sure that it is the sealed one.
    pub async fn seal(&self, plan: &NetworkPlan) -> Result<(), BackendError> {
        let sealed = match self.sealed().await? {
            Some(sealed) => sealed,
            None => {
                self.access.create(&build::genesis(plan)?).await?;
                // Read again: of two that seal at once one has won.
                self.sealed()
                    .await?
                    .ok_or_else(|| self.damaged("ConfigMap", &names::genesis(self.network), "it is gone"))?
            }
        };
        if sealed == plan.genesis {
            return Ok(());
        }
        let id = sealed.network_id().map(hex::encode);
        Err(BackendError::OtherGenesis {
            network: self.network.clone(),
            sealed: id.unwrap_or_else(|_| "something unreadable".to_owned()),
            planned: plan.id.clone(),
        })
    }

    /// Keys of these validators. Missing ones are made, unless the genesis names them: then they are lost.
    pub async fn facts(&self, wanted: usize) -> Result<Facts, BackendError> {
        let sealed = self.sealed().await?;
        let names: Vec<String> = match &sealed {
            Some(genesis) => genesis.validators.iter().map(|v| v.name.clone()).collect(),
            None => (0..wanted).map(|index| format!("validator-{index}")).collect(),
        };
        let found = try_join_all(names.iter().map(|name| self.keys(name, sealed.is_some()))).await?;
        let created = found
            .iter()
            .filter_map(|(secret, _)| secret.creation_timestamp())
            .map(|t| t.0.as_millisecond())
            .min();
        let created_at = sealed.as_ref().map_or_else(
            || {
                created
                    .and_then(|millis| u64::try_from(millis).ok())
                    .unwrap_or_default()
            },
            |genesis| genesis.created_at,
        );
        let pods: Vec<Pod> = self
            .access
            .list(self.namespace(), &names::of_network(self.network))
            .await?;
        let seats = found.into_iter().map(|(_, keys)| self.seat(keys, &pods)).collect();
        Ok(Facts {
            created_at,
            seats,
            sealed,
        })
    }

    async fn keys(&self, validator: &str, sealed: bool) -> Result<(Secret, ValidatorKeys), BackendError> {
        let name = names::keys(self.network, validator);
        let secret = match self.access.get::<Secret>(self.namespace(), &name).await? {
            Some(found) => found,
            None if sealed => return Err(self.lost(validator)),
            None => self.access.create(&self.new_keys(&name)?).await?,
        };
        let file = secret.data.as_ref().and_then(|data| data.get(KEYS_FILE));
        let bytes = file.ok_or_else(|| self.damaged("Secret", &name, format!("it has no {KEYS_FILE}")))?;
        // Nothing of the content goes into the error.
        let keys: ReplicaKeys = serde_json::from_slice(&bytes.0)
            .map_err(|_| self.damaged("Secret", &name, format!("{KEYS_FILE} isn't a keys file")))?;
        let public = keys::public(validator, &keys).map_err(|_| {
            self.damaged(
                "Secret",
                &name,
                format!("{KEYS_FILE} has a key that isn't 64 hex digits"),
            )
        })?;
        Ok((secret, public))
    }

    fn new_keys(&self, name: &str) -> Result<Secret, BackendError> {
        let keys = keys::make().map_err(BackendError::Random)?;
        let bytes = serde_json::to_vec(&keys).map_err(|error| self.damaged("Secret", name, error))?;
        Ok(Secret {
            metadata: names::metadata(self.network, name.to_owned()),
            immutable: Some(true),
            type_: Some("muniment.dev/validator-keys".to_owned()),
            data: Some(BTreeMap::from([(KEYS_FILE.to_owned(), ByteString(bytes))])),
            ..Secret::default()
        })
    }

    fn seat(&self, keys: ValidatorKeys, pods: &[Pod]) -> Seat {
        let host = names::host(self.network, &keys.name);
        let any = |port: i32| SocketAddr::from((Ipv4Addr::UNSPECIFIED, u16::try_from(port).unwrap_or_default()));
        Seat {
            api_url: speech::url(self.network, &keys.name, pods),
            keys,
            api: any(HEALTH_PORT),
            consensus: any(CONSENSUS_PORT),
            consensus_host: format!("{host}:{CONSENSUS_PORT}"),
        }
    }

    /// The nodes' token. A Secret that was deleted by hand gives no new one as long as the nodes' settings have it:
    /// validators with different tokens don't talk to each other.
    pub async fn token(&self) -> Result<String, BackendError> {
        let client = self
            .access
            .get::<Secret>(self.namespace(), &names::client(self.network))
            .await?;
        let text = |secret: &Secret| {
            let bytes = secret.data.as_ref()?.get("token")?;
            String::from_utf8(bytes.0.clone())
                .ok()
                .filter(|token| token.len() == 64)
        };
        if let Some(token) = client.as_ref().and_then(text) {
            return Ok(token);
        }
        let config = self
            .access
            .get::<Secret>(self.namespace(), &names::config(self.network))
            .await?;
        let kept = config.and_then(|secret| {
            let files = secret.data?;
            let nodes = files
                .values()
                .filter_map(|file| serde_json::from_slice::<NodeConfig>(&file.0).ok());
            nodes.flat_map(|node| node.replicas).map(|replica| replica.token).next()
        });
        match kept {
            Some(token) => Ok(token),
            None => keys::secret().map_err(BackendError::Random),
        }
    }

    /// Makes sure that the keys of every validator of a plan are there, before its genesis is sealed or used. Answers
    /// which of them have been with a process that may have voted.
    pub async fn joined(&self, plan: &NetworkPlan) -> Result<BTreeSet<String>, BackendError> {
        let look = |name: String| async move {
            let keys: Option<Secret> = self
                .access
                .get(self.namespace(), &names::keys(self.network, &name))
                .await?;
            match keys {
                Some(keys) => Ok(keys.annotations().contains_key(JOINED).then_some(name)),
                None if self.sealed().await?.is_none() => Err(BackendError::NotAllocated {
                    network: self.network.clone(),
                }),
                None => Err(self.lost(&name)),
            }
        };
        let all = try_join_all(plan.nodes.iter().map(|node| look(node.name.clone()))).await?;
        Ok(all.into_iter().flatten().collect())
    }

    fn lost(&self, validator: &str) -> BackendError {
        let name = names::keys(self.network, validator);
        BackendError::KeysLost {
            network: self.network.clone(),
            validator: validator.to_owned(),
            path: format!("Secret {}/{name}", self.namespace()).into(),
        }
    }

    /// Remembers that a validator votes, beside its keys: should its volume be lost, its next process must not vote
    /// for what this one may have voted for.
    pub async fn mark_joined(&self, validator: &str) -> Result<(), BackendError> {
        let change = json!({ "metadata": { "annotations": { JOINED: "true" } } });
        self.access
            .merge::<Secret>(self.namespace(), &names::keys(self.network, validator), &change)
            .await
    }
}
