//! Gives each tenant the key that signs for it and its first API key.
//!
//! The signing key's public half becomes the Tenant's `status.signer`, by server-side apply with a field manager of its
//! own; the operator makes it a member of each network. The API key goes into a Secret that the operator
//! made empty. It is drawn, written into the Secret, and only then known here: an interruption in between leaves a key
//! that the next pass takes over.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use muniment_crds::Tenant;
use serde_json::json;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{ClusterConfig, PLATFORM, Watched};
use crate::access::{Access, Adopted};
use crate::app::ServeError;

/// Field manager of `status.signer`.
const MANAGER: &str = "muniment-api";
/// Secret in a tenant's namespace that takes its API key.
const API_KEY: &str = "muniment-access";
/// How often a Secret is looked at again.
const AGAIN: Duration = Duration::from_secs(600);

/// A tenant can't be given its keys yet.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// Key custody or the store.
    #[error("its keys can't be made")]
    Keys(#[from] ServeError),
    /// The Kubernetes API.
    #[error("{what} can't be {done}")]
    Kubernetes {
        /// Object.
        what: String,
        /// `read` or `written`.
        done: &'static str,
        /// Cause.
        #[source]
        source: Box<kube::Error>,
    },
    /// Somebody's else.
    #[error("Secret {0} holds an API key of another tenant, or something else; delete its data and it gets a new one")]
    Foreign(String),
}

/// What was done, by the tenant's UID.
pub struct Provision {
    access: Access,
    done: HashMap<String, Instant>,
    /// What was last said of those that aren't done.
    said: HashMap<String, String>,
}

impl Provision {
    pub fn new(access: Access) -> Self {
        Self {
            access,
            done: HashMap::new(),
            said: HashMap::new(),
        }
    }

    /// Looks at every tenant. Answers whether nothing more is awaited.
    pub async fn pass(&mut self, watched: &Watched) -> bool {
        let mut complete = true;
        let tenants = watched.tenants.state();
        self.done
            .retain(|key, _| key == PLATFORM || tenants.iter().any(|tenant| tenant.uid().as_ref() == Some(key)));
        self.said
            .retain(|key, _| key == PLATFORM || tenants.iter().any(|tenant| tenant.uid().as_ref() == Some(key)));
        if let Some(secret) = &watched.config.platform_access
            && self.due(PLATFORM)
        {
            let found = self.api_key(watched, &watched.config.namespace, secret, PLATFORM).await;
            complete &= self.note(PLATFORM, PLATFORM, found);
        }
        for tenant in tenants {
            let (Some(uid), name) = (tenant.uid(), tenant.name_any()) else {
                continue;
            };
            if tenant.metadata.deletion_timestamp.is_some() || !self.due(&uid) {
                continue;
            }
            let found = self.tenant(watched, &tenant, &uid).await;
            complete &= self.note(&uid, &name, found);
        }
        complete
    }

    fn due(&self, key: &str) -> bool {
        self.done.get(key).is_none_or(|at| at.elapsed() > AGAIN)
    }

    fn note(&mut self, key: &str, tenant: &str, found: Result<(), ProvisionError>) -> bool {
        match found {
            Ok(()) => {
                self.done.insert(key.to_owned(), Instant::now());
                self.said.remove(key);
                true
            }
            Err(error) => {
                let text = error.to_string();
                if self.said.get(key) != Some(&text) {
                    let error = &error as &dyn std::error::Error;
                    tracing::info!(tenant, error, "the tenant doesn't have its keys yet");
                    self.said.insert(key.to_owned(), text);
                }
                false
            }
        }
    }

    async fn tenant(&self, watched: &Watched, tenant: &Tenant, uid: &str) -> Result<(), ProvisionError> {
        let name = tenant.name_any();
        let signer = self.access.signer(&name).await?.to_string();
        if tenant.status.as_ref().and_then(|status| status.signer.as_ref()) != Some(&signer) {
            // The UID: a tenant that is gone meanwhile is not made again.
            let wanted = json!({
                "apiVersion": "muniment.dev/v1alpha1", "kind": "Tenant",
                "metadata": { "name": name, "uid": uid },
                "status": { "signer": signer },
            });
            Api::<Tenant>::all(watched.client.clone())
                .patch_status(&name, &PatchParams::apply(MANAGER), &Patch::Apply(wanted))
                .await
                .map_err(|source| ProvisionError::Kubernetes {
                    what: format!("status.signer of Tenant {name}"),
                    done: "written",
                    source: Box::new(source),
                })?;
            tracing::info!(tenant = name, signer, "the tenant has its signing key");
        }
        self.api_key(watched, &name, API_KEY, &name).await
    }

    /// The API key in a Secret is known here; an empty Secret gets one.
    async fn api_key(
        &self,
        watched: &Watched,
        namespace: &str,
        name: &str,
        tenant: &str,
    ) -> Result<(), ProvisionError> {
        let failed = |done| {
            move |source| ProvisionError::Kubernetes {
                what: format!("Secret {namespace}/{name}"),
                done,
                source: Box::new(source),
            }
        };
        let api: Api<Secret> = Api::namespaced(watched.client.clone(), namespace);
        let secret = api.get(name).await.map_err(failed("read"))?;
        let key = match kept(&secret) {
            Some(kept) => kept,
            None => {
                let drawn = self.access.draw()?;
                let filled = fill(&watched.config, tenant, &drawn, secret.resource_version());
                api.patch(name, &PatchParams::default(), &Patch::Merge(filled))
                    .await
                    .map_err(failed("written"))?;
                drawn.to_string()
            }
        };
        match self.access.adopt(tenant, "first", &key).await? {
            Adopted::Known | Adopted::Added => Ok(()),
            Adopted::Refused => Err(ProvisionError::Foreign(format!("{namespace}/{name}"))),
        }
    }
}

/// The key in a Secret. What isn't text is answered as it can be, and refused later.
fn kept(secret: &Secret) -> Option<String> {
    let bytes = &secret.data.as_ref()?.get("apiKey")?.0;
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// What goes into an empty Secret; refused by Kubernetes if it was changed meanwhile.
fn fill(config: &ClusterConfig, tenant: &str, key: &str, version: Option<String>) -> serde_json::Value {
    let mut data = json!({
        "apiKey": key,
        "tenant": tenant,
        "service": format!("{}/{}", config.namespace, config.service),
    });
    if let Some(url) = &config.public_url {
        data["server"] = json!(url);
    }
    json!({ "metadata": { "resourceVersion": version }, "stringData": data })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn only_an_empty_secret_gets_a_key() {
        let secret = |data: serde_json::Value| serde_json::from_value::<Secret>(json!({ "data": data })).unwrap();
        assert_eq!(kept(&Secret::default()), None);
        assert_eq!(kept(&secret(json!({}))), None);
        assert_eq!(kept(&secret(json!({ "apiKey": "" }))), None);
        assert_eq!(kept(&secret(json!({ "apiKey": "YWJj" }))).as_deref(), Some("abc"));
    }

    #[test]
    fn the_secret_says_where_the_api_is() {
        let config = ClusterConfig {
            namespace: "muniment".to_owned(),
            service: "muniment-api:8400".to_owned(),
            public_url: None,
            platform_access: None,
        };
        let filled = fill(&config, "acme", "mnk_x", Some("7".to_owned()));
        assert_eq!(filled["metadata"]["resourceVersion"], "7");
        assert_eq!(filled["stringData"]["service"], "muniment/muniment-api:8400");
        assert!(filled["stringData"].get("server").is_none());
    }
}
