//! Networks in shared placement: seats in the hosts' Secrets, and what clients need in the tenant's namespace.

use std::collections::BTreeSet;

use futures::future::{join_all, try_join_all};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::ResourceExt;
use muniment_ledger::config::ReplicaConfig;
use muniment_ledger::mounted::seats::{ERASE, folder_name};
use serde_json::json;

use super::observe::View;
use super::ports::Ports;
use super::seats::{Contents, Difference, Files, erase_key};
use super::{Hosts, host_of, poke, seat_name, shard_of};
use crate::backend::cluster::access::Access;
use crate::backend::cluster::build::{self, Inputs};
use crate::backend::cluster::durable::Durable;
use crate::backend::cluster::{ClusterSettings, names, observe};
use crate::backend::{BackendError, Observation, Removal};
use crate::certificates::Certificates;
use crate::keys;
use crate::network::NetworkRef;
use crate::plan::{Facts, NodePlan, Plan};
use crate::prober::{Prober, SeatAnswer};
use crate::roll::{self, Step};

/// The hosts as a place for networks.
pub struct Shared<'a> {
    /// The API server.
    pub access: &'a Access,
    /// How this operator runs nodes.
    pub settings: &'a ClusterSettings,
    /// Asks hosts and replicas.
    pub prober: &'a Prober,
    /// The hosts.
    pub hosts: Hosts,
}

/// Whose seats are looked at.
struct Whose<'a> {
    network: &'a NetworkRef,
    id: Option<&'a str>,
    validators: Vec<String>,
    port: u16,
    token: &'a str,
}

/// What was seen of them: views in the order of the validators, and the Secrets that they lie in.
struct Seen {
    views: Vec<View>,
    secrets: Vec<Secret>,
}

impl<'a> Shared<'a> {
    /// `None` where there are no hosts.
    pub fn of(access: &'a Access, settings: &'a ClusterSettings, prober: &'a Prober) -> Option<Self> {
        let hosts = Hosts::of(settings)?;
        Some(Self {
            access,
            settings,
            prober,
            hosts,
        })
    }

    fn ports(&self) -> Ports<'_> {
        Ports {
            access: self.access,
            hosts: &self.hosts,
        }
    }

    fn durable<'n>(&'n self, network: &'n NetworkRef) -> Durable<'n> {
        Durable {
            access: self.access,
            network,
        }
    }

    /// The port of a network that is placed here.
    pub async fn port(&self, network: &NetworkRef) -> Result<Option<u16>, BackendError> {
        self.ports().of(network).await
    }

    /// All networks that are placed here.
    pub async fn networks(&self) -> Result<Vec<NetworkRef>, BackendError> {
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
        durable.seal(&plan.network).await?;
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
        let mut observation = observation(&whose, &seen);
        // Who votes has joined; that is on record before anyone is told that the network is ready.
        for node in observation.nodes.iter().filter(|node| node.votes()) {
            if joined.insert(node.name.clone()) {
                durable.mark_joined(&node.name).await?;
            }
        }
        let wanted = self.wanted(plan, &token, &joined).await?;
        name_edited(&mut observation, &seen, &wanted, &seat_name(network));
        self.write(plan, &seen, &wanted, &observation).await?;
        self.sweep(&seen).await?;
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
        Ok(Some(observation(&whose, &seen)))
    }

    /// Takes the seats back; with `erase`, also the data in the hosts. Answers `Done` when both are gone from every host
    /// that runs; one that doesn't run finds the order in its Secret when it comes back.
    pub async fn remove(&self, network: &NetworkRef, port: u16, erase: bool) -> Result<Removal, BackendError> {
        let genesis = self.durable(network).sealed().await?;
        let Some(genesis) = genesis else {
            self.ports().release(network).await?;
            return Ok(Removal::Done);
        };
        let id = genesis.network_id().map(hex::encode).unwrap_or_default();
        let token = self.token(network, port).await?;
        let whose = Whose {
            network,
            id: Some(&id),
            validators: genesis.validators.iter().map(|v| v.name.clone()).collect(),
            port,
            token: &token,
        };
        let seen = self.look(&whose).await?;
        let mut pending = false;
        for (view, secret) in seen.views.iter().zip(&seen.secrets) {
            if !view.files.is_empty() {
                self.change(secret, view, &view.files.patch(&Files::default())).await?;
                pending = true;
            } else if matches!(view.said, SeatAnswer::Taken(_)) {
                self.tell_again(view).await?;
                pending = true;
            }
        }
        if pending {
            return Ok(Removal::Pending);
        }
        if erase && !self.erase(&seen, &folder_name(&seat_name(network), &id)).await? {
            return Ok(Removal::Pending);
        }
        self.ports().release(network).await?;
        Ok(Removal::Done)
    }

    /// Orders the data of a network away; whether every host that runs has followed.
    async fn erase(&self, seen: &Seen, folder: &str) -> Result<bool, BackendError> {
        let key = erase_key(folder);
        let mut all = true;
        for (view, secret) in seen.views.iter().zip(&seen.secrets) {
            let address = view.pod.as_ref().and_then(observe::host);
            if secret.data.as_ref().is_none_or(|data| !data.contains_key(&key)) {
                self.change(secret, view, &json!({ "data": { &key: "" } })).await?;
                all &= address.is_none();
            } else if let Some(address) = address
                && !self.prober.is_erased(&self.hosts.base(&address), folder).await
            {
                self.tell_again(view).await?;
                all = false;
            }
        }
        if all {
            self.sweep(seen).await?;
        }
        Ok(all)
    }

    /// Takes back orders that hosts have followed.
    async fn sweep(&self, seen: &Seen) -> Result<(), BackendError> {
        for (view, secret) in seen.views.iter().zip(&seen.secrets) {
            let orders = secret
                .data
                .iter()
                .flatten()
                .filter_map(|(key, _)| key.strip_suffix(ERASE));
            for folder in orders {
                let Some(address) = view.pod.as_ref().and_then(observe::host) else {
                    continue;
                };
                if self.prober.is_erased(&self.hosts.base(&address), folder).await {
                    let change = json!({ "data": { erase_key(folder): null } });
                    self.access
                        .merge::<Secret>(&self.hosts.namespace, &secret.name_any(), &change)
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// The network's token. As long as a seat has it, none is made anew: see [`Durable::token`].
    async fn token(&self, network: &NetworkRef, port: u16) -> Result<String, BackendError> {
        if let Some(token) = self.durable(network).client_token().await? {
            return Ok(token);
        }
        let seat = seat_name(network);
        for host in 0..super::HOSTS {
            if let Some(token) = Files::of(&self.secret(host, port).await?, &seat).token(&seat) {
                return Ok(token);
            }
        }
        keys::secret().map_err(BackendError::Random)
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

    async fn secret(&self, host: usize, port: u16) -> Result<Secret, BackendError> {
        let name = self.hosts.secret(host, shard_of(port));
        let found = self.access.get(&self.hosts.namespace, &name).await?;
        found.ok_or_else(|| BackendError::Object {
            what: format!("Secret {}/{name}", self.hosts.namespace),
            problem: "it isn't there".to_owned(),
            fix: "it is part of the chart: run helm upgrade",
        })
    }

    async fn look(&self, whose: &Whose<'_>) -> Result<Seen, BackendError> {
        let pods: Vec<Pod> = self.access.list(&self.hosts.namespace, &names::hosts()).await?;
        let hosts: Vec<usize> = whose.validators.iter().map(|name| host_of(name)).collect();
        let secrets = try_join_all(hosts.iter().map(|host| self.secret(*host, whose.port))).await?;
        let views = hosts
            .iter()
            .zip(&whose.validators)
            .zip(&secrets)
            .map(|((host, name), secret)| {
                let pod = pods.iter().find(|pod| pod.name_any() == self.hosts.pod(*host));
                self.view(whose, name, pod, secret)
            });
        let views = join_all(views).await;
        Ok(Seen { views, secrets })
    }

    async fn view(&self, whose: &Whose<'_>, name: &str, pod: Option<&Pod>, secret: &Secret) -> View {
        let (said, answer) = match (pod.and_then(observe::host), whose.id) {
            (Some(address), Some(id)) => {
                let url = self.hosts.url(&address, whose.network);
                let said = self.prober.seat(&url, whose.token).await;
                let answer = match &said {
                    SeatAnswer::Taken(_) => self.prober.ask(&url, whose.token, id, name).await,
                    _ => None,
                };
                (said, answer)
            }
            _ => (SeatAnswer::Silent, None),
        };
        View {
            name: name.to_owned(),
            pod: pod.cloned(),
            files: Files::of(secret, &seat_name(whose.network)),
            said,
            answer,
        }
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
    /// gate.
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
            let write = match view.files.difference(&seat, wanted) {
                Difference::None => false,
                Difference::Quiet | Difference::Presence => true,
                Difference::Settings => {
                    chosen.as_deref() == Some(view.name.as_str()) || view.runs(wanted.settings(&seat).as_deref())
                }
            };
            if write {
                self.change(secret, view, &view.files.patch(wanted)).await?;
            } else if view.is_in_transit(&seat) {
                self.tell_again(view).await?;
            }
        }
        Ok(())
    }

    async fn change(&self, secret: &Secret, view: &View, patch: &serde_json::Value) -> Result<(), BackendError> {
        self.access
            .merge::<Secret>(&self.hosts.namespace, &secret.name_any(), patch)
            .await?;
        match &view.pod {
            Some(pod) => poke::tell(self.access, pod).await,
            None => Ok(()),
        }
    }

    async fn tell_again(&self, view: &View) -> Result<(), BackendError> {
        match &view.pod {
            Some(pod) => poke::tell_again(self.access, pod).await,
            None => Ok(()),
        }
    }
}

fn observation(whose: &Whose<'_>, seen: &Seen) -> Observation {
    let seat = seat_name(whose.network);
    Observation {
        network: whose.network.clone(),
        id: whose.id.map(str::to_owned),
        nodes: seen.views.iter().map(|view| view.node(&seat)).collect(),
        membership: None,
        ballot: None,
        certificates: None,
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
