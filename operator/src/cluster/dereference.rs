//! What a network needs from other resources. Pure: from what the reflectors hold.

use std::sync::Arc;

use kube::ResourceExt;
use muniment_crds::condition::{is_true, kind, reason};
use muniment_crds::{LedgerNetwork, Tenant};
use muniment_receipts::genesis::Member;

use super::quota;

/// What a network refers to.
#[derive(Debug)]
pub struct Dereferenced {
    /// Members that join those of the resource in a new genesis.
    pub members: Vec<Member>,
}

/// Something has to come first. No error: a change of it leads to another pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Reason of the condition.
    pub reason: &'static str,
    /// What is waited for, and what to do.
    pub message: String,
}

fn waiting<T>(reason: &'static str, message: impl Into<String>) -> Result<T, Waiting> {
    Err(Waiting {
        reason,
        message: message.into(),
    })
}

/// Looks up the tenant, its key and its quota. `all` are the tenant's networks, this one among them.
pub fn dereference(
    network: &LedgerNetwork,
    tenant: Option<&Tenant>,
    all: &[Arc<LedgerNetwork>],
) -> Result<Dereferenced, Waiting> {
    let namespace = network.namespace().unwrap_or_default();
    let goes = |tenant: &Tenant| tenant.metadata.deletion_timestamp.is_some() && !tenant.spec.prevent_deletion;
    let Some(tenant) = tenant.filter(|tenant| !goes(tenant)) else {
        return waiting(
            reason::NO_TENANT,
            format!(
                "there is no tenant `{namespace}`; make one: a Tenant of that name, which adopts the namespace if it has the label muniment.dev/tenant={namespace}"
            ),
        );
    };
    let status = tenant.status.clone().unwrap_or_default();
    if !is_true(&status.conditions, kind::NAMESPACE_READY) {
        return waiting(
            reason::NO_TENANT,
            format!("the namespace of tenant `{namespace}` isn't ready yet; see its conditions"),
        );
    }
    if let Err(over) = quota::admits(&tenant.spec.quota, network, all) {
        return waiting(reason::QUOTA_EXCEEDED, over);
    }
    let signer = status.signer.map(|key| Member {
        name: namespace.clone(),
        key,
    });
    // Also where others are members: sealed without the tenant's key, the network would never take what its tenant writes.
    let sealed = network
        .status
        .as_ref()
        .is_some_and(|status| status.network_id.is_some());
    if signer.is_none() && (!sealed || network.spec.members.is_empty()) {
        return waiting(
            reason::WAITING_FOR_SIGNER,
            format!("tenant `{namespace}` has no signing key yet; the management API makes it: see that it runs"),
        );
    }
    Ok(Dereferenced {
        members: signer.into_iter().collect(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tenant(spec: serde_json::Value, status: serde_json::Value) -> Tenant {
        serde_json::from_value(json!({ "apiVersion": "muniment.dev/v1alpha1", "kind": "Tenant",
            "metadata": { "name": "acme" }, "spec": spec, "status": status }))
        .unwrap()
    }

    fn ready() -> serde_json::Value {
        json!({ "signer": "ed25519:x", "conditions": [{ "type": "NamespaceReady", "status": "True", "reason": "AsWanted",
            "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" }] })
    }

    fn network() -> LedgerNetwork {
        serde_json::from_value(json!({ "apiVersion": "muniment.dev/v1alpha1", "kind": "LedgerNetwork",
            "metadata": { "name": "contracts", "namespace": "acme" },
            "spec": { "templates": [{ "name": "notarization" }] } }))
        .unwrap()
    }

    #[test]
    fn waits_for_what_has_to_come_first_and_says_so() {
        let reason_of = |tenant: Option<&Tenant>| dereference(&network(), tenant, &[]).unwrap_err().reason;
        assert_eq!(reason_of(None), reason::NO_TENANT);
        assert_eq!(reason_of(Some(&tenant(json!({}), json!({})))), reason::NO_TENANT);
        let mut keyless = ready();
        keyless["signer"] = json!(null);
        let keyless = tenant(json!({}), keyless);
        assert_eq!(reason_of(Some(&keyless)), reason::WAITING_FOR_SIGNER);
        let mut shared = network();
        shared.spec.members = vec![serde_json::from_value(json!({ "name": "court", "key": "ed25519:y" })).unwrap()];
        let waiting = dereference(&shared, Some(&keyless), &[]).unwrap_err();
        assert_eq!(waiting.reason, reason::WAITING_FOR_SIGNER, "whoever else is a member");
        shared.status = Some(serde_json::from_value(json!({ "networkId": "ab" })).unwrap());
        assert_eq!(
            dereference(&shared, Some(&keyless), &[]).unwrap().members,
            [],
            "a sealed one is kept"
        );
        shared.spec.members.clear();
        let waiting = dereference(&shared, Some(&keyless), &[]).unwrap_err();
        assert_eq!(waiting.reason, reason::WAITING_FOR_SIGNER, "rather than called invalid");
    }

    #[test]
    fn the_tenants_key_is_a_member() {
        let found = dereference(&network(), Some(&tenant(json!({}), ready())), &[]).unwrap();
        let member = Member {
            name: "acme".into(),
            key: "ed25519:x".into(),
        };
        assert_eq!(found.members, [member]);
    }
}
