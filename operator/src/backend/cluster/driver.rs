//! [`Backend`] over a Kubernetes API server.

mod hosted;

use std::collections::BTreeSet;

use async_trait::async_trait;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use muniment_crds::jiff::Timestamp;
use muniment_crds::{DeletionPolicy, NetworkName, Placement, TenantName, ValidatorAction};
use tokio::sync::watch;

use super::access::{Access, failed};
use super::build::{self, Inputs, Objects};
use super::certificates::{self, Keeper};
use super::durable::Durable;
use super::hosts::Gate;
use super::names;
use super::observe::{self, Place, Questions, Wanted};
use super::{ClusterSettings, ballot, own, volumes};
use crate::backend::{Backend, BackendError, Ballot, Observation, Removal};
use crate::certificates::{Certificates, Outlook};
use crate::membership::Membership;
use crate::network::NetworkRef;
use crate::plan::{Facts, NodePlan, Plan};
use crate::prober::{Prober, Probers};
use crate::quorum::ValidatorCount;
use crate::roll::{self, Step};
use crate::roster::{self, Standing};
use crate::scale;
use crate::validate::ValidatedNetwork;

/// Networks as objects of a cluster.
pub struct ClusterBackend {
    access: Access,
    settings: ClusterSettings,
    probers: Probers,
    /// For hosts, which have no certificates yet.
    prober: Prober,
    gate: Gate,
    clock: fn() -> Timestamp,
    /// The watches of whoever drives this backend are the real wake-ups.
    wake: watch::Sender<u64>,
}

impl ClusterBackend {
    /// Over a client that may do what the chart's roles allow.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(client: Client, settings: ClusterSettings) -> Result<Self, BackendError> {
        Self::with_clock(client, settings, Timestamp::now)
    }

    /// As [`Self::new`], with a clock by which certificates are renewed.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_clock(
        client: Client,
        settings: ClusterSettings,
        clock: fn() -> Timestamp,
    ) -> Result<Self, BackendError> {
        Ok(Self {
            access: Access(client),
            settings,
            probers: Probers::default(),
            prober: Prober::new()?,
            gate: Gate::default(),
            clock,
            wake: watch::Sender::new(0),
        })
    }

    /// How the nodes of a network are asked.
    fn questions<'a>(
        &'a self,
        network: &NetworkRef,
        token: &'a str,
        certificates: &Certificates,
    ) -> Result<Questions<'a>, BackendError> {
        let prober = match certificates.material(certificates::OPERATOR) {
            Some(own) => self.probers.of(network, own)?,
            None => Prober::new()?,
        };
        Ok(Questions {
            probers: &self.probers,
            prober,
            token,
            certificates: certificates.outlook(),
        })
    }

    fn durable<'a>(&'a self, network: &'a NetworkRef) -> Durable<'a> {
        Durable {
            access: &self.access,
            network,
        }
    }

    /// A storage class can be put right only as long as no volume is there.
    async fn check_class(&self, name: &str) -> Result<(), BackendError> {
        let api: Api<StorageClass> = Api::all(self.access.0.clone());
        match api
            .get_opt(name)
            .await
            .map_err(failed::<StorageClass>("read", "", name))?
        {
            Some(_) => Ok(()),
            None => Err(BackendError::Object {
                what: format!("StorageClass {name}"),
                problem: "there is none of this name".to_owned(),
                fix: "name one that is there in spec.storage.className, or leave it out for the cluster's default",
            }),
        }
    }

    async fn pods(&self, network: &NetworkRef) -> Result<Vec<Pod>, BackendError> {
        own::pods(&self.access, network).await
    }

    /// Volume templates of the StatefulSet that is there.
    async fn claims(&self, network: &NetworkRef) -> Result<Option<Vec<PersistentVolumeClaim>>, BackendError> {
        let name = names::validators(network);
        let set: Option<StatefulSet> = self.access.get(network.tenant.as_str(), &name).await?;
        let claims = set.and_then(|set| set.spec?.volume_claim_templates);
        Ok(claims.map(without_defaults))
    }

    /// The network policy comes first and the StatefulSet last: no pod runs unprotected or without what it needs.
    async fn write(&self, objects: Objects) -> Result<String, BackendError> {
        // Every field is named: a new kind that isn't applied doesn't compile.
        let Objects {
            policy,
            account,
            client,
            config,
            headless,
            service,
            budget,
            stateful_set,
            template,
        } = objects;
        self.access.apply(policy).await?;
        self.access.apply(account).await?;
        let (secret, role, binding) = client;
        self.access.apply(secret).await?;
        self.access.apply(role).await?;
        self.access.apply(binding).await?;
        self.access.apply(config).await?;
        self.access.apply(headless).await?;
        self.access.apply(service).await?;
        self.access.apply(budget).await?;
        self.access.apply(stateful_set).await?;
        Ok(template)
    }

    /// Takes one step of a rolling restart: the StatefulSet makes the deleted pod anew with the new template.
    async fn roll(&self, plan: &Plan, seen: &Observation, pods: &[Pod]) -> Result<(), BackendError> {
        let set = seen
            .membership
            .as_ref()
            .map(|membership| ValidatorCount::of(membership.now.len()));
        let count = set.unwrap_or_else(|| plan.members());
        if let Step::Restart(validator) = roll::next(&seen.nodes, &plan.revision, count) {
            let name = names::pod(&plan.network.network, &validator);
            if let Some(pod) = pods.iter().find(|pod| pod.name_any() == name) {
                tracing::info!(network = %plan.network.network, validator, "restarting with new settings");
                self.access.delete(pod).await?;
            }
        }
        Ok(())
    }

    /// Who votes has joined; that is on record before anyone is told that the network is ready. Who is to join has, too,
    /// before anyone is asked to decide it: it may vote long before we look again.
    async fn record_joined(
        &self,
        plan: &Plan,
        seen: &Observation,
        joined: &BTreeSet<String>,
    ) -> Result<bool, BackendError> {
        let mut may_vote: BTreeSet<String> = seen
            .nodes
            .iter()
            .filter(|n| n.votes())
            .map(|n| n.name.clone())
            .collect();
        if let scale::Step::Ask(change) = scale::next(plan, seen)
            && change.action == ValidatorAction::AddValidator
        {
            may_vote.insert(change.name);
        }
        let mut news = false;
        for name in may_vote.difference(joined) {
            self.durable(&seen.network).mark_joined(name).await?;
            news = true;
        }
        Ok(news)
    }

    /// What the ledger proves about validators of ours is put on record: it decides who runs, also while nobody can be
    /// asked.
    async fn record_set(&self, plan: &Plan, membership: &Membership) -> Result<(), BackendError> {
        let durable = self.durable(&plan.network.network);
        let mut ours: Vec<_> = plan.network.nodes.iter().map(|node| node.keys.clone()).collect();
        // Of a record that was lost, or a proposal that was enacted late: ours if we have the keys.
        let unknown = membership
            .now
            .iter()
            .filter(|one| !ours.contains(one))
            .cloned()
            .collect::<Vec<_>>();
        for one in unknown.into_iter().filter(|one| roster::number(&one.name).is_some()) {
            if durable.public(&one.name).await?.as_ref() == Some(&one) {
                ours.push(one);
            }
        }
        let news = plan
            .roster
            .with(membership, &ours, plan.wanted.get())
            .news(&plan.roster);
        if !news.is_empty() {
            tracing::info!(network = %plan.network.network, validators = membership.now.len(), "the network's validators changed");
            durable.record(news).await?;
        }
        Ok(())
    }

    /// The proposal that decides the next change of validators, if one is to come and is open.
    async fn ballot(&self, plan: &Plan, seen: &Observation, pods: &[Pod], questions: &Questions<'_>) -> Option<Ballot> {
        let scale::Step::Ask(change) = scale::next(plan, seen) else {
            return None;
        };
        let pods = pods.iter().map(|pod| (pod.name_any(), pod)).collect();
        let addresses = observe::furthest(&seen.network, &seen.nodes, &pods);
        ballot::find(&change, &addresses, questions).await
    }

    async fn delete_data(&self, network: &NetworkRef) -> Result<(), BackendError> {
        let (namespace, labels) = (network.tenant.as_str(), names::of_network(network));
        for claim in self.access.list::<PersistentVolumeClaim>(namespace, &labels).await? {
            self.access.delete(&claim).await?;
        }
        // The genesis goes before the keys: keys without a genesis are made anew, a genesis without keys is a loss.
        for map in self.access.list::<ConfigMap>(namespace, &labels).await? {
            self.access.delete(&map).await?;
        }
        for secret in self.access.list::<Secret>(namespace, &labels).await? {
            self.access.delete(&secret).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Backend for ClusterBackend {
    async fn allocate(&self, network: &ValidatedNetwork) -> Result<Facts, BackendError> {
        let durable = self.durable(&network.network);
        durable.check_placement(network.hosting.placement).await?;
        if network.hosting.placement == Placement::Shared {
            let shared = self.hosts_of(&network.network).await?;
            let mut facts = durable.facts(network.validators.get()).await?;
            shared.place(&network.network, &mut facts).await?;
            return Ok(facts);
        }
        if let Some(class) = &network.hosting.storage_class
            && durable.sealed().await?.is_none()
        {
            self.check_class(class).await?;
        }
        durable.facts(network.validators.get()).await
    }

    async fn apply(&self, plan: &Plan) -> Result<Observation, BackendError> {
        let network = &plan.network.network;
        if plan.hosting.placement == Placement::Shared {
            return self.hosts_of(network).await?.apply(plan).await;
        }
        let durable = self.durable(network);
        let joined = durable.joined(&plan.network).await?;
        durable.seal(plan).await?;
        self.access
            .delete_named::<ConfigMap>(network.tenant.as_str(), &names::tombstone(network))
            .await?;
        let token = durable.token().await?;
        let parties = certificates::parties(&plan.network);
        let kept = Keeper::of(network).keep(&self.access, &parties, (self.clock)()).await?;
        let mut inputs = Inputs {
            plan,
            settings: &self.settings,
            token: &token,
            certificates: &kept,
            joined: &joined,
            claims: self.claims(network).await?,
        };
        let template = self.write(build::objects(&inputs)?).await?;
        let pods = self.pods(network).await?;
        let place = |node: &NodePlan| Place {
            name: node.name.clone(),
            member: plan.is_member(&node.name),
        };
        let places: Vec<Place> = plan.network.nodes.iter().map(place).collect();
        let wanted = Wanted {
            template: &template,
            revision: &plan.revision,
            run: plan.hosting.run,
        };
        let questions = self.questions(network, &token, &kept)?;
        let id = Some(plan.network.id.as_str());
        let mut seen = observe::observe(network, id, &places, &pods, Some(&wanted), &questions).await;
        if let Some(membership) = &seen.membership {
            self.record_set(plan, membership).await?;
        }
        seen.ballot = self.ballot(plan, &seen, &pods, &questions).await;
        if self.record_joined(plan, &seen, &joined).await? {
            let joined = durable.joined(&plan.network).await?;
            inputs.joined = &joined;
            self.access.apply(build::objects(&inputs)?.config).await?;
        }
        if plan.hosting.run {
            self.roll(plan, &seen, &pods).await?;
        }
        seen.left_over = volumes::left_over(&self.access, plan, &seen).await?;
        // Last, because a storage class may refuse it: nothing else waits for that.
        volumes::grow(&self.access, plan).await?;
        Ok(seen)
    }

    async fn observe(&self, network: &NetworkRef) -> Result<Option<Observation>, BackendError> {
        if let Some((shared, port)) = self.placed(network).await? {
            return shared.observe(network, port).await;
        }
        let durable = self.durable(network);
        let Some((genesis, roster)) = durable.roster().await? else {
            return Ok(None);
        };
        let id = genesis.network_id().ok().map(hex::encode);
        let place = |number| Place {
            name: roster::name(number),
            member: roster.standing(number) == Some(Standing::Member),
        };
        let set: Option<StatefulSet> = self
            .access
            .get(network.tenant.as_str(), &names::validators(network))
            .await?;
        let planned = set.as_ref().and_then(numbers).unwrap_or_else(|| roster.range(0));
        let places: Vec<Place> = planned.map(place).collect();
        let (pods, token) = (self.pods(network).await?, durable.token().await?);
        let wanted = set.as_ref().and_then(observe::wanted_by);
        let wanted = wanted.as_ref().map(|(template, revision, run)| Wanted {
            template,
            revision,
            run: *run,
        });
        let kept = Keeper::of(network).read(&self.access).await?;
        let questions = self.questions(network, &token, &kept)?;
        Ok(Some(
            observe::observe(network, id.as_deref(), &places, &pods, wanted.as_ref(), &questions).await,
        ))
    }

    async fn renew(&self, network: &NetworkRef) -> Result<Option<Outlook>, BackendError> {
        if self.durable(network).sealed().await?.is_none() {
            return Ok(None);
        }
        let keeper = Keeper::of(network);
        let renewed = keeper.renew(&self.access, network, (self.clock)()).await?;
        Ok(renewed.outlook())
    }

    async fn remove(&self, network: &NetworkRef, data: DeletionPolicy) -> Result<Removal, BackendError> {
        if let Some((shared, port)) = self.placed(network).await? {
            let erase = data == DeletionPolicy::Delete;
            if shared.remove(network, port, erase).await? == Removal::Pending {
                return Ok(Removal::Pending);
            }
        }
        let (namespace, name) = (network.tenant.as_str(), names::validators(network));
        self.access.delete_named::<StatefulSet>(namespace, &name).await?;
        self.access
            .delete_named::<Service>(namespace, &names::client_service(network))
            .await?;
        let set: Option<StatefulSet> = self.access.get(namespace, &name).await?;
        if set.is_some() || !self.pods(network).await?.is_empty() {
            return Ok(Removal::Pending);
        }
        let abandoned = own::abandoned(&self.access, network).await?;
        for pod in &abandoned {
            tracing::warn!(%network, pod = pod.name_any(), "runs without its StatefulSet; it is ended with its network");
            self.access.delete(pod).await?;
        }
        if !abandoned.is_empty() {
            return Ok(Removal::Pending);
        }
        // No pod is left, so nothing of this protects or serves anyone any more.
        self.access
            .delete_named::<Service>(namespace, &names::headless(network))
            .await?;
        self.access
            .delete_named::<PodDisruptionBudget>(namespace, &name)
            .await?;
        self.access.delete_named::<ServiceAccount>(namespace, &name).await?;
        self.access.delete_named::<NetworkPolicy>(namespace, &name).await?;
        self.access
            .delete_named::<RoleBinding>(namespace, &names::client(network))
            .await?;
        self.access
            .delete_named::<Role>(namespace, &names::client(network))
            .await?;
        self.access
            .delete_named::<Secret>(namespace, &names::client(network))
            .await?;
        // Made anew when the network comes back; nobody is left who knows the old ones.
        for name in [names::certificates(network), names::authorities(network)] {
            self.access.delete_named::<Secret>(namespace, &name).await?;
        }
        self.probers.forget(network);
        match data {
            DeletionPolicy::Delete => self.delete_data(network).await?,
            // The nodes' token and settings stay as well: those say who has voted.
            DeletionPolicy::Retain => {
                if let Some(tombstone) = self.tombstone(network).await? {
                    self.access.apply(tombstone).await?;
                }
            }
        }
        Ok(Removal::Done)
    }

    async fn list(&self) -> Result<Vec<NetworkRef>, BackendError> {
        let api: Api<StatefulSet> = Api::all(self.access.0.clone());
        let sets = api.list(&ListParams::default().labels(&names::managed())).await;
        let sets = sets.map_err(failed::<StatefulSet>("listed", "", &names::managed()))?;
        let network = |set: &StatefulSet| {
            let label = |key: &str| set.labels().get(key).cloned();
            let (tenant, name) = (label(names::TENANT)?, label(names::NETWORK)?);
            Some(NetworkRef {
                tenant: TenantName::new(tenant).ok()?,
                name: NetworkName::new(name).ok()?,
            })
        };
        let mut found: Vec<NetworkRef> = sets.items.iter().filter_map(network).collect();
        if let Some(shared) = self.shared() {
            found.extend(shared.networks().await?);
        }
        found.sort();
        Ok(found)
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }
}

impl ClusterBackend {
    /// Says that a network was here, and that its keys, genesis and data still are.
    async fn tombstone(&self, network: &NetworkRef) -> Result<Option<ConfigMap>, BackendError> {
        let Some(genesis) = self.durable(network).sealed().await? else {
            return Ok(None);
        };
        let id = genesis.network_id().map(hex::encode).unwrap_or_default();
        let says = "The network was deleted and its keys, genesis and volumes were kept. \
                    A LedgerNetwork of the same name goes on with them.";
        Ok(Some(ConfigMap {
            metadata: names::metadata(network, names::tombstone(network)),
            data: Some(names::map([("networkId", id), ("says", says.to_owned())])),
            ..ConfigMap::default()
        }))
    }
}

/// The numbers that a StatefulSet runs; `None` when it runs none.
fn numbers(set: &StatefulSet) -> Option<std::ops::Range<u32>> {
    let spec = set.spec.as_ref()?;
    let count = u32::try_from(spec.replicas?).ok().filter(|count| *count > 0)?;
    let first = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0);
    let first = u32::try_from(first).ok()?;
    Some(first..first.saturating_add(count))
}

/// What the API server added to volume templates would be taken for our own wish.
fn without_defaults(mut claims: Vec<PersistentVolumeClaim>) -> Vec<PersistentVolumeClaim> {
    for claim in &mut claims {
        claim.status = None;
        claim.metadata.creation_timestamp = None;
    }
    claims
}
