//! The few calls to the API server, with errors that say about what.
//!
//! Owns server-side apply: one field manager, whole objects, and no request that writes when nothing differs.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::covers::covers;
use super::names::{APPLIED, FIELD_MANAGER};
use crate::backend::BackendError;

/// Objects that live in a namespace and can be read and written.
pub trait Object:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize
{
}

impl<K> Object for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize
{
}

/// The API server.
#[derive(Clone)]
pub struct Access(pub Client);

/// Makes an error of a call about an object.
pub fn failed<K: Resource<DynamicType = ()>>(
    verb: &'static str,
    namespace: &str,
    name: &str,
) -> impl FnOnce(kube::Error) -> BackendError {
    let what = if namespace.is_empty() {
        format!("{} {name}", K::kind(&()))
    } else {
        format!("{} {namespace}/{name}", K::kind(&()))
    };
    move |error| BackendError::Cluster {
        verb,
        what,
        source: error.into(),
    }
}

impl Access {
    fn api<K: Object>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.0.clone(), namespace)
    }

    /// An object; `None` when there is none.
    pub async fn get<K: Object>(&self, namespace: &str, name: &str) -> Result<Option<K>, BackendError> {
        let found = self.api::<K>(namespace).get_opt(name).await;
        found.map_err(failed::<K>("read", namespace, name))
    }

    /// Objects by label.
    pub async fn list<K: Object>(&self, namespace: &str, labels: &str) -> Result<Vec<K>, BackendError> {
        let found = self
            .api::<K>(namespace)
            .list(&ListParams::default().labels(labels))
            .await;
        found
            .map(|list| list.items)
            .map_err(failed::<K>("listed", namespace, labels))
    }

    /// Makes an object, or finds the one that another hand has made meanwhile. Never replaces one.
    pub async fn create<K: Object>(&self, wanted: &K) -> Result<K, BackendError> {
        let (namespace, name) = key(wanted);
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        match self.api::<K>(&namespace).create(&parameters, wanted).await {
            Ok(made) => Ok(made),
            Err(error) if has_code(&error, 409) => self
                .api::<K>(&namespace)
                .get(&name)
                .await
                .map_err(failed::<K>("read", &namespace, &name)),
            Err(error) => Err(failed::<K>("made", &namespace, &name)(error)),
        }
    }

    /// Brings an object about. Says whether anything had to be written.
    pub async fn apply<K: Object>(&self, mut wanted: K) -> Result<bool, BackendError> {
        let (namespace, name) = key(&wanted);
        let unusable = |error: serde_json::Error| BackendError::Object {
            what: format!("{} {namespace}/{name}", K::kind(&())),
            problem: error.to_string(),
            fix: "this is a defect of the operator",
        };
        let digest = serde_json_canonicalizer::to_vec(&wanted).map_err(unusable)?;
        let digest = hex::encode(Sha256::digest(digest));
        wanted.annotations_mut().insert(APPLIED.to_owned(), digest);
        let api = self.api::<K>(&namespace);
        let live = api
            .get_opt(&name)
            .await
            .map_err(failed::<K>("read", &namespace, &name))?;
        if let Some(live) = live {
            let (live, wanted) = (serde_json::to_value(live), serde_json::to_value(&wanted));
            if covers(&live.map_err(unusable)?, &wanted.map_err(unusable)?) {
                return Ok(false);
            }
        }
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        api.patch(&name, &parameters, &Patch::Apply(&wanted))
            .await
            .map_err(failed::<K>("written", &namespace, &name))?;
        Ok(true)
    }

    /// As [`Self::merge`], but only of the object as it was seen: `false` when another hand changed it meanwhile.
    pub async fn merge_if_unchanged<K: Object>(
        &self,
        seen: &K,
        mut change: serde_json::Value,
    ) -> Result<bool, BackendError> {
        let (namespace, name) = key(seen);
        change["metadata"]["resourceVersion"] = seen.resource_version().into();
        match self.merge::<K>(&namespace, &name, &change).await {
            Ok(()) => Ok(true),
            Err(BackendError::Cluster { source, .. }) if source.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Changes some fields of an object.
    pub async fn merge<K: Object>(
        &self,
        namespace: &str,
        name: &str,
        change: &serde_json::Value,
    ) -> Result<(), BackendError> {
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patched = self
            .api::<K>(namespace)
            .patch(name, &parameters, &Patch::Merge(change))
            .await;
        patched.map(drop).map_err(failed::<K>("changed", namespace, name))
    }

    /// Deletes the very object that was seen. One that is gone or was replaced meanwhile is no error.
    pub async fn delete<K: Object>(&self, seen: &K) -> Result<(), BackendError> {
        let (namespace, name) = key(seen);
        let preconditions = Preconditions {
            uid: seen.uid(),
            resource_version: None,
        };
        let parameters = DeleteParams {
            preconditions: Some(preconditions),
            ..DeleteParams::background()
        };
        match self.api::<K>(&namespace).delete(&name, &parameters).await {
            Ok(_) => Ok(()),
            Err(error) if has_code(&error, 404) || has_code(&error, 409) => Ok(()),
            Err(error) => Err(failed::<K>("deleted", &namespace, &name)(error)),
        }
    }

    /// Deletes an object by name, if there is one.
    pub async fn delete_named<K: Object>(&self, namespace: &str, name: &str) -> Result<(), BackendError> {
        match self.get::<K>(namespace, name).await? {
            Some(found) if found.meta().deletion_timestamp.is_none() => self.delete(&found).await,
            _ => Ok(()),
        }
    }
}

fn has_code(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

fn key<K: Object>(object: &K) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}
