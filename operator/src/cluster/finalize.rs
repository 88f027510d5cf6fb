//! Finalizers: added before anything is made, taken off when everything is put away.

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::backend::cluster::names::FIELD_MANAGER;

/// On networks.
pub const NETWORK: &str = "muniment.dev/network";
/// On tenants.
pub const TENANT: &str = "muniment.dev/tenant";

/// Adds our finalizer if it isn't there. Says whether it had to.
pub async fn add<K>(api: &Api<K>, object: &K, finalizer: &str) -> Result<bool, kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    if object.finalizers().iter().any(|one| one == finalizer) {
        return Ok(false);
    }
    let mut all = object.finalizers().to_vec();
    all.push(finalizer.to_owned());
    set(api, object, &all).await.map(|()| true)
}

/// Takes our finalizer off if it is there.
pub async fn remove<K>(api: &Api<K>, object: &K, finalizer: &str) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    if !object.finalizers().iter().any(|one| one == finalizer) {
        return Ok(());
    }
    let rest: Vec<String> = object
        .finalizers()
        .iter()
        .filter(|one| *one != finalizer)
        .cloned()
        .collect();
    match set(api, object, &rest).await {
        // Gone already.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other,
    }
}

/// Replaces the list of the very version that was seen: another hand's finalizer is never lost.
async fn set<K>(api: &Api<K>, object: &K, finalizers: &[String]) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let change = json!({ "metadata": { "finalizers": finalizers, "resourceVersion": object.resource_version() } });
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    api.patch(&object.name_any(), &parameters, &Patch::Merge(&change))
        .await
        .map(drop)
}
