//! Descriptions as custom resources: read from the watches, changed by server-side apply with a field manager of our own.
//!
//! Never forced: a field that somebody else keeps stays theirs, and the answer says whose it is.

use async_trait::async_trait;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::Status;
use kube::{Api, ResourceExt};
use muniment_crds::{LedgerNetwork, Tenant};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Cluster, PLATFORM, fields};
use crate::proposer::Wish;
use crate::resources::{Change, Refused, Resource, Resources, Target};

/// Field manager of what comes through this API.
pub const MANAGER: &str = "muniment-api";
/// How often a deletion is tried while others change the same object.
const TRIES: usize = 10;

#[async_trait]
impl Resources for Cluster {
    async fn list(&self, tenant: Option<&str>) -> Vec<Resource> {
        let mut found: Vec<Resource> = match tenant {
            None => self.0.tenants.state().iter().map(|one| view(one.as_ref())).collect(),
            Some(tenant) => self
                .0
                .networks
                .state()
                .iter()
                .filter(|one| one.namespace().as_deref() == Some(tenant))
                .map(|one| view(one.as_ref()))
                .collect(),
        };
        found.sort_by(|one, two| one.name.cmp(&two.name));
        found
    }

    async fn get(&self, target: &Target) -> Option<Resource> {
        match target {
            Target::Tenant(name) => {
                let found = self.0.tenants.find(|one| one.name_any() == *name)?;
                Some(view(found.as_ref()))
            }
            Target::Network(tenant, name) => {
                let found = self
                    .0
                    .networks
                    .find(|one| one.namespace().as_ref() == Some(tenant) && one.name_any() == *name)?;
                Some(view(found.as_ref()))
            }
        }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.versions.subscribe()
    }

    async fn apply(&self, target: &Target, spec: &Value, change: Change, dry: bool) -> Result<Resource, Refused> {
        let client = self.0.client.clone();
        match target {
            Target::Tenant(name) if name == PLATFORM => Err(Refused::Invalid {
                message: format!("`{PLATFORM}` is kept for the system; choose another name"),
                pointer: Some("/name".to_owned()),
            }),
            Target::Tenant(name) => change_one(Api::<Tenant>::all(client), name, spec, change, dry).await,
            Target::Network(tenant, name) => change_one(networks(client, tenant), name, spec, change, dry).await,
        }
    }

    async fn delete(&self, target: &Target) -> Result<bool, Refused> {
        let client = self.0.client.clone();
        match target {
            Target::Tenant(name) => delete_one(Api::<Tenant>::all(client), name).await,
            Target::Network(tenant, name) => delete_one(networks(client, tenant), name).await,
        }
    }

    async fn validator_changes(&self) -> Vec<Wish> {
        self.0
            .networks
            .state()
            .iter()
            .filter_map(|network| wish(network))
            .collect()
    }
}

fn wish(network: &LedgerNetwork) -> Option<Wish> {
    Some(Wish {
        tenant: network.namespace()?,
        network: network.name_any(),
        change: network.status.as_ref()?.validator_change.clone()?,
    })
}

fn networks(client: kube::Client, tenant: &str) -> Api<LedgerNetwork> {
    Api::namespaced(client, tenant)
}

async fn change_one<K>(api: Api<K>, name: &str, spec: &Value, change: Change, dry: bool) -> Result<Resource, Refused>
where
    K: kube::Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone + std::fmt::Debug,
{
    let current = api.get_opt(name).await.map_err(refused)?;
    let (own, identity) = match (&current, change) {
        (Some(_), Change::Create) => return Err(Refused::Exists),
        (None, Change::Merge) => return Err(Refused::Missing),
        (None, Change::Create) => (json!({}), None),
        (Some(current), Change::Merge) => {
            let foreign = fields::foreign(current, MANAGER, spec);
            if !foreign.is_empty() {
                return Err(Refused::Owned(foreign));
            }
            (fields::kept(current, MANAGER), current.uid())
        }
    };
    let mut metadata = json!({ "name": name });
    if let Some(uid) = identity {
        // One that is gone meanwhile is not made again.
        metadata["uid"] = json!(uid);
    }
    let wanted = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": metadata, "spec": fields::merge(own, spec),
    });
    let mut how = PatchParams::apply(MANAGER);
    // A misspelt field is refused, not dropped.
    how.field_validation = Some(kube::api::ValidationDirective::Strict);
    how.dry_run = dry;
    let done = api.patch(name, &how, &Patch::Apply(wanted)).await.map_err(refused)?;
    Ok(view(&done))
}

/// Deletes what isn't protected, as it was when that was looked at: a deletion that has begun can't be taken back.
async fn delete_one<K>(api: Api<K>, name: &str) -> Result<bool, Refused>
where
    K: kube::Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone + std::fmt::Debug,
{
    for _ in 0..TRIES {
        let Some(current) = api.get_opt(name).await.map_err(refused)? else {
            return Ok(false);
        };
        let seen = view(&current);
        if seen.deleting {
            return Ok(true);
        }
        if seen.spec["preventDeletion"] == true {
            let message = "it is protected; set spec.preventDeletion to false first";
            return Err(Refused::Forbidden(message.to_owned()));
        }
        let how = DeleteParams {
            preconditions: Some(Preconditions {
                uid: current.uid(),
                resource_version: current.resource_version(),
            }),
            ..DeleteParams::default()
        };
        match api.delete(name, &how).await {
            Ok(_) => return Ok(true),
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(false),
            // It was changed meanwhile, perhaps into a protected one.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(refused(error)),
        }
    }
    Err(Refused::Unavailable("it changes all the time".into()))
}

fn view<K: kube::Resource<DynamicType = ()> + Serialize>(resource: &K) -> Resource {
    let value = serde_json::to_value(resource).unwrap_or_default();
    Resource {
        name: resource.name_any(),
        tenant: resource.namespace(),
        generation: resource.meta().generation.unwrap_or_default(),
        deleting: resource.meta().deletion_timestamp.is_some(),
        spec: value["spec"].clone(),
        status: value["status"].clone(),
    }
}

fn refused(error: kube::Error) -> Refused {
    match error {
        kube::Error::Api(status) => judged(&status),
        other => Refused::Unavailable(Box::new(other)),
    }
}

/// What Kubernetes says, in our terms.
fn judged(status: &Status) -> Refused {
    let causes = status
        .details
        .as_ref()
        .map(|details| details.causes.as_slice())
        .unwrap_or_default();
    let conflicts: Vec<(String, String)> = causes
        .iter()
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| (manager(&cause.message), cause.field.clone()))
        .collect();
    match status.code {
        409 if !conflicts.is_empty() => Refused::Owned(conflicts),
        409 => Refused::Missing,
        404 => Refused::Missing,
        403 => Refused::Forbidden(status.message.clone()),
        400 | 422 => {
            let first = causes.first();
            Refused::Invalid {
                message: first.map_or_else(|| status.message.clone(), |cause| cause.message.clone()),
                pointer: first
                    .map(|cause| pointer(&cause.field))
                    .filter(|pointer| pointer.len() > 1),
            }
        }
        _ => Refused::Unavailable(status.message.clone().into()),
    }
}

/// `conflict with "kubectl" using muniment.dev/v1alpha1` → `kubectl`.
fn manager(message: &str) -> String {
    message.split('"').nth(1).unwrap_or(message).to_owned()
}

/// `spec.members[0].key` → `/spec/members/0/key`.
fn pointer(field: &str) -> String {
    let path = field.trim_start_matches('.').replace('[', ".").replace(']', "");
    format!("/{}", path.replace('.', "/"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::cluster::twin;

    const PATH: &str = "/apis/muniment.dev/v1alpha1/namespaces/acme/ledgernetworks/contracts";

    fn network(version: &str, protected: bool) -> Value {
        json!({
            "apiVersion": "muniment.dev/v1alpha1", "kind": "LedgerNetwork",
            "metadata": { "name": "contracts", "namespace": "acme", "uid": "u-1", "resourceVersion": version },
            "spec": { "templates": [{ "name": "notarization" }], "preventDeletion": protected },
        })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_protected_network_is_not_deleted_whenever_it_became_so() {
        let (client, twin) = twin::serve().await;
        let delete = async || delete_one(networks(client.clone(), "acme"), "contracts").await;
        assert!(!delete().await.unwrap(), "there is none");
        twin.put(PATH, network("1", true));
        let refused = delete().await.unwrap_err().to_string();
        assert!(refused.contains("set spec.preventDeletion to false"), "{refused}");
        // It is protected between the look and the deletion.
        twin.put(PATH, network("2", false));
        twin.at_next_delete(PATH, network("3", true));
        assert!(matches!(delete().await, Err(Refused::Forbidden(_))));
        assert!(twin.get(PATH).is_some());
        // A change that protects nothing only means another look.
        twin.put(PATH, network("4", false));
        twin.at_next_delete(PATH, network("5", false));
        assert!(delete().await.unwrap());
        assert!(twin.get(PATH).is_none());
    }

    fn status(code: u16, reason: &str, message: &str, field: &str) -> Status {
        serde_json::from_value(json!({
            "status": "Failure", "code": code, "message": "outer", "reason": "x",
            "details": { "causes": [{ "reason": reason, "message": message, "field": field }] },
        }))
        .unwrap()
    }

    #[test]
    fn a_foreign_field_names_its_owner() {
        let message = "conflict with \"kubectl-client-side-apply\" using muniment.dev/v1alpha1";
        match judged(&status(409, "FieldManagerConflict", message, ".spec.displayName")) {
            Refused::Owned(fields) => assert_eq!(
                fields,
                [("kubectl-client-side-apply".to_owned(), ".spec.displayName".to_owned())]
            ),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_wrong_value_has_its_place() {
        let message = "spec.validators.count must be from 4 to 31";
        match judged(&status(422, "FieldValueInvalid", message, "spec.members[0].key")) {
            Refused::Invalid { message: said, pointer } => {
                assert_eq!(
                    (said.as_str(), pointer.as_deref()),
                    (message, Some("/spec/members/0/key"))
                );
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(judged(&status(403, "", "", "")), Refused::Forbidden(_)));
        assert!(matches!(judged(&status(500, "", "", "")), Refused::Unavailable(_)));
    }
}
