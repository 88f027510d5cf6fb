//! Gives each tenant the key that signs for it and its first API key.
//!
//! The signing key's public half becomes the Tenant's `status.signer`, by server-side apply with a field manager of its
//! own; the operator makes it a member of each network. The API key goes into a Secret that the operator
//! made empty. It is drawn, written into the Secret, and only then known here: an interruption in between leaves a key
//! that the next pass takes over.
//!
//! A tenant is its UID, not its name: who has the name of a former tenant gets none of its API keys. And a key that a Tenant
//! says and that isn't here is never replaced without an order: most likely this is the wrong database.

mod signer;

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
use signer::Signer;

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
    /// The key that the Tenant says isn't here.
    #[error("tenant {tenant}: {}", signer::missing(.tenant, .key))]
    SignerMissing {
        /// Tenant.
        tenant: String,
        /// Public key in its status.
        key: String,
    },
}

/// What was done, by the tenant's UID.
pub struct Provision {
    access: Access,
    done: HashMap<String, Instant>,
    /// Names of tenants that were seen, by UID.
    seen: HashMap<String, String>,
    /// What was last said of those that aren't done.
    said: HashMap<String, String>,
}

impl Provision {
    pub fn new(access: Access) -> Self {
        Self {
            access,
            done: HashMap::new(),
            seen: HashMap::new(),
            said: HashMap::new(),
        }
    }

    /// Finds out whom the tenants' names stand for. Answers whether all that had to be written could be.
    pub async fn recognise(&mut self, watched: &Watched) -> bool {
        let tenants = watched.tenants.state();
        let mut complete = true;
        let gone: Vec<(String, String)> = self
            .seen
            .iter()
            .filter(|(uid, _)| !tenants.iter().any(|tenant| tenant.uid().as_ref() == Some(uid)))
            .map(|(uid, name)| (uid.clone(), name.clone()))
            .collect();
        for (uid, name) in gone {
            match self.access.gone(&name, &uid).await {
                Ok(()) => {
                    tracing::info!(tenant = name, "the tenant is gone, its API keys are revoked");
                    self.seen.remove(&uid);
                }
                Err(error) => complete = self.unrecognised(&name, &error),
            }
        }
        for tenant in tenants {
            let (Some(uid), name) = (tenant.uid(), tenant.name_any()) else {
                continue;
            };
            if self.seen.contains_key(&uid) {
                continue;
            }
            match self.access.recognise(&name, &uid).await {
                Ok(another) => {
                    if another {
                        tracing::info!(
                            tenant = name,
                            "the name had another tenant before, whose API keys are revoked"
                        );
                    }
                    self.seen.insert(uid, name);
                }
                Err(error) => complete = self.unrecognised(&name, &error),
            }
        }
        complete
    }

    fn unrecognised(&self, tenant: &str, error: &ServeError) -> bool {
        let error = error as &dyn std::error::Error;
        tracing::error!(
            tenant,
            error,
            "it can't be written whom the tenant's name stands for; tried again"
        );
        false
    }

    /// Looks at every tenant. Answers whether nothing more is awaited.
    pub async fn pass(&mut self, watched: &Watched) -> bool {
        let mut complete = self.recognise(watched).await;
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
            let known = self.seen.contains_key(&uid);
            if tenant.metadata.deletion_timestamp.is_some() || !known || !self.due(&uid) {
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
                    let grave = matches!(error, ProvisionError::SignerMissing { .. });
                    let error = &error as &dyn std::error::Error;
                    if grave {
                        tracing::error!(
                            tenant,
                            error,
                            "the tenant's signing key is missing; nothing was replaced"
                        );
                    } else {
                        tracing::info!(tenant, error, "the tenant doesn't have its keys yet");
                    }
                    self.said.insert(key.to_owned(), text);
                }
                false
            }
        }
    }

    async fn tenant(&self, watched: &Watched, tenant: &Tenant, uid: &str) -> Result<(), ProvisionError> {
        let name = tenant.name_any();
        let ours = self.access.known_signer(&name).await?.map(|key| key.to_string());
        let missing = match signer::judge(tenant, ours.as_deref()) {
            Signer::Stays => {
                if signer::said(tenant).is_some() {
                    let status = json!({ "signer": ours });
                    self.say(watched, tenant, uid, status).await?;
                }
                None
            }
            Signer::Ours => {
                let signer = self.access.signer(&name).await?.to_string();
                self.say(watched, tenant, uid, json!({ "signer": signer })).await?;
                tracing::info!(tenant = name, signer, "the tenant has its signing key");
                None
            }
            Signer::Missing(key) => {
                if signer::said(tenant).is_none_or(|said| said.message != signer::missing(&name, &key)) {
                    let status = json!({ "signer": key, "conditions": signer::told(tenant, &key) });
                    self.say(watched, tenant, uid, status).await?;
                }
                Some(key)
            }
        };
        // Whatever signs for it: who has the key may read.
        self.api_key(watched, &name, API_KEY, &name).await?;
        match missing {
            None => Ok(()),
            Some(key) => Err(ProvisionError::SignerMissing { tenant: name, key }),
        }
    }

    /// Writes our part of a Tenant's status. The UID: a tenant that is gone meanwhile is not made again.
    async fn say(
        &self,
        watched: &Watched,
        tenant: &Tenant,
        uid: &str,
        status: serde_json::Value,
    ) -> Result<(), ProvisionError> {
        let name = tenant.name_any();
        let wanted = json!({
            "apiVersion": "muniment.dev/v1alpha1", "kind": "Tenant",
            "metadata": { "name": name, "uid": uid },
            "status": status,
        });
        Api::<Tenant>::all(watched.client.clone())
            .patch_status(&name, &PatchParams::apply(MANAGER), &Patch::Apply(wanted))
            .await
            .map_err(|source| ProvisionError::Kubernetes {
                what: format!("status.signer of Tenant {name}"),
                done: "written",
                source: Box::new(source),
            })?;
        Ok(())
    }

    /// The API key in a Secret is known here; an empty Secret, or one with a key of a former tenant, gets one.
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
        let foreign = || ProvisionError::Foreign(format!("{namespace}/{name}"));
        if let Some(kept) = kept(&secret) {
            match self.access.adopt(tenant, "first", &kept).await? {
                Adopted::Known | Adopted::Added => return Ok(()),
                Adopted::Refused => return Err(foreign()),
                // A namespace that was kept still has it.
                Adopted::Former => {}
            }
        }
        let drawn = self.access.draw()?;
        let filled = fill(&watched.config, tenant, &drawn, secret.resource_version());
        api.patch(name, &PatchParams::default(), &Patch::Merge(filled))
            .await
            .map_err(failed("written"))?;
        match self.access.adopt(tenant, "first", &drawn).await? {
            Adopted::Known | Adopted::Added => Ok(()),
            Adopted::Refused | Adopted::Former => Err(foreign()),
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
mod tests;
