//! Planning: a [`ValidatedNetwork`] and what the backend has allocated become a [`Plan`]. Pure.
//!
//! Owns the genesis and who is told what about whom. A plan is plain data without secrets; its digest names the
//! revision. A sealed genesis is never planned anew: what the description says differently is reported instead, but for
//! the number of validators, to which [`crate::scale`] finds the way where the backend can go it.

use std::fmt;
use std::net::SocketAddr;

use muniment_ledger::config::{Limits, PeerConfig};
use muniment_receipts::genesis::{GENESIS_TYPE, Genesis, Member, ValidatorKeys};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::network::NetworkRef;
use crate::quorum::ValidatorCount;
use crate::roster::Roster;
use crate::validate::{Hosting, ValidatedNetwork};

/// What the backend has allocated for a network: durable, and the same at every call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// When the network was first allocated, milliseconds since the Unix epoch.
    pub created_at: u64,
    /// Places for validators, in order: all that are to run.
    pub seats: Vec<Seat>,
    /// The genesis, once it is sealed.
    pub sealed: Option<Genesis>,
    /// What is on record of the validators; `None` where they are those of the genesis for ever.
    pub roster: Option<Roster>,
}

/// A place for one validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seat {
    /// Public halves of its keys, and its name.
    pub keys: ValidatorKeys,
    /// Address its HTTP API is bound to.
    pub api: SocketAddr,
    /// Address its consensus transport is bound to.
    pub consensus: SocketAddr,
    /// URL at which others reach its HTTP API.
    pub api_url: String,
    /// `host:port` at which others reach its consensus transport.
    pub consensus_host: String,
}

/// What is to be there. Plain data; no secret in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPlan {
    /// Which network.
    pub network: NetworkRef,
    /// Network id, hex: the hash of `genesis`.
    pub id: String,
    /// First state of the network.
    pub genesis: Genesis,
    /// The nodes, in the order of the genesis.
    pub nodes: Vec<NodePlan>,
    /// Limits of every node.
    pub limits: Limits,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePlan {
    /// Validator name.
    pub name: String,
    /// Public halves of its keys.
    pub keys: ValidatorKeys,
    /// Address its HTTP API is bound to.
    pub api: SocketAddr,
    /// Address its consensus transport is bound to.
    pub consensus: SocketAddr,
    /// URL at which others reach its HTTP API.
    pub api_url: String,
    /// The others.
    pub peers: Vec<PeerConfig>,
}

/// A plan, its name, and what it can't bring about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is to be there.
    pub network: NetworkPlan,
    /// SHA-256 of the canonical JSON of `network`, hex.
    pub revision: String,
    /// What the platform gives to each validator; no part of the revision, because not every change of it restarts one.
    pub hosting: Hosting,
    /// Fields that say something else than the sealed genesis; a change of them needs the network's governance.
    pub deferred: Vec<Deferred>,
    /// What is on record of the validators. No part of the revision: that one joined restarts nobody.
    pub roster: Roster,
    /// How many validators there are to be.
    pub wanted: ValidatorCount,
}

impl Plan {
    /// How many validators are in the set, as far as is on record.
    pub fn members(&self) -> ValidatorCount {
        ValidatorCount::of(self.roster.members().count())
    }

    /// Whether a node is in the set, as far as is on record.
    pub fn is_member(&self, validator: &str) -> bool {
        self.roster.members().any(|member| member == validator)
    }
}

/// A field whose value isn't in force, because the genesis says another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deferred {
    /// Path of the field, e.g. `spec.validators.count`.
    pub field: String,
    /// What is in force, if it is short enough to be said.
    pub at: Option<String>,
}

impl fmt::Display for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is fixed", self.field)?;
        if let Some(at) = &self.at {
            write!(f, " at {at}")?;
        }
        f.write_str(" by its genesis")
    }
}

/// A plan can't be made.
#[derive(Debug, Error)]
pub enum PlanError {
    /// Keys at hand aren't those of the genesis.
    #[error(
        "validator `{validator}` of {network} has other keys than its sealed genesis says; \
         put the folder `keys` of the network back from a backup"
    )]
    OtherKeys {
        /// Network.
        network: NetworkRef,
        /// Validator name.
        validator: String,
    },
    /// Who is to sign for the tenant isn't a member of the network.
    #[error(
        "the signing key of `{member}` is not a member of {network}: its genesis was sealed with another key; \
         put the database with that key (`muniment.db`) back from a backup, or start with another --data for a new network"
    )]
    NotAMember {
        /// Network.
        network: NetworkRef,
        /// Name of the member whose key it is.
        member: String,
    },
    /// Not expressible as canonical JSON.
    #[error("the plan can't be written as canonical JSON")]
    Canonical(#[from] serde_json::Error),
}

/// Makes the plan.
///
/// # Errors
/// When allocated keys contradict the sealed genesis.
pub fn plan(wanted: &ValidatedNetwork, facts: &Facts) -> Result<Plan, PlanError> {
    let (genesis, deferred) = match &facts.sealed {
        Some(sealed) => (sealed.clone(), differences(wanted, sealed, facts.roster.is_some())),
        None => (new_genesis(wanted, facts), Vec::new()),
    };
    let first = || Roster::since(&genesis, Roster::default());
    let roster = facts.roster.clone().unwrap_or_else(first);
    let count = match facts.roster {
        Some(_) => wanted.validators,
        None => ValidatorCount::of(genesis.validators.len()),
    };
    let network = NetworkPlan {
        network: wanted.network.clone(),
        id: hex::encode(genesis.network_id()?),
        nodes: nodes(&wanted.network, &genesis, facts)?,
        genesis,
        limits: wanted.limits.clone(),
    };
    let revision = hex::encode(Sha256::digest(serde_json_canonicalizer::to_vec(&network)?));
    Ok(Plan {
        network,
        revision,
        hosting: wanted.hosting.clone(),
        deferred,
        roster,
        wanted: count,
    })
}

fn new_genesis(wanted: &ValidatedNetwork, facts: &Facts) -> Genesis {
    let count = wanted.validators.get() as usize;
    Genesis {
        kind: GENESIS_TYPE.to_owned(),
        name: wanted.network.to_string(),
        created_at: facts.created_at,
        validators: facts.seats.iter().take(count).map(|seat| seat.keys.clone()).collect(),
        members: wanted.members.clone(),
        templates: wanted.templates.clone(),
        governance_threshold: majority(&wanted.members),
    }
}

/// More than half of the members.
fn majority(members: &[Member]) -> u32 {
    u32::try_from(members.len() / 2 + 1).unwrap_or(u32::MAX)
}

/// Those who run: the validators of the genesis, or where others may join and leave, all that have a place.
fn running<'a>(network: &NetworkRef, genesis: &Genesis, facts: &'a Facts) -> Result<Vec<&'a Seat>, PlanError> {
    let other_keys = |keys: &ValidatorKeys| PlanError::OtherKeys {
        network: network.clone(),
        validator: keys.name.clone(),
    };
    if facts.roster.is_some() && facts.sealed.is_some() {
        let differs = |keys: &&ValidatorKeys| {
            let named = facts.seats.iter().find(|seat| seat.keys.name == keys.name);
            named.is_some_and(|seat| seat.keys != **keys)
        };
        return match genesis.validators.iter().find(differs) {
            Some(keys) => Err(other_keys(keys)),
            None => Ok(facts.seats.iter().collect()),
        };
    }
    let seat = |keys: &ValidatorKeys| {
        let found = facts.seats.iter().find(|seat| seat.keys == *keys);
        found.ok_or_else(|| other_keys(keys))
    };
    genesis.validators.iter().map(seat).collect()
}

fn nodes(network: &NetworkRef, genesis: &Genesis, facts: &Facts) -> Result<Vec<NodePlan>, PlanError> {
    let seats = running(network, genesis, facts)?;
    let peer = |seat: &&Seat| PeerConfig {
        name: seat.keys.name.clone(),
        api: seat.api_url.clone(),
        consensus: seat.consensus_host.clone(),
    };
    let node = |own: &&Seat| NodePlan {
        name: own.keys.name.clone(),
        keys: own.keys.clone(),
        api: own.api,
        consensus: own.consensus,
        api_url: own.api_url.clone(),
        peers: seats
            .iter()
            .filter(|other| other.keys.name != own.keys.name)
            .map(peer)
            .collect(),
    };
    Ok(seats.iter().map(node).collect())
}

/// Makes sure that these keys may sign in a sealed network: without them it can be read, but never be written again.
///
/// # Errors
/// When one of them isn't a member's.
pub fn check_signers(network: &NetworkRef, signers: &[Member], sealed: &Genesis) -> Result<(), PlanError> {
    let is_member = |signer: &&Member| sealed.members.iter().any(|member| member.key == signer.key);
    match signers.iter().find(|signer| !is_member(signer)) {
        Some(stranger) => Err(PlanError::NotAMember {
            network: network.clone(),
            member: stranger.name.clone(),
        }),
        None => Ok(()),
    }
}

fn differences(wanted: &ValidatedNetwork, sealed: &Genesis, scales: bool) -> Vec<Deferred> {
    let deferred = |field: &str, at| Deferred {
        field: field.to_owned(),
        at,
    };
    let have = sealed.validators.len();
    let fixed = !scales && wanted.validators.get() as usize != have;
    let count = fixed.then(|| deferred("spec.validators.count", Some(have.to_string())));
    let templates = (wanted.templates != sealed.templates).then(|| deferred("spec.templates", None));
    let members = (wanted.members != sealed.members).then(|| deferred("spec.members", None));
    [count, templates, members].into_iter().flatten().collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
