//! What a tenant's namespace holds besides its networks. Pure builders.

use k8s_openapi::api::core::v1::{
    LimitRange, LimitRangeItem, LimitRangeSpec, Namespace, ResourceQuota, ResourceQuotaSpec, Secret,
};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicySpec};
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::ObjectMeta;
use muniment_crds::TenantQuota;

use crate::backend::cluster::ClusterSettings;
use crate::backend::cluster::names::{self, FIELD_MANAGER, MANAGED_BY, TENANT};

const RBAC: &str = "rbac.authorization.k8s.io";

fn metadata(tenant: &str, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(tenant.to_owned()),
        labels: Some(names::map([
            ("app.kubernetes.io/name", "muniment".to_owned()),
            (MANAGED_BY, FIELD_MANAGER.to_owned()),
            (TENANT, tenant.to_owned()),
        ])),
        ..ObjectMeta::default()
    }
}

/// The namespace: nothing in it runs with more rights than the strictest standard allows.
pub fn namespace(tenant: &str) -> Namespace {
    let mut metadata = metadata(tenant, tenant);
    metadata.namespace = None;
    if let Some(labels) = &mut metadata.labels {
        for mode in ["enforce", "warn", "audit"] {
            labels.insert(format!("pod-security.kubernetes.io/{mode}"), "restricted".to_owned());
        }
    }
    Namespace {
        metadata,
        ..Namespace::default()
    }
}

/// The operator's own rights in the namespace: the only way it gets at Secrets.
pub fn own_rights(tenant: &str, settings: &ClusterSettings) -> RoleBinding {
    let role = RoleRef {
        api_group: RBAC.to_owned(),
        kind: "ClusterRole".to_owned(),
        name: settings.tenant_role.clone(),
    };
    binding(tenant, "muniment-operator", role, &settings.service_account, settings)
}

fn binding(tenant: &str, name: &str, role_ref: RoleRef, account: &str, settings: &ClusterSettings) -> RoleBinding {
    RoleBinding {
        metadata: metadata(tenant, name),
        role_ref,
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: account.to_owned(),
            namespace: Some(settings.namespace.clone()),
            ..Subject::default()
        }]),
    }
}

/// The tenant's API credentials: an empty Secret that the management API fills, and its right to do so. Never applied
/// over a filled one: who applies nothing owns nothing of its data.
pub fn access(tenant: &str, settings: &ClusterSettings) -> (Secret, Role, RoleBinding) {
    let name = "muniment-access";
    let secret = Secret {
        metadata: metadata(tenant, name),
        ..Secret::default()
    };
    let role = Role {
        metadata: metadata(tenant, name),
        rules: Some(vec![PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["secrets".to_owned()]),
            resource_names: Some(vec![name.to_owned()]),
            verbs: vec!["get".to_owned(), "patch".to_owned()],
            ..PolicyRule::default()
        }]),
    };
    let role_ref = RoleRef {
        api_group: RBAC.to_owned(),
        kind: "Role".to_owned(),
        name: name.to_owned(),
    };
    let binding = binding(tenant, name, role_ref, &settings.api_service_account, settings);
    (secret, role, binding)
}

/// Nothing in, nothing out, for every pod that no other policy speaks of.
pub fn default_deny(tenant: &str) -> NetworkPolicy {
    NetworkPolicy {
        metadata: metadata(tenant, "muniment-default-deny"),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector::default()),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ..NetworkPolicySpec::default()
        }),
    }
}

/// The tenant's quota as the API server counts it: a network too many is refused at once. `None` without a quota.
/// `counted`: networks too. Kubernetes learns to count a kind half a minute after its definition is there, and a quota
/// written before lets nobody make one of that kind for five minutes.
pub fn resource_quota(tenant: &str, quota: &TenantQuota, counted: bool) -> Option<ResourceQuota> {
    let TenantQuota {
        networks,
        validators,
        storage,
    } = quota;
    let networks = networks.filter(|_| counted).map(|count| {
        (
            "count/ledgernetworks.muniment.dev".to_owned(),
            Quantity(count.to_string()),
        )
    });
    let claims = validators.map(|count| ("persistentvolumeclaims".to_owned(), Quantity(count.to_string())));
    // Written as the API server writes it, so that it compares equal.
    let storage = storage.as_deref().and_then(|size| muniment_crds::canonical(size).ok());
    let storage = storage.map(|size| ("requests.storage".to_owned(), Quantity(size)));
    let hard: std::collections::BTreeMap<_, _> = networks.into_iter().chain(claims).chain(storage).collect();
    (!hard.is_empty()).then(|| ResourceQuota {
        metadata: metadata(tenant, "muniment-quota"),
        spec: Some(ResourceQuotaSpec {
            hard: Some(hard),
            ..ResourceQuotaSpec::default()
        }),
        ..ResourceQuota::default()
    })
}

/// What a container gets that asks for nothing.
pub fn limits(tenant: &str) -> LimitRange {
    let amounts = |pairs: &[(&str, &str)]| {
        Some(
            pairs
                .iter()
                .map(|(what, much)| ((*what).to_owned(), Quantity((*much).to_owned())))
                .collect(),
        )
    };
    LimitRange {
        metadata: metadata(tenant, "muniment-limits"),
        spec: Some(LimitRangeSpec {
            limits: vec![LimitRangeItem {
                type_: "Container".to_owned(),
                default: amounts(&[("memory", "256Mi")]),
                default_request: amounts(&[("cpu", "50m"), ("memory", "64Mi")]),
                ..LimitRangeItem::default()
            }],
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_tenants_namespace_is_restricted_and_labelled() {
        let labels = namespace("acme").metadata.labels.unwrap();
        assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
        assert_eq!(labels[TENANT], "acme");
    }

    #[test]
    fn a_quota_is_only_what_the_tenant_has_one_for() {
        assert!(resource_quota("acme", &TenantQuota::default(), true).is_none());
        let quota = TenantQuota {
            validators: Some(12),
            storage: Some("40Gi".into()),
            networks: Some(3),
        };
        let hard = |counted| {
            resource_quota("acme", &quota, counted)
                .unwrap()
                .spec
                .unwrap()
                .hard
                .unwrap()
        };
        assert_eq!(hard(false).len(), 2, "no network before Kubernetes can count them");
        let hard = hard(true);
        assert_eq!(hard["persistentvolumeclaims"], Quantity("12".into()));
        assert_eq!(hard["requests.storage"], Quantity("40Gi".into()));
        assert_eq!(hard["count/ledgernetworks.muniment.dev"], Quantity("3".into()));
    }

    #[test]
    fn the_default_is_to_deny_both_ways() {
        let spec = default_deny("acme").spec.unwrap();
        assert_eq!(spec.policy_types.unwrap(), ["Ingress", "Egress"]);
        assert!(spec.ingress.is_none() && spec.egress.is_none());
        assert_eq!(spec.pod_selector.unwrap(), LabelSelector::default());
    }
}
