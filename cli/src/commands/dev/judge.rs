//! What may be described in `muniment dev`, and what is seen of it: the operator's own validation, preview and quota, in
//! the words of the management API.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use muniment_api::embedded::{Described, Judge};
use muniment_api::resources::{Refused, Target};
use muniment_crds::condition::reason;
use muniment_crds::jiff::Timestamp;
use muniment_crds::{LedgerNetwork, LedgerNetworkSpec, LedgerNetworkStatus, NetworkName, TenantName, TenantSpec};
use muniment_operator::cluster::quota;
use muniment_operator::controller::Outcome;
use muniment_operator::{Catalog, Effect, Impact, Local, NetworkRef, ReconcileError, in_dev, status, validate};
use muniment_receipts::genesis::Member;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;

/// Reports of the controller, by `tenant/network`.
pub type Reports = watch::Receiver<BTreeMap<String, Outcome>>;

/// The judge of one `dev`.
pub struct Desk {
    own: NetworkRef,
    catalog: Catalog,
    seen: OnceLock<(Reports, Arc<Local>)>,
    signers: RwLock<BTreeMap<String, String>>,
}

impl Desk {
    /// `own` is the network that this `dev` was started with.
    pub fn new(own: NetworkRef, catalog: Catalog) -> Self {
        Self {
            own,
            catalog,
            seen: OnceLock::new(),
            signers: RwLock::default(),
        }
    }

    /// From now on this is what is seen.
    pub fn sees(&self, outcomes: Reports, local: Arc<Local>) {
        // Told once; a second one would be a bug and changes nothing.
        let _ = self.seen.set((outcomes, local));
    }

    fn last(&self, target: &Target) -> Option<LedgerNetworkStatus> {
        self.seen.get()?.1.recall(&reference(target)?)
    }

    /// Whether a network can be made as a file says.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, resource: &LedgerNetwork) -> Result<(), Refused> {
        let tenant = resource.metadata.namespace.clone().unwrap_or_default();
        let signers = self.signers.read().unwrap_or_else(PoisonError::into_inner);
        // The key of a tenant that was made this moment isn't known yet: any other stands for it.
        let key = signers.get(&tenant).or_else(|| signers.values().next());
        let members: Vec<Member> = key
            .map(|key| Member {
                name: tenant,
                key: key.clone(),
            })
            .into_iter()
            .collect();
        validate(resource, &members, &self.catalog).map_err(|error| {
            let first = error.violations.first();
            let place = first.map(|one| pointer(&one.field)).unwrap_or_default();
            invalid(error.to_string(), &place)
        })?;
        refuse(&in_dev(None, &resource.spec))
    }

    /// The key that signs for a tenant is known.
    pub fn signs(&self, tenant: &str, key: &str) {
        let mut signers = self.signers.write().unwrap_or_else(PoisonError::into_inner);
        signers.insert(tenant.to_owned(), key.to_owned());
    }

    /// Forgets the key of a tenant that is gone: one made again under its name isn't ready before it has its own.
    pub fn forget(&self, tenant: &str) {
        let mut signers = self.signers.write().unwrap_or_else(PoisonError::into_inner);
        signers.remove(tenant);
    }

    fn tenant(name: &str, new: &Value) -> Result<(), Refused> {
        TenantName::new(name).map_err(|error| invalid(error.to_string(), "/name"))?;
        let spec: TenantSpec = read(new)?;
        match spec.quota.storage.as_deref().map(muniment_crds::bytes) {
            Some(Err(error)) => Err(invalid(error.to_string(), "/spec/quota/storage")),
            _ => Ok(()),
        }
    }

    fn network(&self, target: &Target, old: Option<&Value>, new: &Value, all: &[Described]) -> Result<(), Refused> {
        let Some(tenant) = all.iter().find(|one| owns(&one.target, target) && !one.deleting) else {
            let message = "there is no such tenant; make it first, or write it into the same file";
            return Err(Refused::Forbidden(message.to_owned()));
        };
        let Some(resource) = resource(target, 1, read(new)?) else {
            return Ok(());
        };
        self.check(&resource)?;
        // What is sealed is sealed with the genesis, whatever was described before.
        if let Some(status) = self.last(target).filter(|status| status.network_id.is_some())
            && let Some(mut sealed) = old.and_then(|old| read::<LedgerNetworkSpec>(old).ok())
        {
            sealed.validators.count = status.validators.desired;
            refuse(&in_dev(Some(&sealed), &resource.spec))?;
        }
        within_quota(tenant, &resource, all)
    }
}

fn refuse(effects: &[Effect]) -> Result<(), Refused> {
    match effects.iter().find(|effect| effect.impact == Impact::Refused) {
        None => Ok(()),
        Some(effect) => Err(invalid(effect.to_string(), &pointer(effect.field))),
    }
}

/// Counts what the tenant would have with this network. What takes no more than before is never refused.
fn within_quota(tenant: &Described, network: &LedgerNetwork, all: &[Described]) -> Result<(), Refused> {
    let spec: TenantSpec = read(&tenant.spec)?;
    let (before, others): (Vec<_>, Vec<_>) = networks(&tenant.target, all)
        .map(Arc::new)
        .partition(|one| one.metadata.name == network.metadata.name);
    let share = |one: &LedgerNetwork| quota::usage(&[Arc::new(one.clone())]);
    let (new, old) = (share(network), quota::usage(&before));
    let more = new.networks > old.networks || new.validators > old.validators || new.storage_bytes > old.storage_bytes;
    let with: Vec<Arc<LedgerNetwork>> = others.into_iter().chain([Arc::new(network.clone())]).collect();
    match quota::over(&spec.quota, &quota::usage(&with)).filter(|_| more) {
        None => Ok(()),
        Some(over) => Err(Refused::Forbidden(format!(
            "with this network the tenant would have {over}; make room, or raise the quota of the tenant"
        ))),
    }
}

/// The described networks of a tenant; what can't be read is none.
fn networks<'a>(tenant: &'a Target, all: &'a [Described]) -> impl Iterator<Item = LedgerNetwork> + 'a {
    all.iter()
        .filter(move |one| owns(tenant, &one.target))
        .filter_map(|one| resource(&one.target, one.generation, read(&one.spec).ok()?))
}

fn owns(tenant: &Target, network: &Target) -> bool {
    matches!((tenant, network), (Target::Tenant(tenant), Target::Network(of, _)) if tenant == of)
}

/// Name of a described network.
pub fn reference(target: &Target) -> Option<NetworkRef> {
    let Target::Network(tenant, name) = target else {
        return None;
    };
    Some(NetworkRef {
        tenant: TenantName::new(tenant).ok()?,
        name: NetworkName::new(name).ok()?,
    })
}

/// The custom resource of a described network.
pub fn resource(target: &Target, generation: i64, spec: LedgerNetworkSpec) -> Option<LedgerNetwork> {
    let Target::Network(tenant, name) = target else {
        return None;
    };
    let mut resource = LedgerNetwork::new(name, spec);
    resource.metadata.namespace = Some(tenant.clone());
    resource.metadata.generation = Some(generation);
    Some(resource)
}

/// A `spec`.
///
/// # Errors
/// When a field is unknown or of another type.
pub fn read<T: DeserializeOwned>(spec: &Value) -> Result<T, Refused> {
    serde_json::from_value(spec.clone()).map_err(|error| invalid(format!("spec can't be read: {error}"), "/spec"))
}

fn invalid(message: String, pointer: &str) -> Refused {
    Refused::Invalid {
        message,
        pointer: Some(pointer.to_owned()).filter(|pointer| !pointer.is_empty()),
    }
}

/// `spec.members[0].key` → `/spec/members/0/key`.
fn pointer(field: &str) -> String {
    format!("/{}", field.replace('[', ".").replace(']', "").replace('.', "/"))
}

impl Judge for Desk {
    fn change(&self, target: &Target, old: Option<&Value>, new: &Value, all: &[Described]) -> Result<(), Refused> {
        match target {
            Target::Tenant(name) => Self::tenant(name, new),
            Target::Network(..) => self.network(target, old, new, all),
        }
    }

    fn deletion(&self, one: &Described, all: &[Described]) -> Result<(), Refused> {
        let own = match &one.target {
            Target::Tenant(name) => name == self.own.tenant.as_str(),
            Target::Network(tenant, name) => tenant == self.own.tenant.as_str() && name == self.own.name.as_str(),
        };
        let refused = |why: &str| Err(Refused::Forbidden(why.to_owned()));
        if own {
            return refused("`muniment dev` was started with it, and it stays; to be rid of it delete the data folder");
        }
        if one.spec["preventDeletion"] == json!(true) {
            return refused("it is protected; set spec.preventDeletion to false first");
        }
        if all.iter().any(|other| owns(&one.target, &other.target)) {
            return refused("it has networks; delete them first");
        }
        Ok(())
    }

    fn status(&self, one: &Described, all: &[Described]) -> Value {
        match &one.target {
            Target::Tenant(name) => {
                let with: Vec<Arc<LedgerNetwork>> = networks(&one.target, all).map(Arc::new).collect();
                let state = match (one.deleting, &one.spec["suspended"]) {
                    (true, _) => "Deleting",
                    (false, Value::Bool(true)) => "Suspended",
                    _ => "Active",
                };
                let signers = self.signers.read().unwrap_or_else(PoisonError::into_inner);
                let signer = signers.get(name);
                let observed = signer.map(|_| one.generation);
                json!({
                    "state": state, "signer": signer, "observedGeneration": observed, "usage": quota::usage(&with),
                })
            }
            Target::Network(tenant, name) => {
                if let Err(why) = read::<LedgerNetworkSpec>(&one.spec) {
                    return self.refused(one, reason::INVALID, &why.to_string());
                }
                let outcomes = self.seen.get().map(|(outcomes, _)| outcomes.borrow());
                let outcome = outcomes.as_ref().and_then(|all| all.get(&format!("{tenant}/{name}")));
                match outcome {
                    None => Value::Null,
                    Some(Ok(status)) => serde_json::to_value(status).unwrap_or_default(),
                    Some(Err(error)) => {
                        let reason = match error.as_ref() {
                            ReconcileError::Backend(_) => reason::PLATFORM,
                            ReconcileError::Invalid(_) | ReconcileError::Plan(_) => reason::INVALID,
                        };
                        self.refused(one, reason, &crate::error::chain(error.as_ref()))
                    }
                }
            }
        }
    }
}

impl Desk {
    /// What was seen last stays, and the reason is said.
    fn refused(&self, one: &Described, reason: &str, why: &str) -> Value {
        let last = self.last(&one.target);
        let status = status::refused(Some(one.generation), None, last.as_ref(), reason, why, Timestamp::now());
        serde_json::to_value(status).unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::commands::dev::catalog;

    const KEY: &str = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn desk() -> Desk {
        let own = NetworkRef {
            tenant: TenantName::new("demo").unwrap(),
            name: muniment_crds::NetworkName::new("notary").unwrap(),
        };
        let desk = Desk::new(own, catalog());
        desk.signs("acme", KEY);
        desk
    }

    fn described(target: Target, spec: Value) -> Described {
        Described {
            target,
            generation: 1,
            deleting: false,
            spec,
        }
    }

    fn tenant(name: &str, spec: Value) -> Described {
        described(Target::Tenant(name.to_owned()), spec)
    }

    fn network(tenant: &str, name: &str) -> Described {
        described(
            Target::Network(tenant.to_owned(), name.to_owned()),
            json!({ "templates": [{ "name": "notarization" }] }),
        )
    }

    fn why(refused: Result<(), Refused>) -> String {
        match refused {
            Ok(()) => "taken".to_owned(),
            Err(Refused::Invalid { message, pointer }) => format!("{} {message}", pointer.unwrap_or_default()),
            Err(other) => other.to_string(),
        }
    }

    #[test]
    fn a_description_is_refused_with_its_place_and_the_way_out() {
        let all = [tenant("acme", json!({})), network("acme", "contracts")];
        let new = |more: Value| {
            let mut spec = all[1].spec.clone();
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            why(desk().change(&all[1].target, Some(&all[1].spec), &spec, &all))
        };
        assert_eq!(new(json!({ "preventDeletion": true })), "taken");
        for (more, place, words) in [
            (
                json!({ "validators": { "count": 3 } }),
                "/spec/validators/count",
                "use 4, 7 or 10",
            ),
            (json!({ "placement": "Shared" }), "/spec/placement", "no hosts"),
            (
                json!({ "templates": [{ "name": "none" }] }),
                "/spec/templates/0",
                "none",
            ),
            (json!({ "sizes": "Small" }), "/spec", "sizes"),
        ] {
            let said = new(more);
            assert!(said.starts_with(place) && said.contains(words), "{place}: {said}");
        }
        let stranger = network("nobody", "contracts");
        let said = why(desk().change(&stranger.target, None, &stranger.spec, &all));
        assert!(said.contains("no such tenant"), "{said}");
    }

    #[test]
    fn a_quota_counts_what_is_there() {
        let all = [
            tenant("acme", json!({ "quota": { "networks": 1 } })),
            network("acme", "contracts"),
            network("other", "contracts"),
        ];
        let more = network("acme", "letters");
        let said = why(desk().change(&more.target, None, &more.spec, &all));
        assert!(said.contains("2 networks and may have 1"), "{said}");
        assert_eq!(
            why(desk().change(&all[1].target, Some(&all[1].spec), &all[1].spec, &all)),
            "taken"
        );
    }

    #[test]
    fn what_is_needed_or_protected_stays() {
        let all = [
            tenant("acme", json!({})),
            network("acme", "contracts"),
            described(
                Target::Network("acme".to_owned(), "letters".to_owned()),
                json!({ "preventDeletion": true }),
            ),
            network("demo", "notary"),
        ];
        let said = |one: &Described| why(desk().deletion(one, &all));
        assert!(said(&all[0]).contains("has networks"));
        assert_eq!(said(&all[1]), "taken");
        assert!(said(&all[2]).contains("protected"));
        assert!(said(&all[3]).contains("started with it"));
    }

    #[test]
    fn a_reserved_name_is_no_tenants() {
        for name in ["muniment", "kube-x", "default"] {
            let said = why(desk().change(&Target::Tenant(name.to_owned()), None, &json!({}), &[]));
            assert!(said.starts_with("/name"), "{said}");
        }
    }
}
