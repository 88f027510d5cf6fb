//! What is made once and kept: keys, the token, the genesis, which validators may have voted, and which are in the set.
//!
//! The API server has an object on disk before it answers, so keys are durable before anyone sees their public halves.

mod placement;

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
use super::names::{self, CONSENSUS_PORT, HEALTH_PORT, JOINED, PLACEMENT, ROSTER};
use super::{own, speech};
use crate::backend::BackendError;
use crate::keys;
use crate::network::NetworkRef;
use crate::plan::{Facts, NetworkPlan, Plan, Seat};
use crate::roster::{self, Roster, Standing};

const KEYS_FILE: &str = "keys.json";
const TOKEN: &str = "token";
const TOKEN_TYPE: &str = "muniment.dev/token";

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
        Ok(self.genesis().await?.map(|(genesis, _)| genesis))
    }

    /// The sealed genesis, and the object that holds it.
    async fn genesis(&self) -> Result<Option<(Genesis, ConfigMap)>, BackendError> {
        let name = names::genesis(self.network);
        let Some(found) = self.access.get::<ConfigMap>(self.namespace(), &name).await? else {
            return Ok(None);
        };
        let text = found.data.as_ref().and_then(|data| data.get("genesis.json"));
        let genesis = Genesis::parse(text.map_or("", String::as_str).as_bytes())
            .map_err(|error| self.damaged("ConfigMap", &name, error))?;
        Ok(Some((genesis, found)))
    }

    /// The sealed genesis, and what is on record of the validators since.
    pub async fn roster(&self) -> Result<Option<(Genesis, Roster)>, BackendError> {
        let Some((genesis, map)) = self.genesis().await? else {
            return Ok(None);
        };
        let roster = Roster::since(&genesis, self.recorded(&map)?);
        Ok(Some((genesis, roster)))
    }

    fn recorded(&self, map: &ConfigMap) -> Result<Roster, BackendError> {
        match map.annotations().get(ROSTER) {
            Some(text) => serde_json::from_str(text)
                .map_err(|error| self.damaged("annotation muniment.dev/roster of ConfigMap", &map.name_any(), error)),
            None => Ok(Roster::default()),
        }
    }

    /// Adds to what is on record of the validators. One that reads and writes at the same time makes this fail: it is
    /// tried again.
    pub async fn record(&self, news: Roster) -> Result<(), BackendError> {
        let Some((_, map)) = self.genesis().await? else {
            return Ok(());
        };
        let mut roster = self.recorded(&map)?;
        roster.take_over(news);
        let text = serde_json::to_string(&roster).map_err(|error| self.damaged("ConfigMap", &map.name_any(), error))?;
        let change =
            json!({ "metadata": { "resourceVersion": map.resource_version(), "annotations": { ROSTER: text } } });
        self.access
            .merge::<ConfigMap>(self.namespace(), &map.name_any(), &change)
            .await
    }

    /// Seals the planned genesis, or makes sure that it is the sealed one. Where the network is made is on record with it.
    pub async fn seal(&self, plan: &Plan) -> Result<(), BackendError> {
        let (placement, plan) = (plan.hosting.placement, &plan.network);
        let (sealed, map) = match self.genesis().await? {
            Some(found) => found,
            None => {
                self.access.create(&build::genesis(plan, placement)?).await?;
                // Read again: of two that seal at once one has won.
                self.genesis()
                    .await?
                    .ok_or_else(|| self.damaged("ConfigMap", &names::genesis(self.network), "it is gone"))?
            }
        };
        if sealed == plan.genesis {
            let recorded = self.placed(&map)?;
            if recorded.is_some() {
                return self.is_here(recorded, placement);
            }
            // From before it was recorded.
            let change = json!({ "metadata": { "annotations": { PLACEMENT: placement.as_str() } } });
            return self
                .access
                .merge::<ConfigMap>(self.namespace(), &map.name_any(), &change)
                .await;
        }
        let id = sealed.network_id().map(hex::encode);
        Err(BackendError::OtherGenesis {
            network: self.network.clone(),
            sealed: id.unwrap_or_else(|_| "something unreadable".to_owned()),
            planned: plan.id.clone(),
        })
    }

    /// Keys of the validators that are to run. Missing ones are made, unless they are on record: then they are lost.
    pub async fn facts(&self, wanted: u32) -> Result<Facts, BackendError> {
        let (sealed, known) = self.roster().await?.unzip();
        let mut roster = known.clone().unwrap_or_else(|| Roster::first(wanted));
        let numbers: Vec<u32> = roster.range(wanted).collect();
        let keys = numbers.iter().map(|number| {
            let made = known.as_ref().is_some_and(|known| known.standing(*number).is_some());
            self.keys(roster::name(*number), made)
        });
        let found = try_join_all(keys).await?;
        if let Some(known) = &known {
            for number in numbers.iter().filter(|number| known.standing(**number).is_none()) {
                roster.note(*number, Standing::New);
            }
            let news = roster.news(known);
            if !news.is_empty() {
                self.record(news).await?;
            }
        }
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
        let pods = own::pods(self.access, self.network).await?;
        let seats = found.into_iter().map(|(_, keys)| self.seat(keys, &pods)).collect();
        Ok(Facts {
            created_at,
            seats,
            sealed,
            roster: Some(roster),
        })
    }

    /// The public keys of a validator, if it has keys here.
    pub async fn public(&self, validator: &str) -> Result<Option<ValidatorKeys>, BackendError> {
        let name = names::keys(self.network, validator);
        let secret = self.access.get::<Secret>(self.namespace(), &name).await?;
        secret.map(|secret| self.public_keys(validator, &secret)).transpose()
    }

    async fn keys(&self, validator: String, made: bool) -> Result<(Secret, ValidatorKeys), BackendError> {
        let name = names::keys(self.network, &validator);
        let secret = match self.access.get::<Secret>(self.namespace(), &name).await? {
            Some(found) => found,
            None if made => return Err(self.lost(&validator)),
            None => self.access.create(&self.new_keys(&name)?).await?,
        };
        let public = self.public_keys(&validator, &secret)?;
        Ok((secret, public))
    }

    fn public_keys(&self, validator: &str, secret: &Secret) -> Result<ValidatorKeys, BackendError> {
        let name = names::keys(self.network, validator);
        let file = secret.data.as_ref().and_then(|data| data.get(KEYS_FILE));
        let bytes = file.ok_or_else(|| self.damaged("Secret", &name, format!("it has no {KEYS_FILE}")))?;
        // Nothing of the content goes into the error.
        let keys: ReplicaKeys = serde_json::from_slice(&bytes.0)
            .map_err(|_| self.damaged("Secret", &name, format!("{KEYS_FILE} isn't a keys file")))?;
        keys::public(validator, &keys).map_err(|_| {
            self.damaged(
                "Secret",
                &name,
                format!("{KEYS_FILE} has a key that isn't 64 hex digits"),
            )
        })
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

    /// The nodes' token: made once, and kept where nobody changes it, because validators with different tokens don't
    /// talk to each other. When that Secret is gone the nodes' settings say what it was, and then what clients have.
    pub async fn token(&self) -> Result<String, BackendError> {
        match self.kept_token().await? {
            Some(token) => Ok(token),
            None => self.keep_token(None).await,
        }
    }

    /// The token as it was made; `None` when its Secret is gone.
    pub async fn kept_token(&self) -> Result<Option<String>, BackendError> {
        let name = names::token(self.network);
        let found = self.access.get::<Secret>(self.namespace(), &name).await?;
        found.map(|found| self.token_in(&name, &found)).transpose()
    }

    /// Makes the Secret of the token: with that of a seat in a host, if there is one.
    pub async fn keep_token(&self, seated: Option<String>) -> Result<String, BackendError> {
        let name = names::token(self.network);
        let known = match seated {
            Some(token) => Some(token),
            None => self.configured_token().await?,
        };
        let token = match (known, self.client_token().await?) {
            (Some(token), _) | (None, Some(token)) => token,
            (None, None) => keys::secret().map_err(BackendError::Random)?,
        };
        let made = self.access.create(&self.new_token(&name, token)).await?;
        self.token_in(&name, &made)
    }

    fn token_in(&self, name: &str, secret: &Secret) -> Result<String, BackendError> {
        if secret.type_.as_deref() != Some(TOKEN_TYPE) {
            return Err(BackendError::Object {
                what: format!("Secret {}/{name}", self.namespace()),
                problem: format!("it is somebody else's: ours has the type {TOKEN_TYPE}"),
                fix: "give it another name",
            });
        }
        token_of(secret).ok_or_else(|| self.damaged("Secret", name, "it holds no token of 64 characters"))
    }

    fn new_token(&self, name: &str, token: String) -> Secret {
        Secret {
            metadata: names::metadata(self.network, name.to_owned()),
            immutable: Some(true),
            type_: Some(TOKEN_TYPE.to_owned()),
            data: Some(BTreeMap::from([(TOKEN.to_owned(), ByteString(token.into_bytes()))])),
            ..Secret::default()
        }
    }

    /// The token that the nodes have.
    async fn configured_token(&self) -> Result<Option<String>, BackendError> {
        let config = self
            .access
            .get::<Secret>(self.namespace(), &names::config(self.network))
            .await?;
        Ok(config.and_then(|secret| {
            let files = secret.data?;
            let nodes = files
                .values()
                .filter_map(|file| serde_json::from_slice::<NodeConfig>(&file.0).ok());
            nodes.flat_map(|node| node.replicas).map(|replica| replica.token).next()
        }))
    }

    /// The token that clients have.
    pub async fn client_token(&self) -> Result<Option<String>, BackendError> {
        let client = self
            .access
            .get::<Secret>(self.namespace(), &names::client(self.network))
            .await?;
        Ok(client.as_ref().and_then(token_of))
    }

    /// The private keys of a validator, as their file; they are there once they were allocated.
    pub async fn private(&self, validator: &str) -> Result<Option<ByteString>, BackendError> {
        let name = names::keys(self.network, validator);
        let secret = self.access.get::<Secret>(self.namespace(), &name).await?;
        Ok(secret.and_then(|secret| secret.data?.remove(KEYS_FILE)))
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

fn token_of(secret: &Secret) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(TOKEN)?;
    String::from_utf8(bytes.0.clone())
        .ok()
        .filter(|token| token.len() == 64)
}
