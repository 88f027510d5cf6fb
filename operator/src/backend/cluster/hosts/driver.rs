//! Networks in shared placement: seats in the hosts' Secrets, and what clients need in the tenant's namespace.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::ResourceExt;
use muniment_ledger::config::ReplicaConfig;

use super::look::{Seen, Whose};
use super::observe::View;
use super::ports::Ports;
use super::seats::{Contents, Difference, Files};
use super::{Gate, Hosts, poke, seat_name, shard_of};
use crate::backend::cluster::access::Access;
use crate::backend::cluster::build::{self, Inputs};
use crate::backend::cluster::durable::Durable;
use crate::backend::cluster::{ClusterSettings, names};
use crate::backend::{BackendError, Observation};
use crate::certificates::Certificates;
use crate::network::NetworkRef;
use crate::plan::{Facts, NodePlan, Plan};
use crate::prober::Prober;
use crate::roll::{self, Step};

/// The hosts as a place for networks.
pub struct Shared<'a> {
    /// The API server.
    pub access: &'a Access,
    /// How this operator runs nodes.
    pub settings: &'a ClusterSettings,
    /// Asks hosts and replicas.
    pub prober: &'a Prober,
    /// Held while validators in hosts are taken away.
    pub gate: &'a Gate,
    /// The hosts.
    pub hosts: Hosts,
}

impl<'a> Shared<'a> {
    /// `None` where there are no hosts.
    pub fn of(access: &'a Access, settings: &'a ClusterSettings, prober: &'a Prober, gate: &'a Gate) -> Option<Self> {
        let hosts = Hosts::of(settings)?;
        Some(Self {
            access,
            settings,
            prober,
            gate,
            hosts,
        })
    }

    pub(super) fn ports(&self) -> Ports<'_> {
        Ports {
            access: self.access,
            hosts: &self.hosts,
        }
    }

    pub(super) fn durable<'n>(&'n self, network: &'n NetworkRef) -> Durable<'n> {
        Durable {
            access: self.access,
            network,
        }
    }

    /// The port of a network that is placed here.
    pub async fn port(&self, network: &NetworkRef) -> Result<Option<u16>, BackendError> {
        self.ports().of(network).await
    }

    /// The port of a network that sits here, also when the map of ports was lost.
    pub async fn seated(&self, network: &NetworkRef) -> Result<Option<u16>, BackendError> {
        self.ports().seated(network).await
    }

    /// All networks that are placed here.
    pub async fn networks(&self) -> Result<BTreeSet<NetworkRef>, BackendError> {
        self.ports().networks().await
    }

    /// Gives the validators their addresses.
    pub async fn place(&self, network: &NetworkRef, facts: &mut Facts) -> Result<(), BackendError> {
        let port = self.ports().claim(network).await?;
        for seat in &mut facts.seats {
            self.hosts.place(network, seat, port);
        }
        // There is one validator for each host, so none joins or leaves: they are those of the genesis.
        facts.roster = None;
        Ok(())
    }

    /// See [`crate::backend::Backend::apply`].
    pub async fn apply(&self, plan: &Plan) -> Result<Observation, BackendError> {
        let network = &plan.network.network;
        let durable = self.durable(network);
        let mut joined = durable.joined(&plan.network).await?;
        durable.seal(plan).await?;
        self.access
            .delete_named::<ConfigMap>(network.tenant.as_str(), &names::tombstone(network))
            .await?;
        let port = self.ports().claim(network).await?;
        let token = self.token(network, port).await?;
        self.tell_clients(plan, &token, &joined).await?;
        let whose = Whose {
            network,
            id: Some(&plan.network.id),
            validators: plan.network.nodes.iter().map(|node| node.name.clone()).collect(),
            port,
            token: &token,
        };
        let seen = self.look(&whose).await?;
        let mut observation = seen.observation(&whose);
        // Who votes has joined; that is on record before anyone is told that the network is ready.
        for node in observation.nodes.iter().filter(|node| node.votes()) {
            if joined.insert(node.name.clone()) {
                durable.mark_joined(&node.name).await?;
            }
        }
        let wanted = self.wanted(plan, &token, &joined).await?;
        name_edited(&mut observation, &seen, &wanted, &seat_name(network));
        self.write(plan, &seen, &wanted, &observation).await?;
        self.take_back(&seen).await?;
        Ok(observation)
    }

    /// See [`crate::backend::Backend::observe`].
    pub async fn observe(&self, network: &NetworkRef, port: u16) -> Result<Option<Observation>, BackendError> {
        let Some(genesis) = self.durable(network).sealed().await? else {
            return Ok(None);
        };
        let id = genesis.network_id().ok().map(hex::encode);
        let token = self.token(network, port).await?;
        let whose = Whose {
            network,
            id: id.as_deref(),
            validators: genesis.validators.iter().map(|v| v.name.clone()).collect(),
            port,
            token: &token,
        };
        let seen = self.look(&whose).await?;
        Ok(Some(seen.observation(&whose)))
    }

    /// The network's token, made once. When its Secret is gone the seats say what it was, before what clients have.
    pub(super) async fn token(&self, network: &NetworkRef, port: u16) -> Result<String, BackendError> {
        let durable = self.durable(network);
        if let Some(token) = durable.kept_token().await? {
            return Ok(token);
        }
        let seat = seat_name(network);
        for host in 0..super::HOSTS {
            let found = Files::of(&self.secret(host, port).await?, &seat).token(&seat);
            if found.is_some() {
                return durable.keep_token(found).await;
            }
        }
        durable.keep_token(None).await
    }

    async fn tell_clients(&self, plan: &Plan, token: &str, joined: &BTreeSet<String>) -> Result<(), BackendError> {
        let (secret, role, binding) = build::client(&Inputs {
            plan,
            settings: self.settings,
            token,
            // Hosts have none yet.
            certificates: &Certificates::default(),
            joined,
            claims: None,
        })?;
        self.access.apply(secret).await?;
        self.access.apply(role).await?;
        self.access.apply(binding).await?;
        Ok(())
    }

    pub(super) async fn secret(&self, host: usize, port: u16) -> Result<Secret, BackendError> {
        self.part(host, shard_of(port)).await
    }

    /// One that is missing has no seats. Only who has to write into it can't do without.
    pub(super) async fn part_if_there(&self, host: usize, shard: usize) -> Result<Option<Secret>, BackendError> {
        let name = self.hosts.secret(host, shard);
        self.access.get(&self.hosts.namespace, &name).await
    }

    async fn part(&self, host: usize, shard: usize) -> Result<Secret, BackendError> {
        self.part_if_there(host, shard)
            .await?
            .ok_or_else(|| BackendError::Object {
                what: format!("Secret {}/{}", self.hosts.namespace, self.hosts.secret(host, shard)),
                problem: "it isn't there".to_owned(),
                fix: "it is part of the chart: run helm upgrade",
            })
    }

    /// What is to lie in the hosts' Secrets, by validator. Nothing for a network that sleeps.
    async fn wanted(&self, plan: &Plan, token: &str, joined: &BTreeSet<String>) -> Result<Vec<Files>, BackendError> {
        let files = plan
            .network
            .nodes
            .iter()
            .map(|node| self.files(plan, node, token, joined));
        if plan.hosting.run {
            try_join_all(files).await
        } else {
            Ok(vec![Files::default(); plan.network.nodes.len()])
        }
    }

    async fn files(
        &self,
        plan: &Plan,
        node: &NodePlan,
        token: &str,
        joined: &BTreeSet<String>,
    ) -> Result<Files, BackendError> {
        let network = &plan.network.network;
        let replica = ReplicaConfig {
            name: node.name.clone(),
            api: node.api,
            consensus: node.consensus,
            peers: node.peers.clone(),
            token: token.to_owned(),
            tls: None,
            limits: plan.network.limits.clone(),
        };
        let unwritable = |error: serde_json::Error| BackendError::Object {
            what: format!("the seat of {} of {network}", node.name),
            problem: error.to_string(),
            fix: "this is a defect of the operator",
        };
        let keys = self.durable(network).private(&node.name).await?;
        let contents = Contents {
            replica: serde_json::to_vec(&replica).map_err(unwritable)?,
            genesis: plan.network.genesis.canonical().map_err(unwritable)?,
            keys: keys.ok_or_else(|| BackendError::KeysLost {
                network: network.clone(),
                validator: node.name.clone(),
                path: format!("Secret {}/{}", network.tenant, names::keys(network, &node.name)).into(),
            })?,
            joined: joined.contains(&node.name),
            revision: plan.revision.clone(),
        };
        Ok(Files::taken(&seat_name(network), contents))
    }

    /// Writes what differs. Seats come and go at once; other settings go to one validator at a time, behind the quorum
    /// gate and the hosts' own.
    async fn write(
        &self,
        plan: &Plan,
        seen: &Seen,
        wanted: &[Files],
        observation: &Observation,
    ) -> Result<(), BackendError> {
        let network = &plan.network.network;
        let seat = seat_name(network);
        let chosen = match roll::next(&observation.nodes, &plan.revision, plan.members()) {
            Step::Restart(name) => Some(name),
            Step::Done | Step::Hold(_) => None,
        };
        let rows = || seen.views.iter().zip(&seen.secrets).zip(wanted);
        // Before the first is written: a network in some of its hosts only is none.
        for ((view, secret), wanted) in rows() {
            if !view.files.fits(secret, wanted) {
                return Err(BackendError::HostsFull {
                    network: network.clone(),
                    why: format!("Secret {} holds 1 MB already", secret.name_any()),
                });
            }
        }
        for ((view, secret), wanted) in rows() {
            let patch = || view.files.patch(wanted);
            match view.files.difference(&seat, wanted) {
                Difference::None if view.is_in_transit(&seat) => self.tell_again(view).await?,
                Difference::None => {}
                // What runs with them already isn't restarted by them.
                Difference::Settings if !view.runs(wanted.settings(&seat).as_deref()) => {
                    if chosen.as_deref() == Some(view.name.as_str()) {
                        self.restart_seat(&seen.views, view, secret, &patch()).await?;
                    } else if view.is_in_transit(&seat) {
                        self.tell_again(view).await?;
                    }
                }
                Difference::Quiet | Difference::Presence | Difference::Settings => {
                    self.change(secret, view.pod.as_ref(), &patch()).await?;
                }
            }
        }
        Ok(())
    }

    /// Writes into a host's Secret, and tells its pod.
    pub(super) async fn change(
        &self,
        secret: &Secret,
        pod: Option<&Pod>,
        patch: &serde_json::Value,
    ) -> Result<(), BackendError> {
        self.access
            .merge::<Secret>(&self.hosts.namespace, &secret.name_any(), patch)
            .await?;
        match pod {
            Some(pod) => poke::tell(self.access, pod).await,
            None => Ok(()),
        }
    }

    pub(super) async fn tell_again(&self, view: &View) -> Result<(), BackendError> {
        match &view.pod {
            Some(pod) => poke::tell_again(self.access, pod).await,
            None => Ok(()),
        }
    }
}

/// Settings of the wanted revision that aren't the wanted ones were changed by another hand: they are of no revision that
/// is known, so that they roll back like any other.
fn name_edited(observation: &mut Observation, seen: &Seen, wanted: &[Files], seat: &str) {
    for ((node, view), wanted) in observation.nodes.iter_mut().zip(&seen.views).zip(wanted) {
        let same = view.files.revision(seat) == wanted.revision(seat);
        if same && view.files.difference(seat, wanted) == Difference::Settings {
            node.revision = node.revision.take().map(|revision| format!("{revision}, edited"));
        }
    }
}
